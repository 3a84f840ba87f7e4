"""vls-backup pull from a board whose signer runs: the signer never notices."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial
from backup_cases import MIXED
from board_rig import OLD, RUN, exchange, fill, greenlight_file, live, node, pull, pulled, vault, vls_backup

from backup_format import frames
from vls_backup.link import Link
from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.feeder import Feeder

FILLED = 60  # the last request that the board of this module has heard
PERIODIC_1 = {"periodic": {"updates": 1}}


@pytest.fixture(scope="module")
def recorded() -> Feeder:
    return Feeder(RUN)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedBoard]:
    """A board with snapshots, its loop running."""
    with vault(tmp_path_factory.mktemp("pull") / "flash.bin") as board:
        fill(board, FILLED)
        yield board


def test_file_and_stdout_are_the_same(board: SimulatedBoard, recorded: Feeder, tmp_path: Path) -> None:
    path = tmp_path / "backup.json"
    path.write_text(OLD)
    before = time.time()
    done = pull(board, "--output", path)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"inspect-backup --path {path}" in done.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["backup.json"]
    text = path.read_text()
    assert pull(board).stdout == text
    created_at = json.loads(text)["created_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created_at)
    assert created_at <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before))
    assert text == greenlight_file(recorded.state_after(FILLED), created_at, PERIODIC_1)
    assert vls_backup("inspect-backup", "--path", path, "--format", "text").returncode == 0


def edited(path: Path, by: int) -> bytes:
    """Move the version of one channel in the backup at path, and return the file's new content."""
    backup = json.loads(path.read_bytes())
    key = next(key for key in backup["state"]["values"] if key.startswith("channels/"))
    backup["state"]["values"][key][0] += by
    backup["created_at"] = "2001-01-01T00:00:00Z"
    path.write_text(json.dumps(backup))
    return path.read_bytes()


def test_a_newer_backup_is_not_overwritten(board: SimulatedBoard, tmp_path: Path) -> None:
    """Newer by its versions: what its clock says doesn't count."""
    path = tmp_path / "backup.json"
    assert pull(board, "--output", path).returncode == 0
    pulled_before = path.read_bytes()
    there = edited(path, +1)
    done = pull(board, "--output", path)
    assert (done.returncode, done.stdout, path.read_bytes()) == (6, "", there)
    assert f"Error: {path}: is newer than the snapshot" in done.stderr and "--force" in done.stderr
    assert pull(board, "--output", path, "--force").returncode == 0
    assert path.read_bytes() == pulled_before
    edited(path, -1)
    assert pull(board, "--output", path).returncode == 0
    assert path.read_bytes() == pulled_before


def test_another_nodes_backup_is_not_overwritten(board: SimulatedBoard, tmp_path: Path) -> None:
    path = tmp_path / "backup.json"
    path.write_bytes(MIXED.read_bytes())
    done = pull(board, "--output", path)
    assert (done.returncode, path.read_bytes()) == (6, MIXED.read_bytes())
    assert "is a backup of another node" in done.stderr
    assert pull(board, "--output", path, "--force").returncode == 0
    assert path.read_bytes() != MIXED.read_bytes()


def test_what_is_no_backup_is_not_overwritten(board: SimulatedBoard, tmp_path: Path) -> None:
    path = tmp_path / "hsm_secret"
    path.write_bytes(bytes(range(32)))
    done = pull(board, "--output", path)
    assert (done.returncode, done.stdout, path.read_bytes()) == (6, "", bytes(range(32)))
    assert f"Error: {path}: is there already, and is no backup" in done.stderr and "--force" in done.stderr
    path.write_bytes(b"")
    assert pull(board, "--output", path).returncode == 0
    path.write_bytes(path.read_bytes()[:-9])
    assert pull(board, "--output", path).returncode == 6
    assert pull(board, "--output", path, "--force").returncode == 0


def test_how_stale(board: SimulatedBoard) -> None:
    """The age, what is unwritten, and that an older snapshot is an older one."""
    done = pull(board)
    assert re.search(r"Snapshot \d+ of node .*\((just now|\d+ minutes? ago)\)", done.stderr)
    assert (
        "\nThe board has seen no change of a channel since then. It knows of none from before its last start"
        in done.stderr
    )
    newest = json.loads(pull(board, "--list", "--json").stdout)[-1]["number"]
    done = pull(board, "--generation", "-2")
    assert f"Warning: this is an older state: the board's newest snapshot is number {newest}.\n" in done.stderr
    assert "no change of a channel" not in done.stderr


def slowly(link: Link, message: bytes, meanwhile: Callable[[], None]) -> bytes:
    """Send a request; do something else after its first chunk, and before all of the response was fetched."""
    for at in range(0, len(message), 232):
        head = at.to_bytes(4, "big") + len(message).to_bytes(4, "big")
        answer = link.exchange(frames.REQUEST, head + message[at : at + 232])
        if at == 0:
            assert answer == (232).to_bytes(4, "big")  # more chunks are expected
            meanwhile()
    response = answer[8:]
    assert len(response) < int.from_bytes(answer[:4], "big")  # there is more to fetch
    meanwhile()
    while len(response) < int.from_bytes(answer[:4], "big"):
        response += link.exchange(frames.FETCH, len(response).to_bytes(4, "big"))[8:]
    return response


def test_a_nodes_session_goes_on_undisturbed(recorded: Feeder, tmp_path: Path) -> None:
    """Pulls and lists come between the chunks of a request, and between the parts of its response."""
    feeder = Feeder(RUN)
    done: list[subprocess.CompletedProcess[str]] = []
    with vault(tmp_path / "flash.bin", VLS_SIM_RUN=str(RUN)) as board, node(board) as link:
        boot = link.hello(attach=True)["boot"]
        for i in range(31):
            exchange(link, feeder, feeder.request(i))
        link.hello(attach=True)
        feeder.attach()
        message = feeder.request(31)
        feeder.answer(slowly(link, message, lambda: done.extend([pull(board), pull(board, "--list")])))
        assert [d.returncode for d in done] == [0, 0, 0, 0]
        for i, text in ((30, done[0].stdout), (31, done[2].stdout)):
            assert text == greenlight_file(recorded.state_after(i), json.loads(text)["created_at"], PERIODIC_1)
        for i in range(32, FILLED + 1):
            exchange(link, feeder, feeder.request(i))
            assert feeder.state() == recorded.state_after(i)
        assert (link.hello(attach=False)["boot"], board.restarts) == (boot, 0)
        snapshot = pulled(board)
        assert live(snapshot) == recorded.state_after(FILLED)


def test_what_the_snapshot_lacks_is_told(tmp_path: Path) -> None:
    with vault(tmp_path / "flash.bin", "periodic:100") as board:
        fill(board, FILLED)
        done = pull(board)
        assert done.returncode == 0
        assert re.search(r"Note: \d+ requests changed channels since .*strategy periodic", done.stderr)


def test_two_pulls_do_not_mix(board: SimulatedBoard, tmp_path: Path) -> None:
    """The second says that the port is in use, and the first is not harmed."""
    with serial.Serial(str(board.port), exclusive=True):
        done = pull(board, "--output", tmp_path / "backup.json")
    assert (done.returncode, list(tmp_path.iterdir())) == (5, [])
    assert "in use by another program" in done.stderr
    assert pull(board).returncode == 0


def test_a_terminal_sees_progress(board: SimulatedBoard) -> None:
    """On stderr alone: stdout is the file, as ever."""
    ours, terminal = pty.openpty()
    command = [sys.executable, "-m", "vls_backup", "pull", "--port", str(board.port)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, env=environment) as process:
        os.close(terminal)
        shown = b""
        assert process.stdout is not None
        out = process.stdout.read()
        while select.select([ours], [], [], 5)[0]:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        assert process.wait(5) == 0
    os.close(ours)
    quiet = pull(board)
    assert out.decode() == quiet.stdout
    assert b"Pulling" in shown and b"kB" in shown and b"Snapshot " in shown
    assert "Pulling" not in quiet.stderr and "\x1b" not in quiet.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--port"),
        (["--port", "x", "--list", "--output", "y"], "--list"),
        (["--port", "x", "--list", "--generation", "3"], "--list"),
        (["--port", "x", "--json"], "--json"),
        (["--port", "x", "--generation", "0"], "begin at 1"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    done = vls_backup("pull", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
