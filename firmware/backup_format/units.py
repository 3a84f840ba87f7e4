"""Erase units of a journal: the header that says what a unit is, where and when it belongs (FORMAT.md, "Units")."""

from binascii import crc32

from .errors import FormatError
from .layout import get_u32, put_u32
from .port import const

MAGIC = b"VLSb"
FORMAT_VERSION = const(1)
UNIT_HEADER = const(69)  # bytes, at the start of every erase unit in use
NODE_ID = const(33)  # bytes of a node id
NO_NODE = bytes(33)  # the node id of an arena that began before any node was known


class UnitHeader:
    """What an erase unit says of itself.

    erase_size, program_size: bytes, powers of two. arena: number of the arena it belongs to, from 1. sequence: rises by
    one with every unit that is opened. start: log position of its first byte after the header; what an earlier unit of
    this arena holds from there on is void. before: start of the unit that was opened before it in this arena, 0 for the
    first: should that unit be lost, this still says what it made void. unit: its own place on the medium. erases: how
    often it was erased. node_id: 33 bytes.
    """

    def __init__(self, erase_size, program_size, arena, sequence, start, before, unit, erases, node_id):
        self.erase_size = erase_size
        self.program_size = program_size
        self.arena = arena
        self.sequence = sequence
        self.start = start
        self.before = before
        self.unit = unit
        self.erases = erases
        self.node_id = node_id

    def pack_into(self, buf):
        """Write the header into buf[0 : UNIT_HEADER]. Raises FormatError for what does not fit its field."""
        if len(self.node_id) != NODE_ID:
            raise FormatError("node id of %d bytes" % len(self.node_id))
        buf[0:4] = MAGIC
        buf[4] = FORMAT_VERSION
        buf[5] = _log2(self.erase_size)
        buf[6] = _log2(self.program_size)
        buf[7] = 0
        put_u32(buf, 8, self.arena)
        put_u32(buf, 12, self.sequence)
        put_u32(buf, 16, self.start)
        put_u32(buf, 20, self.before)
        put_u32(buf, 24, self.unit)
        put_u32(buf, 28, self.erases)
        buf[32:65] = self.node_id
        put_u32(buf, 65, crc32(bytes(buf[:65])))


def _log2(size):
    n = 0
    while 1 << n < size:
        n += 1
    if 1 << n != size:
        raise FormatError("%d is no power of two" % size)
    return n


def parse_unit_header(buf, any_version=False):
    """Return the UnitHeader in buf (UNIT_HEADER bytes), or None if these bytes are none (blank, torn, foreign).

    Raises FormatError for a header of a newer format version, unless any_version: such a medium must not be written.
    """
    if bytes(buf[0:4]) != MAGIC or crc32(bytes(buf[:65])) != get_u32(buf, 65):
        return None
    if buf[4] != FORMAT_VERSION and not any_version:
        raise FormatError("journal of format version %d; this program knows version %d" % (buf[4], FORMAT_VERSION))
    return UnitHeader(
        1 << buf[5],
        1 << buf[6],
        get_u32(buf, 8),
        get_u32(buf, 12),
        get_u32(buf, 16),
        get_u32(buf, 20),
        get_u32(buf, 24),
        get_u32(buf, 28),
        bytes(buf[32:65]),
    )
