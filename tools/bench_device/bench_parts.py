"""A board for the benches, on any VM: its flash is a file, and a function looks on at every call of flash and link."""

import gc
import sys

from signer.follower import FollowerEngine


class FileFlash:
    """A BlockDevice on a file that exists already; unlike boards/sim/nor.py it takes next to no heap of its own.

    read_bytes: how many were read so far. look(): called at the beginning of every call.
    """

    def __init__(self, path, erase_size, program_size, look=None):
        self._file = open(path, "r+b", 0)
        self.size = self._file.seek(0, 2)
        self.erase_size = erase_size
        self.program_size = program_size
        self.read_bytes = 0
        self._blank = b"\xff" * program_size
        self._look = look or _nothing

    def read_into(self, offset, buf):
        self._look()
        self._file.seek(offset)
        self._file.readinto(buf)
        self.read_bytes += len(buf)

    def program(self, offset, data):
        self._look()
        self._file.seek(offset)
        self._file.write(data)

    def erase(self, offset):
        self._look()
        self._file.seek(offset)
        for _ in range(self.erase_size // self.program_size):
            self._file.write(self._blank)


class StdLink:
    """Standard input and output as a link; the end of the input ends the program."""

    def __init__(self, look):
        self._look = look

    def read(self, timeout_ms, limit):
        self._look()
        data = sys.stdin.buffer.read(limit)
        if not data:
            sys.exit(0)
        return data

    def write(self, data):
        self._look()
        sys.stdout.buffer.write(data)

    def close(self):
        pass


class Meter:
    """Remembers the least free heap that it saw, and keeps that in a file of fixed length."""

    def __init__(self, path):
        gc.collect()
        self.least = gc.mem_free()
        self._file = open(path, "wb")
        self._write()

    def look(self):
        """Take a look, garbage aside."""
        gc.collect()
        free = gc.mem_free()
        if free < self.least:
            self.least = free
            self._write()

    def _write(self):
        self._file.seek(0)
        self._file.write(b"%10d %10d" % (self.least, self.least + gc.mem_alloc()))
        self._file.flush()


class Board:
    """What firmware/main.py and build_backup ask for; a vault with a snapshot after every change."""

    name = "bench"
    retry_pause = 1000

    def __init__(self, flash, erase_size, program_size, look=None):
        self._storage = (flash, erase_size, program_size, look)
        self._look = look
        self.said = None  # the last line of the log

    def storage(self):
        return FileFlash(*self._storage)

    def link(self):
        return StdLink(self._look)

    def engine(self):
        return FollowerEngine()

    def strategy(self):
        return "periodic:1"

    def clock(self):
        return 1700000000

    def random(self, n):
        return bytes(range(n))

    def unique_id(self):
        return b"bench"

    def indicator(self, on):
        pass

    def log(self, text):
        self.said = text


def _nothing():
    pass
