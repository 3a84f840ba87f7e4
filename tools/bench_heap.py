"""Free heap on a 32-bit VM while the loop and the backup, as a vault, go through the recorded run with many channels.

MICROPYTHON=path names a 32-bit unix build, which gets a board's heap of 233 kB: the real thing, out of memory included.
Without it the VM in WebAssembly is measured, less exactly: bench_wasm.py.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bench_channels import longer_run
from tools.bench_state import ERASE, MEDIUM, PROGRAM
from tools.bench_table import Row, compare, failed
from tools.bench_vm import SECONDS, compile_firmware, start
from tools.bench_wasm import WasmPort

from backup_format.frames import E_MEMORY, LIST, OPEN, READ
from vls_backup.errors import BoardError
from vls_backup.link import Link, LinkError, Port
from vls_backup_sim.feeder import Feeder

HEAP = 233
_LATE = 900  # seconds
_USABLE = 233_088  # bytes that a 32-bit unix build can give out with -X heapsize=233k
GOALS = {100: 60_000, 1000: 30_000}
"""Channels -> bytes that must stay free."""

_PROGRAM = """
import bench_parts
meter = bench_parts.Meter({meter!r})
import board_def
board_def.Board = lambda: bench_parts.Board({flash!r}, {erase}, {program}, meter.look)
import main
main.main()
"""


@dataclass(frozen=True)
class Heap:
    """free: bytes at the worst moment, of total; trouble: what ended the run early, "" if nothing did."""

    free: int
    total: int
    trouble: str


class ProcessPort:
    """The port of a host program whose board is a process that speaks by its standard input and output."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Take a process that was started with pipes; timeout is not kept."""
        self.timeout: float | None = None
        self._process = process

    @property
    def in_waiting(self) -> int:
        """Nothing is known to wait."""
        return 0

    def read(self, size: int = 1, /) -> bytes:
        """Return size bytes, or fewer once the process has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.read(size)

    def write(self, data: bytes, /) -> int:
        """Send data. Raises OSError once the process has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()
        return len(data)


def drive(port: Port, run: Path) -> str:
    """Play the run's node on port, attach anew in the end, and pull a little; return what went wrong, "" if nothing."""
    feeder = Feeder(run, follower=True)
    link = Link(port, timeout=SECONDS, attempts=1)
    i = -1
    try:
        link.hello(attach=True)
        for i in range(len(feeder.requests)):
            if feeder.attaches_before(i):
                link.hello(attach=True)
                feeder.attach()
            feeder.answer(link.request(feeder.request(i)))
        link.hello(attach=True)
        feeder.answer(link.request(feeder.greeting()))
        i += 1
        link.exchange(LIST, b"\0")
        link.exchange(OPEN, bytes(4))
        link.exchange(READ, bytes(4) + (1024).to_bytes(2, "big"))
    except LinkError as error:
        return f"{'out of memory' if error.code == E_MEMORY else error.text} at request {i}"
    except (BoardError, OSError) as error:
        return f"no answer at request {i}: {error}"
    return ""


@contextmanager
def _killed_late(process: subprocess.Popen[Any]) -> Iterator[None]:
    """End the process after the body, or before if it takes far too long."""
    timer = threading.Timer(_LATE, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


def on_process(vm: str, channels: int, heap: int = HEAP) -> Heap:
    """Measure on a VM that runs as a process, with a heap of so many kB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        longer_run(folder / "run.jsonl", channels)
        compile_firmware(folder / "modules")
        (folder / "modules" / "board_def.py").touch()
        (folder / "flash").write_bytes(b"\xff" * MEDIUM)
        paths = {"meter": str(folder / "meter"), "flash": str(folder / "flash")}
        program = _PROGRAM.format(**paths, erase=ERASE, program=PROGRAM)
        process = start(vm, folder / "modules", program, f"{heap}k")
        with _killed_late(process):
            trouble = drive(ProcessPort(process), folder / "run.jsonl")
        if not (folder / "meter").exists():
            return Heap(0, heap * 1024, trouble)
        free, total = map(int, (folder / "meter").read_bytes().split())
        return Heap(free, total, trouble)


def on_wasm(channels: int) -> Heap:
    """Measure on the VM in WebAssembly, whose heap grows, against the heap that a unix build has with HEAP kB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        longer_run(folder / "run.jsonl", channels)
        port = WasmPort(folder)
        with _killed_late(port.process):
            trouble = drive(port, folder / "run.jsonl")
        return Heap(_USABLE - port.used, _USABLE, trouble)


def measurer() -> tuple[str, Callable[[int], Heap]]:
    """Return the name of the 32-bit VM that there is, and what measures on it with a number of channels."""
    if vm := os.environ.get("MICROPYTHON"):
        return "VM of MICROPYTHON", lambda channels: on_process(vm, channels)
    return "WebAssembly, between frames", on_wasm


def rows() -> Iterator[Row]:
    """Measure with 100 and with 1,000 channels."""
    vm, measure = measurer()
    for channels, wanted in GOALS.items():
        name = f"heap in use at the worst moment, {channels:,} channels, {vm}: {HEAP} kB ({wanted:,} free)"
        heap = measure(channels)
        goal = round(1 - wanted / heap.total, 4)
        if heap.trouble:
            yield failed(name, heap.trouble, heap.total, goal)
        else:
            yield compare(name, heap.total - heap.free, heap.total, goal)
