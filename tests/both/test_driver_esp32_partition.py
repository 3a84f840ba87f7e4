"""A data partition as a medium: erased by ioctl(6), programmed without erasing; an encrypted one is refused."""

import errno

from vendor_board import World, errno_of

BACKUP = 0x380000 // 4096


def partition():
    world = World()
    return world, world.load("esp32_partition").PartitionFlash("backup")


def test_size_is_the_partitions():
    _world, device = partition()
    assert (device.size, device.erase_size, device.program_size) == (0x80000, 4096, 256)


def test_model_has_the_ports_rules():
    world = World()
    Partition = world.esp32.Partition
    small = Partition.find(Partition.TYPE_DATA, label="backup", block_size=512)[0]
    assert small.ioctl(6, 0) == -22
    part = Partition.find(Partition.TYPE_DATA, label="backup")[0]
    assert errno_of(part.readblocks, -1, bytearray(16)) == -0x102
    assert errno_of(part.readblocks, 127, bytearray(4097)) == -0x104
    assert errno_of(part.writeblocks, 0, bytes(256)) == -0x104
    part.writeblocks(0, bytes(256), 0)
    part.writeblocks(0, b"\x55" * 4096)
    assert world.esp32.chip.block(BACKUP) == b"\x55" * 4096


def test_writes_stay_in_the_partition():
    world, device = partition()
    for offset in (-4096, -256, device.size, device.size + 4096):
        assert errno_of(device.program, offset, bytes(256)) == errno.EINVAL
        assert errno_of(device.erase, offset) == errno.EINVAL
        assert errno_of(device.read_into, offset, bytearray(1)) == errno.EINVAL
    device.program(0, b"\x01" * 256)
    device.program(device.size - 256, b"\x02" * 256)
    assert world.esp32.chip.block(BACKUP)[:257] == b"\x01" * 256 + b"\xff"
    assert world.esp32.chip.block(1023)[-257:] == b"\xff" + b"\x02" * 256
    assert world.esp32.chip.block(BACKUP - 1) == b"\xff" * 4096


def test_program_does_not_erase_first():
    world, device = partition()
    device.program(0, b"\x01" * 256)
    device.program(256, b"\x02" * 256)
    assert world.esp32.chip.block(BACKUP)[:512] == b"\x01" * 256 + b"\x02" * 256


def test_worn_sector_is_found():
    world, device = partition()
    device.program(0, bytes(256))
    world.esp32.chip.worn.add(BACKUP)
    assert errno_of(device.erase, 0) == errno.EIO
    assert errno_of(device.program, 256, bytes(256)) == errno.EIO


def test_negative_answer_is_an_error():
    world, device = partition()
    device.program(0, bytes(256))
    device._partition._block = 512  # as a Partition that was made with another block size
    assert errno_of(device.erase, 0) == errno.EIO
    assert world.esp32.chip.block(BACKUP)[:256] == bytes(256)


def test_missing_partition_is_named():
    world = World()
    world.esp32.table = world.esp32.table[:2]
    try:
        world.load("esp32_partition").PartitionFlash("backup")
    except OSError as error:
        assert error.errno == errno.ENODEV and "backup" in error.args[1]
    else:
        raise AssertionError("a partition that is not there was opened")


def test_app_partition_of_that_name_is_not_taken():
    world = World()
    world.esp32.table = [(0, 0, 0x10000, 0x80000, "backup", False)]
    assert errno_of(world.load("esp32_partition").PartitionFlash, "backup") == errno.ENODEV


def test_encrypted_partition_is_refused():
    world = World()
    world.esp32.table = [(1, 6, 0x380000, 0x80000, "backup", True)]
    assert errno_of(world.load("esp32_partition").PartitionFlash, "backup") == errno.ENODEV
