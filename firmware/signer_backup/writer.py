"""Appends records to an arena: gathers a program unit's bytes, opens erase units, and never programs a unit twice."""

from binascii import crc32

from backup_format.errors import FormatError
from backup_format.records import (
    COMMIT,
    ENTRY,
    RECORD_HEADER,
    SPILL,
    SUM_MASK,
    TOMBSTONE,
    fingerprint,
    pack_record_header,
    record_crc,
    record_hash,
)
from backup_format.units import UNIT_HEADER

from .blockdev import MediumError


class Writer:
    """Writes one arena's log, transaction by transaction.

    end: log position behind the last transaction; live: sum of the fingerprints of the records that count there.
    tail: sum of the fingerprints of all records from the last commit on, at log position anchor, up to end.

    open_unit(log, start, buf) -> byte offset of a freshly erased unit whose header it packed into buf and that
    it added to log. Errors of the medium go up as they come: the transaction is then void, and the next one begins in
    a fresh unit where the last good one ended.
    """

    def __init__(self, device, log, open_unit):
        self.log = log
        self.end = 0
        self.live = 0
        self.tail = 0
        self.anchor = 0
        self._device = device
        self._open_unit = open_unit
        self._buf = bytearray(device.program_size)
        self._header = bytearray(RECORD_HEADER)
        self._at_end = False  # the unit in use is good and stands at self.end

    def resume(self, commit, end):
        """Begin behind commit (a Commit), whose record ends at log position end, in a fresh unit."""
        body = commit.body()
        self.end = end
        self.live = commit.live
        self.anchor = position = end - RECORD_HEADER - len(body)
        crc = crc32(body, record_crc(self.log.arena, position, COMMIT, len(body)))
        running = record_hash(self.log.arena, position, COMMIT, len(body), crc)
        running.update(body)
        self.tail = fingerprint(running)
        self._at_end = False

    def interrupted(self):
        """The medium was gone: go on in a fresh unit."""
        self._at_end = False

    def room(self):
        """Return the bytes left in the unit in use."""
        return self._unit_end - self._offset if self._at_end else 0

    def begin(self, replaced=0):
        """Begin a transaction: behind the last one, in a fresh unit if that one failed or this is a new start.

        replaced: sum of the fingerprints of the records that don't count any more once its own do.
        """
        self.position = self.end
        self._fill = 0
        if not self._at_end:
            self._offset = self._unit_end = 0  # where the next program unit goes, and where its erase unit ends
        self._at_end = False
        self._live = self.live - replaced
        self._tail = self.tail

    def append(self, kind, pieces):
        """Append a record of kind whose body is the pieces (a list of bytes). Return its log position.

        Raises MediumError.
        """
        return self.append_from(kind, sum(map(len, pieces)), lambda: pieces)

    def append_from(self, kind, length, pieces):
        """Append a record of kind and length; pieces() gives its body's pieces, twice the same. Return its position."""
        if not self._room_in_unit():
            self._next_unit()
        position = self.position
        crc = record_crc(self.log.arena, position, kind, length)
        for piece in pieces():
            crc = crc32(piece, crc)
        pack_record_header(self._header, kind, length, crc)
        running = record_hash(self.log.arena, position, kind, length, crc)
        self._put(self._header)
        for piece in pieces():
            running.update(piece)
            self._put(piece)
        mark = fingerprint(running)
        if kind in (ENTRY, TOMBSTONE):
            self._live += mark
        self._tail = mark if kind == COMMIT else self._tail + mark
        return position

    def finish(self, commit=None):
        """End the transaction: with commit (a Commit; its sum is set here) or, without, as a spill.

        Return the log position behind its last record, once everything was read back, the commit twice. Raises
        MediumError.
        """
        live = self._live & SUM_MASK
        if commit is None:
            self.append(SPILL, [])
        else:
            commit.live = live
            position = self.append(COMMIT, [commit.body()])
        behind = self.position
        if self._fill:
            pad = len(self._buf) - self._fill
            self._buf[self._fill :] = bytes(pad)
            self._program()
            self.position += pad
        tail = self._tail & SUM_MASK
        if commit is not None:
            try:
                self.log.check(position)
                self.log.check(position)
            except FormatError as e:
                raise MediumError("the snapshot can't be read back: %s" % e) from None
            self.anchor = position
        self.live = live
        self.tail = tail
        self.end = self.position
        self._at_end = True
        return behind

    def _room_in_unit(self):
        return self._fill or self._offset < self._unit_end

    def _next_unit(self):
        """Open a unit that begins at the current log position."""
        self._offset = self._open_unit(self.log, self.position, self._buf)
        self._unit_end = self._offset + self._device.erase_size
        self._fill = UNIT_HEADER

    def _put(self, data):
        view = memoryview(data)
        at = 0
        while at < len(view):
            if not self._room_in_unit():
                self._next_unit()
            n = min(len(self._buf) - self._fill, len(view) - at)
            self._buf[self._fill : self._fill + n] = view[at : at + n]
            self._fill += n
            at += n
            self.position += n
            if self._fill == len(self._buf):
                self._program()

    def _program(self):
        self._device.program(self._offset, self._buf)
        self._offset += len(self._buf)
        self._fill = 0
