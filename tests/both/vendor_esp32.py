"""A model of esp32.Partition as MicroPython 1.28 has it (ports/esp32/esp32_partition.c) over ESP-IDF's checks.

Quirks kept: find returns a list, empty when there is none; 2-argument writeblocks erases, 3-argument writeblocks only
programs; ioctl(6) answers -22 unless the block size is 4096; ESP-IDF refuses what lies outside of the partition, with
an OSError whose errno is negative (-0x104); a partition that is encrypted reads as noise where it is erased.
"""

from vendor_nor import BLOCK, Nor

_INVALID_ARG = -0x102
_INVALID_SIZE = -0x104


class Esp32:
    """The module esp32 on a 4 MB chip. table: [(type, subtype, address, size, label, encrypted)]."""

    def __init__(self):
        self.chip = Nor(1024, 512)
        self.table = [
            (0, 0, 0x10000, 0x1F0000, "factory", False),
            (1, 0x81, 0x200000, 0x180000, "vfs", False),
            (1, 0x06, 0x380000, 0x80000, "backup", False),
        ]
        model = self

        class Partition(_Partition):
            TYPE_APP = 0
            TYPE_DATA = 1

            @staticmethod
            def find(type=0, subtype=0xFF, label=None, block_size=4096):
                return [
                    _Partition(model, entry, block_size)
                    for entry in model.table
                    if entry[0] == type and subtype in (0xFF, entry[1]) and label in (None, entry[4])
                ]

        self.Partition = Partition


class _Partition:
    def __init__(self, model, entry, block_size):
        self._model = model
        self._entry = entry
        self._block = block_size

    def info(self):
        return self._entry

    def _address(self, offset, length):
        offset &= 0xFFFFFFFF
        if offset > self._entry[3]:
            raise OSError(_INVALID_ARG, "ESP_ERR_INVALID_ARG")
        if offset + length > self._entry[3]:
            raise OSError(_INVALID_SIZE, "ESP_ERR_INVALID_SIZE")
        return self._entry[2] + offset

    def readblocks(self, block, buf, offset=0):
        self._model.chip.read(self._address(block * self._block + offset, len(buf)), buf)
        if self._entry[5]:
            for i in range(len(buf)):
                buf[i] ^= 0xA5 ^ i & 0xFF

    def writeblocks(self, block, buf, offset=None):
        address = self._address(block * self._block + (offset or 0), len(buf))
        if offset is None:
            if address % BLOCK or len(buf) % BLOCK:
                raise OSError(_INVALID_SIZE, "ESP_ERR_INVALID_SIZE")
            for at in range(address, address + len(buf), BLOCK):
                self._model.chip.erase(at)
        self._model.chip.program(address, buf)

    def ioctl(self, command, argument):
        if command in (1, 2, 3):
            return 0
        if command == 4:
            return self._entry[3] // self._block
        if command == 5:
            return self._block
        if command == 6:
            if self._block != BLOCK:
                return -22
            self._model.chip.erase(self._address(argument * BLOCK, BLOCK))
            return 0
        return None
