"""Two backups of one node side by side: what each has that the other lacks, and which is newer by its versions.

The version of an entry only rises, while clocks of boards can be unset or wrong. So a backup is newer than another one
if some entry has a higher version in it and none a lower one. Where no version tells, the one with more channels is
newer: a signer never deletes a channel that holds money.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from vls_backup.backup_file import TOMBSTONE_VERSION, Backup, Entry
from vls_backup.channels import CHANNEL_PREFIX
from vls_backup.errors import BackupError, FieldError
from vls_backup.fields import laid_out

MISSING: Any = object()
"""Stands for a field that isn't there."""

Newer = Literal["old", "new", "same", "neither"]

_Entries = Mapping[str, Entry[msgspec.Raw]]


class Comparison(NamedTuple):
    """Keys of entries, sorted. changed: with another value; higher, lower: with another version in the new backup.

    Recoverable channels are apart from the other entries; a stub that was set up is a new channel.
    """

    newer: Newer
    new_channels: list[str]
    gone_channels: list[str]
    changed_channels: list[str]
    new_others: list[str]
    gone_others: list[str]
    changed_others: list[str]
    higher: list[str]
    lower: list[str]


def compare(old: Backup, new: Backup) -> Comparison:
    """Compare two backups. Raise BackupError if they are of two nodes."""
    if old.node_id != new.node_id:
        raise BackupError(
            f"{old.name} is of node {old.node_id.hex()}, {new.name} of node {new.node_id.hex()}: nothing to compare"
        )
    before, after = _live(old), _live(new)
    both = sorted(before.keys() & after.keys())
    higher = [key for key in both if after[key].version > before[key].version]
    lower = [key for key in both if after[key].version < before[key].version]
    channels_before, channels_after = _channels(before), _channels(after)
    channels = channels_before | channels_after
    new_channels = sorted(channels_after - channels_before)
    gone_channels = sorted(channels_before - channels_after)
    changed = [key for key in both if not _same(before[key].value, after[key].value)]
    return Comparison(
        newer=_newer((higher, lower), (new_channels, gone_channels), (changed, changed)),
        new_channels=new_channels,
        gone_channels=gone_channels,
        changed_channels=[key for key in changed if key in channels_before & channels_after],
        new_others=sorted(after.keys() - before.keys() - channels),
        gone_others=sorted(before.keys() - after.keys() - channels),
        changed_others=[key for key in changed if key not in channels],
        higher=higher,
        lower=lower,
    )


def _newer(*signs: tuple[list[str], list[str]]) -> Newer:
    """Judge by the first pair in which something speaks for the new backup or for the old one."""
    for for_new, for_old in signs:
        if for_new or for_old:
            return "neither" if for_new and for_old else "new" if for_new else "old"
    return "same"


def _live(backup: Backup) -> _Entries:
    return {key: entry for key, entry in backup.values.items() if entry.version != TOMBSTONE_VERSION}


def _channels(entries: _Entries) -> set[str]:
    return {key for key, entry in entries.items() if key.startswith(CHANNEL_PREFIX) and _is_set_up(entry.value)}


def _is_set_up(value: msgspec.Raw) -> bool:
    try:
        setup = msgspec.json.decode(value, type=dict[str, msgspec.Raw]).get("channel_setup")
    except msgspec.MsgspecError:
        return False
    return setup is not None and bytes(setup) != b"null"


def _same(one: msgspec.Raw, other: msgspec.Raw) -> bool:
    return bytes(one) == bytes(other) or decoded(one) == decoded(other)


def decoded(value: msgspec.Raw) -> Any:
    """Return the JSON value; its text, without layout if possible, if Python's reader can't take it."""
    try:
        return json.loads(bytes(value))
    except (ValueError, RecursionError):
        try:
            return laid_out(bytes(value), -1).decode()
        except FieldError:
            return bytes(value).decode()


def changed_fields(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted path, old, new) of each field that differs in two JSON values; MISSING where it isn't there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from changed_fields(
                old.get(name, MISSING), new.get(name, MISSING), f"{path}.{name}" if path else name
            )
    elif old != new or type(old) is not type(new):
        yield path, old, new
