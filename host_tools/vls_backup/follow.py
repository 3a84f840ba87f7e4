"""`vls-backup follow`: a board on a shelf keeps generations of the backup file that a signer elsewhere keeps."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import click

from vls_backup.console import printable, say
from vls_backup.errors import BackupError, BoardError
from vls_backup.options import FILE, PORT
from vls_backup.push import say_snapshot
from vls_backup.reading import read_backup
from vls_backup.transport import open_board
from vls_backup.vault import State, Vault, state_of

_EXAMPLE = """\b
Example, beside a glcli that runs with --backup-path signer-backup.json --backup-strategy periodic:
  vls-backup follow --path signer-backup.json --port /dev/ttyACM0
"""
_LONGEST_WAIT = 60.0  # seconds between two tries at a board that is gone


@dataclass
class Watched:
    """A file that somebody else replaces: read anew when it changed, and only when it can be read whole."""

    path: str
    _seen: tuple[int, int, int] | None = None
    _trouble: str = ""

    def changed(self) -> State | None:
        """Return the file's state if it is another one than last time, else None; tell of trouble once."""
        try:
            found = os.stat(self.path)
            mark = (found.st_ino, found.st_mtime_ns, found.st_size)
            if mark == self._seen:
                return None
            state = state_of(read_backup(self.path))
        except (OSError, BackupError) as error:
            text = str(error)
            if text != self._trouble:
                say(printable(f"Waiting for a whole file: {text}"))
                self._trouble = text
            return None
        self._seen, self._trouble = mark, ""
        return state


@click.command("follow", epilog=_EXAMPLE)
@click.option("--path", required=True, type=FILE, metavar="FILE", help="The backup file to watch.")
@click.option("--port", required=True, type=PORT, help="The board's serial port, for instance /dev/ttyACM0.")
@click.option("--interval", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Seconds between looks.")
def command(path: str, port: str, interval: float) -> None:
    """Watch a backup file and give each new state to a board, until Ctrl-C.

    The file may be replaced, half-written or gone for a while, and the board unplugged: what was missed is made up for.
    """
    if path == "-":
        raise click.UsageError("--path -: standard input cannot be watched: name the file that the signer keeps.")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise BackupError(
            f"{path}: cannot be watched: there is no folder {folder}. Name the file that the signer keeps"
        )
    watched = Watched(path)
    state: State | None = None
    wait = interval
    while True:
        state = watched.changed() or state
        if state is None:
            time.sleep(interval)
            continue
        try:
            with open_board(port) as (link, _hello):
                vault = Vault(link)
                vault.attach(state)
                wait = interval
                say(f"{_now()} the board has the file's state ({len(state)} entries).")
                say_snapshot(link)
                while True:
                    time.sleep(interval)
                    state = watched.changed() or state
                    if sent := vault.send(state):
                        say(f"{_now()} {sent} entries changed.")
                        say_snapshot(link)
        except BoardError as error:
            say(printable(f"{_now()} {error} Trying again in {wait:.0f} seconds."))
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)


def _now() -> str:
    return time.strftime("%H:%M:%S")
