"""Which erase units there are, in little RAM: units that follow each other take one row together."""

from .errors import FormatError
from .layout import get_u32, put_u32
from .port import const
from .units import UNIT_HEADER

_CHUNK = const(16)  # rows in one piece of RAM: it never takes a large hole to grow


class Table:
    """Rows of numbers: columns of u32."""

    def __init__(self, columns):
        self._columns = columns
        self._chunks = []
        self._count = 0

    def __len__(self):
        return self._count

    def put(self, row, values):
        """Set a row, or append one; drop those behind it, but keep their RAM. After a MemoryError all is as before."""
        if row == _CHUNK * len(self._chunks):
            self._chunks.append(bytearray(4 * self._columns * _CHUNK))
        for column in range(self._columns):
            self.set(row, column, values[column])
        self._count = row + 1

    def get(self, row, column):
        """Return a number."""
        return get_u32(self._chunks[row // _CHUNK], 4 * (row % _CHUNK * self._columns + column))

    def set(self, row, column, value):
        """Change a number."""
        put_u32(self._chunks[row // _CHUNK], 4 * (row % _CHUNK * self._columns + column), value)


class Arenas:
    """The arenas of a medium, as find_arenas met them: iterate for their numbers, each once; index for their units."""

    def __init__(self):
        self._runs = Table(4)  # arena, sequence and place of the first unit, how many units

    def add(self, arena, sequence, unit):
        """Note a unit; they come by their places."""
        runs = self._runs
        last = len(runs) - 1
        if last >= 0:
            count = runs.get(last, 3)
            if (arena, sequence, unit) == (runs.get(last, 0), runs.get(last, 1) + count, runs.get(last, 2) + count):
                runs.set(last, 3, count + 1)
                return
        runs.put(len(runs), (arena, sequence, unit, 1))

    def __iter__(self):
        runs = self._runs
        for row in range(len(runs)):
            arena = runs.get(row, 0)
            if not any([runs.get(other, 0) == arena for other in range(row)]):
                yield arena

    def __getitem__(self, arena):
        """Return the Units of an arena, none if it is not there."""
        return Units(self._runs, arena)


class Units:
    """The units of one arena: iterate for (sequence, unit), in this order."""

    def __init__(self, runs, arena):
        self._runs = runs
        self._rows = [row for row in range(len(runs)) if runs.get(row, 0) == arena]

    def __len__(self):
        return sum([self._runs.get(row, 3) for row in self._rows])

    def __iter__(self):
        runs = self._runs
        rest = [[runs.get(row, 1), runs.get(row, 2), runs.get(row, 3)] for row in self._rows]
        while rest:
            first = min(rest)
            yield first[0], first[1]
            first[0] += 1
            first[1] += 1
            first[2] -= 1
            if not first[2]:
                rest.remove(first)


class UnitMap:
    """Where the positions of one arena's log lie on the medium.

    erase_size: bytes; node_id: of the arena's units, None as long as there are none.
    """

    def __init__(self, erase_size):
        self.erase_size = erase_size
        self.node_id = None
        # Log position and place of the first unit, position behind the last one: the positions go on without a gap.
        self._runs = Table(3)
        self._payload = erase_size - UNIT_HEADER
        self._sequence = 0  # of the unit added last

    def add(self, header):
        """Append a unit; headers must come in the order of their sequence. What it declares void is dropped.

        After a MemoryError all is as before.
        """
        runs, start, row = self._runs, header.start, len(self._runs)
        if header.sequence != self._sequence + 1:  # a unit is missing in between: what it made void is void
            start = min(start, header.before)
        while row and runs.get(row - 1, 0) >= start:
            row -= 1
        new = header.start, header.unit, header.start + self._payload
        if row:
            first, unit, end = runs.get(row - 1, 0), runs.get(row - 1, 1), min(runs.get(row - 1, 2), start)
            count, rest = divmod(end - first, self._payload)
            if (rest, end, unit + count) == (0, header.start, header.unit):
                row -= 1
                new = first, unit, new[2]
        runs.put(row, new)
        if row and new[1] == header.unit:
            runs.set(row - 1, 2, end)
        self._sequence = header.sequence
        self.node_id = header.node_id

    def places(self):
        """Yield (first log position, erase unit) of each unit, in the order of the log."""
        for row in range(len(self._runs)):
            unit = self._runs.get(row, 1)
            for start in range(self._runs.get(row, 0), self._runs.get(row, 2), self._payload):
                yield start, unit
                unit += 1

    def start_of(self, unit):
        """Return the first log position of an erase unit, or -1 if it is none of this log."""
        for row in range(len(self._runs)):
            first, start, end = self._runs.get(row, 1), self._runs.get(row, 0), self._runs.get(row, 2)
            if first <= unit and (unit - first) * self._payload < end - start:
                return start + (unit - first) * self._payload
        return -1

    def holds(self, unit):
        """Return whether the erase unit is one of this log."""
        return self.start_of(unit) >= 0

    def count(self, end):
        """Return how many units begin before the log position end."""
        total = 0
        for row in range(len(self._runs)):
            length = min(self._runs.get(row, 2), end) - self._runs.get(row, 0)
            total += max(0, length + self._payload - 1) // self._payload
        return total

    def last_start(self):
        """Return the first log position of the last unit, 0 if there is none."""
        return self.end() - self._payload if len(self._runs) else 0

    def place(self, position):
        """Return (byte offset on the medium, bytes from there to the end of the unit) of a log position; (0, 0) where
        a unit is missing."""
        runs, low, high = self._runs, 0, len(self._runs)
        while low < high:
            middle = (low + high) // 2
            if runs.get(middle, 0) <= position:
                low = middle + 1
            else:
                high = middle
        if not low or position >= runs.get(low - 1, 2):
            return 0, 0
        count, at = divmod(position - runs.get(low - 1, 0), self._payload)
        room = min(self._payload - at, runs.get(low - 1, 2) - position)
        return (runs.get(low - 1, 1) + count) * self.erase_size + UNIT_HEADER + at, room

    def known_place(self, position):
        """As place. Raises FormatError where a unit is missing."""
        offset, room = self.place(position)
        if not room:
            raise FormatError("log position %d is not on the medium" % position)
        return offset, room

    def unit(self, position):
        """Return the erase unit that holds a log position. Raises FormatError."""
        return self.known_place(position)[0] // self.erase_size

    def end(self):
        """Return the log position behind the last byte that the units can hold."""
        return self._runs.get(len(self._runs) - 1, 2) if len(self._runs) else 0

    def behind_gap(self, position):
        """Return where the unit after the missing one that held position begins, or -1."""
        for row in range(len(self._runs)):
            if self._runs.get(row, 0) > position:
                return self._runs.get(row, 0)
        return -1
