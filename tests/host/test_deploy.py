"""`vls-backup deploy` against a real MicroPython behind a port, whose file system is a folder."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from backup_cases import Ran, error_line, run
from firmware_copy import built_firmware

from vls_backup import deploy
from vls_backup.errors import BackupError
from vls_backup_sim.bridge import SimulatedBoard

# What a board does at power-on; the simulated one starts only what its host names.
BOOT = """
import os
if "main.py" in os.listdir():
    with open("main.py") as file:
        exec(file.read(), {"__name__": "__main__"})
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with every board's firmware."""
    return built_firmware(tmp_path_factory.mktemp("firmware") / "tree")


@pytest.fixture
def firmware(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the simulated board's firmware, and what deploy takes."""
    shutil.copytree(built / "sim", tmp_path / "firmware" / "sim")
    monkeypatch.setattr(deploy, "firmware_folder", lambda: tmp_path / "firmware")
    return tmp_path / "firmware" / "sim"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SimulatedBoard]:
    """A board with an empty file system, which starts the main.py that is put there."""
    (tmp_path / "boot.py").write_text(BOOT)
    settings = {"MICROPYPATH": ".:.frozen", "VLS_SIM_FLASH": str(tmp_path / "flash.bin")}
    with SimulatedBoard(tmp_path / "boot.py", settings) as board:
        yield board


def files_of(board: SimulatedBoard) -> Path:
    """Return the board's file system."""
    return board.port.parent / "files"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def deployed(capfd: pytest.CaptureFixture[str], board: SimulatedBoard, name: str = "sim") -> Ran:
    return run(capfd, "deploy", "--board", name, "--port", board.port)


def test_deploy_puts_the_firmware_there_and_starts_it(
    board: SimulatedBoard, firmware: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    count = len(contents(firmware))
    ran = deployed(capfd, board)
    assert (ran.status, ran.out) == (0, "")
    assert f"{count} of {count} files copied, 0 were right already; all are verified.\n" in ran.err
    assert "The board runs our firmware: board sim, firmware 0.1.0.\n" in ran.err
    assert ran.err.count("\n") == 3
    assert ran.err.endswith(f"Check what it holds with: vls-backup pull --port {board.port} --list\n")
    assert contents(files_of(board)) == contents(firmware)
    assert run(capfd, "pull", "--port", board.port, "--list").status == 4  # our loop answers: no snapshot yet

    written = {path: path.stat().st_mtime_ns for path in files_of(board).rglob("*")}
    ran = deployed(capfd, board)  # its loop runs now
    assert ran.status == 0
    assert f"0 of {count} files copied, {count} were right already" in ran.err
    assert {path: path.stat().st_mtime_ns for path in files_of(board).rglob("*")} == written
    assert run(capfd, "pull", "--port", board.port, "--list").status == 4


def test_damaged_missing_and_shadowing_files_are_put_right(
    board: SimulatedBoard, firmware: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert deployed(capfd, board).status == 0
    there = files_of(board)
    loop = bytearray((there / "signer" / "loop.mpy").read_bytes())
    loop[len(loop) // 2] ^= 1
    (there / "signer" / "loop.mpy").write_bytes(loop)
    (there / "backup_format" / "log.mpy").unlink()
    (there / "signer" / "merge.py").write_text("an older one, which would be imported instead")
    (there / "mine.txt").write_text("not ours")
    ran = deployed(capfd, board)
    assert ran.status == 0, ran.err
    assert "3 of " in ran.err  # the two, and main.py, which is taken away meanwhile
    assert contents(there) == {**contents(firmware), "mine.txt": b"not ours"}


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("sdcard", "then deploy again: mpremote connect {port} mip install sdcard@0.2.0"),
        ("esp32", "no module named 'esp32'. Is this a board for which --board sim is meant?"),
    ],
)
def test_a_module_that_the_board_lacks(
    board: SimulatedBoard, firmware: Path, capfd: pytest.CaptureFixture[str], module: str, said: str
) -> None:
    """Said before the firmware is started; with the module put there, deploying again is all it takes."""
    (firmware / "board_def.mpy").rename(firmware / "real_board.mpy")
    source = firmware / "board_def.py"
    source.write_text(f"import {module}\nfrom real_board import Board\n")
    ran = deployed(capfd, board)
    assert ran.status == 5 and said.format(port=board.port) in error_line(ran), ran.err
    (files_of(board) / f"{module}.py").write_text("")
    ran = deployed(capfd, board)
    assert ran.status == 0 and ", 0 were right already" not in ran.err, ran.err


def test_cable_pulled_in_the_middle(board: SimulatedBoard, firmware: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert deployed(capfd, board).status == 0
    there = files_of(board)
    (there / "nor.mpy").unlink()
    shutil.rmtree(there / "signer")
    shutil.rmtree(there / "signer_backup")

    def pull_cable() -> None:
        while len(list(there.rglob("signer*/*.mpy"))) < 5:
            time.sleep(0.002)
        board.unplug()

    puller = threading.Thread(target=pull_cable)
    puller.start()
    ran = deployed(capfd, board)
    puller.join()
    assert ran.status == 5
    assert "stopped answering. Plug it in again and run the same command" in error_line(ran)
    left = len(contents(firmware)) - len(contents(there))
    assert left > 1
    assert not (there / "main.py").exists()  # half a firmware never starts

    board.plug()
    ran = deployed(capfd, board)
    assert ran.status == 0, ran.err
    copied = int(ran.err.split(" of ")[0].splitlines()[-1])
    assert left <= copied <= left + 1  # and the file that was being written
    assert contents(there) == contents(firmware)


def test_bytes_that_do_not_stay_are_noticed(
    board: SimulatedBoard, firmware: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (files_of(board) / "nor.mpy").symlink_to("/dev/null")
    ran = deployed(capfd, board)
    assert ran.status == 5
    assert "reads back other bytes of nor.mpy" in error_line(ran)
    assert not (files_of(board) / "main.py").exists()


def test_firmware_that_does_not_start_is_noticed(
    board: SimulatedBoard, firmware: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deploy, "_START_SECONDS", 2)
    (firmware / "main.py").write_text("raise ImportError('no such board')\n")
    ran = deployed(capfd, board)
    assert ran.status == 5
    assert ran.err.endswith(
        "Error: The files on the board are right, but its firmware doesn't answer. Unplug the board, plug it in again, "
        f"and ask it what is wrong: vls-backup status --port {board.port}\n"
    )


def test_unknown_board_lists_the_known_ones(
    board: SimulatedBoard, built: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deploy, "firmware_folder", lambda: built)
    ran = deployed(capfd, board, "raspberry")
    assert (ran.status, ran.out) == (2, "")
    known = ", ".join(sorted(path.name for path in built.iterdir()))
    assert f"--board raspberry: there is no firmware for it. There is for: {known}." in ran.err
    assert "sim" in known
    assert contents(files_of(board)) == {}


def test_firmware_for_another_vm_is_refused(
    board: SimulatedBoard, firmware: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = bytearray((firmware / "nor.mpy").read_bytes())
    old[1] = 5
    (firmware / "nor.mpy").write_bytes(old)
    ran = deployed(capfd, board)
    assert ran.status == 5
    assert "this firmware is for MicroPython with version 5, 6" in error_line(ran)
    assert contents(files_of(board)) == {}


def test_circuitpython_firmware_is_copied_by_hand(
    board: SimulatedBoard, firmware: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (firmware / "code.py").write_text("")
    ran = deployed(capfd, board)
    assert ran.status == 1
    assert f"copy everything in {firmware} onto its drive CIRCUITPY" in error_line(ran)


def test_half_a_build_is_refused(board: SimulatedBoard, firmware: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (firmware / "main.py").unlink()
    ran = deployed(capfd, board)
    assert ran.status == 1
    assert "is no whole firmware: main.py is missing" in error_line(ran)


def test_no_port(firmware: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "deploy", "--board", "sim", "--port", tmp_path / "none")
    assert ran.status == 5
    assert f"There is no port {tmp_path / 'none'}." in error_line(ran)


def test_no_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "__file__", str(tmp_path / "a" / "b" / "deploy.py"))
    with pytest.raises(BackupError, match="no firmware to deploy: run make firmware"):
        deploy.firmware_folder()
    (tmp_path / "build" / "firmware").mkdir(parents=True)
    assert deploy.firmware_folder() == tmp_path / "build" / "firmware"
    (tmp_path / "a" / "b" / "firmware").mkdir(parents=True)
    assert deploy.firmware_folder() == tmp_path / "a" / "b" / "firmware"
