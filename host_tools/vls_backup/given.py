"""The options --peer-addr and --peers: addresses of peers that the backup lacks, or has only from a call that came in.

What lightningd's commands print (read in Core Lightning's doc/schemas): listpeers {"peers": [{"id", "netaddr":
["HOST:PORT"]}]} (netaddr only while connected, and without a word on who called whom), listnodes {"nodes": [{"nodeid",
"addresses": [{"type", "address", "port"}]}]} (what the node announced), listpeerchannels {"channels": [{"peer_id"}]}
(no address).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import click
import msgspec

from vls_backup.channels import Channel, Fault
from vls_backup.console import printable, say
from vls_backup.errors import BackupError, FieldError
from vls_backup.fields import bytes_from_hex, point_from_hex
from vls_backup.options import FILE
from vls_backup.peers import BACKUP, TYPED, Addresses, PeerAddress, best, peer_address
from vls_backup.reading import read_bytes

_KINDS = ("ipv4", "ipv6", "dns", "torv3")  # listnodes' names, the likeliest to be reached first
_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Peer(msgspec.Struct):
    id: str
    netaddr: list[str] = []
    direction: str | None = None


class _NodeAddress(msgspec.Struct):
    type: str
    port: int
    address: str = ""


class _Node(msgspec.Struct):
    nodeid: str
    addresses: list[_NodeAddress] = []


class _PeerChannel(msgspec.Struct):
    peer_id: str


class _Lists(msgspec.Struct):
    peers: list[_Peer] | None = None
    nodes: list[_Node] | None = None
    channels: list[_PeerChannel] | None = None


def address_options(command: _Command) -> _Command:
    """Add --peer-addr and --peers to a command; given_addresses takes what they hold."""
    typed = click.option(
        "--peer-addr",
        multiple=True,
        metavar="ID@HOST:PORT",
        help="Where a peer can be reached, if the backup doesn't know it, or knows it wrongly. May be repeated.",
    )
    files = click.option(
        "--peers",
        type=FILE,
        multiple=True,
        metavar="FILE",
        help="Where peers can be reached: what lightning-cli listnodes or listpeers printed, or lines of ID HOST:PORT.",
    )
    return typed(files(command))


def given_addresses(typed: Iterable[str], files: Iterable[str]) -> Addresses:
    """Return the addresses that the owner gives. Raise UsageError for --peer-addr, BackupError for a file."""
    found: dict[bytes, PeerAddress] = {}
    for text in typed:
        try:
            peer_id, address = _plain(text, TYPED)
        except FieldError as error:
            raise click.UsageError(f"--peer-addr {printable(text)}: {error}.") from error
        if peer_id in found:
            raise click.UsageError(f"--peer-addr: two addresses for peer {peer_id.hex()}.")
        found[peer_id] = address
    for name in files:
        for peer_id, address in _read(name):
            found[peer_id] = best(found.get(peer_id), address) or address
    return found


def noting(found: Iterable[Channel | Fault], given: Addresses) -> Iterator[Channel | Fault]:
    """Yield found; at its end say where addresses come from that aren't the backup's, and which were of no use."""
    notes = []
    unused = {peer_id for peer_id, address in given.items() if address.source == TYPED}
    for item in found:
        if isinstance(item, Channel):
            unused.discard(item.peer_id)
            if item.address and item.address.source != BACKUP:
                notes.append(printable(f"Address of {item.key}: {item.address.text}, from {item.address.source}"))
        yield item
    for note in notes:
        say(note)
    for peer_id in unused:
        say(f"Warning: --peer-addr {peer_id.hex()}: no channel of this backup is with that peer")


def _plain(text: str, source: str) -> tuple[bytes, PeerAddress]:
    """Return what `ID@HOST:PORT` or `ID HOST:PORT` says. Raise FieldError."""
    peer, separator, place = text.partition("@") if "@" in text else text.partition(" ")
    if not separator:
        raise FieldError("", "must be a peer's id, @ and its address: ID@HOST:PORT")
    peer_id = point_from_hex("ID", peer)
    address = peer_address(place.strip(), None, source)
    if address.fault:
        raise FieldError("address", address.fault)
    return peer_id, address


def _read(name: str) -> Iterator[tuple[bytes, PeerAddress]]:
    data = read_bytes(name)
    try:
        yield from _from_lightningd(data, name) if data.lstrip()[:1] in (b"{", b"[") else _from_lines(data, name)
    except FieldError as error:
        raise BackupError(f"{name}: {error}") from error


def _from_lines(data: bytes, name: str) -> Iterator[tuple[bytes, PeerAddress]]:
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        text = line.partition("#")[0].strip().replace("\t", " ")
        if text:
            try:
                yield _plain(text, name)
            except FieldError as error:
                raise FieldError("", f"line {number}: {error}") from error


def _from_lightningd(data: bytes, name: str) -> Iterator[tuple[bytes, PeerAddress]]:
    """Yield every address that lightningd could use: others, as of Tor v2, are no fault of the file."""
    try:
        lists = msgspec.json.decode(data, type=_Lists)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FieldError("", f"is no answer of listpeers, listnodes or listpeerchannels: {error}") from error
    if (lists.peers, lists.nodes, lists.channels) == (None, None, None):
        raise FieldError("", "is no answer of listpeers, listnodes or listpeerchannels: it has no such list")
    if lists.channels is not None:
        say(printable(f"Note: {name}: listpeerchannels tells of no address; listnodes and listpeers do."))
    places = []
    for peer in lists.peers or []:
        who_called = "who called whom is not said" if peer.direction is None else f"direction {peer.direction}"
        places += [(peer.id, text, peer.direction, f"{name} (listpeers; {who_called})") for text in peer.netaddr]
    for node in lists.nodes or []:
        for at in sorted((at for at in node.addresses if at.type in _KINDS), key=lambda at: _KINDS.index(at.type)):
            host = f"[{at.address}]" if at.type == "ipv6" else at.address
            places.append((node.nodeid, f"{host}:{at.port}", None, f"{name} (listnodes)"))
    for peer_id, text, direction, source in places:
        address = peer_address(text, direction, source)
        if address.wireaddr is not None:
            yield bytes_from_hex("id", peer_id, 33), address
