"""`make bench`: what the firmware and the command cost, each number against another one and a goal.

Every part is measured by a module beside this one. Exit status 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from tools import (
    bench_coding,
    bench_commit,
    bench_heap,
    bench_host,
    bench_run,
    bench_snapshots,
    bench_stored,
    bench_wire,
)
from tools.bench_table import RESULT, Row, commit, failed, print_table, write_json

PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "stored": bench_stored.rows,
    "run": bench_run.rows,
    "snapshots": bench_snapshots.rows,
    "coding": bench_coding.rows,
    "commit": bench_commit.rows,
    "heap": bench_heap.rows,
    "wire": bench_wire.rows,
    "host": bench_host.rows,
}


def measure(parts: Sequence[str], console: Console) -> list[Row]:
    """Measure the parts, telling each row as soon as it is known."""
    found = []
    for part in parts:
        console.print(f"[dim]{part} …[/dim]", highlight=False)
        for row in _rows(part):
            console.print(f"  {row.name}: {'met' if row.met else 'MISSED'}", markup=False, highlight=False)
            found.append(row)
    return found


def _rows(part: str) -> Iterator[Row]:
    """Yield the rows of a part, and if it breaks, one that says so: the other parts are measured all the same."""
    try:
        yield from PARTS[part]()
    except Exception as error:  # noqa: BLE001
        yield failed(f"{part}: the rest of this part", f"{type(error).__name__}: {error}"[:200], 1, 1.0)


def conclude(rows: Sequence[Row], output: Path, console: Console) -> int:
    """Print the table, write the result to output, name what is missed; return the exit status."""
    print_table(rows, console)
    write_json(output, rows, commit())
    missed = [row.name for row in rows if not row.met]
    console.print(f"{len(rows) - len(missed)} of {len(rows)} goals met; written to {output}.", highlight=False)
    for name in missed:
        console.print(f"Missed: {name}", markup=False, highlight=False)
    return 1 if missed else 0


def main() -> int:
    """Measure all parts, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="part", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--output", type=Path, default=RESULT, help="the JSON file with the result")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there is {', '.join(PARTS)}")
    console = Console(width=None if sys.stdout.isatty() else 150)
    return conclude(measure(args.parts, console), args.output, console)


if __name__ == "__main__":
    sys.exit(main())
