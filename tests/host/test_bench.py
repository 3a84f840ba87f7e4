"""`make bench`: what it reports, and how it ends."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_rig import ROOT, RUN
from rich.console import Console
from tools import bench, bench_channels, bench_table
from tools.bench_table import Row, compare, failed

from vls_backup_sim.feeder import TOMBSTONE, Feeder

GOOD = compare("good: other", 40, 100, 0.4)
BAD = compare("bad: other", 41, 100, 0.4)
BROKEN = failed("broken: other", "out of memory at request 587", 1, 0.4)


def concluded(rows: list[Row], tmp_path: Path) -> tuple[int, str, dict[str, object]]:
    """Return exit status, what was printed, and the JSON."""
    out = io.StringIO()
    status = bench.conclude(rows, tmp_path / "build" / "bench.json", Console(file=out, width=150))
    return status, out.getvalue(), json.loads((tmp_path / "build" / "bench.json").read_text())


def test_all_goals_met(tmp_path: Path) -> None:
    status, said, result = concluded([GOOD], tmp_path)
    assert status == 0
    assert "Missed" not in said and "1 of 1 goals met" in said
    row = {"name": "good: other", "ours": 40, "other": 100, "ratio": 0.4, "goal": 0.4, "met": True}
    assert result == {"commit": bench_table.commit(), "rows": [row]}


@pytest.mark.parametrize("row", [BAD, BROKEN], ids=["missed", "broken"])
def test_a_missed_goal_is_named(row: Row, tmp_path: Path) -> None:
    status, said, result = concluded([GOOD, row], tmp_path)
    assert status == 1
    assert f"Missed: {row.name}" in said and "1 of 2 goals met" in said
    assert [found["met"] for found in result["rows"]] == [True, False]  # type: ignore[attr-defined]
    assert str(row.ours) in said


def test_a_part_that_breaks_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And the parts behind it are measured all the same."""

    def breaking() -> Iterator[Row]:
        yield GOOD
        raise RuntimeError("the VM is gone")

    monkeypatch.setattr(bench, "PARTS", {"first": breaking, "second": lambda: iter([GOOD])})
    rows = bench.measure(["first", "second"], Console(file=io.StringIO()))
    assert [row.met for row in rows] == [True, False, True]
    assert rows[1].ours == "RuntimeError: the VM is gone"
    assert concluded(rows, tmp_path)[0] == 1


def test_commit_is_the_checkouts() -> None:
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert bench_table.commit().removesuffix("-dirty") == head.stdout.strip()


def test_the_command(tmp_path: Path) -> None:
    """The quickest part, as make bench runs it."""
    command = [sys.executable, "-m", "tools.bench", "stored", "--output", str(tmp_path / "bench.json")]
    path = f"{ROOT / 'firmware'}:{ROOT / 'boards' / 'sim'}"
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert len(rows) == 4 and all(0 < row["ratio"] == round(row["ours"] / row["other"], 4) for row in rows)


def test_a_longer_run_is_the_run_with_more_channels(tmp_path: Path) -> None:
    """A run that the feeder takes, whose node knows of the channels before its first request."""
    bench_channels.longer_run(tmp_path / "run.jsonl", 7)
    longer, plain = Feeder(tmp_path / "run.jsonl"), Feeder(RUN)
    more = bench_channels.multiplied(7)
    assert len(more) == 14 and all(entry.version != TOMBSTONE for entry in more.values())
    for i in (0, 933):
        assert longer.state_after(i) == {**plain.state_after(i), **more}
