"""Finds the newest whole snapshot of an arena, and loads it into a State (docs/media-format.md, "Mount")."""

from backup_format.errors import FormatError
from backup_format.live import whole_commits
from backup_format.records import COMMIT, ENTRY, RECORD_HEADER, SUM_MASK, TOMBSTONE, parse_commit

from .entries import StoredEntry
from .index import NOWHERE


class _Places:
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

    Return (Commit or None if there is none, log position behind it, highest number of a commit met). Raises
    MediumError, and FormatError for a commit of a newer version; state.unload() then makes state what it was.
    """
    try:
        commit, end = _in_order(log, _Places(state.index))
        _load(log, state, commit)
        return commit, end, commit.number
    except FormatError:
        state.unload()
    # Damage, or something behind the last commit: look at every record.
    newest, end, number = None, 0, 0
    for commit, behind, whole in whole_commits(log, _Places(state.index)):
        number = max(number, commit.number)
        if whole:
            newest, end = commit, behind
    if newest:
        for _ in whole_commits(log, _Places(state.index), end):
            pass
        try:
            _load(log, state, newest)
        except FormatError:  # it was read well a moment ago
            state.unload()
            newest = None
    return newest, end, number


def _in_order(log, places):
    """Return (Commit, log position behind it) of the commit that ends log, headers and keys believed.

    Raises FormatError when log is not in order.
    """
    for position, kind, length in log.records():
        if kind in (ENTRY, TOMBSTONE):
            places.replace(log.key(position, kind, length), position)
        elif kind == COMMIT:
            last, end = position, position + RECORD_HEADER + length
    return parse_commit(log.body(last)[1]), end


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
    state.loaded()
