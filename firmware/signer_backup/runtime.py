"""The backup runtime: hears of every request's changes and takes snapshots. It never hurts the signer."""

import json

from backup_format.records import TOMBSTONE_VERSION, Commit

from .strategy import Schedule, Seen


class BackupRuntime:
    """Observes a signer and keeps its snapshots on a journal.

    journal: Journal; state: State, which may also be the store that the signer's loop works on; strategy: Strategy;
    clock(): unix seconds, or None while the clock is unset; log(text); pause: milliseconds before the first retry.

    Counts: failures (all since the start), failing (in a row); last_error: text of the last one, None when all is well;
    unwritten: requests since the newest snapshot that changed a recoverable channel.
    """

    def __init__(self, journal, state, strategy, clock, log=print, pause=1000):
        self.journal = journal
        self.state = state
        self.schedule = Schedule(strategy, pause)
        self.failures = 0
        self.failing = 0
        self.last_error = None
        self.unwritten = 0
        self._clock = clock
        self._log = log
        self._node_id = None
        self._spill_failed = False
        state.spill = self._spill
        self._guard(self._mount)

    def observe(self, node_id, changes):
        """Hear of one request: changes lists (key, entry before or None, entry after); an entry has version (u64),
        signature (bytes) and value (canonical JSON text as bytes; None: a tombstone). node_id: 33 bytes, or None while
        nobody knows it. Never raises but KeyboardInterrupt; what fails is counted, logged and tried again later.
        """
        self._guard(self._observe, node_id, changes)

    def _guard(self, call, *args):
        """Call it; count and log whatever it raises but KeyboardInterrupt (and what is no Exception at all)."""
        try:
            call(*args)
        except Exception as e:  # noqa: BLE001 - whatever it is, signing goes on
            self.failures += 1
            self.failing += 1
            self.last_error = str(e) or type(e).__name__
            self._log("backup failed (%d in a row), signing goes on: %s" % (self.failing, self.last_error))

    def _mount(self):
        self.journal.mount(self.state)

    def _spill(self):
        """RAM is full of changes: put them on the medium, without a snapshot. After a failure not before a write went
        well again: a worn medium must not be asked at every change."""
        if self._node_id and not self._spill_failed:
            self._spill_failed = True
            self._guard(self._write_spill)

    def _write_spill(self):
        self.journal.write(self.state, self._node_id)
        self._spill_failed = False

    def _observe(self, node_id, changes):
        self._node_id = node_id
        for key, _before, after in changes:
            self._take(key, after)
        seen = Seen()
        for key, before, after in changes:
            self._look(seen, key, before, after)
        if seen.advance:
            self.unwritten += 1
        trigger = self.schedule.trigger(seen, self.journal.last is not None, self.state.index.channels)
        if trigger and node_id:
            try:
                self._snapshot(trigger)
            except BaseException:
                self.schedule.failed()
                raise

    def _take(self, key, after):
        """Take the entry into the state, unless the state was the store that it was written to."""
        known = self.state.entry(key)
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
                if before is None or before.version < after.version:
                    steps = after.version - before.version if before else 1
                    seen.advance = max(seen.advance, steps)
            elif was and after.version == TOMBSTONE_VERSION:
                seen.deleted = True
            state.observed(key)
        elif key.startswith("peers/") and after.version != TOMBSTONE_VERSION and state.is_channel_peer(key):
            seen.address = seen.address or _is_better_address(before, after)

    def _snapshot(self, trigger):
        strategy = self.schedule.strategy
        commit = Commit(
            self.journal.number + 1,
            self._clock(),
            trigger,
            strategy.name,
            strategy.updates,
            self.state.index.live,
            self.state.index.channels,
        )
        self.journal.write(self.state, self._node_id, commit)
        self.schedule.succeeded()
        self.failing = 0
        self.last_error = None
        self.unwritten = 0
        self._spill_failed = False


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
        peer = json.loads(entry.value)
    except (ValueError, OSError):
        return {}
    return peer if isinstance(peer, dict) else {}
