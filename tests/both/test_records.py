"""Record, commit and unit headers: what is packed is parsed, and damage raises FormatError."""

from binascii import crc32

from backup_format.errors import FormatError
from backup_format.layout import get_u16, get_u32, put_u16, put_u32
from backup_format.records import (
    AS_TEXT,
    COMMIT,
    ENTRY,
    MAX_ENTRY_HEAD,
    MAX_KEY,
    MAX_SIGNATURE,
    PAD,
    RECORD_HEADER,
    RECOVERABLE,
    SETTINGS,
    SPILL,
    STRATEGIES,
    SUM_MASK,
    TOMBSTONE,
    TOMBSTONE_VERSION,
    TRIGGERS,
    Commit,
    entry_head,
    entry_value,
    expand_value,
    pack_record_header,
    parse_commit,
    parse_entry_head,
    parse_record_header,
    parse_tombstone,
    record_crc,
    tombstone_body,
)
from backup_format.units import (
    FORMAT_VERSION,
    MAGIC,
    NO_NODE,
    NODE_ID,
    UNIT_HEADER,
    UnitHeader,
    parse_unit_header,
)
from compact_cases import cut
from faulty_flash import Dice
from refusal import refuses
from signer_backup.value import code

NODE = b"\x02" + b"\x11" * 32
OWN = "02" + "11" * 32
KEYS = (
    "nodes/" + OWN,
    "nodestates/" + OWN,
    "allowlists/" + OWN,
    "trackers/" + OWN,
    "channels/" + OWN + "03" + "22" * 32 + "0100000000000000",
    "channels/" + "03" + "33" * 32 + "03" + "22" * 32 + "0100000000000000",  # of another node
    "peers/" + "03" + "22" * 32,
    "peers/" + OWN,
    "channels/" + OWN.replace("1", "a").upper(),
    "channels/",
    "channels/0",
    "channels/zz",
    "peers/" + "ab" * ((MAX_KEY - 6) // 2),
    "node/entry/" + OWN,
    "x" * MAX_KEY,
    "\u00e9\U0001f600",
    "",
)


def test_entry_heads():
    for key in KEYS:
        for flags, version, signature in (
            (0, 0, b""),
            (RECOVERABLE, 23, b"\x01" * 64),
            (RECOVERABLE | AS_TEXT, (1 << 64) - 2, b"\xff" * 63),
        ):
            head = entry_head(flags, key, version, signature, 65536, NODE)
            assert len(head) <= MAX_ENTRY_HEAD
            found = parse_entry_head(head + b"\xf6", NODE)
            assert found == (flags, key, version, signature, 65536, len(head)), key
        assert parse_tombstone(tombstone_body(key, b"s" * 64, NODE), NODE) == (key, b"s" * 64)


def test_keys_are_short_on_the_medium():
    for key, size in zip(KEYS, (2, 2, 2, 2, 44, 78, 36, 2)):
        assert len(tombstone_body(key, b"", NODE)) <= size + 1, key


def test_what_does_not_fit_is_refused():
    for key, signature in (
        ("x" * (MAX_KEY + 1), b""),
        ("peers/" + "ab" * 200, b""),
        ("\u00e9" * 201, b""),
        ("k", b"s" * 65),
    ):
        assert refuses(entry_head, 0, key, 0, signature, 0, NODE)
        assert refuses(tombstone_body, key, signature, NODE)


def test_damaged_heads():
    dice = Dice(1)
    for key in KEYS:
        for make, parse in (
            (entry_head(1, key, 1 << 40, b"s" * 64, 70, NODE), parse_entry_head),
            (tombstone_body(key, b"s" * 64, NODE), parse_tombstone),
        ):
            for n in range(len(make)):
                assert refuses(parse, make[:n], NODE)
            for _ in range(60):
                data = bytearray(make)
                data[dice.roll(min(80, len(data)))] ^= 1 << dice.roll(8)
                try:
                    parse(bytes(data), NODE)
                except FormatError:
                    pass
    assert refuses(parse_entry_head, b"\x04" + entry_head(0, "k", 0, b"", 0, NODE)[1:], NODE)
    assert refuses(parse_entry_head, b"\x00\x0c\x41\x00\x00\x40", NODE)  # a prefix beyond the table
    assert refuses(parse_tombstone, b"\x62\xc3\x28\x40", NODE)
    for wrong in (b"\x20", b"\x1f"):  # neither a prefix nor a text
        assert refuses(parse_tombstone, wrong + b"\x41\x00\x40", NODE)


def test_record_headers():
    buf = bytearray(8)
    for kind, length, crc in ((ENTRY, 0, 0), (COMMIT, 0xFFFFFF, 0xFFFFFFFF), (0xFE, 0x010203, 0x04050607)):
        pack_record_header(buf, kind, length, crc)
        assert parse_record_header(buf) == (kind, length, crc)
    assert buf == b"\xfe\x01\x02\x03\x04\x05\x06\x07"
    assert refuses(pack_record_header, buf, ENTRY, 1 << 24, 0)


def test_a_records_crc_knows_its_place():
    crcs = {record_crc(*args) for args in ((1, 2, 69, 4), (2, 2, 69, 4), (1, 3, 69, 4), (1, 2, 84, 4), (1, 2, 69, 5))}
    assert len(crcs) == 5
    assert record_crc(1, 2, 69, 4) == crc32(b"\0\0\0\1\0\0\0\2\x45\0\0\4") & 0xFFFFFFFF


def test_values():
    for text in (b"null", b'{"a":[1,2]}', b"{ }", b"\xff", b"", b"[1,"):
        coded = code(text)
        assert entry_value(coded.flags, b"".join(coded.pieces)) == text
        for size in (1, 3, 100):
            assert b"".join(list(expand_value(coded.flags, cut(b"".join(coded.pieces), size)))) == text
        assert bool(coded.flags & AS_TEXT) == (text not in (b"null", b'{"a":[1,2]}'))
    for flags, coded in (
        (AS_TEXT, b"\x41aa"),
        (AS_TEXT, b"\x61a"),
        (AS_TEXT, b"\x45a"),
        (AS_TEXT, b""),
        (AS_TEXT, b"\x58"),
        (0, b"\xf6\xf6"),
        (0, b""),
    ):
        assert refuses(entry_value, flags, coded)
        assert refuses(b"".join, expand_value(flags, (coded,)))
        assert refuses(b"".join, expand_value(flags, [bytes((byte,)) for byte in coded]))


def test_commits():
    for trigger in TRIGGERS:
        for strategy in STRATEGIES:
            for time in (None, 0, 1790000000):
                commit = Commit(7, time, trigger, strategy, 4294967295, 300, 12, (1 << 128) - 5)
                body = commit.body()
                found = parse_commit(body)
                for name in ("number", "time", "trigger", "strategy", "updates", "entries", "channels", "live"):
                    assert getattr(found, name) == getattr(commit, name)
    assert body[-17:] == b"\x50" + b"\xff" * 15 + b"\xfb" and len(body) <= 40
    for n in range(len(body)):
        assert refuses(parse_commit, body[:n])
    assert refuses(parse_commit, body + b"\0") and refuses(parse_commit, body[:-17] + b"\x4f" + bytes(15))
    assert refuses(parse_commit, body[:-17] + b"\x51" + bytes(17))
    assert refuses(parse_commit, b"\x1f" + body[1:])  # no length of an unsigned integer
    for time in (b"\xf5", b"\xf7"):  # neither a number nor null
        assert refuses(parse_commit, body[:1] + time + body[6:])
    for field, table in ((2, TRIGGERS), (3, STRATEGIES)):  # a trigger, a strategy that a newer version may know
        for number in (len(table), 23):
            data = bytearray(Commit(7, None, "first", "never", 0, 0, 0, 1).body())
            data[field] = number
            assert refuses(parse_commit, bytes(data))


def unit():
    return UnitHeader(4096, 256, 3, 17, 4000, 4100, 5, 99, NODE)


def test_unit_headers():
    buf = bytearray(b"\xff" * (UNIT_HEADER + 3))
    unit().pack_into(buf)
    found = parse_unit_header(buf)
    for name in ("erase_size", "program_size", "arena", "sequence", "start", "before", "unit", "erases", "node_id"):
        assert getattr(found, name) == getattr(unit(), name)
    assert bytes(buf[:8]) == b"VLSb\x01\x0c\x08\x00"
    assert parse_unit_header(b"\xff" * UNIT_HEADER) is None and parse_unit_header(bytes(UNIT_HEADER)) is None
    for bit in range(UNIT_HEADER * 8):
        data = bytearray(buf)
        data[bit >> 3] ^= 1 << (bit & 7)
        assert parse_unit_header(data) is None
    for magic in (b"VLSa", b"VLSc"):  # of another kind, though its sum holds
        buf[:4] = magic
        put_u32(buf, 65, crc32(bytes(buf[:65])))
        assert parse_unit_header(buf) is None


def test_a_newer_unit_header_is_told():
    buf = bytearray(UNIT_HEADER)
    unit().pack_into(buf)
    for version in (0, 2, 255):
        buf[4] = version
        put_u32(buf, 65, crc32(bytes(buf[:65])))
        assert refuses(parse_unit_header, buf) and parse_unit_header(buf, True).unit == 5


def test_unit_headers_that_do_not_fit():
    buf = bytearray(UNIT_HEADER + 59)  # a program unit, as of a Writer
    for name, value in (
        ("node_id", NODE[1:]),
        ("node_id", NODE + b"\0"),
        ("erase_size", 4000),
        ("program_size", 100),
        ("arena", 1 << 32),
    ):
        header = unit()
        setattr(header, name, value)
        assert refuses(header.pack_into, buf)


def test_integers():
    buf = bytearray(6)
    for put, get, top, size in ((put_u32, get_u32, 0xFFFFFFFF, 4), (put_u16, get_u16, 0xFFFF, 2)):
        for value in (0, 1, top):
            for at in (0, 1, 6 - size):
                put(buf, at, value)
                assert get(buf, at) == value == int.from_bytes(buf[at : at + size], "big")
        for value, at in ((top + 1, 0), (-1, 0), (0, -1), (0, 7 - size)):
            assert refuses(put, buf, at, value)
        assert refuses(get, buf, 7 - size) and refuses(get, buf, -1) and refuses(get, b"", 0)


def test_the_numbers_of_the_format():
    """As FORMAT.md has them: what lies on media that are out there."""
    assert (PAD, ENTRY, TOMBSTONE, COMMIT, SPILL, SETTINGS) == (0, 0x45, 0x54, 0x43, 0x53, 0x4F)
    assert (RECOVERABLE, AS_TEXT, TOMBSTONE_VERSION) == (1, 2, (1 << 64) - 1)
    assert SUM_MASK == (1 << 128) - 1
    assert (MAX_KEY, MAX_SIGNATURE, RECORD_HEADER, UNIT_HEADER) == (400, 64, 8, 69)
    assert (MAGIC, FORMAT_VERSION, NO_NODE, NODE_ID) == (b"VLSb", 1, bytes(33), 33)
