"""What the end-to-end tests share: the command as a user runs it, simulated boards, and what a backup must hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import serial

from vls_backup.hsm import HsmResponse, StateEntry
from vls_backup.link import Link
from vls_backup.snapshots import Snapshot, check_snapshots, list_snapshots, read_snapshot
from vls_backup.transport import open_board
from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.feeder import Feeder, State
from vls_backup_sim.settings import board_settings

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / "firmware" / "main.py"
VECTORS = ROOT / "tests" / "vectors" / "signer-run"
RUN = VECTORS / "a.jsonl"
LAST = 933
NODE_ID = "0266133ae904d788437509c33af4ccd6613e190e51cd6c69eb45bd180b96710f4a"
SECONDS = 60  # no command may take longer

Done = subprocess.CompletedProcess[str]


def vls_backup(*arguments: object) -> Done:
    """Run the command; a traceback in what it says fails the test."""
    command = [sys.executable, "-m", "vls_backup", *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start the command, and return the process."""
    command = [sys.executable, "-m", "vls_backup", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def result(process: subprocess.Popen[str]) -> Done:
    """Wait for a started command."""
    out, err = process.communicate(timeout=SECONDS)
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def pull(board: SimulatedBoard, *arguments: object) -> Done:
    """Run vls-backup pull on the board."""
    return vls_backup("pull", "--port", board.port, *arguments)


def pulled(board: SimulatedBoard, number: int = 0) -> Snapshot:
    """Pull a snapshot in this process."""
    with open_board(str(board.port)) as (link, _):
        return read_snapshot(link, number, lambda done, total: None)


def whole_numbers(link: Link) -> list[int]:
    """Return the numbers of all whole snapshots on a board, oldest first: each arena pulled and checked."""
    arenas = list(check_snapshots(link, list_snapshots(link), lambda done, total: None))
    return [item.number for arena in reversed(arenas) for item in arena if item.whole]


def live(snapshot: Snapshot) -> State:
    """Return the entries of a snapshot as a feeder's state."""
    return {key: StateEntry(version, value, signature) for key, version, value, signature in snapshot.entries}


def greenlight_file(state: State, created_at: str, strategy: object, node_id: str = NODE_ID) -> str:
    """Return a version-1 backup file of state, laid out by the standard library instead of by us."""
    values = {}
    for key in sorted(state):
        entry = state[key]
        values[key] = [entry.version, json.loads(entry.value)] + ([list(entry.signature)] if entry.signature else [])
    head = {"version": 1, "created_at": created_at, "node_id": node_id, "strategy": strategy}
    return json.dumps({**head, "state": {"values": values}}, indent=2, ensure_ascii=False) + "\n"


# What is at --output already: of the same node, and of a time before all channels.
OLD = greenlight_file({}, "2020-01-01T00:00:00Z", "new_channels_only")


@contextmanager
def node(board: SimulatedBoard, timeout: float = 0.25) -> Iterator[Link]:
    """Yield the node's own connection to the board; timeout: seconds until it asks again."""
    with serial.Serial(str(board.port), timeout=1) as port:
        yield Link(port, timeout, attempts=int(20 / timeout))


def exchange(link: Link, feeder: Feeder, message: bytes) -> HsmResponse:
    """Send one request for the feeder, and let it take the answer."""
    return feeder.answer(link.request(message))


def vault(flash: Path, strategy: str = "periodic:1", **settings: str) -> SimulatedBoard:
    """Return a board that accepts what a node sends; settings: further variables for board_def.py."""
    return SimulatedBoard(MAIN, {**board_settings(flash, strategy), **settings})


def fill(board: SimulatedBoard, last: int, first: int = 5) -> Feeder:
    """Let the node of run a tell the board everything up to request first, and then each request up to last."""
    feeder = Feeder(RUN, follower=True)
    for i in range(first):
        feeder.request(i)
    with node(board) as link:
        link.hello(attach=True)
        feeder.attach()
        for i in range(first, last + 1):
            exchange(link, feeder, feeder.request(i))
    return feeder


class FailingBoard(SimulatedBoard):
    """A board to which something happens when it has said a given number of bytes."""

    def __init__(self, flash: Path, fail: Callable[[FailingBoard], None], script: Path | None = MAIN) -> None:
        """fail: what happens, in the bridge's own thread. script: None for a board at its prompt."""
        super().__init__(script, board_settings(flash, "periodic:1"))
        self._fail = fail
        self._left: int | None = None
        self.failed = threading.Event()

    def fail_after(self, bytes_said: int) -> None:
        """Fail once that many more bytes have left the board."""
        self.failed.clear()
        self._left = bytes_said

    def signal(self, number: int) -> None:
        """Send the VM a signal: SIGSTOP freezes the board, SIGKILL cuts its power."""
        os.kill(self.pid, number)

    def pull_cable(self) -> None:
        """Pull the cable from inside the bridge's thread."""
        self._close_port()

    def _said(self, data: bytes) -> None:
        super()._said(data)
        if self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                self._left = None
                self._fail(self)
                self.failed.set()


def children(pid: int) -> Sequence[int]:
    """Return the processes that process pid has started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
