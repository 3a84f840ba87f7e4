"""The compact coding of values: exact bytes, round trips, refusals, and what damaged bytes decode to."""

import gc

from backup_format.compact import MAX_DEPTH, MAX_TEXT, encode, encode_to
from backup_format.errors import FormatError
from backup_format.expand import decode
from faulty_flash import Dice

SECRET = b"[[" + b",".join([b"%d" % (i * 7 % 256) for i in range(32)]) + b"],%d]"

CODED = (
    (b"null", b"\xf6"),
    (b"true", b"\xf5"),
    (b"false", b"\xf4"),
    (b"0", b"\x00"),
    (b"23", b"\x17"),
    (b"24", b"\x18\x18"),
    (b"255", b"\x18\xff"),
    (b"256", b"\x19\x01\x00"),
    (b"65536", b"\x1a\x00\x01\x00\x00"),
    (b"4294967296", b"\x1b\x00\x00\x00\x01\x00\x00\x00\x00"),
    (b"18446744073709551615", b"\x1b" + b"\xff" * 8),
    (b"18446744073709551616", b"\xc7\x7418446744073709551616"),
    (b"-1", b"\x20"),
    (b"-9223372036854775808", b"\x3b\x7f" + b"\xff" * 7),
    (b"-9223372036854775809", b"\xc7\x74-9223372036854775809"),
    (b"-0", b"\xc7\x62-0"),
    (b"1.0", b"\xc7\x631.0"),
    (b"1e16", b"\xc7\x641e16"),
    (b'""', b"\x60"),
    (b'"a"', b"\x61a"),
    (b'"ab"', b"\x41\xab"),
    (b'"AB"', b"\x62AB"),
    (b'"abc"', b"\x63abc"),
    (b'"\xc3\xa4"', b"\x62\xc3\xa4"),
    (b'"\\n"', b"\xc8\x62\\n"),
    (b"[]", b"\x80"),
    (b"{}", b"\xa0"),
    (b"[[]]", b"\x9f\x80\xff"),
    (b"[1,2,255]", b"\xd8\x40\x43\x01\x02\xff"),
    (b"[1,2,256]", b"\x9f\x01\x02\x19\x01\x00\xff"),
    (b"[null,null,null]", b"\x9f\xf6\xc6\x02\xff"),
    (b"[null,null]", b"\x9f\xf6\xf6\xff"),
    (b'["' + b"x" * 25 + b'","' + b"x" * 25 + b'"]', b"\x9f\x78\x19" + b"x" * 25 + b"\xc6\x01\xff"),
    (b'{"txid":"00","zz":1}', b"\xbf\x09\x41\x00\x62zz\x01\xff"),
    (b'{"":0,"aa":0,"\\"":0}', b'\xbf\x60\x00\x41\xaa\x00\xc8\x62\\"\x00\xff'),
    (SECRET % (1 << 48), b"\xc9\x58\x20" + bytes([i * 7 % 256 for i in range(32)])),
    (SECRET % ((1 << 48) - 258), b"\xc9\x58\x22" + bytes([i * 7 % 256 for i in range(32)]) + b"\x01\x02"),
    (SECRET % 0, b"\xc9\x58\x27" + bytes([i * 7 % 256 for i in range(32)]) + b"\x01" + bytes(6)),
)

VALUES = (
    b"5e-324",
    b"1.7976931348623157e308",
    b"-0.0",
    b"1E+2",
    b"0.1",
    b"123456789012345678901234567890",
    b"[0,1,-1]",
    b"[-1,-1,-1,-1,-1,-1,-1,-1,-1]",
    b"[1.5,1.5,1.5,1.5,1.5,2]",
    b"[0,0]",
    b'["a","b","a","b"]',
    b'["aaaaaaaaa","aaaaaaaaa","aaaaaaaaa",1,"aaaaaaaaa","aaaaaaaaa"]',
    b'[{"a":[1,[2,[3,{"b":{}}]]]},{"a":[1,[2,[3,{"b":{}}]]]},{"a":[]}]',
    b"[[[1,2],3],[[1,2],3],[[1,2],3]]",
    SECRET % ((1 << 48) + 1),
    SECRET % -1,
    b"[" + (SECRET % 281474976710655) + b"," + (SECRET % 281474976710654) + b"]",
    SECRET.replace(b"],%d]", b"],1,2]"),
    SECRET.replace(b"],%d]", b'],"1"]'),
    SECRET.replace(b"],%d]", b"],1e5]"),
    SECRET.replace(b"[[0,", b"[[256,") % 5,
    b'"\\u00e9\\ud83d\\ude00\\\\\\"\\/\\b\\f\\n\\r\\t"',
    b'"\xf0\x9f\x98\x80\x7f\xc2\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"',
    b'"0123456789abcdef"',
    b'"0123456789abcdeF"',
    b'"\\\\"',
    b'{"\\\\\\"":"\\\\\\\\"}',
    b'{"b":1,"a":2,"a":3}',
    b"[" * 300 + b"]" * 300,
    b'{"a":' * 300 + b"1" + b"}" * 300,
    b"[" + b"null," * 999 + b"null]",
    b"[" + b"[[1,[2]]]," * 99 + b"[[1,[2]]]]",
)

NO_JSON = (
    b"",
    b" 1",
    b"1 ",
    b"[1, 2]",
    b'{"a": 1}',
    b'{"a" :1}',
    b"01",
    b"+1",
    b"1.",
    b".5",
    b"1e",
    b"0x1",
    b"--1",
    b"1_0",
    b"NaN",
    b"nul",
    b"nulll",
    b"tru",
    b"[",
    b"[1",
    b"[1,",
    b"[1,]",
    b"[,1]",
    b"[1,1",
    b"[1}",
    b"{",
    b"{}}",
    b'{"a"',
    b'{"a":',
    b'{"a":1',
    b'{"a":1,}',
    b'{"a",1}',
    b"{1:2}",
    b"1,2",
    b'"',
    b'"a',
    b'"a\\"',
    b'"\\x"',
    b'"\\u12"',
    b'"\\u12g4"',
    b'"\n"',
    b'"\\n\x1f"',
    b'"\xff"',
    b'"\\n\xff"',
    b'"\xc0\x80"',
    b'"\xed\xa0\x80"',
    b'"\xf4\x90\x80\x80"',
    b'"\xe0\x80\x80"',
    b'"\xf0\x80\x80\x80"',
    b'"\xf5\x80\x80\x80"',
    b'{"\xff":1}',
    b"[" * (MAX_DEPTH + 1) + b"null" + b"]" * (MAX_DEPTH + 1),
    b"[" * 100000,
)

DAMAGED = (
    b"",
    b"\xff",
    b"\x18",
    b"\x18\x17",  # not the shortest head
    b"\x19\x00\xff",
    b"\x1a\x00\x00\xff\xff",
    b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
    b"\x1c",
    b"\x1f",
    b"\x3b" + b"\xff" * 8,  # below -2^63
    b"\x3f",
    b"\x40",  # empty hex
    b"\x42\x00",
    b"\x5f\x41\x00\xff",  # strings and arrays whose length is not known, or known
    b"\x7f\xff",
    b"\x81\x00",
    b"\xa1\x00\x00",
    b"\x98\x00",
    b"\x9f\xff",
    b"\xbf\xff",
    b"\x9f\x00",
    b"\x9f",
    b"\xbf\x00\xff",
    b"\xbf\x18\xfa\x00\xff",  # no such name
    b"\xbf\x20\x00\xff",
    b"\xbf\xf6\x00\xff",
    b"\xbf\xc7\x611\x00\xff",
    b"\xc6\x01",
    b"\x9f\xc6\x01\xff",
    b"\x9f\x00\xc6\x00\xff",
    b"\x9f\x00\xc6\x20\xff",
    b"\x9f\x00\xc6\xff",
    b"\x9f\x00\xc6\x02\xc6\x02\xff",
    b"\xbf\x00\x00\xc6\x02\xff",
    b"\xbf\x00\xc6\x02\xff",
    b"\xc7\x60",
    b"\xc7\x611\x00",
    b"\xc7\x62-a",
    b"\xc7\x41\x00",
    b"\xc8\x60",
    b"\xc8\x61a",
    b"\xc8\x61\\",
    b'\xc8\x63\\n"',
    b"\xc9\x58\x1f" + bytes(31),
    b"\xc9\x58\x28" + bytes(32) + b"\x01" * 8,
    b"\xc9\x58\x21" + bytes(33),
    b"\xc9\x58\x27" + bytes(32) + b"\x01" + bytes(5) + b"\x01",
    b"\xc0\x61a",
    b"\xd8\x40\x40",
    b"\xd8\x40\x61a",
    b"\xd8\x41\x41\x00",
    b"\xdf",
    b"\x61\xff",
    b'\x61"',
    b"\x61\\",
    b"\x61\n",
    b"\xf7",
    b"\xf8\xff",
    b"\xf9\x3c\x00",
    b"\xfa\x3f\x80\x00\x00",
    b"\x00\x00",
    b"\x9f" * 513 + b"\xf6" + b"\xff" * 513,  # too deep
    b"\x9f" * 10000,
    b"\xbf\x00" * 10000,
)


def refuses(call, *args):
    try:
        call(*args)
    except FormatError:
        return True
    return False


def test_exact_bytes():
    for text, coded in CODED:
        assert encode(text) == coded, (text, encode(text))
        assert decode(coded) == text, (coded, decode(coded))


def test_round_trips():
    for text in VALUES:
        assert decode(encode(text)) == text, text


def test_pieces_are_short():
    pieces = []
    text = b"[" + b",".join([b'{"a":%d,"b":"%064x"}' % (i * 1000, i) for i in range(200)]) + b"]"
    encode_to(text, pieces.append)
    assert b"".join(pieces) == encode(text) and len(pieces) > 10 and max([len(piece) for piece in pieces]) < 2000


def test_what_is_no_json_is_refused():
    for text in NO_JSON:
        assert refuses(encode, text), text


def test_damaged_codings_are_refused():
    for coded in DAMAGED:
        assert refuses(decode, coded), coded


def test_every_prefix_is_refused():
    for text in VALUES:
        coded = encode(text)
        for n in range(max(0, len(coded) - 60), len(coded)):
            assert refuses(decode, coded[:n]), (text, n)


def test_a_repeat_bomb_is_refused_at_once():
    for bomb in (
        b"\x9f\x60\xc6\x1b" + b"\xff" * 8 + b"\xff",
        b"\x9f\x78\x64" + b"x" * 100 + b"\xc6\x1a\x00\x00\xff\xff\xff",
        b"\x9f" * 8 + b"\x60" + b"\xc6\x18\x63\xff" * 2 + b"\xc6\x1a\x00\x01\x00\x00\xff" * 6,
    ):
        gc.collect()
        gc.disable()
        before = gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
        assert refuses(decode, bomb)
        taken = gc.mem_alloc() - before if before else 0
        gc.enable()
        assert taken < 200000


def test_damage_gives_a_format_error_or_a_value():
    dice = Dice(7)
    samples = [encode(text) for text in VALUES if len(text) < 2000]
    refused = 0
    for _ in range(1500):
        coded = bytearray(samples[dice.roll(len(samples))])
        for _flip in range(1 + dice.roll(2)):
            coded[dice.roll(len(coded))] ^= 1 << dice.roll(8)
        try:
            text = decode(bytes(coded))
        except FormatError:
            refused += 1
            continue
        assert len(text) <= MAX_TEXT and decode(encode(text)) == text, coded
    assert 300 < refused < 1500
