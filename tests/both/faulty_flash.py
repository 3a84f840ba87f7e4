"""NOR flash in plain RAM, and what can go wrong with it; for tests on any VM.

A fault is a function (op, offset, data) that a flash asks before each call; op is "read", "program" or "erase". It
returns False to let the call happen, True to swallow it, or raises what the driver would raise.
"""

import errno

from medium_content import content, fill


class PowerCut(BaseException):
    """The power is gone: nothing that runs on the board catches this."""


class Dice:
    """Pseudo-random numbers, the same on every VM (a linear congruential generator)."""

    def __init__(self, seed):
        self._state = (seed * 2654435761 + 12345) & 0xFFFFFFFF
        self.roll(7)

    def roll(self, sides):
        """Return 0 ... sides - 1 (sides: at most 65536)."""
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._state >> 16) * sides >> 16


class RamFlash:
    """A BlockDevice in RAM: a program clears bits only, and only once per program unit between two erases.

    data: the content. fault: see above; None: none. writes: programs and erases so far. worn: erases of each unit.
    older: as data, but what each unit held before it was erased last; None: not kept.
    """

    def __init__(self, size=65536, erase_size=4096, program_size=256):
        self.size = size
        self.erase_size = erase_size
        self.program_size = program_size
        self.data = content(size)
        self.fault = None
        self.writes = 0
        self.worn = [0] * (size // erase_size)
        self.older = None

    def read_into(self, offset, buf):
        assert 0 <= offset and offset + len(buf) <= self.size
        if not self._swallowed("read", offset, buf):
            if hasattr(self.data, "read_into"):
                self.data.read_into(offset, buf)
            else:
                buf[:] = self.data[offset : offset + len(buf)]

    def program(self, offset, data):
        assert len(data) == self.program_size and not offset % self.program_size and 0 <= offset < self.size
        self.writes += 1
        if not self._swallowed("program", offset, data):
            assert self.data[offset : offset + len(data)] == b"\xff" * len(data), "programmed twice"
            self.data[offset : offset + len(data)] = data

    def erase(self, offset):
        assert not offset % self.erase_size and 0 <= offset < self.size
        self.writes += 1
        self.worn[offset // self.erase_size] += 1
        if self.older is not None:
            self.older[offset : offset + self.erase_size] = self.data[offset : offset + self.erase_size]
        if not self._swallowed("erase", offset, None):
            fill(self.data, offset, offset + self.erase_size)

    def _swallowed(self, op, offset, data):
        return self.fault is not None and self.fault(op, offset, data)

    def is_blank(self):
        """Return whether nothing was ever programmed, as far as can be seen."""
        return self.data == b"\xff" * self.size

    def copy(self):
        """Return a flash without faults that holds the same."""
        other = RamFlash(self.size, self.erase_size, self.program_size)
        other.data[:] = self.data
        return other

    def flip(self, bit):
        """Flip one bit of the content, 0 ... 8 * size - 1."""
        self.data[bit >> 3] ^= 1 << (bit & 7)


def tear(flash, op, offset, data, how, dice):
    """Leave on flash what a power cut in a program or erase leaves: how "torn": a random subset of a program's bytes,
    random bits after an erase; "before": nothing was done; "after": everything was."""
    content, torn = flash.data, how == "torn"
    if how == "before":
        return
    share = dice.roll(9)  # in eighths: nothing, some, all
    for i in range(len(data) if op == "program" else flash.erase_size):
        if op == "program":
            if not torn or dice.roll(8) < share:
                content[offset + i] &= data[i]
        elif not torn:
            content[offset + i] = 0xFF
        elif dice.roll(8) < share:
            content[offset + i] = dice.roll(256)


class Cut:
    """Cuts the power in the nth program or erase (from 1), as tear() does."""

    def __init__(self, flash, nth, how="torn"):
        self._flash = flash
        self._left = nth
        self._how = how
        self._dice = Dice(nth)

    def __call__(self, op, offset, data):
        if self._left > 0 and op != "read":
            self._left -= 1
            if not self._left:
                tear(self._flash, op, offset, data, self._how, self._dice)
        if not self._left:
            raise PowerCut(op)
        return False


class At:
    """Lets something happen in the nth call (from 1) of the ops: what, an exception, is raised, or what(op, offset,
    data) is called. times: how many calls from there on."""

    def __init__(self, nth, what, ops=("program", "erase", "read"), times=1):
        self._nth = nth
        self._what = what
        self._ops = ops
        self._times = times
        self.calls = 0

    def __call__(self, op, offset, data):
        if op not in self._ops:
            return False
        self.calls += 1
        if not self._nth <= self.calls < self._nth + self._times:
            return False
        if isinstance(self._what, BaseException):
            raise self._what
        return self._what(op, offset, data)

    @property
    def happened(self):
        """Whether the nth call has come."""
        return self.calls >= self._nth


def dead(op, offset, data):
    """Every call fails."""
    raise OSError(errno.EIO)


def swallow(op, offset, data):
    """The call does nothing and says that all is well."""
    return True


class Worn:
    """Erase units (a set) where ops do nothing and say that all is well; or raise, if loud."""

    def __init__(self, flash, units, ops=("program", "erase"), loud=False):
        self._size = flash.erase_size
        self._units = units
        self._ops = ops
        self._loud = loud

    def __call__(self, op, offset, data):
        if op not in self._ops or offset // self._size not in self._units:
            return False
        if self._loud:
            raise OSError(errno.EIO)
        return True


class Misread:
    """Garbles what the nth read gives."""

    def __init__(self, flash, nth):
        self._flash = flash
        self._at = At(nth, self._read, ("read",))

    def __call__(self, op, offset, data):
        return self._at(op, offset, data)

    @property
    def happened(self):
        """Whether the nth read has come."""
        return self._at.happened

    def _read(self, op, offset, buf):
        buf[:] = self._flash.data[offset : offset + len(buf)]
        buf[len(buf) // 2] ^= 0x40
        return True


class WrongByte:
    """Programs one byte of the nth program wrong."""

    def __init__(self, flash, nth):
        self._flash = flash
        self._at = At(nth, self._program, ("program",))

    def __call__(self, op, offset, data):
        return self._at(op, offset, data)

    def _program(self, op, offset, data):
        self._flash.data[offset : offset + len(data)] = data
        self._flash.data[offset + 100] ^= 0x10
        return True
