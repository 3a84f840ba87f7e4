"""Counts what happens to a journal in a Workload, by looking on. For tests on any VM."""

from backup_format.records import TOMBSTONE_VERSION
from fault_board import JournalBoard
from fault_workload import Workload


class Watched(JournalBoard):
    """A JournalBoard that counts events: {name: how often}."""

    events = {}

    def _count(self, name, happened=True):
        if happened:
            self.events[name] = self.events.get(name, 0) + 1

    def start(self):
        super().start()
        self._fresh = True
        self._failed = False
        self._count("start", self.number > 0)

    def _seen(self):
        arenas = self.journal.arenas()
        newest = max([0] + list(arenas))
        return newest, [unit for _sequence, unit in arenas[newest]]

    def save(self, begin):
        self._write("commit", lambda: super(Watched, self).save(begin))

    def configure(self, settings):
        self._write("strategy change", lambda: super(Watched, self).configure(settings))

    def spill(self):
        self._write("spill", super().spill)

    def _write(self, what, call):
        self.ready()
        first = self.number == 0 and self.journal.number == 0
        arena, units = self._seen()
        tombs = sum(entry[0] == TOMBSTONE_VERSION for entry in self.read().values())
        stored = sum(1 for _ in self.state.stored_rows())
        try:
            call()
        except Exception:
            self._count("failure")
            self._failed = True
            raise
        after, now = self._seen()
        self._count(what)
        self._count("first format", first)
        self._count("delta", after == arena)
        self._count("checkpoint", after != arena and not first)
        self._count("checkpoint that copies tombstones", after != arena and tombs > 0 and stored > 0)
        self._count("arena full", after != arena and not first and not self._failed)
        self._count("arena filled by a spill", after != arena and not first and what == "spill")
        new = [unit for unit in now if arena != after or unit not in units]
        self._count("unit opened", bool(new))
        last = units[-1] if units else 0
        self._count("wrap-around", bool(new) and not first and min(new) < last)
        self._count("record across units", len(new) > 1)
        self._count("fresh unit after a start", self._fresh and after == arena and bool(new))
        self._count("retry after failure", self._failed)
        self._fresh = self._failed = False


EVENTS = (
    "first format",
    "start",
    "delta",
    "commit",
    "spill",
    "unit opened",
    "record across units",
    "arena full",
    "arena filled by a spill",
    "checkpoint",
    "checkpoint that copies tombstones",
    "wrap-around",
    "fresh unit after a start",
    "failure",
    "retry after failure",
    "strategy change",
)


def events(steps):
    """Return {event: how often} of the steps on a JournalBoard."""
    Watched.events = {}
    Workload(Watched, steps)
    return Watched.events
