"""The simulated board: keeps a MicroPython process running as a board's life cycle would, and bridges its terminal to
the port that host programs open.

As on a board: Ctrl-D and `machine.soft_reset()` start the VM anew, main.py included unless the raw REPL asked for it;
a power cut loses what was in flight; output that nobody reads is lost. Unlike a board: line ends are not translated.
"""

import os
import pty
import select
import shutil
import signal
import tempfile
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from vls_backup_sim.vm import CTRL_A, PROMPT, RAW_PROMPT, MicroPythonProcess

CTRL_C = b"\x03"
POWER_OFF_SECONDS = 0.3  # from a power cut until the power is back
STALL_SECONDS = 0.5  # a board gives up on a host that does not read after this time
_IDLE_SECONDS = 0.02  # how soon the bridge sees that a host program has opened the port


class SimulatedBoard:
    """A simulated board under power while the `with` block runs.

    Attributes: port (Path, what a host program opens), restarts (how often the VM was started again, for whatever
    reason), power_cuts (how many of these were power cuts).
    """

    def __init__(
        self, script: Path | None = None, environment: Mapping[str, str] | None = None, heap: str = "2M"
    ) -> None:
        """Describe a board.

        script: what runs at power-on and after a soft reset, as a board's main.py; None: nothing, the REPL.
        environment: what the device code may read with os.getenv. heap: bytes with suffix K or M; objects of this
        64-bit VM take twice the bytes that they take on a board.
        """
        self._script = script.resolve() if script else None
        self._environment = dict(environment or {})
        self._heap = heap
        self.restarts = 0
        self.power_cuts = 0

    def __enter__(self) -> Self:
        """Switch the power on. Raises OSError if the VM can't be started."""
        self._folder = Path(tempfile.mkdtemp(prefix="vls-backup-sim-"))
        self.port = self._folder / "port"
        (self._folder / "files").mkdir()
        self._to_host, self._to_vm = b"", b""
        self._stalled_since: float | None = None
        self._raw = False
        self._tail = b""
        self._commands: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._running = True
        try:
            self._vm = self._start_vm(self._script)
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        self._wake_read, self._wake_write = os.pipe()
        self._host: int | None = None
        self._open_port()
        self._thread = threading.Thread(target=self._run, name="simulated board", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch the power off for good."""
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the VM; of the last one while the power is off."""
        return self._vm.pid

    def stop(self) -> None:
        """End the VM and take the port away. May be called twice."""
        if self._thread.is_alive():
            self._ask(self._end)
            self._thread.join()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def cut_power(self) -> None:
        """Kill the VM; when this returns it is dead. The power comes back by itself after POWER_OFF_SECONDS."""
        self._ask(lambda: self._vm.kill())

    def unplug(self) -> None:
        """Pull the cable: the port goes away and who has it open gets an error. The board stays under power."""
        self._ask(self._close_port)

    def plug(self) -> None:
        """Plug the cable in again: the port comes back under the same name."""
        self._ask(self._open_port)

    def _ask(self, command: Callable[[], None]) -> None:
        """Have the bridge's thread, the only one that touches the VM and the port, carry command out."""
        done = threading.Event()
        self._commands.append((command, done))
        os.write(self._wake_write, b"!")
        while not done.wait(0.1):
            if not self._thread.is_alive():
                raise RuntimeError("the simulated board is not running any more")

    def _end(self) -> None:
        self._running = False

    def _open_port(self) -> None:
        if self._host is not None:
            return
        self._host, terminal = pty.openpty()
        os.set_blocking(self._host, False)
        tty.setraw(terminal)
        # mpremote treats a path /dev/pts/N in its own way and can hang: programs get a link to it.
        self.port.with_suffix(".new").symlink_to(os.ttyname(terminal))
        self.port.with_suffix(".new").rename(self.port)
        os.close(terminal)

    def _close_port(self) -> None:
        if self._host is not None:
            self.port.unlink()
            os.close(self._host)
        self._host = None
        self._to_host = b""

    def _run(self) -> None:
        try:
            while self._running:
                while self._commands:
                    command, done = self._commands.popleft()
                    command()
                    done.set()
                code = self._vm.returncode()
                if code is None:
                    self._pump()
                else:
                    self._restart(code)
        finally:
            self._vm.close()
            self._close_port()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _pump(self) -> None:
        """Move bytes both ways until there is nothing to do for a moment."""
        attached = self._attached()
        readers = [self._wake_read]
        writers = []
        if not self._to_host:
            readers.append(self._vm.fd)
        elif attached and self._host is not None:
            writers.append(self._host)
        if self._to_vm:
            writers.append(self._vm.fd)
        elif attached and self._host is not None:
            readers.append(self._host)
        ready, writable, _ = select.select(readers, writers, [], _IDLE_SECONDS)
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
        if self._vm.fd in ready:
            self._said(self._vm.read())
        if self._host in ready:
            self._typed(self._read_host())
        if self._vm.fd in writable or self._to_vm:
            self._to_vm = self._to_vm[self._vm.write(self._to_vm) :]
        self._send_to_host()

    def _attached(self) -> bool:
        """Return whether a host program has the port open."""
        if self._host is None:
            return False
        poll = select.poll()
        poll.register(self._host, 0)
        return not poll.poll(0)  # POLLHUP while nobody has it open

    def _read_host(self) -> bytes:
        try:
            return os.read(self._host, 4096) if self._host is not None else b""
        except OSError:
            return b""

    def _send_to_host(self) -> None:
        """Write what is waiting for the host; give it up if nobody listens or the host has stalled."""
        if not self._to_host:
            return
        written = 0
        if self._host is not None and self._attached():
            try:
                written = os.write(self._host, self._to_host)
            except BlockingIOError:
                now = time.monotonic()
                self._stalled_since = self._stalled_since or now
                if now - self._stalled_since < STALL_SECONDS:
                    return
            except OSError:
                pass  # the host program went away just now
        if written:
            self._stalled_since = None
            self._to_host = self._to_host[written:]
        else:
            self._to_host = b""

    def _said(self, data: bytes) -> None:
        """Pass on what the VM printed, and note which REPL it is in."""
        self._to_host += data
        text = self._tail + data
        raw, friendly = text.rfind(RAW_PROMPT), text.rfind(PROMPT)
        if raw != friendly:
            self._raw = raw > friendly
        self._tail = text[-len(RAW_PROMPT) :]

    def _typed(self, data: bytes) -> None:
        """Pass on what the host sent; Ctrl-C interrupts a program that allows it, and is a byte for any other."""
        if CTRL_C in data and self._vm.wants_interrupt():
            before, _, after = data.partition(CTRL_C)
            data = before[self._vm.write(before) :] + after.replace(CTRL_C, b"")
            self._vm.interrupt()
        self._to_vm += data

    def _start_vm(self, script: Path | None) -> MicroPythonProcess:
        return MicroPythonProcess(self._folder / "files", script, self._environment, self._heap)

    def _restart(self, code: int) -> None:
        """Start the VM again as a board would after an end with this exit status."""
        while data := self._vm.read():
            self._said(data)
        self._vm.close()
        self.restarts += 1
        if code >= 0:
            self._to_host += b"MPY: soft reboot\r\n"
        elif code != -signal.SIGINT:
            self._power_cut()
        if code == -signal.SIGINT:
            # Ctrl-C came at the very end of a program, when nobody caught it any more: its REPL goes on.
            self._vm = self._start_vm(None)
        elif self._raw:
            self._vm = self._start_vm(None)
            self._vm.read_until(PROMPT)
            self._vm.write(CTRL_A)
            said = self._vm.read_until(RAW_PROMPT)
            self._said(said[said.find(b"raw REPL") :])
        else:
            self._vm = self._start_vm(self._script)

    def _power_cut(self) -> None:
        """Lose what was in flight, and wait until the power is back."""
        self.power_cuts += 1
        self._raw = False
        self._tail = b""
        time.sleep(POWER_OFF_SECONDS)
        self._to_host, self._to_vm = b"", b""
        while self._read_host():
            pass
