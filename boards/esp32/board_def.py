"""ESP32 and ESP32-S3 modules whose flash has a partition `backup` (partitions.csv): the backup lives there."""

from esp32_partition import PartitionFlash
from micropython_board import MicroPythonBoard
from signer.follower import FollowerEngine


class Board(MicroPythonBoard):
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "esp32"

    def storage(self):
        """Return the partition. Raises OSError if the partition table has none."""
        return PartitionFlash("backup")

    def engine(self):
        """Return the signer: a vault beside a signer that runs elsewhere."""
        return FollowerEngine()
