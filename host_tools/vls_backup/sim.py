"""`vls-backup sim`: the simulated board, to try everything without hardware."""

from __future__ import annotations

import time
from pathlib import Path

import click

from vls_backup.atomic import check_output
from vls_backup.console import emit, say
from vls_backup.errors import BackupError
from vls_backup.options import FILE

_EXAMPLES = """\b
Example (two terminals):
  vls-backup sim --flash board.bin
  vls-backup pull --port PORT-THAT-IT-PRINTED --list
"""


@click.command("sim", epilog=_EXAMPLES)
@click.option("--flash", type=FILE, metavar="FILE", default="flash.bin", show_default=True,
              help="The file that is the board's flash; made if it is missing.")  # fmt: skip
@click.option("--strategy", default="new-channels-only", show_default=True,
              help="never, new-channels-only or periodic:N.")  # fmt: skip
@click.option("--idle", is_flag=True, help="Leave the board at its prompt instead of starting the signer's loop.")
def command(flash: str, strategy: str, idle: bool) -> None:
    """Run the simulated board: a real MicroPython with our firmware, its flash a file, its port a pseudo terminal.

    Prints the port on stdout and runs until Ctrl-C, its regular end (status 0). It is a vault: it accepts the state
    that a node sends it.
    """
    from vls_backup_sim.bridge import SimulatedBoard
    from vls_backup_sim.settings import board_settings
    from vls_backup_sim.vm import ROOT

    script = ROOT / "firmware" / "main.py"
    if not script.exists():
        raise BackupError("The simulated board runs from a checkout of vls-backup: install with pip install -e there.")
    check_output(flash)
    try:
        settings = board_settings(Path(flash), strategy)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        with SimulatedBoard(None if idle else script, settings) as board:
            emit(f"{board.port}\n")
            say("The simulated board runs; Ctrl-C ends it.")
            while True:
                time.sleep(1)
    except FileNotFoundError as error:
        raise BackupError(str(error)) from error
    except KeyboardInterrupt:
        say("The simulated board is off; its flash stays in the file.")
