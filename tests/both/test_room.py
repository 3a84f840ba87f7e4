"""What has room on a medium of eight erase units, beside what must stay there."""

from backup_format.records import Commit
from backup_format.units import UNIT_HEADER
from faulty_flash import RamFlash
from journal_rig import NODE, Rig, channel, channel_key, refusal, remount
from signer_backup.room import check_spill

TOO_SMALL = "the medium is too small"
UNIT = 1024 - UNIT_HEADER  # bytes that a unit of a small medium takes beside its header


def small():
    """Return a rig on a medium of eight units of 1 KiB."""
    return Rig(RamFlash(8192, 1024, 128))


def put_bytes(rig, key, size):
    """Put a value of size bytes."""
    rig.put(key, 1, b'"' + b"x" * size + b'"')


def taken_or_told(rig, write):
    """Write. Return None if it was taken, else the two numbers of the refusal: what does not fit is refused before
    anything is erased for it."""
    writes = rig.flash.writes
    told = refusal(write)
    if told is None:
        return None
    assert TOO_SMALL in told and rig.flash.writes == writes, told
    return int(told.split()[8]), int(told.split()[11])


def put(rig, first, size, version=0):
    """Put changes that take some size KiB."""
    for i in range(size):
        rig.put(channel_key(first + i), version, channel(i + version, 900))


def test_a_spill_leaves_room_for_a_checkpoint_of_it():
    """Else no snapshot could ever be written behind it."""
    for size, spilled in ((12, True), (20, False)):
        rig = Rig(RamFlash(32768))
        put(rig, 0, size)
        told = refusal(rig.spill)
        assert (told is None) if spilled else TOO_SMALL in told
        rig.save()
        assert remount(rig.flash).expected == rig.expected


def test_a_spill_into_an_arena_leaves_that_room_too():
    for size, spilled in ((3, True), (8, True), (12, True), (20, False)):
        rig = Rig(RamFlash(32768))
        put(rig, 50, 1)
        rig.save()
        put(rig, 0, size)
        told = refusal(rig.spill)
        assert (told is None) if spilled else TOO_SMALL in told, size
        rig.save()
        assert remount(rig.flash).expected == rig.expected


def test_a_small_spill_beside_a_large_state_leaves_that_room_too():
    for size, spilled in ((10, True), (16, False)):
        rig = Rig(RamFlash(32768))
        put(rig, 50, size)
        rig.save()
        put(rig, 0, 1)
        told = refusal(rig.spill)
        assert (told is None) if spilled else TOO_SMALL in told, size
        rig.save()
        assert remount(rig.flash).expected == rig.expected


def test_what_only_the_medium_holds_counts():
    """A state of some 20 KiB, all of which is copied for a small change: that has no room beside it."""
    rig = Rig(RamFlash(32768))
    put(rig, 0, 20)
    rig.save()
    rig.put(channel_key(0), 1, channel(1, 900))
    told = [refusal(rig.save)]
    while told[-1] is None and len(told) < 40:
        rig.put(channel_key(0), len(told) + 1, channel(len(told), 900))
        told.append(refusal(rig.save))
    assert TOO_SMALL in told[-1] and 20000 < int(told[-1].split()[8]) < 24000, told
    rig.check()


def test_what_is_left_of_the_unit_in_use():
    rig = Rig(RamFlash())
    rig.put("k", 1, b"1")
    rig.save()
    assert rig.journal._writer.room() == 4096 - 256
    rig.spill()
    assert rig.journal._writer.room() == 4096 - 512
    assert remount(rig.flash).journal._writer.room() == 0  # after a start a fresh unit is opened


def test_the_smallest_medium():
    rig = Rig(RamFlash(4 * 4096))
    for version in range(20):
        put(rig, 0, 2, version)
        rig.save()
    assert remount(rig.flash).expected == rig.expected
    assert "3 erase units is too small" in refusal(Rig, RamFlash(3 * 4096))
    assert "too small" in refusal(Rig, RamFlash(65536, 4096, 64))


def test_a_damaged_length_takes_no_room():
    """Else a record of megabytes would make the medium too small, though it is an entry that is lost."""
    for entry in (0, 10):
        for bit in range(12, 24):  # those that make it longer than the log
            rig = small()
            for i in range(11):
                put_bytes(rig, "k%02d" % i, 150)
            rig.save()
            index, key = rig.state.index, "k%02d" % entry
            length = index.position(index.find(key)) + 3 - (bit >> 3)
            rig.flash.data[rig.state.log.place(length)[0]] ^= 1 << (bit & 7)
            rig.journal._must_checkpoint = True
            told = refusal(rig.save)
            assert "lost" in told and TOO_SMALL not in told, (entry, bit, told)
            put_bytes(rig, key, 150)
            rig.save()
            assert remount(rig.flash).expected == rig.expected


def test_the_largest_state_that_fits_is_taken():
    """One byte more is refused, with the room that there is beside the newest snapshot: all units but that one's."""
    for kept in (0, 1):
        room = (8 - kept) * UNIT
        rig = told = None
        for size in range(room - 340 - 100 * kept, room):
            before, rig = rig, small()
            if kept:
                put_bytes(rig, "kept", 10)
                rig.save()
            put_bytes(rig, "k", size)
            told = taken_or_told(rig, rig.save)
            if told:
                break
        assert told == (room + 1, room)
        # What is left: a program unit, a commit, and what entries may take beside their values.
        assert room - before.journal.last_end < 128 + 80 + 120 * (1 + kept)
        assert remount(before.flash).expected == before.expected


def test_a_state_on_the_medium_fits_once_more_or_is_refused():
    """It fills four units of eight, and its next commit is longer than the last one was: the clock is set by now."""
    outcomes = set()
    for size in range(3500, 3720, 2):
        rig = small()
        rig.journal.configure(rig.state, ("periodic", 70000))
        put_bytes(rig, "k", size)
        rig.journal.write(rig.state, NODE, Commit(1, None, "first", "periodic", 70000, 1, 0))
        if rig.state.log.end() > 4 * UNIT:
            break
        again = Rig(rig.flash)
        commit = Commit(2, 1700000000, "periodic", "periodic", 70000, 1, 0)
        outcomes.add(
            taken_or_told(again, lambda again=again, commit=commit: again.journal.write(again.state, NODE, commit))
            is None
        )
    assert outcomes == {True, False} and size > 3600


def test_the_largest_spill_that_is_taken():
    """Half of the medium: the other half has room for the snapshot behind it."""
    rig = told = None
    for size in range(4 * UNIT - 340, 4 * UNIT):
        before, rig = rig, small()
        put_bytes(rig, "k", size)
        told = taken_or_told(rig, rig.spill)
        if told:
            break
    assert told[0] == 4 * UNIT + 1
    before.save()
    assert remount(before.flash).expected == before.expected


def test_which_units_a_spill_leaves():
    """Of those that are free some go to the spill itself; the state must fit into the others."""
    for stored, changed, opens in ((100, 100, 0), (100, 600, 1), (100, 1500, 2), (1000, 1100, 1), (100, 2100, 2)):
        rig = small()
        put_bytes(rig, "stored", stored)
        rig.save()
        put_bytes(rig, "changed", changed)
        writer, words = rig.journal._writer, []
        for free in range(8):
            words.append(refusal(check_spill, rig.state, writer, free))
            needed = int(words[0].split()[8])
            room = max(0, free - opens) * UNIT
            if needed <= room:
                assert words[-1] is None, (changed, free)
            else:
                assert words[-1].endswith("%d bytes, and %d bytes beside the newest snapshot" % (needed, room))
        assert None in words
        erases = rig.journal.device.erases
        rig.spill()
        assert rig.state.log.arena == 1 and rig.journal.device.erases - erases == opens, changed


def test_an_arena_of_spills_grows_to_a_quarter_of_the_medium():
    """The newest snapshot lies in the arena before it, and the next one must have room, too."""
    rig = Rig(RamFlash(16384, 1024, 128))
    put_bytes(rig, "k", 100)
    rig.save()
    taken = {}
    while 3 not in taken:
        put_bytes(rig, "k", 100)
        rig.spill()
        log = rig.state.log
        taken[log.arena] = log.count(rig.journal._writer.end)
    assert taken[1] == 8 and taken[2] == 4, taken


def test_an_arena_of_a_small_state_grows_by_eight_units():
    """A start has all their headers to read, on a large medium too."""
    rig = Rig(RamFlash(32768, 1024, 128))
    log, grown = None, 0
    while rig.state.log is log or not grown:
        log = rig.state.log
        grown = rig.journal._writer.end - log.checkpoint if log else 0
        put_bytes(rig, "k", 100)
        rig.save()
    assert log.checkpoint < UNIT and 8 * UNIT <= grown <= 8 * UNIT + 256, grown
