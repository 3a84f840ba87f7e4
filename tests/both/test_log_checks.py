"""What is no record, and no unit, of a log; what is read of it, and what one bad read does."""

from binascii import crc32

from backup_format.errors import FormatError
from backup_format.layout import put_u32
from backup_format.log import Log, find_arenas, open_log, read_header
from backup_format.records import COMMIT, ENTRY, TOMBSTONE, entry_head
from backup_format.units import UNIT_HEADER
from faulty_flash import At
from log_rig import NODE, Arena, bodies, body, commits, kinds, units_of
from medium_content import fill
from refusal import refuses


def test_what_can_be_no_record():
    arena = Arena()
    first, _second = arena.snapshot(body(1, 100), body(2, 100))
    assert arena.read().plausible(first)[:2] == (ENTRY, 100)
    assert refuses(arena.read().plausible, first, (TOMBSTONE,))
    for at, bits in ((0, 3), (1, 0x40)):  # an unknown kind; a length beyond the log
        arena.flip(first + at, bits)
        assert refuses(arena.read().plausible, first)
        arena.flip(first + at, bits)


def until_refused(walk):
    """Return what walk yields before it raises FormatError."""
    met = []
    try:
        for item in walk:
            met.append(item)
    except FormatError:
        return met


def test_a_record_ends_where_the_log_does_at_the_latest():
    arena = Arena()
    first, second = arena.snapshot(body(1, 100), body(2, 100))
    log = arena.read()
    at, most = arena.place(second) + 1, log.end() - second - 8
    arena.flash.data[at : at + 3] = most.to_bytes(3, "big")
    assert log.plausible(second)[:2] == (ENTRY, most)
    assert until_refused(log.records()) == [(first, ENTRY, 100), (second, ENTRY, most)]
    arena.flash.data[at : at + 3] = (most + 1).to_bytes(3, "big")
    assert refuses(log.plausible, second)
    assert until_refused(log.records()) == [(first, ENTRY, 100)]


def test_a_unit_that_only_has_its_header_leaves_the_log_in_order():
    """The power went when a transaction began there: the commit before it still ends the log."""
    arena = Arena()
    arena.snapshot(body(1, 870))
    arena.snapshot(body(2, 10))
    fill(arena.flash.data, 1024 + UNIT_HEADER, 2048)
    log = arena.read()
    assert units_of(log) == [0, 1] and kinds(log) == [ENTRY, COMMIT] and commits(log) == [(1, True)]


def test_one_read_as_blank_hides_no_commit():
    """Where headers are believed, the log ends only where nothing is read twice."""
    arena = Arena()
    arena.snapshot(body(1, 100))
    (second,) = arena.snapshot(body(2, 100))
    once = At(1, lambda op, offset, buf: fill(buf, 0, len(buf)) or True)
    arena.flash.fault = lambda op, offset, buf: offset == arena.place(second) and once(op, offset, buf)
    assert refuses(list, arena.read().records()) and once.happened
    assert kinds(arena.read()) == [ENTRY, COMMIT, ENTRY, COMMIT]


def test_a_record_behind_one_byte_of_another():
    """A unit is lost, and the next one begins with the last byte of its last record."""
    arena = Arena()
    _first, second = arena.snapshot(body(1, arena.log.erase_size - UNIT_HEADER - 7), body(2, 20))
    assert second == list(arena.log.places())[1][0] + 1
    fill(arena.flash.data, 0, 1024)
    assert bodies(arena.read()) == [body(2, 20)]


class Reads:
    """Notes on a flash (offset, bytes) of each read."""

    def __init__(self, flash):
        self.done = []
        flash.fault = self._note

    def _note(self, op, offset, buf):
        self.done.append((offset, len(buf)))
        return False


def test_what_the_look_for_arenas_reads():
    """The first 16 bytes of each unit, and no more as long as they are as they should be."""
    arena = Arena()
    arena.snapshot(body(1, 3000))
    reads = Reads(arena.flash)
    assert list(find_arenas(arena.flash.read_into, 1024, 32)) == [1]
    assert reads.done == [(unit * 1024, 16) for unit in range(32)]


def test_a_key_of_a_channel_is_read_at_once():
    key = "channels/" + "02" * 33 + "03" + "22" * 32 + "0100000000000000"
    arena = Arena()
    (position,) = arena.snapshot(entry_head(1, key, 7, b"", 1, NODE) + bytes(50))
    log = arena.read()
    reads = Reads(arena.flash)
    assert log.key(position, ENTRY, 100) == key and len(reads.done) == 1


def test_a_unit_of_another_version_is_refused_whatever_its_arena():
    arena = Arena()
    arena.snapshot(body(1, 3000))
    data = arena.flash.data
    for version in (0, 2, 255):
        data[2048 + 4] = version
        assert list(find_arenas(arena.flash.read_into, 1024, 32)) == [1]  # damage, as its checksum says
        header = bytearray(data[2048 : 2048 + UNIT_HEADER])
        put_u32(header, 65, crc32(bytes(header[:65])))
        data[2048 : 2048 + UNIT_HEADER], before = header, data[2048 : 2048 + UNIT_HEADER]
        assert refuses(find_arenas, arena.flash.read_into, 1024, 32)
        data[2048 : 2048 + UNIT_HEADER] = before


def test_a_damaged_record_hides_no_commit_in_its_program_unit():
    arena = Arena()
    (first,) = arena.snapshot(body(1, 9))
    assert arena.writer.end == 128 - UNIT_HEADER
    arena.flip(first)
    assert [c.number for c, _end in arena.read().commits()] == [1]


def test_records_of_another_place_or_time_are_none():
    arena = Arena()
    positions = arena.snapshot(body(1, 100), body(2, 100))
    log = arena.read()
    other = Log(arena.flash.read_into, 1024, 128, 2)
    for unit in units_of(arena.log):
        other.add(read_header(arena.flash.read_into, 1024, unit))
    assert refuses(other.check, positions[0])
    data, at = arena.flash.data, arena.place(positions[1])
    data[at : at + 108] = bytes(data[at - 108 : at])  # the first record, where the second one should be
    assert log.body(positions[0]) == (ENTRY, body(1, 100)) and refuses(log.body, positions[1])


def test_units_that_are_not_what_they_say_are_left_out():
    arena = Arena()
    arena.snapshot(body(1, 3000))
    data = arena.flash.data
    data[30 * 1024 : 31 * 1024] = bytes(data[:1024])  # the first one, where another should be
    data[20 * 1024 : 21 * 1024] = bytes(1024)
    assert list(find_arenas(arena.flash.read_into, 1024, 32)) == [1]
    assert units_of(arena.read()) == [0, 1, 2, 3]
    assert read_header(arena.flash.read_into, 1024, 30) is None
    for other in (512, 2048):
        assert read_header(arena.flash.read_into, other, 0) is None  # of another size
    data[0:1024], data[1024:2048] = bytes(data[1024:2048]), bytes(data[0:1024])
    assert read_header(arena.flash.read_into, 1024, 0) is read_header(arena.flash.read_into, 1024, 1) is None
    data[0:1024], data[1024:2048] = bytes(data[1024:2048]), bytes(data[0:1024])
    for offset in (8, 11, 12, 40):
        data[offset] ^= 1  # the arena, the sequence, what only the checksum covers
        found = find_arenas(arena.flash.read_into, 1024, 32)
        logs = [open_log(arena.flash.read_into, 1024, number, found[number]) for number in sorted(found)]
        assert [units_of(log) for log in logs if log] == [[1, 2, 3]], offset
        data[offset] ^= 1
    units = find_arenas(arena.flash.read_into, 1024, 32)[1]
    for other in (0, 2):
        assert (
            open_log(arena.flash.read_into, 1024, other, units) is None
        )  # erased, and opened for another arena meanwhile
