"""What has room on a medium of eight erase units, beside what must stay there."""

from faulty_flash import RamFlash
from journal_rig import Rig, channel, channel_key, refusal, remount

TOO_SMALL = "the medium is too small"


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
    rig = Rig(RamFlash(32768))
    put(rig, 0, 3)
    rig.save()
    index = rig.state.index
    rig.flash.data[rig.state.log.place(index.position(index.find(channel_key(1))) + 1)[0]] ^= 0x40
    rig.journal._must_checkpoint = True
    told = refusal(rig.save)
    assert "lost" in told and TOO_SMALL not in told
    rig.put(channel_key(1), 1, channel(1, 900))
    rig.save()
    assert remount(rig.flash).expected == rig.expected
