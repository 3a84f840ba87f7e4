"""A start reads headers and what is live, and never believes a header that is damaged."""

from backup_format.records import ENTRY, TOMBSTONE_VERSION, Commit
from faulty_flash import At, RamFlash
from journal_rig import (
    CPYTHON,
    SIGNATURE,
    Rig,
    channel,
    channel_key,
    contents,
    fill,
    refusal,
    remount,
    rounds,
    snapshots,
)
from refusal import refuses
from signer_backup.journal import Journal
from signer_backup.mount import IndexPlaces
from signer_backup.mount import _load as load
from signer_backup.state import State


class Count:
    """Counts the bytes that are read from a flash."""

    def __init__(self, flash):
        self.bytes = 0
        flash.fault = self

    def __call__(self, op, offset, data):
        self.bytes += len(data) if op == "read" else 0
        return False


def read_at_start(flash):
    """Return how many bytes a start of the board reads."""
    count = Count(flash)
    Rig(flash)
    flash.fault = None
    return count.bytes


def test_a_start_reads_no_more_on_a_large_medium():
    """After many snapshots of a state of some 20 KB: the most on 1 MiB against the least on 64 KiB."""
    read = {}
    large = 1 << 20 if CPYTHON else 1 << 18  # the VMs have no room for more
    for size in (large, 1 << 16):
        flash = RamFlash(size)
        rig = Rig(flash)
        fill(rig, 45, 0, 400)
        rig.save()
        read[size] = []
        for number in range(1, 300 if CPYTHON else 60):
            i = number * 7 % 45
            rig.put(channel_key(i), number, channel(number, 400))
            rig.save()
            if number % (7 if CPYTHON else 30) == 0:
                read[size].append(read_at_start(flash))
        assert remount(flash).expected == rig.expected
    live = 45 * 530
    assert live < min(read[1 << 16]) < 1.25 * live
    assert max(read[large]) <= 1.5 * min(read[1 << 16]), (max(read[large]), min(read[1 << 16]))


def test_the_first_save_after_a_start_reads_little():
    rig = Rig(RamFlash())
    fill(rig, 45, 0, 400)
    rig.save()
    again = remount(rig.flash)
    count = Count(rig.flash)
    again.put(channel_key(0), 1, channel(1))
    again.save()
    # The unit is looked at before it is erased and after; the rest is the record that was replaced, and reading back.
    assert 2 * 4096 < count.bytes < 2 * 4096 + 3072, count.bytes


def test_checkpoints_stay_below_a_quarter():
    """On a medium that is large beside the state: what a checkpoint takes, against the changes that its arena holds."""
    rig = Rig(RamFlash(1 << 18))
    fill(rig, 20, 0, 400)
    rig.save()
    arenas, number = {}, 0
    while len(arenas) < 4:
        number += 1
        rig.put(channel_key(number % 20), number, channel(number, 400))
        rig.save()
        log = rig.state.log
        arenas[log.arena] = log.checkpoint / (rig.journal.last_end - log.checkpoint)
    del arenas[log.arena]  # it has just begun
    assert len(arenas) == 3 and max(arenas.values()) <= 0.25, arenas
    assert min(arenas.values()) > 0.2, arenas


def test_a_start_amid_an_unfinished_transaction():
    """What lies behind the last commit, whole records too, is no part of it."""
    for spills in (0, 1, 3):
        rig = Rig(RamFlash())
        fill(rig, 6)
        rig.save()
        kept = dict(rig.expected)
        for spill in range(spills):
            fill(rig, 3, 1 + spill)
            rig.spill()
        fill(rig, 6, 9)
        rig.flash.fault = At(3, OSError(5), ("program",), 1 << 30)
        assert "failed" in refusal(rig.save)
        rig.flash.fault = None
        again = remount(rig.flash)
        assert again.expected == kept and again.journal.number == 1
        again.put("k", 1, b"1")
        again.save()
        assert remount(rig.flash).expected == again.expected


def test_what_a_failed_transaction_opened_is_void():
    """No memory at the end of a large one: the arena has the room that it had."""
    rig = Rig(RamFlash())
    fill(rig, 20, 0, 400)
    rig.save()
    before = len(list(rig.journal.arenas()))
    for number in range(1, 4):
        fill(rig, 15, number, 400)
        rig.flash.fault = fault = At(25, MemoryError(), ("program",))
        try:
            rig.save()
            raise AssertionError("saved without memory")
        except MemoryError:
            rig.flash.fault = None
        assert fault.happened
    for i in range(15):
        rig.put(channel_key(i), 9, channel(i, 20))
    rig.save()
    assert len(list(rig.journal.arenas())) == before == 1
    assert remount(rig.flash).expected == rig.expected


def test_a_medium_that_comes_late_and_is_damaged():
    """What RAM holds is not given up for an entry of a snapshot that turns out not to be whole."""
    rig = Rig(RamFlash())
    rig.put("a", 5, b'"medium"')
    rig.put("b", 5, b'"medium"')
    rig.delete("c")
    rig.put(channel_key(1), 5, channel(1))
    rig.save()
    log, index = rig.state.log, rig.state.index
    for lost in (None, "a", "b", "c"):
        flash = rig.flash.copy()
        if lost:
            position = index.position(index.find(lost)) + 10
            flash.data[log.place(position)[0]] ^= 4
        state, journal = State(b""), Journal(lambda flash=flash: flash)
        state.put("a", 4, SIGNATURE, b'"ram"')
        state.put("b", 6, SIGNATURE, b'"ram"')
        state.delete(channel_key(1), SIGNATURE)
        journal.mount(state)
        wanted = {channel_key(1): (TOMBSTONE_VERSION, None)}
        assert not state.is_channel(channel_key(1)) and contents(state)
        found = {key: (state.get(key).version, state.get(key).value) for key in state.keys()}
        if lost:
            wanted.update({"a": (4, b'"ram"'), "b": (6, b'"ram"')})
            assert found == wanted and journal.last is None
        else:
            wanted.update({"a": (5, b'"medium"'), "b": (6, b'"ram"'), "c": (TOMBSTONE_VERSION, None)})
            assert found == wanted
        assert sorted(state.changed) == sorted([channel_key(1)] + (["a", "b"] if lost else ["b"]))
        late = Rig(flash)
        late.state, late.journal, late.expected = state, journal, contents(state)
        late.save()
        assert remount(flash).expected == late.expected
        assert snapshots(journal)[-1][1:] == (True, late.expected)


def test_what_was_lost_stays_lost_over_a_start_that_fails():
    """Of an entry that only a missing medium held: no snapshot until the node sent it again."""
    rig = Rig(RamFlash())
    rig.put("a", 5, b"1")
    rig.save()
    rig.state.lose(rig.state.index.find("a"))
    rig.state.unload()
    assert rig.state.index.lost == 1


def test_memory_that_ends_at_any_look_into_the_index():
    """A save fails there; the next one is right, and so is the sum from then on."""
    for checkpoint in (False, True):
        for nth in range(1, 100):
            rig = Rig(RamFlash())
            fill(rig, 4)
            rig.save()
            fill(rig, 3, 1)
            rig.journal._must_checkpoint = checkpoint
            failing = Failing(rig.state.index, nth)
            try:
                rig.save()
            except MemoryError:
                pass
            failing.end()
            rig.check()
            for again in range(2):
                rig.put(channel_key(3 + again), 1, channel(7))
                rig.save()
                assert remount(rig.flash).expected == rig.expected, (checkpoint, nth)
            if nth > failing.calls:
                break
        assert 6 <= nth < 100


class Failing:
    """Lets the nth look-up in an index find no memory."""

    def __init__(self, index, nth):
        self.calls = 0
        self._nth = nth
        self._index = index
        self._find = index.find
        index.find = self._find_or_fail

    def _find_or_fail(self, key):
        self.calls += 1
        if self.calls == self._nth:
            raise MemoryError
        return self._find(key)

    def end(self):
        self._index.find = self._find


def test_a_driver_with_other_program_units():
    """What lies there is read; what is written begins in an arena of its own."""
    flash = filled_with(256)
    for size in (512, 128):
        other = RamFlash(flash.size, flash.erase_size, size)
        other.data[:] = flash.data
        rig = remount(other)
        assert len(rig.expected) == 3
        rig.put(channel_key(1), 1, channel(1))
        rig.save()
        assert (rig.state.log.arena, rig.state.log.program_size) == (2, size)
        assert remount(other).expected == rig.expected


def filled_with(program_size):
    rig = Rig(RamFlash(program_size=program_size))
    fill(rig, 3)
    rig.save()
    return rig.flash


def test_many_starts():
    """Starts between snapshots, in each of which the arena goes on in a fresh unit."""
    flash = RamFlash(1 << 15, 1024, 128)
    rig = Rig(flash)
    for number in range(1, rounds(120)):
        rig.put(channel_key(number % 5), number, channel(number, 100))
        rig.save()
        if number % 3:
            expected = rig.expected
            rig = remount(flash)
            assert rig.expected == expected and rig.journal.number == number


def test_a_sum_that_is_too_large_or_too_small():
    rig = Rig(RamFlash())
    fill(rig, 3)
    rig.save()
    commit, log = rig.journal.last, rig.state.log
    for change in (0, 1, -1):
        state = State(b"salt")
        places = IndexPlaces(state.index)
        for position, kind, length in log.records():
            if kind == ENTRY:
                places.replace(log.key(position, kind, length), position)
        other = Commit(1, None, "first", "never", 0, 3, 3, commit.live + change)
        assert refuses(load, log, state, other) == (change != 0)
