"""Pico, Pico W, Pico 2 with an image of our own (VLS_PICO, VLS_PICO_W, VLS_PICO2): the backup in raw flash."""

from rp2_layout import FILE_SYSTEM

from micropython_board import MicroPythonBoard
from rp2_flash import RawFlash
from signer.follower import FollowerEngine


class Board(MicroPythonBoard):
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "rp2"
    led = "LED"

    def storage(self):
        """Return the flash past the file system."""
        return RawFlash(FILE_SYSTEM)

    def engine(self):
        """Return the signer: a vault beside a signer that runs elsewhere."""
        return FollowerEngine()
