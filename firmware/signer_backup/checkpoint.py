"""What a checkpoint copies of the state's records into a new arena, and when changes alone won't do."""

from backup_format.errors import FormatError
from backup_format.records import ENTRY, RECORD_HEADER, TOMBSTONE

from .blockdev import MediumError
from .index import NOWHERE


def stored_bytes(state):
    """Return the bytes that the records which only the medium holds take there, damaged ones left out.

    Raises MediumError.
    """
    total = 0
    for row in state.stored_rows():
        position = state.index.position(row)
        try:
            length = state.log.header(position)[1]
        except FormatError:
            continue  # the copy will tell
        if length < state.log.end() - position:
            total += RECORD_HEADER + length
    return total


def copy_record(writer, log, position):
    """Copy a record into the writer's arena; return its position there. Raises FormatError if it is damaged."""
    kind, length, crc = log.header(position)
    if kind not in (ENTRY, TOMBSTONE) or length > log.end() - position:
        raise FormatError("no entry at log position %d" % position)
    return writer.append_from(kind, length, lambda: log.stream(position, kind, length, crc))


def replaced_sum(state, changed):
    """Return the sum of the fingerprints of the records that the keys of changed replace; None if one can't be read:
    then a checkpoint must make a new sum."""
    total = 0
    try:
        for key in changed:
            position = state.index.position(state.index.find(key))
            if position != NOWHERE:
                total += state.log.check(position)[2]
    except (FormatError, MediumError):
        return None
    return total
