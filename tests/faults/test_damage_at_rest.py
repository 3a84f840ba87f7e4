"""Bits flip and erase units turn to noise while nobody looks: nothing wrong is ever taken for right."""

import pytest

from faulty_flash import Dice, RamFlash
from journal_rig import Rig, channel, channel_key, remount, snapshots

UNIT = 1024
HEADER = 69  # bytes of a unit's header

History = dict[int, dict[str, object]]


@pytest.fixture(scope="module")
def medium() -> tuple[RamFlash, History]:
    """A full medium, and the state at each snapshot that was ever on it."""
    rig = Rig(RamFlash(8 * UNIT, UNIT, 128))
    history: History = {0: {}}
    for number in range(1, 40):
        key = channel_key(number % 4)
        if number % 9 == 0:
            rig.delete(key)
        else:
            rig.put(key, number, channel(number, 100))
        rig.save()
        history[number] = dict(rig.expected)
    assert len(rig.journal.arenas()) >= 2 and min(rig.flash.worn) >= 1
    return rig.flash, history


def newest_arena(flash: RamFlash) -> set[int]:
    """Return the units of the newest snapshot's arena."""
    arenas = remount(flash).journal.arenas()
    return set(arenas[max(arenas)])


def check(flash: RamFlash, history: History, untouched: bool, all_of_them: bool = False) -> int:
    """Start on flash; return the number of the snapshot found. untouched: the newest one must be it. all_of_them: look
    at the older ones too."""
    rig = remount(flash)
    number = rig.journal.last.number if rig.journal.last else 0
    assert rig.expected == history[number]
    if untouched:
        assert number == max(history)
    for found, whole, held in snapshots(rig.journal) if all_of_them else ():
        assert not whole or held == history[found]
    return number


def test_a_flipped_bit_anywhere(medium: tuple[RamFlash, History]) -> None:
    flash, history = medium
    newest = newest_arena(flash)
    older = 0
    for offset in range(flash.size):
        if offset % 3 and offset % UNIT >= HEADER:
            continue
        bit = Dice(offset).roll(8)
        flash.flip(offset * 8 + bit)
        older += check(flash, history, offset // UNIT not in newest, offset % 99 == 0) < max(history)
        flash.flip(offset * 8 + bit)
    assert older > 100


def test_any_bit_of_the_newest_commit(medium: tuple[RamFlash, History]) -> None:
    flash, history = medium
    rig = remount(flash)
    log = rig.state.log
    position = [position for position, kind, _length in log.records() if kind == 0x43][-1]
    i = max(i for i, start in enumerate(log.starts) if start <= position)
    offset = log.units[i] * UNIT + HEADER + position - log.starts[i]
    for bit in range(offset * 8, (offset + 8 + 40) * 8):
        flash.flip(bit)
        assert check(flash, history, False) == max(history) - 1
        flash.flip(bit)


def test_a_unit_of_noise(medium: tuple[RamFlash, History]) -> None:
    clean, history = medium
    newest = newest_arena(clean)
    for unit in range(clean.size // UNIT):
        for seed in range(4):
            flash = clean.copy()
            dice = Dice(unit * 10 + seed)
            keep = HEADER if seed % 2 else 0  # with its header, as a worn unit, or without
            for at in range(unit * UNIT + keep, (unit + 1) * UNIT):
                flash.data[at] = dice.roll(256)
            number = check(flash, history, unit not in newest, True)
            rig = remount(flash)
            rig.put("after", 1, b"1")
            rig.save()
            again = remount(flash)
            assert again.expected == {**history[number], "after": rig.expected["after"]}
            assert again.journal.last.number > number


def test_damage_while_the_board_runs(medium: tuple[RamFlash, History]) -> None:
    """Each entry is damaged in turn under a running board: it is lost by name, the others stay, and a snapshot waits
    until the node sent it again."""
    clean, history = medium
    for key, entry in history[max(history)].items():
        flash = clean.copy()
        rig = remount(flash)
        position = rig.state.index.position(rig.state.index.find(key))
        log = rig.state.log
        i = max(i for i, start in enumerate(log.starts) if start <= position)
        flash.flip((log.units[i] * UNIT + HEADER + position - log.starts[i] + 20) * 8)
        with pytest.raises(OSError, match="lost"):
            rig.state.get(key)
        assert rig.state.get(key) is None
        for other in history[max(history)]:
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
