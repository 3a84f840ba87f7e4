"""A model of MicroPython's terminal: sys.stdin, sys.stdout, select.poll and micropython.kbd_intr on a board.

Quirks kept (shared/runtime/sys_stdio_mphal.c, shared/tinyusb/mp_usbd_cdc.c): stdin.buffer blocks until it has all bytes
asked for, an AssertionError here; a byte that equals kbd_intr's throws away what was received and interrupts; stdout
takes no more once the host has stalled and says so by a short count, or, on ports with a second terminal, not at all.
"""

import time


class Terminal:
    """received: what the host sent. sent: what it got. room: bytes it still takes, None for no limit.

    two_terminals: as an ESP32-S3 with a UART REPL beside USB, whose poll and count always say that all is well, only
    500 ms later.
    """

    POLLIN = 1
    POLLOUT = 4

    def __init__(self):
        self.received = bytearray()
        self.sent = bytearray()
        self.room = None
        self.two_terminals = False
        self.interrupt = 3
        self.waited = []
        self.stdin = _Stream(self)
        self.stdout = _Stream(self)

    def host_sends(self, data):
        for byte in data:
            if byte == self.interrupt:
                self.received = bytearray()
                raise KeyboardInterrupt
            self.received.append(byte)

    def kbd_intr(self, byte):
        self.interrupt = byte

    def poll(self):
        return _Poll(self)


class _Stream:
    def __init__(self, terminal):
        self._terminal = terminal
        self.buffer = self

    def readinto(self, buf):
        assert len(buf) <= len(self._terminal.received), "stdin.buffer would block for ever"
        buf[:] = self._terminal.received[: len(buf)]
        self._terminal.received = self._terminal.received[len(buf) :]
        return len(buf)

    def write(self, data):
        terminal = self._terminal
        taken = len(data) if terminal.room is None else min(len(data), terminal.room)
        terminal.sent.extend(bytes(data[:taken]))
        if terminal.room is not None:
            terminal.room -= taken
            if taken < len(data) and terminal.two_terminals:
                time.sleep(0.5)
                return len(data)
        return taken


class _Poll:
    def __init__(self, terminal):
        self._terminal = terminal
        self._wanted = []

    def register(self, stream, events):
        self._wanted.append((stream, events))

    def ipoll(self, timeout_ms=-1):
        terminal = self._terminal
        if len(terminal.waited) < 100:
            terminal.waited.append(timeout_ms)
        ready = []
        for stream, events in self._wanted:
            if stream is terminal.stdin and events & terminal.POLLIN and len(terminal.received):
                ready.append((stream, terminal.POLLIN))
            if (
                stream is terminal.stdout
                and events & terminal.POLLOUT
                and (terminal.two_terminals or terminal.room != 0)
            ):
                ready.append((stream, terminal.POLLOUT))
        if not ready:
            assert timeout_ms >= 0, "poll would wait for ever"
            time.sleep(timeout_ms / 1000)
        return iter(ready)
