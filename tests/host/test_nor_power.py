"""The NOR model's power cut really kills: on MicroPython and on CPython, and what was finished is in the file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nor import NorFlash
from vls_backup_sim.vm import micropython_command

ROOT = Path(__file__).resolve().parents[2]
SIZE = 65536
PROGRAM = f"""
import sys
from nor import NorFlash
nor = NorFlash(sys.argv[1], {SIZE})
for i in range(100):
    nor.program(i * 512, bytes(512)) if i % 5 else nor.erase(61440)
    print(i)
print("still alive")
"""


def run(python: str, folder: Path, flash: Path) -> subprocess.CompletedProcess[str]:
    """Run PROGRAM on an executable until it ends."""
    script = folder / "program.py"
    script.write_text(PROGRAM)
    path = str(ROOT / "boards" / "sim")
    environment = {**os.environ, "PYTHONPATH": path, "MICROPYPATH": path + ":.frozen", "PYTHONUNBUFFERED": "1"}
    return subprocess.run(
        [python, str(script), str(flash)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("python", [sys.executable, "micropython"])
@pytest.mark.parametrize("n", [1, 2, 6, 37, 100])
def test_cut_kills_at_the_nth_call(python: str, n: int, tmp_path: Path) -> None:
    flash, control = tmp_path / "flash.bin", tmp_path / "flash.bin.cut"
    control.write_text(str(n))
    command = micropython_command() if python == "micropython" else python
    done = run(command, tmp_path, flash)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == [str(i) for i in range(n - 1)]
    assert not control.exists()

    nor = NorFlash(str(flash), SIZE)
    calls = range(n)
    assert nor.programs + nor.erases == n
    assert nor.programmed_bytes == 512 * nor.programs == 512 * sum(i % 5 > 0 for i in calls)
    page = bytearray(512)
    for i in range(n - 1):
        nor.read_into(i * 512, page)
        assert bytes(page) == (bytes(512) if i % 5 else b"\xff" * 512), f"finished call {i} was lost"


def test_without_a_control_file_nothing_is_cut(tmp_path: Path) -> None:
    done = run(micropython_command(), tmp_path, tmp_path / "flash.bin")
    assert done.returncode == 0
    assert done.stdout.endswith("still alive\n")
