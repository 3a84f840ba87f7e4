"""Media that hold something else: refused in words and never overwritten; and what a start on a blank medium reads."""

from backup_format.units import UNIT_HEADER
from faulty_flash import RamFlash
from journal_rig import CPYTHON, Rig, channel, channel_key, fill, refusal, remount
from log_rig import units_of
from medium_content import fill as fill_content
from signer_backup.journal import Journal
from signer_backup.state import State
from vendor_board import World
from vendor_littlefs import Files

WORDS = "no backup of ours"


class Counted(RamFlash):
    """Counts the bytes read."""

    bytes_read = 0

    def read_into(self, offset, buf):
        self.bytes_read += len(buf)
        RamFlash.read_into(self, offset, buf)


def refused_before_harm(flash):
    """Whether a medium is refused before anything in its foreign content changed; saves until then."""
    before = flash.copy().data
    foreign = [i for i in range(0, flash.size, 64) if before[i : i + 64] != b"\xff" * 64]
    try:
        rig = Rig(flash)
    except OSError as error:
        assert WORDS in str(error) and flash.data == before
        return True
    told = None
    for number in range(100):
        rig.put(channel_key(number % 3), number, channel(number, 1500))
        told = told or refusal(rig.save)
        assert all([flash.data[i : i + 64] == before[i : i + 64] for i in foreign]), "overwritten"
        if told:
            break
    assert told and WORDS in told, told
    assert not rig.journal._ring._bad  # the units are not to blame
    assert WORDS in refusal(remount(flash).save)  # and after a start too
    return True


def test_content_anywhere_is_refused_or_kept():
    places = (0, 1, 68, 69, 510, 2000, 4095)
    for first in places if CPYTHON else (0, 4095):
        for units in ((0, 1, 2), (5, 9, 15), (13, 14, 15), (1, 8, 9)):
            flash = RamFlash()
            for unit in units:
                flash.data[unit * 4096 + first : unit * 4096 + first + 1] = b"\x00"
            assert refused_before_harm(flash)


def test_a_card_with_a_fat_that_begins_blank():
    flash = RamFlash()
    fill_content(flash.data, 32768, flash.size, b"\xeb\x3c\x90MSDOS5.0" + bytes(1013))
    assert refused_before_harm(flash)


def test_a_zeroed_medium_is_refused():
    flash = RamFlash()
    fill_content(flash.data, 0, flash.size, bytes(1024))
    assert WORDS in refusal(Rig, flash)


def test_a_partition_table_alone_is_refused():
    flash = RamFlash()
    flash.data[446:512] = bytes(64) + b"\x55\xaa"
    assert WORDS in refusal(Rig, flash) and flash.writes == 0


def test_what_only_begins_as_ours_is_no_unit_of_ours():
    flash = RamFlash()
    flash.data[:16] = b"VLSb\1\14\10\0\0\0\0\7\0\0\0\7"
    for unit in (3, 9):
        flash.data[unit * 4096 : unit * 4096 + 100] = bytes(100)
    assert WORDS in refusal(Rig, flash) and flash.writes == 0


def test_one_torn_unit_on_a_blank_medium_is_no_foreign_content():
    """As a cut in the very first erase leaves it."""
    for unit in (0, 7):
        flash = RamFlash()
        flash.data[unit * 4096 : unit * 4096 + 300] = bytes(300)
        rig = Rig(flash)
        rig.put("k", 1, b"1")
        rig.save()
        assert remount(flash).expected == rig.expected


def test_a_torn_unit_and_a_fault_beside_it_are_no_foreign_content():
    rig = Rig(RamFlash())
    rig.put("k", 1, b"1")
    rig.save()
    flash = rig.flash
    flash.data[4096:4200] = bytes(104)
    flash.data[50000] = 0
    again = remount(flash)
    for number in range(40):
        again.put(channel_key(1), number, channel(number, 1500))
        again.save()
    assert remount(flash).expected == again.expected


def test_what_lies_in_units_that_were_ours_is_overwritten():
    rig = Rig(RamFlash())
    fill(rig, 2)
    while rig.journal._ring.sequence < 16:
        rig.put(channel_key(1), rig.journal.number, channel(rig.journal.number, 1500))
        rig.save()
    assert rig.journal._ring.sequence == 16  # as many as there are
    needed = units_of(rig.state.log)
    for unit in range(16):
        if unit not in needed:
            rig.flash.data[unit * 4096 : unit * 4096 + 4096] = bytes(4096)
    again = remount(rig.flash)
    for number in range(1000, 1040):
        again.put(channel_key(1), number, channel(number, 1500))
        again.save()
    assert remount(rig.flash).expected == again.expected


def test_a_start_on_a_blank_medium_reads_little():
    flash = Counted(1 << 16)
    Journal(lambda: flash).mount(State(b""))
    assert flash.bytes_read == 16 * 16 + 4 * UNIT_HEADER + 2
    flash.bytes_read = 0
    rig = Rig(flash)
    flash.bytes_read = 0
    rig.put("k", 1, b"1")
    rig.save()
    # The unit is looked at before it is erased and after; the rest is reading back.
    assert 2 * 4096 < flash.bytes_read < 2 * 4096 + 2048


def test_two_units_that_do_not_begin_as_ours_are_enough():
    """Nothing else of the medium is read, however large it is."""
    flash = Counted(1 << 16)
    for unit in (3, 15):
        flash.data[unit * 4096 : unit * 4096 + 1] = b"\x00"
    assert WORDS in refusal(Journal(lambda: flash).mount, State(b""))
    assert flash.bytes_read == 16 * 16 + 4 * UNIT_HEADER + 2


def test_a_start_on_a_blank_card_reads_one_block_of_each_unit():
    world = World()
    world.card = type(world.card)(foreign=b"\xff" * 512)
    board = world.load("board_def", "boards/rp2-sd").Board()
    Journal(board.storage).mount(State(b""))
    assert world.card.reads == 1024 + 4 + 1


class CountedFiles(Files):
    """Counts how often a file was opened."""

    opened = 0

    def open(self, path, mode="r"):
        self.opened += 1
        return Files.open(self, path, mode)


def test_a_start_on_blank_file_units_opens_each_file_once():
    world = World()
    world.files = CountedFiles()
    board = world.load("board_def", "boards/rp2-stock").Board()
    Journal(board.storage).mount(State(b""))
    assert world.files.opened == 128 + 4 + 1
