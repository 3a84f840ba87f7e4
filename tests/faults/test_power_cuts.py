"""The power is cut at every single program and erase of a run of snapshots, and once more after it."""

import pytest

from faulty_flash import Cut, Dice, PowerCut, RamFlash, tear
from journal_rig import channel, remount
from power_workload import HOWS, Run, allowed, cut_again, go_on, new_flash

STEPS = 40

Image = tuple[RamFlash, dict[int, dict[str, object]]]


def images(how: str, steps: int = STEPS) -> list[Image]:
    """Return what a cut in each write of the workload leaves, with the snapshots that may be found there."""
    found = []
    flash = new_flash()
    run = Run(flash)

    def write(op: str, offset: int, data: bytes | None) -> bool:
        if op != "read":
            left = flash.copy()
            tear(left, op, offset, data, how, Dice(len(found)))
            found.append((left, allowed(run)))
        return False

    flash.fault = write
    run.go(steps)
    assert len(found) == flash.writes
    return found


@pytest.mark.parametrize("how", HOWS)
def test_a_cut_at_every_call(how: str) -> None:
    cuts = images(how)
    assert len(cuts) > 150
    for flash, found in cuts:
        go_on(flash, found)


def test_a_second_cut_at_every_call_of_the_start_after_it() -> None:
    second = 0
    for i, (flash, found) in enumerate(images("torn")):
        if i % 7:
            continue
        for nth in range(1, 30):
            if not cut_again(flash, found, nth, HOWS[(i + nth) % 3]):
                break
            second += 1
        else:
            pytest.fail("a start and a snapshot took more than 30 writes")
    assert second > 80


def test_cuts_again_and_again() -> None:
    """Three starts in a row whose snapshots never get far: what the first start found is never lost."""
    for i, (flash, found) in enumerate(images("torn")):
        if i % 5 == 0:
            number = remount(flash).journal.number
            for again in range(3):
                cut_early(flash, 1 + (i + again) % 3, HOWS[again])
            go_on(flash, {number: found[number]})


def cut_early(flash: RamFlash, nth: int, how: str) -> None:
    """Start on flash, begin a snapshot of at least six writes, and cut the power in its nth."""
    rig = remount(flash)
    rig.put("big", 0, channel(1, 700))
    flash.fault = Cut(flash, nth, how)
    with pytest.raises(PowerCut):
        rig.save()
    flash.fault = None
