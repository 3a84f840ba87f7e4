"""Pico, Pico W, Pico 2, stock image, nothing else: the backup in files. The weakest medium (boards/README.md)."""

from file_units import FileUnits
from micropython_board import MicroPythonBoard
from signer.follower import FollowerEngine


class Board(MicroPythonBoard):
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "rp2-stock"
    led = "LED"

    def storage(self):
        """Return 512 KiB of the file system: a Pico W has 848 in all."""
        return FileUnits("/backup", 128)

    def engine(self):
        """Return the signer: a vault beside a signer that runs elsewhere."""
        return FollowerEngine()
