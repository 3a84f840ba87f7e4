"""Core Lightning's static channel backup (SCB), one element of `recoverchannel`'s `scb` array: encode and decode.

Layout (read in CLN's common/scb_wire.csv; all integers big-endian): id u64, channel_id 32, node_id 33, wireaddr,
funding txid 32 (internal order) and vout u32, funding_sats u64, channel_type (u16 length, feature bits), u32 length of
the TLVs, TLVs (BigSize type, BigSize length, value): 1 shachain (min_index u64, count u32, count x (index u64, secret
32)), 3 the peer's basepoints (revocation, payment, htlc, delayed payment, 33 each), 5 opener (0 us, 1 the peer), 7
remote_to_self_delay u16 (blocks: the delay that WE impose on the peer). docs/glcli-differences.md says why just so.
"""

import struct
from typing import Any, NamedTuple

from vls_backup.addresses import wireaddr_size
from vls_backup.errors import FieldError
from vls_backup.fields import is_point
from vls_backup.shachain import INDEX_END, MAX_SECRETS, STORED_SIZE, Secrets, check_positions, indexes_of

MIN_INDEX = 1
"""What we write: with it onchaind takes our output with static keys, and still finds the secrets for a penalty."""

MAX_DBID = 2**31 - 1
"""0 and more than this abort lightningd."""

IDS = struct.Struct(">Q32s33s")  # dbid, channel id, node id
FUNDING = struct.Struct(">32sIQH")  # txid, vout, sats, size of the channel type
SHACHAIN = struct.Struct(">QI")  # min_index, count
TLV_NUMBERS = (1, 3, 5, 7)
_BASEPOINTS = struct.Struct("33s33s33s33s")


class Scb(NamedTuple):
    """One SCB. Binary fields as bytes; `basepoints` in the order revocation, payment, htlc, delayed payment."""

    dbid: int
    channel_id: bytes
    node_id: bytes
    wireaddr: bytes
    txid: bytes
    vout: int
    funding_sats: int
    channel_type: bytes
    min_index: int
    secrets: Secrets
    basepoints: tuple[bytes, ...]
    opener: int
    remote_to_self_delay: int


def channel_id_v1(txid: bytes, vout: int) -> bytes:
    """Return a v1 channel's id: the funding txid (internal order), its last two bytes XORed with vout (BOLT 2)."""
    return txid[:30] + (int.from_bytes(txid[30:], "big") ^ vout).to_bytes(2, "big")


def encode_scb(scb: Scb) -> bytes:
    """Return the bytes of scb, whose fields must be in range (decode_scb checks them all)."""
    tlvs = (
        _tlv(1, SHACHAIN.pack(scb.min_index, len(scb.secrets) // STORED_SIZE) + scb.secrets)
        + _tlv(3, b"".join(scb.basepoints))
        + _tlv(5, bytes([scb.opener]))
        + _tlv(7, scb.remote_to_self_delay.to_bytes(2, "big"))
    )
    return b"".join(
        [
            IDS.pack(scb.dbid, scb.channel_id, scb.node_id),
            scb.wireaddr,
            FUNDING.pack(scb.txid, scb.vout, scb.funding_sats, len(scb.channel_type)),
            scb.channel_type,
            len(tlvs).to_bytes(4, "big"),
            tlvs,
        ]
    )


def _tlv(number: int, value: bytes) -> bytes:
    length = len(value)
    return bytes([number]) + (bytes([length]) if length < 253 else struct.pack(">BH", 253, length)) + value


def decode_scb(data: bytes) -> Scb:
    """Return the SCB that data is, whole. Raise ValueError for whatever lightningd would drop silently or die of."""
    scb = parse_scb(data)
    if not all(map(is_point, (scb.node_id, *scb.basepoints))):
        raise ValueError("the node id or a basepoint is not on the curve")
    return scb


def parse_scb(data: bytes) -> Scb:
    """Do the same, but believe that the node id and the basepoints are on the curve: to see that takes long."""
    reader = Reader(data)
    dbid, channel_id, node_id = reader.fields(IDS)
    if not 1 <= dbid <= MAX_DBID:
        raise ValueError(f"dbid {dbid} is not 1 to {MAX_DBID}")
    wireaddr = reader.take(wireaddr_size(reader.rest()))
    txid, vout, funding_sats, size = reader.fields(FUNDING)
    channel_type = reader.take(size)
    if reader.number(4) != reader.left:
        raise ValueError("the length of the TLVs is not what follows")
    shachain, points, opener, delay = map(reader.tlv, TLV_NUMBERS)
    reader.end()
    min_index, secrets = _decode_shachain(shachain)
    if len(points) != _BASEPOINTS.size:
        raise ValueError("there are not just four basepoints")
    if opener not in (b"\0", b"\1") or len(delay) != 2 or vout > 65535:
        raise ValueError("vout, the opener or the delay is out of range")
    return Scb(
        dbid=dbid,
        channel_id=channel_id,
        node_id=node_id,
        wireaddr=wireaddr,
        txid=txid,
        vout=vout,
        funding_sats=funding_sats,
        channel_type=channel_type,
        min_index=min_index,
        secrets=secrets,
        basepoints=_BASEPOINTS.unpack(points),
        opener=opener[0],
        remote_to_self_delay=int.from_bytes(delay, "big"),
    )


def _decode_shachain(value: bytes) -> tuple[int, Secrets]:
    reader = Reader(value)
    min_index, count = reader.fields(SHACHAIN)
    secrets = reader.rest()
    if not 1 <= min_index <= INDEX_END or count > MAX_SECRETS or len(secrets) != STORED_SIZE * count:
        raise ValueError("the shachain has a wrong size")
    try:
        check_positions(indexes_of(secrets))
    except FieldError as error:
        raise ValueError(str(error)) from error
    return min_index, secrets


class Reader:
    """Reads bytes from the front; asking for more than there is raises ValueError."""

    def __init__(self, data: bytes) -> None:
        """Begin at the front of data."""
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next size bytes."""
        at = self._at
        self._at = end = at + size
        if end > len(self._data):
            raise ValueError(f"cut off after {len(self._data)} bytes")
        return self._data[at:end]

    def fields(self, form: struct.Struct) -> tuple[Any, ...]:
        """Return the next fields, by their form."""
        return form.unpack(self.take(form.size))

    def number(self, size: int) -> int:
        """Return the next integer, big-endian, of size bytes."""
        return int.from_bytes(self.take(size), "big")

    def bigsize(self) -> int:
        """Return the next BigSize (BOLT 1)."""
        (first,) = self.take(1)
        if first < 253:
            return first
        value = self.number(1 << first - 252)
        if value < (253, 1 << 16, 1 << 32)[first - 253]:
            raise ValueError("a length is written longer than needed")
        return value

    def tlv(self, number: int) -> bytes:
        """Return the value of the TLV that is next; raise ValueError if that is not this one."""
        if self.bigsize() != number:
            raise ValueError(f"TLV {number} is missing, or one too many stands before it")
        return self.take(self.bigsize())

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def rest(self) -> bytes:
        """Return what is left."""
        return self._data[self._at :]

    def end(self) -> None:
        """Raise ValueError if something is left."""
        if self.left:
            raise ValueError(f"{self.left} bytes follow the end")
