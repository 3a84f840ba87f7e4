"""`make test-device` works: against the simulated board, sound and broken, and against ports without a board."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from vls_backup_sim.bridge import SimulatedBoard

ROOT = Path(__file__).resolve().parents[2]
CHECKS = 15


def run_suite(port: object, report: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the suite as the Makefile does."""
    command = [sys.executable, str(ROOT / "tests/device/run_suite.py"), "--port", str(port), "--report", str(report)]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=120, check=False)


def results(report: Path) -> dict[str, str]:
    """Return {check: ok, FAIL or skip}."""
    lines = [line.split(":")[0].split() for line in report.read_text().splitlines()]
    return {name: result for result, name in lines}


def board(folder: Path, script: Path | None = None, **environment: str) -> SimulatedBoard:
    return SimulatedBoard(script, {"VLS_SIM_FLASH": str(folder / "flash"), **environment})


def test_simulated_board_keeps_the_contract(tmp_path: Path) -> None:
    """Also while its loop runs, which the suite ends; afterwards the loop runs again."""
    report = tmp_path / "report"
    with board(tmp_path, ROOT / "firmware" / "main.py") as sim:
        done = run_suite(sim.port, report)
        pull = subprocess.run(
            [str(Path(sys.executable).with_name("vls-backup")), "pull", "--list", "--port", str(sim.port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(results(report).values()) == {"ok"} and len(results(report)) == CHECKS + 1
    assert done.stdout.count("ok ") == CHECKS + 1
    assert "no snapshot yet" in pull.stdout + pull.stderr
    assert "MicroPython prompt" not in pull.stderr, "main.py does not run again"


def test_foreign_content_is_kept_unless_told(tmp_path: Path) -> None:
    writing = {"check_refused_writes", "check_erases_and_programs", "check_speed"}
    with board(tmp_path) as sim:
        assert run_suite(sim.port, tmp_path / "made").returncode == 0
        with (tmp_path / "flash").open("r+b") as flash:
            flash.write(b"my diary")
        kept = run_suite(sim.port, tmp_path / "kept")
        assert (tmp_path / "flash").read_bytes()[:8] == b"my diary"
        told = run_suite(sim.port, tmp_path / "told", "--erase")
        assert (tmp_path / "flash").read_bytes()[:8] == b"\xff" * 8
    assert kept.returncode == told.returncode == 0
    assert {name for name, result in results(tmp_path / "kept").items() if result == "skip"} == writing
    assert "ERASE=yes" in kept.stdout
    assert "skip" not in results(tmp_path / "told").values()


def test_broken_board_fails(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "board_def.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'boards/sim')!r})\n"
        "del sys.modules['board_def']\nimport board_def as sim\n"
        "class Board(sim.Board):\n    def clock(self):\n        return 0\n"
        "    def random(self, n):\n        return bytes(n)\n"
    )
    path = ":".join(map(str, (tmp_path / "code", ROOT / "firmware", ".frozen")))
    with board(tmp_path, MICROPYPATH=path) as sim:
        done = run_suite(sim.port, tmp_path / "report")
    assert done.returncode == 1, done.stdout + done.stderr
    failed = {name for name, result in results(tmp_path / "report").items() if result == "FAIL"}
    assert failed == {"check_clock", "check_random"}
    assert "2 failed" in done.stdout


def test_board_without_our_firmware_is_named(tmp_path: Path) -> None:
    with board(tmp_path, MICROPYPATH=".frozen") as sim:
        done = run_suite(sim.port, tmp_path / "report")
    assert done.returncode == 2 and "vls-backup deploy" in done.stderr
    assert "Traceback" not in done.stderr


def test_port_that_is_none(tmp_path: Path) -> None:
    done = run_suite(tmp_path / "none", tmp_path / "report")
    assert done.returncode == 2 and "can't be used" in done.stderr and "Traceback" not in done.stderr


def test_port_that_says_nothing(tmp_path: Path) -> None:
    silent, port = pty.openpty()
    try:
        link = tmp_path / "port"
        link.symlink_to(os.ttyname(port))
        done = run_suite(link, tmp_path / "report")
    finally:
        os.close(silent)
        os.close(port)
    assert done.returncode == 2 and "did not finish" in done.stderr and "Traceback" not in done.stderr


def test_suite_that_finds_nothing_to_run_is_a_failure() -> None:
    """The number of checks is counted here, so that none is lost unseen."""
    source = (ROOT / "tests/both/board_contract.py").read_text()
    assert source.count("\ndef check_") == CHECKS
