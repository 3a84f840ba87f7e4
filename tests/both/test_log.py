"""The log: records across erase units, what later units make void, and what damage leaves readable."""

from binascii import crc32

from backup_format.errors import FormatError
from backup_format.log import Log, read_headers
from backup_format.records import COMMIT, ENTRY, SPILL, TOMBSTONE, Commit
from backup_format.units import UNIT_HEADER, UnitHeader
from faulty_flash import RamFlash
from journal_rig import CPYTHON
from signer_backup.blockdev import CheckedDevice
from signer_backup.writer import Writer

NODE = b"\x02" * 33
PAYLOAD = 1024 - UNIT_HEADER


class Arena:
    """Arena 1 on a medium of 1-KiB units, written by a Writer that takes the units in turn."""

    def __init__(self):
        self.flash = RamFlash(32768, 1024, 128)
        self.device = CheckedDevice(self.flash)
        self.log = Log(self.device.read_into, 1024, 128, 1)
        self.writer = Writer(self.device, self.log, self.open_unit)
        self.opened = 0
        self.number = 0

    def open_unit(self, log, start, first, buf):
        unit = self.opened
        self.opened += 1
        self.device.erase(unit * 1024)
        header = UnitHeader(1024, 128, 1, self.opened, start, first, unit, 1, NODE)
        header.pack_into(buf)
        log.add(header)
        return unit * 1024

    def snapshot(self, *bodies):
        """Write records with these bodies and a commit; return the records' positions."""
        self.writer.begin()
        positions = [self.writer.append(ENTRY, [body[:3], body[3:]]) for body in bodies]
        self.number += 1
        self.writer.finish(Commit(self.number, None, "periodic", "never", 0, len(bodies), 0))
        return positions

    def place(self, position):
        """Return the byte offset on the flash of a log position."""
        i = max([i for i in range(len(self.log.starts)) if self.log.starts[i] <= position])
        return self.log.units[i] * 1024 + UNIT_HEADER + position - self.log.starts[i]

    def flip(self, position, bits=1):
        """Damage the byte at a log position."""
        self.flash.data[self.place(position)] ^= bits

    def read(self):
        """Return a Log of what lies on the flash."""
        headers = sorted(
            [(header.sequence, header) for header in read_headers(self.flash.read_into, 1024, 32)], key=lambda x: x[0]
        )
        log = Log(self.flash.read_into, 1024, 128, 1)
        for _sequence, header in headers:
            log.add(header)
        return log


def commits(log):
    return [(commit.number, whole) for commit, _end, whole in log.commits()]


def bodies(log):
    """Return the bodies of the entries that can be read, in order."""
    found = []
    position = -1
    while True:
        position = log._resync(position)
        if position < 0:
            return found
        kind, body = log.body(position)
        if kind == ENTRY:
            found.append(body)


def body(i, size):
    return bytes([(i + j * 5) & 0xFF for j in range(size)])


def refuses(call, *args):
    try:
        call(*args)
    except FormatError:
        return True
    return False


def test_an_empty_log():
    log = Log(None, 1024, 128, 1)
    assert log.end() == 0 and list(log.records()) == [] and commits(log) == []
    assert refuses(log.check, 0) and refuses(log.read, 0, bytearray(1))


def test_records_of_every_size_across_units():
    arena = Arena()
    sizes = [0, 1, 40, 50, 60, 119, 120, 121, 127, 128, 500, 946, 947, 948, 949, PAYLOAD, 1024, 3000, 7]
    wanted = [body(i, size) for i, size in enumerate(sizes)]
    arena.snapshot(*wanted[:10])
    positions = arena.snapshot(*wanted[10:])
    log = arena.read()
    assert commits(log) == [(1, True), (2, True)]
    found = [(kind, log.body(position)[1]) for position, kind, _length in log.records()]
    assert [b for kind, b in found if kind == ENTRY] == wanted
    assert [kind for kind, _b in found].count(COMMIT) == 2
    for position, b in zip(positions, wanted[10:]):
        assert log.check(position) == (ENTRY, len(b)) and log.body(position) == (ENTRY, b)


def test_units_say_where_their_first_record_begins():
    arena = Arena()
    arena.snapshot(*[body(i, 300) for i in range(12)])
    starts = [position for position, _kind, _length in arena.read().records()]
    for i, first in enumerate(arena.log.firsts):
        assert first == min([p for p in starts if p >= arena.log.starts[i]])


def test_kinds_and_chains():
    arena = Arena()
    arena.writer.begin()
    arena.writer.append(TOMBSTONE, [b"t"])
    arena.writer.finish()
    arena.snapshot(b"one")
    arena.snapshot()
    log = arena.read()
    assert [kind for _p, kind, _l in log.records()] == [TOMBSTONE, SPILL, ENTRY, COMMIT, COMMIT]
    found = list(log.commits())
    assert [(c.number, whole) for c, _end, whole in found] == [(1, True), (2, True)]
    assert found[0][0].digest != found[1][0].digest
    ends = [end for _c, end, _w in found]
    assert [kind for _p, kind, _l in log.records(ends[0])] == [TOMBSTONE, SPILL, ENTRY, COMMIT]


def test_a_later_unit_makes_what_it_overlaps_void():
    arena = Arena()
    arena.snapshot(body(1, 100))
    end, digest = arena.writer.end, list(arena.read().commits())[0][0].digest
    arena.snapshot(body(2, 2500))
    arena.number = 1
    arena.writer.resume(end, digest)  # as after a start that did not find the second snapshot
    arena.snapshot(body(3, 50))
    for log in (arena.read(), arena.log):
        assert commits(log) == [(1, True), (2, True)]
        assert bodies(log) == [body(1, 100), body(3, 50)]
    assert len(arena.read().units) == 2


def test_an_unfinished_tail():
    arena = Arena()
    arena.snapshot(body(1, 100))
    end = arena.writer.end
    arena.writer.begin()
    for i in range(5):
        arena.writer.append(ENTRY, [body(i, 200)])
    log = arena.read()
    assert commits(log) == [(1, True)] and 0 <= end - list(log.commits())[0][1] < 128


def test_damage_in_a_record():
    for at in range(0, 308, 7 if CPYTHON else 61):  # header and body
        arena = Arena()
        first = arena.snapshot(*[body(i, 300) for i in range(6)])
        arena.snapshot(body(7, 10))
        arena.snapshot(body(8, 10))
        arena.flip(first[2] + at, 0x10)
        log = arena.read()
        assert refuses(log.body, first[2]) and refuses(log.check, first[2])
        assert commits(log) == [(1, False), (2, False), (3, False)], at
        assert bodies(log) == [body(i, 300) for i in (0, 1, 3, 4, 5)] + [body(7, 10), body(8, 10)], at


def test_damage_after_a_snapshot_leaves_it_whole():
    arena = Arena()
    arena.snapshot(body(1, 300))
    second = arena.snapshot(body(2, 300))
    arena.snapshot(body(3, 300))
    arena.flip(second[0])
    assert commits(arena.read()) == [(1, True), (2, False), (3, False)]


def test_any_bit_of_a_length_field():
    for bit in range(0, 24, 1 if CPYTHON else 5):
        arena = Arena()
        first = arena.snapshot(*[body(i, 300) for i in range(6)])
        arena.flip(first[1] + 1 + bit // 8, 1 << bit % 8)
        log = arena.read()
        assert commits(log) == [(1, False)]
        assert bodies(log) == [body(i, 300) for i in (0, 2, 3, 4, 5)]


def with_padding(size):
    """Return an arena whose first snapshot is padded with so many bytes, and the body in it that makes it so."""
    n = 300
    while True:
        arena = Arena()
        arena.snapshot(body(1, n), body(2, 30))
        found = arena.writer.end - list(arena.read().commits())[0][1]
        if found == size:
            return arena, body(1, n)
        n += (found - size) % 128


def test_damage_where_nothing_is_stored_harms_nothing():
    for padding in (100, 3):
        damage_where_nothing_is_stored(*with_padding(padding))


def damage_where_nothing_is_stored(clean, first):
    clean.snapshot(body(3, 10))
    log = clean.read()
    used = set()
    for position, _kind, length in log.records():
        used.update(range(position, position + 8 + length))
    tried = 0
    for position in range(clean.log.end()):
        if position in used:
            continue
        tried += 1
        if tried % 40 and not CPYTHON:
            continue
        for bits in (1, 0x40, 0x80):
            clean.flip(position, bits)
            log = clean.read()
            assert commits(log) == [(1, True), (2, True)], position
            end = list(log.commits())[-1][1]
            found = [log.body(p)[1] for p, kind, _l in log.records(end) if kind == ENTRY]
            assert found == [first, body(2, 30), body(3, 10)], position
            clean.flip(position, bits)
    assert tried > 100


def test_a_missing_unit():
    for lost in range(5):
        arena = Arena()
        arena.snapshot(*[body(i, 300) for i in range(12)])
        arena.snapshot(body(20, 10))
        assert len(arena.log.units) == 5
        arena.flash.data[lost * 1024 : lost * 1024 + 1024] = bytes([0x45 ^ i & 0xFF for i in range(1024)])
        log = arena.read()
        assert len(log.units) == 4
        assert [number for number, whole in commits(log) if whole] == ([1] if lost == 4 else [])
        left = bodies(log)
        assert len(left) >= 7 and all([b in [body(i, 300) for i in range(12)] + [body(20, 10)] for b in left])
        assert lost == 4 or body(20, 10) in left


def test_missing_units_of_a_long_record():
    for lost in ((0,), (1,), (3,), (4,), (1, 2), (2, 3), (3, 4), (0, 4), (1, 2, 3)):
        arena = Arena()
        arena.snapshot(body(1, 100), body(2, 3000), body(3, 900))
        assert len(arena.log.units) == 5
        for unit in lost:
            arena.flash.data[unit * 1024 : unit * 1024 + 1024] = b"\xff" * 1024
        log = arena.read()
        assert [whole for _number, whole in commits(log)] in ([], [False])
        lies_in = {100: {0}, 3000: {0, 1, 2, 3}, 900: {3, 4}}
        assert [len(b) for b in bodies(log)] == [size for size in (100, 3000, 900) if not lies_in[size] & set(lost)]


def test_records_of_another_place_or_time_are_none():
    arena = Arena()
    positions = arena.snapshot(body(1, 100), body(2, 100))
    log = arena.read()
    other = Log(arena.flash.read_into, 1024, 128, 2)
    for header in read_headers(arena.flash.read_into, 1024, 32):
        other.add(header)
    assert refuses(other.check, positions[0])
    data, at = arena.flash.data, arena.place(positions[1])
    data[at : at + 108] = bytes(data[at - 108 : at])  # the first record, where the second one should be
    assert log.body(positions[0]) == (ENTRY, body(1, 100)) and refuses(log.body, positions[1])


def test_headers_of_misplaced_units_are_left_out():
    arena = Arena()
    arena.snapshot(body(1, 3000))
    data = arena.flash.data
    data[30 * 1024 : 31 * 1024] = bytes(data[:1024])
    assert [header.unit for header in read_headers(arena.flash.read_into, 1024, 32)] == [0, 1, 2, 3]
    assert list(read_headers(arena.flash.read_into, 2048, 16)) == []


def test_a_commit_with_a_right_crc_but_a_wrong_digest_is_not_whole():
    arena = Arena()
    first = arena.snapshot(body(1, 100))
    other = body(2, 100)
    at = arena.place(first[0])
    from backup_format.records import record_crc

    arena.flash.data[at + 8 : at + 108] = other
    crc = crc32(other, record_crc(1, first[0], ENTRY, 100))
    arena.flash.data[at + 4 : at + 8] = crc.to_bytes(4, "big")
    log = arena.read()
    assert log.body(first[0]) == (ENTRY, other) and commits(log) == [(1, False)]
