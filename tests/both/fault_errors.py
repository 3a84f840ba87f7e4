"""Fault models: calls of the driver raise, or a unit is worn out (families os-error ... worn). For tests on any VM."""

from faulty_flash import At, Dice, Worn, tear


class Raise:
    """The nth call (from 1) of the ops raises error, and times - 1 calls after it. done: the call did its work before
    it raised."""

    after = None

    def __init__(self, flash, nth, error, done=False, times=1, ops=("read", "program", "erase")):
        self._flash = flash
        self._error = error
        self._done = done
        self._at = At(nth, self._raise, ops, times)

    def __call__(self, op, offset, data):
        return self._at(op, offset, data)

    def _raise(self, op, offset, data):
        if self._done and op != "read":
            tear(self._flash, op, offset, data, "after", Dice(1))
        raise self._error


class WornOut:
    """From the nth program or erase on, the unit that it meets is worn out for ever: what (ops) does nothing, or raises
    if loud."""

    def __init__(self, flash, nth, ops, loud):
        self._flash = flash
        self._ops = ops
        self._loud = loud
        self.after = None
        self._at = At(nth, self._wear, ("program", "erase"))

    def __call__(self, op, offset, data):
        swallowed = self._at(op, offset, data)
        return swallowed or (self.after is not None and self.after(op, offset, data))

    def _wear(self, op, offset, data):
        self.after = Worn(self._flash, {offset // self._flash.erase_size}, self._ops, self._loud)
        return False
