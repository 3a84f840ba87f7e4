"""The power is cut at every program and erase of a run that sets settings, and again in what comes after the start."""

import pytest

from faulty_flash import Dice, RamFlash, tear
from power_workload import HOWS
from settings_workload import SettingsRun, cut_again, new_flash, starts_again

STEPS = 40

Image = tuple[RamFlash, tuple[object, object]]


def images(how: str, saves: bool) -> list[Image]:
    """Return what a cut in each write of the workload leaves, with the settings that may be found there."""
    found: list[Image] = []
    flash = new_flash()
    run = SettingsRun(flash, saves)

    def write(op: str, offset: int, data: bytes | None) -> bool:
        if op != "read":
            left = flash.copy()
            tear(left, op, offset, data, how, Dice(len(found)))
            found.append((left, run.allowed()))
        return False

    flash.fault = write
    run.go(STEPS)
    return found


@pytest.mark.parametrize("saves", [True, False], ids=["snapshots", "spills only"])
@pytest.mark.parametrize("how", HOWS)
def test_a_cut_at_every_call(how: str, saves: bool) -> None:
    cuts = images(how, saves)
    assert len(cuts) > 100
    for flash, allowed in cuts:
        starts_again(flash, allowed)
    assert sum(allowed[0] != allowed[1] for _flash, allowed in cuts) > 15


@pytest.mark.parametrize("what", ["save", "spill", "configure"])
def test_a_second_cut_at_every_call_of_the_start_after_it(what: str) -> None:
    second = 0
    for i, (flash, allowed) in enumerate(images("torn", True)):
        if i % 9:
            continue
        nth = 1
        while cut_again(flash, allowed, what, nth, HOWS[(i + nth) % 3]):
            nth += 1
        second += nth - 1
    assert second > 60
