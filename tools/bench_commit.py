"""The smallest heap in which a board starts and commits one changed channel, with few channels and with many."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.bench_channels import channel_key, multiplied, node_id, values
from tools.bench_device.bench_parts import FileFlash
from tools.bench_state import ERASE, MEDIUM, PROGRAM, flash_with
from tools.bench_table import Row, compare, failed
from tools.bench_vm import compile_firmware, processes, run

from backup_format.log import find_arenas

GOAL = 1.05
FEW, MANY = 10, 1000
_STEP = 1 << 10  # bytes: how exactly the smallest heap is found
_LARGEST = 4 << 20


def rows() -> Iterator[Row]:
    """Bisect on the 64-bit VM, or on the one that MICROPYTHON names."""
    vm, command = list(processes().items())[-1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compile_firmware(folder / "modules")
        for what, exact in (("into the arena", False), ("as a checkpoint", True)):
            title = f"smallest heap for a commit {what}, less the index, {MANY:,} channels, {vm}: with {FEW}"
            needs = []
            for channels in (FEW, MANY):
                flash = folder / "flash"
                flash_with(flash, multiplied(channels), MEDIUM)
                if exact:
                    flash_with(flash, multiplied(channels), (2 * units_used(flash) + 1) * ERASE)
                needs.append(smallest_heap(command, folder, flash))
            if None in needs:
                yield failed(title, f"no commit in {_LARGEST:,} bytes", 0, GOAL)
                continue
            keys = len(multiplied(1))
            index = [int(run(command, folder / "modules", _INDEX.format(keys * n))) for n in (FEW, MANY)]
            yield compare(title, (needs[1] or 0) - index[1], (needs[0] or 0) - index[0], GOAL)


_INDEX = "import bench_commit; bench_commit.index_size({})"


def units_used(flash: Path) -> int:
    """Return how many erase units of the flash file are in use."""
    device = FileFlash(str(flash), ERASE, PROGRAM)
    arenas = find_arenas(device.read_into, ERASE, device.size // ERASE)
    return sum(len(arenas[arena]) for arena in arenas)


def smallest_heap(vm: str, folder: Path, flash: Path) -> int | None:
    """Return the smallest heap (bytes, to _STEP) in which the commit on a copy of flash succeeds; None: none does."""
    key, owner = channel_key(3), bytes.fromhex(node_id())
    low, high = 0, _LARGEST // _STEP + 1
    copy = folder / "copy"
    program = f"import bench_commit; bench_commit.commit({str(copy)!r}, {owner!r}, {key!r}, {values()[-1]!r})"
    while high - low > 1:
        middle = (low + high) // 2
        shutil.copyfile(flash, copy)
        if run(vm, folder / "modules", program, str(middle * _STEP)).strip() == "committed":
            high = middle
        else:
            low = middle
    return high * _STEP if high * _STEP <= _LARGEST else None
