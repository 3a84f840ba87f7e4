"""The signer's state: what changed since the last write in RAM, everything else on the medium.

It is the store that the signer's loop works on (get, put, delete, keys), and what the journal writes from.
"""

from backup_format.errors import FormatError
from backup_format.records import (
    ENTRY,
    RECOVERABLE,
    TOMBSTONE,
    TOMBSTONE_VERSION,
    code_value,
    entry_head,
    entry_value,
    parse_entry_head,
    parse_tombstone,
    tombstone_body,
)

from .blockdev import MediumError
from .index import CHANNEL, DELETED, LIVE, LOST, NOWHERE, OBSERVED, PEER, Index

_KEY_OVERHEAD = 120  # bytes that a changed entry costs in RAM and on the medium beside key and value, at most


def is_recoverable(key, value):
    """Return whether an entry (key: str; value: JSON text, bytes) is a channel that a backup can recover:
    its channel_setup is an object (gl-client, signer/backup.rs, recoverable_channel_entries)."""
    return key.startswith("channels/") and b'"channel_setup":{' in value


def peer_key(channel_key):
    """Return the peers/ key of a channel key: channels/ + hex of node id 33, peer id 33, dbid 8."""
    return "peers/" + channel_key[9 + 66 : 9 + 132]


class Entry:
    """An entry that the medium doesn't hold yet. version: u64; signature: bytes; value: JSON text, None: deleted."""

    def __init__(self, key, version, signature, flags, pieces):
        self.key = key
        self.version = version
        self.signature = signature
        self.flags = flags
        self.pieces = pieces  # the value in compact coding; None: a tombstone
        self.position = NOWHERE

    @property
    def value(self):
        """The value's JSON text, or None for a tombstone."""
        return None if self.pieces is None else entry_value(self.flags, b"".join(self.pieces))

    def record(self, node_id):
        """Return (kind, pieces of the body) of the record that stores this entry."""
        if self.pieces is None:
            return TOMBSTONE, [tombstone_body(self.key, self.signature, node_id)]
        return ENTRY, [entry_head(self.flags, self.key, self.version, self.signature, node_id)] + self.pieces

    def size(self):
        """Return the bytes that this entry takes, in RAM and on the medium, at most."""
        value = 0 if self.pieces is None else sum(map(len, self.pieces))
        return len(self.key) + _KEY_OVERHEAD + value


class StoredEntry:
    """An entry on the medium, in the record at position of log. It stays what it was when key's entry changes."""

    def __init__(self, log, position, key, version, signature):
        self.key = key
        self.version = version
        self.signature = signature
        self._log = log
        self._position = position

    @property
    def value(self):
        """The value's JSON text, or None for a tombstone. Read when it is asked for; raises MediumError."""
        if self.version == TOMBSTONE_VERSION:
            return None
        try:
            body = self._log.body(self._position)[1]
            flags, _key, _version, _signature, p = parse_entry_head(body, self._log.node_id)
            return entry_value(flags, body[p:])
        except FormatError as e:
            raise MediumError("the medium lost %s: %s" % (self.key, e)) from None


class State:
    """The map of keys to entries. log: the journal's current Log, set by the journal; None: nothing is on the medium.
    log_damaged: whether a record of it can't be read: no snapshot that builds on it would be whole.

    spill: a function that the journal offers: it writes what changed to the medium without a snapshot. It is called
    when the changed entries take more than budget bytes of RAM.
    """

    def __init__(self, salt, budget=24 * 1024):
        self._salt = salt
        self.index = Index(salt)
        self.log = None
        self.log_damaged = False
        self.changed = {}
        self.changed_bytes = 0
        self.spill = None
        self._budget = budget
        self._alarm = None

    # -- the store's interface -------------------------------------------------------------------------------------

    def get(self, key):
        """Return key's entry (attributes version, signature, value), or None.

        Raises MediumError when the medium can't give it; the key is then forgotten, so that the node's next full
        state brings it back.
        """
        if self._alarm:
            text, self._alarm = self._alarm, None
            raise MediumError(text)
        return self.entry(key)

    def entry(self, key):
        """Return what get returns, but leave the word that state was lost to the loop."""
        entry = self.changed.get(key)
        if entry is not None:
            return entry
        row = self.index.find(key)
        if row < 0 or not self.index.flags(row) & (LIVE | DELETED):
            return None
        stored = self._stored(row)
        if stored.key != key:
            self._lost(row, "a record of %s lies in its place" % stored.key)
        return stored

    def put(self, key, version, signature, value):
        """Set key's entry: version below 2^64-1, signature at most 64 bytes, value as canonical JSON text (bytes).

        Raises FormatError for a key or a signature that does not fit into a record.
        """
        entry_head(0, key, version, signature, b"")
        flags, pieces = code_value(value)
        if is_recoverable(key, value):
            flags |= RECOVERABLE
        self._change(Entry(key, version, signature, flags, pieces), LIVE)

    def delete(self, key, signature):
        """Make key a tombstone. Raises FormatError as put."""
        tombstone_body(key, signature, b"")
        self._change(Entry(key, TOMBSTONE_VERSION, signature, 0, None), DELETED)

    def keys(self):
        """Yield every key, tombstones included, those in RAM first. Raises MediumError."""
        for key in self.changed:
            yield key
        for row in self.stored_rows():
            yield self._stored(row).key

    # -- for the journal and the runtime ---------------------------------------------------------------------------

    def stored_rows(self):
        """Yield the index rows of the entries that only the medium holds."""
        changed = {self.index.find(key) for key in self.changed}
        for row in range(len(self.index)):
            if self.index.flags(row) & (LIVE | DELETED) and row not in changed:
                yield row

    def _stored(self, row):
        """Return the StoredEntry of an index row. Raises MediumError."""
        position = self.index.position(row)
        try:
            kind, body = self.log.body(position)
            if kind == TOMBSTONE:
                key, signature = parse_tombstone(body, self.log.node_id)
                version = TOMBSTONE_VERSION
            else:
                _flags, key, version, signature, _p = parse_entry_head(body, self.log.node_id)
        except FormatError as e:
            self._lost(row, e)
        return StoredEntry(self.log, position, key, version, signature)

    def _lost(self, row, why):
        self.lose(row)
        self._alarm = None  # this very call raises
        raise MediumError("the medium lost an entry: %s" % why)

    def lose(self, row):
        """The medium can't give the row's record: no snapshot is whole until the node sends that entry again.

        The next get raises, so that the loop answers with an error and the node attaches anew. It sends no tombstones
        then: one that is lost is not waited for.
        """
        flags = self.index.flags(row)
        self.index.set_flags(row, flags & ~(LIVE | DELETED | CHANNEL) | (LOST if flags & LIVE else 0))
        self.index.set_position(row, NOWHERE)
        self.log_damaged = True
        self._alarm = "the board lost part of its state: attach again"

    def _change(self, entry, what):
        row = self.index.add(entry.key)
        old = self.changed.get(entry.key)
        self.changed[entry.key] = entry
        self.changed_bytes += entry.size() - (old.size() if old else 0)
        flags = self.index.flags(row) & ~(LIVE | DELETED | CHANNEL | LOST) | what
        if entry.flags & RECOVERABLE:
            flags |= CHANNEL
        self.index.set_flags(row, flags)
        if self.changed_bytes > self._budget and self.spill:
            self.spill()

    def load(self, kind, body_head, position, node_id):
        """Take a record of the newest snapshot into the index (at mount). RAM may hold a newer entry already."""
        if kind == TOMBSTONE:
            key, signature = parse_tombstone(body_head, node_id)
            version, flags = TOMBSTONE_VERSION, DELETED
        else:
            record_flags, key, version, signature, _p = parse_entry_head(body_head, node_id)
            flags = LIVE | (CHANNEL | OBSERVED if record_flags & RECOVERABLE else 0)
        held = self.changed.get(key)
        if held and (version > held.version or (version == held.version and signature == held.signature)):
            del self.changed[key]
            self.changed_bytes -= held.size()
        row = self.index.add(key)
        self.index.set_position(row, position)
        if flags & CHANNEL:
            self.mark_peer(key)
            row = self.index.find(key)
        if key not in self.changed:
            self.index.set_flags(row, self.index.flags(row) & PEER | flags)

    def unload(self):
        """Forget what load took: the medium could not be read to its end."""
        self.log = None
        changed = {self.index.find(key) for key in self.changed}
        for row in range(len(self.index)):
            self.index.set_position(row, NOWHERE)
            if row not in changed:
                self.index.set_flags(row, self.index.flags(row) & PEER)

    def clear(self):
        """Forget everything. The next get raises, so that the node attaches anew."""
        self.index = Index(self._salt)
        self.log = None
        self.log_damaged = False
        self.changed = {}
        self.changed_bytes = 0
        self._alarm = "the medium is formatted, and what the board held is gone: attach again"

    def mark_peer(self, channel_key):
        """Note that the channel's peer has a recoverable channel."""
        row = self.index.add(peer_key(channel_key))
        self.index.set_flags(row, self.index.flags(row) | PEER)

    def was_observed(self, key):
        """Return whether key was a recoverable channel when observe last saw it."""
        row = self.index.find(key)
        return row >= 0 and bool(self.index.flags(row) & OBSERVED)

    def is_channel_peer(self, key):
        """Return whether the peer of this peers/ key has, or had, a recoverable channel."""
        row = self.index.find(key)
        return row >= 0 and bool(self.index.flags(row) & PEER)

    def is_channel(self, key):
        """Return whether key is a recoverable channel now."""
        row = self.index.find(key)
        return row >= 0 and bool(self.index.flags(row) & CHANNEL)

    def observed(self, key):
        """Note that observe has seen key as it is now."""
        row = self.index.add(key)
        flags = self.index.flags(row) & ~OBSERVED
        self.index.set_flags(row, flags | OBSERVED if flags & CHANNEL else flags)

    def written(self):
        """The medium now holds what changed: forget it in RAM."""
        for key, entry in self.changed.items():
            self.index.set_position(self.index.find(key), entry.position)
        self.changed = {}
        self.changed_bytes = 0
