"""Pico, Pico W, Pico 2, stock image, with an SD card on SPI 0: the backup on the card, which it has for itself."""

from micropython_board import MicroPythonBoard
from sd_blocks import SdBlocks
from sd_spi import SpiCard
from signer.follower import FollowerEngine


class Board(MicroPythonBoard):
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "rp2-sd"
    led = "LED"

    def __init__(self):
        super().__init__()
        self._slot = SpiCard(bus=0, sck=18, mosi=19, miso=16, cs=17, baudrate=10000000)

    def storage(self):
        """Return the card. Raises OSError while it is missing."""
        return SdBlocks(self._slot.open())

    def engine(self):
        """Return the signer: a vault beside a signer that runs elsewhere."""
        return FollowerEngine()
