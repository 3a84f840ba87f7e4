"""The signer's state: what changed since the last write in RAM, everything else on the medium.

It is the store that the signer's loop works on (get, put, delete, keys), and what the journal writes from.
"""

from backup_format.errors import FormatError
from backup_format.port import const
from backup_format.records import (
    RECOVERABLE,
    TOMBSTONE_VERSION,
    entry_head,
    tombstone_body,
)

from .blockdev import MediumError
from .entries import Entry, StoredEntry
from .index import CHANNEL, DELETED, KNOWN, LIVE, LOST, NOWHERE, OBSERVED, PEER, Index
from .value import CodedValue, ValueWriter, code

_READS = const(3)  # of a record before it is lost


def peer_key(channel_key):
    """Return the peers/ key of a channel key: channels/ + hex of node id 33, peer id 33, dbid 8."""
    return "peers/" + channel_key[9 + 66 : 9 + 132]


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

    def writer(self):
        """Return what a value's JSON text is fed to (feed, finish) while it comes in; put takes what finish returns."""
        return ValueWriter()

    def put(self, key, version, signature, value):
        """Set key's entry: version below 2^64-1, signature at most 64 bytes, value as canonical JSON text (bytes) or
        from a writer. Raises FormatError for a key or a signature that does not fit into a record.
        """
        entry_head(0, key, version, signature, 0, b"")
        self._change(Entry(key, version, signature, value if isinstance(value, CodedValue) else code(value)), LIVE)

    def delete(self, key, signature):
        """Make key a tombstone. Raises FormatError as put."""
        tombstone_body(key, signature, b"")
        self._change(Entry(key, TOMBSTONE_VERSION, signature, None), DELETED)

    def keys(self):
        """Yield every key, tombstones included, in an order that stays while no key is added. Raises MediumError."""
        changed = {self.index.hash(key): key for key in self.changed}
        for row in self.index.rows():
            if self.index.flags(row) & (LIVE | DELETED):
                key = changed.get(self.index.digest(row))
                yield key or self._stored(row).key

    def set_known(self, key):
        """Note that the node is known to have key's entry as it stands; the next put or delete of key ends that."""
        row = self.index.add(key)
        self.index.set_flags(row, self.index.flags(row) | KNOWN)

    def is_known(self, key):
        """Return whether the node is known to have key's entry as it stands."""
        row = self.index.find(key)
        return row >= 0 and bool(self.index.flags(row) & KNOWN)

    def forget_known(self):
        """The node is not known to have anything."""
        for row in self.index.rows():
            self.index.set_flags(row, self.index.flags(row) & ~KNOWN)

    # -- for the journal and the runtime ---------------------------------------------------------------------------

    def stored_rows(self):
        """Yield the index rows of the entries that only the medium holds."""
        changed = {self.index.hash(key) for key in self.changed}
        for row in self.index.rows():
            if self.index.flags(row) & (LIVE | DELETED) and self.index.digest(row) not in changed:
                yield row

    def _stored(self, row):
        """Return the StoredEntry of an index row. Raises MediumError."""
        try:
            return self.read(row)
        except FormatError as e:
            self._lost(row, e)

    def read(self, row):
        """Return the StoredEntry of an index row, read again before it counts as damaged. Raises FormatError."""
        for _ in range(_READS - 1):
            try:
                return StoredEntry(self.log, self.index.position(row))
            except FormatError:
                pass
        return StoredEntry(self.log, self.index.position(row))

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
        grown = self.changed_bytes + entry.cost() - (old.cost() if old else 0)
        flags = self.index.flags(row) & ~(LIVE | DELETED | CHANNEL | LOST | KNOWN) | what
        if entry.flags & RECOVERABLE:
            flags |= CHANNEL
        self.changed[entry.key] = entry  # the last that memory may not be enough for
        self.changed_bytes = grown
        self.index.set_flags(row, flags)
        if self.changed_bytes > self._budget and self.spill:
            self.spill()

    def load(self, stored, position):
        """Take a StoredEntry of the newest snapshot into the index (at mount). RAM may hold another of its key."""
        row = self.index.add(stored.key)
        self.index.set_position(row, position)
        if stored.flags & RECOVERABLE:
            self.mark_peer(stored.key)
        if stored.key not in self.changed:
            self._set_stored(stored)

    def _set_stored(self, stored):
        """Set the flags of an entry's row as the medium has it."""
        flags = DELETED if stored.version == TOMBSTONE_VERSION else LIVE
        if stored.flags & RECOVERABLE:
            flags |= CHANNEL | OBSERVED
        row = self.index.find(stored.key)
        self.index.set_flags(row, self.index.flags(row) & PEER | flags)

    def loaded(self):
        """All of the newest snapshot was taken: forget what RAM holds that is no newer.

        Raises FormatError, MediumError; nothing is forgotten then.
        """
        older = []
        for key, held in self.changed.items():
            position = self.index.position(self.index.find(key))
            if position != NOWHERE:
                stored = StoredEntry(self.log, position)
                same = stored.version == held.version and stored.signature == held.signature
                if stored.version > held.version or same:
                    older.append(stored)
        for stored in older:
            self.changed_bytes -= self.changed.pop(stored.key).cost()
            self._set_stored(stored)

    def unload(self):
        """Forget what load took: the medium could not be read to its end."""
        self.log = None
        changed = {self.index.hash(key) for key in self.changed}
        for row in self.index.rows():
            self.index.set_position(row, NOWHERE)
            if self.index.digest(row) not in changed:
                self.index.set_flags(row, self.index.flags(row) & (PEER | LOST))

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
