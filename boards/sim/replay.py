"""The replay engine: makes the changes that a real signer made in a recorded run (format: tests/vectors/signer-run).

The feeder names the request by its raw message: type u16 and index i u32, big-endian. The run file is read line by
line; the values are cut out of the line as they stand there.
"""

import json
from binascii import unhexlify

from signer.engine import EngineError
from signer.store import TOMBSTONE

_BLOCK = 8192


class ReplayEngine:
    """Plays the signer of a run. file: the run, open for reading bytes (read, seek)."""

    def __init__(self, file):
        self._file = file
        self._rewind()

    def handle(self, request, store):
        """Make the changes of the recorded request; return b"".

        A message of any length but 6 changes nothing: the heartbeat that greets an attaching signer. Raises
        EngineError if the recorded signer refused, or the run has no such request; ValueError or IndexError if the run
        is damaged.
        """
        if len(request.raw) == 6:
            self._apply(self._line(int.from_bytes(request.raw[2:], "big")), store)
        return b""

    def _line(self, i):
        if i < self._next:
            self._rewind()
        while True:
            line = self._read_line()
            if not line:
                self._rewind()
                raise EngineError("the recorded run has no request %d" % i)
            self._next += 1
            if self._next == i + 1:
                if not line.startswith(b'{"i":%d,' % i):
                    raise ValueError("the recorded run's line %d is not request %d" % (i + 2, i))
                return line

    def _rewind(self):
        self._file.seek(0)
        self._next = -1  # number of the next line's request; the header is -1
        self._block = b""
        self._at = 0

    def _read_line(self):
        """Return the next line, b"" at the end. MicroPython's readline asks the system for each byte: too slow."""
        line = b""
        while True:
            end = self._block.find(b"\n", self._at) + 1
            if end:
                line += self._block[self._at : end]
                self._at = end
                return line
            line += self._block[self._at :]
            self._block = self._file.read(_BLOCK)
            self._at = 0
            if not self._block:
                return line

    def _apply(self, line, store):
        changed = None
        p = 1
        while line[p : p + 1] == b'"':
            name_end = string_end(line, p)
            start = name_end + 1
            end = value_end(line, start)
            name = line[p + 1 : name_end - 1]
            if name == b"changed":
                changed = start
            elif name == b"error":
                raise EngineError(json.loads(line[start:end]))
            p = end + 1
        if changed is None:
            raise ValueError("a line of the recorded run has no changed")
        p = changed + 1
        while line[p] == 0x5B:
            p = _write(line, p + 1, store) + 1


def _write(line, p, store):
    """Make the write at p: `"key",before,after,value,"signature"]`. Return the position after it."""
    parts = []
    for _ in range(5):
        end = value_end(line, p)
        parts.append(line[p:end])
        p = end + 1
    key, _, version, value, signature = parts
    key = str(key[1:-1], "utf-8")
    version = int(version)
    signature = unhexlify(signature[1:-1])
    if version == TOMBSTONE:
        store.delete(key, signature)
    else:
        store.put(key, version, signature, value)
    return p


def string_end(line, p):
    """Return the position after the string whose opening quote is at p. Raises ValueError without an end."""
    q = p
    while True:
        q = line.find(b'"', q + 1)
        if q < 0:
            raise ValueError("a string without an end at byte %d" % p)
        n = q
        while line[n - 1] == 0x5C:
            n -= 1
        if not (q - n) & 1:
            return q + 1


def value_end(line, p):
    """Return the position after the JSON value that begins at p (compact JSON). Raises ValueError without an end."""
    first = line[p]
    if first == 0x22:
        return string_end(line, p)
    if first != 0x5B and first != 0x7B:
        while line[p] not in b",]}":
            p += 1
        return p
    p += 1
    depth = 1
    while True:
        quote = line.find(b'"', p)
        if quote < 0:
            quote = len(line)
        if quote - p != 1 or line[p] not in b",:":
            while True:  # up to the next string: jump from one closing bracket to the next
                close = line.find(b"]", p, quote)
                brace = line.find(b"}", p, quote if close < 0 else close)
                if brace >= 0:
                    close = brace
                if close < 0:
                    break
                depth += line.count(b"[", p, close) + line.count(b"{", p, close) - 1
                p = close + 1
                if not depth:
                    return p
            depth += line.count(b"[", p, quote) + line.count(b"{", p, quote)
        p = string_end(line, quote)
