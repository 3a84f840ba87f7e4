"""A scripted run of snapshots and spills, the power cut somewhere in it, and what must be there afterwards."""

from backup_format.records import TOMBSTONE_VERSION
from faulty_flash import Cut, Dice, PowerCut, RamFlash
from journal_rig import Rig, channel, channel_key, remount

HOWS = ("torn", "before", "after")


def new_flash():
    """Return a small flash of many units: some hundred calls reach through several arenas and around the ring."""
    return RamFlash(16384, 1024, 128)


class Run:
    """The workload on a flash. history: the state at each snapshot, before the first one {}; rig: the board."""

    def __init__(self, flash):
        self.history = [{}]
        self.rig = Rig(flash)

    def go(self, steps):
        """Do the first steps of the script; each is a snapshot after a few changes, now and then with a spill."""
        for step in range(steps):
            dice = Dice(step)
            for _ in range(1 + dice.roll(3)):
                key = channel_key(dice.roll(6))
                held = self.rig.expected.get(key)
                if held is not None and dice.roll(8) == 0:
                    self.rig.delete(key)
                elif held is None or held[0] != TOMBSTONE_VERSION or dice.roll(2):
                    version = 0 if held is None or held[0] == TOMBSTONE_VERSION else held[0] + 1
                    self.rig.put(key, version, channel(step, 40 + dice.roll(300)))
                if dice.roll(5) == 0:
                    self.rig.spill()
            self.rig.save()
            self.history.append(dict(self.rig.expected))


def writes_of(steps):
    """Return how many programs and erases the workload takes."""
    flash = new_flash()
    Run(flash).go(steps)
    return flash.writes


def allowed(run):
    """Return {number of the newest snapshot: the state then} that a start may find now: the last one, or, if the cut
    came after its very last byte, the one that was being written."""
    number = len(run.history) - 1
    return {number: run.history[-1], number + 1: dict(run.rig.expected)}


def cut_run(steps, nth, how):
    """Run the workload until the power is cut in its nth program or erase; return (flash, what is allowed)."""
    flash = new_flash()
    run = Run(flash)
    flash.fault = Cut(flash, nth, how)
    try:
        run.go(steps)
    except PowerCut:
        flash.fault = None
        return flash, allowed(run)
    raise AssertionError("the power was not cut")


def start(flash, found):
    """Start the board on flash; what is there is found's (see allowed)."""
    again = remount(flash)
    assert again.expected == found[again.journal.number]
    assert again.journal.number == (0 if again.journal.last is None else again.journal.last.number)
    return again


def go_on(flash, found):
    """Start the board on flash, and save again: that snapshot comes back."""
    rig = start(flash, found)
    rig.put("after", rig.journal.number, channel(rig.journal.number, 100))
    rig.save()
    assert start(flash, {rig.journal.number: rig.expected}).journal.number == rig.journal.number


def cut_again(flash, found, nth, how):
    """Cut the power once more, in the nth write of the start after a cut; return whether there was one."""
    flash = flash.copy()
    flash.fault = Cut(flash, nth, how)
    rig = start(flash, found)
    number, before = rig.journal.number, dict(rig.expected)
    rig.put("after", number, channel(number, 100))
    try:
        rig.save()
        return False
    except PowerCut:
        flash.fault = None
    go_on(flash, {number: before, number + 1: rig.expected})
    return True
