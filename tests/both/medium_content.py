"""What a medium in RAM holds; outside of the VM's heap where that is a board's, as a board's medium is."""

import gc
import os

from scratch import scratch

# A Pico's is 233 KiB, the test VMs' are larger; CPython doesn't say.
SMALL_HEAP = hasattr(gc, "mem_free") and gc.mem_free() + gc.mem_alloc() < 400 * 1024
_PIECE = 1024
_ERASED = b"\xff" * _PIECE


def content(size):
    """Return size bytes 0xFF: a bytearray, or what stands for one on a VM whose heap is small."""
    if SMALL_HEAP:
        return FileContent(size)
    made = bytearray(size)
    fill(made, 0, size)
    return made


def fill(made, start, stop, piece=_ERASED):
    """Make bytes start ... stop - 1 of a content piece (1 KiB), again and again."""
    for at in range(start, stop, _PIECE):
        n = min(_PIECE, stop - at)
        made[at : at + n] = piece if n == _PIECE else piece[:n]


class FileContent:
    """As much of a bytearray as the tests use, its bytes in a nameless file; slices of it are bytes."""

    def __init__(self, size):
        path = scratch("content")
        self._file = open(path, "w+b")
        os.remove(path)
        self._size = size
        fill(self, 0, size)

    def __len__(self):
        return self._size

    def _span(self, key):
        if not isinstance(key, slice):
            return key, key + 1
        start = 0 if key.start is None else key.start
        stop = self._size if key.stop is None else min(key.stop, self._size)
        assert key.step is None and 0 <= start <= stop
        return start, stop

    def __getitem__(self, key):
        start, stop = self._span(key)
        self._file.seek(start)
        found = self._file.read(stop - start)
        return found if isinstance(key, slice) else found[0]

    def __setitem__(self, key, value):
        start, stop = self._span(key)
        if not isinstance(key, slice):
            value = bytes((value,))
        assert len(value) == stop - start
        for at in range(0, len(value), _PIECE):
            self._file.seek(start + at)
            self._file.write(value[at : at + _PIECE])

    def __eq__(self, other):
        pieces = range(0, self._size, _PIECE)
        return all(self[at : at + _PIECE] == other[at : at + _PIECE] for at in pieces)

    def read_into(self, start, buf):
        """Fill buf from byte start on."""
        self._file.seek(start)
        self._file.readinto(buf)

    def count(self, what):
        """Return how often what (shorter than a piece) is found."""
        overlap = len(what) - 1
        return sum(self[at : at + _PIECE + overlap].count(what) for at in range(0, self._size, _PIECE))
