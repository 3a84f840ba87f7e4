"""ESP32 family, stock image, nothing else: the backup in files. The weakest medium (boards/README.md)."""

from file_units import FileUnits
from micropython_board import MicroPythonBoard
from signer.follower import FollowerEngine


class Board(MicroPythonBoard):
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "esp32-stock"

    def storage(self):
        """Return 512 KiB of the file system, of 2 MiB with 4 MB of flash."""
        return FileUnits("/backup", 128)

    def engine(self):
        """Return the signer: a vault beside a signer that runs elsewhere."""
        return FollowerEngine()
