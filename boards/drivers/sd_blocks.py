"""The first blocks of an SD card, over whatever gives MicroPython's block protocol: machine.SDCard, or sdcard.SDCard.

What a driver says of a write is worth little: machine.SDCard answers False, -5, 0 or True by version, sdcard.py returns
silently when the card rejected the block. Medium reads everything back. One block a call: a failure in the middle of
several leaves open which were written.
"""

import errno

from medium import Medium, accept

BLOCK = 512
_ERASE = 16384
_SIZE = 16 << 20  # 1024 erase units: each costs RAM and a read at start, so more of the card would only slow it
_BLOCK_COUNT = 4


class SdBlocks(Medium):
    """The first 16 MiB of card: erase units of 16 KiB, program units of 512 bytes. What else is on the card is lost.

    card: readblocks(n, buf), writeblocks(n, buf), ioctl(4, 0) -> number of blocks. An erase overwrites with 0xFF.
    Raises OSError if the card doesn't answer or is smaller.
    """

    def __init__(self, card):
        blocks = card.ioctl(_BLOCK_COUNT, 0)
        if blocks < 0:
            raise OSError(errno.ENODEV, "no SD card answers")
        if blocks * BLOCK < _SIZE:
            raise OSError(errno.ENODEV, "the SD card has only %d blocks of 512 bytes" % blocks)
        self._card = card
        self._block = bytearray(BLOCK)
        super().__init__(_SIZE, _ERASE, BLOCK)

    def _read(self, offset, buf):
        view = memoryview(buf)
        done = 0
        while done < len(view):
            n, start = divmod(offset + done, BLOCK)
            length = min(BLOCK - start, len(view) - done)
            if length == BLOCK:
                accept(self._card.readblocks(n, view[done : done + BLOCK]), "SD read")
            else:
                accept(self._card.readblocks(n, self._block), "SD read")
                view[done : done + length] = self._block[start : start + length]
            done += length

    def _program(self, offset, data):
        accept(self._card.writeblocks(offset // BLOCK, data), "SD write")

    def _erase(self, offset):
        for at in range(offset, offset + _ERASE, BLOCK):
            accept(self._card.writeblocks(at // BLOCK, self._blank), "SD write")
