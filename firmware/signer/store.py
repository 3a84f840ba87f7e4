"""The signer's state in RAM: a map from key (str) to Entry."""

TOMBSTONE = 0xFFFFFFFFFFFFFFFF  # the version that marks a deleted key


class Entry:
    """One entry of the state; never changed once made.

    version: 0 ... 2^64-1. signature: 64 bytes, or b"" when unsigned. value: canonical JSON as bytes, None for a
    tombstone. Other stores may read value lazily, and then reading it may raise OSError.
    """

    def __init__(self, version, signature, value):
        self.version = version
        self.signature = signature
        self.value = value


class PlainStore:
    """A store that keeps everything in RAM and forgets it with the process.

    Every store has these four methods; get and keys may raise OSError where the state lies on a medium, put and
    delete may raise that and FormatError for a value that isn't JSON.
    """

    def __init__(self):
        self._entries = {}

    def get(self, key):
        """Return the Entry of key (a tombstone too), or None."""
        return self._entries.get(key)

    def put(self, key, version, signature, value):
        """Set key to a live entry; value is canonical JSON as bytes, version is below TOMBSTONE."""
        self._entries[key] = Entry(version, signature, value)

    def delete(self, key, signature):
        """Set key to a tombstone, which stays as an entry."""
        self._entries[key] = Entry(TOMBSTONE, signature, None)

    def keys(self):
        """Return an iterator over all keys, tombstones included, in no particular order."""
        return iter(self._entries)
