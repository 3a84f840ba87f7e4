"""The raw flash region of an RP2 image of our own: on a chip without bounds checks, the firmware stays whole."""

import errno

from vendor_board import World, errno_of

FILE_SYSTEM = 96 * 4096
FIRST = 512 - 352 + 96  # the region's first block on the chip


def flash(world=None):
    world = world or World()
    world.file_system = FILE_SYSTEM
    return world, world.load("rp2_flash").RawFlash(FILE_SYSTEM)


def test_region_is_what_the_file_system_leaves():
    _world, device = flash()
    assert (device.size, device.erase_size, device.program_size) == (256 * 4096, 4096, 256)


def test_model_has_the_chips_missing_checks():
    """Without the driver, block -1 is the file system's last, and one call can erase the firmware."""
    world = World()
    raw = world.rp2.Flash(start=0)
    buf = bytearray(256)
    raw.readblocks(-1, buf)
    assert buf == bytes([159]) * 256
    assert world.rp2.chip.firmware_is_whole()
    raw.ioctl(6, -1)
    assert not world.rp2.chip.firmware_is_whole()


def test_nothing_outside_of_the_region_is_touched():
    world, device = flash()
    for offset in (-4096, -256, device.size, device.size + 4096, -FILE_SYSTEM - 4096):
        assert errno_of(device.program, offset, bytes(256)) == errno.EINVAL
        assert errno_of(device.erase, offset) == errno.EINVAL
        assert errno_of(device.read_into, offset, bytearray(256)) == errno.EINVAL
    assert errno_of(device.read_into, device.size - 1, bytearray(2)) == errno.EINVAL
    device.program(0, bytes(256))
    device.program(device.size - 256, bytes(256))
    device.erase(0)
    device.erase(device.size - 4096)
    assert world.rp2.chip.firmware_is_whole()
    for block in (FIRST - 1, FIRST, 511):
        assert world.rp2.chip.block(block) == b"\xff" * 4096


def test_program_does_not_erase_first():
    world, device = flash()
    world.rp2.between = lambda: fail()
    device.program(4096, bytes(256))
    device.program(4096 + 256, b"\x11" * 256)
    assert world.rp2.chip.block(FIRST + 1)[:768] == bytes(256) + b"\x11" * 256 + b"\xff" * 256


def fail():
    raise AssertionError("writeblocks erased, and let others run before it programmed")


def test_program_over_other_bytes_is_found():
    _world, device = flash()
    device.program(0, b"\x0f" * 256)
    assert errno_of(device.program, 0, b"\xf0" * 256) == errno.EIO


def test_worn_block_is_found():
    world, device = flash()
    device.program(0, bytes(256))
    world.rp2.chip.worn.add(FIRST)
    assert errno_of(device.erase, 0) == errno.EIO
    assert errno_of(device.program, 256, bytes(256)) == errno.EIO


def test_program_of_any_other_length_is_refused():
    world, device = flash()
    for data in (b"", bytes(255), bytes(257), bytes(512), bytes(4096)):
        assert errno_of(device.program, 0, data) == errno.EINVAL
    assert errno_of(device.program, 128, bytes(256)) == errno.EINVAL
    assert world.rp2.chip.block(FIRST) == b"\xff" * 4096


def test_stock_image_is_refused():
    """There the file system has the whole storage area: its files would be overwritten."""
    world = World()
    world.file_system = 352 * 4096
    assert errno_of(world.load("rp2_flash").RawFlash, FILE_SYSTEM) == errno.EACCES


def test_region_that_the_image_lacks_is_refused():
    world = World()
    assert errno_of(world.load("rp2_flash").RawFlash, 352 * 4096) == errno.ENODEV
