"""Where each key's newest record lies: 17 bytes of RAM per key, whatever the key's length."""

from backup_format.layout import get_u32, put_u32
from backup_format.port import const, sha256

_HASH = const(8)
_ROW = const(17)  # hash, log position in each of two arenas (4 bytes each), flags
_BUCKETS = const(256)  # rows by the first byte of the hash: no piece of RAM is large, and little is copied to grow
_BUCKET = const(4096)  # row number: bucket * _BUCKET + place in it
_SPARE = b"\xff\xff\xff\xff\xff\xff\xff\xff"  # stands for the hash in a row that is not in use yet: it sorts last
_NEW = _SPARE + b"\xff\xff\xff\xff\xff\xff\xff\xff\x00"  # no position, no flags
NOWHERE = const(0xFFFFFFFF)

# Flags of a row
LIVE = const(1)  # the key has a value
DELETED = const(2)  # the key is a tombstone; neither LIVE nor DELETED: a mark only
CHANNEL = const(4)  # the value is a recoverable channel
OBSERVED = const(8)  # it was one when observe last saw it
PEER = const(16)  # a peers/ key whose peer has, or had, a recoverable channel
LOST = const(32)  # the medium could not give its record, and nothing has replaced it yet
KNOWN = const(64)  # the node is known to have the entry as it stands


class Index:
    """Rows sorted by a salted hash of the key.

    The salt (bytes, random per start) keeps a peer from choosing keys that collide. slot (0 or 1) says which of a row's
    two positions counts: a checkpoint fills the other one and then flips it, so that a checkpoint that fails changes
    nothing. A mount notes in the other one what it finds, until it knows which snapshot is whole.
    """

    def __init__(self, salt):
        self._salt = salt
        self._buckets = [None] * _BUCKETS
        self._count = 0
        self.slot = 0
        self.live = 0
        self.channels = 0
        self.lost = 0

    def __len__(self):
        return self._count

    def hash(self, key):
        """Return the 8 bytes that stand for key here."""
        digest = sha256()
        digest.update(self._salt)
        digest.update(key.encode())
        return digest.digest()[:_HASH]

    def _search(self, digest):
        """Return (the bucket of digest or None, its number, the place of the first row there that is not below)."""
        number = digest[0]
        rows = self._buckets[number]
        low, high = 0, len(rows or ()) // _ROW
        while low < high:
            middle = (low + high) // 2
            if rows[middle * _ROW : middle * _ROW + _HASH] < digest:
                low = middle + 1
            else:
                high = middle
        return rows, number, low

    def find(self, key):
        """Return the number of key's row, or -1. It holds until the next add."""
        return self.find_hash(self.hash(key))

    def find_hash(self, digest):
        """Return the number of the row with this hash, or -1. It holds until the next add."""
        rows, number, place = self._search(digest)
        if rows and rows[place * _ROW : place * _ROW + _HASH] == digest:
            return number * _BUCKET + place
        return -1

    def add(self, key):
        """Return the number of key's row, made if it is new: no position, no flags. After a MemoryError all is as
        before."""
        digest = self.hash(key)
        rows, number, place = self._search(digest)
        at = place * _ROW
        if rows and rows[at : at + _HASH] == digest:
            return number * _BUCKET + place
        if rows is None:
            rows = self._buckets[number] = bytearray(_NEW)
        elif rows[-_ROW : _HASH - _ROW] != _SPARE:
            rows.extend(_NEW)
        rows[at:] = digest + _NEW[_HASH:] + rows[at:-_ROW]
        self._count += 1
        return number * _BUCKET + place

    def rows(self):
        """Yield the numbers of all rows, by their hash. Rows that are added meanwhile may be among them or not; every
        other row comes once."""
        for number in range(_BUCKETS):
            place = 0
            digest = b""
            while self._buckets[number] and place * _ROW < len(self._buckets[number]):
                digest = self.digest(number * _BUCKET + place)
                if digest == _SPARE:
                    break
                yield number * _BUCKET + place
                place = self._search(digest)[2] + 1

    def digest(self, row):
        """Return the hash (8 bytes) of the row's key."""
        rows, at = self._row(row)
        return bytes(rows[at : at + _HASH])

    def _row(self, row):
        return self._buckets[row // _BUCKET], row % _BUCKET * _ROW

    def position(self, row, other=False):
        """Return the log position of the row's record, or NOWHERE; other: in the slot that does not count yet."""
        rows, at = self._row(row)
        return get_u32(rows, at + _HASH + 4 * (self.slot ^ other))

    def set_position(self, row, position, other=False):
        """Set the row's log position; other: in the slot that does not count yet."""
        rows, at = self._row(row)
        put_u32(rows, at + _HASH + 4 * (self.slot ^ other), position)

    def clear_other(self):
        """Set every row's position in the slot that does not count yet to NOWHERE."""
        for row in self.rows():
            self.set_position(row, NOWHERE, True)

    def flags(self, row):
        """Return the row's flags."""
        rows, at = self._row(row)
        return rows[at + _ROW - 1]

    def set_flags(self, row, flags):
        """Set the row's flags, and keep the counts of live keys, recoverable channels and lost keys.

        Takes no memory.
        """
        rows = self._buckets[row // _BUCKET]
        at = row % _BUCKET * _ROW + _ROW - 1
        old = rows[at]
        self.lost += ((flags & LOST) - (old & LOST)) // LOST
        self.live += (flags & LIVE) - (old & LIVE)
        self.channels += ((flags & CHANNEL) - (old & CHANNEL)) // CHANNEL
        rows[at] = flags
