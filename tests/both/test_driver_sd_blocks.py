"""An SD card as a medium: through machine.SDCard, old and new, and through sdcard.py, whatever these hide."""

import errno

from vendor_board import World, errno_of
from vendor_sd import BLOCK, machine_sdcard


def machine_card(world, booleans):
    world.machine.SDCard = machine_sdcard(lambda: world.card, booleans)
    slot = world.load("sd_slot").SdSlot(slot=2, sck=18, mosi=23, miso=19, cs=5)
    return slot


def spi_card(world):
    return world.load("sd_spi").SpiCard(bus=0, sck=18, mosi=19, miso=16, cs=17, baudrate=10000000)


def slots():
    """Return [(world, slot, SdBlocks)], one for each driver."""
    made = []
    for make in (lambda w: machine_card(w, True), lambda w: machine_card(w, False), spi_card):
        world = World()
        made.append((world, make(world), world.load("sd_blocks").SdBlocks))
    return made


def mount(SdBlocks, slot):
    return SdBlocks(slot.open())


def read(device, offset, length):
    buf = bytearray(length)
    device.read_into(offset, buf)
    return bytes(buf)


def test_card_is_used_from_its_first_block():
    for world, slot, SdBlocks in slots():
        device = SdBlocks(slot.open())
        assert (device.size, device.erase_size, device.program_size) == (16 << 20, 16384, BLOCK)
        device.erase(16384)
        assert sorted(world.card.data) == list(range(32, 64))
        assert set(world.card.data.values()) == {b"\xff" * BLOCK}
        device.program(16384 + BLOCK, bytes(BLOCK))
        assert world.card.data[33] == bytes(BLOCK)


def test_reads_of_any_place_and_length():
    for world, slot, SdBlocks in slots():
        device = SdBlocks(slot.open())
        content = b""
        for n in range(4):
            world.card.data[n] = bytes([n * 16 + i // 32 for i in range(BLOCK)])
            content += world.card.data[n]
        for offset, length in ((0, 512), (512, 512), (1, 1), (500, 24), (0, 2048), (511, 1026), (100, 69), (512, 1024)):
            assert read(device, offset, length) == content[offset : offset + length]
        assert read(device, device.size - 1, 1) == b"\x33"


def test_calls_outside_are_refused():
    for world, slot, SdBlocks in slots():
        device = SdBlocks(slot.open())
        for offset in (-16384, -512, device.size, device.size + 16384, 1, 256):
            assert errno_of(device.program, offset, bytes(BLOCK)) == errno.EINVAL
            assert errno_of(device.erase, offset) == errno.EINVAL
        assert errno_of(device.program, 0, bytes(1024)) == errno.EINVAL
        assert errno_of(device.read_into, device.size - 1, bytearray(2)) == errno.EINVAL
        assert world.card.data == {}


def test_rejected_block_is_found():
    """sdcard.py returns from it as if all were well."""
    for world, slot, SdBlocks in slots():
        device = SdBlocks(slot.open())
        world.card.rejects = 1
        assert errno_of(device.program, 0, bytes(BLOCK)) == errno.EIO
        device.program(0, bytes(BLOCK))
        world.card.rejects = 1
        assert errno_of(device.erase, 0) == errno.EIO


def test_sdcard_py_hides_a_rejected_block():
    world = World()
    card = spi_card(world).open()
    world.card.rejects = 1
    assert card.writeblocks(0, bytes(BLOCK)) is None
    assert world.card.data == {}


def test_block_written_elsewhere_is_found():
    for world, slot, SdBlocks in slots():
        device = SdBlocks(slot.open())
        world.card.misdirects = 7
        assert errno_of(device.program, 0, bytes(BLOCK)) == errno.EIO


def test_pulled_card_is_an_error_and_comes_back():
    for rests in (0xFF, 0):
        for world, slot, SdBlocks in slots():
            world.card.rests = rests
            device = SdBlocks(slot.open())
            device.program(0, bytes(BLOCK))
            world.card.pull()
            assert raises(device.program, 512, bytes(BLOCK))
            assert raises(device.read_into, 512, bytearray(10))
            assert raises(device.erase, 0)
            assert errno_of(mount, SdBlocks, slot) == errno.ENODEV
            world.card.insert()
            assert raises(device.read_into, 512, bytearray(10))  # it stays dead until it is made anew
            again = SdBlocks(slot.open())
            assert read(again, 0, BLOCK) == bytes(BLOCK)


def raises(call, *args):
    """Return whether the call raises OSError; sdcard.py's own may have no errno."""
    try:
        call(*args)
    except OSError:
        return True
    return False


def test_missing_card_has_an_errno():
    for world, slot, SdBlocks in slots():
        world.card.present = False
        assert errno_of(mount, SdBlocks, slot) == errno.ENODEV


def test_small_card_is_refused():
    for world, slot, SdBlocks in slots():
        world.card.blocks = 16384
        assert errno_of(mount, SdBlocks, slot) == errno.ENODEV


def test_card_that_hangs_does_not_hang_the_board():
    """sdcard.py would wait for ever; the bus that it was given gives up after a second."""
    world = World()
    slot = spi_card(world)
    device = world.load("sd_blocks").SdBlocks(slot.open())
    world.card.hangs = True
    assert errno_of(device.program, 0, bytes(BLOCK)) == errno.ETIMEDOUT


def test_slot_frees_the_bus_before_it_opens_anew():
    world = World()
    slot = machine_card(world, False)
    slot.open()
    assert errno_of(world.machine.SDCard) == -0x103
    slot.open()
