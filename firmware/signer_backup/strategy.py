"""When to take a snapshot: the strategies of Greenlight's signer backups, and the triggers of our own."""

from backup_format.port import ticks_ms, ticks_since
from backup_format.records import STRATEGIES, TRIGGERS

NEVER, NEW_CHANNELS_ONLY, PERIODIC = STRATEGIES
FIRST, NEW_CHANNEL, PERIODIC_DUE, ADDRESS, DELETED, RETRY = TRIGGERS

_LONGEST_PAUSE = 3600 * 1000  # ms between two retries


class Strategy:
    """name: one of STRATEGIES; updates: N of periodic (1 ... 2^32-1), else 0. Raises ValueError."""

    def __init__(self, name, updates):
        if name not in STRATEGIES:
            raise ValueError("strategy %s: use never, new-channels-only or periodic:N" % name)
        in_range = 0 < updates < 1 << 32 if name == PERIODIC else not updates
        if not in_range:
            raise ValueError("strategy %s with %d updates: only periodic takes 1 to 4294967295" % (name, updates))
        self.name = name
        self.updates = updates


def parse_strategy(text):
    """Return the Strategy that text names: never, new-channels-only or periodic:N. Raises ValueError."""
    name, colon, number = text.partition(":")
    if colon and not number.isdigit():
        raise ValueError("strategy %s: use periodic:N with a number N" % text)
    return Strategy(name, int(number) if number else 0)


class Pause:
    """How long to leave a thing alone that failed: first milliseconds, twice as long each time, at most longest."""

    def __init__(self, first, longest=_LONGEST_PAUSE):
        self._first = self._next = first
        self._longest = longest
        self._since = None  # the last failure; None: there was none since all was well

    def over(self):
        """Return whether it may be tried again."""
        return self._since is None or ticks_since(self._since) >= self._wait

    def failed(self):
        """It failed once more."""
        self._since = ticks_ms()
        self._wait = self._next
        self._next = min(2 * self._next, self._longest)

    def succeeded(self):
        """All is well again."""
        self._since = None
        self._next = self._first


class Seen:
    """What one request changed, as far as snapshots care.

    new_channel: a channel became recoverable; advance: the most steps in version that a recoverable channel made (0:
    none changed); address: a channel peer's address appeared or changed for the better; deleted: a channel that was
    recoverable became a tombstone.
    """

    def __init__(self):
        self.new_channel = False
        self.advance = 0
        self.address = False
        self.deleted = False


class Schedule:
    """Decides for each request whether to write, from what the request changed and how earlier writes went.

    pause: milliseconds before the first retry of a failed write (Pause). A new trigger never waits; of those that go on
    being true (first, periodic) only the first time is new. pending: the triggers whose write is still to be done.
    """

    def __init__(self, strategy, pause):
        self.strategy = strategy
        self.count = None  # requests that changed a recoverable channel; None: not known since the start
        self.pending = []
        self._pause = Pause(pause)

    def trigger(self, seen, has_snapshot, channels):
        """Return the trigger to write by (of TRIGGERS), or None.

        seen: Seen, what this request changed; has_snapshot: whether the medium holds one; channels: recoverable ones.
        """
        if self.strategy.name == NEVER:
            return None
        due = self._count(seen)
        if not has_snapshot and channels and FIRST not in self.pending:
            found = FIRST
        elif seen.new_channel:
            found = NEW_CHANNEL
        elif due and PERIODIC_DUE not in self.pending:
            found = PERIODIC_DUE
        elif seen.address:
            found = ADDRESS
        elif seen.deleted:
            found = DELETED
        elif self.pending and self._pause.over():
            return RETRY
        else:
            return None
        # What Greenlight would write now too, whatever we call it, starts its count anew.
        if seen.new_channel:
            self._note(NEW_CHANNEL)
        if due:
            self._note(PERIODIC_DUE)
        self._note(found)
        return found

    def _count(self, seen):
        """Count this request; return whether a periodic snapshot is due."""
        if self.strategy.name != PERIODIC or not seen.advance:
            return False
        # After a start: what the node brings of the time since the last snapshot counts with its versions.
        self.count = seen.advance if self.count is None else self.count + 1
        return self.count >= self.strategy.updates

    def _note(self, trigger):
        if trigger not in self.pending:
            self.pending.append(trigger)

    def succeeded(self):
        """The write by the last trigger is done."""
        if NEW_CHANNEL in self.pending or PERIODIC_DUE in self.pending:
            self.count = 0
        self.pending = []
        self._pause.succeeded()

    def change(self, strategy):
        """Go by another strategy: the count goes on; what the new one would not write for is not pending any more."""
        self.strategy = strategy
        if strategy.name == NEVER:
            self.pending = []
        elif strategy.name != PERIODIC and PERIODIC_DUE in self.pending:
            self.pending.remove(PERIODIC_DUE)

    def clear(self):
        """The state is gone, and with it what was pending: begin as at a start."""
        self.count = None
        self.pending = []

    def retry(self):
        """The medium was seen to: what is pending may be tried again at once."""
        self._pause.succeeded()

    def failed(self):
        """The write by the last trigger failed: it is tried again after the pause."""
        self._pause.failed()
