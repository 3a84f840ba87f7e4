"""`vls-backup configure`: by which strategy a board takes snapshots."""

from __future__ import annotations

import json
from typing import Any

import click

from backup_format import frames
from vls_backup.console import emit, printable, say
from vls_backup.errors import BoardError
from vls_backup.options import PORT
from vls_backup.snapshots import ask, status
from vls_backup.status import strategy_words
from vls_backup.transport import open_board

_EXAMPLES = """\b
Examples:
  vls-backup configure --strategy new-channels-only --port /dev/ttyACM0
  vls-backup configure --strategy periodic --updates 10 --port /dev/ttyACM0
"""
_FIELDS = ("strategy", "updates", "strategy_from")


@click.command("configure", epilog=_EXAMPLES)
@click.option("--port", required=True, type=PORT, help="The board's serial port, for instance /dev/ttyACM0.")
@click.option(
    "--strategy",
    required=True,
    type=click.Choice(["never", "new-channels-only", "periodic"]),
    help="When to take a snapshot. A new channel always calls for one, but with never.",
)
@click.option(
    "--updates",
    type=click.IntRange(1, 2**32 - 1),
    help="With periodic: after how many requests that changed a channel.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was in force before and what is now as JSON.")
def command(port: str, strategy: str, updates: int | None, as_json: bool) -> None:
    """Set by which strategy a board takes snapshots.

    The board keeps it on its medium: it outlives power cuts, a new firmware, and the medium's move to another board.
    """
    if strategy == "periodic" and updates is None:
        raise click.UsageError("--strategy periodic needs --updates N, for instance --updates 10.")
    if strategy != "periodic" and updates is not None:
        raise click.UsageError("--updates goes with --strategy periodic only.")
    wanted = f"periodic:{updates}" if updates else strategy
    with open_board(port) as (link, hello):
        say(printable(f"Board {hello.get('board')}, firmware {hello.get('firmware')}."))
        before = status(link)
        ask(link, frames.CONFIGURE, wanted.encode(), dict[str, Any])
        now = status(link)
    if [now.get(name) for name in _FIELDS] != [strategy, updates or 0, "medium"]:
        raise BoardError(f"The board did not keep the strategy: it still says {strategy_words(now)}. Try again.")
    say(printable(f"Strategy before: {strategy_words(before)}. Now: {strategy_words(now)}."))
    if strategy == "never":
        say("Warning: the board takes no snapshots any more. What it has stays, and grows old.")
    if as_json:
        pair = {"before": before, "now": now}
        emit(json.dumps({when: {name: says.get(name) for name in _FIELDS} for when, says in pair.items()}) + "\n")
