"""What a checkpoint copies of the state's records into a new arena, and when changes alone won't do."""

from backup_format.errors import FormatError
from backup_format.records import ENTRY, TOMBSTONE

from .blockdev import MediumError
from .index import NOWHERE


def copy_row(writer, state, row):
    """Copy the record of an index row into the writer's arena; return its position there.

    Raises MediumError; the entry is lost in state only if its record can't be read again either.
    """
    try:
        return _copy(writer, state.log, state.index.position(row))
    except FormatError:
        pass
    try:
        state.read(row)
    except FormatError as e:
        state.lose(row)
        raise MediumError("the medium lost an entry: %s" % e) from None
    raise MediumError("the medium gave an entry otherwise than before")


def _copy(writer, log, position):
    kind, length, crc = log.plausible(position, (ENTRY, TOMBSTONE))
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
