"""Property tests of the compact coding in pieces: the same result wherever they are cut, in little RAM."""

import itertools
import json
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_values import canonical, values

from backup_format.compact import Encoder, encode
from backup_format.errors import FormatError
from backup_format.expand import expand

RUN = Path(__file__).parents[1] / "vectors" / "signer-run" / "a.jsonl"


def cut(data: bytes, sizes: Iterable[int]) -> Iterator[memoryview]:
    """Yield data in pieces of these sizes, the rest as the last; each is void when the next one is asked for."""
    at = 0
    for size in itertools.chain(sizes, (len(data),)):
        piece = bytearray(data[at : at + size])
        at += size
        if piece:
            yield memoryview(piece)
            piece[:] = b"\xff" * len(piece)


def encode_cut(pieces: Iterable[bytes | memoryview]) -> bytes:
    """Return the coding of the text that comes in pieces."""
    parts: list[bytes] = []
    encoder = Encoder(parts.append)
    for piece in pieces:
        encoder.feed(piece)
    encoder.finish()
    return b"".join(parts)


sizes = st.lists(st.integers(1, 40) | st.integers(1, 2000), max_size=40)


@given(values, sizes, sizes)
def test_the_same_wherever_it_is_cut(value: Any, text_sizes: list[int], coded_sizes: list[int]) -> None:
    written = canonical(value)
    coded = encode(written)
    assert encode_cut(cut(written, text_sizes)) == encode_cut(cut(written, itertools.repeat(1, len(written)))) == coded
    assert b"".join(expand(cut(coded, coded_sizes))) == written


JSON_TOKENS = [*b'[]{},:" 10a-', *(b"[1,1,1,1,1,1,1,1,1]", b'"a":', b"[[0,", b"null", b"1.5", b'"\\"', b"true", b"12,")]


@given(st.lists(st.sampled_from(JSON_TOKENS), max_size=30), sizes)
def test_any_text_is_refused_or_coded_the_same_wherever_it_is_cut(tokens: list[bytes | int], where: list[int]) -> None:
    written = b"".join(token if isinstance(token, bytes) else bytes((token,)) for token in tokens)
    found: list[bytes | None] = []
    for pieces in ((written,), cut(written, where), cut(written, itertools.repeat(1, len(written)))):
        try:
            found.append(encode_cut(pieces))
        except FormatError:
            found.append(None)
    assert found[0] == found[1] == found[2]


@given(st.binary(max_size=60) | values.map(canonical).map(encode), sizes, st.data())
def test_damage_is_told_the_same_wherever_it_is_cut(coded: bytes, where: list[int], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(coded)))
    coded = coded[:at] + data.draw(st.binary(max_size=3)) + coded[at + data.draw(st.integers(0, 2)) :]
    found: list[bytes | None] = []
    for pieces in ((coded,), cut(coded, where), cut(coded, itertools.repeat(1, len(coded)))):
        try:
            found.append(b"".join(expand(pieces)))
        except FormatError:
            found.append(None)
    assert found[0] == found[1] == found[2]


def test_the_recorded_values_wherever_they_are_cut() -> None:
    """Equal values have equal codings, whatever pieces they came in."""
    tried = 0
    with RUN.open() as lines:
        next(lines)
        for line in lines:
            for _key, _before, _after, value, *_signature in json.loads(line)["changed"]:
                written = canonical(value)
                coded = encode(written)
                for size in (1, 7, 232):
                    assert encode_cut(written[i : i + size] for i in range(0, len(written), size)) == coded
                assert b"".join(expand(coded[i : i + 256] for i in range(0, len(coded), 256))) == written
                tried += 1
    assert tried > 600


@pytest.mark.parametrize(
    "item",
    [
        b"null",
        b"12345",
        b"[1,2,3]",
        b'{"a":[[],"' + b"x" * 1000 + b'"]}',
        b'{"a":["' + b"x" * 3000 + b'"]}',
        b"7",
        b"%d",
    ],
    ids=["null", "number", "bytes", "longest", "longer", "digits", "different"],
)
def test_ram_does_not_grow_with_the_value(item: bytes) -> None:
    """A long text goes both ways through a window."""
    count = 300_000 // (len(item) + 6)
    pieces: Iterable[bytes] = ((b"[" if i == 0 else b",") + item.replace(b"%d", b"%d" % i) for i in range(count))
    pieces = itertools.chain(pieces, (b"]",))
    coded: list[bytes] = []
    tracemalloc.start()
    encoder = Encoder(coded.append)
    for piece in pieces:
        encoder.feed(piece)
    encoder.finish()
    taken = tracemalloc.get_traced_memory()[1] - sum(map(sys.getsizeof, coded))
    tracemalloc.stop()
    assert taken < 40_000 + 8 * len(coded), taken
    tracemalloc.start()
    size = sum(map(len, expand(coded)))
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == encoder.size and taken < 40_000, taken
