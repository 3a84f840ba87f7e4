"""Records of a journal: entries, tombstones and what ends a transaction (FORMAT.md, "Records")."""

from binascii import crc32, hexlify, unhexlify

from .cbor import head, read_head, read_string, string_pieces
from .errors import FormatError
from .expand import decode, expand
from .layout import get_u32, put_u32
from .port import const, sha256
from .textcheck import check_utf8

RECORD_HEADER = const(8)  # bytes: kind, length (3 bytes), CRC-32
PAD = const(0x00)  # no record: the rest of this program unit is unused
ENTRY = const(0x45)  # "E": a state entry
TOMBSTONE = const(0x54)  # "T": a deleted key
COMMIT = const(0x43)  # "C": ends a transaction; of each key the last record before it in this arena makes a snapshot
SPILL = const(0x53)  # "S": ends a transaction that is no snapshot
SETTINGS = const(0x4F)  # "O": the owner's settings; no part of a snapshot

RECOVERABLE = const(1)  # flag of an entry: a channel with a channel_setup
AS_TEXT = const(2)  # flag of an entry: the value is JSON text that the compact coding does not take, in a byte string

TOMBSTONE_VERSION = 0xFFFFFFFFFFFFFFFF
MAX_KEY = const(400)  # bytes of a key's text
MAX_SIGNATURE = const(64)  # bytes
MAX_ENTRY_HEAD = const(512)  # bytes of an entry's body before its value, at most
SUM_MASK = (1 << 128) - 1  # sums of fingerprints are modulo 2^128

# Codes are positions in these tables, which only ever grow at their ends.
TRIGGERS = ("first", "new-channel", "periodic", "address", "deleted", "retry")
STRATEGIES = ("never", "new-channels-only", "periodic")
_PREFIXES = ("channels/", "nodes/", "nodestates/", "allowlists/", "trackers/", "peers/")


def pack_record_header(buf, kind, length, crc):
    """Write the 8-byte header of a record of length bytes (body alone, below 2^24) into buf."""
    if length >> 24:
        raise FormatError("record of %d bytes" % length)
    put_u32(buf, 0, kind << 24 | length)
    put_u32(buf, 4, crc)


def record_crc(arena, position, kind, length):
    """Return the CRC-32 of a record's identity: where it must lie, and its kind and length. The body follows."""
    identity = bytearray(12)
    put_u32(identity, 0, arena)
    put_u32(identity, 4, position)
    put_u32(identity, 8, kind << 24 | length)
    return crc32(bytes(identity))


def record_hash(arena, position, kind, length, crc):
    """Return a SHA-256 over a record's identity and header, to be fed its body: what the record is, and where.
    fingerprint() makes a number of it."""
    data = bytearray(16)
    put_u32(data, 0, arena)
    put_u32(data, 4, position)
    put_u32(data, 8, kind << 24 | length)
    put_u32(data, 12, crc)
    running = sha256()
    running.update(bytes(data))
    return running


def fingerprint(running):
    """Return the fingerprint (below 2^128) of the record that running, a record_hash, was fed."""
    return int.from_bytes(running.digest()[:16], "big")


def parse_record_header(buf):
    """Return (kind, length, crc) of the record header in buf (8 bytes)."""
    first = get_u32(buf, 0)
    return first >> 24, first & 0xFFFFFF, get_u32(buf, 4)


def _encode_key(key, node_id):
    """Return key (str) coded: the table's prefix and hex as bytes, the own node id (bytes) left out."""
    text = key.encode()
    if len(text) > MAX_KEY:
        raise FormatError("key of %d bytes; at most %d" % (len(text), MAX_KEY))
    for i, prefix in enumerate(_PREFIXES):
        if key.startswith(prefix):
            try:
                raw = unhexlify(key[len(prefix) :])
            except ValueError:
                break
            if prefix + hexlify(raw).decode() != key:  # upper case
                break
            own = raw[: len(node_id)] == node_id
            return head(0, 2 * i + own) + _bytes(raw[len(node_id) :] if own else raw)
    check_utf8(text)
    return head(3, len(text)) + text


def _decode_key(data, p, node_id):
    """Return (key as str, next position)."""
    major, code, after = read_head(data, p)
    if major == 3:
        text, after = read_string(data, p, 3)
        try:
            return str(text, "utf-8"), after
        except UnicodeError:
            raise FormatError("a key that is not UTF-8") from None
    if major or code < 0 or code >> 1 >= len(_PREFIXES):
        raise FormatError("unknown kind of key")
    raw, after = read_string(data, after, 2)
    return _PREFIXES[code >> 1] + hexlify(node_id + raw if code & 1 else raw).decode(), after


def _bytes(raw):
    return head(2, len(raw)) + raw


def entry_head(flags, key, version, signature, size, node_id):
    """Return the body of an entry's record up to its value, which follows in compact coding.

    flags: RECOVERABLE and AS_TEXT; key: str; version: 0 ... 2^64-2; signature: at most 64 bytes; size: bytes of the
    value's JSON text; node_id: 33 bytes.
    Raises FormatError for a key or a signature that is too long, and for a key that is not UTF-8.
    """
    return head(0, flags) + _encode_key(key, node_id) + head(0, version) + _signature(signature) + head(0, size)


def tombstone_body(key, signature, node_id):
    """Return the whole body of a tombstone's record. Raises FormatError as entry_head."""
    return _encode_key(key, node_id) + _signature(signature)


def _signature(raw):
    if len(raw) > MAX_SIGNATURE:
        raise FormatError("signature of %d bytes; at most %d" % (len(raw), MAX_SIGNATURE))
    return _bytes(raw)


def _uint(data, p):
    major, n, p = read_head(data, p)
    if major or n < 0:
        raise FormatError("an unsigned integer is missing")
    return n, p


def parse_entry_head(data, node_id):
    """Return (flags, key, version, signature, size, position of the value) from the first bytes of an entry's body."""
    flags, p = _uint(data, 0)
    if flags & ~(RECOVERABLE | AS_TEXT):
        raise FormatError("unknown flags %d" % flags)
    key, p = _decode_key(data, p, node_id)
    version, p = _uint(data, p)
    signature, p = read_string(data, p, 2)
    size, p = _uint(data, p)
    return flags, key, version, signature, size, p


def parse_tombstone(data, node_id):
    """Return (key, signature) from the body of a tombstone's record."""
    key, p = _decode_key(data, 0, node_id)
    signature, p = read_string(data, p, 2)
    return key, signature


def parse_key(kind, data, node_id):
    """Return the key from the first bytes of an entry's or tombstone's body. Raises FormatError if they are too few."""
    return _decode_key(data, _uint(data, 0)[1] if kind == ENTRY else 0, node_id)[0]


def entry_value(flags, coded):
    """Return the JSON text of an entry's value from its coded bytes. Raises FormatError."""
    if flags & AS_TEXT:
        text, p = read_string(coded, 0, 2)
        if p != len(coded):
            raise FormatError("bytes after a value")
        return text
    return decode(coded)


def expand_value(flags, chunks):
    """Yield the JSON text of an entry's value in pieces, from its coded bytes in chunks (bytes or memoryview).

    A chunk may be overwritten when the next one is asked for. Raises FormatError; what was yielded is void then.
    """
    return string_pieces(chunks) if flags & AS_TEXT else expand(chunks)


class Commit:
    """What ends a snapshot.

    number: counts snapshots of this medium from 1. time: unix seconds, or None if the board's clock was unset.
    trigger: one of TRIGGERS. strategy: one of STRATEGIES; updates: N of periodic, else 0. entries: live entries.
    channels: recoverable channels among them. live: sum of the fingerprints of the records that make up the snapshot;
    None until it is known, shortly before the record is written.
    """

    def __init__(self, number, time, trigger, strategy, updates, entries, channels, live=None):
        self.number = number
        self.time = time
        self.trigger = trigger
        self.strategy = strategy
        self.updates = updates
        self.entries = entries
        self.channels = channels
        self.live = live

    def body(self):
        """Return the body of the record."""
        return (
            head(0, self.number)
            + (b"\xf6" if self.time is None else head(0, self.time))
            + head(0, TRIGGERS.index(self.trigger))
            + head(0, STRATEGIES.index(self.strategy))
            + head(0, self.updates)
            + head(0, self.entries)
            + head(0, self.channels)
            + _bytes(self.live.to_bytes(16, "big"))
        )


def parse_commit(data):
    """Return the Commit in the body data. Raises FormatError."""
    number, p = _uint(data, 0)
    time = None
    if data[p : p + 1] == b"\xf6":
        p += 1
    else:
        time, p = _uint(data, p)
    trigger, p = _uint(data, p)
    strategy, p = _uint(data, p)
    updates, p = _uint(data, p)
    entries, p = _uint(data, p)
    channels, p = _uint(data, p)
    live, p = read_string(data, p, 2)
    if p != len(data) or len(live) != 16 or trigger >= len(TRIGGERS) or strategy >= len(STRATEGIES):
        raise FormatError("a commit that this program does not understand")
    live = int.from_bytes(live, "big")
    return Commit(number, time, TRIGGERS[trigger], STRATEGIES[strategy], updates, entries, channels, live)


def settings_body(strategy, updates):
    """Return the body of a settings record: strategy, one of STRATEGIES; updates: N of periodic, else 0."""
    return head(0, STRATEGIES.index(strategy)) + head(0, updates)


def parse_settings(data):
    """Return (strategy, updates) from the body of a settings record. Raises FormatError."""
    strategy, p = _uint(data, 0)
    updates, p = _uint(data, p)
    name = STRATEGIES[strategy] if strategy < len(STRATEGIES) else None
    in_range = 0 < updates < 1 << 32 if name == "periodic" else not updates
    if p != len(data) or name is None or not in_range:
        raise FormatError("settings that this program does not understand")
    return name, updates
