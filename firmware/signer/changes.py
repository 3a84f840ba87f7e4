"""A store that remembers what was there before."""


class ChangeLog:
    """Passes everything on to a store, and keeps the entry that each written key had before its first write."""

    def __init__(self, store):
        self._store = store
        self._before = {}
        self.get = store.get
        self.keys = store.keys
        self.writer = store.writer
        self.set_known = store.set_known
        self.is_known = store.is_known
        self.forget_known = store.forget_known

    def __len__(self):
        """Return how many keys were written since the last take."""
        return len(self._before)

    def put(self, key, version, signature, value):
        """As PlainStore.put."""
        self._note(key)
        self._store.put(key, version, signature, value)

    def delete(self, key, signature):
        """As PlainStore.delete."""
        self._note(key)
        self._store.delete(key, signature)

    def touched(self):
        """Return the keys written since the last take, in no particular order."""
        return list(self._before)

    def take(self):
        """Return the changes since the last take, by key: [(key, Entry before or None, Entry after)].

        A write that left version and signature as they were is no change. After an OSError of the store the changes
        are still there for the next take.
        """
        changes = []
        for key in sorted(self._before):
            before = self._before[key]
            after = self._store.get(key)
            if after is None:
                continue  # the store refused the write
            if before is None or before.version != after.version or before.signature != after.signature:
                changes.append((key, before, after))
        self._before = {}
        return changes

    def _note(self, key):
        if key not in self._before:
            self._before[key] = self._store.get(key)
