"""Whether what is to be written has room on the medium, beside what must stay there (docs/media-format.md)."""

from backup_format.port import const
from backup_format.records import RECORD_HEADER
from backup_format.units import UNIT_HEADER

from .ring import MediumFullError

_COMMIT = const(80)  # bytes of a commit's record and of settings, at most
_CHANGES = const(4)  # an arena grows up to its checkpoint and that many times as much: so checkpoints add 25 % at most,
_CHANGES_UNITS = const(8)  # or up to so many erase units beside it; a start reads all the headers


def _payload(medium):
    return medium.erase_size - UNIT_HEADER


def _changed(state, medium):
    """Return the bytes that a transaction of what changed takes at most. medium: a CheckedDevice or a Log."""
    return state.changed_bytes + _COMMIT + medium.program_size


def fits(state, writer, limit):
    """Return whether what changed in state goes into the writer's arena, which may have limit erase units."""
    log = writer.log
    if writer.end - log.checkpoint > max(_CHANGES * log.checkpoint, _CHANGES_UNITS * _payload(log)):
        return False
    # What a transaction that failed has opened behind the last good one is void.
    return _changed(state, log) <= writer.room() + max(0, limit - log.count(writer.end)) * _payload(log)


def check_checkpoint(state, device, free, spill):
    """Raise MediumFullError if the whole state can't go into free erase units; a spill must leave room for another
    checkpoint, or no snapshot could ever be written behind it. Raises MediumError."""
    size = _payload(device)
    needed = _changed(state, device) + _stored_bytes(state)
    if spill:
        free -= -(-needed // size)
    _check(needed, free * size)


def check_spill(state, writer, free):
    """As check_checkpoint, for a spill into the writer's arena."""
    size = _payload(writer.log)
    changed = _changed(state, writer.log)
    room = (free - -(-max(0, changed - writer.room()) // size)) * size
    if changed + writer.end > room:  # else there is room even for the records that were replaced, and none is read
        _check(changed + _stored_bytes(state), room)


def _check(needed, room):
    if needed > room:
        raise MediumFullError(
            "the medium is too small: a state of %d bytes, and %d bytes beside the newest snapshot"
            % (needed, max(0, room))
        )


def _stored_bytes(state):
    """Return the bytes that the records which only the medium holds take there, damaged ones left out.

    Raises MediumError.
    """
    total = 0
    for row in state.stored_rows():
        position = state.index.position(row)
        length = state.log.header(position)[1]
        if length < state.log.end() - position:
            total += RECORD_HEADER + length
    return total
