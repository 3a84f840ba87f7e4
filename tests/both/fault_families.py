"""The families of faults, and what the promise says of each: after ONE fault of a family, and any number of power cuts.
For tests on any VM.

The promise is FULL: the last snapshot whose save returned (or a later one) comes back at the next start, byte for
byte; the snapshot before stays readable; saving works again as soon as the fault is over. Where a fault destroys what
lies on the medium it is LEFT: the newest snapshot of which nothing was hit comes back. In both nothing wrong is ever
returned as whole.
"""

import errno

from fault_cuts import Neighbours, PlainCut, Reorder, UnstableCut
from fault_errors import Raise, WornOut
from fault_lies import MisdirectedRead, MisdirectedWrite, Silent, StaleRead, WrongBytes

HOWS = ("torn", "before", "after", "prefix")


class Live:
    """A fault while the board works. ops: letters of the calls where it can come; variants: in how many ways;
    make(board, nth, variant, dice) -> the fault; promise: text."""

    def __init__(self, name, ops, variants, make, promise):
        self.name = name
        self.ops = ops
        self.variants = variants
        self.make = make
        self.promise = promise


def _cut(board, nth, variant, dice):
    return PlainCut(board.flash, nth, dice, HOWS[variant])


def _unstable(board, nth, variant, dice):
    return UnstableCut(board.flash, nth, dice)


def _reorder(board, nth, variant, dice):
    return Reorder(board.flash, nth, dice, not hasattr(board, "syncs"))


def _silent(board, nth, variant, dice):
    return Silent(board.flash, nth, dice)


def _wrong(board, nth, variant, dice):
    return WrongBytes(board.flash, nth, dice, variant)


def _misdirected_write(board, nth, variant, dice):
    return MisdirectedWrite(board.flash, nth, dice, variant)


def _misdirected_read(board, nth, variant, dice):
    return MisdirectedRead(board.flash, nth, dice, variant)


def _stale(board, nth, variant, dice):
    return StaleRead(board.flash, nth, dice, variant)


def _os_error(board, nth, variant, dice):
    return Raise(board.flash, nth, OSError(errno.EIO), variant % 2, (1, 3, 20, 1000)[variant // 2])


def _os_error_on_writes(board, nth, variant, dice):
    times = (1, 3, 20, 1000)[variant // 2]
    return Raise(board.flash, nth, OSError(errno.EIO), variant % 2, times, ("program", "erase"))


def _memory_error(board, nth, variant, dice):
    return Raise(board.flash, nth, MemoryError(), variant)


def _interrupt(board, nth, variant, dice):
    return Raise(board.flash, nth, KeyboardInterrupt(), variant)


def _worn(board, nth, variant, dice):
    ops = (("program",), ("erase",), ("program", "erase"))[variant // 2]
    return WornOut(board.flash, nth, ops, variant % 2)


def _neighbours(board, nth, variant, dice):
    return Neighbours(board.flash, nth, dice, 4 << 20)


UNITS = 16  # of fault_workload.new_flash()

LIVE = (
    Live("cut", "pe", 4, _cut, "full; inside a program any subset of its bytes, inside an erase any bits"),
    Live("cut-unstable", "e", 4, _unstable, "full; bytes of a cut erase read differently each time"),
    Live("reorder", "pe", 4, _reorder, "full; sectors written since the last sync arrive in any order"),
    Live("silent", "pe", 1, _silent, "full; reading back finds it"),
    Live("wrong-bytes", "p", 5, _wrong, "full; reading back finds it"),
    Live(
        "misdirected-write",
        "pe",
        UNITS,
        _misdirected_write,
        "left, for the snapshots before; full for a save during which reading back showed it",
    ),
    Live("misdirected-read", "r", UNITS, _misdirected_read, "full"),
    Live("stale-read", "r", 2, _stale, "full"),
    Live("os-error", "rpe", 8, _os_error, "full; once, or until the card is put back"),
    Live("memory-error", "rpe", 2, _memory_error, "full"),
    Live("interrupt", "rpe", 2, _interrupt, "full; KeyboardInterrupt: Ctrl-C on the wire"),
    Live("worn", "pe", 6, _worn, "full; for ever"),
)

# What fault-and-cut takes the fault from: faults of writes, which littlefs can be asked for too.
BEFORE_CUTS = ("silent", "wrong-bytes", "worn")

# The same faults, but the board's snapshots are BackupRuntime's (fault_runtime.py).
THROUGH_RUNTIME = ("cut", "silent", "wrong-bytes", "os-error", "memory-error", "interrupt", "worn")

# On a card of its own: SparseFlash and fault_workload.card_script().
CARD = (
    Live(
        "neighbours",
        "pe",
        4,
        _neighbours,
        "left; a cut damages sectors up to 4 MiB before and behind the one being written",
    ),
)


def os_error_on_writes():
    """Return the family os-error for a store whose reads can't fail."""
    return Live("os-error", "pe", 8, _os_error_on_writes, "full; once, or until the card is put back")
