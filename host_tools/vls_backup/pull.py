"""`vls-backup pull`: a snapshot from a board into Greenlight's backup file."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

import click

from vls_backup.atomic import write_atomic
from vls_backup.backup_file import format_backup
from vls_backup.errors import NoSnapshotError
from vls_backup.link import Link
from vls_backup.progress import progress_bar
from vls_backup.snapshots import Listed, Snapshot, list_snapshots, read_snapshot, status
from vls_backup.transport import open_board

_EXAMPLES = """\b
Examples:
  vls-backup pull --port /dev/ttyACM0 --output backup.json
  vls-backup pull --port /dev/ttyACM0 --list
  vls-backup pull --port /dev/ttyACM0 --generation 41 --output older.json
"""


@click.command("pull", epilog=_EXAMPLES)
@click.option("--port", required=True, help="The board's serial port, for instance /dev/ttyACM0.")
@click.option("--output", type=click.Path(), help="Write the backup to this file; without it, to stdout.")
@click.option(
    "--generation",
    type=int,
    help="Which snapshot: its number as --list prints it, or -1 for the newest, -2 for the one before, and so on.",
)
@click.option("--list", "listing", is_flag=True, help="Only list the snapshots on the board.")
@click.option("--json", "as_json", is_flag=True, help="With --list: print JSON.")
def command(port: str, output: str | None, generation: int | None, listing: bool, as_json: bool) -> None:
    """Fetch a signer's backup from a board over its serial port.

    The signer on the board is not stopped, and nothing on the board is changed. The file is Greenlight's version-1
    backup, which glcli reads too. Without --generation: the newest snapshot that is whole.
    """
    if listing and (output or generation is not None):
        raise click.UsageError("--list goes with --port and --json only.")
    if as_json and not listing:
        raise click.UsageError("--json goes with --list; a backup is JSON anyway.")
    if generation == 0:
        raise click.UsageError("--generation 0: numbers begin at 1; -1 is the newest.")
    with open_board(port) as (link, hello):
        click.echo(f"Board {hello['board']}, firmware {hello['firmware']}.", err=True)
        if listing:
            _print_list(list_snapshots(link), as_json)
            return
        number = _resolve(link, generation)
        with progress_bar("Pulling") as progress:
            snapshot = read_snapshot(link, number, progress)
        _say_unwritten(link)
    data = _backup_file(snapshot)
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_atomic(output, data)
    _say_what(snapshot, output)


def _resolve(link: Link, generation: int | None) -> int:
    """Return the number to ask the board for; 0: its newest whole snapshot."""
    if generation is None:
        return 0
    if generation > 0:
        return generation
    whole = [item.number for item in list_snapshots(link) if item.whole]
    if len(whole) < -generation:
        raise NoSnapshotError(f"The board holds {len(whole)} whole snapshots: there is no number {generation}.")
    return whole[generation]


def _when(unix: int | None) -> str:
    return "clock unset" if unix is None else datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print_list(found: list[Listed], as_json: bool) -> None:
    if as_json:
        rows = [
            {"number": s.number, "time": s.time, "trigger": s.trigger, "channels": s.channels, "entries": s.entries,
             "whole": s.whole}
            for s in found
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=2))
        return
    if not found:
        raise NoSnapshotError("The board has no snapshot yet.")
    click.echo(f"{'number':>6}  {'time':<20}  {'trigger':<11}  {'channels':>8}")
    for s in found:
        damaged = "" if s.whole else "  damaged"
        click.echo(f"{s.number:>6}  {_when(s.time):<20}  {s.trigger:<11}  {s.channels:>8}{damaged}")


def _backup_file(snapshot: Snapshot) -> bytes:
    commit = snapshot.commit
    strategy: object = {"never": "never", "new-channels-only": "new_channels_only"}.get(commit.strategy)
    if strategy is None:
        strategy = {"periodic": {"updates": commit.updates}}
    created = commit.time
    if created is None:
        created = int(time.time())
        click.echo(
            "Warning: the board's clock was unset when it took this snapshot; created_at is the time of this pull.",
            err=True,
        )
    return format_backup(_when(created), snapshot.node_id, strategy, snapshot.entries)


def _say_unwritten(link: Link) -> None:
    says = status(link)
    if says["unwritten"]:
        click.echo(
            f"Note: {says['unwritten']} requests changed channels since the board's newest snapshot "
            f"(strategy {says['strategy']}).",
            err=True,
        )
    if says["last_error"]:
        click.echo(f"Warning: the board's last attempt at a snapshot failed: {says['last_error']}.", err=True)


def _say_what(snapshot: Snapshot, output: str | None) -> None:
    commit = snapshot.commit
    age = "" if commit.time is None else f", {_age(time.time() - commit.time)} old"
    click.echo(
        f"Snapshot {commit.number} of node {snapshot.node_id}: {commit.channels} recoverable channels, "
        f"{len(snapshot.entries)} entries, {_when(commit.time)}{age} (trigger {commit.trigger}).",
        err=True,
    )
    if output:
        click.echo(f"Written to {output}. Next: vls-backup inspect-backup --path {output}", err=True)


def _age(seconds: float) -> str:
    if seconds < 0:
        return "a time in the future, check the clocks;"
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
