"""The signer's state in RAM: a map from key (str) to Entry."""

TOMBSTONE = 0xFFFFFFFFFFFFFFFF  # the version that marks a deleted key


class Entry:
    """One entry of the state; never changed once made.

    version: 0 ... 2^64-1. signature: 64 bytes, or b"" when unsigned. value: canonical JSON as bytes, None for a
    tombstone; size: its bytes. Other stores may read the value lazily, and then reading it may raise OSError.
    """

    def __init__(self, version, signature, value):
        self.version = version
        self.signature = signature
        self.value = value
        self.size = len(value or b"")

    def text(self):
        """Return the value in pieces of bytes, none for a tombstone. Other stores may raise OSError, at the end too."""
        return (self.value or b"",)

    def holds(self, value):
        """Return whether the value is this one, which came from a writer."""
        return self.value == value


class TextWriter:
    """Gathers a value while it comes in."""

    def __init__(self):
        self._pieces = []

    def feed(self, data):
        """Take the next bytes of the value. Another store may raise FormatError for what is not canonical JSON."""
        self._pieces.append(bytes(data))

    def finish(self):
        """Return the value, for a store's put and an entry's holds. Another store may raise FormatError."""
        return b"".join(self._pieces)


class PlainStore:
    """A store that keeps everything in RAM and forgets it with the process.

    Every store has these methods; get and keys may raise OSError where the state lies on a medium, put and delete may
    raise that and FormatError for a value that isn't JSON.
    """

    def __init__(self):
        self._entries = {}
        self._known = set()

    def get(self, key):
        """Return the Entry of key (a tombstone too), or None."""
        return self._entries.get(key)

    def writer(self):
        """Return what a value is fed to piece by piece."""
        return TextWriter()

    def put(self, key, version, signature, value):
        """Set key to a live entry; value is canonical JSON as bytes or from a writer, version is below TOMBSTONE."""
        self._set(key, Entry(version, signature, value))

    def delete(self, key, signature):
        """Set key to a tombstone, which stays as an entry."""
        self._set(key, Entry(TOMBSTONE, signature, None))

    def keys(self):
        """Return an iterator over all keys, tombstones included, in an order that stays while no key is added."""
        return iter(sorted(self._entries))

    def set_known(self, key):
        """Note that the node is known to have key's entry as it stands; the next put or delete of key ends that."""
        self._known.add(key)

    def is_known(self, key):
        """Return whether the node is known to have key's entry as it stands."""
        return key in self._known

    def forget_known(self):
        """The node is not known to have anything."""
        self._known = set()

    def _set(self, key, entry):
        self._entries[key] = entry
        self._known.discard(key)
