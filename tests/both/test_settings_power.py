"""Power cuts while the owner's settings are written, and in all that follows: a sample of what tests/faults does at
every call."""

from journal_rig import rounds
from power_workload import HOWS
from settings_workload import SettingsRun, cut_again, cut_run, new_flash, starts_again

STEPS = 30


def writes_of(saves):
    flash = new_flash()
    SettingsRun(flash, saves).go(STEPS)
    return flash.writes


def test_a_sample_of_cuts():
    for saves in (True, False):
        writes = writes_of(saves)
        for i in range(rounds(60)):
            starts_again(*cut_run(STEPS, 1 + i * 37 % writes, HOWS[i % 3], saves))


def test_a_sample_of_second_cuts():
    second = 0
    for saves in (True, False):
        writes = writes_of(saves)
        for i in range(rounds(24)):
            flash, allowed = cut_run(STEPS, 1 + i * 53 % writes, HOWS[i % 3], saves)
            for nth in range(1 + i % 3, 9, 3):
                what = ("save", "spill", "configure")[(i + nth) % 3]
                second += cut_again(flash, allowed, what, nth, HOWS[(i + nth) % 3])
    assert second > 5
