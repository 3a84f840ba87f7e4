"""Journals in an image: where they begin, what their units hold, which units are damaged.

Each erase unit in use begins with a magic, a checksum, the unit's size and its own number on the medium (FORMAT.md): so
any one of them tells where the medium begins in the image, wherever in it that is. Where units are files
(boards/drivers/file_units.py), a dump of the flash has them scattered: littlefs keeps a file of up to 4,096 bytes in
one block, and older states of it in others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from backup_format.errors import FormatError
from backup_format.live import Places, whole_commits
from backup_format.records import RECORD_HEADER
from backup_format.units import MAGIC, NO_NODE, UNIT_HEADER, UnitHeader, parse_unit_header
from vls_backup.console import say, when
from vls_backup.errors import BackupError, NoSnapshotError
from vls_backup.hostlog import HostLog
from vls_backup.image import BLOCK, Image
from vls_backup.scattered import Found, by_age, gathered
from vls_backup.snapshots import Listed, Snapshot, decode_log

_CHUNK = 1 << 20  # bytes read together in the search
QUIET = 32 << 20
"""How far behind the last unit that was found the search goes on, in bytes: no medium of ours has a larger gap."""

_SMALLEST_PROGRAM, _SMALLEST_ERASE = 128, 256  # bytes
_LARGEST_ERASE = 1 << 30

Progress = Callable[[int, int], None]


class _NotingLog(HostLog):
    """A Log that notes where it met damage: damaged, the erase units."""

    def __init__(self, read_into: Callable[..., None], erase_size: int, program_size: int, arena: int) -> None:
        super().__init__(read_into, erase_size, program_size, arena)
        self.damaged: set[int] = set()
        self._behind_gap = -1  # there the rest of a record may lie whose beginning is missing

    def behind_gap(self, position: int) -> int:
        found: int = super().behind_gap(position)
        self._behind_gap = found
        return found

    def _resync(self, position: int) -> int:
        # Behind a record that ends with its unit there may be a missing one, or nothing.
        on_medium = self.place(position)[1] > 0
        if on_medium and position != self._behind_gap and not self._is_cut_off(position):
            self.damaged.add(self.unit(position))
        found: int = super()._resync(position)
        return found

    def _is_cut_off(self, position: int) -> bool:
        """Tell whether the record at position goes on in a unit that is missing: this one is not damaged then."""
        try:
            last = position + RECORD_HEADER + self.plausible(position)[1] - 1
        except FormatError:
            return False
        return not all(self.place(at)[1] for at in (*range(position, last, self.erase_size - UNIT_HEADER), last))


class Journal:
    """One journal. units: the headers of its erase units, by their numbers; places: where each begins in the image.

    offset: where its medium begins in the image, negative if the image begins within it; of a scattered one, where the
    first of its units lies.
    """

    def __init__(self, image: Image, found: Sequence[Found]) -> None:
        """found: place and header of each unit, one or more; of several with the same number the newest one counts."""
        self.units: dict[int, UnitHeader] = {}
        self.places: dict[int, int] = {}
        self.erase_size: int = found[0][1].erase_size
        self._image = image
        self._ends: dict[tuple[int, int], int] = {}
        self._damaged: dict[int, str] = {}
        bases = {_base(offset, header) for offset, header in found}
        self._base = bases.pop() if len(bases) == 1 else None
        self.offset = found[0][0] if self._base is None else self._base
        for offset, header in found if self._base is not None else by_age(image, found):
            self.units[header.unit] = header
            self.places[header.unit] = offset

    @property
    def node_ids(self) -> list[str]:
        """The nodes whose state lies here; mostly one, none if there are only settings."""
        return sorted({header.node_id.hex() for header in self.units.values()} - {NO_NODE.hex()})

    def snapshots(self, progress: Progress) -> Iterator[list[Listed]]:
        """Yield the snapshots arena by arena, the newest first, each list oldest first, all of them checked.

        progress(done, total) is told the bytes of each arena. Raises OSError.
        """
        for arena in sorted({header.arena for header in self.units.values()}, reverse=True):
            found = self._check(self._log(arena), progress)
            if found:
                yield found

    def _check(self, log: _NotingLog, progress: Progress) -> list[Listed]:
        found: dict[int, Listed] = {}
        end = 0
        try:
            for commit, end, whole in whole_commits(log, Places()):
                progress(end, log.end())
                # A write that failed at its very end can leave a snapshot whose number the next one has too.
                if whole or commit.number not in found:
                    found[commit.number] = Listed(
                        commit.number, commit.time, commit.trigger, commit.channels, commit.entries, log.arena, whole
                    )
                    self._ends[log.arena, commit.number] = end
        except FormatError as error:
            self._damaged[log.unit(max(end - 1, 0))] = str(error)
        for unit in log.damaged:
            self._damaged[unit] = "records in it are damaged, or a power cut broke off their writing"
        progress(log.end(), log.end())
        return [found[number] for number in sorted(found)]

    def read(self, listed: Listed) -> Snapshot:
        """Return a snapshot of those that snapshots() gave as whole. Raises BackupError for any other, OSError."""
        try:
            return decode_log(self._log(listed.arena), listed.number, self._ends[listed.arena, listed.number])
        except FormatError as error:
            raise BackupError(
                f"Snapshot {listed.number} is damaged: {error}. Take another one: pull --image … --list shows all"
            ) from error

    def _log(self, arena: int) -> _NotingLog:
        headers = sorted(
            (header for header in self.units.values() if header.arena == arena), key=lambda header: header.sequence
        )
        log = _NotingLog(self._read_into, self.erase_size, headers[0].program_size, arena)
        for header in headers:
            try:
                log.add(header)
            except FormatError as error:
                self._damaged[header.unit] = f"its header makes no sense: {error}"
        return log

    def _read_into(self, offset: int, buf: bytearray) -> None:
        unit, at = divmod(offset, self.erase_size)
        self._image.read_into(self.place(unit) + at, buf)

    def place(self, unit: int) -> int:
        return self.places[unit] if self._base is None else self._base + unit * self.erase_size

    def damage(self) -> Iterator[tuple[int, str]]:
        """Yield (erase unit, what is wrong with it): headers of all units, records as far as snapshots() looked."""
        damaged = dict(self._damaged)
        size = self.erase_size
        if self._base is not None:
            for unit in range(max(0, -(self._base // size)), max(self.units)):
                if unit not in self.units and not self._begins_blank(unit):
                    damaged[unit] = "it does not begin as a unit of this journal"
        for unit, place in self.places.items():
            if any(place - BLOCK < offset < place + size for offset in self._image.unreadable):
                damaged[unit] = "not all of it can be read"
        yield from sorted(damaged.items())

    def _begins_blank(self, unit: int) -> bool:
        head = bytearray(UNIT_HEADER)
        self._read_into(unit * self.erase_size, head)
        return not head.strip(b"\xff")


def _base(offset: int, header: UnitHeader) -> int:
    """Return where the medium begins by what a unit says of itself."""
    return offset - int(header.unit) * int(header.erase_size)


class Search:
    """Looks for journals in an image, from its beginning on.

    It ends QUIET bytes behind the last unit that it found, and only without any at the end of the image. journals: what
    was found, by place; searched: bytes looked at; newer: what was said of units in a newer format, or "".
    """

    def __init__(self, image: Image, progress: Progress) -> None:
        """Search. progress(done, total) is told the bytes. Raises OSError."""
        self.searched = 0
        self.newer = ""
        self._image = image
        found: dict[tuple[int, int], list[Found]] = {}
        for offset, header in self._headers(progress):
            size = header.erase_size
            if _SMALLEST_PROGRAM <= header.program_size <= size and _SMALLEST_ERASE <= size <= _LARGEST_ERASE:
                found.setdefault((_base(offset, header), size), []).append((offset, header))
        self.journals = [Journal(image, units) for units in gathered(found.values())]

    def _headers(self, progress: Progress) -> Iterator[Found]:
        image = self._image
        rest = b""
        last = -1
        while piece := image.piece(self.searched, _CHUNK):
            data = rest + piece
            begin = self.searched - len(rest)
            self.searched += len(piece)
            at = data.find(MAGIC)
            while 0 <= at <= len(data) - UNIT_HEADER:
                header = self._header(data[at : at + UNIT_HEADER])
                if header:
                    last = begin + at
                    yield last, header
                at = data.find(MAGIC, at + 1)
            rest = data[-(UNIT_HEADER - 1) :]
            progress(self.searched, image.size)
            if last >= 0 and self.searched - last > QUIET:
                return

    def _header(self, data: bytes) -> UnitHeader | None:
        try:
            header: UnitHeader | None = parse_unit_header(data)
            return header
        except FormatError as error:
            self.newer = str(error)
            return None


def choose(search: Search, name: str, offset: int | None) -> Journal:
    """Return the journal that begins at offset, or the only one that holds snapshots. Raises BackupError if there are
    several, NoSnapshotError if there is none, OSError. name: how to speak of the image."""
    if offset is not None:
        for journal in search.journals:
            if journal.offset == offset:
                return journal
        places = ", ".join(str(journal.offset) for journal in search.journals) or "nowhere"
        raise BackupError(f"{name}: no journal begins at --offset {offset}; journals begin at {places}")
    if len(search.journals) == 1:
        return search.journals[0]
    found = [(journal, snapshot) for journal in search.journals if (snapshot := _newest(journal))]
    if len(found) == 1:
        return found[0][0]
    if found:
        for journal, snapshot in found:
            nodes = ", ".join(journal.node_ids)
            damaged = "" if snapshot.whole else " (damaged)"
            say(
                f"--offset {journal.offset}: node {nodes}, snapshot {snapshot.number} of {when(snapshot.time)}{damaged}"
            )
        raise BackupError(f"{name}: holds {len(found)} journals: say with --offset which one")
    if search.journals:
        raise NoSnapshotError(f"{name}: holds units of a journal, but no snapshot: the board had written none yet")
    if search.newer:
        raise BackupError(f"{name}: holds a {search.newer}: install a newer vls-backup")
    raise NoSnapshotError(
        f"{name}: no journal of ours in {search.searched} bytes. Is it the board's own card, or its whole flash (a "
        "dump of the firmware alone lacks it)? An encrypted flash can't be read from outside"
    )


def _newest(journal: Journal) -> Listed | None:
    newest = None
    for items in journal.snapshots(lambda done, total: None):
        for item in reversed(items):
            if item.whole:
                return item
            newest = newest or item
    return newest
