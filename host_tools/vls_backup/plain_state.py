"""A signer's state under VLS's own keys, JSON `{key: [version, value]}`, read as if it were Greenlight's backup file.

Keys (read in VLS's vls-persist): node/entry/N, node/state/N, node/tracker/N, node/allowlist/N, channel/N/I; N: node id,
I: peer id 33 and dbid u64 little-endian, all in hex. An empty value says that the key was deleted. Other keys stay as
they are: so Greenlight's `peers/` may stand beside these, which VLS itself does not have.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec

from vls_backup.backup_file import TOMBSTONE_VERSION, Backup, Key, parse_backup, plain
from vls_backup.console import say
from vls_backup.errors import FieldError

UNKNOWN = "unknown"
"""The time and the strategy of such a backup, which nobody wrote down."""

_BEGINS = re.compile(rb'\s*\{\s*"[a-z]+/')  # no field of Greenlight's file has a slash in its name
_KEY = re.compile(r"(node/(?:entry|state|tracker|allowlist)|channel)/([0-9a-fA-F]+)(?:/([0-9a-fA-F]*))?")
_PREFIXES = {
    "node/entry": "nodes/",
    "node/state": "nodestates/",
    "node/tracker": "trackers/",
    "node/allowlist": "allowlists/",
    "channel": "channels/",
}
_EMPTY = (b'""', b"null", b"[]")
_DELETED = b"[%d,null]" % TOMBSTONE_VERSION


def is_plain_state(data: bytes) -> bool:
    """Tell whether data looks like such a map, whole or not."""
    return _BEGINS.match(data) is not None


def parse_plain_state(data: bytes, name: str) -> Backup:
    """Check the map that data is, and return it under Greenlight's keys. Raise FieldError."""
    keys: list[str] = []

    def note(kind: type, key: Any) -> Any:
        keys.append(key)
        return kind(key)

    try:
        found = msgspec.json.decode(data, type=dict[Key, msgspec.Raw], dec_hook=note)
    except RecursionError as error:
        raise FieldError("", "is no state of a signer: JSON nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FieldError("", f"is no whole state of a signer: {plain(error)}") from error
    nodes = sorted({match[2].lower() for key in keys if (match := _KEY.fullmatch(key))})
    if len(nodes) != 1:
        whose = f"is of {len(nodes)} nodes ({', '.join(nodes)}): keep one" if nodes else "names no node in its keys"
        raise FieldError("", f"is a state under VLS's own keys, but {whose}")
    if len(keys) != len(found):
        twice = Counter(keys).most_common(1)[0][0]
        raise FieldError("", f"the name {twice} stands twice: the file was damaged or edited")
    head: dict[str, Any] = {
        "version": 1,
        "created_at": UNKNOWN,
        "node_id": nodes[0],
        "strategy": "never",
        "state": {"values": {}},
    }
    entries = b",".join(json.dumps(_renamed(key)).encode() + b":" + _entry(raw) for key, raw in found.items())
    backup = parse_backup(json.dumps(head).encode()[:-3] + entries + b"}}}", name)
    say(f"Note: {name} has VLS's own keys: a channel is named channels/ and the two ids here. It tells no time.")
    return replace(backup, strategy=UNKNOWN)


def _renamed(key: str) -> str:
    match = _KEY.fullmatch(key)
    return f"{_PREFIXES[match[1]]}{match[2]}{match[3] or ''}" if match else key


def _entry(raw: msgspec.Raw) -> bytes:
    try:
        items = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except msgspec.MsgspecError:
        return bytes(raw)  # parse_backup says it by the name of the entry
    return _DELETED if len(items) == 2 and bytes(items[1]) in _EMPTY else bytes(raw)
