"""The whole recorded run through the firmware's loop: bytes programmed and answered, against gl-client's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.bench_channels import RUN
from tools.bench_device.bench_parts import Board
from tools.bench_greenlight import greenlight_answers
from tools.bench_table import Row, compare

from nor import NorFlash
from replay import ReplayEngine
from signer.loop import SignerLoop
from signer_backup.build import build_backup
from vls_backup.link import Link
from vls_backup_sim.feeder import Feeder

MEDIUM = 1 << 20
UNITS = (4096, 256)  # erase and program unit of RP2040's flash


class NorBoard(Board):
    """The benches' board on the simulated board's flash, which counts."""

    def __init__(self, path: Path, size: int = MEDIUM) -> None:
        """Make the flash in the file path, or open it."""
        super().__init__(str(path), *UNITS)
        self.flash = NorFlash(str(path), size, *UNITS)

    def storage(self) -> NorFlash:
        """Return the flash."""
        return self.flash


class LoopPort:
    """The port of a host program whose board is a SignerLoop in this very process."""

    def __init__(self, board: NorBoard, engine: object) -> None:
        """Start the firmware on board, with a signing engine."""
        self.timeout: float | None = None
        self.to_board = b""
        self.to_host = bytearray()
        store, hook, services = build_backup(board)
        self._loop = SignerLoop(_BoardEnd(self), store, engine, hook, services, board.log)

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        return len(self.to_host)

    def read(self, size: int = 1, /) -> bytes:
        """Return up to size bytes that the board said."""
        data = bytes(self.to_host[:size])
        del self.to_host[:size]
        return data

    def write(self, data: bytes, /) -> int:
        """Give the board data, and let it answer."""
        self.to_board += data
        while self.to_board:
            self._loop.step(0)
        return len(data)


class _BoardEnd:
    def __init__(self, port: LoopPort) -> None:
        self._port = port

    def read(self, timeout_ms: int, limit: int) -> bytes:
        data, self._port.to_board = self._port.to_board[:limit], self._port.to_board[limit:]
        return data

    def write(self, data: bytes) -> None:
        self._port.to_host += data


def play(flash: Path) -> tuple[int, int]:
    """Play the run on a board with a flash in the new file; return (bytes programmed, bytes answered)."""
    feeder = Feeder(RUN)
    board = NorBoard(flash)
    answered = 0
    with RUN.open("rb") as run:
        link = Link(LoopPort(board, ReplayEngine(run)))
        link.hello(attach=True)
        for i in range(len(feeder.requests)):
            response = link.request(feeder.request(i))
            answered += len(response)
            feeder.answer(response)
    if board.said is not None or feeder.state() != feeder.state_after(len(feeder.requests) - 1):
        raise RuntimeError(f"the firmware lost something on the way: {board.said}")
    return board.flash.programmed_bytes, answered


def rows() -> Iterator[Row]:
    """Play the run once."""
    strategies = json.loads(RUN.with_name("a-strategies.json").read_bytes())["strategies"]
    written = next(sum(item["bytes"]) for item in strategies if item["name"] == "periodic_1")
    with tempfile.TemporaryDirectory() as folder:
        programmed, answered = play(Path(folder) / "flash")
    yield compare(
        "programmed bytes over the recorded run, periodic:1, 1 MiB: gl-client's files", programmed, written, 1 / 25
    )
    theirs = sum(map(len, greenlight_answers(RUN)))
    yield compare("bytes answered over the recorded run: gl-client's answers", answered, theirs, 1 / 5)
