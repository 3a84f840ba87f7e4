"""What every driver of a medium has in common: checks before each call, and reading back after each write."""

import errno


class Medium:
    """A BlockDevice (boards/README.md) over three calls that a driver gives: _read, _program and _erase.

    size, erase_size, program_size: bytes. The driver's calls get only offsets and lengths that fit: _read(offset, buf)
    any range inside of the medium, _program(offset, data) one program unit, _erase(offset) one erase unit.
    """

    def __init__(self, size, erase_size, program_size):
        self.size = size
        self.erase_size = erase_size
        self.program_size = program_size
        # Allocated now: a MemoryError between a write and its check would be a power cut in disguise.
        self._back = bytearray(program_size)
        self._blank = b"\xff" * program_size

    def read_into(self, offset, buf):
        """Fill the writable buffer buf from byte offset on. Raises OSError."""
        self._check("read", offset, len(buf), 1)
        self._read(offset, buf)

    def program(self, offset, data):
        """Write one program unit that is blank, and read it back. Raises OSError."""
        if len(data) != self.program_size:
            raise OSError(errno.EINVAL, "program of %d bytes: a unit has %d" % (len(data), self.program_size))
        self._check("program", offset, len(data), self.program_size)
        self._program(offset, data)
        self._read(offset, self._back)
        if self._back != data:
            raise OSError(errno.EIO, "program at %d: other bytes were read back" % offset)

    def erase(self, offset):
        """Make one erase unit read as 0xFF throughout, and check that it does. Raises OSError."""
        self._check("erase", offset, self.erase_size, self.erase_size)
        self._erase(offset)
        for at in range(offset, offset + self.erase_size, self.program_size):
            self._read(at, self._back)
            if self._back != self._blank:
                raise OSError(errno.EIO, "erase at %d: the unit is not blank" % offset)

    def _check(self, verb, offset, length, unit):
        if offset % unit or offset < 0 or offset + length > self.size:
            text = "%s of %d bytes at %d, on a medium of %d in units of %d"
            raise OSError(errno.EINVAL, text % (verb, length, offset, self.size, unit))


def accept(answer, what):
    """Raise OSError if a vendor's block call answered that it failed: with False, or with a negative number.

    0, True and None mean success; which of them depends on the port and its version.
    """
    if answer is False or (answer not in (None, True) and answer < 0):
        raise OSError(errno.EIO, "%s failed: %r" % (what, answer))
