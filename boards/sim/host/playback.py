"""Plays a recorded run through a simulated board: the feeder is the node, the board signs and keeps its snapshots."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import serial

from vls_backup.errors import BoardError
from vls_backup.link import Link
from vls_backup.snapshots import status
from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.feeder import Feeder

_BOOT_SECONDS = 20  # within which a board must answer after its power came back


@dataclass(frozen=True)
class SnapshotNote:
    """A snapshot that the board took. programmed_bytes: everything that its flash was programmed with since the one
    before, failed attempts and checkpoints included."""

    after_request: int
    trigger: str
    programmed_bytes: int


class Playback:
    """One run on one board. snapshots: what the board took so far; resumed_at: the last request before the cut whose
    answer the node has, or None."""

    def __init__(self, board: SimulatedBoard, flash: Path, feeder: Feeder) -> None:
        """board runs firmware/main.py on flash, a NorFlash file."""
        self._board = board
        self._flash = flash
        self._feeder = feeder
        self._answered = -1
        self._cuts = board.power_cuts  # that were dealt with
        self._number = 0
        self._programmed = 0
        self.snapshots: list[SnapshotNote] = []
        self.resumed_at: int | None = None

    def run(self, cut_at: int | None = None, say: Callable[[str], None] = lambda text: None) -> None:
        """Send every request; cut the power at the first program or erase of the flash from request cut_at on.

        say is told each phase of the run and what happens to the board. Raises BoardError.
        """
        feeder = self._feeder
        with serial.Serial(str(self._board.port), timeout=1) as port:
            self._link = Link(port)
            for i, recorded in enumerate(feeder.requests):
                if "phase" in recorded.line:
                    say(f"request {i:>4}: {recorded.line['phase']}")
                if feeder.attaches_before(i):
                    if i:
                        say(f"request {i:>4}: the recorded signer began anew here: so does the board")
                        self._board.cut_power()
                        self._cuts = self._board.power_cuts
                    feeder.attach()
                    self._hello()
                if i == cut_at:
                    self._flash.with_name(self._flash.name + ".cut").write_text("1")
                self._send(i, say)

    def _send(self, i: int, say: Callable[[str], None]) -> None:
        while self._answered < i:
            try:
                self._feeder.answer(self._link.request(self._feeder.request(i)))
                self._answered = i
                self._note_snapshot()
            except BoardError:
                if self._board.power_cuts == self._cuts:
                    raise
                self._cuts = self._board.power_cuts
                say(f"request {self._answered:>4}: POWER CUT while the board wrote to its flash; the node attaches anew")
                self.resumed_at = self._answered
                self._hello()
                self._feeder.answer(self._link.request(self._feeder.greeting()))
                self._note_snapshot()

    def _hello(self) -> None:
        """Attach, as soon as the board answers."""
        deadline = time.monotonic() + _BOOT_SECONDS
        while True:
            try:
                self._link.hello(attach=True, attempts=1)
                return
            except BoardError:
                if time.monotonic() > deadline:
                    raise

    def _note_snapshot(self) -> None:
        says = status(self._link)
        number = says["snapshot"] or 0
        if number != self._number:
            programmed = programmed_bytes(self._flash)
            self.snapshots.append(SnapshotNote(self._answered, says["trigger"], programmed - self._programmed))
            self._number, self._programmed = number, programmed


def programmed_bytes(flash: Path) -> int:
    """Return how many bytes the flash in this file was ever programmed with (nor.py: the trailer's first counter)."""
    with flash.open("rb") as file:
        file.seek(-24, 2)
        return int.from_bytes(file.read(8), "little")
