"""Adafruit Metro ESP32-S3 with CircuitPython: the backup on the card in its own slot.

For another ESP32-S3 with a card, change what `spi` returns and `cs`: the pins that `dir(board)` shows at the REPL.
"""

import board

from circuitpython_board import CircuitPythonBoard
from signer.follower import FollowerEngine


class Board(CircuitPythonBoard):
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "metro-esp32-s3"
    cs = board.SD_CS
    led = board.LED

    def spi(self):
        """Return the board's bus, which the slot shares with the SPI header."""
        return board.SPI()

    def engine(self):
        """Return the signer: a vault beside a signer that runs elsewhere."""
        return FollowerEngine()
