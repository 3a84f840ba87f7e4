"""An exception comes out of any single call of the driver, in a run of snapshots that simply goes on after it."""

import pytest

from faulty_flash import At, Dice, Misread, RamFlash
from journal_rig import remount, snapshots
from power_workload import Run, new_flash

STEPS = 24
STRIDE = 13  # of the calls, each in another place for each exception


class StubbornRun(Run):
    """Goes on after an exception, as the loop does: what was not saved is saved with the next step."""

    def __init__(self, flash: RamFlash) -> None:
        super().__init__(flash)
        self.rig.save = self.try_save
        self.rig.spill = self.try_spill
        self.failures = 0

    def try_save(self) -> None:
        self._try(self.rig.commit())

    def try_spill(self) -> None:
        self._try(None)

    def _try(self, commit: object) -> None:
        try:
            self.rig.journal.write(self.rig.state, b"\x02" + b"\x11" * 32, commit)
        except (OSError, MemoryError, ValueError, KeyboardInterrupt):
            self.failures += 1


def calls_of() -> int:
    flash = new_flash()
    run = StubbornRun(flash)
    flash.fault = fault = At(0, OSError())
    run.go(STEPS)
    return int(fault.calls)


@pytest.mark.parametrize("error", [OSError(5), MemoryError(), KeyboardInterrupt(), ValueError("driver")], ids=repr)
def test_one_exception(error: BaseException) -> None:
    failures = 0
    shift = Dice(len(repr(error))).roll(STRIDE)
    for nth in range(1 + shift, calls_of(), STRIDE):
        flash = new_flash()
        run = StubbornRun(flash)
        flash.fault = fault = At(nth, error)
        run.go(STEPS)
        assert fault.happened and run.failures <= 2
        failures += run.failures
        flash.fault = None
        run.rig.check()
        if run.rig.state.changed:
            run.try_save()
        assert remount(flash).expected == run.rig.expected
    assert failures == 0 if isinstance(error, OSError) else failures > 20  # an OSError is tried again in other units


def test_a_run_of_failing_calls() -> None:
    for nth in range(1, calls_of(), 41):
        flash = new_flash()
        run = StubbornRun(flash)
        flash.fault = At(nth, OSError(5), times=60)
        run.go(STEPS)
        flash.fault = None
        run.try_save()
        run.rig.check()
        assert remount(flash).expected == run.rig.expected


def test_one_wrong_read() -> None:
    """A read gives other bytes once: nothing wrong is saved as right, and nothing is lost but by name."""
    for nth in range(1, calls_of(), STRIDE):
        flash = new_flash()
        run = StubbornRun(flash)
        flash.fault = Misread(flash, nth)
        run.go(STEPS)
        flash.fault = None
        state = run.rig.state
        for key, expected in run.rig.expected.items():
            try:
                entry = state.get(key)
            except OSError:
                entry = state.get(key)
            assert entry is None or (entry.version, entry.signature, entry.value) == expected
            if entry is None and expected[2] is not None:
                run.rig.put(key, *[expected[i] for i in (0, 2, 1)])
        run.try_save()
        newest = [held for _number, whole, held in snapshots(run.rig.journal) if whole][-1]
        for key, found in newest.items():
            assert found == run.rig.expected[key]
        missing = [key for key in run.rig.expected if key not in newest]
        assert all(run.rig.expected[key][2] is None for key in missing)
