"""Our strategies on the recorded run: they write whenever gl-client's did, and else only by a trigger of their own."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from faulty_flash import RamFlash, dead
from journal_rig import contents, remount
from runtime_rig import Board
from signer.store import TOMBSTONE, Entry

RUN = Path(__file__).parents[1] / "vectors" / "signer-run"
GREENLIGHT = {item["name"]: item for item in json.loads((RUN / "a-strategies.json").read_bytes())["strategies"]}
JSON_BYTES = 41_500_000  # what gl-client wrote to its backup file in the run with every update

Request = tuple[int, list[tuple[str, Entry | None, Entry]]]


@cache
def run() -> tuple[dict[str, Any], list[Request], dict[int, dict[str, tuple[int, bytes, bytes | None]]]]:
    """Return the run's header, each request's changes, and the state after each request."""
    requests: list[Request] = []
    states = {}
    state: dict[str, Entry] = {}
    with (RUN / "a.jsonl").open() as lines:
        header = json.loads(next(lines))
        for line in lines:
            recorded = json.loads(line)
            written = {}
            for key, _before, version, value, *signature in recorded.get("node_wrote", []) + recorded["changed"]:
                text = None
                if value is not None:
                    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
                written[key] = Entry(version, bytes.fromhex(*signature) if signature else b"", text)
            requests.append((recorded["i"], [(key, state.get(key), entry) for key, entry in written.items()]))
            state.update(written)
            states[recorded["i"]] = {key: (e.version, e.signature, e.value) for key, e in state.items()}
    return header, requests, states


@dataclass
class Played:
    """What a strategy did. written: {request: trigger}."""

    board: Board
    written: dict[int, str] = field(default_factory=dict)


@cache
def play(name: str) -> Played:
    """Play the run with a strategy of a-strategies.json, its medium missing while gl-client's directory was."""
    item = GREENLIGHT[name]
    strategy = item["strategy"]
    text = strategy.replace("_", "-") if isinstance(strategy, str) else f"periodic:{strategy['periodic']['updates']}"
    header, requests, _states = run()
    missing = range(*(item["directory_missing_from_to"] or (0, 0)))
    played = Played(Board(RamFlash(512 * 1024), text, pause=0))
    board = played.board
    for i, changes in requests:
        board.flash.fault = dead if i in missing else None
        if i in header["signer_restarts_before"]:
            board.runtime.schedule.count = 0  # gl-client's count begins anew; ours is worked out
        last = board.journal.last
        board.runtime.observe(bytes.fromhex(header["node_id"]), changes)
        if board.journal.last is not last:
            played.written[i] = board.journal.last.trigger
    return played


@pytest.mark.parametrize("name", GREENLIGHT)
def test_no_write_of_greenlights_is_missed(name: str) -> None:
    theirs = GREENLIGHT[name]["written_after_request"]
    ours = play(name).written
    assert set(theirs) <= set(ours)
    assert len(theirs) > 2 or name == "never"


@pytest.mark.parametrize("name", GREENLIGHT)
def test_what_we_write_beside_that_has_a_trigger_of_ours(name: str) -> None:
    theirs = set(GREENLIGHT[name]["written_after_request"])
    beside = {i: trigger for i, trigger in play(name).written.items() if i not in theirs}
    expected = {} if name == "never" or 386 in theirs else {386: "address"}
    if name != "never" and 518 not in theirs:
        expected[518] = "address"
    assert beside == expected


@pytest.mark.parametrize("name", GREENLIGHT)
def test_triggers(name: str) -> None:
    played = play(name)
    triggers = set(played.written.values())
    failing = name.endswith("_failing")
    if name == "never":
        assert not triggers and played.board.journal.last is None
        return
    assert ("retry" in triggers) == failing == (played.board.runtime.failures > 0)
    first = min(played.written)
    assert played.written[first] == ("retry" if name == "new_channels_only_failing" else "first")
    assert triggers - {"retry", "first"} <= {"new-channel", "periodic", "address"}
    assert ("periodic" in triggers) == name.startswith("periodic")


@pytest.mark.parametrize("name", GREENLIGHT)
def test_the_last_snapshot_is_the_recorded_state(name: str) -> None:
    played = play(name)
    _header, requests, states = run()
    assert contents(played.board.state) == states[requests[-1][0]]
    again = remount(played.board.flash)
    if name == "never":
        assert again.journal.last is None and again.expected == {}
        return
    assert again.expected == states[max(played.written)]
    live = [entry for entry in again.expected.values() if entry[0] != TOMBSTONE]
    assert again.journal.last.entries == len(live) and again.journal.number == len(played.written)


def test_every_update_costs_little() -> None:
    device = play("periodic_1").board.journal.device
    assert device.programmed_bytes <= JSON_BYTES / 25, device.programmed_bytes
    assert device.programmed_bytes > 500_000
