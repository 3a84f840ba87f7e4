"""The journal: snapshots of a State on a BlockDevice, in arenas used in turn (FORMAT.md; docs/media-format.md).

The promise: once write() with a commit has returned, that snapshot can be read back whole after any single fault and
any number of power cuts; until it has returned, the snapshot before it can.
"""

from backup_format.errors import FormatError
from backup_format.log import Log, read_headers
from backup_format.port import const
from backup_format.records import ENTRY, RECORD_HEADER, TOMBSTONE, parse_entry_head, parse_tombstone
from backup_format.units import UNIT_HEADER, UnitHeader, parse_unit_header

from .blockdev import CheckedDevice, MediumError
from .index import DELETED, LIVE, NOWHERE
from .writer import Writer

_ATTEMPTS = const(3)  # each in other units
_BAD_UNITS = const(3)  # that fail to erase in one attempt
_HEAD = const(640)  # bytes that hold any entry's body up to its value
_COPY = const(256)
_COMMIT = const(160)  # bytes of a commit's record, at most
_MIN_UNITS = const(4)
_MIN_PROGRAM = const(128)  # a unit header must fit into one program unit


class Journal:
    """open_device() -> the board's BlockDevice; it may raise OSError and is asked again later then.

    device: the CheckedDevice over it, None before the first mount. mounted: whether the medium was read. last: the
    newest Commit, or None. number: of the newest snapshot ever written here, whole or not. node_id: whose, or None.
    """

    def __init__(self, open_device):
        self.device = None
        self.units = 0  # erase units of the medium
        self.mounted = False
        self._open_device = open_device
        self.last = None
        self.number = 0
        self.node_id = None
        self._writer = None
        self._committed = None  # Log of the arena that holds the newest snapshot
        self._arena = 0
        self._sequence = 0
        self._erases = 0
        self._ring = -1
        self._opened = 0
        self._must_checkpoint = False
        self._bad = set()

    # -- reading ---------------------------------------------------------------------------------------------------

    def arenas(self):
        """Return {arena number: [units, in the order of their sequence]} of what lies on the medium.

        Raises MediumError, and FormatError for a newer format version.
        """
        found = {}
        for header in read_headers(self.device.read_into, self.device.erase_size, self.units):
            found.setdefault(header.arena, []).append((header.sequence, header.unit))
            if header.sequence > self._sequence:
                self._sequence = header.sequence
                self._ring = header.unit
            self._erases = max(self._erases, header.erases)
        return {arena: [unit for _sequence, unit in sorted(units)] for arena, units in found.items()}

    def log(self, arena, units):
        """Return the Log of an arena from its units (as arenas() gives them). Raises MediumError, FormatError."""
        log = None
        buf = bytearray(UNIT_HEADER)
        for unit in units:
            self.device.read_into(unit * self.device.erase_size, buf)
            header = parse_unit_header(buf)
            if header and header.arena == arena:
                log = log or Log(self.device.read_into, self.device.erase_size, header.program_size, arena)
                log.add(header)
        return log

    def mount(self, state):
        """Find the newest whole snapshot and load its keys into state.

        Raises MediumError when the medium can't be read or holds something else than a journal, FormatError when it
        holds one of a newer version. Nothing is written.
        """
        try:
            self.device = CheckedDevice(self._open_device())
        except OSError as e:
            raise MediumError("no medium: %s" % e) from None
        self.units = self.device.size // self.device.erase_size
        if self.units < _MIN_UNITS or self.device.program_size < _MIN_PROGRAM:
            raise MediumError("a medium of %d erase units is too small" % self.units)
        found = self.arenas()
        if not found:
            self._refuse_foreign()
        newest = None
        for arena in sorted(found, reverse=True):
            log = self.log(arena, found[arena])
            best = None
            for commit, end, whole in log.commits():
                self.number = max(self.number, commit.number)
                if whole:
                    best = (commit, end)
            if best:
                newest = (log, best[0], best[1])
                break
        self._arena = max(found) if found else 0
        if newest:
            log, commit, end = newest
            # A newer snapshot that is damaged stays where it is: it may be all that is left of something.
            self._must_checkpoint = log.arena != self._arena or commit.number != self.number
            for position, kind, length in log.records(end):
                if kind in (ENTRY, TOMBSTONE):
                    head = bytearray(min(_HEAD, length))
                    log.read(position + RECORD_HEADER, head)
                    state.load(kind, bytes(head), position, log.node_id)
            self.last = commit
            self.node_id = log.node_id
            self._writer = Writer(self.device, log, self._open_unit)
            self._writer.resume(end, commit.digest)
            self._opened = len(log.units)
            self._committed = state.log = log
        self.mounted = True

    def _refuse_foreign(self):
        """Raise MediumError if the medium holds something; one torn unit is what a cut in the first write leaves."""
        torn = 0
        for unit in range(self.units):
            if not self.device.is_blank(unit * self.device.erase_size):
                torn += 1
                if torn > 1:
                    raise MediumError("the medium holds something that is no backup of ours: not overwritten")

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, state, node_id, commit=None):
        """Write what changed in state: as a snapshot if commit (a Commit without digest) is given, else as a spill.

        Raises MediumError, FormatError, MemoryError; the state is as before then, and so is the newest snapshot.
        """
        if not self.mounted:
            self.mount(state)
        if self.node_id is None:
            self.node_id = node_id
        if self.node_id != node_id:
            raise MediumError("the medium holds backups of another node: not overwritten")
        for attempt in range(_ATTEMPTS):
            if commit is not None and state.index.lost:
                raise MediumError("the medium lost %d entries: waiting for the node's full state" % state.index.lost)
            try:
                if self._fits(state):
                    self._write_changes(state, commit)
                else:
                    self._write_checkpoint(state, commit)
                break
            except MediumError:
                if self._ring >= 0:
                    self._note_bad(self._ring)
                if attempt == _ATTEMPTS - 1:
                    raise
        if commit is not None:
            self.last = commit
            self.number = commit.number
            self._committed = state.log
            self._must_checkpoint = False

    def _fits(self, state):
        """Return whether the changes go into the current arena."""
        if not self._writer or self._must_checkpoint:
            return False
        limit = self.units // 2 if self._committed in (None, state.log) else self.units // 4
        payload = self.device.erase_size - UNIT_HEADER
        needed = state.changed_bytes + _COMMIT + self.device.program_size
        return needed <= self._writer.room() + max(0, limit - self._opened) * payload

    def _write_changes(self, state, commit):
        writer = self._writer
        writer.begin()
        self._append_changed(writer, state)
        writer.finish(commit)
        state.written()

    def _append_changed(self, writer, state):
        for entry in state.changed.values():
            entry.position = writer.append(*entry.record(self.node_id))

    def _write_checkpoint(self, state, commit):
        """Write the whole state into a new arena; the old one stays as it is until this one is complete."""
        self._arena += 1
        opened, self._opened = self._opened, 0
        try:
            log = Log(self.device.read_into, self.device.erase_size, self.device.program_size, self._arena)
            writer = Writer(self.device, log, self._open_unit)
            writer.begin()
            index = state.index
            for row in range(len(index)):
                old = index.position(row)
                index.set_position(row, NOWHERE, True)
                if old != NOWHERE and index.flags(row) & (LIVE | DELETED):
                    try:
                        position = self._copy(writer, state.log, old, state.changed)
                    except FormatError as e:
                        state.lose(row)
                        raise MediumError("the medium lost an entry: %s" % e) from None
                    index.set_position(row, position, True)
            self._append_changed(writer, state)
            for entry in state.changed.values():
                index.set_position(index.find(entry.key), entry.position, True)
            writer.finish(commit)
        except BaseException:
            self._opened = opened
            raise
        # From here on nothing can fail.
        index.slot ^= 1
        state.log = log
        self._writer = writer
        state.written()

    def _copy(self, writer, log, position, changed):
        """Copy a record into the writer's arena. Return its position there, NOWHERE if what changed replaces it."""
        kind, length = log.check(position)
        head = bytearray(min(_HEAD, length))
        log.read(position + RECORD_HEADER, head)
        key = parse_tombstone(head, self.node_id)[0] if kind == TOMBSTONE else parse_entry_head(head, self.node_id)[1]
        if key in changed:
            return NOWHERE
        return writer.append_from(kind, length, lambda: self._pieces(log, position, length))

    def _pieces(self, log, position, length):
        buf = bytearray(_COPY)
        for at in range(0, length, _COPY):
            piece = memoryview(buf)[: min(_COPY, length - at)]
            log.read(position + RECORD_HEADER + at, piece)
            yield piece

    def _note_bad(self, unit):
        """Keep off a unit that failed, until the next start; if many fail, it is not the units."""
        self._bad.add(unit)
        if len(self._bad) > self.units // 4:
            self._bad.clear()

    def _is_needed(self, unit):
        """Return whether unit holds a part of the newest snapshot, or of the state since."""
        if self._committed and unit in self._committed.units:
            return True
        return self._writer is not None and unit in self._writer.log.units

    def _erases_of(self, offset, buf):
        """Return how often the unit at offset was erased; if it does not say, the most that any unit says."""
        head = memoryview(buf)[:UNIT_HEADER]
        self.device.read_into(offset, head)
        header = parse_unit_header(head)
        return header.erases if header else self._erases

    def _open_unit(self, log, start, first, buf):
        """Erase the next unit of the ring that may be used, pack its header into buf; return its byte offset."""
        failed = 0
        for _ in range(self.units):
            self._ring = (self._ring + 1) % self.units
            unit = self._ring
            if unit in self._bad or unit in log.units or self._is_needed(unit):
                continue
            offset = unit * self.device.erase_size
            erases = self._erases_of(offset, buf) + 1
            try:
                self.device.erase(offset)
            except MediumError:
                self._note_bad(unit)
                failed += 1
                if failed == _BAD_UNITS:  # that many side by side: it is the medium, not its units
                    raise
                continue
            self._sequence += 1
            self._opened += 1
            header = UnitHeader(
                self.device.erase_size,
                self.device.program_size,
                log.arena,
                self._sequence,
                start,
                first,
                unit,
                erases,
                self.node_id,
            )
            header.pack_into(buf)
            log.add(header)
            return offset
        raise MediumError("the medium is full: the state does not fit beside the newest snapshot")
