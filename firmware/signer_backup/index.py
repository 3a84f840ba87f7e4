"""Where each key's newest record lies: 17 bytes of RAM per key, whatever the key's length."""

from backup_format.layout import get_u32, put_u32
from backup_format.port import const, sha256

_HASH = const(8)
_ROW = const(17)  # hash, log position in each of two arenas (4 bytes each), flags
_GROW = const(16)  # rows
NOWHERE = const(0xFFFFFFFF)

# Flags of a row
LIVE = const(1)  # the key has a value
DELETED = const(2)  # the key is a tombstone; neither LIVE nor DELETED: a mark only
CHANNEL = const(4)  # the value is a recoverable channel
OBSERVED = const(8)  # it was one when observe last saw it
PEER = const(16)  # a peers/ key whose peer has, or had, a recoverable channel
LOST = const(32)  # the medium could not give its record, and nothing has replaced it yet


class Index:
    """Rows sorted by a salted hash of the key.

    The salt (bytes, random per start) keeps a peer from choosing keys that collide. slot (0 or 1) says which of a row's
    two positions counts: a checkpoint fills the other one and then flips it, so that a checkpoint that fails changes
    nothing.
    """

    def __init__(self, salt):
        self._salt = salt
        self._rows = bytearray(_ROW * _GROW)
        self._count = 0
        self.slot = 0
        self.live = 0
        self.channels = 0
        self.lost = 0

    def __len__(self):
        return self._count

    def _hash(self, key):
        digest = sha256()
        digest.update(self._salt)
        digest.update(key.encode())
        return digest.digest()[:_HASH]

    def _search(self, digest):
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if self._rows[middle * _ROW : middle * _ROW + _HASH] < digest:
                low = middle + 1
            else:
                high = middle
        return low

    def find(self, key):
        """Return the number of key's row, or -1. It holds until the next add."""
        digest = self._hash(key)
        row = self._search(digest)
        if row < self._count and self._rows[row * _ROW : row * _ROW + _HASH] == digest:
            return row
        return -1

    def add(self, key):
        """Return the number of key's row, made if it is new: no position, no flags."""
        digest = self._hash(key)
        row = self._search(digest)
        at = row * _ROW
        if row < self._count and self._rows[at : at + _HASH] == digest:
            return row
        end = self._count * _ROW
        if end == len(self._rows):
            self._rows.extend(bytes(_ROW * _GROW))
        new = digest + b"\xff\xff\xff\xff\xff\xff\xff\xff\x00"
        self._rows[at + _ROW : end + _ROW] = self._rows[at:end]
        self._rows[at : at + _ROW] = new
        self._count += 1
        return row

    def position(self, row):
        """Return the log position of the row's record, or NOWHERE."""
        return get_u32(self._rows, row * _ROW + _HASH + 4 * self.slot)

    def set_position(self, row, position, other=False):
        """Set the row's log position; other: in the slot that does not count yet."""
        put_u32(self._rows, row * _ROW + _HASH + 4 * (self.slot ^ other), position)

    def flags(self, row):
        """Return the row's flags."""
        return self._rows[row * _ROW + _ROW - 1]

    def set_flags(self, row, flags):
        """Set the row's flags, and keep the counts of live keys, recoverable channels and lost keys."""
        at = row * _ROW + _ROW - 1
        old = self._rows[at]
        self.lost += ((flags & LOST) - (old & LOST)) // LOST
        self.live += (flags & LIVE) - (old & LIVE)
        self.channels += ((flags & CHANNEL) - (old & CHANNEL)) // CHANNEL
        self._rows[at] = flags
