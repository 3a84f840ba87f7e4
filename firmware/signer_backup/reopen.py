"""Whether a medium that was gone for a while is the one that a journal knows (docs/media-format.md)."""

from backup_format.errors import FormatError
from backup_format.log import find_arenas, read_header
from backup_format.records import SUM_MASK

from .blockdev import MediumError, NoDevice
from .damage import headers_hold
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
        writer.interrupted()
        device.failed = False
    return same


def is_blank_or_same(device, writer, sequence):
    """Return False if the medium is blank, True if it is the very one that writer (a Writer) wrote to.

    device: the CheckedDevice over it; sequence: of the newest unit that was opened on the known one. Raises MediumError
    for any other medium, and for one that was written to elsewhere meanwhile.
    """
    try:
        heads = Heads(device)
        read_into, size = device.read_into, device.erase_size
        arenas = find_arenas(heads.read_into, size, device.size // size)
        if not heads.used:
            return False
        for arena in arenas:
            for said, unit in arenas[arena]:
                if said > sequence and read_header(read_into, size, unit):
                    raise FormatError("newer")
        if not headers_hold(writer):
            raise FormatError("other units")
        tail = sum([mark for _position, _kind, _length, mark in writer.log.checked(writer.anchor, writer.end)])
        if tail & SUM_MASK != writer.tail:
            raise FormatError("other records")
    except FormatError:
        raise MediumError(
            "another medium than before, or one that was changed elsewhere: put the first one back, or restart the "
            "board to go on with this one"
        ) from None
    return True
