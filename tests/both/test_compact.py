"""The compact coding of values: exact bytes, round trips, refusals, and what damaged bytes decode to."""

import gc

from backup_format.atoms import MAX_ITEM
from backup_format.compact import MAX_TEXT, Encoder, encode, encode_to
from backup_format.errors import FormatError
from backup_format.expand import decode, expand
from compact_cases import CODED, DAMAGED, NO_JSON, VALUES
from faulty_flash import Dice
from medium_content import SMALL_HEAP
from refusal import refuses


def test_exact_bytes():
    for text, coded in CODED:
        assert encode(text) == coded, (text, encode(text))
        assert decode(coded) == text, (coded, decode(coded))


def test_round_trips():
    for text in VALUES:
        assert decode(encode(text)) == text, text


def test_only_short_items_are_repeated():
    for n, repeated in ((MAX_ITEM - 2, True), (MAX_ITEM - 1, False)):
        item = b'"' + b"x" * n + b'"'
        text = b"[" + item + b"," + item + b"]"
        assert (len(encode(text)) < len(text) * 0.6) == repeated and decode(encode(text)) == text


def test_pieces_are_short():
    pieces = []
    text = b"[" + b",".join([b'{"a":%d,"b":"%064x"}' % (i * 1000, i) for i in range(120)]) + b"]"
    encode_to(text, pieces.append)
    assert b"".join(pieces) == encode(text) and len(pieces) > 10 and max([len(piece) for piece in pieces]) < 600
    pieces = []
    encoder = Encoder(pieces.append)
    for i in range(0, len(text), 50):
        encoder.feed(text[i : i + 50])
    encoder.finish()
    assert b"".join(pieces) == encode(text) and len(pieces) > 10 and max([len(piece) for piece in pieces]) < 600
    pieces = list(expand((encode(text),)))
    assert b"".join(pieces) == text and len(pieces) > 10 and max([len(piece) for piece in pieces]) < 600


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
        if not SMALL_HEAP:  # there, running out of memory tells
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
