"""The rows of `make bench`: their table for people, and build/bench.json for programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "build" / "bench.json"


@dataclass(frozen=True)
class Row:
    """One comparison. The goal is the largest ratio = ours / other that is good enough; met: whether it was kept.

    ours is a text where there is no number: it says what failed; ratio is None then, and met is False.
    """

    name: str
    ours: int | float | str
    other: int | float
    ratio: float | None
    goal: float
    met: bool


def compare(name: str, ours: int | float, other: int | float, goal: float) -> Row:
    """Return the row of two numbers of the same unit, which name tells."""
    ratio = ours / other
    return Row(name, ours, other, round(ratio, 4), goal, ratio <= goal)


def failed(name: str, what: str, other: int | float, goal: float) -> Row:
    """Return the row of something that could not be measured because what failed."""
    return Row(name, what, other, None, goal, False)


def commit() -> str:
    """Return the commit that is measured, with `-dirty` if the checkout differs from it."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def write_json(path: Path, rows: Sequence[Row], of_commit: str) -> None:
    """Write the result to path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {"commit": of_commit, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def cells(row: Row) -> list[str]:
    """Return the row as a person reads it: name, ours, other, ratio, goal, met."""
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
    return [row.name, _number(row.ours), _number(row.other), ratio, f"≤ {row.goal:.3f}", "yes" if row.met else "NO"]


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Print all rows as one table."""
    table = Table("what", "ours", "the other", "ratio", "goal", "met")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*cells(row), style=None if row.met else "bold red")
    console.print(table)


def _number(value: int | float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
