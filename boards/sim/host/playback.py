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
        self._cut_ordered = False
        self._number = 0
        self._programmed = 0
        self.snapshots: list[SnapshotNote] = []
        self.resumed_at: int | None = None

    def run(self, cut_at: int | None = None, say: Callable[[str], None] = lambda text: None) -> None:
        """Send every request; cut the power at the first program or erase of the flash from request cut_at on.

        say is told each phase of the run and what happens to the board. Raises BoardError, also when the board dies
        of itself.
        """
        feeder = self._feeder
        with serial.Serial(str(self._board.port), timeout=1) as port:
            self._link = Link(port, timeout=0.25, attempts=40)
            for i, recorded in enumerate(feeder.requests):
                if "phase" in recorded.line:
                    say(f"request {i:>4}: {recorded.line['phase']}")
                if feeder.attaches_before(i):
                    if i:
                        say(f"request {i:>4}: the recorded signer began anew here: so does the board")
                        self._board.cut_power()
                    feeder.attach()
                    self._hello()
                if i == cut_at:
                    self._flash.with_name(self._flash.name + ".cut").write_text("1")
                    self._cut_ordered = True
                self._send(i, say)

    def _send(self, i: int, say: Callable[[str], None]) -> None:
        """Send request i, again after a power cut unless its answer had come before."""
        cuts = self._board.power_cuts
        while self._answered < i:
            try:
                self._feeder.answer(self._link.request(self._feeder.request(i)))
                self._answered = i
                self._note_snapshot(i)
            except BoardError:
                if self._board.power_cuts == cuts:
                    raise
            # A cut may leave no other sign: the board writes after its answer, and comes back while we ask again.
            if self._board.power_cuts != cuts:
                cuts = self._board.power_cuts
                if not self._cut_ordered:
                    raise BoardError(f"The simulated board died at request {i}, and nobody had cut its power.")
                self._cut_ordered = False
                say(f"request {i:>4}: POWER CUT while the board wrote to its flash; the node attaches anew")
                self._resume(i)

    def _resume(self, i: int) -> None:
        """Attach after a power cut at request i."""
        feeder = self._feeder
        self.resumed_at = self._answered
        self._hello()
        self._note_snapshot(i)  # it was complete, though we could not hear of it
        feeder.answer(self._link.request(feeder.greeting()))
        self._note_snapshot(i if feeder.state() == feeder.state_after(i) else self._answered)

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

    def _note_snapshot(self, after_request: int) -> None:
        """Ask the board for its newest snapshot, and note it if it is new."""
        says = status(self._link)
        number = says["snapshot"] or 0
        if number != self._number:
            programmed = programmed_bytes(self._flash)
            self.snapshots.append(SnapshotNote(after_request, says["trigger"], programmed - self._programmed))
            self._number, self._programmed = number, programmed


def programmed_bytes(flash: Path) -> int:
    """Return how many bytes the flash in this file was ever programmed with (nor.py: the trailer's first counter)."""
    with flash.open("rb") as file:
        file.seek(-24, 2)
        return int.from_bytes(file.read(8), "little")
