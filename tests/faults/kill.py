"""The tests that a mutant of the device code must not survive: a few seconds, fastest first, until one fails.

    python tests/faults/kill.py --measure   # once: which tests are fast enough, kept in build/kill-suite.json
    python tests/faults/kill.py             # exit status 1 if a test fails; ended by a signal if one runs away

Tests of tests/both without pytest, and some cases of each family of the fault suite (docs/reliability.md, "Whether the
suite can fail").
"""

import importlib
import json
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

# Of a mutant no bytecode may stay: the next one has the same size, and may be of the same second.
sys.dont_write_bytecode = "--measure" not in sys.argv

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("firmware", "boards/sim", "boards/drivers", "tests/both", "tests/faults")]

from frozen import FrozenWorkload  # noqa: E402

from fault_board import JournalBoard  # noqa: E402
from fault_cases import Cuts, LiveCases  # noqa: E402
from fault_families import LIVE  # noqa: E402
from fault_rest import Flips, Full, Newer, Noise  # noqa: E402
from fault_workload import script  # noqa: E402

MODULES = """
    records runs log log_checks live ring checked_device index state entries journal journal_faults journal_power
    journal_run mount wrong_reads room damage foreign reopen settings settings_power formatting format_live fault_suite
    memory heap medium_comes_back other_geometry merge replay runtime runtime_faults service strategy armour
    recorded_run
""".split()  # noqa: SIM905
CASES = 8  # of each family
SLOW = 0.3  # seconds of CPU time: a test that takes longer is left out
MEMORY = 1 << 30  # bytes, for a mutant that runs away
SEED = 4
KEPT = ROOT / "build" / "kill-suite.json"


@cache
def workload() -> FrozenWorkload:
    return FrozenWorkload(JournalBoard, script(SEED))


def family(kind: Callable, *args: object) -> None:
    """Run some cases, far apart, of kind(*args, workload, seed)."""
    cases = kind(*args, workload(), SEED)
    for i in range(CASES):
        cases.run(i * 7 + 1)


def tests() -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield (name, test) of all of them."""
    for module in MODULES:
        for name, test in vars(importlib.import_module("test_" + module)).items():
            if name.startswith("test_"):
                yield f"{module}.{name}", test
    for live in LIVE:
        yield f"family {live.name}", partial(family, LiveCases, live)
    for depth in (2, 3):
        yield f"family of {depth} cuts", partial(family, Cuts, depth)
    for kind in (Flips, Full, Newer, Noise):
        yield f"family {kind.name}", partial(family, kind)


def measure() -> None:
    taken = {}
    for name, test in tests():
        began = time.process_time()
        test()
        taken[name] = time.process_time() - began
    fast = {name: seconds for name, seconds in sorted(taken.items(), key=lambda item: item[1]) if seconds <= SLOW}
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(fast, indent=1))
    print(f"{len(fast)} tests of {len(taken)}: {sum(fast.values()):.1f} s")


def run() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    every = dict(tests())
    for name, seconds in json.loads(KEPT.read_text()).items():
        signal.setitimer(signal.ITIMER_PROF, 1 + 5 * seconds)  # its signal ends the process
        try:
            every[name]()
        except BaseException as e:  # noqa: BLE001 - a board may raise KeyboardInterrupt
            sys.exit(f"{name}: {type(e).__name__}: {e}")


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure()
    else:
        run()
