"""What the command costs on the host: a conversion beside json.load, and its start beside Python's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.bench_backup_file import write_backup
from tools.bench_table import Row, compare

CHANNELS = 10_000
_LOAD = "import json, sys\nwith open(sys.argv[1]) as file:\n    json.load(file)\n"
_CONVERSIONS, _STARTS = 5, 20
_PROCESSES = 2  # that read a large backup file


@dataclass(frozen=True)
class Used:
    """What a command used: seconds by the clock and of processor time, user's and system's, of all its processes, and
    the most memory, in bytes, that one of them used."""

    seconds: float
    processor: float
    memory: int


def used(command: list[str]) -> Used:
    """Run a command without output. Raises RuntimeError with its complaint if it fails."""
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{command} failed: {said.read().decode(errors='replace')}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Used(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def best(rounds: int, ours: list[str], theirs: list[str]) -> tuple[Used, Used]:
    """Run both commands in turn, and return the least that each used: what other work on the machine adds is noise."""
    runs = [(used(ours), used(theirs)) for _ in range(rounds)]
    of_ours, of_theirs = (
        Used(min(u.seconds for u in column), min(u.processor for u in column), min(u.memory for u in column))
        for column in zip(*runs, strict=True)
    )
    return of_ours, of_theirs


def rows() -> Iterator[Row]:
    """Measure both."""
    python = sys.executable
    command = str(Path(python).with_name("vls-backup"))
    with tempfile.TemporaryDirectory() as name:
        backup = Path(name) / "backup.json"
        write_backup(backup, CHANNELS)
        convert = [command, "convert-backup", "--path", str(backup), "--output", str(Path(name) / "scb.json")]
        ours, theirs = best(_CONVERSIONS, convert, [python, "-c", _LOAD, str(backup)])
        what = f"convert-backup of {CHANNELS:,} channels ({backup.stat().st_size // 1_000_000} MB)"
    yield compare(f"{what}, time: json.load", round(ours.seconds / theirs.seconds, 3), 1, 0.75)
    yield compare(f"{what}, memory: json.load", _PROCESSES * ours.memory, theirs.memory, 0.5)
    ours, theirs = best(_STARTS, [command, "--help"], [python, "-c", "pass"])
    ratio = round(ours.processor / theirs.processor, 3)
    yield compare("vls-backup --help, processor time: python -c pass", ratio, 1, 8)
