"""On MicroPython itself: the time to code a channel, and what observe allocates when nothing changed.

`python -m tools.bench_coding` tells the time to code a channel on the VM in WebAssembly, which is no row of `make
bench`: docs/performance.md, "How it is measured", says why.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.bench_channels import ROOT, multiplied, values
from tools.bench_state import flash_with
from tools.bench_table import Row, compare, failed
from tools.bench_vm import compile_firmware, processes, run
from tools.firmware import WASM

TIME_GOAL = 5.0
OBSERVE_GOAL = 1.1
_ROUNDS = 100
_TIMING = [
    "import gc, bench_time\nbench_time.begin('channel.json')\n",
    *["gc.collect()\n", "bench_time.measure()\n"] * _ROUNDS,
    "bench_time.show()\n",
]
"""Programs for one VM; the one in WebAssembly collects garbage only between them."""


def rows() -> Iterator[Row]:
    """Measure on every VM that there is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _compile(folder / "modules")
        for vm, command in processes().items():
            yield _time_row(vm, run(command, folder / "modules", "\n".join(_TIMING)))
        yield from _observe_rows(folder)


def _compile(modules: Path) -> None:
    """Put the firmware, the benches' own modules and a channel of middle size into the new folder."""
    compile_firmware(modules)
    (modules / "channel.json").write_bytes(sorted(values(), key=len)[len(values()) // 2])


def _time_row(vm: str, said: str) -> Row:
    name = f"time to code a channel entry, {vm}: json.dumps of it"
    found = re.fullmatch(r"coded (\d+) dumped (\d+)\s*", said)
    if not found:
        return failed(name, said.strip()[-100:], 1, TIME_GOAL)
    return compare(name, round(int(found[1]) / int(found[2]), 2), 1, TIME_GOAL)


def on_wasm(modules: Path, programs: list[str]) -> str:
    """Run program texts, in turn, on the VM in WebAssembly with the modules; return what they printed."""
    job = {
        "vm": str(WASM),
        "files": {path.relative_to(modules).as_posix(): str(path) for path in modules.rglob("*") if path.is_file()},
        "path": ["."],
        "programs": programs,
    }
    node = shutil.which("node", path=str(Path(sys.executable).parent)) or "node"
    command = [node, str(ROOT / "tests/vm/run_on_wasm.mjs")]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _observe_rows(folder: Path) -> Iterator[Row]:
    name = "heap allocated by observe with nothing changed, 1,000 channels: with 10"
    found = {}
    for channels in (10, 1000):
        flash = folder / f"flash-{channels}"
        flash_with(flash, multiplied(channels))
        for vm, command in processes().items():
            program = f"import bench_observe; bench_observe.show({str(flash)!r})"
            found[vm, channels] = run(command, folder / "modules", program).strip()
    for vm in processes():
        few, many = found[vm, 10], found[vm, 1000]
        if few.isdigit() and many.isdigit() and int(few):
            yield compare(f"{name}, {vm}", int(many), int(few), OBSERVE_GOAL)
        else:
            yield failed(f"{name}, {vm}", (few + many)[-100:], 0, OBSERVE_GOAL)


def main() -> None:
    """Print the ratio on the VM in WebAssembly."""
    with tempfile.TemporaryDirectory() as name:
        _compile(Path(name) / "modules")
        row = _time_row("WebAssembly", on_wasm(Path(name) / "modules", _TIMING))
    print(f"{row.name}: {row.ours}")


if __name__ == "__main__":
    main()
