"""A share of the fault suite, and whether the suite can fail. FAULT_CASES: how many cases (default 3000)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from frozen import FrozenWorkload
from run import verdict
from suite import FAMILIES, LITTLEFS, OURS, plan

from fault_board import JournalBoard
from fault_cases import LiveCases, spread
from fault_events import EVENTS, events
from fault_families import LIVE
from fault_workload import script

ROOT = Path(__file__).resolve().parents[2]
CASES = int(os.environ.get("FAULT_CASES", "3000"))
SEED = 2


def failures(name: str, kind: str, count: int) -> list[tuple[int, tuple[str, str]]]:
    """Return (number, verdict) of the cases that failed."""
    return [(number, found) for number in range(count) if (found := verdict(name, kind, SEED, number))]


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str) -> None:
    assert not failures(name, OURS, plan(CASES)[name])


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_run_passes_every_event_twice(seed: int) -> None:
    found = events(script(seed))
    assert {event: found.get(event, 0) for event in EVENTS if found.get(event, 0) < 2} == {}


@pytest.mark.parametrize("count", [1, 2, 7, 1000, 2776, 131072])
def test_the_first_numbers_are_every_place_once(count: int) -> None:
    """A run of as many cases as there are places leaves none out; a tenth of them leaves no large gap."""
    assert len({spread(number, count) for number in range(count)}) == count
    some = sorted(spread(number, count) for number in range(max(1, count // 10)))
    assert max(b - a for a, b in zip([0, *some], [*some, count], strict=True)) <= 100 or count < 100


class Forgetful(JournalBoard):
    """Says that it saved, and did not, now and then."""

    def save(self, begin):  # type: ignore[no-untyped-def]
        self.ready()
        if len(self.state.changed) == 2:
            begin(self.number + 1)
        else:
            super().save(begin)


class Garbling(JournalBoard):
    """Gives back a value that is not the one that was saved."""

    def read(self):  # type: ignore[no-untyped-def]
        return {
            key: (version, signature, value and value.replace(b'"id":7', b'"id":8'))
            for key, (version, signature, value) in super().read().items()
        }


@pytest.mark.parametrize(("kind", "what"), [(Forgetful, "lost"), (Garbling, "wrong")])
def test_a_board_that_breaks_the_promise_is_found(kind: type, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workload is recorded with a good board; the cases run with a bad one."""
    workload = FrozenWorkload(JournalBoard, script(SEED))
    monkeypatch.setattr(workload, "kind", kind)
    reach = workload.reach

    def reach_bad(step: int) -> object:
        board, ledger = reach(step)
        board.__class__ = kind
        return board, ledger

    monkeypatch.setattr(workload, "reach", reach_bad)
    bad = LiveCases(LIVE[0], workload, SEED)
    monkeypatch.setattr("run.cases", lambda *_: bad)
    assert what in {found[0] for _number, found in failures("cut", OURS, 100)}


def test_littlefs_beside_it() -> None:
    """Power cuts do littlefs no harm; flipped bits, which it says nothing of, do."""
    assert failures("cut", LITTLEFS, 100) == []
    assert failures("cut-twice", LITTLEFS, 60) == []
    assert "wrong" in {found[0] for _number, found in failures("flip", LITTLEFS, 100)}


def test_the_runner() -> None:
    """The table's last line, and the exit status."""
    command = [sys.executable, "tests/faults/run.py", "--cases", "100", "--seed", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    total = re.fullmatch(r"total  100  (\d+)  (\d+)", lines[-1])
    assert total, done.stderr
    assert [line.split()[0] for line in lines[1:-1]] == list(FAMILIES)
    assert done.returncode == (1 if int(total[1]) + int(total[2]) else 0)


def test_a_case_again() -> None:
    command = [sys.executable, "tests/faults/run.py", "--family", "cut", "--case", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "cut 7: the promise was kept\n" and done.returncode == 0
