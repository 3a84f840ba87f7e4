"""The journal: snapshots of a State on a BlockDevice, in arenas used in turn (FORMAT.md; docs/media-format.md).

The promise: once write() with a commit has returned, that snapshot can be read back whole after any single fault and
any number of power cuts; until it has returned, the snapshot before it can.
"""

from backup_format.errors import FormatError
from backup_format.log import Log, read_headers
from backup_format.port import const
from backup_format.records import ENTRY, MAX_ENTRY_HEAD, RECORD_HEADER, TOMBSTONE
from backup_format.units import UNIT_HEADER, parse_unit_header

from .blockdev import CheckedDevice, MediumError, NoDevice
from .foreign import ForeignError, Heads
from .index import NOWHERE
from .reopen import is_blank_or_same
from .ring import MediumFullError, Ring
from .writer import Writer

_ATTEMPTS = const(3)  # each in other units
_COMMIT = const(160)  # bytes of a commit's record, at most
_MIN_UNITS = const(4)
_MIN_PROGRAM = const(128)  # a unit header must fit into one program unit


class Journal:
    """open_device() -> the board's BlockDevice; it may raise OSError, and is asked again after a failure.

    device: the CheckedDevice over it, None before the first mount. last: the newest Commit, or None. number: of the
    newest snapshot ever written here, whole or not. node_id: whose, or None.
    """

    def __init__(self, open_device):
        self.device = None
        self._known = False  # the medium was read: what it holds is in the state
        self._open_device = open_device
        self.last = None
        self.number = 0
        self.node_id = None
        self._ring = None
        self._writer = None
        self._committed = None  # Log of the arena that holds the newest snapshot
        self._arena = 0
        self._opened = 0
        self._must_checkpoint = False

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def mounted(self):
        """Whether the medium was read, and has not failed since then. If not, it is mounted before the next write."""
        return self._known and not self.device.failed

    def arenas(self, read_into=None):
        """Return {arena number: [units, in the order of their sequence]} of what lies on the medium.

        read_into: what reads their headers, else the device. Raises MediumError, and FormatError for a newer version.
        """
        found = {}
        read_into = read_into or self.device.read_into
        for header in read_headers(read_into, self.device.erase_size, self._ring.units):
            found.setdefault(header.arena, []).append((header.sequence, header.unit))
            self._ring.note(header)
        return {arena: [unit for _sequence, unit in sorted(units)] for arena, units in found.items()}

    def log(self, arena, units):
        """Return the Log of an arena from its units (as arenas() gives them), empty if they hold something else by now.

        Raises MediumError, FormatError.
        """
        log = Log(self.device.read_into, self.device.erase_size, self.device.program_size, arena)
        buf = bytearray(UNIT_HEADER)
        for unit in units:
            self.device.read_into(unit * self.device.erase_size, buf)
            header = parse_unit_header(buf)
            if header and header.arena == arena and header.unit == unit:
                log.program_size = header.program_size
                log.add(header)
        return log

    def mount(self, state):
        """Find the newest whole snapshot and load its keys into state.

        After a failure: make sure that the board has the same medium again; a blank one in its place is taken, too.
        Raises MediumError when the medium can't be read, is another one or holds something else than a journal,
        FormatError when it holds one of a newer version. Nothing is written.
        """
        if self._writer and self._reopen():
            return
        if self._writer:
            self._forget(state)
        try:
            self.device = CheckedDevice(self._open_device())
        except OSError as e:
            raise MediumError("no medium: %s" % e) from None
        self._known = False
        self._ring = Ring(self.device)
        if self._ring.units < _MIN_UNITS or self.device.program_size < _MIN_PROGRAM:
            raise MediumError("a medium of %d erase units is too small" % self._ring.units)
        heads = Heads(self.device)
        found = self.arenas(heads.read_into)
        if not found:
            heads.refuse_foreign()
        log, commit, end = self._newest(found)
        self._arena = max(found) if found else 0
        if commit:
            # A newer snapshot that is damaged stays where it is: it may be all that is left of something.
            self._must_checkpoint = log.arena != self._arena or commit.number != self.number
            if log.program_size != self.device.program_size:
                self._must_checkpoint = True
            try:
                state.log = log
                self._load(state, log, end)
            except BaseException:
                state.unload()
                raise
            self.last = commit
            self.node_id = log.node_id
            self._writer = Writer(self.device, log, self._open_unit)
            self._writer.resume(end, commit.digest)
            self._opened = len(log.units)
            self._committed = log
        self._known = True

    def _reopen(self):
        """Ask the board for its medium again; return whether it is the one that was there, not a blank one.

        Raises MediumError for any other one. It is not read any more then, or the state would be mixed with another.
        """
        device = self.device
        device.failed = True
        same, why = False, "the medium is being looked for"
        try:
            device.device = NoDevice(why)  # gives the old driver's memory back
            device.replace(self._open_device())
            same = is_blank_or_same(device, self._writer, self._ring.sequence)
        except OSError as e:
            why = e.text if isinstance(e, MediumError) else "no medium: %s" % e
            raise MediumError(why) from None
        finally:
            if not same:
                device.device = NoDevice(why)
        if same:
            self._writer.resume(self._writer.end, self._writer.digest)
            device.failed = False
        return same

    def _forget(self, state):
        """A blank medium is in the place of the known one: what only that one held is lost until the node sends it."""
        for row in state.stored_rows():
            state.lose(row)
        state.log = None
        self.last = None
        self._writer = None
        self._committed = None
        self._opened = 0

    def _newest(self, found):
        """Return (Log, Commit, log position behind it) of the newest whole snapshot; (None, None, 0): none."""
        for arena in sorted(found, reverse=True):
            log = self.log(arena, found[arena])
            best = None
            for commit, end, whole in log.commits():
                self.number = max(self.number, commit.number)
                if whole:
                    best = (log, commit, end)
            if best:
                return best
        return None, None, 0

    def _load(self, state, log, end):
        for position, kind, length in log.records(end):
            if kind in (ENTRY, TOMBSTONE):
                head = bytearray(min(MAX_ENTRY_HEAD, length))
                log.read(position + RECORD_HEADER, head)
                state.load(kind, bytes(head), position, log.node_id)

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
            except (MediumFullError, ForeignError):
                raise
            except MediumError:
                self._ring.failed()
                if attempt == _ATTEMPTS - 1:
                    raise
        self.device.failed = False
        if commit is not None:
            self.last = commit
            self.number = commit.number
            self._committed = state.log

    def _fits(self, state):
        """Return whether the changes go into the current arena."""
        if not self._writer or self._must_checkpoint or state.log_damaged:
            return False
        limit = self._ring.units // (2 if self._committed in (None, state.log) else 4)
        needed = state.changed_bytes + _COMMIT + self.device.program_size
        return needed <= self._writer.room() + max(0, limit - self._opened) * self._payload()

    def _payload(self):
        return self.device.erase_size - UNIT_HEADER

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
        self._check_room(state)
        self._arena += 1
        # What a failed checkpoint leaves has a higher arena number than the old arena: nothing more may go there.
        self._must_checkpoint = True
        self._opened = 0
        log = Log(self.device.read_into, self.device.erase_size, self.device.program_size, self._arena)
        writer = Writer(self.device, log, self._open_unit)
        writer.begin()
        index = state.index
        for row in index.rows():
            index.set_position(row, NOWHERE, True)
        for row in state.stored_rows():
            try:
                index.set_position(row, self._copy(writer, state.log, index.position(row)), True)
            except FormatError as e:
                state.lose(row)
                raise MediumError("the medium lost an entry: %s" % e) from None
        self._append_changed(writer, state)
        for entry in state.changed.values():
            index.set_position(index.find(entry.key), entry.position, True)
        writer.finish(commit)
        # From here on nothing can fail.
        index.slot ^= 1
        state.log = log
        state.log_damaged = False
        self._writer = writer
        self._must_checkpoint = False
        state.written()

    def _check_room(self, state):
        """Raise MediumFullError if the whole state can't fit: before anything is erased for it in vain."""
        needed = state.changed_bytes + _COMMIT + self.device.program_size
        for row in state.stored_rows():
            position = state.index.position(row)
            try:
                length = state.log.header(position)[1]
            except FormatError:
                continue  # the copy will tell
            if length < state.log.end() - position:
                needed += RECORD_HEADER + length
        room = self._ring.free(self._is_needed) * self._payload()
        if needed > room:
            raise MediumFullError(
                "the medium is too small: a state of %d bytes, and %d bytes beside the newest snapshot" % (needed, room)
            )

    def _copy(self, writer, log, position):
        """Copy a record into the writer's arena; return its position there. Raises FormatError if it is damaged."""
        kind, length, crc = log.header(position)
        if kind not in (ENTRY, TOMBSTONE) or length > log.end() - position:
            raise FormatError("no entry at log position %d" % position)
        return writer.append_from(kind, length, lambda: log.stream(position, kind, length, crc))

    def _is_needed(self, unit):
        """Return whether unit holds a part of the newest snapshot, or of the state since."""
        if self._committed and unit in self._committed.units:
            return True
        return self._writer is not None and unit in self._writer.log.units

    def _open_unit(self, log, start, first, buf):
        """Open the next unit of the ring for log; return its byte offset."""
        offset = self._ring.open(log, start, first, buf, self.node_id, self._is_needed)
        self._opened += 1
        return offset
