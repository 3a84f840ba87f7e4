"""An SD card through CircuitPython's sdcardio: what is said to be written is on the card, on every VM."""

import errno

from vendor_circuitpython import load
from vendor_circuitpython_sd import BLOCK, SPI, Card, Pin, SDCard

SdBlocks = load("sd_blocks").SdBlocks
SdcardioBlocks = load("sdcardio_blocks").SdcardioBlocks
OTHER = b"\x55" * BLOCK


class Slot:
    """A card in a slot, and a driver on it."""

    def __init__(self, blocks=65536, foreign=b"\x33" * BLOCK):
        self.spi = SPI(Pin("SCK"), Pin("MOSI"), Pin("MISO"))
        self.cs = Pin("SD_CS")
        self.card = self.spi.card = Card(blocks, foreign)
        self.blocks = SdcardioBlocks(self.spi, self.cs)
        self.device = SdBlocks(self.blocks)

    def swap(self, card):
        self.card.pull()
        self.spi.card = card

    def open(self):
        """Make the driver anew, as a board's storage() does."""
        self.blocks.close()
        self.blocks = SdcardioBlocks(self.spi, self.cs)
        self.device = SdBlocks(self.blocks)
        return self.device


def data(n):
    return bytes([n & 0xFF]) * BLOCK


def fails(call, *args):
    """Return the errno of the OSError that the call raises; -1 if it raises none."""
    try:
        call(*args)
    except OSError as error:
        assert error.errno is not None, "an OSError without errno"
        return error.errno
    return -1


def read(device, offset, length):
    buf = bytearray(length)
    device.read_into(offset, buf)
    return bytes(buf)


# -- the model has the traps -----------------------------------------------------------------------------------------


def test_model_a_pulled_card_takes_blocks_until_sync():
    slot = Slot()
    slot.blocks.close()
    card = SDCard(slot.spi, slot.cs)
    card.writeblocks(7, data(1))
    slot.card.pull()
    card.writeblocks(8, data(2))
    assert fails(card.sync) == errno.EIO
    assert slot.card.data == {}


def test_model_a_block_past_the_end_is_taken():
    slot = Slot(40000)
    slot.blocks.close()
    card = SDCard(slot.spi, slot.cs)
    card.writeblocks(40000, data(1))
    assert fails(card.sync) == errno.EIO


def test_model_a_long_read_is_stale():
    slot = Slot(40000)
    slot.blocks.close()
    card = SDCard(slot.spi, slot.cs)
    buf = bytearray(b"\x77" * (2 * BLOCK))
    card.readblocks(39999, buf)
    assert buf[BLOCK:] == b"\x77" * BLOCK


def test_model_a_synced_block_is_not_on_the_card_before_the_next_command():
    slot = Slot()
    slot.blocks.close()
    card = SDCard(slot.spi, slot.cs)
    card.writeblocks(7, data(1))
    card.sync()
    slot.card.pull()
    assert slot.card.data == {}


# -- the driver ------------------------------------------------------------------------------------------------------


def test_geometry_and_content():
    device = Slot().device
    assert (device.size, device.erase_size, device.program_size) == (16 << 20, 16384, 512)
    device.erase(16384)
    device.program(16384, data(1))
    device.program(16384 + 512, data(2))
    assert read(device, 16384, 1536) == data(1) + data(2) + b"\xff" * 512
    assert read(device, 16384 + 500, 24) == data(1)[:12] + data(2)[:12]
    assert read(device, 0, 512) == b"\x33" * 512


def test_what_program_and_erase_returned_from_outlives_a_cut_at_once():
    slot = Slot()
    slot.device.erase(0)
    slot.card.pull()
    assert [slot.card.data[n] for n in range(32)] == [b"\xff" * 512] * 32
    slot = Slot()
    slot.device.program(512, data(9))
    slot.card.pull()
    assert slot.card.data[1] == data(9)


def test_a_card_pulled_before_a_call():
    for call in ("program", "erase", "read_into"):
        slot = Slot()
        slot.device.program(0, data(1))
        slot.card.pull()
        argument = {"program": (512, data(2)), "erase": (16384,), "read_into": (0, bytearray(10))}[call]
        assert fails(getattr(slot.device, call), *argument) == errno.EIO
        assert fails(getattr(slot.device, call), *argument) == errno.ENODEV
        slot.card.insert()
        assert fails(getattr(slot.device, call), *argument) == errno.ENODEV
        getattr(slot.open(), call)(*argument)
        assert read(slot.device, 0, 512) == data(1)


def test_a_card_pulled_inside_a_write():
    slot = Slot()
    slot.device.program(0, data(1))
    receive = slot.card.receive

    def pulled(block):
        slot.card.pull()
        return receive(block)

    slot.card.receive = pulled
    assert fails(slot.device.program, 512, data(2)) == errno.EIO
    slot.card.receive = receive
    slot.card.insert()
    assert read(slot.open(), 0, 1024) == data(1) + b"\x33" * 512
    slot.device.program(512, data(2))
    assert read(slot.device, 0, 1024) == data(1) + data(2)


def test_a_write_itself_tells_that_the_card_was_pulled():
    slot = Slot()
    receive = slot.card.receive
    slot.card.receive = lambda block: slot.card.pull() or receive(block)
    assert fails(slot.blocks.writeblocks, 1, data(1)) == errno.EIO


def test_a_card_pulled_between_sync_and_read_back():
    slot = Slot()
    slot.device.program(0, data(1))
    close_stream = slot.card.close_stream

    def pulled():
        answer = close_stream()
        slot.card.pull()
        return answer

    slot.card.close_stream = pulled
    assert fails(slot.device.program, 512, data(2)) == errno.EIO
    slot.card.close_stream = close_stream
    slot.card.insert()
    assert read(slot.open(), 0, 1024) == data(1) + b"\x33" * 512


def test_another_card_is_not_touched_by_a_driver_that_had_the_first_one():
    slot = Slot()
    slot.device.program(0, data(1))
    other = Card(foreign=OTHER)
    slot.swap(other)
    for _ in range(3):
        assert fails(slot.device.program, 512, data(2)) in (errno.EIO, errno.ENODEV)
        assert fails(slot.device.read_into, 0, bytearray(512)) == errno.ENODEV
    assert other.data == {} and other.writes == 0


def test_a_refused_block():
    slot = Slot()
    slot.card.rejects = 1
    assert fails(slot.device.program, 0, data(1)) == errno.EIO
    slot.open().program(0, data(1))
    assert read(slot.device, 0, 512) == data(1)


def test_a_lost_and_a_misdirected_block_are_found_by_reading_back():
    slot = Slot()
    slot.card.loses = 1
    assert fails(slot.device.program, 0, data(1)) == errno.EIO
    slot.card.loses = 5
    assert fails(slot.device.erase, 0) == errno.EIO
    slot.card.misdirects = 3
    assert fails(slot.device.program, 512, data(1)) == errno.EIO


def test_calls_out_of_range_never_reach_the_card():
    slot = Slot()
    for call, argument in (
        ("program", (16 << 20, data(1))),
        ("program", (-512, data(1))),
        ("program", (100, data(1))),
        ("program", (0, data(1) * 2)),
        ("erase", (16 << 20,)),
        ("erase", (512,)),
        ("read_into", ((16 << 20) - 1, bytearray(2))),
    ):
        assert fails(getattr(slot.device, call), *argument) == errno.EINVAL
    assert slot.card.writes == 0


def test_no_card_and_too_small_a_card():
    slot = Slot()
    slot.blocks.close()
    assert fails(SdBlocks, SdcardioBlocks(slot.spi, slot.cs)) == -1
    slot = Slot()
    slot.blocks.close()
    slot.card.pull()
    assert fails(SdcardioBlocks, slot.spi, slot.cs) == errno.ENODEV
    assert not slot.cs.owned
    assert fails(Slot, 32767) == errno.ENODEV


def test_a_chip_select_that_has_an_owner():
    slot = Slot()
    assert fails(SdcardioBlocks, slot.spi, slot.cs) == errno.ENODEV
