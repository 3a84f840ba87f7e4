"""Runs the fault suite: many cases on all cores, a table at the end; or one case again.

    make faults CASES=1000000 [SEED=1]
    make faults FAMILY=cut CASE=17 [SEED=1]

The table goes to stdout; its last line is `total  <cases>  <lost>  <wrong>`, of our journal. Exit status 1 unless
nothing was lost or wrong.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("firmware", "tests/both", "tests/faults")]

from rich.console import Console  # noqa: E402
from rich.progress import Progress  # noqa: E402
from suite import FAMILIES, KINDS, LITTLEFS, OURS, cases, plan  # noqa: E402

from fault_board import Lost  # noqa: E402

CHUNK = 200
SECONDS = 20  # for one case of littlefs, which damage can lead in circles
SHOWN = 3  # failures of a family that are named


@dataclass
class Result:
    """What came of some cases of a family. failures: [(number, what)]."""

    name: str
    kind: str
    cases: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)

    def note(self, number: int, verdict: tuple[str, str] | None) -> None:
        """Take the verdict of a case in: None, or ("lost" or "wrong", what)."""
        self.cases += 1
        if verdict:
            self.counts[verdict[0]] += 1
            if len(self.failures) < SHOWN:
                self.failures.append((number, f"{verdict[0]}: {verdict[1]}"))


def verdict(name: str, kind: str, seed: int, number: int) -> tuple[str, str] | None:
    """Run a case."""
    try:
        cases(name, kind, seed).run(number)
    except Lost as e:
        return "lost", str(e)
    except Exception as e:  # noqa: BLE001 - whatever it is, the case failed
        return "wrong", f"{type(e).__name__}: {e}"
    return None


def chunk(job: tuple[str, str, int, int, int]) -> Result:
    """Run the cases start ... stop - 1."""
    name, kind, seed, start, stop = job
    result = Result(name, kind)
    if kind == OURS:
        for number in range(start, stop):
            result.note(number, verdict(name, kind, seed, number))
        return result
    cases(name, kind, seed)  # what the children share
    while start + result.cases < stop:
        for number, found in in_child(name, seed, start + result.cases, stop):
            result.note(number, found)
    return result


def in_child(name: str, seed: int, start: int, stop: int) -> Iterator[tuple[int, tuple[str, str] | None]]:
    """Yield (number, verdict) of cases of littlefs, until they are done or one of them ended the process: littlefs' own
    assertions do that, and so does a case that takes too long."""
    receiver, sender = os.pipe()
    child = os.fork()
    if not child:
        os.close(receiver)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with open(sender, "wb") as pipe:
            for number in range(start, stop):
                signal.alarm(SECONDS)
                pickle.dump((number, verdict(name, LITTLEFS, seed, number)), pipe)
                pipe.flush()
        os._exit(0)
    os.close(sender)
    number = start
    with open(receiver, "rb") as pipe:
        while number < stop:
            try:
                found = pickle.load(pipe)
            except EOFError:
                break
            yield found
            number += 1
    os.waitpid(child, 0)
    if number < stop:
        yield number, ("lost", "littlefs aborted, or never came back")


def run(total: int, seed: int, processes: int) -> dict[tuple[str, str], Result]:
    """Run total cases of ours, and as many of littlefs in each family that it can be asked for."""
    results = {(name, kind): Result(name, kind) for name in FAMILIES for kind in KINDS}
    jobs = []
    for name, count in plan(total).items():
        for kind in KINDS if FAMILIES[name].littlefs else (OURS,):
            jobs += [(name, kind, seed, at, min(at + CHUNK, count)) for at in range(0, count, CHUNK)]
    console = Console(stderr=True)
    with multiprocessing.get_context("fork").Pool(processes) as pool, Progress(console=console) as progress:
        bar = progress.add_task("cases", total=sum(stop - start for *_, start, stop in jobs))
        for found in pool.imap_unordered(chunk, jobs):
            result = results[found.name, found.kind]
            result.cases += found.cases
            result.counts += found.counts
            result.failures = sorted(result.failures + found.failures)[:SHOWN]
            progress.advance(bar, found.cases)
    return results


def table(results: dict[tuple[str, str], Result], seed: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"{'family':18}{'places':>9}{'cases':>10}{'lost':>7}{'wrong':>7}   {'littlefs: lost':>14}{'wrong':>7}"
    for name, family in FAMILIES.items():
        ours, theirs = results[name, OURS], results[name, LITTLEFS]
        line = (
            f"{name:18}{cases(name, OURS, seed).count:9}{ours.cases:10}{ours.counts['lost']:7}{ours.counts['wrong']:7}"
        )
        if family.littlefs:
            line += f"   {theirs.counts['lost']:14}{theirs.counts['wrong']:7}"
            line += "" if family.littlefs == "promised" else "   not promised"
        else:
            line += f"   {'-':>14}{'-':>7}"
        yield line
    ours_alone = [result for result in results.values() if result.kind == OURS]
    lost, wrong = (sum(result.counts[what] for result in ours_alone) for what in ("lost", "wrong"))
    yield f"total  {sum(result.cases for result in ours_alone)}  {lost}  {wrong}"


def main() -> int:
    parser = argparse.ArgumentParser(description="The fault suite.")
    parser.add_argument("--cases", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--family", choices=FAMILIES)
    parser.add_argument("--case", type=int)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.case is not None:
        if not options.family:
            parser.error("--case needs --family")
        found = verdict(options.family, OURS, options.seed, options.case)
        print(f"{options.family} {options.case}: {': '.join(found) if found else 'the promise was kept'}")
        return 1 if found else 0
    results = run(options.cases, options.seed, options.processes)
    for result in results.values():
        for number, what in result.failures if result.kind == OURS else ():
            print(f"make faults FAMILY={result.name} CASE={number} SEED={options.seed}   {what}", file=sys.stderr)
    lines = list(table(results, options.seed))
    print("\n".join(lines))
    return 0 if lines[-1].endswith("  0  0") else 1


if __name__ == "__main__":
    sys.exit(main())
