"""An answer that is encoded while the host fetches it."""

from .protobuf import response_pieces, response_size


class Answer:
    """An encoded HsmResponse of total bytes, made piece by piece each time it is read."""

    def __init__(self, store, request_id, raw=b"", keys=tuple, error=""):
        """Measure the answer: raw, the entries that store has under the keys of keys(), in their order, and error.

        keys is called anew for each time the answer is made, and must give the same; the store must not change the
        entries while the answer is in use. Raises what reading them raises.
        """
        self._store = store
        self._fields = (request_id, raw, keys, error)
        self.total = response_size(*self._arguments())
        self._rewind()

    def read(self, offset, buf, at, size):
        """Copy at most size bytes from offset on into buf[at:]; return how many. Fast when read in order."""
        if offset < self._offset:
            self._rewind()
        size = min(size, self.total - offset)
        end = offset + size
        while self._offset < end:
            if self._at == len(self._piece):
                self._piece = next(self._pieces)
                self._at = 0
            n = min(len(self._piece) - self._at, (end if self._offset >= offset else offset) - self._offset)
            if self._offset >= offset:
                buf[at : at + n] = memoryview(self._piece)[self._at : self._at + n]
                at += n
            self._at += n
            self._offset += n
        return size

    def _arguments(self):
        request_id, raw, keys, error = self._fields
        return request_id, raw, ((key, self._store.get(key)) for key in keys()), error

    def _rewind(self):
        self._pieces = response_pieces(*self._arguments())
        self._piece = b""
        self._at = 0
        self._offset = 0
