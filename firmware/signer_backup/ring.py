"""Gives out a medium's erase units in turn, so that all wear alike, and keeps off those that failed."""

from backup_format.port import const
from backup_format.units import UNIT_HEADER, UnitHeader, parse_unit_header

from .blockdev import MediumError
from .foreign import keep_foreign

_FOLLOWING = const(4)


class MediumFullError(MediumError):
    """The state does not fit beside what must be kept."""


class Ring:
    """The erase units of device (a CheckedDevice). units: how many there are. sequence: of the unit opened last.

    before: the Ring of the same device before a failure, or None: this one goes on behind it.
    """

    def __init__(self, device, before=None):
        self.units = device.size // device.erase_size
        self._device = device
        self.sequence = 0
        self._at = -1  # where that unit lies
        self._erases = 0  # the most that any unit said at mount
        self._bad = set()
        if before and before.units == self.units:
            self._at = before._at
            self.sequence = before.sequence
            self._bad = before._bad

    def note(self, header):
        """Take notice of a unit's header that was found on the medium."""
        if header.sequence > self.sequence:
            self.sequence = header.sequence
            self._at = header.unit
        self._erases = max(self._erases, header.erases)

    def newer_follows(self):
        """Return whether a unit behind the newest one noted is newer still: a bad read has hidden it then.

        Some may lie between them: the one with the settings, and those that failed. Raises MediumError.
        """
        buf = bytearray(UNIT_HEADER)
        for i in range(1, _FOLLOWING + 1):
            unit = (self._at + i) % self.units
            self._device.read_into(unit * self._device.erase_size, buf)
            header = parse_unit_header(buf, True)
            if header and header.unit == unit and header.sequence > self.sequence:
                return True
        return False

    def failed(self):
        """Keep off the unit opened last until the next start; if many fail, it is not the units."""
        if self._at >= 0:
            self._bad.add(self._at)
        if len(self._bad) > self.units // 4:
            self._bad.clear()

    def came_back(self):
        """The medium was gone as a whole: that says nothing of the units that failed."""
        self._bad.clear()

    def free(self, is_needed):
        """Return how many units could be opened; is_needed(unit) says which must stay as they are."""
        return sum(unit not in self._bad and not is_needed(unit) for unit in range(self.units))

    def open(self, log, start, buf, node_id, is_needed):
        """Erase the next unit that may be used, add it to log, pack its header into buf; return its byte offset.

        start: log position, as in UnitHeader. Raises MediumError; ForeignError if that would overwrite what is
        not ours.
        """
        for _ in range(self.units):
            unit = (self._at + 1) % self.units
            offset = unit * self._device.erase_size
            used = unit in self._bad or log.holds(unit) or is_needed(unit)
            if not used and self.sequence < self.units:  # not all were ours yet
                keep_foreign(self._device, offset)
            self._at = unit
            if used:
                continue
            erases = self._erases_of(offset) + 1
            self._device.erase(offset)
            size = self._device.erase_size, self._device.program_size
            before, sequence = log.last_start(), self.sequence + 1
            header = UnitHeader(size[0], size[1], log.arena, sequence, start, before, unit, erases, node_id)
            header.pack_into(buf)
            log.add(header)  # before the unit counts as opened: memory may end here
            self.sequence = sequence
            return offset
        raise MediumFullError("the medium is full: the state does not fit beside the newest snapshot")

    def _erases_of(self, offset):
        """Return how often the unit at offset was erased; if it does not say, the most that any unit said at mount."""
        buf = bytearray(UNIT_HEADER)
        self._device.read_into(offset, buf)
        header = parse_unit_header(buf)
        return header.erases if header else self._erases
