"""The command `vls-backup`: finds the subcommands, and turns every failure into one plain line and a status."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

import click

from vls_backup import __version__
from vls_backup.console import printable, say
from vls_backup.errors import EXIT_STATUS_HELP, BackupError

COMMANDS = {
    "pull": ("pull", "Fetch a backup from a signer's board over its serial port."),
    "inspect-backup": ("inspect", "Check a backup file and list the channels that it can recover."),
    "verify": ("verify", "Check all that can be known of a backup without the network, also against the seed."),
    "diff": ("diff", "Tell what changed between two backups, and which is newer."),
    "convert-backup": ("convert", "Make Core Lightning's recoverchannel input of a backup."),
    "decode": ("decode", "Show a static channel backup (SCB) field by field, and what is wrong with it."),
    "recover": ("recover", "Give a backup's channels to lightningd, and follow them until the money is there."),
    "status": ("status", "Tell how a board's backups are doing."),
    "configure": ("configure", "Set by which strategy a board takes snapshots."),
    "format": ("format", "Erase a board's backup medium, so that backups can begin on it."),
    "devices": ("devices", "List the serial ports that a board may be at."),
    "push": ("push", "Put a backup file onto a board that serves as a vault."),
    "follow": ("follow", "Give a board each new state of a backup file that a signer elsewhere keeps."),
    "deploy": ("deploy", "Put the firmware onto a board that runs MicroPython."),
    "sim": ("sim", "Run a simulated board, to try everything without hardware."),
}
"""Name -> (module of this package with a click command named `command`, one line of help). Imported when used."""

INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports a subcommand's module only when that subcommand runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the subcommand, or None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"vls_backup.{COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"\b\nExample:\n  vls-backup inspect-backup --path backup.json --format text\n\n\b\n{EXIT_STATUS_HELP}",
)
@click.option("--debug", is_flag=True, help="On failure, show the Python traceback too.")
@click.version_option(__version__, prog_name="vls-backup", message="%(prog)s %(version)s")
@click.pass_obj
def group(state: dict[str, bool], debug: bool) -> None:
    """Recovery backups of a Lightning signer: look into them, and make Core Lightning recovery input of them."""
    state["debug"] = debug


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; see EXIT_STATUS_HELP. Never lets a traceback out without --debug."""
    state = {"debug": False}
    try:
        result = group.main(arguments, prog_name="vls-backup", obj=state, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        with suppress(OSError):  # nobody may be listening
            error.show()
        return error.exit_code
    except click.Abort:
        return _failed("stopped by Ctrl-C", INTERRUPTED, state)
    except BackupError as error:
        return _failed(str(error), error.exit_status, state)
    except OSError as error:
        return _failed(f"{error.filename or 'the system'}: {error.strerror or error}", BackupError.exit_status, state)
    except RecursionError:
        return _failed("the input is JSON nested too deeply: no signer writes such", BackupError.exit_status, state)
    except Exception as error:  # noqa: BLE001  the last resort of people whose money is at stake
        advice = "" if state["debug"] else ". This is a bug: report what the same shows with vls-backup --debug"
        return _failed(f"internal: {type(error).__name__}: {error}{advice}", BackupError.exit_status, state)


def _failed(message: str, status: int, state: dict[str, bool]) -> int:
    if state["debug"]:
        traceback.print_exc(file=sys.stderr)
    say(f"Error: {printable(message)}")
    return status
