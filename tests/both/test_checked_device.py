"""What the journal asks of a medium is checked, whatever the driver does."""

from faulty_flash import RamFlash, Worn
from journal_rig import refusal
from signer_backup import blockdev
from signer_backup.blockdev import CheckedDevice, is_filled


def untouched(flash):
    """Return a CheckedDevice of flash that no call may reach."""
    device = CheckedDevice(flash)
    device.device = None
    return device


def test_calls_outside_of_the_medium():
    device = untouched(RamFlash())
    for offset, size in ((-1, 1), (65536, 1), (65535, 2), (0, 65537)):
        assert "read outside of the medium: %d bytes at %d" % (size, offset) == refusal(
            device.read_into, offset, bytearray(size)
        )
    for offset, size in ((-256, 256), (65536, 256), (1, 256), (128, 256), (0, 255), (0, 512), (0, 0)):
        assert refusal(device.program, offset, bytes(size)) == "program of %d bytes at %d" % (size, offset)
    for offset in (-4096, 65536, 1, 256, 4095):
        assert refusal(device.erase, offset) == "erase at %d" % offset
    assert not device.failed and (device.programs, device.programmed_bytes, device.erases) == (0, 0, 0)


def test_the_first_and_the_last_bytes_of_the_medium():
    flash = RamFlash()
    device = CheckedDevice(flash)
    buf = bytearray(1)
    for offset in (0, 65535):
        device.read_into(offset, buf)
        assert buf == b"\xff"
    for offset in (0, 65536 - 256):
        device.program(offset, bytes(256))
    assert flash.data[:256] == flash.data[65536 - 256 :] == bytes(256)
    for offset in (0, 65536 - 4096):
        assert not device.is_blank(offset)
        device.erase(offset)
        assert device.is_blank(offset)
    assert (device.programs, device.programmed_bytes, device.erases, device.failed) == (2, 512, 2, False)


def test_a_medium_of_another_layout_is_refused():
    device = CheckedDevice(RamFlash())
    for other, what in (
        (RamFlash(131072), "size is 131072"),
        (RamFlash(65536, 8192), "erase_size is 8192"),
        (RamFlash(65536, 4096, 512), "program_size is 512"),
        (RamFlash(32768), "size is 32768"),
        (RamFlash(65536, 2048), "erase_size is 2048"),
        (RamFlash(65536, 4096, 128), "program_size is 128"),
    ):
        known = device.device
        assert what in refusal(device.replace, other) and device.device is known
    same = RamFlash()
    device.replace(same)
    assert device.device is same


def test_any_byte_that_is_not_blank():
    for size in (1, 2, 69, 256):
        buf = bytearray(b"\xff" * size)
        assert is_filled(buf) and is_filled(memoryview(buf))
        for at in (0, size // 2, size - 1):
            buf[at] = 0xFE
            assert not is_filled(buf)
            buf[at] = 0xFF


def no_memory(size):
    raise MemoryError()


def test_a_blank_unit_without_memory_for_a_large_piece():
    for erase_size in (1024, 4096, 8192):
        flash = RamFlash(65536, erase_size)
        device = CheckedDevice(flash)
        units = 65536 // erase_size
        flash.data[erase_size * 2 - 1] = flash.data[erase_size * 3] = 0  # the last byte of unit 1, the first of unit 3
        expected = [unit not in (1, 3) for unit in range(units)]
        blockdev.bytearray = no_memory
        try:
            assert [device.is_blank(unit * erase_size) for unit in range(units)] == expected
        finally:
            del blockdev.bytearray
        assert [device.is_blank(unit * erase_size) for unit in range(units)] == expected


def test_an_erase_that_leaves_one_byte():
    flash = RamFlash()
    device = CheckedDevice(flash)
    flash.data[4096 + 4095] = 0
    flash.fault = Worn(flash, {1}, ("erase",))
    assert refusal(device.erase, 4096) == "erase failed at 4096: the unit is not blank" and device.failed
