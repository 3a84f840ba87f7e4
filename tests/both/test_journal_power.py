"""Power cuts in a run of snapshots: a sample of what tests/faults does at every call."""

from journal_rig import rounds
from power_workload import HOWS, Run, cut_again, cut_run, go_on, new_flash, writes_of

STEPS = 40


def test_the_workload_wears_the_whole_medium():
    flash = new_flash()
    run = Run(flash)
    run.go(STEPS)
    assert min(flash.worn) >= 2 and max(run.rig.journal.arenas()) >= 4, flash.worn


def test_a_sample_of_cuts():
    writes = writes_of(STEPS)
    for i in range(rounds(60)):
        flash, found = cut_run(STEPS, 1 + i * 37 % writes, HOWS[i % 3])
        go_on(flash, found)


def test_a_sample_of_second_cuts():
    writes = writes_of(STEPS)
    second = 0
    for i in range(rounds(30)):
        flash, found = cut_run(STEPS, 1 + i * 53 % writes, HOWS[i % 3])
        for nth in range(1 + i % 3, 9, 3):
            second += cut_again(flash, found, nth, HOWS[(i + nth) % 3])
    assert second > 5
