"""The compact coding of values that come in pieces: the same coding and the same text wherever they are cut."""

from backup_format.compact import Encoder, encode
from backup_format.expand import expand
from compact_cases import CODED, DAMAGED, NO_JSON, VALUES, cut
from faulty_flash import Dice
from refusal import refuses

NEEDS = ["tests/vectors/signer-run/a.jsonl"]


def encode_cut(pieces, field=None):
    """Return (coding, Encoder) of the text that pieces yields."""
    parts = []
    encoder = Encoder(parts.append, field)
    for piece in pieces:
        encoder.feed(piece)
    encoder.finish()
    return b"".join(parts), encoder


def at_any_length(data, dice):
    """Yield data in pieces of random lengths."""
    while data:
        n = 1 + dice.roll((2, 9, 300)[dice.roll(3)])
        yield data[:n]
        data = data[n:]


def test_the_same_wherever_it_is_cut():
    dice = Dice(3)
    for text in [text for text, _coded in CODED] + list(VALUES):
        coded = encode(text)
        for size in (1, 7, 232):
            assert encode_cut(cut(text, size))[0] == coded, (text, size)
            assert b"".join(expand(cut(coded, size))) == text, (text, size)
        for _ in range(5):
            assert encode_cut(at_any_length(text, dice))[0] == coded, text
            assert b"".join(expand(at_any_length(coded, dice))) == text, text


def test_refused_wherever_it_is_cut():
    for text in NO_JSON:
        for size in (1, 7):
            assert refuses(encode_cut, cut(text[:2000], size)), text
    for coded in DAMAGED:
        assert refuses(b"".join, expand(cut(coded[:2000], 1))), coded
    assert refuses(b"".join, expand(()))


def test_recorded_values_wherever_they_are_cut():
    tried = 0
    with open(NEEDS[0], "rb") as lines:
        for line in lines:
            text = line[:-1]
            if tried > 150000:
                break
            tried += len(text)
            coded, encoder = encode_cut(cut(text, 232), b"crates")
            assert encoder.size == len(text) and encoder.has_field == text.startswith(b'{"crates"')
            assert coded == encode(text) == encode_cut(cut(text, 61))[0]
            assert b"".join(expand(cut(coded, 100))) == text
    assert tried > 150000


def test_has_field():
    for text, has in (
        (b'{"a":{}}', True),
        (b'{"a":{"b":1}}', True),
        (b'{"b":1,"a":{"b":1},"c":{}}', True),
        (b'{"a":null}', False),
        (b'{"a":[{}]}', False),
        (b'{"a":"{}"}', False),
        (b'{"b":{"a":{}}}', False),
        (b'{"a":1,"b":{}}', False),
        (b'{"b":"\\"a\\":{"}', False),
        (b'[{"a":{}}]', False),
        (b"{}", False),
        (b'"a"', False),
    ):
        for size in (1, 3, 100):
            assert encode_cut(cut(text, size), b"a")[1].has_field == has, text
    assert not encode_cut((b'{"a":{}}',))[1].has_field
