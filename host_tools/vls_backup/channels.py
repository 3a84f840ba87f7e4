"""The recoverable channels in a signer's state, each checked field by field before anyone relies on it.

A channel entry (VLS's ChannelEntry; read in vls-persist) is recoverable once `channel_setup` is filled; before that it
is a stub without money in it. Its key is hex of own node id 33, peer id 33 and dbid u64 little-endian. Peer addresses
stand in entries of their own, `peers/<peer id>`. Fields that no recovery needs are not looked at.
"""

from collections.abc import Iterator
from types import GenericAlias, MappingProxyType
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec

from vls_backup.backup_file import TOMBSTONE_VERSION, U64_MAX, Backup, Head, plain
from vls_backup.backup_stream import scan_backup
from vls_backup.errors import FieldError
from vls_backup.fields import bytes_from_hex, is_point, point_from_hex
from vls_backup.peers import PEER_PREFIX, Addresses, PeerAddress, best, stored_address
from vls_backup.scb import MAX_DBID
from vls_backup.shachain import SECRET_SIZE, Secrets, indexes_of, is_complete, known_secrets

CHANNEL_PREFIX = "channels/"

CHANNEL_TYPES = {
    "Legacy": b"",
    "StaticRemoteKey": bytes.fromhex("1000"),  # feature bit 12
    "Anchors": bytes.fromhex("101000"),  # bits 12 and 20
    "AnchorsZeroFeeHtlc": bytes.fromhex("401000"),  # bits 12 and 22
}
"""VLS's commitment types and the feature bits (BOLT 9) that Core Lightning wants for each."""

WARNINGS = {
    "missing_peer_addr": "no address of the peer is known, so lightningd could not reach it: "
    "add it with --peer-addr or --peers",
    "peer_addr_invalid": "the peer's address cannot be used: give another one with --peer-addr or --peers",
    "peer_addr_inbound": "the address was learned when the peer called in: its port is likely not where it listens; "
    "give the peer's public address with --peer-addr or --peers",
    "shachain_tlv_missing": "no revocation secrets are stored: a peer who cheats cannot be punished",
    "shachain_incomplete": "not all revocation secrets are there: not every cheating can be punished",
    "dbid_not_unique": "another channel has the same dbid, and lightningd silently skips the second one: recover this "
    "one in a fresh lightning-dir",
    "channel_closed": "the signer saw this channel closed: recover it only if its money has not come back yet",
}
"""Names of warnings (the first and the fourth are Greenlight's) and what each means for the owner."""


class Points(NamedTuple):
    """The counterparty's points, 33 bytes each, in the order in which Greenlight prints them."""

    delayed_payment_basepoint: bytes
    funding_pubkey: bytes
    htlc_basepoint: bytes
    payment_point: bytes
    revocation_basepoint: bytes


class Channel(NamedTuple):
    """One recoverable channel. Delays in blocks; txid in internal byte order; secrets None = none were ever stored."""

    key: str
    peer_id: bytes
    dbid: int
    address: PeerAddress | None
    txid: bytes
    vout: int
    funding_sats: int
    points: Points
    opened_by_us: bool
    our_delay: int
    their_delay: int
    commitment_type: str
    secrets: Secrets | None
    closed: bool
    warnings: list[str]

    @property
    def wireaddr(self) -> bytes | None:
        """The peer's address as lightningd wants it, or None: then the channel is not complete."""
        return self.address.wireaddr if self.address else None


class Fault(NamedTuple):
    """An entry that cannot be trusted, and why."""

    key: str
    reason: str

    def __str__(self) -> str:
        """Return "KEY: reason"."""
        return f"{self.key}: {self.reason}"


_U16 = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class _Outpoint(msgspec.Struct, gc=False):
    txid: str
    vout: _U16


class _Points(msgspec.Struct, gc=False):
    delayed_payment_basepoint: str
    funding_pubkey: str
    htlc_basepoint: str
    payment_point: str
    revocation_basepoint: str


class _Setup(msgspec.Struct, gc=False):
    is_outbound: bool
    channel_value_sat: Annotated[int, msgspec.Meta(ge=0)]
    funding_outpoint: _Outpoint
    holder_selected_contest_delay: _U16
    counterparty_points: _Points
    counterparty_selected_contest_delay: _U16
    commitment_type: str


_Numbers = TypeVar("_Numbers")  # the bytes of a secret


class _Secrets(msgspec.Struct, Generic[_Numbers], gc=False):
    old_secrets: list[tuple[_Numbers, int]]


class _Enforcement(msgspec.Struct, Generic[_Numbers], gc=False):
    counterparty_secrets: _Secrets[_Numbers] | None = None
    channel_closed: bool = False


class _ChannelEntry(msgspec.Struct, Generic[_Numbers], gc=False):
    channel_setup: _Setup | None
    enforcement_state: _Enforcement[_Numbers] | None = None


class _Stub(msgspec.Struct, gc=False):
    channel_setup: None


# Secrets of the one good size decode faster than lists; lists come where the words are found for what is wrong.
_GoodChannelEntry: Any = _ChannelEntry[GenericAlias(tuple, (int,) * SECRET_SIZE)]  # type: ignore[misc]
_channel_decoder = msgspec.json.Decoder(_ChannelEntry[list[int]])
_stub_decoder = msgspec.json.Decoder(_Stub)


def read_channels(path: str, given: Addresses = MappingProxyType({})) -> tuple[Head, Iterator[Channel | Fault]]:
    """Check the backup file at path ("-" = standard input) to its end, and return what it holds. Raise BackupError.

    The iterator gives a Fault for each damaged peer entry, but of peers in given; then a Channel or a Fault for each
    channel, by key bytewise.
    given: addresses that the owner knows from elsewhere; of a peer's two addresses the better one counts (peers.best).
    """

    head, parts = scan_backup(path, CHANNEL_PREFIX, _GoodChannelEntry, _collect)
    channels, peers = parts[0]
    for more_channels, more_peers in parts[1:]:
        channels.update(more_channels)
        peers.update(more_peers)
    return head, _with_addresses(channels, peers, given)


def channels_of(backup: Backup) -> Iterator[Channel | Fault]:
    """Do the same with a backup that was read whole."""
    values = ((key, entry.value) for key, entry in backup.values.items() if entry.version != TOMBSTONE_VERSION)
    return _with_addresses(*_collect(backup.node_id, values), {})


def _collect(
    node_id: bytes, values: Iterator[tuple[str, _ChannelEntry[Any] | msgspec.Raw]]
) -> tuple[dict[str, Channel | Fault], dict[str, bytes]]:
    channels: dict[str, Channel | Fault] = {}
    peers: dict[str, bytes] = {}
    for key, value in values:
        if key.startswith(CHANNEL_PREFIX):
            try:
                channel = _channel(key, value, node_id)
            except FieldError as error:
                channels[key] = Fault(key, str(error))
            else:
                if channel is not None:
                    channels[key] = channel
        elif key.startswith(PEER_PREFIX) and isinstance(value, msgspec.Raw):
            peers[key] = bytes(value)
    return channels, peers


def _with_addresses(
    channels: dict[str, Channel | Fault], peers: dict[str, bytes], given: Addresses
) -> Iterator[Channel | Fault]:
    """Yield what read_channels promises. Takes each channel out of channels: they are large."""
    addresses: dict[bytes, PeerAddress | Fault | None] = dict(given)
    for key in sorted(peers):
        peer_id = b""
        try:
            peer_id = point_from_hex("key", key.removeprefix(PEER_PREFIX))
            addresses[peer_id] = best(stored_address(key, peers[key]), given.get(peer_id))
        except FieldError as error:
            if peer_id not in given:
                addresses[peer_id] = fault = Fault(key, str(error))
                yield fault
    dbids: set[int] = set()
    for key in sorted(channels):  # code points sort as UTF-8 does
        found = channels.pop(key)
        if isinstance(found, Channel):
            found = _with_address(found, addresses.get(found.peer_id))
        if isinstance(found, Channel):
            if found.dbid in dbids:
                found.warnings.append("dbid_not_unique")
            dbids.add(found.dbid)
        yield found


def _with_address(channel: Channel, address: PeerAddress | Fault | None) -> Channel | Fault:
    if isinstance(address, Fault):
        return Fault(channel.key, f"its peer's entry is damaged: {address}")
    return channel._replace(address=address, warnings=_warnings(address, channel.secrets, channel.closed))


def _channel(key: str, value: _ChannelEntry[Any] | msgspec.Raw, own_id: bytes) -> Channel | None:
    """Return the channel, still without an address and warnings, or None for a stub. Raise FieldError."""
    entry = _decode(value) if isinstance(value, msgspec.Raw) else value
    if entry is None or entry.channel_setup is None:
        return None
    setup = entry.channel_setup
    peer_id, dbid = _parse_key(key, own_id)
    if setup.channel_value_sat > U64_MAX:
        raise FieldError("channel_setup.channel_value_sat", "is more than 2^64-1")
    if setup.commitment_type not in CHANNEL_TYPES:
        raise FieldError("channel_setup.commitment_type", f"{setup.commitment_type!r} is not supported")
    state = entry.enforcement_state or _Enforcement()
    stored = state.counterparty_secrets
    return Channel(
        key=key,
        peer_id=peer_id,
        dbid=dbid,
        address=None,
        txid=bytes_from_hex("channel_setup.funding_outpoint.txid", setup.funding_outpoint.txid, 32),
        vout=setup.funding_outpoint.vout,
        funding_sats=setup.channel_value_sat,
        points=_points(setup.counterparty_points),
        opened_by_us=setup.is_outbound,
        our_delay=setup.holder_selected_contest_delay,
        their_delay=setup.counterparty_selected_contest_delay,
        commitment_type=setup.commitment_type,
        secrets=known_secrets(stored.old_secrets) if stored else None,
        closed=state.channel_closed,
        warnings=[],
    )


def _decode(value: msgspec.Raw) -> _ChannelEntry[list[int]] | None:
    try:
        return _channel_decoder.decode(value)
    except msgspec.MsgspecError as error:
        if _is_stub(value):
            return None
        raise FieldError("", plain(error)) from error


def _is_stub(value: msgspec.Raw) -> bool:
    try:
        _stub_decoder.decode(value)
    except msgspec.MsgspecError:
        return False
    return True


def _parse_key(key: str, own_id: bytes) -> tuple[bytes, int]:
    """Return (peer id, dbid) out of a channel's key, 74 bytes in hex."""
    raw = bytes_from_hex("key", key.removeprefix(CHANNEL_PREFIX), 74)
    if raw[:33] != own_id:
        raise FieldError("key", f"belongs to node {raw[:33].hex()}, but this is the backup of {own_id.hex()}")
    if not is_point(raw[33:66]):
        raise FieldError("key", f"the peer id {raw[33:66].hex()} is not a point on the curve secp256k1")
    dbid = int.from_bytes(raw[66:], "little")
    if not 1 <= dbid <= MAX_DBID:
        raise FieldError("key", f"dbid {dbid} is not 1 to {MAX_DBID}; lightningd would abort")
    return raw[33:66], dbid


def _points(points: _Points) -> Points:
    path = "channel_setup.counterparty_points."
    return Points(*(point_from_hex(path + name, getattr(points, name)) for name in Points._fields))


def _warnings(address: PeerAddress | None, secrets: Secrets | None, closed: bool) -> list[str]:
    warnings = []
    if address is None:
        warnings.append("missing_peer_addr")
    elif address.wireaddr is None:
        warnings.append("peer_addr_invalid")
    elif address.direction == "in":
        warnings.append("peer_addr_inbound")
    if secrets is None:
        warnings.append("shachain_tlv_missing")
    elif not is_complete(indexes_of(secrets)):
        warnings.append("shachain_incomplete")
    if closed:
        warnings.append("channel_closed")
    return warnings
