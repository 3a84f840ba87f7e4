"""HsmRequest and HsmResponse of Greenlight's greenlight.proto (proto3), as streams.

Requests are decoded while their chunks come in, and each SignerStateEntry is handed on as soon as it is complete;
responses are encoded piece by piece. A value is handed on as it comes in: RAM holds no message, and no value twice.
"""

from backup_format.errors import FormatError
from backup_format.port import const

from .store import TOMBSTONE

MAX_RAW = const(65536)  # bytes of HsmRequest.raw
MAX_PENDING = const(65536)  # bytes of all HsmRequest.requests together
MAX_KEY = const(512)
MAX_VALUE = const(65536)
MAX_SIGNATURE = const(128)
MAX_NODE_ID = const(64)

# Fields by number: 0 = varint, n > 0 = at most n bytes, a dict = a message of these fields.
_CONTEXT = {1: MAX_NODE_ID, 2: 0, 3: 0}
_ENTRY = {1: 0, 2: MAX_KEY, 3: MAX_VALUE, 4: MAX_SIGNATURE}
_REQUEST = {1: 0, 2: _CONTEXT, 3: MAX_RAW, 4: _ENTRY, 5: MAX_PENDING}

_TAG = const(0)
_VALUE = const(1)
_LENGTH = const(2)
_SMALL = const(512)  # bytes that may be copied


class HsmRequest:
    """What an engine is given of a request; the state entries were merged already.

    request_id: u32. context: (node_id bytes, dbid u64, capabilities u64), or None. raw: the signer message, bytes or
    bytearray. requests: the PendingRequest messages, likewise, not decoded.
    """

    def __init__(self):
        self.request_id = 0
        self.context = None
        self.raw = b""
        self.requests = []


class RequestDecoder:
    """Decodes one HsmRequest from chunks. Unknown fields are skipped, as proto3 asks.

    on_entry(version, key str, value, signature bytes) is called for each entry: value is what new_writer()'s finish
    returned for it (store.py), None if it has no bytes. What these raise comes through.
    """

    def __init__(self, on_entry, new_writer):
        self._on_entry = on_entry
        self._new_writer = new_writer
        self._request = HsmRequest()
        self._pending = 0  # bytes in requests
        self._table = _REQUEST  # fields of the message that is being read
        self._values = {}  # of the inner message, by field number
        self._left = 0  # bytes left in the inner message
        self._step = _TAG
        self._varint = 0
        self._shift = 0
        self._field = 0
        self._target = None  # bytearray that is being filled
        self._writer = None  # what a value is fed to; neither: skipping
        self._wanted = 0  # bytes still to fill or skip

    def feed(self, data):
        """Decode the next bytes of the message. Raises FormatError, after which the decoder is of no more use."""
        at = 0
        while at < len(data):
            if self._wanted:
                n = min(self._wanted, len(data) - at)
                if self._writer is not None:
                    self._write(self._writer.feed, data[at : at + n])
                elif self._target is not None:
                    start = len(self._target) - self._wanted
                    self._target[start : start + n] = data[at : at + n]
                self._wanted -= n
            else:
                n = 1
                self._byte(data[at])
            at += n
            if self._table is not _REQUEST:
                self._left -= n
            if not self._wanted:
                self._settle()

    def finish(self):
        """Return the HsmRequest. Raises FormatError if the message isn't complete."""
        if self._table is not _REQUEST or self._wanted or self._step != _TAG or self._shift:
            raise FormatError("HsmRequest: cut off in field %d" % self._field)
        return self._request

    def _byte(self, byte):
        """Take one byte of a tag, a varint value or a length."""
        if self._shift == 63 and byte > 1:
            raise FormatError("HsmRequest: a varint of more than 64 bits")
        self._varint |= (byte & 0x7F) << self._shift
        if byte & 0x80:
            self._shift += 7
            return
        n = self._varint
        self._varint = 0
        self._shift = 0
        if self._step == _TAG:
            self._tag(n >> 3, n & 7)
        elif self._step == _LENGTH:
            self._length(n)
        else:
            self._step = _TAG
            self._take(n)

    def _tag(self, field, wire):
        kind = self._table.get(field)
        if not 0 < field < 1 << 29 or (kind is not None and wire != (0 if kind == 0 else 2)):
            raise FormatError("HsmRequest: field %d of wire type %d" % (field, wire))
        self._field = field
        if wire == 0:
            self._step = _VALUE
        elif wire == 2:
            self._step = _LENGTH
        elif wire == 1 or wire == 5:
            self._want(8 if wire == 1 else 4, None)
        else:
            raise FormatError("HsmRequest: wire type %d" % wire)

    def _length(self, n):
        kind = self._table.get(self._field)
        self._step = _TAG
        if isinstance(kind, dict):
            self._table = kind
            self._values = {}
            self._left = n + 1  # and the byte of the length that is being read
            return
        if kind is not None and n > kind:
            raise FormatError("HsmRequest: field %d has %d bytes; at most %d" % (self._field, n, kind))
        if self._table is _ENTRY and self._field == 3:
            self._want(n, None)
            self._writer = self._new_writer() if n else None
            self._values[3] = None
        else:
            self._want(n, None if kind is None else bytearray(n))

    def _want(self, n, target):
        """Fill target with the next n bytes; with None, skip them."""
        if self._table is not _REQUEST and n >= self._left:
            raise FormatError("HsmRequest: field %d is longer than its message" % self._field)
        self._target = target
        self._wanted = n

    def _write(self, call, *args):
        try:
            return call(*args)
        except FormatError as error:
            raise FormatError("the value of %r: %s" % (self._values.get(2), error)) from None

    def _settle(self):
        """Take the bytes that are complete, and end the inner message if it is."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._take(self._write(writer.finish))
        if self._target is not None:
            target, self._target = self._target, None
            self._take(target if len(target) > _SMALL else bytes(target))
        if self._table is not _REQUEST and not self._left:
            if self._step != _TAG or self._shift:
                raise FormatError("HsmRequest: field %d is cut off by its message's end" % self._field)
            table = self._table
            self._table = _REQUEST
            if table is _ENTRY:
                self._entry()
            else:
                get = self._values.get
                self._request.context = (get(1, b""), get(2, 0), get(3, 0))

    def _take(self, value):
        """Keep the value (int or bytes) of the field that was read, if it is a known one."""
        if self._field not in self._table:
            return
        if self._table is not _REQUEST:
            self._values[self._field] = value
        elif self._field == 1:
            self._request.request_id = value & 0xFFFFFFFF
        elif self._field == 3:
            self._request.raw = value
        else:
            self._pending += len(value)
            if self._pending > MAX_PENDING:
                raise FormatError("HsmRequest: requests of %d bytes; at most %d" % (self._pending, MAX_PENDING))
            self._request.requests.append(value)

    def _entry(self):
        get = self._values.get
        version = get(1, 0)
        value = get(3)
        try:
            key = str(get(2, b""), "utf-8")
        except UnicodeError:
            raise FormatError("SignerStateEntry: a key that isn't UTF-8") from None
        if not key:
            raise FormatError("SignerStateEntry: no key")
        if value is None and version != TOMBSTONE:
            raise FormatError("SignerStateEntry: no value for " + key)
        self._values = {}
        self._on_entry(version, key, value, get(4, b""))


def response_size(request_id, raw, entries, error):
    """Return the bytes of the encoded HsmResponse, without reading the values; arguments as response_pieces."""
    size = len(_opening(request_id, raw)) + len(raw) + len(_closing(error))
    for key, entry in entries:
        head, tail = _around(key, entry)
        size += len(head) + _size(entry) + len(tail)
    return size


def response_pieces(request_id, raw, entries, error):
    """Yield the encoded HsmResponse as pieces of bytes.

    entries: iterable of (key, Entry), sent in its order; a tombstone's value is sent as null. What reading a lazy
    value raises comes through.
    """
    yield _opening(request_id, raw)
    yield raw
    for key, entry in entries:
        head, tail = _around(key, entry)
        yield head
        if entry.version == TOMBSTONE:
            yield b"null"
        else:
            for piece in entry.text():
                yield piece
        yield tail
    yield _closing(error)


def _opening(request_id, raw):
    """Return what stands before raw."""
    head = b"\x08" + _varint(request_id) if request_id else b""
    return head + b"\x12" + _varint(len(raw)) if raw else head


def _closing(error):
    text = error.encode()
    return b"\x32" + _varint(len(text)) + text if text else b""


def _size(entry):
    return 4 if entry.version == TOMBSTONE else entry.size


def _around(key, entry):
    """Return what stands before and behind an entry's value."""
    name = key.encode()
    head = b"\x08" + _varint(entry.version) if entry.version else b""
    head += b"\x12" + _varint(len(name)) + name + b"\x1a" + _varint(_size(entry))
    tail = b"\x22" + _varint(len(entry.signature)) + entry.signature if entry.signature else b""
    return b"\x2a" + _varint(len(head) + _size(entry) + len(tail)) + head, tail


def _varint(n):
    parts = bytearray()
    while n > 0x7F:
        parts.append(n & 0x7F | 0x80)
        n >>= 7
    parts.append(n)
    return bytes(parts)
