"""Frames found again in any stream, however it is cut and whatever lies between them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backup_format import frames
from backup_format.frames import FrameReader, encode

FRAME = st.tuples(st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=240))
GARBAGE = st.binary(max_size=40) | st.lists(st.sampled_from([b"\xa5", b"\x5a", b"\x03", b"\0"]), max_size=20).map(
    b"".join
)


def drain(reader: FrameReader) -> list[tuple[int, int, bytes]]:
    found = []
    while (frame := reader.next()) is not None:
        found.append(frame[:3])
    return found


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(FRAME, max_size=5), st.lists(st.integers(0, 2000), max_size=20))
def test_frames_in_any_pieces(sent: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    reader = FrameReader(240)
    found = []
    for piece in in_pieces(b"".join(encode(*frame) for frame in sent), cuts):
        reader.feed(piece, 0)
        found += drain(reader)
    assert found == sent
    assert not reader.inside and not reader.interrupted and reader.damaged == 0


@given(st.lists(st.tuples(GARBAGE, FRAME), max_size=4), GARBAGE, st.lists(st.integers(0, 2000), max_size=20))
def test_frames_among_garbage(parts: list[tuple[bytes, tuple[int, int, bytes]]], tail: bytes, cuts: list[int]) -> None:
    """Every frame is found, at the latest when time passes; none is found that wasn't sent."""
    reader = FrameReader(240)
    found = []
    data = b"".join(garbage + encode(*frame) for garbage, frame in parts) + tail
    for piece in in_pieces(data, cuts):
        reader.feed(piece, 0)
        found += drain(reader)
    now = 0
    while reader.inside:
        now += frames.FRAME_MS
        reader.expire(now)
        found += drain(reader)
        assert now < frames.FRAME_MS * (len(data) + 1)
    assert found == [frame for _, frame in parts]


@given(st.binary(max_size=2000))
def test_garbage_alone_holds_no_frame(data: bytes) -> None:
    reader = FrameReader(1024)
    reader.feed(data, 0)
    drain(reader)
    assert len(reader._held) <= frames.OVERHEAD + 1024


@given(FRAME, st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_noticed(frame: tuple[int, int, bytes], at: int, change: int) -> None:
    data = bytearray(encode(*frame))
    data[at % len(data)] ^= change
    reader = FrameReader(240)
    reader.feed(bytes(data), 0)
    found = drain(reader)
    reader.expire(frames.FRAME_MS)
    assert found + drain(reader) == []
    assert not reader.interrupted
