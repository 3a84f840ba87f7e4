"""The feeder plays Greenlight's node of the recorded run, and the loop with the replay engine plays its signer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from memory_port import Clock, connect

from loop_rig import Rig
from replay import ReplayEngine
from signer.follower import FollowerEngine
from signer.store import TOMBSTONE, PlainStore
from vls_backup.hsm import HsmResponse, StateEntry
from vls_backup_sim.feeder import Feeder, State, merge

VECTORS = Path("tests/vectors/signer-run")
RUN = VECTORS / "a.jsonl"
LAST = 933


@pytest.fixture(scope="module")
def recorded() -> Feeder:
    return Feeder(RUN)


def live(store: PlainStore) -> State:
    """Return what the board's store holds, without tombstones."""
    entries = ((key, store.get(key)) for key in sorted(store.keys()))
    return {key: StateEntry(e.version, e.value, e.signature) for key, e in entries if e.version != TOMBSTONE}


@pytest.mark.parametrize("backup", sorted(VECTORS.glob("a-*.backup.json")), ids=lambda path: path.name)
def test_recorded_state_is_the_recorded_backup(recorded: Feeder, backup: Path) -> None:
    number = backup.name[5:9]
    state = recorded.state_after(int(number) if number.isdigit() else LAST)
    values = json.loads(backup.read_bytes())["state"]["values"]
    assert sorted(values) == sorted(state)
    for key, (version, value, *signature) in values.items():
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        assert state[key] == StateEntry(version, text, bytes(signature[0]) if signature else b"")


def test_the_whole_run_through_the_loop(recorded: Feeder) -> None:
    """After each request board, node and record hold the same; the node sends as much as the recorded one did."""
    feeder = Feeder(RUN)
    store = PlainStore()
    hooked: list[tuple[bytes, list[object]]] = []
    with RUN.open("rb") as file, pytest.MonkeyPatch.context() as patch:
        link, _ = connect(
            Clock(patch), store, ReplayEngine(file), hook=lambda node_id, changes: hooked.append((node_id, changes))
        )
        errors = []
        for i, request in enumerate(recorded.requests):
            if feeder.attaches_before(i):
                feeder.attach()
                link.hello(attach=True)
            response, sent = exchange(feeder, link, i)
            assert sent == request.line["sent"], i
            if response.error:
                errors.append((i, response.error))
            if i % 50 == 0 or i == LAST:
                assert feeder.state() == recorded.state_after(i) == live(store), i
    assert errors == [(669, "Other(Cannot process sign-message requests from node.)")]
    assert len(hooked) == 934 and hooked[-1][0].hex() == feeder.header["node_id"]
    assert sum(e.version == TOMBSTONE for e in map(store.get, store.keys())) == 2


def exchange(feeder: Feeder, link: object, i: int) -> tuple[HsmResponse, int]:
    """Send request i; return the response and how many entries the request carried."""
    before = dict(feeder._sent)
    attaching = feeder._attaching
    message = feeder.request(i)
    response = feeder.answer(link.request(message))  # type: ignore[attr-defined]
    sent = len(feeder._sent) if attaching else sum(before.get(k) != v for k, v in feeder._sent.items())
    return response, sent


def test_a_signer_that_lost_its_memory_gets_everything_again(recorded: Feeder) -> None:
    feeder = Feeder(RUN)
    with RUN.open("rb") as file:
        rig = Rig(PlainStore(), ReplayEngine(file))
        for i in range(700):
            feeder.answer(rig.request(feeder.request(i)))
        store = PlainStore()
        rig = Rig(store, ReplayEngine(file))  # as after a power cut: empty, at the start of the run
        rig.ask(1, b"\1")
        response = feeder.answer(rig.request(feeder.greeting()))
        assert response.signer_state == {} and response.request_id == 0
        assert live(store) == recorded.state_after(699)
        assert sorted(store.keys()) == sorted(live(store))  # tombstones aren't sent again
        feeder.answer(rig.request(feeder.request(699)))  # the request whose answer got lost
        feeder.answer(rig.request(feeder.request(700)))
        assert live(store) == recorded.state_after(700) == feeder.state()


def test_a_node_that_lost_its_state_gets_everything_back(recorded: Feeder) -> None:
    feeder = Feeder(RUN, follower=True)
    rig = Rig(PlainStore(), FollowerEngine())
    for i in range(LAST + 1):
        rig.request(feeder.request(i))
    node = Feeder(RUN)
    rig.ask(1, b"\1")
    response = node.answer(rig.request(node.greeting()))
    assert node.state() == recorded.state_after(LAST)
    assert len(response.signer_state) == len(recorded.state_after(LAST)) + 2  # and the tombstones


@pytest.mark.parametrize("i", [0, 1, 50, 385, 668, 669, LAST])
def test_a_follower_holds_the_recorded_state(recorded: Feeder, i: int) -> None:
    feeder = Feeder(RUN, follower=True)
    store = PlainStore()
    rig = Rig(store, FollowerEngine())
    for number in range(i + 1):
        if feeder.attaches_before(number):
            feeder.attach()
            rig.ask(1, b"\1")
        response = feeder.answer(rig.request(feeder.request(number)))
        deleted = {key for key, e in response.signer_state.items() if e.version == TOMBSTONE}
        assert set(response.signer_state) == deleted and response.raw == b""
    assert live(store) == recorded.state_after(i) == feeder.state()


def test_a_request_may_be_built_again(recorded: Feeder) -> None:
    feeder = Feeder(RUN)
    feeder.request(0)
    first = feeder.request(1)
    assert len(feeder.request(1)) < 20 < len(first)  # sent already
    feeder.attach()
    again = feeder.request(1)
    assert again == first


def test_merge_follows_the_same_rules_as_the_board() -> None:
    one = StateEntry(1, b"1", b"s")
    dead = StateEntry(TOMBSTONE, b"null", b"t")
    for held, incoming, after in (
        (None, one, one),
        (one, StateEntry(0, b"0", b""), one),
        (one, StateEntry(1, b"2", b""), one),
        (one, StateEntry(1, b"1", b"u"), StateEntry(1, b"1", b"u")),
        (one, StateEntry(2, b"2", b""), StateEntry(2, b"2", b"")),
        (one, StateEntry(TOMBSTONE, b"", b"t"), dead),
        (dead, one, dead),
        (dead, StateEntry(TOMBSTONE, b"null", b"u"), dead),
    ):
        state = {} if held is None else {"k": held}
        merge(state, "k", incoming)
        assert state["k"] == after


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["{}"], "line 1"),
        (["not json"], "line 1"),
        (['{"format":"signer-run","format_version":2}'], "line 1.*version 1"),
        (['{"format":"signer-run","format_version":1}', '{"i":1,"changed":[]}'], "line 2.*request 0"),
        (['{"format":"signer-run","format_version":1}', '{"i":0,"changed":[["k",1]]}'], "line 2"),
    ],
)
def test_a_bad_run_is_named(tmp_path: Path, lines: list[str], words: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=f"run.jsonl, {words}"):
        Feeder(path)
