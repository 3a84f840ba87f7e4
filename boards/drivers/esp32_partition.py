"""A data partition of an ESP32's flash that belongs to the backup alone (boards/esp32/partitions.csv)."""

import errno

from esp32 import Partition

from medium import Medium, accept

_BLOCK = 4096
_PAGE = 256  # the flash chip's own; esp_partition_write takes any length
_BLOCK_ERASE = 6
_SIZE = 3  # in Partition.info()
_ENCRYPTED = 5


class PartitionFlash(Medium):
    """The data partition with this label; erase units of 4096, program units of 256 bytes.

    Raises OSError if the partition table has no such partition, or if it is encrypted: blank flash doesn't read as
    0xFF then.
    """

    def __init__(self, label):
        # Only blocks of 4096 (the default): ioctl(6) refuses any other size, and smaller writes rewrite whole sectors.
        found = Partition.find(Partition.TYPE_DATA, label=label)
        if not found:
            raise OSError(errno.ENODEV, "the partition table has no data partition called %s" % label)
        self._partition = found[0]
        info = self._partition.info()
        if info[_ENCRYPTED]:
            raise OSError(errno.ENODEV, "partition %s is encrypted: a journal can't live there" % label)
        super().__init__(info[_SIZE] // _BLOCK * _BLOCK, _BLOCK, _PAGE)

    def _read(self, offset, buf):
        accept(self._partition.readblocks(offset // _BLOCK, buf, offset % _BLOCK), "partition read")

    def _program(self, offset, data):
        # With an offset in the block it only programs; without, it would erase first.
        accept(self._partition.writeblocks(offset // _BLOCK, data, offset % _BLOCK), "partition program")

    def _erase(self, offset):
        accept(self._partition.ioctl(_BLOCK_ERASE, offset // _BLOCK), "partition erase")
