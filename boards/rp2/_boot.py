"""Runs before everything else on our own RP2 images, at each soft reset too: mounts the file system in its part of the
flash, and makes one only where the flash is blank. The stock _boot.py would format all of it, the backup included.
"""

import rp2
import vfs
from rp2_layout import FILE_SYSTEM

_BLOCK = 4096
_NOTHING_ERASED = (
    "The flash holds no file system of this image; maybe another image's. Nothing was erased. To erase those %d bytes "
    "(not the backup), and what files they hold:\n"
    "import rp2, vfs; vfs.VfsLfs2.mkfs(rp2.Flash(start=0, len=%d), progsize=256)"
)


def _is_blank(flash):
    """Return whether every byte of the file system's part reads as 0xFF."""
    buf = bytearray(_BLOCK)
    blank = b"\xff" * _BLOCK
    for block in range(FILE_SYSTEM // _BLOCK):
        flash.readblocks(block, buf)
        if buf != blank:
            return False
    return True


def _mount():
    flash = rp2.Flash(start=0, len=FILE_SYSTEM)
    try:
        files = vfs.VfsLfs2(flash, progsize=256)
    except OSError:
        if not _is_blank(flash):
            print(_NOTHING_ERASED % (FILE_SYSTEM, FILE_SYSTEM))
            return
        vfs.VfsLfs2.mkfs(flash, progsize=256)
        files = vfs.VfsLfs2(flash, progsize=256)
    vfs.mount(files, "/")


_mount()
