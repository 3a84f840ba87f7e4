"""What a write that did not arrive may have hit, and what it costs where it hit nothing."""

from backup_format.units import UnitHeader
from faulty_flash import At, RamFlash, swallow
from journal_rig import NODE, Rig, channel, channel_key, fill, refusal, remount
from log_rig import units_of
from signer_backup.damage import headers_hold


def saved():
    """Return a rig with a snapshot, and a change that is not saved."""
    rig = Rig(RamFlash())
    fill(rig, 6)
    rig.save()
    rig.put(channel_key(0), 1, channel(99))
    return rig


def test_a_write_that_hit_nothing_costs_no_checkpoint():
    rig = saved()
    rig.flash.fault = fault = At(1, swallow, ("program",))
    rig.save()
    assert fault.happened and rig.state.log.arena == 1 and not rig.state.log_damaged
    rig.flash.fault = reads = At(1 << 30, swallow, ("read",))
    rig.put(channel_key(0), 2, channel(98))
    rig.save()
    assert reads.calls < 12  # not all that lies there is looked at again
    assert remount(rig.flash).expected == rig.expected


def test_a_header_that_was_hit_costs_one():
    rig = saved()
    rig.flash.data[units_of(rig.state.log)[0] * 4096] ^= 1
    rig.flash.fault = At(1, swallow, ("program",))
    rig.save()
    assert rig.state.log.arena == 2 and not rig.state.log_damaged
    assert remount(rig.flash).expected == rig.expected


def test_a_damaged_newest_snapshot_waits_for_the_next_one():
    """Though all is there that the next one needs, and the one before is whole: a spill must not go on behind it."""
    for earlier in (0, 1):
        rig = Rig(RamFlash())
        for version in range(earlier + 1):
            fill(rig, 3, version)
            rig.save()
        assert rig.journal.last.number == earlier + 1
        commit = rig.journal.last_end - len(rig.journal.last.body())
        rig.flash.data[rig.state.log.place(commit)[0]] ^= 1
        rig.put(channel_key(0), 9, channel(9))
        rig.flash.fault = At(1, swallow, ("program",))
        assert "newest snapshot is damaged" in (refusal(rig.spill) or ""), earlier
        rig.save()
        assert remount(rig.flash).expected == rig.expected


def test_a_lost_entry_is_no_medium_that_is_gone():
    rig = saved()
    index = rig.state.index
    rig.flash.data[rig.state.log.place(index.position(index.find(channel_key(3))) + 50)[0]] ^= 1
    rig.flash.fault = At(1, swallow, ("program",))
    assert "lost a part of the state" in refusal(rig.spill) and rig.journal.mounted
    rig.put(channel_key(3), 1, channel(5))
    rig.save()
    assert remount(rig.flash).expected == rig.expected


def test_a_spill_before_any_snapshot_is_needed():
    rig = Rig(RamFlash())
    fill(rig, 6)
    rig.spill()
    (unit,) = units_of(rig.state.log)
    assert rig.journal._is_needed(unit) and not rig.journal._is_needed(unit + 1)
    assert Rig(rig.flash).journal.number == 0  # no snapshot has a number yet


def test_units_that_only_a_failed_transaction_opened_are_not_needed():
    """The first of them begins right where the last good one ended."""
    rig = Rig(RamFlash())
    fill(rig, 20)
    rig.spill()
    for nth, units in ((1, 2), (18, 4)):
        rig.put(channel_key(0), 1, channel(99, 5000))
        rig.flash.fault = At(nth, MemoryError(), ("program",))
        try:
            rig.spill()
            raise AssertionError("written without memory")
        except MemoryError:
            rig.flash.fault = None
        assert units_of(rig.state.log) == list(range(units))
        assert [unit for unit in range(16) if rig.journal._is_needed(unit)] == [0, 1]


def test_an_older_or_a_newer_header_in_the_place_of_one():
    rig = saved()
    (unit,) = units_of(rig.state.log)
    writer = rig.journal._writer
    assert headers_hold(writer)
    for arena, start in ((0, 0), (2, 0), (1, 1)):
        header = bytearray(69)
        UnitHeader(4096, 256, arena, 1, start, 0, unit, 1, NODE).pack_into(header)
        rig.flash.data[unit * 4096 : unit * 4096 + 69] = header
        assert not headers_hold(writer)


def test_after_a_checkpoint_that_came_to_nothing_a_start_goes_on_in_a_further_arena():
    """What it left could count as newer than what is written behind the old snapshot."""
    rig = saved()
    rig.journal._must_checkpoint = True
    rig.flash.fault = At(2, MemoryError(), ("program",))
    try:
        rig.save()
        raise AssertionError("saved without memory")
    except MemoryError:
        rig.flash.fault = None
    again = remount(rig.flash)
    again.put(channel_key(0), 1, channel(99))
    again.save()
    assert again.state.log.arena == 3 and remount(rig.flash).expected == rig.expected
