"""Property tests of the compact coding: lossless for every JSON value, a CBOR subset, and harmless when damaged."""

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_values import canonical, values

from backup_format.compact import MAX_DEPTH, MAX_TEXT, encode
from backup_format.errors import FormatError
from backup_format.expand import decode
from backup_format.names import NAMES
from backup_format.records import AS_TEXT, entry_value
from signer_backup.value import code

VECTORS = Path(__file__).parents[1] / "vectors"
SAMPLES = [*sorted(VECTORS.glob("*/*.backup.json")), *sorted(VECTORS.glob("vls-samples/*.json"))]


@given(values)
def test_every_value_comes_back(value: Any) -> None:
    written = canonical(value)
    coded = encode(written)
    assert decode(coded) == written
    assert meaning(cbor2.loads(coded)) == json.loads(written, parse_float=str, parse_int=str)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escapes_in_any_way(value: str) -> None:
    for written in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps({value: value})):
        plain = written.encode().replace(b'": "', b'":"')
        assert decode(encode(plain)) == plain


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers(value: float) -> None:
    for written in {canonical(value), repr(value).encode()}:
        assert decode(encode(written)) == written


@pytest.mark.parametrize("depth", [1, 2, 127, 300, MAX_DEPTH])
def test_deep_nesting(depth: int) -> None:
    for written in (b"[" * depth + b"null" + b"]" * depth, b'{"a":' * depth + b"null" + b"}" * depth):
        assert decode(encode(written)) == written


def test_too_deep_or_too_long_is_kept_as_text() -> None:
    for written in (b"[" * 5000 + b"]" * 5000, b'"' + b"x" * MAX_TEXT + b'"'):
        with pytest.raises(FormatError):
            encode(written)
        coded = code(written)
        assert coded.flags == AS_TEXT and entry_value(coded.flags, b"".join(coded.pieces)) == written


def test_a_value_of_the_greatest_length() -> None:
    written = b'"' + b"x" * (MAX_TEXT - 2) + b'"'
    assert decode(encode(written)) == written
    repeated = b"[" + b",".join([b"12345"] * (MAX_TEXT // 6 - 1)) + b"]"
    assert len(encode(repeated)) < 20 and decode(encode(repeated)) == repeated


@given(values, st.data())
def test_damage_is_told_or_gives_a_value(value: Any, data: st.DataObject) -> None:
    coded = bytearray(encode(canonical(value)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(coded)))
        coded[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    harmless(bytes(coded))


@given(st.binary(max_size=200))
def test_any_bytes_are_told_or_give_a_value(coded: bytes) -> None:
    harmless(coded)


TOKENS = [b"\x9f", b"\xbf", b"\xff", b"\x60", b"\x09", b"\xf6", b"\xc6\x03", b"\xc6\x1a\x00\x01\x00\x00", b"\xc7\x611"]


@given(st.lists(st.sampled_from(TOKENS), max_size=60))
def test_any_tokens_are_told_or_give_a_value(tokens: list[bytes]) -> None:
    harmless(b"".join(tokens))


def harmless(coded: bytes) -> None:
    """Decoding raises FormatError, or returns JSON within the limits that is coded and decoded to the same again."""
    try:
        found = decode(coded)
    except FormatError:
        return
    assert len(found) <= MAX_TEXT
    json.loads(found)
    assert decode(encode(found)) == found


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x9f\x60\xc6\x1b" + b"\xff" * 8 + b"\xff",
        b"\x9f" * 20 + b"\x60" + b"\xc6\x18\x63\xff" * 20,
        b"\x9f" * 40 + b"\x60" + b"\xc6\x01\xff" * 40,
        b"\x9f" * 2_000_000,
        b"\xbf\x00" * 1_000_000,
        b"\x7b" + b"\xff" * 8,
    ],
    ids=["count", "nested", "doubling", "arrays", "objects", "length"],
)
def test_bombs(bomb: bytes) -> None:
    tracemalloc.start()
    begun = time.monotonic()
    with pytest.raises(FormatError):
        decode(bomb)
    taken, peak = time.monotonic() - begun, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 5 and peak < 4 * MAX_TEXT, (taken, peak)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_vectors_come_back(path: Path) -> None:
    value = json.loads(path.read_bytes())
    entries = [item[1] for item in value["state"]["values"].values()] if "state" in value else [value]
    assert entries
    for entry in entries:
        written = canonical(entry)
        coded = encode(written)
        assert decode(coded) == written and len(coded) <= len(written)


def test_a_long_list_is_refused_at_the_limit() -> None:
    with pytest.raises(FormatError):
        decode(b"\x9f" + b"\x00" * MAX_TEXT + b"\xff")


def meaning(value: Any) -> Any:
    """Return what the decoded CBOR stands for, numbers as their text: FORMAT.md, "Values", read anew."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        named = [(NAMES[key].decode() if isinstance(key, int) else meaning(key), key) for key in value]
        return {name: meaning(value[key]) for name, key in named}
    if isinstance(value, cbor2.CBORTag):
        return tagged(value)
    items: list[Any] = []
    for item in value:
        if isinstance(item, cbor2.CBORTag) and item.tag == 6:
            items += [items[-1]] * item.value
        else:
            items.append(meaning(item))
    return items


def tagged(value: cbor2.CBORTag) -> Any:
    """Return what a tagged item other than a repeat stands for."""
    if value.tag == 7:
        return str(value.value)
    if value.tag == 8:
        return json.loads(f'"{value.value}"')
    if value.tag == 9:
        index = 2**48 - int.from_bytes(value.value[32:], "big")
        return [[str(byte) for byte in value.value[:32]], str(index)]
    assert value.tag == 64
    return [str(byte) for byte in value.value]
