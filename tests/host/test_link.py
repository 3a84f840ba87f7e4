"""The host's link against the real loop: whole exchanges, with everything a bad line can do to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_port import Clock, MemoryPort, connect

from backup_format import frames
from backup_format.frames import ServiceError
from loop_rig import Pipe, answered, entry, field, u32
from signer.engine import EngineError
from signer.follower import FollowerEngine
from signer.store import PlainStore
from vls_backup.errors import BoardError
from vls_backup.link import Link, LinkError, LinkTimeout

REQUEST = field(1, 7) + b"".join(entry(f"channels/{n:02}", n, b'"' + b"x" * (n * 40) + b'"') for n in range(30))
SPARE = b"9" * 4000


class CountingEngine:
    """Counts the requests that it handles."""

    def __init__(self) -> None:
        self.handled: list[int] = []

    def handle(self, request: object, store: object) -> bytes:
        self.handled.append(request.request_id)  # type: ignore[attr-defined]
        return b"\x00\x82"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def full_store() -> PlainStore:
    store = PlainStore()
    store.put("spare", 1, b"s", SPARE)
    return store


EXPECTED = field(1, 7) + field(2, b"\x00\x82") + answered("spare", 1, SPARE, b"s")


def test_hello(clock: Clock) -> None:
    link, _ = connect(clock, PlainStore(), FollowerEngine(), board="sim", firmware="1")
    hello = link.hello(False)
    assert (hello["protocol"], hello["board"], hello["firmware"]) == (1, "sim", "1")
    assert link.hello(True)["boot"] == hello["boot"]


def test_no_greeting_looks_like_ctrl_c(clock: Clock) -> None:
    link, port = connect(clock, PlainStore(), FollowerEngine())
    sent: list[bytes] = []
    write = port.write
    port.write = lambda data: sent.append(bytes(data)) or write(data)  # type: ignore[method-assign, func-returns-value]
    for seq in range(0x0200, 0x0500):
        link._seq = seq
        link.hello(False)
    assert len(sent) == 0x300 and not any(b"\x03" in frame for frame in sent)


def test_request_in_chunks_both_ways(clock: Clock) -> None:
    store = full_store()
    link, port = connect(clock, store, CountingEngine())
    link.hello(True)
    assert link.request(REQUEST) == EXPECTED
    assert store.get("channels/29").value == b'"' + b"x" * 1160 + b'"'
    assert link.request(b"") == field(2, b"\x00\x82")
    assert port.timeout == 1.0


def test_exchange_with_a_service(clock: Clock) -> None:
    def refuse(payload: bytes) -> bytes:
        raise ServiceError(33, "no snapshot n\u00f6")

    services = {frames.LIST: lambda payload: b"list " + payload, frames.OPEN: refuse}
    link, _ = connect(clock, PlainStore(), FollowerEngine(), services=services)
    assert link.exchange(frames.LIST, b"x") == b"list x"
    with pytest.raises(LinkError, match="no snapshot n\u00f6") as caught:
        link.exchange(frames.OPEN)
    assert (caught.value.code, caught.value.text, caught.value.exit_status) == (33, "no snapshot n\u00f6", 5)
    with pytest.raises(LinkError) as caught:
        link.exchange(frames.STATUS)
    assert caught.value.code == frames.E_KIND
    with pytest.raises(ValueError, match="241"):
        link.exchange(frames.LIST, bytes(241))


def test_an_engines_refusal_is_a_response(clock: Clock) -> None:
    class Refusing:
        def handle(self, request: object, store: object) -> bytes:
            raise EngineError("no")

    link, _ = connect(clock, PlainStore(), Refusing())
    link.hello(True)
    assert link.request(field(1, 3)) == field(1, 3) + field(6, b"no")


def test_a_silent_board_times_out(clock: Clock) -> None:
    port = MemoryPort(Pipe(), None, clock)
    with pytest.raises(LinkTimeout, match="3 tries of 1 s") as caught:
        Link(port).hello(False, attempts=3)
    assert port.written == 3 * 12 and caught.value.exit_status == 5
    with pytest.raises(LinkTimeout):
        Link(port, timeout=0.25, attempts=2).exchange(frames.STATUS)


def test_a_port_that_fails_is_told(clock: Clock) -> None:
    class Gone(MemoryPort):
        def read(self, size: int = 1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(BoardError, match="Input/output error"):
        Link(Gone(Pipe(), None, clock)).hello(False)


class ScriptedPort(MemoryPort):
    """A board that answers every frame with the next of answers: (kind, payload)."""

    def __init__(self, clock: Clock, *answers: tuple[int, bytes]) -> None:
        super().__init__(Pipe(), None, clock)
        self.answers = list(answers)

    def write(self, data: bytes) -> int:
        kind, payload = self.answers.pop(0)
        self._arrived = frames.encode(kind, int.from_bytes(data[3:5], "big"), payload)
        return len(data)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"protocol":2,"max_in":240,"max_out":1024}', "link protocol 2"),
        (b'{"protocol":1,"max_in":8,"max_out":1024}', "protocol"),
        (b"[]", "no sense"),
        (b"{}", "no sense"),
        (b'{"protocol":1', "no sense"),
        (b"\xff\xfe", "no sense"),
    ],
)
def test_a_strange_greeting_is_refused(clock: Clock, answer: bytes, words: str) -> None:
    with pytest.raises(BoardError, match=words):
        Link(ScriptedPort(clock, (frames.HELLO | frames.ANSWER, answer))).hello(False)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([(frames.ACK, u32(1))], "lost count"),
        ([(frames.ACK, u32(2))], "lost count"),
        ([(frames.RESPONSE, u32(9))], "too short"),
        ([(frames.RESPONSE, u32(9) + u32(1) + b"x")], "wrong part"),
        ([(frames.RESPONSE, u32(1) + u32(0) + b"xy")], "wrong part"),
        ([(frames.RESPONSE, u32(9) + u32(0))], "ends at byte 0 of 9"),
        ([(frames.RESPONSE, u32(9) + u32(0) + b"x"), (frames.RESPONSE, u32(9) + u32(0) + b"x")], "wrong part"),
    ],
)
def test_a_board_that_loses_count_is_told(clock: Clock, answers: list[tuple[int, bytes]], words: str) -> None:
    with pytest.raises(LinkError, match=words):
        Link(ScriptedPort(clock, *answers)).request(b"\x08\x07")


@pytest.mark.parametrize("direction", ["to_board", "to_host"])
@pytest.mark.parametrize(
    "name",
    ["lost", "half", "flipped", "doubled", "garbage before", "another sync before", "cut head", "long length"],
)
def test_every_frame_hit_once(clock: Clock, direction: str, name: str) -> None:
    """Each frame's first sending suffers; each exchange still comes through, and nothing is processed twice."""
    faults = {
        "lost": lambda data: b"",
        "half": lambda data: data[: len(data) // 2],
        "flipped": lambda data: data[:9] + bytes((data[9] ^ 0x10,)) + data[10:],
        "doubled": lambda data: data + data,
        "garbage before": lambda data: b"\x00\xffTraceback\r\n\x5a\x03" + data,
        "another sync before": lambda data: b"\xa5\x5a\x02" + data,
        "cut head": lambda data: data[4:],
        "long length": lambda data: data[:5] + b"\x00\xf0" + data[7:],
    }
    engine = CountingEngine()
    link, port = connect(clock, full_store(), engine)
    seen: set[bytes] = set()

    def fault(data: bytes) -> bytes:
        head = data[:7]
        if head in seen or data.count(frames.SYNC) != 1:
            return data
        seen.add(head)
        return faults[name](data)

    setattr(port, direction, fault)
    link.hello(True)
    assert link.request(REQUEST) == EXPECTED
    assert engine.handled == [7]
    assert len(seen) > 5
    assert name == "cut head" or not port.ended


def test_late_answers_are_ignored(clock: Clock) -> None:
    held: list[bytes] = []

    def one_late(data: bytes) -> bytes:
        held.append(data)
        return held[-2] if len(held) > 1 else b""

    link, port = connect(clock, PlainStore(), CountingEngine())
    port.to_host = one_late
    link.hello(True)
    assert link.request(REQUEST)[:2] == field(1, 7)


@given(st.data())
def test_a_bad_line_delays_but_never_lies(data: st.DataObject) -> None:
    """Random faults on both directions, but in the last tries: the right answer comes, once processed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.urandom", bytes)  # the same faults meet the same frames again
        engine = CountingEngine()
        link, port = connect(Clock(patch), full_store(), engine)
        budget = [data.draw(st.integers(0, 12))]

        def fault(sent: bytes) -> bytes:
            if not budget[0]:
                return sent
            budget[0] -= 1
            at = data.draw(st.integers(0, len(sent)))
            noise = data.draw(st.binary(max_size=12) | st.sampled_from([frames.SYNC, frames.SYNC + b"\x02\0\0\0\xf0"]))
            cut = data.draw(st.integers(at, len(sent)))
            return sent[:at] + noise + sent[cut:]

        port.to_board = port.to_host = fault
        link = Link(port, attempts=40)
        link.hello(True)
        assert link.request(REQUEST) == EXPECTED
        assert engine.handled == [7]
