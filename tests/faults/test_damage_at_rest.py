"""Bits flip and erase units turn to noise while nobody looks: what is not stored there stays readable, and nothing
wrong is ever taken for right."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from backup_format.live import Places, whole_commits
from backup_format.log import Log
from faulty_flash import Cut, Dice, PowerCut, RamFlash
from journal_rig import Rig, channel, channel_key, remount, snapshots
from log_rig import units_of

HEADER = 69  # bytes of a unit's header
RECORD = 8  # bytes of a record's header

History = dict[int, dict[str, object]]


@dataclass
class Medium:
    """A full medium, the state at each snapshot that was ever on it, and the bytes that each snapshot needs."""

    flash: RamFlash
    history: History
    needs: dict[int, set[int]]

    @property
    def newest(self) -> int:
        return max(self.history)

    def expected(self, hit: set[int]) -> int:
        """Return the number of the newest snapshot none of whose bytes was hit, 0 if there is none."""
        return max((number for number, needed in self.needs.items() if not needed & hit), default=0)


def write(size: int, unit: int, program: int, count: int, value: int, keys: int) -> tuple[RamFlash, History]:
    """Return a medium with count snapshots, the power cut now and then, and what each of them held."""
    flash = RamFlash(size, unit, program)
    rig = Rig(flash)
    history: History = {0: {}}
    for number in range(1, count + 1):
        if number % 7 == 0:  # a transaction that comes to nothing, and a start
            rig.put(channel_key(9), number, channel(number, value))
            flash.fault = Cut(flash, 1 + number % 3)
            with pytest.raises(PowerCut):
                rig.save()
            flash.fault = None
            rig = remount(flash)
        key = channel_key(number % keys)
        if number % 9 == 0:
            rig.delete(key)
        else:
            rig.put(key, number, channel(number, value))
        if number % 5 == 0:
            rig.spill()
            rig.put(channel_key(8), number, channel(number, value))
        rig.save()
        history[rig.journal.number] = dict(rig.expected)
    return flash, history


def medium_of(flash: RamFlash, history: History) -> Medium:
    return Medium(flash, history, dict(needs_of(flash)))


def needs_of(flash: RamFlash) -> Iterator[tuple[int, set[int]]]:
    """Yield (number, the bytes that it needs) of each whole snapshot: its records, its commit, and the headers of the
    erase units that hold them."""
    journal = remount(flash).journal
    arenas = journal.arenas()
    for arena in sorted(arenas):
        log = journal.log(arena, arenas[arena])
        places = Places()
        at_commit = {
            end: (commit.number, whole, list(places.at.values())) for commit, end, whole in whole_commits(log, places)
        }
        starts = {position + RECORD + length: position for position, _kind, length, _mark in log.checked()}
        for end, (number, whole, positions) in at_commit.items():
            if whole:
                yield number, set().union(*(bytes_of(log, position) for position in [*positions, starts[end]]))


def bytes_of(log: Log, position: int) -> set[int]:
    """Return the byte offsets of a record, and of the headers of the units that it lies in."""
    offsets = set()
    for at in range(position, position + RECORD + log.header(position)[1]):
        offset = log.place(at)[0]
        unit = offset // log.erase_size * log.erase_size
        offsets.update((offset, *range(unit, unit + HEADER)))
    return offsets


@pytest.fixture(scope="module")
def medium() -> Medium:
    flash, history = write(8 * 1024, 1024, 128, 40, 100, 4)
    assert min(flash.worn) >= 1
    return medium_of(flash, history)


@pytest.fixture(scope="module")
def small() -> Medium:
    """Of erase units so small that every bit can be tried."""
    flash, history = write(10 * 512, 512, 128, 18, 20, 2)
    return medium_of(flash, history)


@pytest.fixture(scope="module")
def large() -> Medium:
    """64 KiB, as on a board."""
    flash, history = write(65536, 4096, 256, 120, 400, 20)
    return medium_of(flash, history)


def check(medium: Medium, flash: RamFlash, hit: set[int], all_of_them: bool = False) -> int:
    """Start on flash, where bytes were hit: the newest snapshot that they leave is there, as it was. Return its number.

    all_of_them: look at every snapshot, not only that one.
    """
    rig = remount(flash)
    number = rig.journal.last.number if rig.journal.last else 0
    assert number == medium.expected(hit)
    assert rig.expected == medium.history[number]
    if all_of_them:
        found = {n: held for n, whole, held in snapshots(rig.journal) if whole}
        assert sorted(found) == sorted(n for n, needed in medium.needs.items() if not needed & hit)
        assert all(held == medium.history[n] for n, held in found.items())
    return number


def test_the_media_are_what_the_tests_need(medium: Medium, small: Medium, large: Medium) -> None:
    for each in (medium, small, large):
        assert check(each, each.flash, set(), True) == each.newest
        assert len(each.needs) > 4 and len(list(remount(each.flash).journal.arenas())) >= 2
        newest = remount(each.flash).state.log
        size = each.flash.erase_size
        arena = {unit * size + at for unit in units_of(newest) for at in range(size)}
        unneeded = {offset for offset in arena - each.needs[each.newest] if each.flash.data[offset] != 0xFF}
        assert len(unneeded) > len(arena) // 8  # what was replaced
        assert len(units_of(newest)) > 1


def test_every_bit_of_the_newest_arena(small: Medium) -> None:
    flash = small.flash
    older = same = 0
    for unit in units_of(remount(flash).state.log):
        for bit in range(unit * 512 * 8, (unit + 1) * 512 * 8):
            flash.flip(bit)
            number = check(small, flash, {bit // 8}, bit % 101 == 0)
            flash.flip(bit)
            older += number < small.newest
            same += number == small.newest
    assert older > 1000 and same > 1000


def test_a_flipped_bit_anywhere(large: Medium) -> None:
    """Of a small medium the family flip tries them all."""
    flash = large.flash
    older = 0
    for offset in range(flash.size):
        if offset % 61 and (offset % flash.erase_size >= HEADER or offset % 5):
            continue
        bit = offset * 8 + Dice(offset).roll(8)
        flash.flip(bit)
        older += check(large, flash, {offset}, offset % 99 == 0) < large.newest
        flash.flip(bit)
    assert older > 50


@pytest.mark.parametrize("name", ["medium", "small", "large"])
def test_a_unit_of_noise(name: str, request: pytest.FixtureRequest) -> None:
    medium: Medium = request.getfixturevalue(name)
    size = medium.flash.erase_size
    found = set()
    for unit in range(medium.flash.size // size):
        for seed in range(4):
            flash = medium.flash.copy()
            dice = Dice(unit * 10 + seed)
            keep = HEADER if seed % 2 else 0  # with its header, as a worn unit, or without
            hit = range(unit * size + keep, (unit + 1) * size)
            for at in hit:
                flash.data[at] = dice.roll(256)
            number = check(medium, flash, set(hit), True)
            found.add(number)
            rig = remount(flash)
            rig.put("after", 1, b"1")
            rig.save()
            again = remount(flash)
            assert again.expected == {**medium.history[number], "after": rig.expected["after"]}
            assert again.journal.last.number > number
    assert medium.newest in found and len(found) > 1


def test_damage_while_the_board_runs(medium: Medium) -> None:
    """Each entry is damaged in turn under a running board: it is lost by name, the others stay, and a snapshot waits
    until the node sent it again."""
    expected = medium.history[medium.newest]
    for key, entry in expected.items():
        flash = medium.flash.copy()
        rig = remount(flash)
        log = rig.state.log
        position = rig.state.index.position(rig.state.index.find(key)) + 20
        flash.flip(log.place(position)[0] * 8)
        with pytest.raises(OSError, match="lost"):
            rig.state.get(key)
        assert rig.state.get(key) is None
        for other in expected:
            assert other == key or rig.state.get(other).value == rig.expected[other][2]
        version, signature, value = entry
        if value is not None:
            with pytest.raises(OSError, match="waiting for the node"):
                rig.save()
            rig.put(key, version, value, signature)
        else:
            del rig.expected[key]
        rig.save()
        assert remount(flash).expected == rig.expected


def test_damage_in_what_the_next_snapshot_replaces(medium: Medium) -> None:
    """The sum of the next snapshot can't be made from the record that it replaces: a checkpoint makes a new one."""
    for key in medium.history[medium.newest]:
        flash = medium.flash.copy()
        rig = remount(flash)
        log = rig.state.log
        position = rig.state.index.position(rig.state.index.find(key)) + 3
        flash.flip(log.place(position)[0] * 8)
        rig.put(key, 1000, channel(7))
        rig.save()
        assert rig.state.log.arena == log.arena + 1
        rig.check()
        rig.put(key, 1001, channel(8))
        rig.save()
        assert rig.state.log.arena == log.arena + 1
        assert remount(flash).expected == rig.expected
