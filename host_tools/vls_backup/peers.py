"""Where a peer can be reached: the backup's own `peers/` entries, and what the owner knows from elsewhere."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from vls_backup.addresses import encode_wireaddr
from vls_backup.backup_file import plain
from vls_backup.errors import FieldError

PEER_PREFIX = "peers/"
BACKUP, TYPED = "the backup", "--peer-addr"
"""Sources of an address; a third kind is a file, by its name and form."""


class PeerAddress(NamedTuple):
    """A peer's address: as text, as wireaddr or why there is none, who called whom ("in", "out"), and who says so."""

    text: str
    wireaddr: bytes | None
    fault: str | None
    direction: str | None
    source: str = BACKUP

    @property
    def trust(self) -> int:
        """Rank it among addresses of the same peer: whoever called in was likely not seen at the port it listens at."""
        if self.wireaddr is None:
            return 0
        if self.source == TYPED:
            return 4
        if self.direction == "in":
            return 1
        return 3 if self.source == BACKUP else 2


Addresses = Mapping[bytes, PeerAddress]
"""Peer id -> what the owner knows of its address from elsewhere than the backup."""


class _PeerEntry(msgspec.Struct, gc=False):
    peer_id: str
    addr: str
    direction: str | None = None


_decoder = msgspec.json.Decoder(_PeerEntry)


def stored_address(key: str, value: bytes) -> PeerAddress | None:
    """Return the address in a state's peer entry, or None if it holds an empty one. Raise FieldError."""
    try:
        entry = _decoder.decode(value)
    except msgspec.MsgspecError as error:
        raise FieldError("", plain(error)) from error
    if PEER_PREFIX + entry.peer_id.lower() != key.lower():
        raise FieldError("peer_id", f"is {entry.peer_id}, not the one in the key")
    return peer_address(entry.addr, entry.direction, BACKUP) if entry.addr else None


def peer_address(text: str, direction: str | None, source: str) -> PeerAddress:
    """Return the address that text says: with its wireaddr, or with what is wrong with it."""
    try:
        return PeerAddress(text, encode_wireaddr(text), None, direction, source)
    except ValueError as error:
        return PeerAddress(text, None, f"{text}: {error}", direction, source)


def best(stored: PeerAddress | None, given: PeerAddress | None) -> PeerAddress | None:
    """Return the address to use, the stored one if both are as good."""
    return max((found for found in (stored, given) if found), key=lambda found: found.trust, default=None)
