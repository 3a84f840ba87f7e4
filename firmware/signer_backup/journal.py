"""The journal: snapshots of a State on a BlockDevice, in arenas used in turn (FORMAT.md; docs/media-format.md).

The promise: once write() with a commit has returned, that snapshot can be read back whole after any single fault and
any number of power cuts; until it has returned, the snapshot before it can.
"""

from backup_format.errors import FormatError
from backup_format.log import Log, find_arenas, open_log
from backup_format.port import const, ticks_since
from backup_format.units import NO_NODE

from .blockdev import CheckedDevice, MediumError
from .checkpoint import copy_row, replaced_sum
from .damage import check_live, is_whole
from .foreign import ForeignError
from .mount import find_newest
from .reopen import reopen
from .ring import MediumFullError, Ring
from .room import check_checkpoint, check_spill, fits
from .settings import append_settings
from .writer import Writer

_ATTEMPTS = const(3)  # each in other units
_HOLD_MS = const(30000)
_MIN_UNITS = const(4)
_MIN_PROGRAM = const(128)  # a unit header must fit into one program unit


class Journal:
    """open_device() -> the board's BlockDevice; it may raise OSError, and is asked again after a failure.

    device: the CheckedDevice over it, None before the first mount. last: the newest Commit, or None; last_log,
    last_end: its Log, and the position behind it there. number: of the newest snapshot ever written here, whole or not.
    node_id: whose, or None. settings: (strategy, updates) that the owner has set, or None. settings_unit: the erase
    unit with them, or None. hold: reading of ticks_ms, or None; for half a minute from then on nothing is mounted: a
    format is under way.
    """

    def __init__(self, open_device):
        self.device = None
        self._known = False  # the medium was read: what it holds is in the state
        self._open_device = open_device
        self.last = self.last_log = self.last_end = None
        self.number = 0
        self.node_id = None
        self.settings = None
        self.settings_unit = None
        self.hold = None
        self._ring = None
        self._writer = None
        self._arena = 0
        self._must_checkpoint = False
        self._suspect = False  # a write did not arrive: it may have hit something else

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def mounted(self):
        """Whether the medium was read, and has not failed since then. If not, it is mounted before the next write."""
        return self._known and not self.device.failed

    def arenas(self):
        """Return the Arenas of what lies on the medium. Some of it may be none.

        Raises MediumError, FormatError for a newer version.
        """
        return find_arenas(self.device.read_into, self.device.erase_size, self._ring.units)

    def log(self, arena, units):
        """Return the Log of an arena from its units as arenas() gives them, None if they hold something else by now.

        Raises MediumError, FormatError.
        """
        return open_log(self.device.read_into, self.device.erase_size, arena, units, self._ring.note)

    def mount(self, state):
        """Find the newest whole snapshot and load its keys into state.

        After a failure: make sure that the board has the same medium again; a blank one in its place is taken, too.
        Raises MediumError when the medium can't be read, is another one or holds something else than a journal,
        FormatError when it holds one of a newer version. Nothing is written.
        """
        if self.hold is not None and ticks_since(self.hold) < _HOLD_MS:
            raise MediumError("the medium is being formatted")
        self.hold = None
        if self._writer and reopen(self.device, self._open_device, self._writer, self._ring.sequence):
            self._ring.came_back()
            self._suspect = True
            return
        kept = self.settings if self._writer else None  # the owner's, though the medium is another one
        if self._writer:
            self._forget(state)
        self.open()
        try:
            found = find_newest(self.device, self._ring, state)
        except BaseException:
            state.unload()
            raise
        self._arena = found.arena
        self.number = max(self.number, found.number)
        self.settings, self.settings_unit = found.settings, found.settings_unit
        if found.commit:
            log, commit, end = found.log, found.commit, found.end
            # A newer snapshot that is damaged stays where it is: it may be all that is left of something.
            self._must_checkpoint = log.arena != found.arena or commit.number != found.number
            if log.program_size != self.device.program_size:
                self._must_checkpoint = True
            if log.settings >= end:  # to go on behind the snapshot would make them void
                self._must_checkpoint = True
            self.last, self.last_log, self.last_end = commit, log, end
            self.node_id = log.node_id
            self._writer = Writer(self.device, log, self._open_unit)
            self._writer.resume(commit, end)
        self.settings = self.settings or kept
        self._known = True

    def _forget(self, state):
        """A blank medium is in the place of the known one: what only that one held is lost until the node sends it."""
        for row in state.stored_rows():
            state.lose(row)
        state.log = None
        self.last = self.last_log = None
        self._writer = None

    def open(self):
        """Have the board open its medium, for whatever is on it. Raises MediumError."""
        self._known = False
        self.device = None
        try:
            self.device = CheckedDevice(self._open_device())
        except OSError as e:
            raise MediumError("no medium: %s" % e) from None
        self._ring = Ring(self.device, self._ring)
        if self._ring.units < _MIN_UNITS or self.device.program_size < _MIN_PROGRAM:
            raise MediumError("a medium of %d erase units is too small" % self._ring.units)

    def take_blank(self):
        """The medium was formatted: go on with it as it is."""
        self.hold = None
        self._known = True

    def unmount(self, state):
        """Know no more of snapshots on the medium, nor of what state holds only there; settings stay."""
        if state.log is not None:
            state.clear()
        self._known = False
        self.last = self.last_log = self.node_id = self._writer = None
        self.number = 0

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, state, node_id, commit=None):
        """Write what changed in state: as a snapshot if commit (a Commit without its sum) is given, else as a spill.

        Raises MediumError, FormatError, MemoryError; the state is as before then, and so is the newest snapshot.
        """
        if not self.mounted:
            self.mount(state)
        if self.node_id is None:
            self.node_id = node_id
        if self.node_id != node_id:
            raise MediumError("the medium holds backups of another node: not overwritten")
        end = self._write(state, state.changed, commit, None)
        if commit is not None:
            self.last, self.last_log, self.last_end = commit, state.log, end
            self.number = commit.number

    def configure(self, state, settings):
        """Write settings, and nothing that changed in state: when this returns, they stay whatever comes.

        Raises as write; the old ones are in force then, but a start of the board may find the new ones.
        """
        if not self.mounted:
            self.mount(state)
        self._write(state, {}, None, settings)
        self.settings = settings

    def _write(self, state, changed, commit, settings):
        """Write a transaction; return the log position behind its last record."""
        attempts = 1
        while True:
            if self._suspect:
                self._look_around(state, commit)
                settings = settings or self.settings
            if commit is not None and state.index.lost:
                raise MediumError("the medium lost %d entries: waiting for the node's full state" % state.index.lost)
            try:
                replaced = replaced_sum(state, changed) if self._fits(state) else None
                if replaced is None:
                    check_checkpoint(state, self.device, self._ring.free(self._is_needed), commit is None)
                    end = self._write_checkpoint(state, changed, commit, settings or self.settings)
                else:
                    if commit is None:
                        check_spill(state, self._writer, self._ring.free(self._is_needed))
                    end = self._write_changes(state, changed, commit, settings, replaced)
                self.device.failed = False
                return end
            except (MediumFullError, ForeignError):
                raise
            except MediumError:
                self._ring.failed()
                self._suspect = True
                if attempts == _ATTEMPTS:
                    raise
                attempts += 1

    def _fits(self, state):
        """Return whether the changes go into the current arena."""
        if not self._writer or self._must_checkpoint or state.log_damaged:
            return False
        log = self._writer.log
        if log.node_id != (self.node_id or NO_NODE):
            return False
        return fits(state, self._writer, self._ring.units // (2 if self.last_log in (None, log) else 4))

    def _look_around(self, state, commit):
        """What a write that did not arrive may have hit: nothing may build on it. Raises MediumError for what is lost.

        The newest snapshot may be among it, though all is there that the next one needs: only a commit mends that.
        """
        try:
            if self._writer:
                check_live(state, self._writer)
            whole = commit is not None or not self.last or is_whole(state, self.last_log, self.last_end)
        except FormatError as e:
            raise MediumError(str(e)) from None
        finally:
            if state.log_damaged:  # the medium answers: it is what it says that is wrong
                self.device.failed = False
        self._suspect = False
        if not whole:
            self.device.failed = False  # as above: to be looked for as a medium that was gone, it is too damaged
            raise MediumError("the newest snapshot is damaged: waiting for the next one")

    def _write_changes(self, state, changed, commit, settings, replaced):
        writer = self._writer
        writer.begin(replaced)
        unit = append_settings(writer, settings)
        self._append_changed(writer, changed)
        end = writer.finish(commit)
        self._must_checkpoint = True  # should memory end here, the sum is ahead of the index
        self._written(state, changed, unit)
        self._must_checkpoint = False
        return end

    def _append_changed(self, writer, changed):
        for entry in changed.values():
            entry.position = writer.append(*entry.record(self.node_id))

    def _written(self, state, changed, settings_unit):
        """The medium holds changed, and settings if settings_unit says where. Nothing here can fail."""
        if settings_unit is not None:
            self.settings_unit = settings_unit
        if changed:
            state.written()

    def _write_checkpoint(self, state, changed, commit, settings):
        """Write the whole state into a new arena; the old one stays as it is until this one is complete."""
        self._arena += 1
        # What a failed checkpoint leaves has a higher arena number than the old arena: nothing more may go there.
        self._must_checkpoint = True
        log = Log(self.device.read_into, self.device.erase_size, self.device.program_size, self._arena)
        writer = Writer(self.device, log, self._open_unit)
        writer.begin()
        unit = append_settings(writer, settings)
        index = state.index
        index.clear_other()
        for row in state.stored_rows():
            index.set_position(row, copy_row(writer, state, row), True)
        self._append_changed(writer, changed)
        for entry in changed.values():
            index.set_position(index.find(entry.key), entry.position, True)
        end = writer.finish(commit)
        # From here on nothing can fail.
        index.slot ^= 1
        state.log = log
        state.log_damaged = False
        self._writer = writer
        log.checkpoint = writer.end
        self._must_checkpoint = False
        self._written(state, changed, unit)
        return end

    def _is_needed(self, unit):
        """Return whether unit holds the settings, or a part of the newest snapshot or of the state since."""
        if unit == self.settings_unit:
            return True
        if self.last_log and self.last_log.holds(unit):
            return True
        if not self._writer:
            return False
        # What a transaction that failed has opened behind the last good one is void.
        return 0 <= self._writer.log.start_of(unit) < self._writer.end

    def _open_unit(self, log, start, buf):
        """Open the next unit of the ring for log; return its byte offset."""
        return self._ring.open(log, start, buf, self.node_id or NO_NODE, self._is_needed)
