"""Files as erase units: on a model of littlefs and its trouble, and on real littlefs where the VM has one."""

import errno

import file_units
from vendor_board import World, errno_of
from vendor_littlefs import NO_SPACE, Files

try:
    import vfs

    REAL = hasattr(vfs, "VfsLfs2")
except ImportError:
    REAL = False


class RamDisk:
    """A block device of MicroPython's extended protocol; power goes away after `calls` programs and erases."""

    def __init__(self, blocks):
        self.blocks = [None] * blocks  # None: erased; all at once would fill a board's heap
        self.calls = None

    def _spend(self):
        if self.calls is not None:
            if not self.calls:
                raise OSError(errno.EIO, "power cut")
            self.calls -= 1

    def readblocks(self, block, buf, offset=0):
        data = self.blocks[block]
        for i in range(len(buf)):
            buf[i] = data[offset + i] if data else 0xFF

    def writeblocks(self, block, buf, offset=0):
        self._spend()
        if self.blocks[block] is None:
            self.blocks[block] = bytearray(b"\xff" * 4096)
        self.blocks[block][offset : offset + len(buf)] = buf

    def ioctl(self, command, argument):
        if command == 4:
            return len(self.blocks)
        if command == 5:
            return 4096
        if command == 6:
            self._spend()
            self.blocks[argument] = None
        return 0


def on_littlefs(units, blocks=48):
    """Return (open, disk): open() makes a FileUnits on a fresh littlefs; where the VM has none, disk is None, and its
    files are the model's.
    """
    if not REAL:
        world = World()
        world.files.mkdir("/lfs")
        world.files.room = blocks * 4096
        made = world.load("file_units").FileUnits
        return lambda: made("/lfs/backup", units), None
    disk = RamDisk(blocks)
    vfs.VfsLfs2.mkfs(disk, progsize=256)
    mount(disk)
    return lambda: file_units.FileUnits("/lfs/backup", units), disk


def mount(disk):
    try:
        vfs.umount("/lfs")
    except OSError:
        pass
    vfs.mount(vfs.VfsLfs2(disk, progsize=256), "/lfs")


def on_model(files=None):
    world = World()
    world.files = files or Files()
    return world, world.load("file_units").FileUnits("/backup", 16)


def read(device, offset, length):
    buf = bytearray(length)
    device.read_into(offset, buf)
    return bytes(buf)


def page(n):
    return bytes([n]) * 256


def test_content_survives_in_files():
    opened, disk = on_littlefs(8)
    device = opened()
    assert (device.size, device.erase_size, device.program_size) == (8 * 4096, 4096, 256)
    for offset in range(0, device.size, 4096):
        assert read(device, offset, 4096) == b"\xff" * 4096
    for n in range(16):
        device.program(4096 + n * 256, page(n))
    device.program(3 * 4096, page(99))
    if disk:
        mount(disk)
    again = opened()
    assert read(again, 4096, 4096) == b"".join([page(n) for n in range(16)])
    assert read(again, 3 * 4096 - 10, 276) == b"\xff" * 10 + page(99) + b"\xff" * 10
    again.erase(4096)
    for offset in range(0, 3 * 4096, 4096):
        assert read(again, offset, 4096) == b"\xff" * 4096
    assert read(again, 3 * 4096, 256) == page(99)


def test_program_appends():
    world, device = on_model()
    for n in range(16):
        device.program(n * 256, page(n))
    assert world.files.appended == 16 and world.files.rewritten == 0
    assert len(world.files.files["/backup/0000"]) == 4096
    device.erase(0)
    assert world.files.files["/backup/0000"] == b""


def test_units_passed_over_stay_blank():
    opened, _disk = on_littlefs(4)
    device = opened()
    device.program(1024, page(1))
    assert read(device, 0, 1536) == b"\xff" * 1024 + page(1) + b"\xff" * 256
    device.program(256, page(2))
    assert read(device, 0, 1280) == b"\xff" * 256 + page(2) + b"\xff" * 512 + page(1)


def test_calls_outside_are_refused():
    world, device = on_model()
    for offset in (-4096, -256, device.size, 1, 128):
        assert errno_of(device.program, offset, page(0)) == errno.EINVAL
        assert errno_of(device.erase, offset) == errno.EINVAL
    assert errno_of(device.program, 0, bytes(512)) == errno.EINVAL
    assert errno_of(device.read_into, device.size - 1, bytearray(2)) == errno.EINVAL
    assert world.files.files == {}


def test_full_file_system_is_an_error():
    files = Files(room=4096 + 100)
    _world, device = on_model(files)
    for n in range(16):
        device.program(n * 256, page(n))
    assert errno_of(device.program, 4096, page(0)) == NO_SPACE
    assert read(device, 4096, 4096) == b"\xff" * 4096
    device.erase(0)  # gives its room back
    device.program(4096, page(7))
    assert read(device, 4096, 256) == page(7)


def test_full_littlefs_is_an_error():
    opened, _disk = on_littlefs(64, 16)
    device = opened()
    said = None
    for n in range(64):
        for at in range(n * 4096, n * 4096 + 4096, 256):
            said = said or errno_of(device.program, at, page(n))
        if said:
            break
    assert said == NO_SPACE, said
    assert read(device, 0, 4096) == page(0) * 16


def test_short_write_is_an_error():
    world, device = on_model()
    world.files.short = 100
    assert errno_of(device.program, 0, page(1)) == errno.EIO
    world.files.short = 100
    assert errno_of(device.program, 4096 + 1024, page(1)) == errno.EIO
    device.erase(0)
    device.program(0, page(1))


def test_other_bytes_on_the_medium_are_found():
    world, device = on_model()
    world.files.garbles = True
    assert errno_of(device.program, 0, page(1)) == errno.EIO


def test_power_cut_leaves_the_unit_before_or_after():
    """Real littlefs: power goes away at each program or erase of a program of ours; what was there stays."""
    if not REAL:
        return
    for calls in range(40):
        opened, disk = on_littlefs(4)
        device = opened()
        for n in range(3):
            device.program(n * 256, page(n))
        device.program(4096, page(9))
        disk.calls = calls
        done = errno_of(device.program, 3 * 256, page(3)) is None and errno_of(device.erase, 4096) is None
        disk.calls = None
        mount(disk)
        again = opened()
        assert read(again, 0, 3 * 256) == page(0) + page(1) + page(2)
        assert read(again, 3 * 256, 256) in (page(3), b"\xff" * 256)
        assert read(again, 4096, 256) in (page(9), b"\xff" * 256)
        if done:
            break
    assert done and calls > 2


def test_folder_that_cannot_be_made():
    world = World()

    def refuse(path):
        raise OSError(errno.EACCES, "read-only")

    world.files.mkdir = refuse
    assert errno_of(world.load("file_units").FileUnits, "/backup", 4) == errno.EACCES
