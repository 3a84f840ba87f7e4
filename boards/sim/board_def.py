"""The simulated board: MicroPython's unix port, its flash a file, its link the terminal. Settings come by environment.

VLS_SIM_FLASH: the flash file; VLS_SIM_SIZE: its bytes (default 512 KiB); VLS_SIM_STRATEGY: as parse_strategy takes it;
VLS_SIM_RUN: a recorded run to replay (default: the follower); VLS_SIM_LOG: a file for the log; VLS_SIM_CLOCK: unset.
"""

import os
import select
import sys
import termios
import time

import micropython

from nor import NorFlash
from replay import ReplayEngine
from signer.follower import FollowerEngine


class StdioLink:
    """The terminal as a link: every byte value passes, none interrupts."""

    def __init__(self):
        micropython.kbd_intr(-1)
        self._modes = termios.tcgetattr(0)
        modes = list(self._modes)
        # The only integers are VMIN and VTIME: at 0, read(n) returns what is there instead of waiting for n bytes.
        modes[6] = [0 if isinstance(c, int) else c for c in modes[6]]
        termios.tcsetattr(0, termios.TCSANOW, modes)
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def read(self, timeout_ms, limit):
        """Return the bytes that are there, at most limit; b"" if none came in timeout_ms."""
        return sys.stdin.buffer.read(limit) if self._poll.poll(timeout_ms) else b""

    def write(self, data):
        """Write all of data."""
        sys.stdout.buffer.write(data)

    def close(self):
        """Give the terminal back to the REPL."""
        termios.tcsetattr(0, termios.TCSANOW, self._modes)
        micropython.kbd_intr(3)


class Board:
    """The parts that firmware/main.py asks a board for (boards/README.md)."""

    name = "sim"
    retry_pause = 1000

    def storage(self):
        """Return the flash."""
        size = int(os.getenv("VLS_SIM_SIZE") or 512 * 1024)
        return NorFlash(os.getenv("VLS_SIM_FLASH") or "flash.bin", size)

    def link(self):
        """Return the link to the host."""
        return StdioLink()

    def engine(self):
        """Return the signer."""
        run = os.getenv("VLS_SIM_RUN")
        return ReplayEngine(open(run, "rb")) if run else FollowerEngine()

    def strategy(self):
        """Return the backup strategy's name."""
        return os.getenv("VLS_SIM_STRATEGY") or "new-channels-only"

    def clock(self):
        """Return unix seconds, or None if the clock is unset."""
        return None if os.getenv("VLS_SIM_CLOCK") == "unset" else int(time.time())

    def random(self, n):
        """Return n random bytes."""
        return os.urandom(n)

    def unique_id(self):
        """Return what stands for the chip's own number."""
        return b"simulated"

    def indicator(self, on):
        """There is no LED."""

    def log(self, text):
        """Append a line to the log file, if there is one."""
        path = os.getenv("VLS_SIM_LOG")
        if path:
            with open(path, "a") as file:
                file.write(text + "\n")
