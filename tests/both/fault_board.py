"""A board as the fault suite sees it: a state and its journal. Any other store of snapshots with these methods can be
put in its place (tests/faults does so with littlefs). For tests on any VM."""

from backup_format.live import Places, whole_commits
from backup_format.records import RECORD_HEADER, TOMBSTONE_VERSION, Commit
from backup_format.units import UNIT_HEADER
from journal_rig import NODE, SIGNATURE, each_snapshot
from signer_backup.journal import Journal
from signer_backup.state import State
from signer_backup.strategy import NEW_CHANNELS_ONLY, PERIODIC

SETTINGS = "settings"


class Wrong(Exception):
    """Something was returned as whole that is not byte for byte what was saved."""


class Lost(Exception):
    """A snapshot that was promised can't be read back."""


class JournalBoard:
    """flash: its medium. What is raised comes from State and Journal."""

    strategies = ((PERIODIC, 1), (NEW_CHANNELS_ONLY, 0), (PERIODIC, 10))
    recovery = 20  # programs and erases that a start and a snapshot take in the suite's workload, at most

    def __init__(self, flash):
        self.flash = flash
        self.state = None
        self.journal = None
        self.node = NODE

    def open_device(self):
        return self.flash

    def start(self):
        """Forget the RAM and mount."""
        self.state = State(b"salt", 1 << 20)
        self.journal = Journal(self.open_device)
        self.journal.mount(self.state)

    def ready(self):
        """Mount, if that could not be done at the start."""
        if not self.journal.mounted:
            self.journal.mount(self.state)

    @property
    def number(self):
        """The number of the newest snapshot, 0: there is none."""
        return self.journal.last.number if self.journal.last else 0

    def put(self, key, entry):
        version, signature, value = entry
        if value is None:
            self.state.delete(key, signature)
        else:
            self.state.put(key, version, signature, value)

    @property
    def settings(self):
        """The settings that are in force, None: there are none."""
        return self.journal.settings

    def configure(self, settings):
        """Put settings in force."""
        self.journal.configure(self.state, settings)

    def save(self, begin):
        """Write a snapshot; begin(its number) is called before."""
        self.ready()
        number = self.journal.number + 1
        begin(number)
        index = self.state.index
        name, updates = self.settings or self.strategies[0]
        commit = Commit(number, 1700000000, "periodic", name, updates, index.live, index.channels)
        self.journal.write(self.state, self.node, commit)

    def spill(self):
        """Write what changed without a snapshot."""
        self.ready()
        self.journal.write(self.state, self.node)

    def read(self):
        """Return the state, {key: (version, signature, value)}."""
        found = {}
        for key in self.state.keys():
            entry = self.state.get(key)
            if key in found:
                raise Wrong("the state has %s twice" % key)
            found[key] = entry and (entry.version, entry.signature, entry.value)
        return found

    def older(self):
        """Yield (number, {key: ...}) of the whole snapshots on the medium, the newest one too."""
        for number, whole, held in each_snapshot(self.journal):
            if whole:
                yield number, held

    def used(self):
        """Return {number: [(first byte, byte behind), ...]}: where on the medium each whole snapshot lies; SETTINGS:
        where the settings do that are in force."""
        found = {}
        arenas = self.journal.arenas()
        for arena in sorted(arenas):
            log = self.journal.log(arena, arenas[arena])
            places = Places()
            for commit, end, whole in whole_commits(log, places) if log else ():
                if whole:
                    found[commit.number] = _spans(log, end - RECORD_HEADER - len(commit.body()), end)
                    for position in places.at.values():
                        found[commit.number] += _record(log, position)
            if log and log.settings >= 0:
                found[SETTINGS] = _record(log, log.settings)
        return found


def _record(log, position):
    """Return where the record at position lies."""
    return _spans(log, position, position + RECORD_HEADER + log.header(position)[1])


def _spans(log, position, end):
    """Return where the log's bytes from position up to end lie on the medium, with the headers of their units."""
    found = []
    while position < end:
        at, room = log.place(position)
        assert room
        unit = at - at % log.erase_size
        found.append((unit, unit + UNIT_HEADER))
        found.append((at, min(at + room, at + end - position)))
        position += room
    return found


def tombstone():
    """Return the entry of a deleted key."""
    return TOMBSTONE_VERSION, SIGNATURE, None
