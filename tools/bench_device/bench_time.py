"""How long the coding of a value takes, beside json.dumps."""

import gc
import json
import time

from backup_format.compact import encode_to

try:
    from js import performance  # the VM's own clock in WebAssembly counts milliseconds

    def _now():
        return int(performance.now() * 1000)
except ImportError:
    _now = time.ticks_us

_TICKS = 500  # microseconds that one measurement takes at least; on a busy machine few longer ones are undisturbed


def begin(path):
    """Take the JSON text in the file at path."""
    global _ours, _theirs
    with open(path, "rb") as file:
        text = file.read()
    tree = json.loads(text)
    _ours = _Timed(lambda: encode_to(text, _drop))
    _theirs = _Timed(lambda: json.dumps(tree))


def measure():
    """Measure both once more."""
    _ours.measure()
    _theirs.measure()


def show():
    """Print the shortest time of either, in nanoseconds."""
    print("coded", _ours.best, "dumped", _theirs.best)


class _Timed:
    def __init__(self, call):
        self._call = call
        self._count = 1
        while min(self._ticks(), self._ticks(), self._ticks()) < _TICKS:
            self._count *= 2
        self.best = 1 << 30

    def measure(self):
        """Measure once more, and keep the best."""
        self.best = min(self.best, self._ticks() * 1000 // self._count)

    def _ticks(self):
        gc.collect()
        call = self._call
        call()  # the collection has emptied the processor's caches
        began = _now()
        for _ in range(self._count):
            call()
        return time.ticks_diff(_now(), began)


def _drop(piece):
    pass
