"""Fault models: the power goes (docs/reliability.md, families cut ... neighbours). For tests on any VM.

Each is a fault for RamFlash.fault (faulty_flash.py) that raises PowerCut in the nth program or erase and ever after.
What it leaves for the next start is in `after`: a fault too, or None.
"""

from faulty_flash import PowerCut, tear


class _Cut:
    """Cuts the power in the nth program or erase (from 1): leave(op, offset, data) says what is left of it."""

    after = None

    def __init__(self, flash, nth, dice):
        self.flash = flash
        self.dice = dice
        self._left = nth

    def __call__(self, op, offset, data):
        if op != "read" and self._left > 0:
            self._left -= 1
            if not self._left:
                self.leave(op, offset, data)
        if not self._left:
            raise PowerCut(op)
        return False


class PlainCut(_Cut):
    """how: "before", "after" or "torn" (see tear), or "prefix": the first so many bytes of a program or an erase."""

    def __init__(self, flash, nth, dice, how):
        super().__init__(flash, nth, dice)
        self._how = how

    def leave(self, op, offset, data):
        if self._how != "prefix":
            tear(self.flash, op, offset, data, self._how, self.dice)
        elif op == "program":
            n = self.dice.roll(len(data) + 1)
            self.flash.data[offset : offset + n] = bytes(data)[:n]
        else:
            n = self.dice.roll(self.flash.erase_size + 1)
            self.flash.data[offset : offset + n] = b"\xff" * n


class UnstableCut(_Cut):
    """A torn erase, after which some bytes read differently each time, until the unit is erased to its end."""

    def leave(self, op, offset, data):
        tear(self.flash, op, offset, data, "torn", self.dice)
        if op == "erase":
            places = [offset + self.dice.roll(self.flash.erase_size) for _ in range(1 + self.dice.roll(40))]
            self.after = Unstable(self.flash, offset, places, self.dice)


class Unstable:
    """Bytes (places, on the medium) of the erase unit at offset that read as one value now, as another then."""

    after = None

    def __init__(self, flash, offset, places, dice):
        self._flash = flash
        self._unit = offset
        self._places = places
        self._dice = dice

    def __call__(self, op, offset, data):
        if op == "erase" and offset == self._unit:
            self._places = []
        if op != "read" or not self._places:
            return False
        data[:] = self._flash.data[offset : offset + len(data)]
        for place in self._places:
            how = self._dice.roll(3)
            if how and offset <= place < offset + len(data):
                data[place - offset] = 0xFF if how == 1 else self._dice.roll(256)
        return True


class Reorder(_Cut):
    """What was written since the last sync reached the medium sector by sector (128 bytes) in any order: at the cut
    each of these sectors holds the new bytes or the old ones. each_call: every program and erase ends in a sync, as
    our drivers do it; else sync() says when."""

    def __init__(self, flash, nth, dice, each_call):
        super().__init__(flash, nth, dice)
        self._each_call = each_call
        self._unsynced = []

    def sync(self):
        self._unsynced = []

    def __call__(self, op, offset, data):
        if op != "read":
            if self._each_call:
                self.sync()
            size = self.flash.erase_size if op == "erase" else len(data)
            self._unsynced.append((offset, bytes(self.flash.data[offset : offset + size])))
        return super().__call__(op, offset, data)

    def leave(self, op, offset, data):
        tear(self.flash, op, offset, data, "after", self.dice)
        for at, old in reversed(self._unsynced):
            for sector in range(0, len(old), 128):
                if self.dice.roll(2):
                    self.flash.data[at + sector : at + sector + 128] = old[sector : sector + 128]


class Neighbours(_Cut):
    """A cut that also damages sectors up to reach bytes before and behind the one being written. flash: a SparseFlash.
    hit: [(first byte, byte behind)]; before: the flash before that."""

    def __init__(self, flash, nth, dice, reach):
        super().__init__(flash, nth, dice)
        self._reach = reach
        self.hit = []
        self.before = None

    def leave(self, op, offset, data):
        self.before = self.flash.copy()
        self.before.fault = None
        if op == "program" and self.dice.roll(2):
            self.flash.put(offset, data)
        reach = (self._reach * (1 + self.dice.roll(256))) >> 8
        share = 1 + self.dice.roll(8)
        low, high = offset - reach, offset + reach
        for sector in self.flash.sectors():  # blank ones may turn to noise too: those in the unit being written do
            if low <= sector < high and self.dice.roll(8) < share:
                self._damage(sector)
        self._damage(offset)

    def _damage(self, sector):
        noise = bytes([self.dice.roll(256) for _ in range(16)])
        self.flash.put(sector, (noise, b"\x00" * 16, b"\xff" * 16)[self.dice.roll(3)] * 32)
        self.hit.append((sector, sector + 512))
