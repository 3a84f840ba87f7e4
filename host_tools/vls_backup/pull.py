"""`vls-backup pull`: a snapshot from a board into Greenlight's backup file."""

from __future__ import annotations

import json
import os

import click
import msgspec

from vls_backup.atomic import check_output, write_atomic
from vls_backup.backup_file import parse_backup
from vls_backup.compare import compare
from vls_backup.console import emit, printable, say, when, when_and_age
from vls_backup.errors import BackupError, NoSnapshotError, OutputError
from vls_backup.link import Link
from vls_backup.options import FILE, PORT
from vls_backup.progress import progress_bar
from vls_backup.pull_image import list_of_image, snapshot_of_image
from vls_backup.reading import read_backup
from vls_backup.snapshots import (
    Listed,
    Snapshot,
    check_snapshots,
    list_snapshots,
    nth_whole,
    read_snapshot,
    status,
    to_backup_file,
)
from vls_backup.transport import open_board

_EXAMPLES = """\b
Examples:
  vls-backup pull --port /dev/ttyACM0 --output backup.json
  vls-backup pull --port /dev/ttyACM0 --list
  vls-backup pull --port /dev/ttyACM0 --generation 41 --output older.json
  vls-backup pull --image flash.bin --output backup.json
"""
_MOST = 2**32 - 1  # a snapshot's number is a u32


@click.command("pull", epilog=_EXAMPLES)
@click.option("--port", type=PORT, help="The board's serial port, for instance /dev/ttyACM0.")
@click.option(
    "--image",
    type=FILE,
    metavar="FILE|DEVICE|FOLDER",
    help="Instead of a port: the medium of a dead board. A dump of its flash, its card or an image of it, or the "
    "folder of its erase units.",
)
@click.option("--offset", type=int, help="With --image: where the journal begins, in bytes, if there are several.")
@click.option("--output", type=FILE, metavar="FILE", help="Write the backup to this file; without it, to stdout.")
@click.option(
    "--generation",
    type=click.IntRange(-_MOST, _MOST),
    help="Which snapshot: its number as --list prints it, or -1 for the newest that is whole, -2 for the one before.",
)
@click.option(
    "--force", is_flag=True, help="With --output: overwrite a file that is no older backup of this node, too."
)
@click.option("--list", "listing", is_flag=True, help="Only list the snapshots on the board.")
@click.option("--json", "as_json", is_flag=True, help="With --list: print JSON.")
def command(
    port: str | None,
    image: str | None,
    offset: int | None,
    output: str | None,
    generation: int | None,
    force: bool,
    listing: bool,
    as_json: bool,
) -> None:
    """Fetch a signer's backup from a board over its serial port, or from the medium of a board that is dead.

    The signer on the board is not stopped, and nothing on the board, or in the image, is changed. The file is
    Greenlight's version-1 backup, which glcli reads too. Without --generation: the newest snapshot. A file at --output
    is overwritten only if it is an older backup of the same node, by the versions of its entries.

    --image is searched from its beginning to 32 MiB behind the last unit of a journal in it: so of a card only the
    beginning is read. Damaged erase units are named.
    """
    if (port is None) == (image is None):
        raise click.UsageError("Name the board's --port, or the --image of its medium.")
    if offset is not None and image is None:
        raise click.UsageError("--offset goes with --image.")
    if listing and (output is not None or generation is not None):
        raise click.UsageError("--list goes with --port or --image, --offset and --json only.")
    if as_json and not listing:
        raise click.UsageError("--json goes with --list; a backup is JSON anyway.")
    if generation == 0:
        raise click.UsageError("--generation 0: numbers begin at 1; -1 is the newest.")
    if output is not None:
        check_output(output, [image] if image else [])
    if listing:
        _print_list(list_of_image(image, offset) if image else _list_of_board(str(port)), as_json)
        return
    if image:
        snapshot, looked_at = snapshot_of_image(image, generation, offset)
        _say_what(snapshot)
        if not _say_what_is_newer(looked_at, snapshot, "image"):
            say("What changed after it, if anything, the board had not written yet.")
    else:
        snapshot = _snapshot_of_board(str(port), generation)
    data = to_backup_file(snapshot)
    if output is None:
        emit(data.decode())
    else:
        if not force:
            _keep_what_is_newer(output, data)
        write_atomic(output, [data])
        say(f"Written to {output}. Next: vls-backup inspect-backup --path {output} --format text")


def _snapshot_of_board(port: str, generation: int | None) -> Snapshot:
    with open_board(port) as (link, hello):
        say(printable(f"Board {hello.get('board')}, firmware {hello.get('firmware')}."))
        number = _resolve(link, generation)
        with progress_bar("Pulling") as progress:
            snapshot = read_snapshot(link, number, progress)
        _say_what(snapshot)
        _say_what_is_missing(link, snapshot)
    return snapshot


def _list_of_board(port: str) -> list[Listed]:
    with open_board(port) as (link, hello):
        say(printable(f"Board {hello.get('board')}, firmware {hello.get('firmware')}."))
        return _list(link)


def _resolve(link: Link, generation: int | None) -> int:
    """Return the number to ask the board for; 0: its newest."""
    if generation is None:
        return 0
    if generation > 0:
        return generation
    with progress_bar("Checking") as progress:
        found = nth_whole(check_snapshots(link, list_snapshots(link), progress), generation, "the board")
    return found.number if found else 0  # the board says why


def _list(link: Link) -> list[Listed]:
    """Return the snapshots on the board, those of its newest arena checked: not all, which can take long on a card."""
    found = list_snapshots(link)
    with progress_bar("Checking") as progress:
        for newest in check_snapshots(link, found, progress):
            return found[: -len(newest)] + newest
    return found


def _print_list(found: list[Listed], as_json: bool) -> None:
    if as_json:
        emit(json.dumps(msgspec.to_builtins(found), indent=2) + "\n")
    if not found:
        raise NoSnapshotError("The board has no snapshot yet.")
    if as_json:
        return
    emit(f"{'number':>6}  {'time':<20}  {'trigger':<11}  {'channels':>8}\n")
    for s in found:
        broken = {True: "", False: "  not whole", None: "  not checked"}[s.whole]
        emit(f"{s.number:>6}  {when(s.time):<20}  {s.trigger:<11}  {s.channels:>8}{broken}\n")
    if any(s.whole is None for s in found):
        say("Not checked: older ones are checked when they are pulled. The oldest may be overwritten in part.")
    if any(s.whole is False for s in found):
        say("Not whole: damaged, overwritten in part (the oldest), or its writing failed. It can't be pulled.")


def _say_what(snapshot: Snapshot) -> None:
    commit = snapshot.commit
    say(
        f"Snapshot {commit.number} of node {snapshot.node_id}: {commit.channels} recoverable channels, "
        f"{len(snapshot.entries)} entries, {when_and_age(commit.time)}, trigger {commit.trigger}."
    )


def _keep_what_is_newer(output: str, data: bytes) -> None:
    """Raise OutputError if the file at output is no backup, or one that data would take something newer away from."""
    if not os.path.isfile(output) or not os.path.getsize(output):
        return
    advice = "It was left as it is: name another --output, or add --force"
    try:
        there = read_backup(output)
    except BackupError:
        raise OutputError(f"{output}: is there already, and is no backup, or a damaged one. {advice}") from None
    pulled = parse_backup(data, "the snapshot")
    if there.node_id != pulled.node_id:
        raise OutputError(f"{output}: is a backup of another node, {there.node_id.hex()}. {advice}")
    found = compare(there, pulled)
    if found.newer in ("old", "neither"):
        what = f"is newer than the snapshot, or another state: entries with a higher version {len(found.lower)}"
        raise OutputError(f"{output}: {what}, channels that the snapshot lacks {len(found.gone_channels)}. {advice}")


def _say_what_is_newer(listed: list[Listed], snapshot: Snapshot, where: str) -> bool:
    """Say if there is a newer snapshot, so that nobody takes an old state for the present one; return whether a whole
    one is."""
    newest = max((s.number for s in listed if s.whole is not False), default=0)
    if newest > snapshot.commit.number:
        say(f"Warning: this is an older state: the {where}'s newest snapshot is number {newest}.")
        return True
    damaged = [s.number for s in listed if s.number > snapshot.commit.number]
    if damaged:
        advice = " let the node connect to the board once more if it still can, and pull again."
        say(
            f"Warning: snapshot {damaged[-1]} is newer, but damaged. This one may be older than your channels"
            + (":" + advice if where == "board" else ".")
        )
    return False


def _say_what_is_missing(link: Link, snapshot: Snapshot) -> None:
    """Say what the snapshot lacks."""
    if _say_what_is_newer(list_snapshots(link), snapshot, "board"):
        return
    says = status(link)
    if says.get("unwritten"):
        say(
            f"Note: {says['unwritten']} requests changed channels since the board's newest snapshot "
            f"(strategy {says.get('strategy')})."
        )
    else:
        say(
            "The board has seen no change of a channel since then. It knows of none from before its last start, unless "
            "the node connected to it again: there may be later ones."
        )
    if says.get("last_error"):
        say(printable(f"Warning: the board's last attempt at a snapshot failed: {says['last_error']}."))
