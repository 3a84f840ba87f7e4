"""A port whose board is a signer loop in the same process, with a clock of its own and faults on the line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loop_rig import Pipe
from signer.loop import SignerLoop
from vls_backup import link
from vls_backup.link import Link

Fault = Callable[[bytes], bytes]


def clean(data: bytes) -> bytes:
    """Change nothing."""
    return data


class Clock:
    """Stands in for the time module and for ticks_ms on both ends; moves only when somebody waits."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """Put the clock into the host's link and the board's loop."""
        self.now_ms = 5000
        patch.setattr(link, "time", self)
        patch.setattr(link, "ticks_ms", self.ticks_ms)
        patch.setattr("signer.loop.ticks_ms", self.ticks_ms)

    def monotonic(self) -> float:
        """Return seconds."""
        return self.now_ms / 1000

    def ticks_ms(self) -> int:
        """Return milliseconds, wrapped as port.ticks_ms does."""
        return self.now_ms & 0x3FFFFFFF


class MemoryPort:
    """pyserial's interface on a Pipe. to_board and to_host are faults: bytes sent -> bytes that arrive."""

    def __init__(self, pipe: Pipe, loop: SignerLoop | None, clock: Clock) -> None:
        """loop None: nobody listens."""
        self.timeout: float | None = None
        self.to_board: Fault = clean
        self.to_host: Fault = clean
        self.written = 0
        self.ended = False  # the board took something for Ctrl-C
        self._pipe = pipe
        self._loop = loop
        self._clock = clock
        self._arrived = b""

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        return len(self._arrived)

    def write(self, data: bytes) -> int:
        """Send data; the board answers at once."""
        self.written += len(data)
        self._pipe.to_board += self.to_board(data)
        self._run()
        return len(data)

    def read(self, size: int = 1) -> bytes:
        """Return what arrived; with nothing there, time passes."""
        if not self._arrived:
            self._clock.now_ms += int((self.timeout or 0) * 1000)
            self._run()
        data, self._arrived = self._arrived[:size], self._arrived[size:]
        return data

    def _run(self) -> None:
        """Let the board take what is there, and look at its clock once."""
        if self._loop is not None:
            self.ended |= not self._loop.step(0)
            while self._pipe.to_board:
                self.ended |= not self._loop.step(0)
            if self._pipe.to_host:
                self._arrived += self.to_host(self._pipe.to_host)
                self._pipe.to_host = b""


def connect(clock: Clock, store: object, engine: object, **options: object) -> tuple[Link, MemoryPort]:
    """Return a Link to a new loop, and its port."""
    pipe = Pipe()
    port = MemoryPort(pipe, SignerLoop(pipe, store, engine, **options), clock)
    return Link(port), port
