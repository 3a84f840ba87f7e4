"""Whether a medium that was gone for a while is the one that a journal knows (docs/media-format.md)."""

from backup_format.errors import FormatError
from backup_format.log import read_headers
from backup_format.port import sha256
from backup_format.records import COMMIT, SPILL, parse_commit

from .blockdev import MediumError, NoDevice
from .foreign import Heads


def reopen(device, open_device, writer, sequence):
    """Ask the board for its medium again after a failure; return whether it is the one that was there, not a blank one.

    device: the CheckedDevice over it; open_device: as a Journal's; writer, sequence: as is_blank_or_same. Raises
    MediumError for any other one. It is not read any more then, or the state would be mixed with another.
    """
    device.failed = True
    same, why = False, "the medium is being looked for"
    try:
        device.device = NoDevice(why)  # gives the old driver's memory back
        device.replace(open_device())
        same = is_blank_or_same(device, writer, sequence)
    except OSError as e:
        why = e.text if isinstance(e, MediumError) else "no medium: %s" % e
        raise MediumError(why) from None
    finally:
        if not same:
            device.device = NoDevice(why)
    if same:
        writer.resume(writer.end, writer.digest)
        device.failed = False
    return same


def is_blank_or_same(device, writer, sequence):
    """Return False if the medium is blank, True if it is the very one that writer (a Writer) wrote to.

    device: the CheckedDevice over it; sequence: of the newest unit that was opened on the known one. Raises MediumError
    for any other medium, and for one that was written to elsewhere meanwhile.
    """
    try:
        heads = Heads(device)
        units = {}
        for header in read_headers(heads.read_into, device.erase_size, device.size // device.erase_size):
            if header.sequence > sequence:
                raise FormatError("newer")
            if header.unit in writer.log.units:
                units[header.unit] = header.arena, header.start, header.first
        if not heads.used:
            return False
        log = writer.log
        for unit, start, first in zip(log.units, log.starts, log.firsts):
            # What a write that failed opened, behind the last good one, may have no header.
            if start < writer.end and units.get(unit) != (log.arena, start, first):
                raise FormatError("other units")
        if _digest(log, writer.end) != writer.digest:
            raise FormatError("other records")
    except FormatError:
        raise MediumError(
            "another medium than before, or one that was changed elsewhere: put the first one back, or restart the "
            "board to go on with this one"
        ) from None
    return True


def _digest(log, end):
    """Return the digest behind the last transaction of log before end: as its last commit says (a SHA-256 over all that
    comes before), and from there on as the records say, which have only their CRC and no digest of their own."""
    commit, digest = -1, b""
    for position, kind, _length in log.records(end):
        if kind == COMMIT:
            commit = position
    if commit >= 0:
        digest = parse_commit(log.body(commit)[1]).digest
    running = sha256()
    running.update(digest)
    for position, kind, _length in log.records(end):
        if position > commit:
            log.check(position, running.update)
            if kind == SPILL:
                digest = running.digest()
                running = sha256()
                running.update(digest)
    return digest
