"""Reading a journal's arena: erase units put in order into one log of records, each checked (FORMAT.md, "Log").

The board reads its own medium with this, the host what it pulled: both hand in a function that reads.
"""

from binascii import crc32

from .errors import FormatError
from .port import const, sha256
from .records import (
    BLANK,
    COMMIT,
    ENTRY,
    PAD,
    RECORD_HEADER,
    SETTINGS,
    SPILL,
    TOMBSTONE,
    parse_commit,
    parse_record_header,
    record_crc,
)
from .units import UNIT_HEADER, parse_unit_header

_CHUNK = const(256)
_WINDOW = const(64)  # bytes looked at together in the search behind damage
_KINDS = (ENTRY, TOMBSTONE, COMMIT, SPILL, SETTINGS)


def read_headers(read_into, erase_size, units):
    """Yield the UnitHeader of each erase unit of a medium that has one and lies where it says.

    read_into(offset, buf) fills buf from the medium; units: how many there are. Raises FormatError for a newer version.
    """
    buf = bytearray(UNIT_HEADER)
    for unit in range(units):
        read_into(unit * erase_size, buf)
        header = parse_unit_header(buf)
        if header and header.unit == unit and header.erase_size == erase_size:
            yield header


class Log:
    """The records of one arena, addressed by log position (bytes since the arena began, unit headers not counted)."""

    def __init__(self, read_into, erase_size, program_size, arena):
        self.read_into = read_into
        self.erase_size = erase_size
        self.program_size = program_size
        self.arena = arena
        self.node_id = None
        self.settings = -1  # log position of the last settings record; commits() finds it
        # One item per unit, in the order of the log: its first log position, its place, its first record's position.
        self.starts = []
        self.units = []
        self.firsts = []
        self._chunk = bytearray(_CHUNK)
        self._header = bytearray(RECORD_HEADER)

    def add(self, header):
        """Append a unit; headers must come in the order of their sequence. What it declares void is dropped."""
        while self.starts and self.starts[-1] >= header.start:
            self.starts.pop()
            self.units.pop()
            self.firsts.pop()
        self.starts.append(header.start)
        self.units.append(header.unit)
        self.firsts.append(header.first)
        self.node_id = header.node_id

    def _limit(self, i):
        """Return the log position where the bytes of unit number i of the log end."""
        end = self.starts[i] + self.erase_size - UNIT_HEADER
        if i + 1 < len(self.starts):
            return min(end, self.starts[i + 1])
        return end

    def _find(self, position):
        """Return the index of the unit that holds position, or -1."""
        low, high = 0, len(self.starts)
        while low < high:
            middle = (low + high) // 2
            if self.starts[middle] <= position:
                low = middle + 1
            else:
                high = middle
        low -= 1
        return low if low >= 0 and position < self._limit(low) else -1

    def unit(self, position):
        """Return the erase unit that holds a log position. Raises FormatError."""
        i = self._find(position)
        if i < 0:
            raise FormatError("log position %d is not on the medium" % position)
        return self.units[i]

    def _offset(self, i, position):
        """Return the byte offset on the medium of a log position in unit number i of the log."""
        return self.units[i] * self.erase_size + UNIT_HEADER + position - self.starts[i]

    def read(self, position, buf):
        """Fill buf with the log's bytes from position on. Raises FormatError where a unit is missing."""
        view = memoryview(buf)
        done = 0
        while done < len(view):
            i = self._find(position + done)
            if i < 0:
                raise FormatError("log position %d is not on the medium" % (position + done))
            n = min(len(view) - done, self._limit(i) - position - done)
            self.read_into(self._offset(i, position + done), view[done : done + n])
            done += n

    def header(self, position):
        """Return (kind, length, crc) of the record at position, unchecked."""
        self.read(position, self._header)
        return parse_record_header(self._header)

    def check(self, position, update=None):
        """Return (kind, length) of the record at position if its CRC holds; raise FormatError if not.

        update, if given, gets each chunk of the record, header first: a SHA-256's update. Settings and a commit's
        digest (its last 34 bytes) are no part of what the digest covers.
        """
        kind, length, crc = self.header(position)
        if kind not in _KINDS or length > self.end() - position:
            raise FormatError("no record at log position %d" % position)
        running = record_crc(self.arena, position, kind, length)
        if kind == SETTINGS:
            update = None
        if update:
            update(self._header[:4])
        covered = length - 34 if kind == COMMIT else length
        at = 0
        while at < length:
            chunk = self._chunk
            n = min(_CHUNK, length - at)
            if n < _CHUNK:
                chunk = memoryview(chunk)[:n]
            self.read(position + RECORD_HEADER + at, chunk)
            running = crc32(chunk, running)
            if update and at < covered:
                update(chunk if at + n <= covered else memoryview(chunk)[: covered - at])
            at += n
        if running != crc:
            raise FormatError("damaged record at log position %d" % position)
        return kind, length

    def body(self, position):
        """Return (kind, body as bytes) of the record at position, its CRC checked. Raises FormatError."""
        kind, length, crc = self.header(position)
        if kind not in _KINDS or length > self.end() - position:
            raise FormatError("no record at log position %d" % position)
        body = bytearray(length)
        self.read(position + RECORD_HEADER, body)
        if crc32(body, record_crc(self.arena, position, kind, length)) != crc:
            raise FormatError("damaged record at log position %d" % position)
        return kind, bytes(body)

    def stream(self, position, kind, length, crc):
        """Yield the body of the record at position, whose header said kind, length and crc, in pieces of some hundred
        bytes; each is gone when the next one comes. Raises FormatError at the end unless these bytes have that CRC."""
        buf = memoryview(bytearray(_CHUNK))
        running = record_crc(self.arena, position, kind, length)
        for at in range(0, length, _CHUNK):
            piece = buf[: min(_CHUNK, length - at)]
            self.read(position + RECORD_HEADER + at, piece)
            running = crc32(piece, running)
            yield piece
        if running != crc:
            raise FormatError("damaged record at log position %d" % position)

    def end(self):
        """Return the log position behind the last byte that the units of this log can hold."""
        return self._limit(len(self.starts) - 1) if self.starts else 0

    def _first(self, position):
        """Return the first position behind this one where a unit says that a record begins, or -1."""
        for first in self.firsts:
            if first > position:
                return first
        return -1

    def _next(self, position):
        """Return the position of the next record at or after position, or -1 at the end of the log."""
        byte = self._header
        while 0 <= position < self.end():
            i = self._find(position)
            if i < 0:  # a unit is missing here: go on in the next one that is there
                position = self._first(position)
                continue
            offset = self._offset(i, position)
            self.read_into(offset, memoryview(byte)[:1])
            if byte[0] == PAD:
                position += self.program_size - offset % self.program_size
            elif byte[0] == BLANK:
                position = self._limit(i)
            else:
                return position
        return -1

    def records(self, end=None):
        """Yield (position, kind, length) of each record header up to the log position end, bodies unchecked.

        For a log that commits() found whole up to end. Settings are left out.
        """
        position = self._next(self.firsts[0]) if self.firsts else -1
        while position >= 0 and (end is None or position < end):
            kind, length, _crc = self.header(position)
            if kind in _KINDS and kind != SETTINGS:
                yield position, kind, length
                position = self._next(position + RECORD_HEADER + length)
            else:  # what the digest doesn't cover: its length may be wrong
                position = self._resync(position)

    def _resync(self, position):
        """Return the position of the first record behind position whose CRC holds, or -1. Any byte may begin it."""
        position += 1
        window = bytearray(_WINDOW)
        while 0 <= position < self.end():
            i = self._find(position)
            if i < 0:
                position = self._first(position)
                continue
            n = min(_WINDOW, self._limit(i) - position)
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
        """Yield (Commit, position behind its record, whole) for each commit of the log, everything checked.

        whole is False when something in the log before it is damaged or missing: the digest tells. Behind the last
        one, settings is the position of the log's last settings record, or -1.
        """
        digest = b""
        running = sha256()
        position = self._next(self.firsts[0]) if self.firsts else -1
        whole = position == 0
        while position >= 0:
            try:
                kind, length = self.check(position, running.update)
            except FormatError:
                # Of settings and of an unknown kind the digest saw nothing: it tells whether a record is missing there.
                if self._header[0] in _KINDS and self._header[0] != SETTINGS:
                    whole = False
                    running = sha256()
                position = self._resync(position)
                continue
            after = position + RECORD_HEADER + length
            if kind == SETTINGS:
                self.settings = position
            if kind in (COMMIT, SPILL):
                digest = running.digest()
                running = sha256()
                if kind == COMMIT:
                    commit = parse_commit(self.body(position)[1])
                    whole = whole and commit.digest == digest
                    yield commit, after, whole
                    digest = commit.digest
                running.update(digest)
            position = self._next(after)
