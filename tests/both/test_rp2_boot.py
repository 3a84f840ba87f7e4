"""The _boot.py of our own RP2 images, on the model of the chip, with real littlefs where the VM has it."""

from binascii import crc32

from vendor_board import World
from vendor_nor import BLOCK

try:
    from vfs import VfsLfs2
except ImportError:

    class VfsLfs2:
        """littlefs as far as _boot.py sees it: mounts what mkfs made in a region of that size, else OSError."""

        def __init__(self, device, progsize=32):
            buf = bytearray(16)
            device.readblocks(0, buf, 0)
            if bytes(buf) != b"littlefs %7d" % device.ioctl(4, 0):
                raise OSError(22, "no file system, or of another size")

        @staticmethod
        def mkfs(device, progsize=32):
            page = bytearray(b"\xff" * 256)
            page[:16] = b"littlefs %7d" % device.ioctl(4, 0)
            device.ioctl(6, 0)
            device.writeblocks(0, page, 0)


STORAGE = 512 - 352
REGION = STORAGE + 96
BLANK = crc32(b"\xff" * BLOCK)
BACKUP = crc32(b"\x42" * BLOCK)


class Vfs:
    """The module vfs. mounted: where, or None."""

    def __init__(self):
        self.mounted = None
        self.VfsLfs2 = VfsLfs2

    def mount(self, files, path):
        self.mounted = path


def boot(world):
    """Run _boot.py; return where it mounted its file system."""
    world.modules["vfs"] = vfs = Vfs()
    world.load("_boot", "boards/rp2")
    return vfs.mounted


def content(world, first, last):
    """Return the CRC-32 of each block: the blocks themselves would fill a board's heap."""
    return [crc32(world.rp2.chip.block(n)) for n in range(first, last)]


def backup(world):
    """Put a backup past the file system."""
    flash = world.rp2.Flash(start=96 * BLOCK)
    for block in (0, 255):
        flash.writeblocks(block, b"\x42" * BLOCK)


def test_blank_flash_gets_a_file_system():
    world = World()
    backup(world)
    assert boot(world) == "/"
    assert content(world, STORAGE, REGION) != [BLANK] * 96
    assert content(world, REGION, 512) == [BACKUP] + [BLANK] * 254 + [BACKUP]
    assert world.rp2.chip.firmware_is_whole()


def test_second_boot_changes_nothing():
    world = World()
    boot(world)
    backup(world)
    before = content(world, 0, 512)
    for _ in range(3):
        assert boot(world) == "/"
    assert content(world, 0, 512) == before


def test_foreign_content_is_not_erased():
    """One byte anywhere in the file system's part, and nothing is formatted."""
    for block in (0, 1, 50, 95):
        world = World()
        world.rp2.Flash(start=0).writeblocks(block, b"\xff" * 256 + b"\xfe" + b"\xff" * 255, 256)
        before = content(world, 0, 512)
        assert boot(world) is None
        assert content(world, 0, 512) == before


def test_file_system_of_a_stock_image_is_not_erased():
    """It has all 352 blocks, and mounts as no smaller one."""
    world = World()
    VfsLfs2.mkfs(world.rp2.Flash(), progsize=256)
    before = content(world, 0, 512)
    assert boot(world) is None
    assert content(world, 0, 512) == before


def test_advice_for_foreign_content_works():
    world = World()
    VfsLfs2.mkfs(world.rp2.Flash(), progsize=256)
    backup(world)
    VfsLfs2.mkfs(world.rp2.Flash(start=0, len=393216), progsize=256)
    assert boot(world) == "/"
    assert content(world, REGION, REGION + 1) == [BACKUP]
