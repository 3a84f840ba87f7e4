"""vls-backup sim: the simulated board as a user starts it."""

from __future__ import annotations

import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial
from board_rig import RUN, children, exchange, greenlight_file, is_alive, result, start, vls_backup

from vls_backup.link import Link
from vls_backup_sim.feeder import Feeder

FILLED = 60


@contextmanager
def sim(*arguments: object, end: int = signal.SIGINT, status: int = 0) -> Iterator[str]:
    """Start it, yield the port that it prints, and end it by a signal: nothing may be left of it."""
    process = start("sim", *arguments)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, result(process).stderr
        vms = children(process.pid)
        assert len(vms) == 1
        yield port
        process.send_signal(end)
        done = result(process)
        assert done.returncode == status, done.stderr
        assert done.stdout == ""  # the port was all
        deadline = time.monotonic() + 5
        while any(map(is_alive, vms)):
            assert time.monotonic() < deadline, "the VM outlives its board"
            time.sleep(0.01)
        if status == 0:
            assert "its flash stays" in done.stderr
            assert not Path(port).parent.exists()
    finally:
        process.kill()


def test_pull_works_on_it_and_the_flash_stays(tmp_path: Path) -> None:
    flash = tmp_path / "board.bin"
    feeder = Feeder(RUN, follower=True)
    with sim("--flash", flash, "--strategy", "periodic:1") as port:
        assert stat.S_ISCHR(Path(port).stat().st_mode)
        assert vls_backup("pull", "--port", port).returncode == 4
        with serial.Serial(port, timeout=1) as opened:
            link = Link(opened)
            link.hello(attach=True)
            for i in range(FILLED + 1):
                exchange(link, feeder, feeder.request(i))
        done = vls_backup("pull", "--port", port)
    created_at = done.stdout.split('"created_at": "')[1].split('"')[0]
    assert done.stdout == greenlight_file(feeder.state_after(FILLED), created_at, {"periodic": {"updates": 1}})
    with sim("--flash", flash) as port:  # another day
        assert vls_backup("pull", "--port", port).stdout == done.stdout
    with sim("--flash", flash, "--idle") as port:
        again = vls_backup("pull", "--port", port)
    assert again.stdout == done.stdout and "MicroPython prompt" in again.stderr


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_ended_otherwise_it_leaves_no_process_behind(tmp_path: Path, end: int) -> None:
    with sim("--flash", tmp_path / "board.bin", end=end, status=-end):
        pass


@pytest.mark.parametrize("strategy", ["hourly", "periodic", "periodic:0", "periodic:x", "never:1", ""])
def test_a_wrong_strategy_starts_nothing(tmp_path: Path, strategy: str) -> None:
    done = vls_backup("sim", "--flash", tmp_path / "board.bin", "--strategy", strategy)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"strategy {strategy!r}: use never, new-channels-only or periodic:N" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_flash_that_cannot_be_made(tmp_path: Path) -> None:
    for flash in (tmp_path / "missing" / "board.bin", "/dev/null", tmp_path):
        done = vls_backup("sim", "--flash", flash)
        assert (done.returncode, done.stdout) == (6, "")
        assert str(flash) in done.stderr
