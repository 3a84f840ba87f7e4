"""A sample of every family of the fault suite, on each VM; tests/faults runs all of it on CPython."""

from fault_board import JournalBoard
from fault_cases import Cuts, FaultAndCut, LiveCases, Together
from fault_events import EVENTS, events
from fault_families import BEFORE_CUTS, CARD, LIVE, THROUGH_RUNTIME, Live
from fault_rest import Flips, Foreign, Full, Newer, Noise
from fault_runtime import RuntimeBoard
from fault_workload import Workload, script
from journal_rig import CPYTHON
from sparse_flash import SparseFlash

try:
    from micropython import heap_lock, heap_unlock
except ImportError:  # CPython has no such thing
    heap_lock = heap_unlock = None

SEED = 3
COUNT = 12 if CPYTHON else 6  # cases of each family

_made = []


def workload():
    """Return the scripted run, cut short on slow VMs: a case does it from its beginning."""
    if not _made:
        _made.append(Workload(JournalBoard, script(SEED)[: None if CPYTHON else 24]))
    return _made[0]


def sample(cases):
    """Run some cases, far apart."""
    for i in range(COUNT):
        cases.run(i * 7 + 1)


def test_the_run_passes_every_event_twice():
    found = events(script(SEED))
    for event in EVENTS:
        assert found.get(event, 0) >= 2, (event, found)


def test_faults_while_the_board_works():
    for family in LIVE:
        sample(LiveCases(family, workload(), SEED))


def families(names):
    """Return the Live families of these names."""
    return [family for family in LIVE if family.name in names]


def test_faults_and_then_a_cut():
    sample(FaultAndCut(families(BEFORE_CUTS), workload(), SEED))


def test_faults_under_the_runtime():
    steps = script(SEED)[: None if CPYTHON else 24]
    sample(Together(families(THROUGH_RUNTIME), Workload(RuntimeBoard, steps), SEED))


class LockedHeap:
    """In the nth call of the medium the heap is locked: what needs memory next raises MemoryError, up to unlock()."""

    after = None
    locked = 0

    def __init__(self, nth):
        self._left = nth

    def __call__(self, op, offset, data):
        self._left -= 1
        if not self._left:
            heap_lock()
            LockedHeap.locked += 1
        return False

    @staticmethod
    def unlock():
        if LockedHeap.locked:
            heap_unlock()
            LockedHeap.locked -= 1


class Unlocking(Workload):
    """A workload where the memory is back after the step. told: steps that the lack of it ended."""

    told = 0

    def do(self, step, board, ledger):
        try:
            super().do(step, board, ledger)
        finally:
            LockedHeap.unlock()
            self.told += ledger.told


def test_no_memory_left_after_a_call():
    if heap_lock:
        family = Live("no-memory", "rpe", 1, lambda board, nth, variant, dice: LockedHeap(nth), "full")
        workload = Unlocking(JournalBoard, script(SEED)[:24])
        cases = LiveCases(family, workload, SEED)
        for i in range(20):
            cases.run(i)
        assert workload.told > 10


def test_cuts_in_the_recovery_from_cuts():
    for depth in (2, 3):
        sample(Cuts(depth, workload(), SEED))


def test_damage_at_rest_and_media_that_must_not_be_written():
    for kind in (Flips, Noise, Foreign, Newer, Full):
        sample(kind(workload(), SEED))


def test_a_card_with_damaged_neighbours():
    steps = [[("start",), ("put", i % 3, 60), ("save",)] for i in range(24 if CPYTHON else 10)]
    sample(LiveCases(CARD[0], Workload(JournalBoard, steps, SparseFlash), SEED))
