"""Which erase unit is opened next."""

from backup_format.log import Log
from backup_format.units import UnitHeader, parse_unit_header
from faulty_flash import RamFlash
from journal_rig import NODE, refusal
from signer_backup.blockdev import CheckedDevice
from signer_backup.ring import MediumFullError, Ring


class Opened:
    """A Ring on a flash of eight units, and the log that it opens units for. needed: units that must stay."""

    def __init__(self, flash=None, before=None):
        self.flash = flash or RamFlash(8192, 1024, 128)
        self.device = CheckedDevice(self.flash)
        self.ring = Ring(self.device, before)
        self.needed = set()
        self.begin(1)

    def begin(self, arena):
        self.log = Log(self.device.read_into, 1024, 128, arena)

    def open(self):
        """Open a unit, write its header; return its number."""
        buf = bytearray(128)
        offset = self.ring.open(self.log, self.log.end(), buf, NODE, lambda unit: unit in self.needed)
        self.device.program(offset, buf)
        return offset // 1024

    def header(self, unit):
        return parse_unit_header(self.flash.data[unit * 1024 : unit * 1024 + 69])


def test_all_in_turn():
    it = Opened()
    assert it.ring.units == 8 and it.ring.free(lambda unit: unit in (3, 4)) == 6
    for arena in range(1, 10):
        it.begin(arena)
        assert [it.open() for _ in range(7)] == [((arena - 1) * 7 + i) % 8 for i in range(7)]
    assert it.ring.sequence == 63
    assert [it.header(unit).erases for unit in range(8)] == [8] * 7 + [7]
    last = it.header(6)
    assert (last.arena, last.sequence, last.unit, last.node_id) == (9, 63, 6, NODE)
    assert (last.start, last.before, last.erase_size, last.program_size) == (6 * 955, 5 * 955, 1024, 128)


def test_what_is_needed_or_failed_is_left_out():
    it = Opened()
    it.needed = {1, 2}
    assert [it.open(), it.open()] == [0, 3]
    assert [(it.header(unit).start, it.header(unit).before) for unit in (0, 3)] == [(0, 0), (955, 0)]
    it.ring.failed()
    assert it.ring.free(lambda unit: unit in it.needed) == 5
    it.begin(2)
    it.needed = set()
    assert [it.open() for _ in range(7)] == [4, 5, 6, 7, 0, 1, 2]
    it.ring.came_back()
    it.begin(3)
    assert it.open() == 3


def test_a_full_medium():
    it = Opened()
    it.needed = {1, 3, 5, 7}
    assert [it.open() for _ in range(4)] == [0, 2, 4, 6]
    assert "full" in refusal(it.open)
    try:
        it.open()
    except MediumFullError:
        pass
    assert it.ring.sequence == 4 and it.flash.writes == 8
    it.needed = set()
    assert it.open() == 7


def test_where_many_fail_it_is_not_the_units():
    """Up to a quarter of them are left out."""
    for size, lefts in ((8192, (7, 6, 8)), (16384, (15, 14, 13, 12, 16))):
        it = Opened(RamFlash(size, 1024, 128))
        it.ring.failed()  # none was opened yet
        for left in lefts:
            it.open()
            it.ring.failed()
            assert it.ring.free(lambda unit: False) == left


def test_units_that_do_not_say_how_often_they_were_erased():
    it = Opened()
    for sequence, unit, erases in ((3, 6, 9), (4, 1, 3), (2, 5, 5)):
        it.ring.note(UnitHeader(1024, 128, 1, sequence, 0, 0, unit, erases, NODE))
    assert it.ring.sequence == 4
    assert it.open() == 2
    assert (it.header(2).sequence, it.header(2).erases) == (5, 10)


def test_a_ring_goes_on_behind_the_one_before_a_failure():
    it = Opened()
    it.open()
    it.ring.failed()
    it.open()
    again = Opened(it.flash, it.ring)
    assert again.ring.sequence == 2 and again.ring.free(lambda unit: False) == 7
    assert again.open() == 2
    for size in (4096, 16384):  # another medium
        other = Opened(RamFlash(size, 1024, 128), it.ring)
        assert other.ring.sequence == 0 and other.ring.free(lambda unit: False) == size // 1024


def test_whether_a_newer_unit_follows():
    """Four places are looked at, around the end of the medium too. What lies elsewhere than it says is none."""
    for skipped in range(5):
        for first in (0, 6):
            it = Opened()
            it.needed = set(range(first))
            assert it.open() == first
            noted = it.header(first)
            it.needed = {(first + 1 + i) % 8 for i in range(skipped)}
            newer = it.open()
            again = Ring(it.device)
            again.note(noted)
            assert again.newer_follows() == (skipped < 4) and newer == (first + 1 + skipped) % 8
            again.note(it.header(newer))
            assert not again.newer_follows()
    for unit, other in ((1, 2), (2, 1)):
        flash = RamFlash(8192, 1024, 128)
        header = bytearray(128)
        UnitHeader(1024, 128, 1, 5, 0, 0, other, 1, NODE).pack_into(header)
        flash.program(unit * 1024, header)
        ring = Ring(CheckedDevice(flash))
        ring.note(UnitHeader(1024, 128, 1, 4, 0, 0, 0, 1, NODE))
        assert not ring.newer_follows()
