"""A scripted run of snapshots, spills and new settings, the power cut somewhere in it, and which settings must be there
afterwards."""

from faulty_flash import Cut, Dice, PowerCut
from journal_rig import NODE, Rig, channel, channel_key
from power_workload import new_flash

CHOICES = (("periodic", 1), ("never", 0), ("new-channels-only", 0), ("periodic", 70000), ("periodic", 4294967295))


class SettingsRun:
    """The workload. settled: the settings that were acknowledged last, None: none yet; trying: those being written.

    saves: it takes snapshots; without, the strategy could be never.
    """

    def __init__(self, flash, saves=True):
        self.rig = Rig(flash)
        self.settled = self.trying = None
        self._saves = saves

    def go(self, steps):
        """Do the first steps of the script. The first one has no node yet."""
        for step in range(steps):
            dice = Dice(step + 1000)
            if dice.roll(3) == 0 or not step:
                self.configure(CHOICES[dice.roll(5)])
            if not step:
                continue
            self.rig.put(channel_key(dice.roll(4)), step, channel(step, 40 + dice.roll(300)))
            if dice.roll(3) == 0 or not self._saves:
                self.rig.spill()
                if dice.roll(2):
                    self.configure(CHOICES[dice.roll(5)])
            else:
                self.rig.save()

    def configure(self, settings):
        """Write settings."""
        self.trying = settings
        self.rig.journal.configure(self.rig.state, settings)
        self.settled = settings

    def allowed(self):
        """Return the settings that a start may find now."""
        return self.settled, self.trying


def cut_run(steps, nth, how, saves=True):
    """Run the workload until the power is cut in its nth write; return (flash, settings allowed), or None: no cut."""
    flash = new_flash()
    run = SettingsRun(flash, saves)
    flash.fault = Cut(flash, nth, how)
    try:
        run.go(steps)
    except PowerCut:
        flash.fault = None
        return flash, run.allowed()
    return None


def after_start(flash, allowed):
    """Start on flash, find settings that are allowed, and return them."""
    found = Rig(flash).journal.settings
    assert found in allowed, (found, allowed)
    return found


def starts_again(flash, allowed):
    """From the cut on the settings stay: over starts with a snapshot, a spill, other settings, and nothing at all."""
    found = after_start(flash, allowed)
    for what in ("nothing", "save", "nothing", "spill", "spill", "save"):
        rig = Rig(flash)
        assert rig.journal.settings == found, what
        act(rig, what, found)
    rig = Rig(flash)
    act(rig, "configure", ("periodic", 77))
    assert Rig(flash).journal.settings == ("periodic", 77)


def act(rig, what, settings):
    """Change one entry, and write: what says how."""
    rig.put("peers/01", len(what), channel(len(what), 300))
    if what == "save":
        rig.save()
    elif what == "spill":
        rig.journal.write(rig.state, NODE)
    elif what == "configure":
        rig.journal.configure(rig.state, settings)


def cut_again(flash, allowed, what, nth, how):
    """Start on flash, and cut the power again in the nth write of what is done then; return whether there was one."""
    flash = flash.copy()
    found = after_start(flash, allowed)
    rig = Rig(flash)
    flash.fault = Cut(flash, nth, how)
    try:
        act(rig, what, ("periodic", 77))
        return False
    except PowerCut:
        flash.fault = None
    starts_again(flash, (found, ("periodic", 77)) if what == "configure" else (found,))
    return True
