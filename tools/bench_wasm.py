"""Heap in use on the 32-bit VM in WebAssembly, whose heap grows and is collected only between programs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from tools.bench_channels import ROOT
from tools.bench_state import ERASE, MEDIUM, PROGRAM
from tools.bench_vm import compile_firmware
from tools.firmware import WASM

_LATE = 900  # seconds


class WasmPort:
    """The port of a host program whose board is the firmware on that VM.

    used: the most bytes of heap in use between two frames, garbage aside. What a frame needs for a moment is not seen.
    """

    def __init__(self, folder: Path) -> None:
        """Start the board on a blank medium, its files in the new folder."""
        self.timeout: float | None = None
        self.used = 0
        self._to_host = bytearray()
        compile_firmware(folder / "modules")
        (folder / "flash").write_bytes(b"\xff" * MEDIUM)
        files = {p.relative_to(folder / "modules").as_posix(): str(p) for p in (folder / "modules").rglob("*.mpy")}
        files["flash"] = str(folder / "flash")
        job = {"vm": str(WASM), "files": files, "begin": f"bench_steps.begin('flash', {ERASE}, {PROGRAM})\n"}
        node = shutil.which("node", path=str(Path(sys.executable).parent)) or "node"
        command = [node, str(ROOT / "tools" / "bench_wasm.mjs"), json.dumps(job)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        self._timer = threading.Timer(_LATE, self.process.kill)
        self._timer.start()

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        return len(self._to_host)

    def read(self, size: int = 1, /) -> bytes:
        """Return up to size bytes that the board said."""
        data = bytes(self._to_host[:size])
        del self._to_host[:size]
        return data

    def restart(self) -> None:
        """Start the firmware anew on the same flash."""
        assert self.process.stdin is not None
        self.process.stdin.write("restart\n")

    def close(self) -> None:
        """End the VM."""
        self._timer.cancel()
        self.process.kill()
        self.process.communicate()

    def write(self, data: bytes, /) -> int:
        """Give the board a frame and take its answer. Raises OSError once the VM has died."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(data.hex() + "\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().split()
        if len(said) < 2:
            raise OSError(f"the VM died: {' '.join(said)}")
        self.used = int(said[0])
        self._to_host += bytes.fromhex(said[1])
        return len(data)
