"""What the command costs on the host: a conversion beside json.load, and its start beside Python's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.bench_backup_file import write_backup
from tools.bench_table import Row, compare

CHANNELS = 10_000
_LOAD = "import json, sys\nwith open(sys.argv[1]) as file:\n    json.load(file)\n"
_CONVERSIONS, _STARTS = 5, 20


@dataclass(frozen=True)
class Used:
    """seconds of processor time, user's and system's, and the most memory in bytes, that a process used."""

    seconds: float
    memory: int


def used(command: list[str]) -> Used:
    """Run a command without output. Raises RuntimeError with its complaint if it fails."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{command} failed: {said.read().decode(errors='replace')}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def best(rounds: int, ours: list[str], theirs: list[str]) -> tuple[Used, Used]:
    """Run both commands in turn, and return the least that each used: what other work on the machine adds is noise."""
    runs = [(used(ours), used(theirs)) for _ in range(rounds)]
    least = [Used(min(u.seconds for u in column), min(u.memory for u in column)) for column in zip(*runs, strict=True)]
    return least[0], least[1]


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
    yield compare(f"{what}, processor time: json.load", round(ours.seconds / theirs.seconds, 3), 1, 0.75)
    yield compare(f"{what}, memory: json.load", ours.memory, theirs.memory, 0.5)
    ours, theirs = best(_STARTS, [command, "--help"], [python, "-c", "pass"])
    yield compare("vls-backup --help, processor time: python -c pass", round(ours.seconds / theirs.seconds, 3), 1, 8)
