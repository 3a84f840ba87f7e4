"""Makes peers close: disconnects and connects each again and again, until all its channels are closed.

What closes a channel is what lightningd says to the peer at the beginning of a connection (observed): an LND peer
closes about one channel per connection, a Core Lightning peer about every second one, an LDK peer all on the first.
lightningd's own reconnects wait longer each time, so we make them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread

from vls_backup.addresses import address_text, split_wireaddr
from vls_backup.console import printable
from vls_backup.errors import LightningdError
from vls_backup.recovery_rpc import GoneError, Lightningd, RefusedError
from vls_backup.scb import decode_scb
from vls_backup.watch import Followed, View

PATIENCE = 30
"""Connections without a further channel closed, after which the operator has to be asked; 12 channels took 17 to 26."""
UNREACHABLE_AFTER = 6
"""Failed tries in a row, after which the address is in doubt."""
_SLOWER = 6
"""After PATIENCE, only every so many rounds."""
_DURING_CONNECTION = 402
"""connect's code for "disconnected during connection": it worked, and then lightningd or the peer hung up."""


@dataclass
class _Peer:
    """What was tried with one peer. tries and failures count from the last channel that closed, or the last success."""

    left: int
    tries: int = 0
    failures: int = 0
    rounds: int = 0
    trouble: str = ""
    worker: Thread | None = None
    told_unreachable: bool = False
    told_operator: bool = False


class Reconnector:
    """Gives each open peer one new connection per round; says once what a person has to do."""

    def __init__(self, node: Lightningd, addresses: Mapping[str, str], say: Callable[[str], None]) -> None:
        """addresses: peer id in hex -> "HOST:PORT", what the owner and the backup know; lightningd's own come after."""
        self._node = node
        self._known = addresses
        self._say = say
        self._peers: dict[str, _Peer] = {}

    def round(self, view: View) -> None:
        """Start a new connection to each peer that has not closed all its channels. Raise LightningdError."""
        open_peers = view.open_peers()
        if not open_peers:
            return
        stored = _stored_addresses(self._node)
        for peer_id, channels in open_peers.items():
            peer = self._peers.setdefault(peer_id, _Peer(len(channels)))
            if len(channels) < peer.left:
                peer.tries, peer.told_operator = 0, False
            peer.left = len(channels)
            address = self._known.get(peer_id) or stored.get(peer_id)
            self._tell(view, peer_id, peer, address, channels)
            peer.rounds += 1
            if peer.worker and peer.worker.is_alive():
                continue
            if peer.tries >= PATIENCE and peer.rounds % _SLOWER:
                continue
            # A thread of its own: to a peer that isn't there, `connect` takes a minute. It dies with the process.
            peer.worker = Thread(target=self._connect, args=(peer_id, peer, address), daemon=True)
            peer.worker.start()

    def _connect(self, peer_id: str, peer: _Peer, address: str | None) -> None:
        with suppress(RefusedError, GoneError):  # "Peer not connected" is as good
            self._node.disconnect(peer_id)
        try:
            self._node.connect(peer_id, address)
        except RefusedError as error:
            peer.trouble = "" if error.code == _DURING_CONNECTION else error.reason
        except GoneError:
            return  # the next look at lightningd tells
        except LightningdError as error:
            peer.trouble = str(error)
        else:
            peer.trouble = ""
        if peer.trouble:
            peer.failures += 1
        else:
            peer.tries += 1
            peer.failures, peer.told_unreachable = 0, False

    def _tell(self, view: View, peer_id: str, peer: _Peer, address: str | None, channels: list[Followed]) -> None:
        if peer.failures >= UNREACHABLE_AFTER and not peer.told_unreachable:
            peer.told_unreachable = True
            where = f"at {address}" if address else "as no address is known"
            self._say(
                printable(f"Peer {peer_id} cannot be reached {where}: {peer.trouble}")
                + f"\n  Look up its present address in a public explorer, and run this again with --peer-addr {peer_id}"
                "@HOST:PORT. Tries go on meanwhile."
            )
        if peer.tries >= PATIENCE and not peer.told_operator:
            peer.told_operator = True
            self._say(
                f"Peer {peer_id}: {peer.tries} connections, and none closed a further channel (or the next block is "
                "slow).\n  If this stays so, find its operator (a public explorer names the node) and send:\n"
                + "".join(f"    {line}\n" for line in request_to_operator(view.node_id, channels))
                + "  Tries go on meanwhile, less often."
            )


def request_to_operator(node_id: str, channels: list[Followed]) -> list[str]:
    """Return what to send to a peer's operator: a force-close is all that always works."""
    return [
        f"My node {node_id} lost its data for good. Please force-close our channels; on LND or Core Lightning:",
        *(f"lncli closechannel --force --chan_point {channel.point}" for channel in channels),
        *(f"lightning-cli close {channel.channel_id} 1" for channel in channels),
    ]


def _stored_addresses(node: Lightningd) -> dict[str, str]:
    """Return where lightningd believes its peers to be, by their ids in hex."""
    found = {}
    for data in node.static_backup().values():
        with suppress(ValueError):  # of a channel that is none of ours
            scb = decode_scb(data)
            found[scb.node_id.hex()] = address_text(*split_wireaddr(scb.wireaddr))
    return found
