"""vls-backup format: the command as a user runs it, on a simulated board with this and that on its flash."""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from board_rig import NODE_ID, Done, exchange, fill, live, node, pull, pulled, result, start, vault, vls_backup

from backup_format import frames
from backup_format.units import UnitHeader
from vls_backup.link import LinkError
from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.settings import board_settings

SIZE = 512 * 1024
OTHER = "03" + "5a" * 32


def flash_with(path: Path, start: bytes, size: int = SIZE) -> Path:
    """Write a flash file that something else was on: start, then other bytes."""
    path.write_bytes((start + b"photo!!\n" * (size // 8))[:size] + bytes(24))
    return path


def fat() -> bytes:
    """Return the boot sector of a FAT16 file system."""
    head = b"\xeb\x3c\x90MSDOS5.0" + (512).to_bytes(2, "little") + b"\x04\x01\x00\x02\x00\x02\x00\x04\xf8\x01\x00"
    return (head.ljust(54, b"\0") + b"FAT16   ").ljust(510, b"\0") + b"\x55\xaa"


def format_(board: SimulatedBoard, *arguments: str) -> Done:
    return vls_backup("format", "--port", board.port, *arguments)


def status(board: SimulatedBoard) -> dict[str, object]:
    says = json.loads(vls_backup("status", "--port", board.port, "--json").stdout)
    assert isinstance(says, dict)
    return says


def on_a_terminal(board: SimulatedBoard, answer: str, *arguments: str) -> Done:
    """Run format with a terminal as its input, on which somebody answers."""
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    command = [sys.executable, "-m", "vls_backup", "format", "--port", str(board.port), *arguments]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
    os.close(ours)
    os.close(theirs)
    return done


def test_a_card_with_photos(tmp_path: Path) -> None:
    flash = flash_with(tmp_path / "flash.bin", fat())
    before = flash.read_bytes()[:SIZE]
    with vault(flash) as board:
        assert "no backup of ours" in str(status(board)["last_error"])

        done = format_(board)  # no terminal
        assert done.returncode == 2 and "FAT file system, for instance a camera's photos" in done.stderr
        assert "use --yes" in done.stderr and done.stdout == ""
        done = on_a_terminal(board, "n\n")
        assert done.returncode == 2 and "Nothing was erased" in done.stderr
        assert flash.read_bytes()[:SIZE] == before

        done = on_a_terminal(board, "y\n")
        assert done.returncode == 0 and "the medium is blank, and in use" in done.stderr, done.stderr
        assert flash.read_bytes()[:SIZE] == b"\xff" * SIZE
        assert format_(board).returncode == 0  # nothing to do, nothing to ask
        feeder = fill(board, 20)
        assert live(pulled(board)) == feeder.state()


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\xeb\x76\x90EXFAT   ", "exFAT"),
        (bytes(446) + bytes((0, 0, 0, 0, 12)) + bytes(59) + b"\x55\xaa", "partition table"),
        (bytes(8) + b"littlefs", "littlefs"),
        (b"whatever", "something that this program does not know"),
    ],
)
def test_other_content(start: bytes, words: str, tmp_path: Path) -> None:
    flash = flash_with(tmp_path / "flash.bin", start)
    with vault(flash) as board:
        done = format_(board, "--yes")
        assert done.returncode == 0 and words in done.stderr, done.stderr
        assert flash.read_bytes()[:SIZE] == b"\xff" * SIZE


def test_backups_are_never_erased_unless_their_node_is_named(tmp_path: Path) -> None:
    flash = tmp_path / "flash.bin"
    with vault(flash) as board:
        assert vls_backup("configure", "--port", board.port, "--strategy", "periodic", "--updates", "1").returncode == 0
        fill(board, 30)
        newest = status(board)["snapshot"]
        before = flash.read_bytes()
        for arguments, words in (
            ([], f"vls-backup format --port {board.port} --erase-backups {NODE_ID}"),
            (["--erase-backups", OTHER], f"holds no backups of {OTHER}"),
            (["--erase-backups", "02abc"], "a node id is 66 hex digits"),
            (["--erase-backups", NODE_ID[:-1] + "x"], "a node id is 66 hex digits"),
            ([f"--erase-backups=02{n:064x}" for n in range(7)], "would be lost for good"),
            ([f"--erase-backups=02{n:064x}" for n in range(8)], "at most 7 nodes"),
        ):
            done = format_(board, "--yes", *arguments)
            assert done.returncode == 2 and words in done.stderr and done.stdout == "", done.stderr
        done = format_(board, "--yes")
        assert f"snapshot {newest}" in done.stderr and "channels, 20" in done.stderr and "just now" in done.stderr
        assert f"vls-backup pull --port {board.port}" in done.stderr
        assert flash.read_bytes() == before and pull(board).returncode == 0

        done = format_(board, "--erase-backups", NODE_ID.upper(), "--yes")
        assert done.returncode == 0 and "periodic:1 (set by configure)" in done.stderr, done.stderr
        assert flash.read_bytes().count(b"VLSb") == 1  # what was configured
        assert pull(board).returncode == 4
        board.cut_power()
        assert (status(board)["snapshot"], status(board)["strategy_from"]) == (None, "medium")
        fill(board, 30)
        assert pull(board).returncode == 0


def test_a_node_goes_on(tmp_path: Path) -> None:
    """The signer's loop goes on: the node hears one error, attaches, and the next snapshot holds everything."""
    with vault(tmp_path / "flash.bin") as board:
        feeder = fill(board, 40)
        assert format_(board, "--erase-backups", NODE_ID, "--yes").returncode == 0
        with node(board) as link:
            errors = []
            for i in range(41, 60):
                try:
                    exchange(link, feeder, feeder.request(i))
                except LinkError as error:
                    errors.append(error)
                    link.hello(attach=True)
                    feeder.attach()
                    exchange(link, feeder, feeder.greeting())
        assert [error.code for error in errors] == [frames.E_MEDIUM] and "attach again" in errors[0].text
        assert status(board)["failures"] == 0
        assert live(pulled(board)) == feeder.state()


def test_the_power_is_cut_in_the_middle(tmp_path: Path) -> None:
    """The board comes back and the command goes on by itself; killed, it is simply run again."""
    size = 32 << 20  # takes several calls
    flash = flash_with(tmp_path / "flash.bin", fat(), size)
    with vault(flash, VLS_SIM_SIZE=str(size)) as board:
        (tmp_path / "cut").write_text("8000")
        (tmp_path / "cut").rename(tmp_path / "flash.bin.cut")
        done = format_(board, "--yes")
        assert board.power_cuts == 1 and done.returncode == 0, done.stderr
        assert flash.read_bytes()[:size] == b"\xff" * size


def test_the_command_is_killed_in_the_middle(tmp_path: Path) -> None:
    flash = tmp_path / "flash.bin"
    with vault(flash) as board:
        fill(board, 120)
        kept = flash.read_bytes().count(b"VLSb")
        erases = int.from_bytes(flash.read_bytes()[SIZE + 16 :], "little")
        process = start("format", "--port", board.port, "--erase-backups", NODE_ID, "--yes")
        deadline = time.monotonic() + 30
        while int.from_bytes(flash.read_bytes()[SIZE + 16 :], "little") == erases:
            assert time.monotonic() < deadline
        process.kill()
        result(process)
        assert kept > 2
        again = format_(board, "--erase-backups", NODE_ID, "--yes")
        assert again.returncode == 0, again.stderr
        assert flash.read_bytes()[:SIZE] == b"\xff" * SIZE


def test_a_newer_format_version(tmp_path: Path) -> None:
    header = bytearray(69)
    UnitHeader(4096, 256, 1, 1, 0, 0, 0, 1, bytes.fromhex(OTHER)).pack_into(header)
    header[4] = 9
    header[65:] = frames.crc32(bytes(header[:65])).to_bytes(4, "big")
    flash = flash_with(tmp_path / "flash.bin", bytes(header))
    with vault(flash) as board:
        assert "version 9" in str(status(board)["last_error"])
        done = format_(board, "--yes")
        assert done.returncode == 2 and OTHER in done.stderr and "newer firmware" in done.stderr
        assert "pull" not in done.stderr
        assert format_(board, "--yes", "--erase-backups", OTHER).returncode == 0
        assert flash.read_bytes()[:SIZE] == b"\xff" * SIZE


def test_backups_in_other_erase_units_are_found_before_they_are_erased(tmp_path: Path) -> None:
    flash = flash_with(tmp_path / "flash.bin", fat())
    header = bytearray(69)
    UnitHeader(1024, 256, 1, 1, 0, 0, 0, 1, bytes.fromhex(OTHER)).pack_into(header)
    inside = 40 * 4096 + 1024
    with flash.open("r+b") as file:
        file.seek(inside)
        file.write(header)
    with vault(flash) as board:
        done = format_(board, "--yes", "--erase-backups", NODE_ID)
        assert done.returncode == 5, done.stderr
        assert f"--port {board.port} --erase-backups {NODE_ID} --erase-backups {OTHER}\n" in done.stderr, done.stderr
        assert "None of them was erased" in done.stderr and flash.read_bytes()[inside : inside + 69] == header
        assert format_(board, "--yes", "--erase-backups", OTHER).returncode == 0
        assert flash.read_bytes()[:SIZE] == b"\xff" * SIZE


def test_an_idle_board(tmp_path: Path) -> None:
    flash = flash_with(tmp_path / "flash.bin", fat())
    with SimulatedBoard(None, board_settings(flash, "periodic:1")) as board:
        assert format_(board, "--yes").returncode == 0
    assert flash.read_bytes()[:SIZE] == b"\xff" * SIZE


def test_no_medium(tmp_path: Path) -> None:
    with vault(tmp_path / "no" / "folder.bin") as board:
        done = format_(board, "--yes")
        assert done.returncode == 5 and "no medium" in done.stderr
