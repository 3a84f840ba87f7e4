"""vls-backup pull when something is wrong: a plain message, a status, and never half a file."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from board_rig import (
    MAIN,
    OLD,
    ROOT,
    RUN,
    FailingBoard,
    fill,
    greenlight_file,
    live,
    node,
    pull,
    pulled,
    result,
    start,
    vault,
    vls_backup,
    whole_numbers,
)

from backup_format import frames
from backup_format.units import UNIT_HEADER, parse_unit_header
from vls_backup.link import LinkError
from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.feeder import Feeder

FILLED = 60


@pytest.fixture(scope="module")
def recorded() -> Feeder:
    return Feeder(RUN)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a flash with snapshots up to request FILLED."""
    flash = tmp_path_factory.mktemp("bad") / "flash.bin"
    with vault(flash) as board:
        fill(board, FILLED)
    return flash.read_bytes()


@pytest.fixture
def flash(filled: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "flash.bin"
    path.write_bytes(filled)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    """A file that is there already; whatever fails, it must stay as it was, with nothing beside it."""
    path = tmp_path / "out" / "backup.json"
    path.parent.mkdir()
    path.write_text(OLD)
    yield path
    assert [entry.name for entry in path.parent.iterdir()] == ["backup.json"]


def test_no_such_port(output: Path) -> None:
    done = vls_backup("pull", "--port", "/dev/ttyNOPE", "--output", output)
    assert (done.returncode, done.stdout, output.read_text()) == (5, "", OLD)
    assert "no port /dev/ttyNOPE" in done.stderr and "ls /dev/ttyACM*" in done.stderr


@pytest.mark.parametrize("port", [ROOT / "Makefile", ROOT, "/dev/null"], ids=["file", "folder", "device"])
def test_a_path_that_is_no_port(port: Path | str, output: Path) -> None:
    done = vls_backup("pull", "--port", port, "--output", output)
    assert (done.returncode, done.stdout, output.read_text()) == (5, "", OLD)
    assert f"{port} is no serial port" in done.stderr or f"{port} can't be used as a board's port" in done.stderr


def test_the_output_is_checked_before_the_board_is_asked(tmp_path: Path) -> None:
    """Not after minutes of pulling: with a port that doesn't exist, the output's fault is what is told."""
    for path, words in (
        (tmp_path / "missing" / "backup.json", f"there is no folder {tmp_path / 'missing'}"),
        (tmp_path, "not a regular file"),
        (Path("/dev/null"), "not a regular file"),
    ):
        done = vls_backup("pull", "--port", "/dev/ttyNOPE", "--output", path)
        assert (done.returncode, done.stdout) == (6, "")
        assert words in done.stderr and str(path) in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c(flash: Path, output: Path) -> None:
    with FailingBoard(flash, lambda board: board.signal(signal.SIGSTOP)) as board:
        board.fail_after(9000)
        process = start("pull", "--port", board.port, "--output", output)
        assert board.failed.wait(20)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        done = result(process)
    assert (done.returncode, done.stdout, output.read_text()) == (130, "", OLD)
    assert "stopped by Ctrl-C" in done.stderr


def test_ctrl_c_leaves_an_idle_board_at_its_prompt(flash: Path, output: Path) -> None:
    with FailingBoard(flash, lambda board: board.signal(signal.SIGSTOP), script=None) as board:
        board.fail_after(9000)
        process = start("pull", "--port", board.port, "--output", output)
        assert board.failed.wait(20)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        board.signal(signal.SIGCONT)
        assert result(process).returncode == 130
        with serial.Serial(str(board.port), timeout=3) as port:
            port.write(b"\r")
            assert port.read_until(b">>> ").endswith(b">>> ")
    assert output.read_text() == OLD


def test_cable_pulled(flash: Path, output: Path) -> None:
    with FailingBoard(flash, FailingBoard.pull_cable) as board:
        board.fail_after(9000)
        done = pull(board, "--output", output)
        assert (done.returncode, done.stdout, output.read_text()) == (5, "", OLD)
        assert "port failed" in done.stderr and "Plug" in done.stderr
        board.plug()
        assert pull(board, "--output", output).returncode == 0
        assert board.restarts == 0


def test_power_cut_during_a_pull(flash: Path, output: Path, recorded: Feeder) -> None:
    """The board comes back, and the pull goes on where it was."""
    with FailingBoard(flash, lambda board: board.signal(signal.SIGKILL)) as board:
        board.fail_after(9000)
        done = pull(board, "--output", output)
        assert (done.returncode, board.power_cuts) == (0, 1), done.stderr
    text = output.read_text()
    strategy = {"periodic": {"updates": 1}}
    assert text == greenlight_file(recorded.state_after(FILLED), json.loads(text)["created_at"], strategy)


def place(board: SimulatedBoard, number: int) -> dict[str, int]:
    """Return where a snapshot lies, as the board says."""
    with node(board) as link:
        return dict(json.loads(link.exchange(frames.OPEN, number.to_bytes(4, "big"))))


def flip(flash: Path, where: dict[str, int], position: int) -> None:
    """Flip a bit on the flash, at a log position of the arena in which a snapshot lies."""
    data = bytearray(flash.read_bytes())
    size = where["erase_size"]
    for unit in range(len(data) // size):
        header = parse_unit_header(data[unit * size : unit * size + UNIT_HEADER])
        if header and header.arena == where["arena"] and 0 <= position - header.start < size - UNIT_HEADER:
            data[unit * size + UNIT_HEADER + position - header.start] ^= 0x10
            with flash.open("r+b") as file:
                file.write(data[:-24])  # the trailer with its counters is the VM's
            return
    raise AssertionError(f"no unit holds position {position}")


@pytest.mark.parametrize("power", ["on", "cut"])
@pytest.mark.parametrize(("hit", "before_end"), [("an entry", 90), ("its commit record", 20)])
def test_newest_snapshot_damaged(
    flash: Path, output: Path, recorded: Feeder, power: str, hit: str, before_end: int
) -> None:
    with vault(flash) as board:
        newest = pulled(board).commit.number
        older = live(pulled(board, newest - 1))
        where = place(board, newest)
        flip(flash, where, where["end"] - before_end)
        if power == "cut":
            board.cut_power()
        done = pull(board, "--output", output)
        if power == "on":
            assert (done.returncode, done.stdout, output.read_text()) == (1, "", OLD)
            assert "is damaged" in done.stderr and "--generation -1" in done.stderr
            assert hit != "an entry" or f"Snapshot {newest} is damaged" in done.stderr
        else:  # found at the start: the one before is the newest now
            assert done.returncode == 0 and f"Snapshot {newest - 1} of node" in done.stderr
            assert (f"Warning: snapshot {newest} is newer, but damaged" in done.stderr) == (hit == "an entry")
        for generation in (newest - 1, -1):
            done = pull(board, "--output", output, "--generation", generation)
            assert done.returncode == 0, done.stderr
            text = output.read_text()
            assert text == greenlight_file(older, json.loads(text)["created_at"], {"periodic": {"updates": 1}})
        done = pull(board, "--generation", newest)
        assert (done.returncode, done.stdout) == ((4 if (hit, power) == ("its commit record", "cut") else 1), "")
        rows = {row["number"]: row["whole"] for row in json.loads(pull(board, "--list", "--json").stdout)}
        assert rows[newest - 1] is True and rows.get(newest) is (False if hit == "an entry" else None)


def test_damage_in_an_older_snapshot(flash: Path, output: Path, recorded: Feeder) -> None:
    """An entry that was replaced later: the snapshots that need it can't be pulled, the newest can."""
    with vault(flash) as board, node(board) as link:
        numbers = whole_numbers(link)
        end = place(board, numbers[-3])["end"]
        flip(flash, place(board, 0), end - 90)
        left = whole_numbers(link)
        assert numbers[-1] in left and numbers[-3] not in left
        rows = {row["number"]: row["whole"] for row in json.loads(pull(board, "--list", "--json").stdout)}
        assert [number for number in rows if rows[number] is False] == [n for n in numbers if n not in left]
        listed = pull(board, "--list")
        assert listed.stdout.count("not whole") == len(numbers) - len(left) and "can't be pulled" in listed.stderr
        done = pull(board, "--generation", numbers[-3])
        assert (done.returncode, done.stdout) == (1, "")
        assert f"Snapshot {numbers[-3]} is damaged: something in it is missing or damaged" in done.stderr
        done = pull(board, "--generation", -len(left), "--output", output)
        assert done.returncode == 0 and f"Snapshot {left[0]} of node" in done.stderr
        board.cut_power()
        done = pull(board, "--output", output)
        assert done.returncode == 0 and "damaged" not in done.stderr
    text = output.read_text()
    strategy = {"periodic": {"updates": 1}}
    assert text == greenlight_file(recorded.state_after(FILLED), json.loads(text)["created_at"], strategy)


@pytest.mark.parametrize("power", ["on", "cut"])
def test_all_snapshots_damaged(flash: Path, output: Path, power: str) -> None:
    """Their common beginning is hit, and there is no other arena: told as damage, not as "no snapshot yet"."""
    with vault(flash) as board:
        where = place(board, 0)
        flip(flash, where, 20)
        if power == "cut":
            board.cut_power()
        for arguments in ([], ["--generation", "-1"]):
            done = pull(board, "--output", output, *arguments)
            assert (done.returncode, done.stdout, output.read_text()) == (1, "", OLD)
            assert "damaged" in done.stderr and "no snapshot yet" not in done.stderr
        # What the message advises helps: the node attaches, and again if the board tells it that its state is damaged.
        for _ in range(3):
            try:
                feeder = fill(board, FILLED + 10)
                break
            except LinkError as error:
                assert error.code == frames.E_MEDIUM
        assert live(pulled(board)) == feeder.state_after(FILLED + 10)


def test_clock_unset(flash: Path, output: Path, tmp_path: Path) -> None:
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with vault(tmp_path / "new.bin", VLS_SIM_CLOCK="unset") as board:
        fill(board, FILLED)
        done = pull(board, "--output", output)
        rows = json.loads(pull(board, "--list", "--json").stdout)
        listed = pull(board, "--list").stdout
    after = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert done.returncode == 0
    assert "Warning: the board's clock" in done.stderr and "created_at is the present time" in done.stderr
    assert before <= json.loads(output.read_text())["created_at"] <= after
    assert {row["time"] for row in rows} == {None} and listed.count("clock unset") == len(rows)


def test_a_medium_that_cannot_be_used(tmp_path: Path, output: Path) -> None:
    (tmp_path / "flash.bin").write_bytes(b"somebody's photos")
    with vault(tmp_path / "flash.bin") as board:
        for arguments in (["--output", output], ["--list"]):
            done = pull(board, *arguments)
            assert (done.returncode, done.stdout, output.read_text()) == (5, "", OLD)
            assert "flash.bin is 17 bytes long" in done.stderr


def test_firmware_without_backups(tmp_path: Path, output: Path) -> None:
    for name in ("signer", "backup_format"):
        (tmp_path / name).symlink_to(ROOT / "firmware" / name)
    shutil.copy(MAIN, tmp_path / "main.py")
    path = {"MICROPYPATH": f"{tmp_path}:{ROOT / 'boards' / 'sim'}:.frozen"}
    with SimulatedBoard(tmp_path / "main.py", path) as board:
        done = pull(board, "--output", output)
    assert (done.returncode, done.stdout, output.read_text()) == (5, "", OLD)
    assert "no backups built in" in done.stderr
