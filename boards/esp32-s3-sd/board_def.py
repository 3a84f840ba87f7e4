"""ESP32-S3, stock image, with an SD card on the FSPI pins: the backup on the card, which it has for itself."""

from micropython_board import MicroPythonBoard
from sd_blocks import SdBlocks
from sd_slot import SdSlot
from signer.follower import FollowerEngine


class Board(MicroPythonBoard):
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "esp32-s3-sd"

    def __init__(self):
        super().__init__()
        self._slot = SdSlot(slot=2, sck=12, mosi=11, miso=13, cs=10, freq=20000000)

    def storage(self):
        """Return the card. Raises OSError while it is missing."""
        return SdBlocks(self._slot.open())

    def engine(self):
        """Return the signer: a vault beside a signer that runs elsewhere."""
        return FollowerEngine()
