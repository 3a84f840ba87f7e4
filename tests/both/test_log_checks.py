"""What is no record, and no unit, of a log."""

from backup_format.log import Log, find_arenas, open_log, read_header
from backup_format.records import ENTRY, TOMBSTONE
from backup_format.units import UNIT_HEADER
from log_rig import Arena, body, units_of
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
