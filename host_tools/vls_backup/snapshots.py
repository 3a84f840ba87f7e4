"""Snapshots on a board: which there are, and one of them whole, checked and decoded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

import msgspec

from backup_format import frames
from backup_format.errors import FormatError
from backup_format.live import Places, whole_commits
from backup_format.records import ENTRY, Commit, entry_value, parse_entry_head
from backup_format.units import UNIT_HEADER, parse_unit_header
from vls_backup.backup_file import format_backup
from vls_backup.console import say, when
from vls_backup.errors import BackupError, BoardError, FieldError, NoSnapshotError
from vls_backup.hostlog import HostLog
from vls_backup.link import Link, LinkError

_NO_SNAPSHOT = frames.E_SERVICE  # signer_backup/service.py
_NO_SUCH_SNAPSHOT = frames.E_SERVICE + 1

_ADVICE = (
    "Pull again; if it says the same, take the newest one that is whole with pull --generation -1 "
    "(pull --list shows all)."
)

_MOST = 1 << 32  # bytes of a medium: what READ can address
_MOST_SNAPSHOTS = 1 << 20  # no medium has room for more

_Answer = TypeVar("_Answer")


class Listed(msgspec.Struct, frozen=True):
    """One snapshot as the board lists it.

    time: unix seconds or None. arena: the part of the board's storage that holds it; the highest number is the newest.
    whole: whether all of it is there, unharmed; None: nobody has looked. True from the board itself says no more than
    that it was so when the board wrote it, or started.
    """

    number: int
    time: int | None
    trigger: str
    channels: int
    entries: int
    arena: int
    whole: bool | None


class _Page(msgspec.Struct):
    """The board's answer to LIST."""

    snapshots: list[Listed]
    more: bool


class Place(msgspec.Struct):
    """Where a snapshot lies, as the board answers to OPEN. Sizes in bytes.

    arena: number of the log that it is in; end: log position behind it; units: runs of (first, count).
    """

    number: int
    arena: int
    end: int
    erase_size: int
    program_size: int
    units: list[tuple[int, int]]


@dataclass(frozen=True)
class Snapshot:
    """One snapshot. entries: (key, version, JSON text of the value, signature), tombstones left out."""

    node_id: str
    commit: Commit
    entries: list[tuple[str, int, bytes, bytes]]


def list_snapshots(link: Link) -> list[Listed]:
    """Return the snapshots on the board, oldest first. Raises BoardError."""
    found: list[Listed] = []
    more = True
    while more:
        page = ask(link, frames.LIST, b"\x01" if found else b"\x00", _Page)
        found += page.snapshots
        more = page.more
        if more and (not page.snapshots or len(found) > _MOST_SNAPSHOTS):
            raise BoardError("The board lists snapshots without end: its answers make no sense.")
    return found


def check_snapshots(link: Link, found: list[Listed], progress: Callable[[int, int], None]) -> Iterator[list[Listed]]:
    """Yield the snapshots of found arena by arena, the newest first, each pulled and checked: whole says the result.

    progress: as read_snapshot. Raises BoardError.
    """
    arenas = [list(items) for _, items in groupby(found, lambda item: item.arena)]
    for items in reversed(arenas):
        whole = _whole_numbers(link, items[-1].number, progress)
        yield [msgspec.structs.replace(item, whole=item.number in whole) for item in items]


def _whole_numbers(link: Link, number: int, progress: Callable[[int, int], None]) -> set[int]:
    """Return the whole snapshots of an arena up to number, its newest."""
    try:
        place = ask(link, frames.OPEN, number.to_bytes(4, "big"), Place)
        log = _log(list(_read_units(link, place, progress)), place)
        return {commit.number for commit, _end, whole in whole_commits(log, Places(), place.end) if whole}
    except LinkError as error:
        if error.code != _NO_SUCH_SNAPSHOT:
            raise
    except FormatError:
        pass
    return set()  # overwritten meanwhile


def nth_whole(arenas: Iterable[list[Listed]], generation: int, where: str) -> Listed | None:
    """Return the whole snapshot that generation means (-1: the newest); None if none is whole.

    arenas: as check_snapshots yields them, asked for as far as needed. Raises NoSnapshotError if fewer are whole.
    """
    whole: list[Listed] = []
    for arena in arenas:
        whole[:0] = [item for item in arena if item.whole]
        if len(whole) >= -generation:
            return whole[generation]
    if not whole:
        return None
    raise NoSnapshotError(
        f"--generation {generation}: {where} holds {len(whole)} whole snapshots; the oldest is number "
        f"{whole[0].number}."
    )


def status(link: Link) -> dict[str, Any]:
    """Return what the board says of its storage and its backups. Raises BoardError."""
    return ask(link, frames.STATUS, b"", dict[str, Any])


def read_snapshot(link: Link, number: int, progress: Callable[[int, int], None]) -> Snapshot:
    """Pull snapshot number (0: the newest) and check all of it.

    progress(done, total) is told the bytes. Raises NoSnapshotError, BoardError, BackupError for a damaged one.
    """
    try:
        place = ask(link, frames.OPEN, number.to_bytes(4, "big"), Place)
    except LinkError as error:
        if error.code == _NO_SNAPSHOT and (found := list_snapshots(link)):
            raise BackupError(
                f"The board holds {len(found)} snapshots, but none is whole: its storage is damaged. If the node still "
                "can, let it connect to the board, which then writes a new snapshot; pull again after that."
            ) from error
        if error.code == _NO_SNAPSHOT:
            raise NoSnapshotError(
                f"The board has {error.text}. It takes its first one, by its strategy, when the node has told it of "
                "a channel."
            ) from error
        if error.code == _NO_SUCH_SNAPSHOT:
            raise NoSnapshotError(f"The board has {error.text}: see what it has with pull --list.") from error
        raise
    try:
        return decode_units(list(_read_units(link, place, progress)), place)
    except FormatError as error:
        raise BackupError(f"Snapshot {place.number} is damaged: {error}. {_ADVICE}") from error


def ask(link: Link, kind: int, payload: bytes, answer: type[_Answer]) -> _Answer:
    """Return what the board's backup service answers. Raises BoardError."""
    try:
        return msgspec.json.decode(link.exchange(kind, payload), type=answer)
    except LinkError as error:
        if error.code != frames.E_KIND:
            raise
        raise BoardError("The firmware on the board has no backups built in, or is too old for this tool.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BoardError(
            f"The board's answer makes no sense ({error}): install the vls-backup that fits its firmware."
        ) from error


def _read_units(link: Link, place: Place, progress: Callable[[int, int], None]) -> Iterator[bytes]:
    """Yield the erase units that hold the snapshot, in the order of the log, each as far as it is needed.

    The log may leave a unit half-way: after a power cut it goes on in the next one. So only a unit that begins behind
    the snapshot's end is beyond it.
    """
    size = place.erase_size
    if not 0 < size <= _MOST or any(not 0 <= first <= first + count <= _MOST // size for first, count in place.units):
        raise FormatError("it lies beyond any medium")
    units = (first + i for first, count in place.units for i in range(count))
    total = size * sum(count for _, count in place.units)
    for n, unit in enumerate(units):
        data = bytearray()
        wanted = size
        while len(data) < wanted:
            most = min(frames.MAX_TO_HOST, wanted - len(data))
            data += link.exchange(frames.READ, (unit * size + len(data)).to_bytes(4, "big") + most.to_bytes(2, "big"))
            if len(data) >= UNIT_HEADER and wanted == size:
                header = parse_unit_header(data[:UNIT_HEADER])
                if header is None:
                    raise FormatError(f"erase unit {unit} is unreadable, or was erased while it was read")
                if header.start >= place.end:
                    progress(total, total)
                    return
                wanted = min(size, UNIT_HEADER + place.end - header.start)
            progress(n * size + len(data), total)
        yield bytes(data)
    progress(total, total)


def _log(units: list[bytes], place: Place) -> HostLog:
    """Return the log in units, erase units or their beginnings, of place. Raises FormatError."""
    size = place.erase_size

    def read_into(offset: int, buf: Any) -> None:
        unit = by_place[offset // size]
        at = offset % size
        piece = unit[at : at + len(buf)]
        buf[: len(piece)] = piece
        buf[len(piece) :] = b"\xff" * (len(buf) - len(piece))

    by_place: dict[int, bytes] = {}
    log = HostLog(read_into, size, place.program_size, place.arena)
    for unit in units:
        header = parse_unit_header(unit[:UNIT_HEADER])
        if header is None or header.arena != place.arena:
            raise FormatError("a unit of another time lies in it")
        by_place[header.unit] = unit
        log.add(header)
    return log


def decode_units(units: list[bytes], place: Place) -> Snapshot:
    """Check the log in units, erase units or their beginnings, up to the snapshot's end; return what it holds.

    place.units is not looked at. Raises FormatError.
    """
    return decode_log(_log(units, place), place.number, place.end)


def decode_log(log: HostLog, number: int, end: int) -> Snapshot:
    """Check the log up to the snapshot that has that number and ends there; return it. Raises FormatError."""
    places = Places()
    for commit, behind, whole in whole_commits(log, places, end):
        if commit.number == number and behind == end:
            if not whole:
                raise FormatError("something in it is missing or damaged")
            entries = list(_entries(log, places))
            if len(entries) != commit.entries:
                raise FormatError(f"it holds {len(entries)} entries, and its end says {commit.entries}")
            return Snapshot(bytes(log.node_id or b"").hex(), commit, entries)
    raise FormatError("its end is missing")


def to_backup_file(snapshot: Snapshot) -> bytes:
    """Return the version-1 backup file of snapshot. If the board's clock was unset, the present time stands in it.

    Raises BackupError for a value that no such file can hold.
    """
    commit = snapshot.commit
    strategy: object = {"never": "never", "new-channels-only": "new_channels_only"}.get(commit.strategy)
    if strategy is None:
        strategy = {"periodic": {"updates": commit.updates}}
    created = when(commit.time)
    if not created.endswith("Z"):
        say(
            f"Warning: the board's clock gave no time when it took this snapshot ({created}); "
            "created_at is the present time: the snapshot may be much older."
        )
        created = when(int(time.time()))
    try:
        return format_backup(created, snapshot.node_id, strategy, snapshot.entries)
    except FieldError as error:
        raise BackupError(f"Snapshot {commit.number}: {error}. {_ADVICE}") from error


def _entries(log: HostLog, places: Places) -> Iterator[tuple[str, int, bytes, bytes]]:
    """Yield (key, version, JSON text of the value, signature) of the entries at places, tombstones left out."""
    for position in places.at.values():
        kind, body = log.body(position)
        if kind == ENTRY:
            flags, key, version, signature, size, at = parse_entry_head(body, log.node_id)
            value = entry_value(flags, body[at:])
            if len(value) != size:
                raise FormatError(f"{key} has {len(value)} bytes, and its record says {size}")
            yield key, version, value, signature
