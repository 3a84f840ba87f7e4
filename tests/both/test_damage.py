"""What a write that did not arrive may have hit, and what it costs where it hit nothing."""

from faulty_flash import At, RamFlash, swallow
from journal_rig import Rig, channel, channel_key, fill, refusal, remount
from log_rig import units_of


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
