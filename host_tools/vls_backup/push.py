"""`vls-backup push`: a backup file into a board that serves as a vault."""

from __future__ import annotations

import click

from vls_backup.console import printable, say
from vls_backup.link import Link
from vls_backup.options import FILE, PORT
from vls_backup.reading import read_backup
from vls_backup.snapshots import status
from vls_backup.transport import open_board
from vls_backup.vault import Vault, state_of

_EXAMPLE = """\b
Example:
  vls-backup push --path backup.json --port /dev/ttyACM0
"""


@click.command("push", epilog=_EXAMPLE)
@click.option("--path", required=True, type=FILE, metavar="FILE", help="The backup file; - reads standard input.")
@click.option("--port", required=True, type=PORT, help="The board's serial port, for instance /dev/ttyACM0.")
def command(path: str, port: str) -> None:
    """Put the state of a backup file onto a board that serves as a vault.

    What the board holds in a newer version stays as it is. The board takes a snapshot by its own strategy.
    """
    backup = read_backup(path)
    state = state_of(backup)
    with open_board(port) as (link, hello):
        say(printable(f"Board {hello.get('board')}, firmware {hello.get('firmware')}."))
        vault = Vault(link)
        vault.attach(state)
        say(f"The board holds {len(state)} entries of node {backup.node_id.hex()}.")
        if vault.newer:
            say(f"Note: of {len(vault.newer)} entries the board holds a newer version, which stays.")
        say_snapshot(link)


def say_snapshot(link: Link) -> None:
    """Tell which snapshot the board has now, and whether it holds everything."""
    says = status(link)
    number = says.get("snapshot")
    if says.get("last_error"):
        say(printable(f"Warning: the board could not take a snapshot: {says['last_error']}. It tries again by itself."))
    elif number is None:
        say("The board has no snapshot yet: its strategy is never, or no channel is recoverable.")
    elif says.get("unwritten"):
        say(f"Its newest snapshot is number {number}; the changes since then wait for its strategy's next one.")
    else:
        say(f"Its newest snapshot is number {number}.")
