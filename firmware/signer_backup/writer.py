"""Appends records to an arena: gathers a program unit's bytes, opens erase units, and never programs a unit twice."""

from binascii import crc32

from backup_format.errors import FormatError
from backup_format.port import const, sha256
from backup_format.records import COMMIT, RECORD_HEADER, SETTINGS, SPILL, pack_record_header, record_crc
from backup_format.units import UNIT_HEADER

from .blockdev import MediumError

_DIGEST_ITEM = const(34)  # bytes: a commit's digest, which the digest itself does not cover


class Writer:
    """Writes one arena's log, transaction by transaction.

    open_unit(log, start, first, buf) -> byte offset of a freshly erased unit whose header it packed into buf and that
    it added to log. Errors of the medium go up as they come: the transaction is then void, and the next one begins in
    a fresh unit where the last good one ended.
    """

    def __init__(self, device, log, open_unit):
        self.log = log
        self.end = 0  # log position behind the last transaction
        self._device = device
        self._open_unit = open_unit
        self._buf = bytearray(device.program_size)
        self._header = bytearray(RECORD_HEADER)
        self.digest = b""  # of the last transaction
        self._at_end = False  # the unit in use is good and stands at self.end
        self._offset = 0  # where the next program unit goes
        self._unit_end = 0
        self._fill = 0
        self.position = 0

    def resume(self, end, digest):
        """Begin behind the log position end, where the chain of digests stands at digest, in a fresh unit."""
        self.end = end
        self.digest = digest
        self._at_end = False

    def room(self):
        """Return the bytes left in the unit in use."""
        return self._unit_end - self._offset if self._at_end else 0

    def begin(self):
        """Begin a transaction: behind the last one, in a fresh unit if that one failed or this is a new start."""
        self.position = self.end
        self._fill = 0
        if not self._at_end:
            self._offset = self._unit_end = 0
        self._at_end = False
        self._remaining = 0
        self._running = sha256()
        self._running.update(self.digest)

    def append(self, kind, pieces):
        """Append a record of kind whose body is the pieces (a list of bytes). Return its log position.

        Raises MediumError.
        """
        return self.append_from(kind, sum(map(len, pieces)), lambda: pieces)

    def append_from(self, kind, length, pieces):
        """Append a record of kind and length; pieces() gives its body's pieces, twice the same. Return its position."""
        if not self._room_in_unit():
            self._next_unit(0)
        position = self.position
        crc = record_crc(self.log.arena, position, kind, length)
        for piece in pieces():
            crc = crc32(piece, crc)
        pack_record_header(self._header, kind, length, crc)
        self._remaining = RECORD_HEADER + length
        covered = kind not in (COMMIT, SETTINGS)  # finish has fed the digest with a commit's fields already
        if covered:
            self._running.update(bytes(self._header[:4]))
        self._put(self._header)
        for piece in pieces():
            if covered:
                self._running.update(piece)
            self._put(piece)
        return position

    def finish(self, commit=None):
        """End the transaction: with commit (a Commit; its digest is set here) or, without, as a spill.

        Returns only when everything was read back, the commit twice. Raises MediumError.
        """
        if commit is None:
            self.append(SPILL, [])
            digest = self._running.digest()
        else:
            fields = commit.fields()
            header = bytearray(RECORD_HEADER)
            pack_record_header(header, COMMIT, len(fields) + _DIGEST_ITEM, 0)
            self._running.update(bytes(header[:4]))
            self._running.update(fields)
            commit.digest = digest = self._running.digest()
            position = self.append(COMMIT, [commit.body()])
        if self._fill:
            pad = len(self._buf) - self._fill
            self._buf[self._fill :] = bytes(pad)
            self._program()
            self.position += pad
        if commit is not None:
            try:
                self.log.check(position)
                self.log.check(position)
            except FormatError as e:
                raise MediumError("the snapshot can't be read back: %s" % e) from None
        self.digest = digest
        self.end = self.position
        self._at_end = True

    def _room_in_unit(self):
        return self._fill or self._offset < self._unit_end

    def _next_unit(self, remaining):
        """Open a unit that begins at the current log position, remaining bytes before its first record."""
        self._offset = self._open_unit(self.log, self.position, self.position + remaining, self._buf)
        self._unit_end = self._offset + self._device.erase_size
        self._fill = UNIT_HEADER

    def _put(self, data):
        view = memoryview(data)
        at = 0
        while at < len(view):
            if not self._room_in_unit():
                self._next_unit(self._remaining)
            n = min(len(self._buf) - self._fill, len(view) - at)
            self._buf[self._fill : self._fill + n] = view[at : at + n]
            self._fill += n
            at += n
            self.position += n
            self._remaining -= n
            if self._fill == len(self._buf):
                self._program()

    def _program(self):
        self._device.program(self._offset, self._buf)
        self._offset += len(self._buf)
        self._fill = 0
