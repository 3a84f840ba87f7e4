"""The REPL's own serial port as the link: USB CDC, or a UART at 115200 baud, whatever carries MicroPython's terminal.

Facts from MicroPython's source (shared/runtime/sys_stdio_mphal.c, shared/tinyusb/mp_usbd_cdc.c): stdin.buffer has no
way to read "what is there", it blocks until all bytes asked for have come; the byte that kbd_intr names throws away
what was received; a write to a stalled USB host gives up after 500 ms, and on ports with two terminals says that all
went out.
"""

import errno
import select
import sys

import micropython

from backup_format.port import ticks_ms, ticks_since

_MOST = 256  # bytes one read returns
_PIECE = 256  # bytes written at once: 22 ms at 115200 baud
_STALL_MS = 450  # a piece that takes so long met a host that doesn't read


class StdioLink:
    """The terminal as a link: every byte value passes, none interrupts."""

    def __init__(self):
        micropython.kbd_intr(-1)
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._readable = select.poll()
        self._readable.register(sys.stdin, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(sys.stdout, select.POLLOUT)
        self._byte = bytearray(1)
        self._buf = bytearray(_MOST)

    def read(self, timeout_ms, limit):
        """Return the bytes that are there, at most limit; b"" if none came in timeout_ms."""
        n = 0
        limit = min(limit, _MOST)
        while n < limit and _ready(self._readable, 0 if n else timeout_ms):
            self._in.readinto(self._byte)
            self._buf[n] = self._byte[0]
            n += 1
        return bytes(memoryview(self._buf)[:n])

    def write(self, data):
        """Write all of data. Raises OSError(ETIMEDOUT) when the host doesn't read; what was written is unknown then."""
        view = memoryview(data)
        done = 0
        while done < len(view):
            piece = view[done : done + _PIECE]
            began = ticks_ms()
            written = self._out.write(piece) if _ready(self._writable, _STALL_MS) else 0
            done += written
            if written < len(piece) or (done < len(view) and ticks_since(began) >= _STALL_MS):
                raise OSError(errno.ETIMEDOUT, "the host reads no more, after %d of %d bytes" % (done, len(view)))

    def close(self):
        """Give the terminal back to the REPL: Ctrl-C interrupts again."""
        micropython.kbd_intr(3)


def _ready(poll, timeout_ms):
    """Return whether poll says so within timeout_ms. ipoll allocates nothing: it is asked for each byte."""
    for _ in poll.ipoll(timeout_ms):
        return True
    return False
