"""A sample of every family of the fault suite, on each VM; tests/faults runs all of it on CPython."""

from fault_board import JournalBoard
from fault_cases import Cuts, LiveCases
from fault_events import EVENTS, events
from fault_families import CARD, LIVE, PENDING
from fault_rest import Flips, Foreign, Full, Newer, Noise
from fault_workload import Workload, script
from journal_rig import CPYTHON
from sparse_flash import SparseFlash

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
        if family.name not in PENDING:
            sample(LiveCases(family, workload(), SEED))


def test_cuts_in_the_recovery_from_cuts():
    for depth in (2, 3):
        sample(Cuts(depth, workload(), SEED))


def test_damage_at_rest_and_media_that_must_not_be_written():
    for kind in (Flips, Noise, Foreign, Newer, Full):
        if kind.name not in PENDING:
            sample(kind(workload(), SEED))


def test_a_card_with_damaged_neighbours():
    steps = [[("start",), ("put", i % 3, 60), ("save", 0)] for i in range(24 if CPYTHON else 10)]
    family = CARD[0]
    if family.name not in PENDING:
        sample(LiveCases(family, Workload(JournalBoard, steps, SparseFlash), SEED))
