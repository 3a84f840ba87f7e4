"""All families of the fault suite, with their shares of a run, for our journal and for littlefs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol

from frozen import FrozenWorkload
from littlefs_board import LittlefsBoard, overwritable_flash

from fault_board import JournalBoard
from fault_cases import Cuts, FaultAndCut, LiveCases, Together
from fault_families import BEFORE_CUTS, CARD, LIVE, THROUGH_RUNTIME, Live, os_error_on_writes
from fault_rest import Flips, Foreign, Full, Newer, Noise
from fault_runtime import RuntimeBoard
from fault_workload import card_script, new_flash, script
from sparse_flash import SparseFlash

OURS, LITTLEFS = "ours", "littlefs"
KINDS = (OURS, LITTLEFS)


class Cases(Protocol):
    """The cases of a family: run(number) raises Lost or Wrong; count: the numbers below it cover every place."""

    count: int

    def run(self, number: int) -> None: ...


@dataclass(frozen=True)
class Family:
    """share: of a run's cases, in percent. littlefs: "promised", "not promised", or "" where it can't be asked."""

    share: int
    littlefs: str


FAMILIES = {
    "cut": Family(7, "promised"),
    "cut-unstable": Family(4, "promised"),
    "cut-twice": Family(8, "promised"),
    "cut-thrice": Family(6, "promised"),
    "reorder": Family(3, "promised"),
    "neighbours": Family(1, "not promised"),
    "silent": Family(3, "promised"),
    "wrong-bytes": Family(4, "promised"),
    "misdirected-write": Family(5, "not promised"),
    "misdirected-read": Family(6, "not promised"),
    "stale-read": Family(4, "not promised"),
    "os-error": Family(6, "promised"),
    "memory-error": Family(3, ""),
    "interrupt": Family(3, ""),
    "worn": Family(3, "promised"),
    "fault-and-cut": Family(4, "promised"),
    "runtime": Family(8, ""),
    "flip": Family(14, "not promised"),
    "noise": Family(3, "not promised"),
    "full": Family(2, "promised"),
    "foreign": Family(1, ""),
    "newer": Family(2, ""),
}
assert sum(family.share for family in FAMILIES.values()) == 100


@cache
def _workload(kind: str, name: str, seed: int) -> FrozenWorkload:
    board = JournalBoard if kind == OURS else LittlefsBoard
    if name == "runtime":
        return FrozenWorkload(RuntimeBoard, script(seed), new_flash)
    if name == "neighbours":
        return FrozenWorkload(board, card_script(seed), SparseFlash)
    return FrozenWorkload(board, script(seed), new_flash if kind == OURS else overwritable_flash)


@cache
def cases(name: str, kind: str, seed: int) -> Cases:
    """Return the cases of a family for OURS or LITTLEFS."""
    live: dict[str, Live] = {family.name: family for family in (*LIVE, *CARD)}
    workload = _workload(kind, name if name in ("runtime", "neighbours") else "", seed)
    if name == "os-error" and kind == LITTLEFS:  # where a read can't fail
        return LiveCases(os_error_on_writes(), workload, seed)
    if name in live:
        return LiveCases(live[name], workload, seed)
    if name in ("cut-twice", "cut-thrice"):
        return Cuts(2 if name == "cut-twice" else 3, workload, seed)
    if name == "runtime":
        return Together([live[other] for other in THROUGH_RUNTIME], workload, seed)
    if name == "fault-and-cut":
        return FaultAndCut([live[other] for other in BEFORE_CUTS], workload, seed)
    rest = {"flip": Flips, "noise": Noise, "full": Full, "foreign": Foreign, "newer": Newer}
    return rest[name](workload, seed)


def plan(total: int) -> dict[str, int]:
    """Return how many cases of each family a run of total has."""
    counts = {name: total * family.share // 100 for name, family in FAMILIES.items()}
    counts["cut"] += total - sum(counts.values())
    return counts
