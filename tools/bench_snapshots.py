"""A thousand snapshots with one channel changed in each: bytes programmed, and erases against littlefs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from littlefs import LittleFS
from littlefs.context import UserContext
from tools.bench_channels import channel_key, multiplied, node_id, values
from tools.bench_run import UNITS, NorBoard
from tools.bench_table import Row, compare

from backup_format.compact import encode
from backup_format.frames import STATUS
from backup_format.log import find_arenas, open_log
from backup_format.records import COMMIT, ENTRY, RECORD_HEADER
from backup_format.runs import Arenas
from nor import NorFlash
from signer.store import Entry
from signer_backup.build import build_backup
from vls_backup.hsm import StateEntry

SNAPSHOTS = 1000
CHANNELS = 100
MEDIUM = 1 << 20
PROGRAM = UNITS[1]


@dataclass(frozen=True)
class Cost:
    """What the snapshots cost. entry: mean bytes of a changed entry as a record on the medium; delta: mean bytes that a
    snapshot without a checkpoint programmed; on_top: what checkpoints added, as a share of the rest; erases: all;
    state: bytes of the last state, each value in compact coding.
    """

    entry: float
    delta: float
    on_top: float
    erases: int
    state: int

    @property
    def mean(self) -> float:
        """Bytes programmed per snapshot, checkpoints included."""
        return self.delta * (1 + self.on_top)


def changed_entries(flash: NorFlash, arena: int) -> list[int]:
    """Return the bytes of each entry's record behind the first snapshot of an arena, which is a checkpoint."""
    log = open_log(flash.read_into, flash.erase_size, arena, _arenas(flash)[arena])
    sizes = []
    is_behind = False
    for _position, kind, length in log.records():
        if kind == ENTRY and is_behind:
            sizes.append(RECORD_HEADER + length)
        is_behind |= kind == COMMIT
    return sizes


def snapshots(flash: Path, channels: int, size: int = MEDIUM) -> Cost:
    """Take SNAPSHOTS snapshots of a state with so many channels on a medium of size bytes in the new file flash."""
    board = NorBoard(flash, size)
    _store, observe, services = build_backup(board)
    state = multiplied(channels)
    owner = bytes.fromhex(node_id())
    observe(owner, [(key, None, _entry(entry)) for key, entry in state.items()])
    nor = board.flash
    programmed, erases, arena = nor.programmed_bytes, nor.erases, _newest_arena(nor)
    erased = erases
    deltas: list[int] = []
    whole: list[int] = []
    entries: list[int] = []
    pool = values()
    for i in range(SNAPSHOTS):
        key = channel_key(i * 37 % channels)
        new = StateEntry(state[key].version + 1, pool[i % len(pool)], state[key].signature)
        observe(owner, [(key, _entry(state[key]), _entry(new))])
        state[key] = new
        was = arena
        if nor.erases != erased:
            arena, erased = _newest_arena(nor), nor.erases
        if arena != was:
            entries += changed_entries(nor, was)
        (deltas if arena == was else whole).append(nor.programmed_bytes - programmed)
        programmed = nor.programmed_bytes
    status = json.loads(services[STATUS](b""))
    if status["snapshot"] != SNAPSHOTS + 1 or status["failures"]:
        raise RuntimeError(f"the firmware did not take every snapshot: {board.said}")
    entries += changed_entries(nor, arena)
    if len(entries) != len(deltas):
        raise RuntimeError(f"{len(entries)} entries in {len(deltas)} snapshots")
    delta = sum(deltas) / len(deltas)
    on_top = (sum(whole) - delta * len(whole)) / (delta * SNAPSHOTS)
    coded = sum(len(key) + len(entry.signature) + len(encode(entry.value)) for key, entry in state.items())
    return Cost(sum(entries) / len(entries), delta, on_top, nor.erases - erases, coded)


def _arenas(flash: NorFlash) -> Arenas:
    found: Arenas = find_arenas(flash.read_into, flash.erase_size, flash.size // flash.erase_size)
    return found


def _newest_arena(flash: NorFlash) -> int:
    newest: int = max(_arenas(flash))
    return newest


def _entry(entry: StateEntry) -> Entry:
    return Entry(entry.version, entry.signature, entry.value)


class _OnFlash(UserContext):
    """littlefs' block device on the same flash."""

    def __init__(self, flash: NorFlash) -> None:
        self._flash = flash

    def read(self, cfg: object, block: int, off: int, size: int) -> bytearray:
        data = bytearray(size)
        self._flash.read_into(block * UNITS[0] + off, data)
        return data

    def prog(self, cfg: object, block: int, off: int, data: bytes) -> int:
        self._flash.program(block * UNITS[0] + off, data)
        return 0

    def erase(self, cfg: object, block: int) -> int:
        self._flash.erase(block * UNITS[0])
        return 0


def littlefs_erases(flash: Path, state: int, size: int = MEDIUM) -> int:
    """Return the erases of a littlefs file of state bytes that is rewritten (new file, rename) SNAPSHOTS times."""
    nor = NorFlash(str(flash), size, *UNITS)
    options: Any = {"block_size": UNITS[0], "block_count": size // UNITS[0], "prog_size": PROGRAM, "read_size": PROGRAM}
    fs = LittleFS(context=_OnFlash(nor), mount=False, cache_size=PROGRAM, lookahead_size=32, **options)
    fs.format()
    fs.mount()
    erases = nor.erases
    content = bytes(i * 7 & 0xFF for i in range(state))
    for _ in range(SNAPSHOTS):
        with fs.open("backup.new", "wb") as file:
            file.write(content)
        fs.rename("backup.new", "backup")
    done: int = nor.erases - erases
    nor.close()
    return done


def rows() -> Iterator[Row]:
    """Measure with CHANNELS channels."""
    medium = f"1 of {CHANNELS} channels changed, 1 MiB"
    with tempfile.TemporaryDirectory() as folder:
        cost = snapshots(Path(folder) / "ours", CHANNELS)
        allowed = cost.entry + 1.5 * PROGRAM
        name = f"programmed bytes of a snapshot, {medium}, mean of {SNAPSHOTS:,}: changed entry + 1.5 program units"
        yield compare(name, cost.delta, allowed, 1)
        yield compare(f"bytes that checkpoints add, {medium}: all other programmed bytes", cost.on_top, 1, 0.25)
        theirs = littlefs_erases(Path(folder) / "littlefs", cost.state)
    yield compare(f"erases per {SNAPSHOTS:,} snapshots, {medium}: littlefs file rewritten", cost.erases, theirs, 1 / 10)
