"""Fault models: the medium does something else than it says (families silent ... stale-read). For tests on any VM.

Each is a fault for RamFlash.fault that acts in the nth call (from 1) of its ops. hit: [(first byte, byte behind)] of
what was damaged elsewhere, and before: the flash before that; noticed: whether reading back must show it.
"""

from faulty_flash import At


class _Once:
    """Calls act(op, offset, data) in the nth of the ops; it returns what a fault returns."""

    ops = ("program", "erase")
    after = None

    def __init__(self, flash, nth, dice):
        self.flash = flash
        self.dice = dice
        self.hit = []
        self.before = None
        self.noticed = True
        self._at = At(nth, self.act, self.ops)

    def __call__(self, op, offset, data):
        return self._at(op, offset, data)


class Silent(_Once):
    """A program or an erase does nothing and says that all is well."""

    def act(self, op, offset, data):
        return True


class WrongBytes(_Once):
    """A program writes other bytes: how 0: one bit; 1: one byte; 2: some bytes not at all; 3: shifted by one; 4:
    zeros."""

    ops = ("program",)

    def __init__(self, flash, nth, dice, how):
        super().__init__(flash, nth, dice)
        self._how = how

    def act(self, op, offset, data):
        wrong = bytearray(data)
        at = self.dice.roll(len(wrong))
        if self._how == 0:
            wrong[at] ^= 1 << self.dice.roll(8)
        elif self._how == 1:
            wrong[at] ^= 1 + self.dice.roll(255)
        elif self._how == 2:
            for i in range(len(wrong)):
                wrong[i] |= 0xFF if self.dice.roll(2) else 0
        elif self._how == 3:
            wrong = bytearray(b"\xff" + bytes(data[:-1]))
        else:
            wrong = bytearray(len(wrong))
        self.flash.data[offset : offset + len(data)] = wrong
        return True


class MisdirectedWrite(_Once):
    """A program or an erase lands on another unit (victim, at the same place in it)."""

    def __init__(self, flash, nth, dice, victim):
        super().__init__(flash, nth, dice)
        self._victim = victim

    def act(self, op, offset, data):
        size = self.flash.erase_size
        there = self._victim * size + offset % size
        if there == offset:
            return False
        self.before = self.flash.copy()
        content = self.flash.data
        if op == "erase":
            self.noticed = content[offset : offset + size] != b"\xff" * size
            content[there : there + size] = b"\xff" * size
            self.hit.append((there, there + size))
            return True
        self.noticed = data != b"\xff" * len(data)
        for i in range(len(data)):
            content[there + i] &= data[i]
        self.hit.append((there, there + len(data)))
        return True


class MisdirectedRead(_Once):
    """A read answers with another unit's content (victim, from the same place in it)."""

    ops = ("read",)

    def __init__(self, flash, nth, dice, victim):
        super().__init__(flash, nth, dice)
        self._victim = victim

    def act(self, op, offset, buf):
        there = self._victim * self.flash.erase_size + offset % self.flash.erase_size
        found = self.flash.data[there : there + len(buf)]
        buf[:] = found + bytes(len(buf) - len(found))
        return True


class StaleRead(_Once):
    """A read answers with what the unit held before it was erased last; or, erased, with what it holds since then."""

    ops = ("read",)

    def __init__(self, flash, nth, dice, erased):
        super().__init__(flash, nth, dice)
        self._erased = erased

    def act(self, op, offset, buf):
        size = self.flash.erase_size
        n = 0 if self._erased else min(len(buf), size - offset % size)
        buf[:] = bytes(self.flash.older[offset : offset + n]) + b"\xff" * (len(buf) - n)
        return True
