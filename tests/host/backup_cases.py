"""What the tests of backup files share: the recorded files, the command in this process and as a real one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vls_backup.cli import main

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
ONE_CHANNEL = VECTORS / "cln-regtest" / "set1-n2L.backup.json"
ANOTHER_CHANNEL = VECTORS / "cln-regtest" / "set1-pL.backup.json"
MIXED = VECTORS / "cln-regtest" / "mixed.backup.json"


class Ran(NamedTuple):
    """What a run of the command left behind."""

    status: int
    out: str
    err: str


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """Run the command in this process."""
    capfd.readouterr()
    status = main([str(argument) for argument in arguments])
    return Ran(status, *capfd.readouterr())


def run_process(*arguments: object, stdin: bytes = b"", **options: Any) -> Ran:
    """Run the command as a process of its own."""
    command = [sys.executable, "-m", "vls_backup", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60, **options)
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def error_line(ran: Ran) -> str:
    """Return the one line that a refusal prints, after checking that it is one and that stdout stayed empty."""
    assert ran.out == ""
    assert ran.err.startswith("Error: ")
    assert ran.err.count("\n") == 1
    assert ran.err.endswith("\n")
    return ran.err


def load(path: Path) -> Any:
    """Return the JSON value in path."""
    return json.loads(path.read_bytes())


def expected_text(expected: Any) -> str:
    """Return what convert-backup must print for the content of an expected file."""
    return json.dumps(expected["recoverchannel"], indent=2) + "\n"


def channel_of(backup: Any) -> tuple[str, Any]:
    """Return (key, value) of the first recoverable channel of a parsed backup."""
    for key, entry in backup["state"]["values"].items():
        if key.startswith("channels/") and entry[1]["channel_setup"]:
            return key, entry[1]
    raise AssertionError("no recoverable channel")
