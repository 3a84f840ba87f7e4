"""Which records make up a snapshot: of each key the last one before its commit, which holds their sum (FORMAT.md)."""

from .errors import FormatError
from .records import COMMIT, ENTRY, RECORD_HEADER, SUM_MASK, TOMBSTONE, parse_commit


class Places:
    """Where the last record of each key lies: at, {key: log position}."""

    def __init__(self):
        self.at = {}

    def replace(self, key, position):
        """Note that key's last record is at position; return where it was before, or None."""
        before = self.at.get(key)
        self.at[key] = position
        return before


def whole_commits(log, places, end=None):
    """Yield (Commit, position behind its record, whole) of each commit in log up to position end, everything checked.

    whole: the records of that snapshot are all there, unharmed. places: a Places, empty, or what does the same; when a
    commit comes it says which records these are. Raises FormatError for a commit that this program does not understand.
    """
    live = 0
    for position, kind, length, mark in log.checked(0, end):
        if kind == COMMIT:
            commit = parse_commit(log.body(position)[1])
            yield commit, position + RECORD_HEADER + length, commit.live == live
        elif kind in (ENTRY, TOMBSTONE):
            try:
                before = places.replace(log.key(position, kind, length), position)
                live = (live + mark - (0 if before is None else log.check(before)[2])) & SUM_MASK
            except FormatError:
                continue  # of a newer version, or it reads differently now: the sum tells
