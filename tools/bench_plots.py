"""`make bench-plots`: cost against the number of channels as PNGs; the last result into docs/performance.md."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from tools.bench_heap import HEAP, measurer
from tools.bench_snapshots import snapshots
from tools.bench_table import RESULT, ROOT, Row, cells

DOCUMENT = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "plots"
CHANNELS = (10, 30, 100, 300, 1000)
MEDIUM = 16 << 20
_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end of table -->)", re.DOTALL)


def draw_programmed() -> None:
    """Programmed bytes of a snapshot with one channel changed, beside the changed entry and the whole state."""
    with tempfile.TemporaryDirectory() as folder:
        costs = [snapshots(Path(folder) / str(n), n, MEDIUM) for n in CHANNELS]
    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    axes.loglog(CHANNELS, [cost.state for cost in costs], "s--", label="the whole state, compactly coded")
    axes.loglog(CHANNELS, [cost.mean for cost in costs], "o-", label="programmed, checkpoints included")
    axes.loglog(CHANNELS, [cost.entry for cost in costs], "^:", label="the changed entry")
    axes.set(xlabel="channels", ylabel="bytes", title="One channel changed: bytes per snapshot (mean of 1,000, 16 MiB)")
    _save(figure, axes, "programmed.png")


def draw_heap() -> None:
    """Heap in use at the worst moment of the recorded run."""
    vm, measure = measurer()
    points = [(n, heap) for n in CHANNELS if not (heap := measure(n)).trouble]
    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    axes.semilogx([n for n, _ in points], [(heap.total - heap.free) / 1000 for _, heap in points], "o-", label="in use")
    axes.axhline(HEAP, color="grey", linestyle="--", label=f"a board's heap: {HEAP} kB")
    title = f"Heap at the worst moment of the recorded run ({vm})"
    axes.set(xlabel="channels", ylabel="kB", title=title, xlim=(CHANNELS[0], CHANNELS[-1]), ylim=(0, HEAP * 1.1))
    _save(figure, axes, "heap.png")


def _save(figure: Any, axes: Any, name: str) -> None:
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(PLOTS / name, dpi=120, metadata={"Software": None})


def table(result: Path) -> str:
    """Return the JSON result of `make bench` as a Markdown table, and the commit that it was made from."""
    found = json.loads(result.read_text(encoding="utf-8"))
    lines = ["| what: the other | ours | the other | ratio | goal | met |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    lines += [f"| {' | '.join(cells(Row(**row)))} |" for row in found["rows"]]
    return f"Commit {found['commit']}:\n\n" + "\n".join(lines) + "\n"


def main() -> int:
    """Draw both, and fill in the table."""
    if not RESULT.exists():
        print(f"There is no {RESULT}: run make bench first.", file=sys.stderr)
        return 1
    text, count = _TABLE.subn(lambda _: table(RESULT), DOCUMENT.read_text(encoding="utf-8"))
    if count != 1:
        print(f"{DOCUMENT}: the marks around its table are gone.", file=sys.stderr)
        return 1
    DOCUMENT.write_text(text, encoding="utf-8")
    PLOTS.mkdir(exist_ok=True)
    draw_programmed()
    draw_heap()
    return 0


if __name__ == "__main__":
    sys.exit(main())
