"""A whole recorded run of a real signer through the board, by every strategy: what it keeps, and what is pulled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from board_rig import (
    LAST,
    MAIN,
    NODE_ID,
    RUN,
    VECTORS,
    fill,
    greenlight_file,
    live,
    pull,
    vault,
    vls_backup,
    whole_numbers,
)

from vls_backup.snapshots import list_snapshots, read_snapshot
from vls_backup.transport import open_board
from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.feeder import Feeder, State
from vls_backup_sim.playback import Playback, SnapshotNote
from vls_backup_sim.settings import board_settings

RESTART = 385  # the recorded signer began anew before this request
STRATEGIES = {
    "never": ("never", "never"),
    "new-channels-only": ("new_channels_only", "new_channels_only"),
    "periodic:1": ("periodic_1", {"periodic": {"updates": 1}}),
    "periodic:10": ("periodic_10", {"periodic": {"updates": 10}}),
    "periodic:100": ("periodic_100", {"periodic": {"updates": 100}}),
}
WRITING = [name for name in STRATEGIES if name != "never"]


@dataclass
class Played:
    """A board that has played the run, and the snapshots that it took: number n is notes[n - 1]."""

    board: SimulatedBoard
    notes: list[SnapshotNote]


@pytest.fixture(scope="module")
def recorded() -> Feeder:
    return Feeder(RUN)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Played]]:
    """Each strategy's board after the run; the boards stay under power."""
    folder = tmp_path_factory.mktemp("route")
    with ExitStack() as stack, ThreadPoolExecutor(len(STRATEGIES)) as pool:

        def play(number: int, strategy: str) -> Played:
            flash = folder / f"{number}.bin"
            board = stack.enter_context(SimulatedBoard(MAIN, board_settings(flash, strategy, RUN)))
            playback = Playback(board, flash, Feeder(RUN))
            playback.run()
            return Played(board, playback.snapshots)

        yield dict(zip(STRATEGIES, pool.map(play, range(len(STRATEGIES)), STRATEGIES), strict=True))


def written_by_gl_client(name: str) -> set[int]:
    strategies = json.loads((VECTORS / "a-strategies.json").read_bytes())["strategies"]
    return next(set(s["written_after_request"]) for s in strategies if s["name"] == name)


def recovery_part(state: State) -> dict[str, bytes]:
    return {key: entry.value for key, entry in state.items() if key.startswith(("channels/", "peers/"))}


def recoverable(state: State) -> int:
    return sum(key.startswith("channels/") and b'"channel_setup":{' in entry.value for key, entry in state.items())


def test_never_keeps_nothing(played: dict[str, Played], tmp_path: Path) -> None:
    run = played["never"]
    assert run.notes == []
    done = pull(run.board, "--output", tmp_path / "backup.json")
    assert (done.returncode, done.stdout) == (4, "")
    assert "no snapshot yet" in done.stderr
    assert list(tmp_path.iterdir()) == []
    for arguments, out in ((["--list"], ""), (["--list", "--json"], "[]\n"), (["--generation", "-1"], "")):
        done = pull(run.board, *arguments)
        assert (done.returncode, done.stdout) == (4, out)
        assert "no snapshot yet" in done.stderr


@pytest.mark.parametrize("strategy", WRITING)
def test_snapshots_cover_what_gl_client_wrote(played: dict[str, Played], strategy: str) -> None:
    """After a restart ours counts on from the last snapshot, gl-client's from 0: comparable up to there."""
    ours = {note.after_request: note.trigger for note in played[strategy].notes}
    theirs = written_by_gl_client(STRATEGIES[strategy][0])
    assert len(ours) == len(played[strategy].notes) and theirs
    if strategy in ("periodic:10", "periodic:100"):
        ours = {i: trigger for i, trigger in ours.items() if i < RESTART}
        theirs = {i for i in theirs if i < RESTART}
    assert theirs <= ours.keys()
    assert {ours[i] for i in theirs} <= {"first", "new-channel", "periodic"}
    assert {ours[i] for i in ours.keys() - theirs} <= {"address", "deleted"}
    assert ours[min(ours)] == "first"


@pytest.mark.parametrize("strategy", WRITING)
def test_the_pulled_file_is_the_recorded_state(
    played: dict[str, Played], recorded: Feeder, strategy: str, tmp_path: Path
) -> None:
    run = played[strategy]
    path = tmp_path / "backup.json"
    done = pull(run.board, "--output", path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    last = run.notes[-1]
    assert f"Snapshot {len(run.notes)} of node {NODE_ID}" in done.stderr and last.trigger in done.stderr
    text = path.read_text()
    created_at = json.loads(text)["created_at"]
    state = recorded.state_after(last.after_request)
    assert text == greenlight_file(state, created_at, STRATEGIES[strategy][1])
    assert path.stat().st_mode & 0o777 == 0o600
    to_stdout = pull(run.board)
    assert (to_stdout.returncode, to_stdout.stdout) == (0, text)
    inspected = vls_backup("inspect-backup", "--path", path, "--format", "json")
    assert inspected.returncode == 0
    report = json.loads(inspected.stdout)
    assert (report["node_id"], report["total_channels"]) == (NODE_ID, recoverable(state))


def test_conversions_equal_the_golden_ones_where_they_fit(
    played: dict[str, Played], recorded: Feeder, tmp_path: Path
) -> None:
    fits = []
    for strategy in WRITING:
        state = recovery_part(recorded.state_after(played[strategy].notes[-1].after_request))
        for snapshot in recorded.header["snapshots"]:
            if state == recovery_part(recorded.state_after(snapshot["i"])):
                fits.append((strategy, snapshot["backup"].replace(".backup.", ".expected.")))
    assert ("periodic:1", "a-last.expected.json") in fits
    for strategy, golden in fits:
        path = tmp_path / "backup.json"
        assert pull(played[strategy].board, "--output", path).returncode == 0
        done = vls_backup("convert-backup", "--path", path, "--format", "cln")
        wanted = json.loads((VECTORS / golden).read_bytes())["recoverchannel"]
        assert (done.returncode, done.stdout) == (0, json.dumps(wanted, indent=2) + "\n")


@pytest.mark.parametrize("strategy", WRITING)
def test_the_list_is_what_was_taken(played: dict[str, Played], recorded: Feeder, strategy: str) -> None:
    run = played[strategy]
    done = pull(run.board, "--list", "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    numbers = [row["number"] for row in rows]
    assert numbers == sorted(set(numbers)) and numbers[-1] == len(run.notes)
    for row in rows:
        note = run.notes[row["number"] - 1]
        assert list(row) == ["number", "time", "trigger", "channels", "entries", "arena", "whole"]
        assert row["trigger"] == note.trigger
    # The newest arena is checked.
    newest = [row["whole"] for row in rows if row["arena"] == rows[-1]["arena"]]
    older = [row["whole"] for row in rows if row["arena"] < rows[-1]["arena"]]
    assert newest == [True] * len(newest) and older == [None] * len(older)
    for row in rows[:: max(1, len(rows) // 20)]:
        state = recorded.state_after(run.notes[row["number"] - 1].after_request)
        assert (row["channels"], row["entries"]) == (recoverable(state), len(state))
    text = pull(run.board, "--list")
    lines = text.stdout.splitlines()
    assert text.returncode == 0 and len(lines) == len(rows) + 1
    assert lines[0].split() == ["number", "time", "trigger", "channels"]
    for line, row in zip(lines[1:], rows, strict=True):
        assert line.split()[:3:2] == [str(row["number"]), row["trigger"]]
        assert line.endswith("not checked") == (row["whole"] is None) and "not whole" not in line
    assert ("overwritten" in text.stderr) == bool(older)


@pytest.mark.parametrize("strategy", WRITING)
def test_generations_equal_the_recorded_states(played: dict[str, Played], recorded: Feeder, strategy: str) -> None:
    run = played[strategy]
    with open_board(str(run.board.port)) as (link, _):
        numbers = whole_numbers(link)
        assert len(numbers) >= 4 and numbers == list(range(numbers[0], len(run.notes) + 1))  # never a newer one is lost
        for number in numbers[:: max(1, len(numbers) // 10)]:
            snapshot = read_snapshot(link, number, lambda done, total: None)
            assert snapshot.commit.number == number
            assert live(snapshot) == recorded.state_after(run.notes[number - 1].after_request), number
    for generation, number in ((numbers[0], numbers[0]), (-1, numbers[-1]), (-2, numbers[-2]), (-4, numbers[-4])):
        done = pull(run.board, "--generation", generation)
        assert done.returncode == 0 and f"Snapshot {number} of node" in done.stderr
        state = recorded.state_after(run.notes[number - 1].after_request)
        assert done.stdout == greenlight_file(state, json.loads(done.stdout)["created_at"], STRATEGIES[strategy][1])


def test_generations_that_are_not_there(played: dict[str, Played]) -> None:
    board = played["periodic:1"].board
    with open_board(str(board.port)) as (link, _):
        found = list_snapshots(link)
        numbers = whole_numbers(link)
    assert found[0].number > 1  # the run is longer than the flash
    beyond = [1, numbers[-1] + 1, 2**32 - 1, -len(numbers) - 1]
    for generation in beyond:
        done = pull(board, "--generation", generation)
        assert (done.returncode, done.stdout) == (4, ""), generation
        assert str(generation) in done.stderr
    if found[0].number < numbers[0]:
        done = pull(board, "--generation", found[0].number)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"Snapshot {found[0].number} is damaged" in done.stderr and "--generation -1" in done.stderr
    for generation in (0, 2**32, "newest"):
        assert pull(board, "--generation", generation).returncode == 2


@pytest.mark.parametrize(("i", "golden"), [(50, "a-at-0050"), (200, "a-at-0200"), (LAST, "a-last")])
def test_a_vaults_backup_is_greenlights_own_file(i: int, golden: str, tmp_path: Path) -> None:
    """A node that attaches to a fresh board brings everything at once: pulled, it is gl-client's file of that state."""
    with vault(tmp_path / "flash.bin", "new-channels-only") as board:
        fill(board, i, first=i)
        done = pull(board)
    assert done.returncode == 0, done.stderr
    want = (VECTORS / f"{golden}.backup.json").read_text()
    ours, theirs = json.loads(done.stdout), json.loads(want)
    assert list(ours) == list(theirs)
    for name in ("created_at", "strategy"):
        old, new = json.dumps(theirs[name], indent=2), json.dumps(ours[name])
        assert want.count(f'"{name}": ') == 1
        want = want.replace(f'"{name}": {old}'.replace("\n", "\n  "), f'"{name}": {new}')
    assert done.stdout == want
