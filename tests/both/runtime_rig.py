"""A backup runtime on a flash in RAM, with a signer that hands it changes; for tests on any VM."""

from backup_format.records import TOMBSTONE_VERSION
from journal_rig import NODE, SIGNATURE
from signer.store import Entry
from signer_backup.journal import Journal
from signer_backup.runtime import BackupRuntime
from signer_backup.state import State
from signer_backup.strategy import parse_strategy


class Board:
    """A runtime beside a signer that keeps its own entries. written: [(number, trigger)]; logged: lines; lit: what the
    indicator was told."""

    def __init__(self, flash, strategy="periodic:1", pause=0, budget=24 * 1024, entries=None):
        self.flash = flash
        self.entries = {} if entries is None else entries
        self.logged = []
        self.written = []
        self.lit = []
        self.state = State(b"salt", budget)
        self.journal = Journal(self.open_device)
        self.runtime = BackupRuntime(
            self.journal,
            self.state,
            parse_strategy(strategy),
            lambda: 1700000000,
            self.logged.append,
            pause,
            self.lit.append,
        )

    def open_device(self):
        """Return the flash; while it is None, there is none."""
        if self.flash is None:
            raise OSError(19)
        return self.flash

    def observe(self, *changes, node_id=NODE):
        """The signer changes entries, each (key, version, value[, signature]); return the trigger of a snapshot."""
        found = []
        for change in changes:
            key, version, value = change[:3]
            signature = change[3] if len(change) > 3 else SIGNATURE
            before = self.entries.get(key)
            self.entries[key] = Entry(version, signature, value)
            found.append((key, before, self.entries[key]))
        last = self.journal.last
        self.runtime.observe(node_id, found)
        if self.journal.last is last or self.journal.last is None:
            return None
        self.written.append((self.journal.last.number, self.journal.last.trigger))
        return self.journal.last.trigger

    def expected(self):
        """Return what a snapshot of now should hold, as journal_rig.contents."""
        return {key: (entry.version, entry.signature, entry.value) for key, entry in self.entries.items()}


def gone(key):
    """Return the change that deletes key."""
    return key, TOMBSTONE_VERSION, None


def peer(addr, direction="out"):
    """Return the value of a peers/ entry."""
    return ('{"addr":"%s","direction":"%s","peer_id":"aa"}' % (addr, direction)).encode()
