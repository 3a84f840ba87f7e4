"""What lies on a medium: an own journal of whatever version, or something of another kind."""

from backup_format.errors import FormatError
from backup_format.port import const
from backup_format.units import UNIT_HEADER, parse_unit_header

_SECTOR = const(512)
_PARTITIONS = const(446)  # of a master boot record: four of 16 bytes, the type in the fifth


def headers(device):
    """Yield (erase unit, UnitHeader, whether its version is newer) of each erase unit that begins with our header.

    Raises MediumError.
    """
    buf = bytearray(UNIT_HEADER)
    for offset in range(0, device.size, device.erase_size):
        device.read_into(offset, buf)
        newer = False
        try:
            header = parse_unit_header(buf)
        except FormatError:
            newer = True
            header = parse_unit_header(buf, True)
        if header:
            yield offset // device.erase_size, header, newer


def looks_like(device):
    """Return what device, which holds nothing of ours, seems to hold: exfat, fat, partitions (a master boot record's),
    littlefs or unknown. Raises MediumError."""
    start = bytearray(_SECTOR)
    device.read_into(0, start)
    if start[3:11] == b"EXFAT   ":
        return "exfat"
    if start[510:] == b"\x55\xaa":
        if start[54:57] == b"FAT" or start[82:85] == b"FAT":
            return "fat"
        if any([start[at + 4] for at in range(_PARTITIONS, 510, 16)]):
            return "partitions"
    for offset in (0, device.erase_size):  # its superblock is a pair of blocks, one of them valid
        device.read_into(offset, start)
        if start[8:16] == b"littlefs":
            return "littlefs"
    return "unknown"
