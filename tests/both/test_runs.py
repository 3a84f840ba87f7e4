"""Tables of erase units against plain lists in lockstep."""

from backup_format.errors import FormatError
from backup_format.runs import Arenas, Table, UnitMap
from backup_format.units import UNIT_HEADER, UnitHeader
from faulty_flash import Dice

PAYLOAD = 1024 - UNIT_HEADER


class Lists:
    """The units of a log, one item each: (first position, unit, end)."""

    def __init__(self):
        self.units = []
        self.sequence = 0

    def add(self, header):
        start = header.start
        if header.sequence != self.sequence + 1:
            start = min(start, header.before)
        self.units = [(first, unit, min(end, start)) for first, unit, end in self.units if first < start]
        self.units.append((header.start, header.unit, header.start + PAYLOAD))
        self.sequence = header.sequence

    def place(self, position):
        for first, unit, end in self.units:
            if first <= position < end:
                return unit * 1024 + UNIT_HEADER + position - first, end - position
        return 0, 0


def header(dice, model, number):
    """Return a header: most go on where the last one ended, next to it."""
    last = model.units[-1] if model.units else (0, -1, 0)
    start = last[2]
    if dice.roll(4) == 0:
        start = last[0] + dice.roll(PAYLOAD)
    elif dice.roll(6) == 0:
        start = dice.roll(last[2] + 1)
    elif dice.roll(6) == 0:
        start += PAYLOAD
    unit = last[1] + 1 if dice.roll(5) else dice.roll(90)
    return UnitHeader(1024, 128, 1, number + (dice.roll(8) == 0), start, last[0], unit, 1, b"\x02" * 33)


def check(units, model, dice):
    assert list(units.places()) == [(first, unit) for first, unit, _end in model.units]
    assert units.last_start() == (model.units[-1][0] if model.units else 0)
    assert units.end() == (model.units[-1][2] if model.units else 0)
    for _ in range(8):
        position = dice.roll(units.end() + 200)
        offset, room = units.place(position)
        assert (offset, room) == model.place(position), position
        try:
            assert units.unit(position) == offset // 1024 and room
        except FormatError:
            assert not room
        behind = [first for first, _unit, _end in model.units if first > position]
        assert room or units.behind_gap(position) == (behind[0] if behind else -1)
        assert units.count(position) == len([first for first, _unit, _end in model.units if first < position])
    places = [unit for _first, unit, _end in model.units]
    for first, unit, _end in model.units:
        assert places.count(unit) > 1 or units.start_of(unit) == first
    for unit in range(100):
        assert units.holds(unit) == (unit in places) and (units.start_of(unit) == -1) == (unit not in places)


def test_against_lists():
    for seed in range(12):
        dice, units, model = Dice(seed), UnitMap(1024), Lists()
        check(units, model, dice)
        for number in range(1, 30):
            new = header(dice, model, number)
            units.add(new)
            model.add(new)
            check(units, model, dice)


class NoRam:
    """Stands for a table that finds no RAM for another row."""

    def __init__(self, table):
        self._table = table
        self.get = table.get
        self.set = table.set

    def __len__(self):
        return len(self._table)

    def put(self, row, values):
        if row == len(self._table):
            raise MemoryError()
        self._table.put(row, values)


def test_no_ram_for_a_unit_changes_nothing():
    """A unit that makes half of the last one void, and lies elsewhere."""
    dice, units, model = Dice(1), UnitMap(1024), Lists()
    for number in range(1, 4):
        new = UnitHeader(1024, 128, 1, number, (number - 1) * PAYLOAD, 0, number, 1, b"\x02" * 33)
        units.add(new)
        model.add(new)
    table = units._runs
    units._runs = NoRam(table)
    new = UnitHeader(1024, 128, 1, 4, 2 * PAYLOAD + 300, 2 * PAYLOAD, 9, 1, b"\x02" * 33)
    try:
        units.add(new)
    except MemoryError:
        units._runs = table
    assert units._runs is table
    check(units, model, dice)
    units.add(new)
    model.add(new)
    check(units, model, dice)


def test_a_table_grows_and_shrinks():
    table = Table(2)
    for row in range(50):
        table.put(row, (row, row * row))
    table.put(20, (7, 8))
    assert len(table) == 21 and table.get(20, 0) == 7 and table.get(20, 1) == 8
    assert [table.get(row, 1) for row in range(20)] == [row * row for row in range(20)]


def test_arenas():
    arenas = Arenas()
    said = {}
    dice = Dice(5)
    arena = sequence = 0
    for unit in range(200):
        if dice.roll(9) == 0:
            arena, sequence = dice.roll(6), dice.roll(50)
        if dice.roll(12):
            arenas.add(arena, sequence, unit)
            said.setdefault(arena, []).append((sequence, unit))
        sequence += 1
    assert sorted(arenas) == sorted(said) and len(said) == 6
    for arena in said:
        assert list(arenas[arena]) == sorted(said[arena]) == list(arenas[arena])
        assert len(arenas[arena]) == len(said[arena])
    assert len(arenas[77]) == 0 and list(arenas[77]) == []


def test_units_that_follow_each_other_take_one_row():
    units, arenas = UnitMap(1024), Arenas()
    for i in range(40):
        unit = 9 + i if i else 3
        units.add(UnitHeader(1024, 128, 7, 5 + i, i * PAYLOAD, max(0, i - 1) * PAYLOAD, unit, 1, b"\x02" * 33))
        arenas.add(7, 5 + i, 9 + i)
    assert list(units.places()) == [(i * PAYLOAD, 9 + i if i else 3) for i in range(40)] and len(units._runs) == 2
    assert list(arenas) == [7] and list(arenas[7]) == [(5 + i, 9 + i) for i in range(40)] and len(arenas._runs) == 1
    for other in ((8, 45, 49), (8, 47, 50), (8, 48, 52)):  # another arena, sequence, place
        arenas.add(*other)
    assert len(arenas._runs) == 4


def test_a_table_takes_no_more_ram_than_it_needs():
    table = Table(3)
    for row in range(40):
        table.put(row, (row, row + 1, row + 2))
    table.put(5, (1, 2, 3))
    for row in range(6, 40):
        table.put(row, (row, 0, 0))
    assert [len(chunk) for chunk in table._chunks] == [3 * 4 * 16] * 3 and len(table) == 40
