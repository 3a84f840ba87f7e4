"""A board whose snapshots are taken by the backup runtime, from what it observes. For tests on any VM."""

from fault_board import JournalBoard
from signer.store import Entry
from signer_backup.journal import Journal
from signer_backup.runtime import BackupRuntime
from signer_backup.state import State
from signer_backup.strategy import PERIODIC, Strategy


class RuntimeBoard(JournalBoard):
    """A JournalBoard; strategy periodic:1, and so little RAM for changes that many are spilled."""

    strategies = ((PERIODIC, 1),) * 3  # the one that takes a snapshot for each request
    recovery = 24

    def start(self):
        self.runtime = None
        self._entries = {}
        self._changes = {}
        self.state = State(b"salt", 1000)
        self.journal = Journal(self.open_device)
        self.runtime = BackupRuntime(self.journal, self.state, Strategy(PERIODIC, 1), self.clock, self.log, 0)
        self._check_mounted()

    def ready(self):
        if self.runtime is None:  # Ctrl-C in the middle of the start: the loop never ran, and the board starts anew
            self.start()
        if not self.journal.mounted:
            self.runtime.remount()
            self._check_mounted()

    def _check_mounted(self):
        if not self.journal.mounted:
            raise OSError(5, self.runtime.last_error)

    def clock(self):
        return None

    def log(self, text):
        assert text

    def put(self, key, entry):
        self._changes[key] = entry

    def _observed(self):
        """Return the changes since the last call, as the loop tells them."""
        found = []
        for key, (version, signature, value) in self._changes.items():
            before = self._entries.get(key)
            self._entries[key] = Entry(version, signature, value)
            found.append((key, before, self._entries[key]))
        self._changes = {}
        return found

    def configure(self, settings):
        self.ready()
        self.runtime.configure(Strategy(*settings))

    def save(self, begin):
        """One request. Raises OSError if the runtime took no snapshot."""
        self.ready()
        begin(self.journal.number + 1)
        last = self.journal.last
        self.runtime.observe(self.node, self._observed())
        if self.journal.last is last:
            raise OSError(5, self.runtime.last_error or "no snapshot")

    def spill(self):
        """A part of a request."""
        self.runtime.observe(self.node, self._observed(), True)

    def read(self):
        self.runtime.observe(self.node, self._observed(), True)
        return super().read()
