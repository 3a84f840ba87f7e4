"""vls-backup configure: the command as a user runs it, on a simulated board whose power is cut now and then."""

import json
from pathlib import Path

import pytest
from board_rig import Done, fill, vault, vls_backup

from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.settings import board_settings


def configure(board: SimulatedBoard, *arguments: str) -> Done:
    return vls_backup("configure", "--port", board.port, "--strategy", *arguments)


def strategy(board: SimulatedBoard) -> tuple[str, int, str]:
    says = json.loads(vls_backup("status", "--port", board.port, "--json").stdout)
    return says["strategy"], says["updates"], says["strategy_from"]


def test_it_outlives_power_cuts_and_another_default(tmp_path: Path) -> None:
    flash = tmp_path / "flash.bin"
    with vault(flash, "periodic:1") as board:
        assert strategy(board) == ("periodic", 1, "board")
        done = configure(board, "periodic", "--updates", "10")  # nothing was ever written here
        assert (done.returncode, done.stdout) == (0, "")
        assert "before: periodic:1 (the board's default). Now: periodic:10 (set by configure)." in done.stderr
        board.cut_power()
        assert strategy(board) == ("periodic", 10, "medium")
        fill(board, 20)
        board.cut_power()
        assert strategy(board) == ("periodic", 10, "medium")
        assert "periodic:10 (set by configure)" in vls_backup("status", "--port", board.port).stdout
        done = configure(board, "never", "--json")
        assert done.returncode == 0 and "takes no snapshots any more" in done.stderr
        assert json.loads(done.stdout) == {
            "before": {"strategy": "periodic", "updates": 10, "strategy_from": "medium"},
            "now": {"strategy": "never", "updates": 0, "strategy_from": "medium"},
        }
        snapshot = newest(board)
        assert snapshot
        fill(board, 60)
        assert newest(board) == snapshot
    with vault(flash, "new-channels-only") as board:
        assert strategy(board) == ("never", 0, "medium")
        assert configure(board, "new-channels-only").returncode == 0
        board.cut_power()
        assert strategy(board) == ("new-channels-only", 0, "medium")


def newest(board: SimulatedBoard) -> int | None:
    number = json.loads(vls_backup("status", "--port", board.port, "--json").stdout)["snapshot"]
    assert number is None or isinstance(number, int)
    return number


def test_an_idle_board(tmp_path: Path) -> None:
    with SimulatedBoard(None, board_settings(tmp_path / "flash.bin", "periodic:1")) as board:
        assert configure(board, "never").returncode == 0
        assert strategy(board) == ("never", 0, "medium")


def test_the_power_is_cut_while_it_is_written(tmp_path: Path) -> None:
    """The command asks the board that came back, or fails: the board says one or the other strategy, none is lost."""
    flash = tmp_path / "flash.bin"
    with vault(flash) as board:
        assert configure(board, "periodic", "--updates", "5").returncode == 0
        for n in (1, 2):
            control = tmp_path / "new"
            control.write_text(str(n))
            control.rename(tmp_path / "flash.bin.cut")
            done = configure(board, "periodic", "--updates", str(10 + n))
            says = strategy(board)
            assert says in (("periodic", 10 + n, "medium"), ("periodic", 9 + n, "medium"), ("periodic", 5, "medium"))
            if done.returncode == 0:
                assert says[1] == 10 + n
        (tmp_path / "flash.bin.cut").unlink(missing_ok=True)
        assert board.power_cuts == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["periodic"], "needs --updates N"),
        (["never", "--updates", "3"], "goes with --strategy periodic only"),
        (["periodic", "--updates", "0"], "not in the range"),
        (["often"], "often"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = vls_backup("configure", "--port", tmp_path / "nowhere", "--strategy", *arguments)
    assert done.returncode == 2 and words in done.stderr and done.stdout == ""


def test_a_board_without_a_medium(tmp_path: Path) -> None:
    with vault(tmp_path / "no" / "folder.bin") as board:
        done = configure(board, "never")
        assert done.returncode == 5 and "could not be written" in done.stderr
        assert strategy(board) == ("periodic", 1, "board")
