"""Whatever reads bytes from elsewhere raises nothing but our own exceptions, in time and memory that grow with them."""

from __future__ import annotations

import gc
import json
import os
import time
import tracemalloc
from collections.abc import Callable

import pytest
from fuzz_targets import NODE, TARGETS, Target, only_ours, units_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup_format.cbor import head
from backup_format.records import AS_TEXT, ENTRY, entry_head

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))


@st.composite
def mutated(draw: st.DrawFn, target: Target) -> bytes:
    """Return a seed with some parts replaced, cut, or copied elsewhere; or any bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    data = bytearray(draw(st.sampled_from(target.seeds)))
    for _ in range(draw(st.integers(1, 5))):
        at, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + draw(st.integers(0, 8))] = draw(st.sampled_from(target.tokens))
            case 1:
                new = draw(st.binary(max_size=8))
                data[at : at + len(new)] = new
            case 2:
                del data[at : min(end, at + 200)]
            case 3:
                data[end:end] = data[at : min(end, at + 200)]
            case _:
                del data[end:]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_our_own_exceptions(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        only_ours(target.run, seed)

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(mutated(target))
    def run(data: bytes) -> None:
        only_ours(target.run, data)

    run()


def text_entry(text: bytes) -> bytes:
    """Return a record for the journal target: an entry whose value is text as it stands."""
    body = entry_head(AS_TEXT, "k", 1, b"", len(text), NODE) + head(2, len(text)) + text
    return bytes([ENTRY]) + len(body).to_bytes(2, "big") + body


def place(**fields: object) -> bytes:
    """Return a board's answers to a pull, with another place of the snapshot."""
    whole = {"number": 1, "arena": 1, "end": 200, "erase_size": 4096, "program_size": 256, "units": [[0, 1]], **fields}
    return b'{"snapshots": [], "more": false}' + b"\0\0\0" + json.dumps(whole).encode() + b"\0\0\0x" * 9


FOUND = [
    ("journal", text_entry(b"x{")),
    ("journal", text_entry(b'"\xff"')),
    ("journal", text_entry(b'"\\ud800"')),
    ("journal", text_entry(b"[" * 5000 + b"]" * 5000)),
    ("answers", place(units=[[1 << 31, 5]])),
    ("answers", place(units=[[-1, 5]])),
    ("answers", place(erase_size=1, units=[[0, 1 << 32]])),
    ("answers", b"\0\0\0".join([b'{"snapshots": [], "more": true}'] * 3)),
    ("answers", b'{"\x90'),
    ("answers", b"[" * 5000),
    ("peers", b'{"peers":' + b"[" * 5000),
    ("backup_file", b'{"a":' * 4000),
]
"""What once raised something else, or took all memory."""


@pytest.mark.parametrize("at", range(len(FOUND)))
def test_what_fuzzing_found(at: int) -> None:
    name, data = FOUND[at]
    only_ours(TARGETS[name].run, data)


HEAD = b'{"version":1,"created_at":"","node_id":"","strategy":"never","state":{"values":{'
ARMOUR = b"-----BEGIN VLS BACKUP-----\nSnapshot: 1\nLog-End: 1\n"
SCB = TARGETS["scb"].seeds[-1]
TLVS_AT = next(at for at in range(len(SCB)) if SCB[at : at + 4] == (len(SCB) - at - 4).to_bytes(4, "big"))

PATTERNS: list[tuple[str, int, bytes, bytes, bytes]] = [
    # target, bytes, what stands before, what is repeated, what stands behind
    ("backup_file", 100_000, b"", b"[", b""),
    ("backup_file", 100_000, b"", b'{"a":', b""),
    ("backup_file", 100_000, b"", b'{"a/":', b""),
    ("backup_file", 100_000, HEAD, b'"k":[0,1],', b'"k":[0,1]}}}'),
    ("backup_file", 100_000, b"{", b'"node/entry/00":[0,1],', b'"node/entry/00":[0,1]}'),
    ("backup_file", 20_000, ARMOUR, b"\n", b""),
    ("backup_file", 100_000, ARMOUR, b"\n=" + b"0" * 64, b""),
    ("backup_file", 100_000, b"", b"-----BEGIN VLS BACKUP-----\n", b""),
    ("backup_file", 100_000, b'{\n  "state": {\n    "values": {\n', b"\n      ],\n", b""),
    ("scb_file", 2_000, b"", b"00\n", b""),
    ("scb_file", 4_000, b'{"scb": [', b'"00",', b'""]}'),
    ("scb", 50_000, SCB[:TLVS_AT] + b"\xff" * 4, b"\1\0", b""),
    ("scb", 50_000, b"", b"\0", b""),
    ("peers", 20_000, NODE.hex().encode() + b" 1.1.1.1:1\n", b"# no peer\n", b""),
    ("link_frames", 20_000, b"", b"\xa5\x5a\1\0\0\0\xf0", b""),
    ("records", 20_000, b"\0\x61k\0\x40\x1a\0\xff\xff\xff\x9f", b"\0", b"\xff"),
    ("journal", 4_000, b"", b"E\0\x09xxxxxxxxx", b""),
    ("image", 20_000, b"", b"VLSb", b""),
]


def taken(run: Callable[[bytes], None], data: bytes) -> float:
    """Return the seconds of processor time, the better of two."""
    best = 1e9
    for _ in range(2):
        begun = time.process_time()
        only_ours(run, data)
        best = min(best, time.process_time() - begun)
    return best


def grows_with_its_input(run: Callable[[bytes], None], small: bytes, large: bytes) -> None:
    """Four times the input takes about four times as long, not sixteen times; and memory in proportion."""
    assert 3 < len(large) / len(small) < 5
    gc.collect()
    first, second = taken(run, small), taken(run, large)
    assert second < 8 * first + 0.05, (first, second)
    tracemalloc.start()
    only_ours(run, small)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * len(small) + (2 << 20), peak


@pytest.mark.parametrize("at", range(len(PATTERNS)), ids=lambda at: f"{PATTERNS[at][0]}-{PATTERNS[at][3][:8]!r}")
def test_time_and_memory_grow_with_the_input(at: int) -> None:
    name, size, before, unit, behind = PATTERNS[at]
    small, large = (before + unit * (n // len(unit)) + behind for n in (size, 4 * size))
    grows_with_its_input(TARGETS[name].run, small, large)


def test_damage_that_looks_like_long_records() -> None:
    """Each fourth byte seems to begin a record that is half as long as all of it: a board would read that each time."""
    small, large = (units_of((b"E" + (n // 2).to_bytes(3, "big")) * (n // 4)) for n in (8_000, 32_000))
    grows_with_its_input(TARGETS["image"].run, small, large)
