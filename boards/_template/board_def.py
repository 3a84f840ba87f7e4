"""A new MicroPython board: copy this folder, then change what says CHANGE (boards/README.md, "A new board")."""

from file_units import FileUnits
from micropython_board import MicroPythonBoard
from signer.follower import FollowerEngine


class Board(MicroPythonBoard):
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "template"  # CHANGE: the folder's name
    led = None  # CHANGE: what machine.Pin takes for your LED, if the board has one

    def storage(self):
        """CHANGE: return your medium. Files run everywhere and promise least; raw flash or a card is better."""
        return FileUnits("/backup", 64)

    def engine(self):
        """CHANGE: return your signer (firmware/signer/engine.py), or leave the follower for a vault."""
        return FollowerEngine()
