"""Free heap on a 32-bit VM while the loop and the backup, as a vault, go through the recorded run with many channels.

MICROPYTHON=path names a 32-bit unix build, which gets a board's heap of 233 kB: the real thing, out of memory included.
Without it the VM in WebAssembly is measured, less exactly: bench_wasm.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tools.bench_channels import longer_run
from tools.bench_state import ERASE, MEDIUM, PROGRAM
from tools.bench_table import Row, compare, failed
from tools.bench_vm import SECONDS, compile_firmware, start
from tools.bench_wasm import WasmPort

from backup_format.frames import E_MEMORY, LIST, OPEN, READ, STATUS
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
board_def.Board = lambda: bench_parts.Board({flash!r}, {erase}, {program}, {look})
import main
main.main()
"""


@dataclass(frozen=True)
class Heap:
    """free: bytes at the worst moment, of total; trouble: what ended the run early, "" if nothing did."""

    free: int
    total: int
    trouble: str


class BoardPort(Port, Protocol):
    """The port of a board that a measurement runs on."""

    def restart(self) -> None:
        """Start the board anew; its flash stays as it is."""


class ProcessBoard:
    """A board that is a process with the firmware, and its port. least, total: bytes of heap, as Meter told them."""

    def __init__(self, vm: str, folder: Path, heap: int, metered: bool) -> None:
        """Start it with a heap of so many kB; its files go into the new folder.

        metered: garbage is collected and free bytes are counted at every call of flash and link; else as on a board,
        where garbage lies between what stays.
        """
        self.timeout: float | None = None
        self.least = self.total = heap * 1024
        compile_firmware(folder / "modules")
        (folder / "modules" / "board_def.py").touch()
        (folder / "flash").write_bytes(b"\xff" * MEDIUM)
        self._meter = folder / "meter"
        paths = {
            "meter": str(self._meter),
            "flash": str(folder / "flash"),
            "look": "meter.look" if metered else "lambda: None",
        }
        program = _PROGRAM.format(**paths, erase=ERASE, program=PROGRAM)
        self._start: Callable[[], subprocess.Popen[bytes]] = lambda: start(vm, folder / "modules", program, f"{heap}k")
        self._process = self._start()
        self._timer = threading.Timer(_LATE, lambda: self._process.kill())
        self._timer.start()

    @property
    def in_waiting(self) -> int:
        """Nothing is known to wait."""
        return 0

    def read(self, size: int = 1, /) -> bytes:
        """Return size bytes. Raises OSError with the VM's last words once it has ended."""
        assert self._process.stdout is not None and self._process.stderr is not None
        data = self._process.stdout.read(size)
        if not data:
            raise OSError(self._process.stderr.read().decode(errors="replace").strip().rpartition("\n")[2])
        return data

    def write(self, data: bytes, /) -> int:
        """Send data. Raises OSError once the process has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()
        return len(data)

    def restart(self) -> None:
        """Start the board anew."""
        self._end()
        self._process = self._start()

    def close(self) -> None:
        """Switch the board off for good."""
        self._timer.cancel()
        self._end()

    def _end(self) -> None:
        self._process.kill()
        with suppress(OSError):  # what was not flushed before it died
            self._process.communicate()
        if self._meter.exists():
            least, self.total = map(int, self._meter.read_bytes().split())
            self.least = min(self.least, least)


def drive(port: BoardPort, run: Path) -> str:
    """Play the run's node on port, the board starting anew where the recorded signer did; in the end attach once more
    and pull a little. Return what went wrong, "" if nothing."""
    feeder = Feeder(run, follower=True)
    link = Link(port, timeout=SECONDS, attempts=1)
    i = -1
    try:
        for i in range(len(feeder.requests)):
            if feeder.attaches_before(i):
                if i:
                    port.restart()
                link.hello(attach=True)
                feeder.attach()
                if trouble := _trouble(link):
                    return f"{trouble} at the start before request {i}"
            feeder.answer(link.request(feeder.request(i)))
        link.hello(attach=True)
        feeder.answer(link.request(feeder.greeting()))
        i += 1
        link.exchange(LIST, b"\0")
        link.exchange(OPEN, bytes(4))
        link.exchange(READ, bytes(4) + (1024).to_bytes(2, "big"))
        return _trouble(link)
    except LinkError as error:
        return f"{'out of memory' if error.code == E_MEMORY else error.text} at request {i}"
    except (BoardError, OSError) as error:
        return f"no answer at request {i}: {error}"


def _trouble(link: Link) -> str:
    """Return what the board's backup complains of, "" if nothing."""
    status = json.loads(link.exchange(STATUS))
    return f"{status['failures']} failures, the last: {status['last_error']}" if status["failures"] else ""


def on_process(vm: str, channels: int, heap: int = HEAP) -> Heap:
    """Measure on a VM that runs as a process, with a heap of so many kB: is it enough, and then, how much is free?"""
    for metered in (False, True):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            longer_run(folder / "run.jsonl", channels)
            board = ProcessBoard(vm, folder, heap, metered)
            try:
                trouble = drive(board, folder / "run.jsonl")
            finally:
                board.close()
        if trouble:
            break
    return Heap(board.least, board.total, trouble)


def on_wasm(channels: int) -> Heap:
    """Measure on the VM in WebAssembly, whose heap grows, against the heap that a unix build has with HEAP kB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        longer_run(folder / "run.jsonl", channels)
        port = WasmPort(folder)
        try:
            trouble = drive(port, folder / "run.jsonl")
        finally:
            port.close()
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
