"""The backup runtime: hears of every request's changes and takes snapshots. It never hurts the signer."""

import json

from backup_format.errors import FormatError
from backup_format.records import TOMBSTONE_VERSION, Commit

from .strategy import FIRST, RETRY, Pause, Schedule, Seen, Strategy


class BackupRuntime:
    """Observes a signer and keeps its snapshots on a journal.

    journal: Journal; state: State, which may also be the store that the signer's loop works on; strategy: the board's
    Strategy, by which it goes while the medium holds no other;
    clock(): unix seconds, or None while the clock is unset; log(text); pause: milliseconds before the first retry;
    indicator(on): a LED, on while a backup has failed and not yet succeeded.

    Counts: failures (all since the start), failing (in a row); last_error: text of the last one, None when all is well;
    unwritten: requests since the newest snapshot that changed a recoverable channel.
    """

    def __init__(self, journal, state, strategy, clock, log, pause, indicator=None):
        self.journal = journal
        self.state = state
        self.schedule = Schedule(strategy, pause)
        self.failures = 0
        self.failing = 0
        self.last_error = None
        self.unwritten = 0
        self.clock = clock
        self._strategy = strategy
        self._log = log
        self._indicator = indicator or bool
        self._node_id = None
        self._seen = Seen()  # what the request that is going on has changed so far
        self._taking = {}  # changes that could not be taken yet: key -> (entry before, entry after)
        self._pause = Pause(pause)  # of spills; snapshots have the schedule's
        # Requests fail while the card with the state is out: it is looked for soon, and that wears nothing.
        self._mount_pause = Pause(pause, 8 * pause)
        state.spill = self._spill
        self.remount()

    def observe(self, node_id, changes, more=False):
        """Hear of one request: changes lists (key, entry before or None, entry after); an entry has version (u64),
        signature (bytes) and value (canonical JSON text as bytes; None: a tombstone). node_id: 33 bytes, or None while
        nobody knows it. more: other changes of the same request will follow. Never raises but KeyboardInterrupt; what
        fails is counted, logged and tried again later.
        """
        self._guard(self._see if more else self._observe, node_id, changes)

    def remount(self):
        """Look for a medium that was missing or has failed, unless that was tried a moment ago. Never raises."""
        if not self.journal.mounted and self._mount_pause.over():
            self._guard(self._try, self._mount_pause, self.mount)

    def _guard(self, call, *args):
        """Call it; count and log whatever it raises but KeyboardInterrupt (and what is no Exception at all)."""
        try:
            call(*args)
        except Exception as e:  # noqa: BLE001 - whatever it is, signing goes on
            self.failures += 1
            self.failing += 1
            try:
                self.last_error = str(e) or type(e).__name__
                self._log("backup failed (%d in a row), signing goes on: %s" % (self.failing, self.last_error))
                self._indicator(True)
            except Exception:  # noqa: BLE001 - no memory for the words, or no place for them
                pass

    def mount(self):
        """Mount the journal, and go by the strategy that it says. Raises MediumError, FormatError."""
        self.journal.mount(self.state)
        self._go_by_settings()

    def _go_by_settings(self):
        wanted = self.journal.settings or (self._strategy.name, self._strategy.updates)
        now = self.schedule.strategy
        if wanted != (now.name, now.updates):
            self.schedule.change(Strategy(*wanted))

    def configure(self, strategy):
        """Go by strategy (a Strategy) from now on, and keep it on the medium.

        Raises MediumError, FormatError: all is as before then.
        """
        self._try(self._pause, self._configure, strategy)

    def _configure(self, strategy):
        self.journal.configure(self.state, (strategy.name, strategy.updates))
        self._go_by_settings()

    def unmount(self):
        """Before the medium is formatted: let go of it, and of the state if it held a part of that."""
        held = self.state.log is not None
        self.journal.unmount(self.state)
        if held:
            self._taking = {}
            self.unwritten = 0
            self.schedule.clear()

    def retry(self):
        """The medium was seen to: what is pending may be tried again at once."""
        self._pause.succeeded()
        self._mount_pause.succeeded()
        self.schedule.retry()
        self._ease()

    def _try(self, pause, call, *args):
        """Call it, and note in pause (a Pause or the Schedule) how it went."""
        try:
            call(*args)
        except BaseException:
            pause.failed()
            if pause is not self._mount_pause:
                self._mount_pause.failed()
            raise
        pause.succeeded()
        self._ease()

    def _ease(self):
        """What was tried has succeeded; all is well unless a snapshot is still to be written."""
        if self.failing and not self.schedule.pending:
            self.failing = 0
            self.last_error = None
            self._indicator(False)

    def _spill(self):
        """RAM is full of changes: put them on the medium, without a snapshot. After a failure not at every change: a
        worn medium must not be hammered."""
        if self._node_id and self._pause.over():
            self._guard(self._try, self._pause, self.journal.write, self.state, self._node_id)

    def _observe(self, node_id, changes):
        self._see(node_id, changes)
        self._go_by_settings()
        node_id = self._node_id
        seen, self._seen = self._seen, Seen()
        if seen.advance:
            self.unwritten += 1
        has_snapshot = self.journal.last is not None
        trigger = node_id and self.schedule.trigger(seen, has_snapshot, self.state.index.channels)
        if trigger:
            self._try(self.schedule, self._snapshot, trigger)
        else:
            self.remount()

    def _see(self, node_id, changes):
        """Take changes into the state; note what they mean. If one can't be taken, all wait for the next."""
        self._node_id = node_id or self.journal.node_id
        for key, before, after in changes:
            if key in self._taking:
                before = self._taking[key][0]
            self._taking[key] = before, after
        for key in self._taking:
            try:
                self._take(key, self._taking[key][1])
            except FormatError:  # it never can be
                del self._taking[key]
                raise
        for key in self._taking:
            self._look(self._seen, key, *self._taking[key])
        self._taking = {}

    def _take(self, key, after):
        """Take the entry into the state, unless the state was the store that it was written to."""
        try:
            known = self.state.entry(key)
        except OSError:
            known = None
        if known and known.version == after.version and known.signature == after.signature:
            return
        if after.version == TOMBSTONE_VERSION:
            self.state.delete(key, after.signature)
        else:
            self.state.put(key, after.version, after.signature, after.value)

    def _look(self, seen, key, before, after):
        state = self.state
        if key.startswith("channels/"):
            was = state.was_observed(key)
            if state.is_channel(key):
                if not was:
                    seen.new_channel = True
                    state.mark_peer(key)
                steps = after.version - before.version if before else 1
                seen.advance = max(seen.advance, steps)
            elif was and after.version == TOMBSTONE_VERSION:
                seen.deleted = True
            state.observed(key)
        elif key.startswith("peers/") and after.version != TOMBSTONE_VERSION and state.is_channel_peer(key):
            seen.address = seen.address or _is_better_address(before, after)

    def _snapshot(self, trigger):
        if not self.journal.mounted:
            self.mount()
            if not self.schedule.pending:  # by the strategy on this medium there is nothing to write for
                return
            # There may be a first one, on a medium that could not be read before.
            if trigger not in self.schedule.pending or trigger == FIRST and self.journal.last:
                trigger = RETRY
        strategy = self.schedule.strategy
        commit = Commit(
            self.journal.number + 1,
            self.clock(),
            trigger,
            strategy.name,
            strategy.updates,
            self.state.index.live,
            self.state.index.channels,
        )
        self.journal.write(self.state, self._node_id, commit)
        self.unwritten = 0
        self._pause.succeeded()


def _is_better_address(before, after):
    """Return whether a peer's address appeared, or changed and is not the port that the peer happened to call from."""
    new = _peer(after)
    if not new.get("addr"):
        return False
    old = _peer(before).get("addr") if before is not None and before.version != TOMBSTONE_VERSION else None
    return not old or (old != new["addr"] and new.get("direction") != "in")


def _peer(entry):
    """Return the fields of a peers/ entry, none if it can't be read."""
    try:
        peer = json.loads(str(entry.value, "utf-8"))
    except (ValueError, OSError):
        return {}
    return peer if isinstance(peer, dict) else {}
