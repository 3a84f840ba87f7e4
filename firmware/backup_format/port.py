"""The only module that asks which Python this is (MicroPython, CircuitPython, CPython)."""

import gc
import hashlib
import sys
import time

_GARBAGE = 16384  # bytes
_NAME = sys.implementation.name

try:
    from micropython import const
except ImportError:

    def const(value):
        """Return value: MicroPython's compiler folds constants, the others need none of it."""
        return value


def collect_early():
    """Have garbage collected whenever some 16 KB were allocated, where the VM can (MicroPython), not only when RAM is
    full: what stays would lie scattered among it, and leave no large hole."""
    if hasattr(gc, "threshold"):
        gc.threshold(_GARBAGE)


if _NAME == "circuitpython":

    def sha256():
        """Return a new SHA-256 object: update(bytes), then digest() once, last."""
        return hashlib.new("sha256")

else:

    def sha256():
        """Return a new SHA-256 object: update(bytes), then digest() once, last."""
        return hashlib.sha256()


if _NAME == "micropython":
    ticks_ms = time.ticks_ms
else:

    def ticks_ms():
        """Return a clock in milliseconds that wraps at 2^30; compare readings only with ticks_since."""
        return time.monotonic_ns() // 1000000 & 0x3FFFFFFF


def ticks_since(then):
    """Return the milliseconds (0 ... 2^30 - 1, about 12 days) from the ticks_ms reading then until now."""
    return (ticks_ms() - then) & 0x3FFFFFFF
