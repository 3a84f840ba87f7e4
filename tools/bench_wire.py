"""Bytes read at mount, and bytes on the wire of a pull, beside mpremote's `fs cp` of the same bytes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.bench_channels import RUN, multiplied
from tools.bench_device.bench_parts import Board
from tools.bench_state import ERASE, PROGRAM, flash_with
from tools.bench_table import Row, compare

from signer_backup.build import build_backup
from vls_backup.snapshots import read_snapshot
from vls_backup.transport import open_board
from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.feeder import Feeder
from vls_backup_sim.settings import board_settings
from vls_backup_sim.vm import ROOT

SECONDS = 120
CHANNELS = 100
SIZE = 512 * 1024  # bytes: the simulated board's flash


class CountingBoard(SimulatedBoard):
    """A simulated board; wire: bytes that went over its port, both ways."""

    wire = 0

    def _typed(self, data: bytes) -> None:
        self.wire += len(data)
        super()._typed(data)

    def _said(self, data: bytes) -> None:
        self.wire += len(data)
        super()._said(data)


class _Mounted(Board):
    """Keeps the flash that it gave out."""

    flash: Any

    def storage(self) -> Any:
        self.flash = super().storage()
        return self.flash


def mount_bytes(flash: Path, size: int) -> int:
    """Return the bytes read by a start on a medium of size bytes that holds a snapshot of the run's last state."""
    feeder = Feeder(RUN)
    flash_with(flash, feeder.state_after(len(feeder.requests) - 1), size)
    board = _Mounted(str(flash), ERASE, PROGRAM)
    build_backup(board)
    return int(board.flash.read_bytes)


def quietly(command: list[str]) -> None:
    """Run a command. Raises RuntimeError with what it said if it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stdout + done.stderr).decode(errors='replace')}")


def pull_bytes(folder: Path) -> tuple[int, int]:
    """Return (bytes that a snapshot takes on the medium, bytes on the wire of `vls-backup pull` of it)."""
    flash = folder / "flash"
    flash_with(flash, multiplied(CHANNELS), SIZE)
    with flash.open("ab") as file:
        file.write(bytes(24))  # the counters of boards/sim/nor.py
    with CountingBoard(ROOT / "firmware" / "main.py", board_settings(flash, "new-channels-only")) as board:
        totals = {0}
        with open_board(str(board.port)) as (link, _hello):
            read_snapshot(link, 0, lambda done, total: totals.add(total))
        before = board.wire
        command = [sys.executable, "-m", "vls_backup", "pull", "--port", str(board.port)]
        quietly([*command, "--output", str(folder / "pulled.json")])
        return max(totals), board.wire - before


def copy_bytes(folder: Path, content: bytes) -> int:
    """Return the bytes on the wire when mpremote copies a file with this content from a board."""
    with CountingBoard() as board:
        (board.port.parent / "files" / "stored").write_bytes(content)
        mpremote = str(Path(sys.executable).with_name("mpremote"))
        quietly([mpremote, "connect", str(board.port), "fs", "cp", ":stored", str(folder / "copied")])
        if (folder / "copied").read_bytes() != content:
            raise RuntimeError("mpremote copied something else")
        return board.wire


def rows() -> Iterator[Row]:
    """Mount on two media, pull from a simulated board, and copy the same bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = (mount_bytes(folder / "mounted", size) for size in (1 << 16, 1 << 20))
        yield compare(
            "mount: bytes read, the recorded run's last state, 1 MiB medium: 64 KiB medium", large, small, 1.5
        )
        stored, wire = pull_bytes(folder)
        what = f"pull of {CHANNELS} channels: bytes on the wire"
        yield compare(f"{what}: bytes on the medium", wire, stored, 1.05)
        copied = copy_bytes(folder, (folder / "flash").read_bytes()[:stored])
        yield compare(f"{what}: mpremote's fs cp of as many bytes of the flash", wire, copied, 1 / 2.5)
