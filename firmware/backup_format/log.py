"""Reading a journal's arena: erase units put in order into one log of records, each checked (FORMAT.md, "Log").

The board reads its own medium with this, the host what it pulled: both hand in a function that reads.
"""

from binascii import crc32

from .errors import FormatError
from .layout import get_u32
from .port import const
from .records import (
    COMMIT,
    ENTRY,
    MAX_ENTRY_HEAD,
    PAD,
    RECORD_HEADER,
    SETTINGS,
    SPILL,
    TOMBSTONE,
    fingerprint,
    parse_commit,
    parse_key,
    parse_record_header,
    record_crc,
    record_hash,
)
from .runs import Arenas, UnitMap
from .units import FORMAT_VERSION, MAGIC, UNIT_HEADER, parse_unit_header

_CHUNK = const(256)
_WINDOW = const(64)  # bytes looked at together in the search behind damage
_KEY_HEAD = const(45)  # bytes of a body up to the end of its key, where that is a channel of this node
_UNIT_HEAD = const(16)  # bytes of a unit's header up to its sequence
_KINDS = (ENTRY, TOMBSTONE, COMMIT, SPILL, SETTINGS)
_NOTHING = b"\xff" * 8  # where nothing was written


def find_arenas(read_into, erase_size, units):
    """Return the Arenas of what the erase units of a medium say, not all of it checked: for open_log.

    read_into(offset, buf) fills buf from the medium; units: how many there are. Raises FormatError for a newer version.
    """
    found = Arenas()
    head = bytearray(_UNIT_HEAD)
    for unit in range(units):
        read_into(unit * erase_size, head)
        if bytes(head[:4]) == MAGIC:
            if head[4] != FORMAT_VERSION:
                read_header(read_into, erase_size, unit)
            found.add(get_u32(head, 8), get_u32(head, 12), unit)
    return found


def read_header(read_into, erase_size, unit):
    """Return the UnitHeader of an erase unit; None if it has none, lies elsewhere than it says, or is of another size.

    Raises FormatError for a newer version.
    """
    buf = bytearray(UNIT_HEADER)
    read_into(unit * erase_size, buf)
    header = parse_unit_header(buf)
    return header if header and header.unit == unit and header.erase_size == erase_size else None


def open_log(read_into, erase_size, arena, units, note=None):
    """Return the Log of an arena from the units that find_arenas gives for it, those left out that are not what they
    said; None if none is left. note, if given, gets the UnitHeader of each. Raises FormatError for a newer version."""
    log = None
    for _sequence, unit in units:
        header = read_header(read_into, erase_size, unit)
        if header and header.arena == arena:
            if note:
                note(header)
            if not log:
                log = Log(read_into, erase_size, header.program_size, arena)
            log.add(header)
    return log


class Log(UnitMap):
    """The records of one arena, addressed by log position (bytes since the arena began, unit headers not counted)."""

    def __init__(self, read_into, erase_size, program_size, arena):
        UnitMap.__init__(self, erase_size)
        self.read_into = read_into
        self.program_size = program_size
        self.arena = arena
        # What walks have met: the position behind the first transaction, or 0; of the last settings record, or -1.
        self.checkpoint = 0
        self.settings = -1
        self._header = bytearray(RECORD_HEADER)

    def read(self, position, buf):
        """Fill buf with the log's bytes from position on. Raises FormatError where a unit is missing."""
        view = memoryview(buf)
        done = 0
        while done < len(view):
            offset, room = self.known_place(position + done)
            part = view[done : done + room]
            self.read_into(offset, part)
            done += len(part)

    def header(self, position):
        """Return (kind, length, crc) of the record at position, unchecked."""
        self.read(position, self._header)
        return parse_record_header(self._header)

    def check(self, position):
        """Return (kind, length, fingerprint) of the record at position if its CRC holds; raise FormatError if not."""
        kind, length, crc = self.plausible(position)
        running = record_hash(self.arena, position, kind, length, crc)
        for piece in self.stream(position, kind, length, crc):
            running.update(piece)
        return kind, length, fingerprint(running)

    def plausible(self, position, kinds=_KINDS):
        """Return (kind, length, crc) of the record at position. Raises FormatError if there can be none of kinds."""
        kind, length, crc = self.header(position)
        if kind not in kinds or position + RECORD_HEADER + length > self.end():
            raise FormatError("no record at log position %d" % position)
        return kind, length, crc

    def key(self, position, kind, length):
        """Return the key of the entry or tombstone at position, unchecked. Raises FormatError."""
        try:
            return self._key(position, kind, min(_KEY_HEAD, length))
        except FormatError:  # a longer one, or none
            return self._key(position, kind, min(MAX_ENTRY_HEAD, length))

    def _key(self, position, kind, most):
        head = bytearray(most)
        self.read(position + RECORD_HEADER, head)
        return parse_key(kind, head, self.node_id)

    def body(self, position):
        """Return (kind, body as bytes) of the record at position, its CRC checked. Raises FormatError."""
        kind, length, crc = self.plausible(position)
        body = bytearray(length)
        self.read(position + RECORD_HEADER, body)
        if crc32(body, record_crc(self.arena, position, kind, length)) != crc:
            raise FormatError("damaged record at log position %d" % position)
        return kind, bytes(body)

    def stream(self, position, kind, length, crc):
        """Yield the body of the record at position, whose header said kind, length and crc, in pieces of some hundred
        bytes; each is gone when the next one comes. Raises FormatError at the end unless these bytes have that CRC."""
        buf = memoryview(bytearray(min(_CHUNK, length)))
        running = record_crc(self.arena, position, kind, length)
        for at in range(0, length, _CHUNK):
            piece = buf[: min(_CHUNK, length - at)]
            self.read(position + RECORD_HEADER + at, piece)
            running = crc32(piece, running)
            yield piece
        if running != crc:
            raise FormatError("damaged record at log position %d" % position)

    def _next(self, position):
        """Return the position where a record may begin, at or after position, or -1 at the end of the log."""
        head = self._header
        while True:
            offset, room = self.place(position)
            if not room:  # the end, or a unit is missing: the next one that is there may begin amidst a record
                return self.behind_gap(position)
            n = min(RECORD_HEADER, room)
            self.read_into(offset, memoryview(head)[:n])
            if head[0] == PAD:
                position += min(self.program_size - offset % self.program_size, room)
            elif head[:n] == _NOTHING[:n]:
                position += room
            else:
                return position

    def records(self):
        """Yield (position, kind, length) of each record, believing the headers, bodies unread.

        For a log in order, which ends with a commit; raises FormatError, at the latest at its end, for any other.
        """
        position, last = 0, SPILL
        while position < self.end():
            kind, length, _crc = self.header(position)
            if self._header == _NOTHING and position >= self.last_start():
                break
            if kind not in _KINDS or position + RECORD_HEADER + length > self.end():
                raise FormatError("no record at log position %d" % position)
            if kind == SETTINGS:
                self.check(position)
                self.settings = position
            yield position, kind, length
            last = kind
            position += RECORD_HEADER + length
            if kind in (COMMIT, SPILL):
                self.checkpoint = self.checkpoint or position
                position = self._behind_padding(position)
        if last != COMMIT or position < self.end() and self.header(position)[0] != _NOTHING[0]:  # read once more
            raise FormatError("no commit at the end of the log")

    def _behind_padding(self, position):
        """Return where the transaction after the one that ends at position begins. Raises FormatError."""
        offset, room = self.known_place(position - 1)
        if room == 1:  # the next unit goes on right here
            return position
        return position + -(offset + 1) % self.program_size

    def checked(self, begin=0, end=None):
        """Yield (position, kind, length, fingerprint) of each record from log position begin up to end whose CRC holds,
        whatever is damaged between them."""
        position = self._next(begin)
        while position >= 0 and (end is None or position < end):
            try:
                kind, length, mark = self.check(position)
            except FormatError:
                position = self._resync(position)
                continue
            if kind == SETTINGS:
                self.settings = max(self.settings, position)
            yield position, kind, length, mark
            position += RECORD_HEADER + length
            if kind in (COMMIT, SPILL):
                self.checkpoint = self.checkpoint or position
                position = self._next(position)

    def _resync(self, position):
        """Return the position of the first record behind position whose CRC holds, or -1. Any byte may begin it."""
        position += 1
        window = bytearray(_WINDOW)
        while position < self.end():
            room = self.place(position)[1]
            if not room:
                position = self.behind_gap(position)  # before the end there is one
                continue
            n = min(_WINDOW, room)
            self.read(position, memoryview(window)[:n])
            for at in range(n):
                if window[at] in _KINDS:
                    try:
                        self.check(position + at)
                        return position + at
                    except FormatError:
                        pass
            position += n
        return -1

    def commits(self):
        """Yield (Commit, position behind its record) of each commit with a right CRC. Bodies of other records are read
        only where the headers make no sense. Whether a commit is whole, whole_commits in live.py says."""
        end = 0
        try:
            for position, kind, length in self.records():
                if kind == COMMIT:
                    commit = parse_commit(self.body(position)[1])
                    end = position + RECORD_HEADER + length
                    yield commit, end
            return
        except FormatError:
            pass
        for position, kind, length, _mark in self.checked(end):
            if kind == COMMIT:
                yield parse_commit(self.body(position)[1]), position + RECORD_HEADER + length
