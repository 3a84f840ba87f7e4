"""A backup as text, with nothing but mpremote on the host; and what of a damaged text is said."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from backup_cases import Ran, run, run_process
from board_rig import fill, node, pull, vault

from vls_backup_sim.bridge import SimulatedBoard

MPREMOTE = str(Path(sys.executable).with_name("mpremote"))
PROGRAM = "from signer_backup.armour import show; from board_def import Board; show(Board())"
SECTION = b"-----BEGIN VLS BACKUP-----"


def printed(board: SimulatedBoard) -> bytes:
    """Return what `mpremote exec` prints of the board."""
    command = [MPREMOTE, "connect", str(board.port), "exec", PROGRAM]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done
    return done.stdout


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    """(The text that a board printed while its loop ran, the file with what was pulled from it just before)."""
    folder = tmp_path_factory.mktemp("armour")
    with vault(folder / "flash.bin") as board:
        fill(board, 60)
        pulled = pull(board, "--output", folder / "pulled.json")
        assert pulled.returncode == 0, pulled.stderr
        return printed(board), folder / "pulled.json"


def inspected(capfd: pytest.CaptureFixture[str], tmp_path: Path, text: bytes) -> Ran:
    (tmp_path / "backup.txt").write_bytes(text)
    return run(capfd, "inspect-backup", "--path", tmp_path / "backup.txt")


@pytest.mark.parametrize(
    "command",
    [["inspect-backup"], ["inspect-backup", "--format", "text"], ["convert-backup", "--skip-incomplete"]],
    ids=" ".join,
)
def test_text_is_read_like_the_pulled_file(command: list[str], backup: tuple[bytes, Path]) -> None:
    text, pulled = backup
    from_text = run_process(*command, "--path", "-", stdin=text)
    from_file = run_process(*command, "--path", "-", stdin=pulled.read_bytes())
    assert from_text.status == 0, from_text.err
    assert re.sub("[0-9]+ minutes? ago|just now", "", from_text.out) == re.sub(
        "[0-9]+ minutes? ago|just now", "", from_file.out
    )
    assert len(from_text.out) > 500


def test_text_is_plain(backup: tuple[bytes, Path]) -> None:
    text, _ = backup
    assert text.isascii()
    assert max(map(len, text.splitlines())) == 76


def test_text_copied_out_of_a_terminal(
    backup: tuple[bytes, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Prompts around it, other line ends, spaces at the ends of lines: all that does no harm."""
    text, pulled = backup
    lines = text.decode().splitlines()
    wanted = run(capfd, "inspect-backup", "--path", pulled)
    for copy in ("\n".join(lines), "\r\n".join(lines), "$ mpremote\n" + " \n".join(lines) + "\n$ exit\n"):
        assert inspected(capfd, tmp_path, copy.encode()) == wanted


@pytest.mark.parametrize(
    ("line", "change", "said"),
    [
        (10, lambda line: [], "a line is missing or was changed (its checksum differs)"),
        (10, lambda line: [line, line], "a line is missing or was changed (its checksum differs)"),
        (10, lambda line: [line[:40] + (b"A" if line[40:41] != b"A" else b"B") + line[41:]], "its checksum differs"),
        (10, lambda line: [line[:40] + line[41:]], "is damaged in the line "),
        (10, lambda line: [line[:40] + b"\x1b[2J" + line[44:]], r"is damaged in the line "),
        (-2, lambda line: [b"=" + b"0" * 64], "its checksum differs"),
        (-2, lambda line: [], "is no whole armoured backup"),
        (-1, lambda line: [], "is no whole armoured backup"),
        (1, lambda line: [], "is no whole armoured backup"),
        (1, lambda line: [b"Snapshot: 1"], "holds a damaged snapshot: its end is missing"),
        (2, lambda line: [b"Log-End: 1"], "holds a damaged snapshot: "),
    ],
)
def test_damaged_text_is_refused(
    backup: tuple[bytes, Path],
    line: int,
    change: object,
    said: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    lines = backup[0].splitlines()
    assert lines[0] == SECTION
    assert callable(change)
    line %= len(lines)
    lines[line : line + 1] = change(lines[line])
    ran = inspected(capfd, tmp_path, b"\n".join(lines) + b"\n")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"Error: {tmp_path / 'backup.txt'}: ")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert "\x1b" not in ran.err


def test_every_lost_line_is_noticed(
    backup: tuple[bytes, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = backup[0].splitlines()
    for lost in range(4, len(lines), 97):
        assert inspected(capfd, tmp_path, b"\n".join(lines[:lost] + lines[lost + 1 :])).status == 1


def test_a_backup_whose_json_speaks_of_armour_is_still_json(
    backup: tuple[bytes, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    parsed = json.loads(backup[1].read_text())
    parsed["state"]["values"]["a note"] = [1, f"\n{SECTION.decode()}\n"]
    assert inspected(capfd, tmp_path, json.dumps(parsed).encode()).status == 0


def test_board_without_a_snapshot_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with vault(tmp_path / "flash.bin") as board:
        with node(board) as link:  # a loop that has just begun takes no Ctrl-C yet
            link.hello(attach=False)
        text = printed(board)
    assert text.strip() == b"No backup can be read: there is no whole snapshot"
    ran = inspected(capfd, tmp_path, text)
    assert (ran.status, ran.out) == (1, "")
    assert "is not JSON" in ran.err
