"""`vls-backup format`: a board's medium, whatever is on it, becomes a blank one for backups."""

from __future__ import annotations

import sys

import click
import msgspec

from backup_format import frames
from backup_format.layout import get_u32
from vls_backup.console import printable, say, when_and_age
from vls_backup.errors import BoardError
from vls_backup.link import Link, LinkError
from vls_backup.options import PORT
from vls_backup.progress import progress_bar
from vls_backup.snapshots import ask, status
from vls_backup.status import strategy_words
from vls_backup.transport import open_board

_EXAMPLES = """\b
Examples:
  vls-backup format --port /dev/ttyACM0
  vls-backup format --port /dev/ttyACM0 --yes
"""
_CONTENT = {
    "fat": "a FAT file system, for instance a camera's photos",
    "exfat": "an exFAT file system, for instance a camera's photos",
    "partitions": "a partition table, as a camera's or a computer's card does, for instance with photos",
    "littlefs": "a littlefs file system, for instance a MicroPython board's programs",
}
_NODE_ID = 66  # hex digits
_MOST_NODES = 7  # as many as a frame to the board has room for
_NOT_ALLOWED = frames.E_SERVICE + 3
_RESTARTS = 3
_REFUSED = 2


class Survey(msgspec.Struct, frozen=True):
    """What a board says is on its medium (LINK.md, SURVEY)."""

    size: int
    content: str
    problem: str | None
    nodes: list[str]
    snapshot: int | None
    time: int | None
    channels: int | None

    @property
    def is_ready(self) -> bool:
        """Whether the medium is blank and in use: there is nothing to format."""
        return self.content == "blank" and self.problem is None


@click.command("format", epilog=_EXAMPLES)
@click.option("--port", required=True, type=PORT, help="The board's serial port, for instance /dev/ttyACM0.")
@click.option("--yes", is_flag=True, help="Don't ask: for scripts.")
@click.option(
    "--erase-backups",
    metavar="NODE_ID",
    multiple=True,
    help="Erase the backups of this node too. Without it, a medium that holds backups is left alone.",
)
def command(port: str, yes: bool, erase_backups: tuple[str, ...]) -> int:
    """Erase a board's backup medium, so that backups can begin on it.

    First it shows what is there, and asks. The strategy that was set stays. A signer that runs on the board goes on.
    """
    allowed = sorted({_node_id(text) for text in erase_backups})
    if len(allowed) > _MOST_NODES:
        raise click.UsageError(f"--erase-backups: a board takes the names of at most {_MOST_NODES} nodes.")
    with open_board(port) as (link, hello):
        say(printable(f"Board {hello.get('board')}, firmware {hello.get('firmware')}."))
        found = ask(link, frames.SURVEY, b"", Survey)
        say(printable(_words(found)))
        if found.is_ready:
            say("Nothing to do.")
            return 0
        _check_allowed(found, allowed, port)
        if not yes and not _confirmed(found):
            return _REFUSED
        _erase(link, found, allowed, port)
        now = ask(link, frames.SURVEY, b"", Survey)
        if not now.is_ready:
            raise BoardError(f"After the format the medium is not blank: {_words(now)} Run the same command again.")
        says = status(link)
        say(printable(f"Done: the medium is blank, and in use. Strategy: {strategy_words(says)}."))
        say("The next snapshot comes when the node has connected to the board again and has told it of its channels.")
    return 0


def _node_id(text: str) -> str:
    node_id = text.strip().lower()
    try:
        right = len(node_id) == _NODE_ID and len(bytes.fromhex(node_id)) * 2 == _NODE_ID
    except ValueError:
        right = False
    if not right:
        raise click.UsageError(f"--erase-backups {text}: a node id is {_NODE_ID} hex digits.")
    return node_id


def _words(found: Survey) -> str:
    """Return what is on the medium, in plain words."""
    medium = f"Medium: {found.size:,} bytes."
    if found.is_ready:
        return f"{medium} It is blank, and in use."
    if found.content == "blank":
        return f"{medium} It holds no backups, but is not in use: {found.problem}."
    if found.content == "journal":
        text = f"{medium} It holds backups of {_nodes(found)}."
        if found.snapshot is None:
            return f"{text} None of them is whole."
        return f"{text} The newest is snapshot {found.snapshot}: {found.channels} channels, {when_and_age(found.time)}."
    if found.content == "newer":
        return (
            f"{medium} It holds backups of {_nodes(found)}, written by a newer firmware than this board's: only that "
            "can read them."
        )
    if found.content in _CONTENT:
        return f"{medium} It holds {_CONTENT[found.content]}: all of that will be lost, also what lies further behind."
    return f"{medium} It holds something that this program does not know. It will be lost."


def _nodes(found: Survey) -> str:
    return " and ".join(f"node {node}" for node in found.nodes) or "an unknown node"


def _check_allowed(found: Survey, allowed: list[str], port: str) -> None:
    """Raise UsageError unless the user has named every node whose backups would be lost."""
    missing = [node for node in found.nodes if node not in allowed]
    if not missing:
        return
    named = f"The medium holds no backups of {', '.join(allowed)}. " if set(allowed) - set(found.nodes) else ""
    save = (
        f"First save them: vls-backup pull --port {port} --output backup.json\n"
        if found.snapshot is not None
        else "They may be all that is left of its channels.\n"
    )
    raise click.UsageError(
        f"{named}These backups would be lost for good; nothing was erased.\n{save}"
        f"Then, if they may go: {_command(port, found.nodes)}"
    )


def _command(port: str, nodes: list[str]) -> str:
    """Return the command that erases the backups of these nodes too."""
    return f"vls-backup format --port {port}" + "".join(f" --erase-backups {node}" for node in nodes)


def _confirmed(found: Survey) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask at; nothing was erased. In scripts, use --yes.")
    what = "the backups" if found.nodes else "everything"
    if click.confirm(f"Erase {what} on this medium?", err=True):
        return True
    say("Nothing was erased.")
    return False


def _erase(link: Link, found: Survey, allowed: list[str], port: str) -> None:
    """Erase it all. Begin again if the board restarts meanwhile. Raises BoardError."""
    nodes = b"".join(map(bytes.fromhex, allowed))
    done, restarts = 0, 0
    with progress_bar("Erasing") as progress:
        while True:
            try:
                answer = link.exchange(frames.FORMAT, done.to_bytes(4, "big") + nodes)
            except LinkError as error:
                if error.code != frames.E_ORDER or not done or restarts == _RESTARTS:
                    raise _failure(error, port, allowed) from error
                restarts += 1
                done = 0
                continue
            if len(answer) != 8:
                raise BoardError("The board's answer makes no sense: install the vls-backup that fits its firmware.")
            done, total = get_u32(answer, 0), get_u32(answer, 4)
            progress(found.size * done // max(total, 1), found.size)
            if done == total:
                return


def _failure(error: LinkError, port: str, allowed: list[str]) -> BoardError:
    if error.code == _NOT_ALLOWED:
        return BoardError(
            f"Stopped: {error.text}, which it did not show at first. None of them was erased. A firmware that divides "
            "the medium otherwise may have written them: then only that one can read them, or vls-backup pull --image "
            f"from a copy of the medium. If they may go: {_command(port, [*allowed, error.text.split()[-1]])}"
        )
    if error.code != frames.E_MEDIUM:
        return error
    return BoardError(
        f"The medium failed: {error.text}. Run the same command again; if it says the same, the medium is worn out or "
        "was pulled: take another one."
    )
