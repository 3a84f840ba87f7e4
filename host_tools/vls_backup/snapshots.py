"""Snapshots on a board: which there are, and one of them whole, checked and decoded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from backup_format import frames
from backup_format.errors import FormatError
from backup_format.log import Log
from backup_format.records import ENTRY, TOMBSTONE, Commit, entry_value, parse_entry_head, parse_tombstone
from backup_format.units import UNIT_HEADER, parse_unit_header
from vls_backup.errors import BackupError, NoSnapshotError
from vls_backup.link import Link, LinkError

_NO_SNAPSHOT = frames.E_SERVICE  # signer_backup/service.py
_NO_SUCH_SNAPSHOT = frames.E_SERVICE + 1


@dataclass(frozen=True)
class Listed:
    """One snapshot as the board lists it. time: unix seconds or None; whole: everything of it is there, unharmed."""

    number: int
    time: int | None
    trigger: str
    channels: int
    entries: int
    whole: bool


@dataclass(frozen=True)
class Snapshot:
    """One snapshot. entries: (key, version, JSON text of the value, signature), tombstones left out."""

    node_id: str
    commit: Commit
    entries: list[tuple[str, int, bytes, bytes]]


def list_snapshots(link: Link) -> list[Listed]:
    """Return the snapshots on the board, oldest first. Raises BoardError."""
    found: list[Listed] = []
    first = b"\x00"
    while True:
        page = json.loads(link.exchange(frames.LIST, first))
        for item in page["snapshots"]:
            item.pop("arena")
            found.append(Listed(**item))
        if not page["more"]:
            return found
        first = b"\x01"


def status(link: Link) -> dict[str, Any]:
    """Return what the board says of its storage and its backups. Raises BoardError."""
    return dict(json.loads(link.exchange(frames.STATUS)))


def read_snapshot(link: Link, number: int, progress: Callable[[int, int], None]) -> Snapshot:
    """Pull snapshot number (0: the newest whole one) and check all of it.

    progress(done, total) is told the bytes. Raises NoSnapshotError, BoardError, BackupError for a damaged one.
    """
    try:
        where = json.loads(link.exchange(frames.OPEN, number.to_bytes(4, "big")))
    except LinkError as error:
        if error.code == _NO_SNAPSHOT:
            raise NoSnapshotError(f"The board has {error.text}.") from error
        if error.code == _NO_SUCH_SNAPSHOT:
            raise NoSnapshotError(f"The board has {error.text}: see them with pull --list.") from error
        raise
    units = list(_read_units(link, where, progress))
    try:
        return _decode(units, where)
    except FormatError as error:
        raise BackupError(
            f"Snapshot {where['number']} is damaged: {error}. Pull again; if it says the same, "
            "pull --list shows older ones, and pull --generation N takes one."
        ) from error


def _read_units(link: Link, where: dict[str, Any], progress: Callable[[int, int], None]) -> Iterator[bytes]:
    """Yield the erase units that hold the snapshot, in the order of the log; the last one as far as it is needed."""
    size = where["erase_size"]
    units = [first + i for first, count in where["units"] for i in range(count)]
    total = len(units) * size
    done = 0
    for unit in units:
        data = bytearray()
        wanted = size
        while len(data) < wanted:
            n = min(frames.MAX_TO_HOST, wanted - len(data))
            data += link.exchange(frames.READ, (unit * size + len(data)).to_bytes(4, "big") + n.to_bytes(2, "big"))
            if len(data) >= UNIT_HEADER and wanted == size:
                header = parse_unit_header(data[:UNIT_HEADER])
                if header is None:
                    raise BackupError(f"Erase unit {unit} of the board changed while it was read: pull again.")
                wanted = max(min(size, UNIT_HEADER + where["end"] - header.start), UNIT_HEADER)
            progress(min(done + len(data), total), total)
        done += size
        yield bytes(data)
        if wanted < size:
            break
    progress(total, total)


def _decode(units: list[bytes], where: dict[str, Any]) -> Snapshot:
    """Check the log in units up to the snapshot's end, and return what it holds. Raises FormatError."""
    size = where["erase_size"]

    def read_into(offset: int, buf: Any) -> None:
        unit = by_place[offset // size]
        at = offset % size
        piece = unit[at : at + len(buf)]
        buf[: len(piece)] = piece
        buf[len(piece) :] = b"\xff" * (len(buf) - len(piece))

    by_place: dict[int, bytes] = {}
    log = Log(read_into, size, where["program_size"], where["arena"])
    for unit in units:
        header = parse_unit_header(unit[:UNIT_HEADER])
        if header is None or header.arena != where["arena"]:
            raise FormatError("a unit of another time lies in it")
        by_place[header.unit] = unit
        log.add(header)
    for commit, end, whole in log.commits():
        if commit.number == where["number"]:
            if not whole:
                raise FormatError("something before its end is missing or damaged")
            return Snapshot(str(log.node_id.hex()), commit, _entries(log, end))
    raise FormatError("its end is missing")


def _entries(log: Log, end: int) -> list[tuple[str, int, bytes, bytes]]:
    entries: dict[str, tuple[int, bytes, bytes] | None] = {}
    for position, kind, _length in log.records(end):
        if kind == TOMBSTONE:
            entries[parse_tombstone(log.body(position)[1], log.node_id)[0]] = None
        elif kind == ENTRY:
            body = log.body(position)[1]
            flags, key, version, signature, at = parse_entry_head(body, log.node_id)
            entries[key] = (version, entry_value(flags, body[at:]), signature)
    return [(key, *entry) for key, entry in entries.items() if entry is not None]
