"""A raw region of an RP2040's or RP2350's flash, past the file system of an image of our own.

rp2.Flash checks no bounds (MicroPython ports/rp2/rp2_flash.c): a wrong block number reads or overwrites whatever lies
there, the firmware too. So nothing reaches it that Medium has not checked.
"""

import errno
import os

import rp2

from medium import Medium, accept

_BLOCK = 4096
_PAGE = 256  # flash_range_program takes whole pages
_BLOCK_COUNT = 4
_BLOCK_ERASE = 6


class RawFlash(Medium):
    """The flash from byte `start` of the image's storage area to its end; erase units of 4096, program units of 256.

    Raises OSError if there is no such region, or if the mounted file system reaches into it, as it does on a stock
    image: its _boot.py gives the whole storage area to the file system.
    """

    def __init__(self, start):
        end = _file_system_end()
        if end > start:
            text = "the file system has the first %d bytes of the flash, the backup's region begins at %d: stock image?"
            raise OSError(errno.EACCES, text % (end, start))
        try:
            self._flash = rp2.Flash(start=start)
        except ValueError:
            raise OSError(errno.ENODEV, "this image has no flash from byte %d on" % start)
        super().__init__(self._flash.ioctl(_BLOCK_COUNT, 0) * _BLOCK, _BLOCK, _PAGE)

    def _read(self, offset, buf):
        accept(self._flash.readblocks(offset // _BLOCK, buf, offset % _BLOCK), "flash read")

    def _program(self, offset, data):
        # With an offset in the block it only programs; without, it would erase first.
        accept(self._flash.writeblocks(offset // _BLOCK, data, offset % _BLOCK), "flash program")

    def _erase(self, offset):
        accept(self._flash.ioctl(_BLOCK_ERASE, offset // _BLOCK), "flash erase")


def _file_system_end():
    """Return how many bytes of the flash the mounted file system says it has; 0 if none is mounted."""
    try:
        status = os.statvfs("/")
    except OSError:
        return 0
    return status[1] * status[2]
