"""Which records make up a snapshot, and what its sum notices."""

from binascii import crc32

from backup_format.live import Places, whole_commits
from backup_format.port import sha256
from backup_format.records import ENTRY, record_crc
from journal_rig import CPYTHON
from log_rig import Arena, body, commits


def test_the_sum_is_what_the_format_says():
    arena = Arena()
    total = 0
    for position in arena.snapshot(body(1, 300), body(2, 30)):
        record = bytearray(8 + arena.log.header(position)[1])
        arena.log.read(position, record)
        hashed = sha256()
        hashed.update(b"\0\0\0\1" + position.to_bytes(4, "big") + bytes(record))
        mark = int.from_bytes(hashed.digest()[:16], "big")
        assert arena.log.check(position)[2] == mark
        total += mark
    commit = list(arena.read().commits())[0][0]
    assert commit.live == total % (1 << 128)


def test_a_snapshot_is_the_last_record_of_each_key():
    arena = Arena()
    first = arena.snapshot(body(1, 100), body(2, 100))
    one = arena.log.check(first[0])[2]
    second = arena.snapshot(body(1, 50, 1), body(3, 10), replaced=one)
    places = Places()
    found = [(c.number, whole, dict(places.at)) for c, _end, whole in whole_commits(arena.read(), places)]
    assert found == [
        (1, True, {"k1": first[0], "k2": first[1]}),
        (2, True, {"k1": second[0], "k2": first[1], "k3": second[1]}),
    ]
    arena.snapshot(body(2, 10, 1))  # a sum that still counts what was replaced
    assert commits(arena.read()) == [(1, True), (2, True), (3, False)]


def test_damage_in_what_was_replaced_harms_no_later_snapshot():
    """Bit by bit over the record, its header included, and the commit behind it; and with the unit gone."""
    clean = Arena()
    first = clean.snapshot(body(1, 100), body(2, 40))
    clean.snapshot(body(1, 30, 1), replaced=clean.log.check(first[0])[2])
    ends = [end for _c, end in clean.read().commits()]
    for position in range(first[0], ends[0], 1 if CPYTHON else 9):
        for bit in range(8) if CPYTHON else (0, 5):
            clean.flip(position, 1 << bit)
            found = commits(clean.read())
            lost = first[1] <= position < first[1] + 48  # the record of the other key, which still counts
            in_commit = position >= first[1] + 48
            assert found == ([(2, True)] if in_commit else [(1, False), (2, not lost)]), (position, bit)
            numbers = [c.number for c, _end in clean.read().commits()]
            assert numbers == ([2] if in_commit else [1, 2]), (position, bit)
            clean.flip(position, 1 << bit)


def test_a_record_with_a_right_crc_that_is_another_one_is_noticed():
    for other in (body(1, 100, 7), body(2, 100)):  # of the same key, of another key
        arena = Arena()
        first = arena.snapshot(body(1, 100))
        at = arena.place(first[0])
        arena.flash.data[at + 8 : at + 108] = other
        crc = crc32(other, record_crc(1, first[0], ENTRY, 100))
        arena.flash.data[at + 4 : at + 8] = crc.to_bytes(4, "big")
        log = arena.read()
        assert log.body(first[0]) == (ENTRY, other) and commits(log) == [(1, False)]


def test_a_wrong_body_with_the_same_crc_is_noticed():
    """The sum holds a hash of the body, not only its CRC-32."""
    arena = Arena()
    first = arena.snapshot(body(1, 100))
    at = arena.place(first[0])
    wanted = crc32(bytes(arena.flash.data[at + 8 : at + 108]))
    arena.flash.data[at + 50] ^= 1
    before = crc32(bytes(arena.flash.data[at + 8 : at + 104]))
    arena.flash.data[at + 104 : at + 108] = patch(before, wanted)
    log = arena.read()
    assert log.check(first[0])[0] == ENTRY and commits(log) == [(1, False)]


def patch(before, wanted):
    """Return the four bytes that bring a CRC-32 from before to wanted: the CRC is linear in their 32 bits."""
    zero = crc32(bytes(4), before)
    rows = [(crc32((1 << i).to_bytes(4, "little"), before) ^ zero, 1 << i) for i in range(32)]
    left, bits = zero ^ wanted, 0
    for top in range(31, -1, -1):
        pivot = [row for row in rows if row[0] >> top & 1][0]
        rows = [(r ^ pivot[0], b ^ pivot[1]) if r >> top & 1 else (r, b) for r, b in rows]
        if left >> top & 1:
            left, bits = left ^ pivot[0], bits ^ pivot[1]
    return bits.to_bytes(4, "little")


def test_a_key_that_this_program_does_not_know_hides_no_commit():
    arena = Arena()
    arena.snapshot(body(1, 30))
    arena.snapshot(b"\x00\x0c\x41\x00\x00\x40\x00\x00\xf6")
    arena.snapshot(body(2, 30))
    assert commits(arena.read()) == [(1, True), (2, False), (3, False)]
