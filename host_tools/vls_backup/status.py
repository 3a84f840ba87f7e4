"""`vls-backup status`: how a board's backups are doing."""

from __future__ import annotations

import json
from typing import Any

import click

from vls_backup.console import emit, printable, when_and_age
from vls_backup.options import PORT
from vls_backup.snapshots import list_snapshots, status
from vls_backup.transport import open_board


@click.command("status", epilog="\b\nExample:\n  vls-backup status --port /dev/ttyACM0")
@click.option("--port", required=True, type=PORT, help="The board's serial port, for instance /dev/ttyACM0.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(port: str, as_json: bool) -> None:
    """Tell how a board's backups are doing: storage, strategy, snapshots, failures. Nothing on it is changed."""
    with open_board(port) as (link, hello):
        says = {"firmware": hello.get("firmware"), **status(link)}
        says["snapshots"] = sum(item.whole is not False for item in list_snapshots(link)) if says.get("size") else 0
    if as_json:
        emit(json.dumps(says, indent=2) + "\n")
        return
    emit("".join(f"{name + ':':<16}{printable(text)}\n" for name, text in _rows(says)))


def strategy_words(says: dict[str, Any]) -> str:
    """Return the strategy of a board's status in words, and where the board has it from."""
    strategy = f"periodic:{says['updates']}" if says["updates"] else says["strategy"]
    source = {"medium": "set by configure", "board": "the board's default"}.get(says.get("strategy_from", ""), "")
    return f"{strategy} ({source})" if source else str(strategy)


def _rows(says: dict[str, Any]) -> list[tuple[str, str]]:
    newest = "none yet"
    if says["snapshot"] is not None:
        newest = f"number {says['snapshot']}, {when_and_age(says['time'])}, trigger {says['trigger']}"
    storage = f"{says['size']:,} bytes" if says["size"] else "not readable"
    return [
        ("board", f"{says['board']}, firmware {says['firmware']}, chip {says.get('chip') or 'without a number'}"),
        ("node", says["node_id"] or "none yet"),
        ("storage", storage),
        ("strategy", strategy_words(says)),
        ("snapshots", str(says["snapshots"])),
        ("newest", newest),
        ("channels", f"{says['channels']} recoverable"),
        ("unwritten", f"{says['unwritten']} requests changed channels since the newest snapshot"),
        ("clock", "set" if says["clock"] is not None else "unset: set it, so that backups say how old they are"),
        ("failures", f"{says['failures']} since the start; the last: {says['last_error'] or 'none open'}"),
    ]
