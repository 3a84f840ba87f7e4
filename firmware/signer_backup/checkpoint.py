"""What a checkpoint copies of the state's records into a new arena."""

from backup_format.errors import FormatError
from backup_format.records import ENTRY, RECORD_HEADER, TOMBSTONE


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
