"""Finds the newest whole snapshot, and loads it into a State (docs/media-format.md, "Mount")."""

from backup_format.errors import FormatError
from backup_format.live import whole_commits
from backup_format.log import find_arenas, open_log
from backup_format.port import const
from backup_format.records import ENTRY, RECORD_HEADER, SUM_MASK, TOMBSTONE, parse_commit

from .blockdev import MediumError
from .entries import StoredEntry
from .foreign import Heads
from .index import NOWHERE
from .settings import find_settings

_LOOKS = const(3)  # two of them agree where one read was bad


class Found:
    """What a medium holds. log, commit, end: of the newest whole snapshot its Log, its Commit, the position behind it;
    None, None, 0: there is none. arena: number of the newest one, 0: none. number: the highest of a commit met.
    settings, settings_unit: as a Journal's. in_order: nothing looked like damage.
    """

    def __init__(self):
        self.log = self.commit = self.settings = self.settings_unit = None
        self.end = self.arena = self.number = 0
        self.in_order = True

    def told(self):
        """Return what two looks at the same medium must agree on."""
        return self.log and self.log.arena, self.end, self.arena, self.number, self.settings, self.settings_unit


def find_newest(device, ring, state):
    """Load the newest whole snapshot on device (a CheckedDevice) into state; return a Found.

    One bad read hides nothing: what is not in order is looked at again, until two looks agree. Raises MediumError,
    FormatError; state.unload() then makes state what it was.
    """
    before = []
    while True:
        try:
            found = _look(device, ring, state)
            told = found.told()
            if found.in_order or told in before or len(before) == _LOOKS - 1:
                break
        except FormatError:
            told = None
            if len(before) == _LOOKS - 1:
                raise
        before.append(told)
        state.unload()
    try:
        if found.commit:
            state.loaded()
    except FormatError as e:  # it was read well a moment ago
        raise MediumError("the medium can't be read: %s" % e) from None
    return found


def _look(device, ring, state):
    found = Found()
    heads = Heads(device)
    arenas = find_arenas(heads.read_into, device.erase_size, ring.units)
    missing = 0

    def note(header):
        nonlocal missing
        missing -= 1
        ring.note(header)

    for arena in sorted(arenas, reverse=True):
        missing += len(arenas[arena])
        log = open_log(device.read_into, device.erase_size, arena, arenas[arena], note)
        if log:
            found.arena = found.arena or arena
            commit, end, number, in_order = load_newest(log, state)
            found.number = max(found.number, number)
            if found.settings is None:
                found.settings, found.settings_unit = find_settings(log)
                if log.settings >= 0 and found.settings is None:
                    found.in_order = False
            found.in_order = found.in_order and in_order
            if commit:
                found.log, found.commit, found.end = log, commit, end
                break
    if missing or ring.newer_follows():
        found.in_order = False
    if not found.arena:
        heads.refuse_foreign()
    return found


class IndexPlaces:
    """Notes the last record of each key in that slot of an Index which does not count yet."""

    def __init__(self, index):
        self._index = index
        index.clear_other()

    def replace(self, key, position):
        """As backup_format.live.Places."""
        row = self._index.add(key)
        before = self._index.position(row, True)
        self._index.set_position(row, position, True)
        return None if before == NOWHERE else before


def load_newest(log, state):
    """Load the newest whole snapshot of log into state, which holds nothing of the medium yet.

    Return (Commit or None if there is none, log position behind it, highest number of a commit met, whether the log was
    in order). Raises MediumError, and FormatError for a commit of a newer version; state.unload() then makes state what
    it was. state.loaded() is left to the caller.
    """
    try:
        commit, end = _in_order(log, IndexPlaces(state.index))
        _load(log, state, commit)
        return commit, end, commit.number, True
    except FormatError:
        state.unload()
    # Damage, or something behind the last commit: look at every record.
    newest = end = None
    number = 0
    for commit, behind, whole in whole_commits(log, IndexPlaces(state.index)):
        number = max(number, commit.number)
        if whole:
            newest, end = commit, behind
    if newest:
        for _ in whole_commits(log, IndexPlaces(state.index), end):
            pass
        try:
            _load(log, state, newest)
        except FormatError:  # it was read well a moment ago
            state.unload()
            newest = None
    return newest, end, number, False


def _in_order(log, places):
    """Return (Commit, log position behind it) of the commit that ends log, headers and keys believed.

    Raises FormatError when log is not in order.
    """
    for position, kind, length in log.records():
        if kind in (ENTRY, TOMBSTONE):
            places.replace(log.key(position, kind, length), position)
    body = log.body(position)[1]  # the last record is a commit, or records() had raised
    if length != len(body):
        raise FormatError("a header read differently")
    return parse_commit(body), position + RECORD_HEADER + length


def _load(log, state, commit):
    """Load into state the records noted in its index. Raises FormatError if they are not what commit sums up."""
    index = state.index
    state.log = log
    live = 0
    for row in index.rows():
        position = index.position(row, True)
        if position == NOWHERE:
            continue
        stored = StoredEntry(log, position, True)
        live += stored.fingerprint
        state.load(stored, position)
    if live & SUM_MASK != commit.live:
        raise FormatError("snapshot %d is not whole" % commit.number)
