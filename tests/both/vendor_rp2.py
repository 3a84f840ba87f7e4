"""A model of rp2.Flash as MicroPython 1.28 has it (ports/rp2/rp2_flash.c), its missing checks included.

Quirks kept: no bounds check on block numbers or lengths; 2-argument writeblocks erases, polls events, programs;
3-argument writeblocks only programs; ioctl(6) erases; return values say nothing of the chip; a misaligned program or
erase is undefined on the chip, and an AssertionError here, which no driver catches.
"""

from vendor_nor import BLOCK, Nor

STORAGE = 352  # blocks of a Pico's storage area, at the end of its 512


class Rp2:
    """The module rp2. chip: the Nor. between: called where writeblocks polls events, between its erase and program."""

    def __init__(self):
        self.chip = Nor(512, 512 - STORAGE)
        self.between = None
        model = self

        class Flash(_Flash):
            def __init__(self, start=-1, len=-1):
                super().__init__(model, start, len)

        self.Flash = Flash


class _Flash:
    def __init__(self, model, start, length):
        total = STORAGE * BLOCK
        if start == -1:
            start = 0
        elif not (0 <= start < total and start % BLOCK == 0):
            raise ValueError
        if length == -1:
            length = total - start
        elif not (0 < length and start + length <= total and length % BLOCK == 0):
            raise ValueError
        self._model = model
        self._base = model.chip.size - total + start
        self._size = length

    def readblocks(self, block, buf, offset=0):
        self._model.chip.read(self._base + block * BLOCK + offset, buf)

    def writeblocks(self, block, buf, offset=None):
        address = self._base + block * BLOCK + (offset or 0)
        assert address % 256 == 0 and len(buf) % 256 == 0, "flash_range_program: undefined"
        if offset is None:
            assert len(buf) % BLOCK == 0, "flash_range_erase: undefined"
            for at in range(address, address + len(buf), BLOCK):
                self._model.chip.erase(at)
            if self._model.between:
                self._model.between()
        self._model.chip.program(address, buf)

    def ioctl(self, command, argument):
        if command in (1, 2, 3):
            return 0
        if command == 4:
            return self._size // BLOCK
        if command == 5:
            return BLOCK
        if command == 6:
            self._model.chip.erase(self._base + argument * BLOCK)
            return 0
        return None
