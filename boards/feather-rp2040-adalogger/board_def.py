"""Adafruit Feather RP2040 Adalogger with CircuitPython: the backup on the card in its own slot."""

import board
import busio

from circuitpython_board import CircuitPythonBoard
from signer.follower import FollowerEngine


class Board(CircuitPythonBoard):
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "feather-rp2040-adalogger"
    cs = board.SD_CS
    led = board.LED

    def spi(self):
        """Return the slot's bus, which nothing else is on. Raises ValueError if its pins have an owner."""
        return busio.SPI(board.SD_CLK, board.SD_MOSI, board.SD_MISO)

    def engine(self):
        """Return the signer: a vault beside a signer that runs elsewhere."""
        return FollowerEngine()
