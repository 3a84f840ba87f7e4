"""What `vls-backup pull --image` does: a snapshot from a medium whose board is dead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vls_backup.console import say
from vls_backup.errors import BackupError, NoSnapshotError
from vls_backup.image import open_image
from vls_backup.journals import QUIET, Journal, Search, choose
from vls_backup.progress import progress_bar
from vls_backup.snapshots import Listed, Snapshot, nth_whole

_NAMED_AT_MOST = 8
_MIB = 1 << 20


def list_of_image(path: str, offset: int | None) -> list[Listed]:
    """Return all snapshots of the journal in the image at path, oldest first, all checked; damaged units are named.

    offset: which journal, if there are several. Raises BackupError, NoSnapshotError if there is none.
    """
    with _journal(path, offset) as journal:
        found = _all(journal)
        if not found:
            raise NoSnapshotError(_none(path))
        return found


def snapshot_of_image(path: str, generation: int | None, offset: int | None) -> tuple[Snapshot, list[Listed]]:
    """Return a snapshot of the journal in the image at path, and those that were looked at; damaged units are named.

    generation: as pull's; None is -1. Raises BackupError, NoSnapshotError if there is none.
    """
    with _journal(path, offset) as journal:
        looked_at: list[Listed] = []
        with progress_bar("Checking") as progress:
            wanted = _wanted(path, journal.snapshots(progress), generation or -1, looked_at)
        return journal.read(wanted), looked_at


@contextmanager
def _journal(path: str, offset: int | None) -> Iterator[Journal]:
    with open_image(path) as image:
        with progress_bar("Searching") as progress:
            search = Search(image, progress)
        journal = choose(search, path, offset)
        nodes = ", ".join(journal.node_ids) or "none yet"
        say(f"Journal at byte {journal.offset} of {path}: {len(journal.units)} erase units, node {nodes}.")
        if search.searched < image.size:
            say(
                f"Searched the first {search.searched // _MIB} MiB of {image.size // _MIB}: no further journal begins "
                f"in the {QUIET // _MIB} MiB behind this one."
            )
        try:
            yield journal
        except BackupError:
            _say_damage(journal)
            raise
        _say_damage(journal)


def _all(journal: Journal) -> list[Listed]:
    found: list[Listed] = []
    with progress_bar("Checking") as progress:
        for arena in journal.snapshots(progress):
            found[:0] = arena
    return found


def _wanted(path: str, arenas: Iterator[list[Listed]], generation: int, looked_at: list[Listed]) -> Listed:
    """Return the snapshot that generation means, and put those that were looked at into looked_at, oldest first."""

    def seen() -> Iterator[list[Listed]]:
        for arena in arenas:
            looked_at[:0] = arena
            yield arena

    if generation < 0:
        found = nth_whole(seen(), generation, "the image")
        if found:
            return found
        if looked_at:
            raise BackupError(f"{path}: holds {len(looked_at)} snapshots, but none is whole: the medium is damaged.")
        raise NoSnapshotError(_none(path))
    for arena in seen():
        for item in arena:
            if item.number == generation and item.whole:
                return item
    if not looked_at:
        raise NoSnapshotError(_none(path))
    if any(item.number == generation for item in looked_at):
        raise BackupError(
            f"Snapshot {generation} is damaged: something in it is missing or damaged. {_SEE.format(path)}"
        )
    raise NoSnapshotError(f"{path}: holds no snapshot number {generation}. {_SEE.format(path)}")


_SEE = "See what there is: vls-backup pull --image {} --list"


def _none(path: str) -> str:
    return f"{path}: holds a journal, but no snapshot: the board had written none yet"


def _say_damage(journal: Journal) -> None:
    damage = list(journal.damage())
    for unit, reason in damage[:_NAMED_AT_MOST]:
        begin = journal.place(unit)
        say(f"Warning: erase unit {unit} (bytes {begin} to {begin + journal.erase_size - 1}): {reason}.")
    if len(damage) > _NAMED_AT_MOST:
        say(f"Warning: {len(damage) - _NAMED_AT_MOST} more erase units are damaged.")
