"""The log: records across erase units, what later units make void, and what damage leaves readable."""

from backup_format.live import Places, whole_commits
from backup_format.log import Log
from backup_format.records import COMMIT, ENTRY, SPILL, TOMBSTONE, tombstone_body
from journal_rig import CPYTHON
from log_rig import NODE, PAYLOAD, Arena, bodies, body, commits, kinds, units_of
from refusal import refuses


def test_an_empty_log():
    log = Log(None, 1024, 128, 1)
    assert log.end() == 0 and list(log.checked()) == [] and commits(log) == [] and list(log.commits()) == []
    assert refuses(list, log.records())
    assert refuses(log.check, 0) and refuses(log.read, 0, bytearray(1))


def test_records_of_every_size_across_units():
    arena = Arena()
    sizes = [9, 10, 40, 50, 60, 119, 120, 121, 127, 128, 500, 946, 947, 948, 949, PAYLOAD, 1024, 3000, 11]
    wanted = [body(i, size) for i, size in enumerate(sizes)]
    arena.snapshot(*wanted[:10])
    positions = arena.snapshot(*wanted[10:])
    log = arena.read()
    assert commits(log) == [(1, True), (2, True)]
    assert bodies(log) == [log.body(p)[1] for p, kind, _l in log.records() if kind == ENTRY] == wanted
    assert [p for p, _k, _l in log.records()] == [p for p, _k, _l, _m in log.checked()]
    assert kinds(log).count(COMMIT) == 2 and [c.number for c, _end in log.commits()] == [1, 2]
    for position, b in zip(positions, wanted[10:]):
        assert log.check(position)[:2] == (ENTRY, len(b)) and log.body(position) == (ENTRY, b)


def test_kinds_of_records():
    arena = Arena()
    arena.writer.begin()
    arena.writer.append(TOMBSTONE, [tombstone_body("t", b"", NODE)])
    arena.writer.finish()
    assert refuses(list, arena.read().records())  # a log in order ends with a commit
    arena.snapshot(body(1, 10))
    arena.snapshot()
    log = arena.read()
    assert kinds(log) == [TOMBSTONE, SPILL, ENTRY, COMMIT, COMMIT]
    assert commits(log) == [(1, True), (2, True)]
    ends = [end for _c, end in log.commits()]
    assert [kind for _p, kind, _l, _m in log.checked(0, ends[0])] == [TOMBSTONE, SPILL, ENTRY, COMMIT]
    assert [kind for _p, kind, _l, _m in log.checked(ends[0])] == [COMMIT]


def test_a_later_unit_makes_what_it_overlaps_void():
    arena = Arena()
    arena.snapshot(body(1, 100))
    last = list(arena.read().commits())[-1]
    arena.snapshot(body(2, 2500))
    arena.number = 1
    arena.writer.resume(*last)  # as after a start that did not find the second snapshot
    arena.snapshot(body(3, 50))
    for log in (arena.read(), arena.log):
        assert commits(log) == [(1, True), (2, True)]
        assert bodies(log) == [body(1, 100), body(3, 50)] and kinds(log) == [ENTRY, COMMIT, ENTRY, COMMIT]
    assert len(units_of(arena.read())) == 2


def test_what_a_lost_unit_had_made_void_stays_void():
    """A transaction is cut off, the next one begins in a fresh unit, and its record there is replaced later. Then that
    unit is lost: what it had made void does not come back in its place."""
    for cuts in (1, 2):  # the second one in the fresh unit
        arena = Arena()
        arena.snapshot(body(1, 100), body(2, 100))
        first = list(arena.read().commits())[-1]
        for _ in range(cuts):
            arena.writer.begin()
            arena.writer.append(ENTRY, [body(1, 60, 1)])
            arena.writer.append(ENTRY, [body(7, 300)])
            arena.writer.resume(*first)
        long = arena.snapshot(body(3, 1200))
        arena.snapshot(body(3, 90, 1), body(4, 100), replaced=arena.log.check(long[0])[2])
        assert commits(arena.read()) == [(1, True), (2, True), (3, True)]
        lost, last = units_of(arena.log)[1:]
        assert (lost, last) == (cuts, cuts + 1) and list(arena.log.places())[1][0] == first[1]
        arena.flash.data[lost * 1024 + 30] ^= 1
        log = arena.read()
        assert units_of(log) == [0, last] and commits(log) == [(1, True), (2, False), (3, True)]
        assert bodies(log) == [body(1, 100), body(2, 100), body(3, 90, 1), body(4, 100)]


def test_only_the_end_of_the_log_is_blank():
    """Bytes that read FF where a record began do not hide the commits behind it."""
    for unwritten in (1, 8):
        arena = Arena()
        arena.snapshot(body(1, 300))
        second = arena.snapshot(body(2, 300))
        arena.snapshot(body(3, 700))
        at = arena.place(second[0])
        arena.flash.data[at : at + unwritten] = b"\xff" * unwritten
        log = arena.read()
        assert len(units_of(log)) == 2 and refuses(list, log.records())
        assert [c.number for c, _end in log.commits()] == ([1, 2, 3] if unwritten == 1 else [1, 3])


def test_padding_is_only_behind_a_transaction():
    """A byte that reads 00 where a record began does not hide the records behind it in its program unit."""
    arena = Arena()
    positions = arena.snapshot(body(1, 20), body(2, 20), body(3, 20))
    arena.flash.data[arena.place(positions[1])] = 0
    log = arena.read()
    assert bodies(log) == [body(1, 20), body(3, 20)]
    assert [c.number for c, _end in log.commits()] == [1]


def test_damage_that_looks_like_padding_ends_with_its_unit():
    """A snapshot that takes less than a program unit, and a start: the log goes on in another unit, right behind it."""
    arena = Arena()
    arena.snapshot(body(1, 60))
    arena.snapshot()
    commit, end = list(arena.read().commits())[-1]
    arena.writer.resume(commit, end)
    arena.snapshot(body(2, 20), body(3, 20))
    arena.flash.data[arena.place(end - 8 - len(commit.body()))] = 0
    log = arena.read()
    assert [start for start, _unit in log.places()] == [0, end]
    assert bodies(log) == [body(1, 60), body(2, 20), body(3, 20)] and commits(log) == [(1, True), (3, True)]


def test_a_log_that_fills_its_last_unit():
    arena = Arena()
    arena.snapshot(body(1, 870))
    log = arena.read()
    assert arena.writer.end == log.end() == PAYLOAD and kinds(log) == [ENTRY, COMMIT]


def test_where_the_checkpoint_ends():
    arena = Arena()
    arena.snapshot(body(1, 700), body(2, 700))
    end = list(arena.read().commits())[0][1]
    arena.snapshot(body(1, 20))
    believed, checked = arena.read(), arena.read()
    assert len(list(believed.records())) == len(list(checked.checked())) == 5
    assert believed.checkpoint == checked.checkpoint == end and believed.settings == checked.settings == -1


def test_an_unfinished_tail():
    arena = Arena()
    arena.snapshot(body(1, 100))
    end = arena.writer.end
    arena.writer.begin()
    for i in range(5):
        arena.writer.append(ENTRY, [body(i, 200)])
    log = arena.read()
    assert refuses(list, log.records()) and [c.number for c, _end in log.commits()] == [1]
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
        assert [end for _c, end in log.commits()] == [end for _c, end, _whole in whole_commits(log, Places())], at
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
            assert bodies(log) == [first, body(2, 30), body(3, 10)], position
            assert [c.number for c, _end in log.commits()] == [1, 2], position
            clean.flip(position, bits)
    assert tried > 100


def test_a_missing_unit():
    for lost in range(5):
        arena = Arena()
        arena.snapshot(*[body(i, 300) for i in range(12)])
        arena.snapshot(body(20, 10))
        assert len(units_of(arena.log)) == 5
        arena.flash.data[lost * 1024 : lost * 1024 + 1024] = bytes([0x45 ^ i & 0xFF for i in range(1024)])
        log = arena.read()
        assert len(units_of(log)) == 4
        assert [number for number, whole in commits(log) if whole] == ([1] if lost == 4 else [])
        left = bodies(log)
        assert len(left) >= 7 and all([b in [body(i, 300) for i in range(12)] + [body(20, 10)] for b in left])
        assert lost == 4 or body(20, 10) in left


def test_missing_units_of_a_long_record():
    for lost in ((0,), (1,), (3,), (4,), (1, 2), (2, 3), (3, 4), (0, 4), (1, 2, 3)):
        arena = Arena()
        arena.snapshot(body(1, 100), body(2, 3000), body(3, 900))
        assert len(units_of(arena.log)) == 5
        for unit in lost:
            arena.flash.data[unit * 1024 : unit * 1024 + 1024] = b"\xff" * 1024
        log = arena.read()
        assert [whole for _number, whole in commits(log)] in ([], [False])
        lies_in = {100: {0}, 3000: {0, 1, 2, 3}, 900: {3, 4}}
        assert [len(b) for b in bodies(log)] == [size for size in (100, 3000, 900) if not lies_in[size] & set(lost)]


def test_a_commit_whose_last_bytes_lie_in_a_missing_unit():
    arena = Arena()
    arena.snapshot(body(1, 935))
    arena.snapshot(body(2, 500))
    arena.snapshot(body(3, 900))
    assert list(arena.read().commits())[0][1] > PAYLOAD and len(units_of(arena.log)) == 3
    arena.flash.data[1024:2048] = b"\xff" * 1024
    log = arena.read()
    assert units_of(log) == [0, 2] and refuses(list, log.records())
    assert commits(log) == [(3, False)] and [c.number for c, _end in log.commits()] == [3]
