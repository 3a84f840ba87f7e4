"""The simulated board's flash: a NOR model whose content lives in a file and survives SIGKILL.

The file is the content (`size` bytes) followed by a trailer of three u64 little-endian counters. Every call is
unbuffered system calls, so what a finished call wrote outlives the process. A call that is not aligned or not inside
the flash is the caller's mistake and raises ValueError; a flash that cannot be reached raises OSError.

A power cut is ordered by a control file `<path>.cut` that holds an integer n >= 1: the n-th program or erase call
after the flash first sees the file is torn half way, the control file is removed, and the power goes.
"""

import errno
import os

_TRAILER = 24


class NorFlash:
    """A BlockDevice on a file: programs clear bits only, an erase sets a whole unit to 0xFF.

    Attributes: size, erase_size, program_size (bytes); programmed_bytes, programs, erases (counted over the life of
    the file, torn calls included).
    """

    def __init__(self, path, size, erase_size=4096, program_size=256):
        """Open the flash file at path, or make an erased one.

        Raises ValueError for sizes that do not divide each other or a file of another size, OSError if the file
        cannot be opened.
        """
        if program_size <= 0 or erase_size <= 0 or size <= 0 or erase_size % program_size or size % erase_size:
            raise ValueError("flash size must be whole erase units, an erase unit whole program units")
        self.size = size
        self.erase_size = erase_size
        self.program_size = program_size
        self._path = path
        self._cut_seen = None
        self._calls_to_cut = 0
        if not _exists(path):
            _make_erased(path, size, erase_size)
        self._file = open(path, "r+b", 0)
        length = self._file.seek(0, 2)
        if length != size + _TRAILER:
            self.close()
            raise ValueError("flash file %s is %d bytes long, not %d: another flash" % (path, length, size + _TRAILER))
        counters = bytearray(_TRAILER)
        self._read(size, counters)
        self.programmed_bytes = int.from_bytes(counters[:8], "little")
        self.programs = int.from_bytes(counters[8:16], "little")
        self.erases = int.from_bytes(counters[16:], "little")

    def close(self):
        """Let go of the file; every later call raises OSError."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read_into(self, offset, buf):
        """Fill the writable buffer buf from offset (bytes). Raises ValueError out of range, OSError on failure."""
        self._check(offset, len(buf), 1)
        self._read(offset, buf)

    def program(self, offset, data):
        """Clear at offset every bit that is 0 in data; bits already 0 stay 0.

        Raises ValueError unless offset and len(data) are multiples of program_size within the flash, OSError on
        failure.
        """
        length = len(data)
        self._check(offset, length, self.program_size)
        torn = self._cut_now()
        old = bytearray(length)
        self._read(offset, old)
        after = int.from_bytes(old, "little") & int.from_bytes(data, "little")
        after = after.to_bytes(length, "little")
        if torn:
            noise = _Noise(torn, offset)
            after = bytes([new if noise.takes() else was for was, new in zip(old, after)])
        self._write(offset, after)
        self._count(length, 1, 0)
        if torn:
            self.power_off()

    def erase(self, offset):
        """Set the erase unit that begins at offset to 0xFF.

        Raises ValueError unless offset is the beginning of an erase unit, OSError on failure.
        """
        self._check(offset, self.erase_size, self.erase_size)
        torn = self._cut_now()
        after = b"\xff" * self.erase_size
        if torn:
            after = bytearray(self.erase_size)
            self._read(offset, after)
            noise = _Noise(torn, offset)
            after = bytes([noise.byte() if noise.takes() else was for was in after])
        self._write(offset, after)
        self._count(0, 0, 1)
        if torn:
            self.power_off()

    def power_off(self):
        """Kill the process that this code runs in, at once; a test that wants to live on overrides this.

        Works on the MicroPython unix port and on CPython, not in WebAssembly, which has no processes.
        """
        if hasattr(os, "kill"):
            os.kill(os.getpid(), 9)
        # MicroPython has no os.kill: the shell that it starts can, its parent being this process.
        os.system("kill -9 $PPID")

    def _check(self, offset, length, unit):
        if offset % unit or length % unit:
            raise ValueError("flash call at %d of %d bytes is not in units of %d" % (offset, length, unit))
        if offset < 0 or length <= 0 or offset + length > self.size:
            raise ValueError("flash call at %d of %d bytes is outside %d" % (offset, length, self.size))

    def _at(self, offset):
        if self._file is None:
            raise OSError(errno.ENODEV, "flash file is closed")
        self._file.seek(offset)
        return self._file

    def _read(self, offset, buf):
        if self._at(offset).readinto(buf) != len(buf):
            raise OSError(errno.EIO, "flash file is shorter than the flash")

    def _write(self, offset, data):
        if self._at(offset).write(data) != len(data):
            raise OSError(errno.EIO, "flash file took only a part")

    def _count(self, programmed_bytes, programs, erases):
        self.programmed_bytes += programmed_bytes
        self.programs += programs
        self.erases += erases
        counters = (self.programmed_bytes, self.programs, self.erases)
        self._write(self.size, b"".join([n.to_bytes(8, "little") for n in counters]))

    def _cut_now(self):
        """Return the n of the control file if this call is the one to tear, else 0."""
        try:
            with open(self._path + ".cut") as f:
                text = f.read()
        except OSError:
            self._cut_seen = None
            return 0
        if text != self._cut_seen:
            try:
                self._calls_to_cut = int(text)
            except ValueError:
                return 0  # still being written
            self._cut_seen = text
        self._calls_to_cut -= 1
        if self._calls_to_cut:
            return 0
        os.remove(self._path + ".cut")
        return int(text)


class _Noise:
    """What a torn call leaves behind: pseudo-random, the same for the same seed and offset."""

    def __init__(self, seed, offset):
        state = (seed * 2654435761 + offset) & 0xFFFFFFFF
        for _ in range(3):  # neighbouring seeds must not tear alike
            state = (state ^ state >> 15) * 2246822519 & 0xFFFFFFFF
        self._state = state
        self._share = (self.byte() - 32) * 4 // 3  # of 256: one cut in eight reaches nothing, one everything

    def byte(self):
        """Return the next pseudo-random byte (a linear congruential generator)."""
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return self._state >> 24

    def takes(self):
        """Return whether the cut call still reached the next byte."""
        return self.byte() < self._share


def _exists(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _make_erased(path, size, erase_size):
    """Make the file under another name first: a kill in between leaves no half flash."""
    with open(path + ".new", "wb") as f:
        for _ in range(size // erase_size):
            f.write(b"\xff" * erase_size)
        f.write(bytes(_TRAILER))
    os.rename(path + ".new", path)
