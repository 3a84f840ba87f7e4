"""The loop of `recover --watch`: looks, connects, shows, and says what a person has to do, until nothing more comes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from vls_backup.advice import SHELL_LOOP
from vls_backup.console import emit, say
from vls_backup.errors import LightningdError, UnfinishedError
from vls_backup.reconnect import Reconnector
from vls_backup.recovery_rpc import GoneError, Lightningd
from vls_backup.watch import Followed, Stage, View, look
from vls_backup.watch_view import Display

RESCAN_AFTER = 3
"""Blocks within which lightningd must notice that a funding output is spent, if it can notice at all."""


def follow(node: Lightningd, node_id: str, addresses: Mapping[str, str], interval: float, as_json: bool) -> None:
    """Follow all recovered channels of this lightningd until nothing more comes by itself.

    addresses: peer id in hex -> "HOST:PORT". A lightningd that goes away is waited for: it may be restarted meanwhile.
    Raise LightningdError, and UnfinishedError if a channel needs more.
    """
    view = look(node)
    if not view.channels:
        raise LightningdError(
            f"{node.path}: this lightningd has no recovered channels: send them first, with --path FILE"
        )
    try:
        with Display() as display:
            view = _loop(node, node_id, view, Reconnector(node, addresses, display.say), display, interval, as_json)
    except KeyboardInterrupt:
        say("Stopped. Nothing is lost: run the same command again to go on.")
        raise
    _finish(view)


def _loop(
    node: Lightningd,
    node_id: str,
    view: View,
    reconnector: Reconnector,
    display: Display,
    interval: float,
    as_json: bool,
) -> View:
    unnoticed: dict[str, int] = {}
    told: set[str] = set()
    shown: dict[str, object] = {}
    gone = False
    while True:
        try:
            if gone:
                view = look(node)
                display.say("lightningd answers again.")
                gone = False
            if view.node_id != node_id:
                raise LightningdError(f"{node.path}: another node answers now, {view.node_id} instead of {node_id}")
            display.show(view)
            if as_json:
                shown = _emit_change(view, shown)
            _tell(view, unnoticed, told, display.say)
            if view.done:
                return view
            reconnector.round(view)
            time.sleep(interval)
            view = look(node)
        except GoneError as error:
            if not gone:
                display.say(f"{error}. Waiting for it; Ctrl-C ends this")
            gone = True
            time.sleep(interval)


def _emit_change(view: View, shown: dict[str, object]) -> dict[str, object]:
    """Print the view as a line of JSON if more than the block height changed; return what was shown last."""
    report = view.report()
    changing = {key: value for key, value in report.items() if key != "blockheight"}
    if changing != shown:
        emit_event("watch", report)
    return changing


def emit_event(event: str, report: Mapping[str, object]) -> None:
    """Print a line of JSON, for scripts."""
    emit(json.dumps({"event": event, **report}, separators=(",", ":")) + "\n")


def _tell(view: View, unnoticed: dict[str, int], told: set[str], words: Callable[[str], None]) -> None:
    """Say once what a person has to do about single channels. unnoticed: channel -> block at which we saw it spent."""
    late: list[Followed] = []
    for channel in view.channels:
        if channel.stage is not Stage.CLOSING:
            unnoticed.pop(channel.channel_id, None)
            continue
        since = unnoticed.setdefault(channel.channel_id, view.blockheight)
        if view.blockheight >= since + RESCAN_AFTER and channel.channel_id not in told:
            told.add(channel.channel_id)
            late.append(channel)
    if late:
        say_rescan([channel.point for channel in late], None, words)


def say_rescan(points: list[str], height: int | None, words: Callable[[str], None] = say) -> None:
    """Say that these funding outputs were spent before lightningd looked; height: a block before that, if known."""
    value = str(height) if height else "HEIGHT"
    where = "" if height else "\n  HEIGHT: a block before that close; an explorer shows it under the funding txid"
    words(
        f"Closed before lightningd looked: {', '.join(points)}\n"
        f"  It does not notice that by itself. Restart it with --rescan=-{value} (the minus makes it an absolute "
        f"height; an earlier one does as well, and takes longer), then run this again with --watch.{where}"
    )


def say_repair(height: int | None) -> None:
    """Say how a recovery in glcli's form, or lightningd's own, is repaired (observed: 12 of 13 missing outputs)."""
    value = str(height) if height else "HEIGHT"
    where = "" if height else "\n     HEIGHT: a block before the first of the closes"
    say(
        "To repair it:\n"
        "  1. Stop lightningd. Move its lightning-dir away, and keep it.\n"
        "  2. Start it with --disable-plugin=chanbackup in a fresh lightning-dir with the same hsm_secret.\n"
        "  3. vls-backup recover --rpc PATH --path backup.json\n"
        f"  4. Restart lightningd with --rescan=-{value}, then: vls-backup recover --rpc PATH --watch{where}"
    )


def _finish(view: View) -> None:
    """Say what there is, and what comes next. Raise UnfinishedError if a channel needs a repair or a second pass."""
    confirmed = sum(channel.sats_confirmed for channel in view.channels)
    if confirmed:
        say(
            "Next: lightning-cli withdraw ADDRESS all   (with a higher feerate if it says 'min relay fee not met')\n"
            "Restart lightningd before you open any new channel."
        )
    trouble = [channel for channel in view.channels if channel.stage is Stage.TROUBLE]
    second = [channel for channel in view.channels if channel.second_pass]
    heights = [channel.closing_height for channel in [*trouble, *second] if channel.closing_height]
    height = max(1, min(heights) - 1) if heights else None
    if second:
        _say_second_pass([channel.point for channel in second], height)
    if trouble:
        say("lightningd's onchaind died over: " + ", ".join(channel.point for channel in trouble))
        say_repair(height)
    if trouble or second:
        raise UnfinishedError(
            f"{len(trouble)} channels need a repair, {len(second)} a second pass, as said above; the others are done"
        )


def _say_second_pass(points: list[str], height: int | None) -> None:
    """Say how to get what onchaind overlooks in anchor channels that the peer opened (a bug of its script search)."""
    say(
        f"""A penalty was taken, but your own output is still on chain, in: {", ".join(points)}
  A second pass brings it in. First withdraw what is here. Then, in a fresh lightning-dir with the same hsm_secret:
    vls-backup convert-backup --second-pass --path backup.json --output second-pass.json
    {SHELL_LOOP.format(file="second-pass.json")}
  and restart lightningd with --rescan=-{height or "HEIGHT"}."""
    )
