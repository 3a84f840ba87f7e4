"""The journal over many snapshots: arenas, the ring of erase units, older generations, wear, spills."""

from backup_format.live import Places, whole_commits
from backup_format.records import TOMBSTONE_VERSION
from faulty_flash import Dice, RamFlash
from journal_rig import (
    CPYTHON,
    SIGNATURE,
    Rig,
    channel,
    channel_key,
    each_snapshot,
    fill,
    refusal,
    remount,
    rounds,
    snapshots,
)
from medium_content import SMALL_HEAP


def arena_of(rig):
    return max(rig.journal.arenas())


def step(rig, dice, keys=12, size=200):
    """Change a few of the keys: new values, tombstones, keys that come back."""
    for _ in range(1 + dice.roll(3)):
        i = dice.roll(keys)
        held = rig.expected.get(channel_key(i))
        if held is None or held[0] == TOMBSTONE_VERSION:
            rig.put(channel_key(i), 0, channel(dice.roll(1000), size))
        elif dice.roll(12) == 0:
            rig.delete(channel_key(i))
        else:
            rig.put(channel_key(i), held[0] + 1, channel(dice.roll(1000), size))


def test_every_snapshot_of_a_long_run_comes_back():
    flash = RamFlash()
    rig = Rig(flash)
    dice = Dice(1)
    for number in range(1, rounds(240)):
        step(rig, dice)
        rig.save()
        rig.check()
        again = remount(flash)
        assert again.expected == rig.expected and again.journal.number == number
        if number % 7 == 0:  # go on as after a start
            rig = again
    if CPYTHON:
        assert arena_of(rig) > 6 and min(flash.worn) > 3


def test_older_generations_are_readable():
    flash = RamFlash()
    rig = Rig(flash)
    dice = Dice(2)
    history = {}
    for number in range(1, 20 if SMALL_HEAP else rounds(240)):  # all snapshots are held at once
        step(rig, dice)
        rig.save()
        history[number] = dict(rig.expected)
        if number % 9:
            continue
        whole = [(n, held) for n, good, held in snapshots(rig.journal) if good]
        assert [n for n, _held in whole] == sorted([n for n, _held in whole]) and whole[-1][0] == number
        for n, held in whole:
            assert held == history[n]
        if number > 60:
            arenas = rig.journal.arenas()
            newest = rig.journal.log(arena_of(rig), arenas[arena_of(rig)])
            earlier = len(whole) - len([1 for _commit, _end, good in whole_commits(newest, Places()) if good])
            assert len(whole) >= 4 and earlier >= 1, (number, len(whole), earlier)


def test_wear_is_even():
    flash = RamFlash()
    rig = Rig(flash)
    dice = Dice(3)
    for _number in range(rounds(1000)):
        step(rig, dice, size=400)
        rig.save()
    mean = sum(flash.worn) / len(flash.worn)
    if not CPYTHON:  # too short a run to say anything
        return
    assert mean > 20 and max(flash.worn) <= 1.2 * mean, flash.worn
    again = remount(flash)
    buf = bytearray(69)
    for unit in range(16):  # and the units know their count
        flash.read_into(unit * 4096, buf)
        assert int.from_bytes(buf[28:32], "big") == flash.worn[unit]
    assert again.expected == rig.expected


def test_wear_is_even_across_starts():
    flash = RamFlash()
    for number in range(rounds(300)):
        rig = remount(flash)
        rig.put(channel_key(number % 5), number, channel(number))
        rig.save()
    mean = sum(flash.worn) / len(flash.worn)
    assert max(flash.worn) <= max(1.2 * mean, mean + 1), flash.worn


def test_checkpoints_cost_little():
    flash = RamFlash(262144)
    rig = Rig(flash)
    fill(rig, 40)
    rig.save()
    before = rig.journal.device.programmed_bytes
    changed = 0
    for number in range(1, rounds(1000)):
        value = channel(number)
        rig.put(channel_key(number % 40), number, value)
        changed += len(value) // 2 + 100
        rig.save()
    assert rig.journal.device.programmed_bytes - before <= 1.25 * (changed + number * 1.5 * 256)
    if CPYTHON:
        assert arena_of(rig) > 3


def test_tombstones_outlive_checkpoints():
    rig = Rig(RamFlash())
    rig.put("peers/aa", 1, b'{"addr":"x"}')
    rig.delete("peers/bb")
    rig.delete(channel_key(0))
    rig.save()
    first = arena_of(rig)
    number = 0
    while arena_of(rig) < first + 4:
        number += 1
        rig.put(channel_key(1), number, channel(number, 1000))
        rig.save()
    rig.check()
    again = remount(rig.flash)
    assert again.expected == rig.expected
    assert again.expected["peers/bb"] == (TOMBSTONE_VERSION, SIGNATURE, None)
    assert again.journal.last.entries == 2 and again.journal.last.channels == 1


def test_a_spill_is_no_snapshot():
    rig = Rig(RamFlash())
    rig.put("a", 1, b"1")
    rig.save()
    rig.put("a", 2, b"2")
    rig.put("b", 1, b"3")
    rig.spill()
    assert rig.state.changed == {} and rig.journal.last.number == 1
    rig.check()
    assert [number for number, _whole, _held in snapshots(rig.journal)] == [1]
    again = remount(rig.flash)
    assert again.expected == {"a": (1, SIGNATURE, b"1")}
    rig.save()
    assert remount(rig.flash).expected == rig.expected


def test_spilling_through_arenas_without_any_snapshot():
    rig = Rig(RamFlash(), budget=4000)
    rig.state.spill = rig.spill
    dice = Dice(4)
    for number in range(rounds(600)):
        step(rig, dice, 8, 400)
        if number % 20 == 0:
            rig.check()
            assert snapshots(rig.journal) == []
    assert not CPYTHON or arena_of(rig) > 5
    assert remount(rig.flash).expected == {}
    rig.save()
    assert remount(rig.flash).expected == rig.expected


def test_spilling_through_arenas_keeps_the_last_snapshot():
    rig = Rig(RamFlash(), budget=4000)
    fill(rig, 8)
    rig.save()
    kept = dict(rig.expected)
    rig.state.spill = rig.spill
    dice = Dice(5)
    for number in range(rounds(600)):
        step(rig, dice, 8, 400)
        if number % 40 == 0:
            rig.check()
            again = remount(rig.flash)
            assert again.expected == kept and again.journal.last.number == 1
    assert not CPYTHON or arena_of(rig) > 5
    rig.save()
    again = remount(rig.flash)
    assert again.expected == rig.expected and again.journal.last.number == 2


def test_a_spill_into_a_new_arena_and_a_start():
    """What spills left of an arena newer than the snapshot's does not hide what is saved after the start."""
    rig = Rig(RamFlash(), budget=4000)
    fill(rig, 8)
    rig.save()
    kept = dict(rig.expected)
    first = arena_of(rig)
    while arena_of(rig) == first:
        fill(rig, 8, arena_of(rig) + rig.flash.writes)
        rig.spill()
    again = remount(rig.flash)
    assert again.expected == kept
    again.put("k", 1, b"1")
    again.save()
    third = remount(rig.flash)
    assert third.expected == again.expected and third.journal.last.number == 2


def test_a_large_state_on_a_small_medium():
    """Half of the medium is one state: each arena has room for a few snapshots only."""
    rig = Rig(RamFlash())
    fill(rig, 40, 0, 400)
    rig.save()
    dice = Dice(6)
    for number in range(rounds(60)):
        i = dice.roll(40)
        rig.put(channel_key(i), rig.expected[channel_key(i)][0] + 1, channel(dice.roll(1000), 400))
        assert refusal(rig.save) is None
        if number % 5 == 0:
            assert remount(rig.flash).expected == rig.expected
            assert len([1 for _number, whole, _held in each_snapshot(rig.journal) if whole]) >= 2
