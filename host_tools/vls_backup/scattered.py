"""Units that lie scattered in the dump of a flash: those of a board that keeps each one in a file.

littlefs keeps a file of up to 4,096 bytes (boards/drivers/file_units.py) in one block, and appends by writing another
one: so each unit's older states lie around too. A file of a few hundred bytes lies amidst one of littlefs' own blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from backup_format.errors import FormatError
from backup_format.units import UnitHeader
from vls_backup.hostlog import HostLog
from vls_backup.image import Image

Found = tuple[int, UnitHeader]
"""Where a unit begins in the image, and its header."""

_MOST_MEDIA, _FEWEST_UNITS = 3, 3
"""Of one node: where units seem to belong to more media, with fewer units each on average, they are files."""


def gathered(media: Iterable[list[Found]]) -> list[list[Found]]:
    """Return the units of each journal, by place. media: those that agree on where their medium begins."""
    by_node: dict[tuple[bytes, int], list[list[Found]]] = {}
    for units in media:
        header = units[-1][1]
        by_node.setdefault((header.node_id, header.erase_size), []).append(units)
    journals = []
    for same in by_node.values():
        units = list(chain.from_iterable(same))
        are_files = len(same) > _MOST_MEDIA and len(units) < _FEWEST_UNITS * len(same)
        journals += [units] if are_files else same
    return sorted(journals, key=lambda units: units[0][0])


def by_age(image: Image, found: Sequence[Found]) -> list[Found]:
    """Return the copies of scattered units, the newest of each last: by its sequence, then by how far it is written."""
    size: int = found[0][1].erase_size
    usual = Counter(offset % size for offset, _ in found).most_common(1)[0][0]
    newest: dict[int, int] = {}
    for _, header in found:
        newest[header.unit] = max(newest.get(header.unit, 0), header.sequence)

    def age(item: Found) -> tuple[int, bool, int]:
        """What follows a short file amidst a block is none of its own: its length tells nothing."""
        offset, header = item
        data = bytearray(size)
        image.read_into(offset, data)
        return _end_of_records(header, bytes(data)), offset % size == usual, len(data.rstrip(b"\xff"))

    return sorted((item for item in found if item[1].sequence == newest[item[1].unit]), key=age)


def _end_of_records(header: UnitHeader, unit: bytes) -> int:
    """Return the log position behind the last record with a right checksum that lies in a unit as a whole."""

    def read_into(offset: int, buf: memoryview) -> None:
        at = offset % len(unit)
        buf[:] = unit[at : at + len(buf)]

    log = HostLog(read_into, len(unit), header.program_size, header.arena)
    try:
        log.add(header)
        return max((position + length for position, _, length, _ in log.checked(header.start)), default=0)
    except FormatError:
        return 0
