"""status, devices, push and follow: the command as a user runs it, on a simulated board that is a vault."""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from board_rig import VECTORS, live, pulled, result, start, vault, vls_backup

from nor import NorFlash
from signer_backup.journal import Journal
from signer_backup.state import State
from vls_backup.reading import read_backup
from vls_backup.vault import state_of
from vls_backup_sim.bridge import SimulatedBoard

AT_50, LAST = (VECTORS / f"{name}.backup.json" for name in ("a-at-0050", "a-last"))
OTHER_NODE = VECTORS.parent / "cln-regtest" / "mixed.backup.json"


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def holds(board: SimulatedBoard, backup: Path) -> bool:
    """Return whether the board's newest snapshot has each entry of a backup file: what is gone there stays here."""
    return state_of(read_backup(str(backup))).items() <= live(pulled(board)).items()


def test_push_and_status(tmp_path: Path) -> None:
    with vault(tmp_path / "flash.bin") as board:
        before = vls_backup("status", "--port", board.port)
        assert before.returncode == 0 and "none yet" in before.stdout

        done = vls_backup("push", "--path", AT_50, "--port", board.port)
        assert done.returncode == 0 and done.stdout == "" and "newest snapshot is number 1" in done.stderr
        assert holds(board, AT_50)

        assert vls_backup("push", "--path", LAST, "--port", board.port).returncode == 0
        assert holds(board, LAST)

        older = vls_backup("push", "--path", AT_50, "--port", board.port)
        assert older.returncode == 0 and "the board holds a newer version, which stays" in older.stderr
        assert holds(board, LAST)

        says = json.loads(vls_backup("status", "--port", board.port, "--json").stdout)
        assert (says["snapshot"], says["snapshots"], says["channels"], says["failures"]) == (2, 2, 6, 0)
        assert says["strategy"] == "periodic" and abs(says["clock"] - time.time()) < 60
        text = vls_backup("status", "--port", board.port).stdout
        assert re.search(r"number 2, 20.*Z \(just now\), trigger [a-z-]+\n", text)
        assert "periodic:1" in text and "6 recoverable" in text


def test_another_nodes_backup_is_refused(tmp_path: Path) -> None:
    with vault(tmp_path / "flash.bin") as board:
        vls_backup("push", "--path", AT_50, "--port", board.port)
        done = vls_backup("push", "--path", OTHER_NODE, "--port", board.port)
        assert done.returncode == 5 and "this board holds the state of node 0266133a" in done.stderr
        assert holds(board, AT_50)


@pytest.mark.parametrize("command", [["status"], ["push", "--path", str(AT_50)]])
def test_a_port_that_is_not_there(command: list[str], tmp_path: Path) -> None:
    done = vls_backup(*command, "--port", tmp_path / "nowhere")
    assert done.returncode == 5 and "There is no port" in done.stderr and done.stdout == ""


def test_follow_survives_the_file_and_the_board(tmp_path: Path) -> None:
    watched = tmp_path / "signer-backup.json"
    with vault(tmp_path / "flash.bin") as board:
        following = start("follow", "--path", watched, "--port", board.port, "--interval", "0.2")
        try:
            time.sleep(1)  # no file yet
            watched.write_bytes(AT_50.read_bytes()[:5000])  # half-written
            time.sleep(1)
            assert following.poll() is None
            watched.write_bytes(AT_50.read_bytes())
            eventually(lambda: newest_on(tmp_path / "flash.bin") == 1)

            board.cut_power()
            fresh = tmp_path / "fresh.json"
            fresh.write_bytes(LAST.read_bytes())
            os.replace(fresh, watched)
            eventually(lambda: newest_on(tmp_path / "flash.bin") == 2)

            watched.unlink()
            board.unplug()
            time.sleep(1)
            board.plug()
            time.sleep(1)
            assert following.poll() is None
        finally:
            following.send_signal(2)
        done = result(following)
        assert done.returncode == 130 and "Waiting for a whole file" in done.stderr
        assert holds(board, LAST)


def newest_on(flash: Path) -> int:
    """Return the number of the newest snapshot in the flash file: follow has the port."""
    if not flash.exists():
        return 0
    journal = Journal(lambda: NorFlash(str(flash), 512 * 1024))
    journal.mount(State(b""))
    return journal.last.number if journal.last else 0


def test_devices() -> None:
    done = vls_backup("devices", "--json")
    assert done.returncode == 0 and isinstance(json.loads(done.stdout), list)
    assert vls_backup("devices").returncode == 0
