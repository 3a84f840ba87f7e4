"""vls-backup pull from a board whose loop doesn't run: through its MicroPython prompt, which it gets back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from board_rig import fill, pull, vault

from vls_backup.transport import open_board
from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.settings import board_settings

FILLED = 60
MPREMOTE = str(Path(sys.executable).with_name("mpremote"))


@pytest.fixture(scope="module")
def flash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flash with snapshots; beside it what a pull and a list gave while the loop ran."""
    flash = tmp_path_factory.mktemp("idle") / "flash.bin"
    with vault(flash) as board:
        fill(board, FILLED)
        flash.with_suffix(".json").write_text(pull(board).stdout)
        flash.with_suffix(".list").write_text(pull(board, "--list").stdout)
    return flash


@pytest.fixture(scope="module")
def idle(flash: Path) -> Iterator[SimulatedBoard]:
    """A board at its prompt, with that flash."""
    with SimulatedBoard(None, board_settings(flash, "periodic:1")) as board:
        yield board


def at_prompt(board: SimulatedBoard, typed: bytes = b"\r") -> bool:
    """Type, and return whether the friendly prompt answers; a loop would be silent."""
    with serial.Serial(str(board.port), timeout=2) as port:
        port.write(typed)
        return port.read_until(b">>> ").endswith(b">>> ")


def mpremote(board: SimulatedBoard, program: str) -> str:
    command = [MPREMOTE, "connect", str(board.port), "resume", "exec", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_file_stdout_and_list(idle: SimulatedBoard, flash: Path, tmp_path: Path) -> None:
    assert at_prompt(idle)
    path = tmp_path / "backup.json"
    done = pull(idle, "--output", path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "MicroPython prompt" in done.stderr
    assert at_prompt(idle)
    text = flash.with_suffix(".json").read_text()
    assert path.read_text() == text
    done = pull(idle)
    assert (done.returncode, done.stdout) == (0, text)
    assert at_prompt(idle)
    done = pull(idle, "--list")
    assert (done.returncode, done.stdout) == (0, flash.with_suffix(".list").read_text())
    assert len(json.loads(pull(idle, "--list", "--json").stdout)) == len(done.stdout.splitlines()) - 1
    assert at_prompt(idle)
    assert mpremote(idle, "print(1 + 1)") == "2"
    assert idle.power_cuts == 0


def test_a_failed_pull_gives_the_prompt_back_too(idle: SimulatedBoard) -> None:
    assert pull(idle, "--generation", "9999").returncode == 4
    assert at_prompt(idle)
    assert mpremote(idle, "print(2 + 1)") == "3"


@pytest.mark.parametrize(
    ("typed", "left"),
    [(b"\x01", "in the raw REPL"), (b"for x in range(9):\r", "inside a block"), (b"print(", "inside a line")],
)
def test_whatever_was_left_at_the_prompt(idle: SimulatedBoard, flash: Path, typed: bytes, left: str) -> None:
    with serial.Serial(str(idle.port), timeout=2) as port:
        port.write(typed)
        assert port.read_until(typed[:3])
    done = pull(idle)
    assert (done.returncode, done.stdout) == (0, flash.with_suffix(".json").read_text()), done.stderr
    assert at_prompt(idle)


def test_a_ctrl_c_byte_in_the_first_frame(idle: SimulatedBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The board hears the first HELLO while it still starts: a 0x03 in its number or its CRC must not stop that."""
    monkeypatch.setattr("vls_backup.link.os.urandom", lambda n: bytes((3, 2)))
    with open_board(str(idle.port)) as (_link, hello):
        assert hello["board"] == "sim"
    assert at_prompt(idle)


def test_an_idle_board_without_snapshots(tmp_path: Path) -> None:
    with SimulatedBoard(None, board_settings(tmp_path / "new.bin", "periodic:1")) as board:
        done = pull(board, "--output", tmp_path / "backup.json")
        assert (done.returncode, done.stdout) == (4, "")
        assert "no snapshot yet" in done.stderr
        assert at_prompt(board)
    assert not (tmp_path / "backup.json").exists()


def test_plain_micropython(tmp_path: Path) -> None:
    with SimulatedBoard(None, {"MICROPYPATH": ".frozen"}) as board:
        done = pull(board, "--output", tmp_path / "backup.json")
        assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (5, "", [])
        assert "our firmware is not on it (ImportError: no module named 'signer')" in done.stderr
        assert mpremote(board, "print(5)") == "5"


def test_a_main_of_somebody_elses_is_not_started(tmp_path: Path) -> None:
    """A board with another project's main.py, stopped at its prompt: that project must not be run by us."""
    with SimulatedBoard(None, {"MICROPYPATH": ".frozen"}) as board:
        program = "with open('main.py', 'w') as f: f.write('open(\"started\", \"w\").close()')"
        mpremote(board, program)
        assert pull(board).returncode == 5
        assert mpremote(board, "import os; print(sorted(os.listdir()))") == "['main.py']"
