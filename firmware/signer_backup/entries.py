"""Entries of the state as the backup holds them: in RAM until they are written, then on the medium alone."""

from backup_format.errors import FormatError
from backup_format.port import const
from backup_format.records import (
    ENTRY,
    MAX_ENTRY_HEAD,
    RECOVERABLE,
    TOMBSTONE,
    TOMBSTONE_VERSION,
    entry_head,
    expand_value,
    fingerprint,
    parse_entry_head,
    parse_tombstone,
    record_hash,
    tombstone_body,
)

from .blockdev import MediumError
from .index import NOWHERE
from .value import digest

_KEY_OVERHEAD = const(120)  # bytes that a changed entry costs in RAM and on the medium beside key and value, at most


class _Value:
    """What entries have in common, wherever their value lies: flags of the record, size of the JSON text in bytes."""

    @property
    def value(self):
        """The value's JSON text, or None for a tombstone. Where it lies on the medium, this may raise MediumError."""
        return None if self.version == TOMBSTONE_VERSION else b"".join(self.text())

    def text(self):
        """Yield the value's JSON text in pieces; a tombstone has none. May raise MediumError, at its end too."""
        for piece in expand_value(self.flags, self.coded()):
            yield piece

    def holds(self, value):
        """Return whether the value is this CodedValue. May raise MediumError."""
        # The size, too: text as it is has the coding of the JSON string whose hex digits its bytes are.
        return self.size == value.size and digest(self.coded()) == digest(value.pieces)


class Entry(_Value):
    """An entry that the medium doesn't hold yet. version: u64; signature: bytes; coded value: None for a tombstone."""

    def __init__(self, key, version, signature, coded):
        self.key = key
        self.version = version
        self.signature = signature
        self.size = coded.size if coded else 0
        self.flags = coded.flags if coded else 0
        if coded and coded.has_setup and key.startswith("channels/"):
            self.flags |= RECOVERABLE
        self._pieces = coded.pieces if coded else ()
        self.position = NOWHERE

    def coded(self):
        """Return the pieces of the value's coding."""
        return self._pieces

    def record(self, node_id):
        """Return (kind, pieces of the body) of the record that stores this entry."""
        if self.version == TOMBSTONE_VERSION:
            return TOMBSTONE, [tombstone_body(self.key, self.signature, node_id)]
        head = entry_head(self.flags, self.key, self.version, self.signature, self.size, node_id)
        return ENTRY, [head] + self._pieces

    def cost(self):
        """Return the bytes that this entry takes, in RAM and on the medium, at most."""
        return len(self.key) + _KEY_OVERHEAD + sum(map(len, self._pieces))


class StoredEntry(_Value):
    """An entry on the medium, in the record at position of log. It stays what it was when key's entry changes."""

    def __init__(self, log, position, summed=False):
        """Raises FormatError if there is no such record, or a damaged one. summed: fingerprint gets the record's."""
        self._log = log
        self._place = (position,) + log.plausible(position, (ENTRY, TOMBSTONE))
        kind = self._place[1]
        head = b""
        running = record_hash(log.arena, *self._place) if summed else None
        for piece in log.stream(*self._place):
            if summed:
                running.update(piece)
            if len(head) < MAX_ENTRY_HEAD:
                head += bytes(piece)
        if summed:
            self.fingerprint = fingerprint(running)
        if kind == TOMBSTONE:
            self.key, self.signature = parse_tombstone(head, log.node_id)
            self.version = TOMBSTONE_VERSION
            self.flags = self.size = self._at = 0
        else:
            found = parse_entry_head(head, log.node_id)
            self.flags, self.key, self.version, self.signature, self.size, self._at = found

    def coded(self):
        """Yield the pieces of the value's coding, each gone when the next one comes. Raises MediumError, at its end
        too: only then they are known to be right."""
        try:
            skip = self._at
            for piece in self._log.stream(*self._place):
                if skip < len(piece):
                    yield piece[skip:]
                skip = max(0, skip - len(piece))
        except FormatError as e:
            raise MediumError("the medium lost %s: %s" % (self.key, e)) from None
