"""`vls-backup diff`: what changed between two backups of one node, and which of them is newer."""

import json
from typing import Any

import click

from vls_backup.backup_file import Backup
from vls_backup.compare import MISSING, Comparison, changed_fields, compare, decoded
from vls_backup.console import age, emit, printable
from vls_backup.options import FILE
from vls_backup.reading import read_backup

_LONGEST = 80  # characters of a value that are worth showing

_NEWER = {
    "new": "NEW is newer",
    "old": "OLD is newer: keep it",
    "same": "Both hold the same state",
    "neither": "Neither is newer throughout: keep both",
}


@click.command(epilog="\b\nExample:\n  vls-backup diff backup-of-may.json backup.json")
@click.argument("old", type=FILE, metavar="OLD")
@click.argument("new", type=FILE, metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(old: str, new: str, as_json: bool) -> None:
    """Tell what changed between two backup files of one node, and which is newer.

    The versions of the entries tell which is newer, not the clocks. The exit status is 0, whatever changed.
    """
    before, after = read_backup(old), read_backup(new)
    found = compare(before, after)
    if as_json:
        emit(json.dumps(_as_json(before, after, found), indent=2) + "\n")
    else:
        emit("\n".join([*_head_lines(before, after, found), *_change_lines(before, after, found)]) + "\n")


def _as_json(old: Backup, new: Backup, found: Comparison) -> dict[str, Any]:
    def changed(keys: list[str]) -> list[dict[str, Any]]:
        return [
            {
                "key": key,
                "old_version": old.values[key].version,
                "new_version": new.values[key].version,
                "fields": [
                    {"field": field}
                    | {name: value for name, value in (("old", was), ("new", now)) if value is not MISSING}
                    for field, was, now in _fields(old, new, key)
                ],
            }
            for key in keys
        ]

    return {
        "node_id": new.node_id.hex(),
        "old": {"file": old.name, "created_at": old.created_at},
        "new": {"file": new.name, "created_at": new.created_at},
        "newer": found.newer,
        "higher_versions": len(found.higher),
        "lower_versions": len(found.lower),
        "channels": {
            "new": found.new_channels,
            "gone": found.gone_channels,
            "changed": changed(found.changed_channels),
        },
        "others": {"new": found.new_others, "gone": found.gone_others, "changed": changed(found.changed_others)},
    }


def _fields(old: Backup, new: Backup, key: str) -> list[tuple[str, Any, Any]]:
    return list(changed_fields(decoded(old.values[key].value), decoded(new.values[key].value)))


def _head_lines(old: Backup, new: Backup, found: Comparison) -> list[str]:
    lines = [f"node: {new.node_id.hex()}"]
    for title, backup in (("OLD", old), ("NEW", new)):
        lines.append(printable(f"{title}: {backup.name}, created_at {backup.created_at} ({age(backup.created_at)})"))
    return [
        *lines,
        f"{_NEWER[found.newer]}. Entries with a higher version in NEW: {len(found.higher)}, lower: {len(found.lower)}.",
        _counts("channels", found.new_channels, found.gone_channels, found.changed_channels),
        _counts("other entries", found.new_others, found.gone_others, found.changed_others),
    ]


def _counts(title: str, new: list[str], gone: list[str], changed: list[str]) -> str:
    return f"{title}: new={len(new)} gone={len(gone)} changed={len(changed)}"


def _change_lines(old: Backup, new: Backup, found: Comparison) -> list[str]:
    lines = []
    for title, keys in (("new", found.new_channels), ("gone", found.gone_channels)):
        lines += [f"{title} {printable(key)}" for key in keys]
    for key in found.changed_channels:
        lines.append(_changed_line(old, new, key))
        lines += [f"  {printable(field)}: {_shown(was)} -> {_shown(now)}" for field, was, now in _fields(old, new, key)]
    for title, keys in (("new", found.new_others), ("gone", found.gone_others)):
        lines += [f"{title} {printable(key)}" for key in keys]
    lines += [_changed_line(old, new, key) for key in found.changed_others]
    return lines and ["", *lines]


def _changed_line(old: Backup, new: Backup, key: str) -> str:
    return f"changed {printable(key)}: version {old.values[key].version} -> {new.values[key].version}"


def _shown(value: Any) -> str:
    """Return a value in few words: lists by their size, the rest as JSON, cut."""
    if value is MISSING:
        return "not there"
    if isinstance(value, list):
        return f"{len(value)} items"
    text = json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")
