"""ESP32, stock image, with an SD card on the VSPI pins: the backup on the card, which it has for itself."""

from micropython_board import MicroPythonBoard
from sd_blocks import SdBlocks
from sd_slot import SdSlot
from signer.follower import FollowerEngine


class Board(MicroPythonBoard):
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "esp32-sd"

    def __init__(self):
        super().__init__()
        self._slot = SdSlot(slot=2, sck=18, mosi=23, miso=19, cs=5, freq=20000000)

    def storage(self):
        """Return the card. Raises OSError while it is missing."""
        return SdBlocks(self._slot.open())

    def engine(self):
        """Return the signer: a vault beside a signer that runs elsewhere."""
        return FollowerEngine()
