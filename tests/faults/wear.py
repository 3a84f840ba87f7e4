"""Ten years of a board's life on 512 KiB, for docs/reliability.md: how often is each erase unit erased?

    .venv/bin/python tests/faults/wear.py [YEARS]

One write that counts each minute, strategy periodic:10, one start a day. Which entries change, and how large they are
on the medium, is taken from the recorded run, again and again; their content is left out, since coding it would take
most of the time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("firmware", "tests/both")]

from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402

from backup_format.records import Commit  # noqa: E402
from faulty_flash import RamFlash  # noqa: E402
from journal_rig import NODE, SIGNATURE  # noqa: E402
from signer_backup.journal import Journal  # noqa: E402
from signer_backup.state import State  # noqa: E402
from signer_backup.value import CodedValue, code  # noqa: E402

RUN = ROOT / "tests/vectors/signer-run/a.jsonl"
SIZE = 512 * 1024
PER_DAY = 144  # snapshots: a write a minute, ten to a snapshot
PERIODIC = 10
CYCLES = 100_000  # what a NOR flash's data sheet promises each unit

Change = tuple[str, int, bool]  # key, bytes of its coded value, whether it is a recoverable channel


def rounds() -> list[list[Change]]:
    """Return what changed between two snapshots of the recorded run, for all its snapshots."""
    found = []
    pending: dict[str, Change] = {}
    counted = 0
    with RUN.open() as lines:
        next(lines)
        for line in lines:
            message = json.loads(line)
            changed = message.get("node_wrote", []) + message.get("changed", [])
            counts = False
            for key, _before, _version, value, *_signature in changed:
                if value is None:
                    continue
                text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
                coded = code(text)
                recoverable = coded.has_setup and key.startswith("channels/")
                pending[key] = key, sum(map(len, coded.pieces)), recoverable
                counts = counts or recoverable
            counted += counts
            if counts and counted % PERIODIC == 0:
                found.append(list(pending.values()))
                pending = {}
    return found


def life(flash: RamFlash, snapshots: int) -> tuple[int, int]:
    """Write that many snapshots; return (bytes of changed entries, bytes programmed)."""
    changes = rounds()
    changed_bytes = programmed = 0
    state, journal = State(b"salt"), Journal(lambda: flash)
    for number in track(range(snapshots), "snapshots", console=Console(stderr=True)):
        if number % PER_DAY == 0:
            programmed += journal.device.programmed_bytes if journal.device else 0
            state, journal = State(b"salt", 1 << 20), Journal(lambda: flash)
            journal.mount(state)
        for key, size, recoverable in changes[number % len(changes)]:
            state.put(key, number, SIGNATURE, CodedValue(0, [bytes(size)], size, recoverable))
            changed_bytes += size
        index = state.index
        commit = Commit(journal.number + 1, 1, "periodic", "periodic", PERIODIC, index.live, index.channels)
        journal.write(state, NODE, commit)
    return changed_bytes, programmed + journal.device.programmed_bytes


def main() -> None:
    years = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    flash = RamFlash(SIZE)
    snapshots = int(years * 365 * PER_DAY)
    changed, programmed = life(flash, snapshots)
    mean = sum(flash.worn) / len(flash.worn)
    most = max(flash.worn)
    print(f"{years:g} years, {snapshots} snapshots of {changed / snapshots:.0f} changed bytes on average")
    print(f"programmed: {programmed / snapshots:.0f} bytes a snapshot, {programmed / changed:.2f} times what changed")
    print(f"erases of each of {len(flash.worn)} units: {min(flash.worn)} to {most}, max/mean {most / mean:.3f}")
    print(f"{CYCLES} cycles of the most erased unit: {CYCLES / most * years:.0f} years")


if __name__ == "__main__":
    main()
