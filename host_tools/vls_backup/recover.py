"""`recover`: gives a backup's channels to lightningd, and follows them until the money is there."""

from __future__ import annotations

import re
import shlex
import sys
from typing import Any

import click

from vls_backup.backup_file import Head
from vls_backup.channels import Channel, Fault, read_channels
from vls_backup.console import emit, printable, say, say_age
from vls_backup.convert import accept, convert
from vls_backup.errors import LightningdError, UnfinishedError
from vls_backup.following import emit_event, follow, say_repair, say_rescan
from vls_backup.given import address_options, given_addresses, noting
from vls_backup.options import FILE
from vls_backup.peers import Addresses
from vls_backup.recovery_rpc import Info, Lightningd, PeerChannel, RefusedError, lightningd
from vls_backup.scb import channel_id_v1
from vls_backup.sending import Outcome, look, planned, safe_height, send

OLDEST = (25, 5)
"""lightningd older than this sends no bogus channel_reestablish, and LND peers never close (observed with v25.02)."""

_REFUSED = 1

_WARNING = """\

LAST RESORT. Read this before you go on.
  - The old node must be gone for good: never start it again, not even for a minute. If the old and the recovered node
    run side by side, peers see an old state and take whole channels as a penalty.
  - Every channel of this backup will be closed by its peer. There is no way back.
  - HTLCs that were in flight are lost."""

_EXAMPLES = """\b
Examples:
  vls-backup recover --rpc ~/.lightning/bitcoin/lightning-rpc --path backup.json --watch
  vls-backup recover --rpc ~/.lightning/bitcoin/lightning-rpc --watch
"""


@click.command("recover", epilog=_EXAMPLES)
@click.option(
    "--rpc",
    required=True,
    type=FILE,
    metavar="PATH",
    help="lightningd's socket: <lightning-dir>/<network>/lightning-rpc.",
)
@click.option(
    "--path", type=FILE, metavar="FILE", help="The backup file whose channels to send; - reads standard input."
)
@click.option(
    "--watch", is_flag=True, help="Make the peers close, and follow until the money is there. Can be repeated."
)
@click.option("--interval", type=click.FloatRange(0.05), default=10.0, show_default=True, help="Seconds between looks.")
@click.option("--skip-incomplete", is_flag=True, help="Leave out channels without an address, and damaged ones.")
@address_options
@click.option("--yes", is_flag=True, help="Do not ask, for scripts: the old node is gone for good.")
@click.option("--any-version", is_flag=True, help="Go on with a lightningd older than v25.05: LND peers won't close.")
@click.option("--not-fresh", is_flag=True, help="Go on though lightningd has other channels than this backup's.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line: what was sent, then each change."
)
def command(
    rpc: str,
    path: str | None,
    watch: bool,
    interval: float,
    skip_incomplete: bool,
    peer_addr: tuple[str, ...],
    peers: tuple[str, ...],
    yes: bool,
    any_version: bool,
    not_fresh: bool,
    as_json: bool,
) -> int:
    """Recover a backup's channels with a running lightningd, and follow them until the money is in its wallet.

    With --path: shows a warning, asks, and sends what lightningd doesn't have yet, one channel at a time; compares what
    it stored. With --watch: disconnects and connects peers until they have closed, and shows how far each channel is.
    It can be stopped and started again at any time: all that counts is kept by lightningd. docs/recovery.md has the
    whole walk.
    """
    if path is None and not watch:
        raise click.UsageError("Give --path FILE to send a backup's channels, --watch to follow them, or both.")
    given = given_addresses(peer_addr, peers)
    addresses = {peer_id.hex(): address.text for peer_id, address in given.items()}
    status = 0
    if path is not None:
        backup, found = _read(path, given)
        whole, status = _complete(backup, found, skip_incomplete)
        addresses |= {channel.peer_id.hex(): channel.address.text for channel in whole if channel.address}
    with lightningd(rpc) as node:
        info = node.info()
        if not any_version:
            _check_version(info)
            _say_chanbackup(node)
        if path is not None:
            _check_node(info, backup)
            _check_fresh(node.channels(), found, not_fresh)
            _send(node, info, backup, planned(whole), yes, as_json)
        if watch:
            follow(node, info.id, addresses, interval, as_json)
        else:
            place = shlex.quote(printable(rpc))
            say(f"Next: vls-backup recover --rpc {place} --watch   (makes the peers close, and follows the money)")
    return status


def _read(path: str, given: Addresses) -> tuple[Head, list[Channel | Fault]]:
    """Return what the backup holds; say which addresses are not its own. Raise BackupError."""
    backup, found = read_channels(path, given)
    return backup, list(noting(found, given))


def _check_version(info: Info) -> None:
    numbers = re.match(r"v?(\d+)\.(\d+)", info.version)
    if numbers and (int(numbers[1]), int(numbers[2])) >= OLDEST:
        return
    raise LightningdError(
        f"lightningd {printable(info.version)} is older than v25.05: with it, LND peers (most of the network) never "
        "close. Install the newest Core Lightning; or, if no peer runs LND, go on with --any-version"
    )


def _complete(backup: Head, found: list[Channel | Fault], skip_incomplete: bool) -> tuple[list[Channel], int]:
    """Return the complete channels, each of which makes a sound SCB, and the exit status for what was left out."""
    result = convert(found)
    status = accept(backup, result, skip_incomplete)
    left_out = {fault.key for fault in result.faulty} | set(result.incomplete)
    return [item for item in found if isinstance(item, Channel) and item.key not in left_out], status


def _check_node(info: Info, backup: Head) -> None:
    wanted = backup.node_id.hex()
    if info.id != wanted:
        raise LightningdError(
            f"this lightningd is node {printable(info.id)}, but the backup is of node {wanted}: it needs the "
            "hsm_secret of that node's seed in a fresh lightning-dir. Nothing was sent"
        )
    if behind := info.warning_bitcoind_sync or info.warning_lightningd_sync:
        raise LightningdError(
            f"lightningd is not in sync yet (block {info.blockheight}): {printable(behind.rstrip('.'))}. Wait until "
            "`lightning-cli getinfo` shows no warning, then run this again. Nothing was sent"
        )


def _check_fresh(channels: list[PeerChannel], backed_up: list[Channel | Fault], not_fresh: bool) -> None:
    ours = {channel_id_v1(item.txid, item.vout).hex() for item in backed_up if isinstance(item, Channel)}
    others = [channel for channel in channels if not (channel.is_stub and channel.channel_id in ours)]
    live = [channel for channel in others if not channel.is_stub]
    if not others or not_fresh:
        return
    first = others[0].channel_id or f"one with {others[0].peer_id}"
    if any(channel.channel_id in ours for channel in live):
        raise LightningdError(
            f"channel {printable(first)} is alive in this lightningd: is this the old node itself? Then it is not "
            "lost, and needs no recovery. Nothing was sent; --not-fresh goes on all the same"
        )
    raise LightningdError(
        f"this lightningd is not fresh: it has {len(others)} channels that are not this backup's ({printable(first)}). "
        "Recover in a fresh lightning-dir with the same hsm_secret; or, if you know why they are there, go on with "
        "--not-fresh. Nothing was sent"
    )


def _send(
    node: Lightningd,
    info: Info,
    backup: Head,
    outcomes: list[Outcome],
    yes: bool,
    as_json: bool,
) -> None:
    """Ask, send, report. Raise LightningdError, or UnfinishedError if something is stored wrong."""
    look(node, outcomes)
    new = sum(not (outcome.known or outcome.finished) for outcome in outcomes)
    where = f"{info.network}, block {info.blockheight}"
    say(printable(f"{node.path}: node {info.id}, Core Lightning {info.version}, {where}"))
    say_age(backup.created_at)
    say(f"{len(outcomes)} channels: {new} to send, {len(outcomes) - new} already known to lightningd.")
    if new and not yes and not _confirmed(new):
        raise click.exceptions.Exit(_REFUSED)
    try:
        send(node, outcomes, lambda outcome: None if as_json else emit(_line(outcome)))
    except KeyboardInterrupt:
        say("Stopped. What was sent is stored; run the same command again to go on: nothing is sent twice.")
        raise
    finally:
        if as_json:
            emit_event("sent", _report(info, outcomes))
    _judge(node, info, backup, outcomes)


def _confirmed(count: int) -> bool:
    say(_WARNING)
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask at; nothing was sent. In scripts, use --yes.")
    if click.confirm(f"\nIs the old node gone for good, and shall {count} channels be sent?", err=True):
        return True
    say("Nothing was sent.")
    return False


def _line(outcome: Outcome) -> str:
    scb = outcome.scb
    point = f"{scb.txid[::-1].hex()}:{scb.vout}"
    differs = f" ({'; '.join(outcome.differs)})" if outcome.differs else ""
    return f"{outcome.result}{differs}: {point}, {scb.funding_sats:,} sats, with {scb.node_id.hex()}\n"


def _report(info: Info, outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "node_id": info.id,
        "lightningd": info.version,
        "blockheight": info.blockheight,
        "channels": [outcome.report() for outcome in outcomes],
    }


def _judge(node: Lightningd, info: Info, backup: Head, outcomes: list[Outcome]) -> None:
    """Say what has to be done now. Raise UnfinishedError if a channel is stored otherwise than it was sent."""
    height = safe_height(backup.created_at, info.blockheight)
    wrong = [outcome for outcome in outcomes if outcome.differs]
    if wrong and all(outcome.other_form for outcome in wrong):
        say_repair(height)
        raise UnfinishedError(
            f"{len(wrong)} of {len(outcomes)} channels stand in lightningd in another form than ours, as glcli or "
            "lightningd itself writes it: most of their money would not come back. Repair it as said above"
        )
    if wrong:
        left = sum(outcome.differs is None and not outcome.finished for outcome in outcomes)
        raise UnfinishedError(
            f"{wrong[0].channel.key}: lightningd stored it wrong ({'; '.join(wrong[0].differs or [])}), and so "
            f"{len(wrong)} of {len(outcomes)} channels; {left} were not sent. Start again in a fresh lightning-dir, "
            "with the newest Core Lightning; if it is the same there, report it"
        )
    unseen = {
        channel.channel_id for channel in node.channels() if channel.is_stub and channel.state == "CHANNELD_NORMAL"
    }
    gone = [outcome for outcome in outcomes if outcome.spent and outcome.scb.channel_id.hex() in unseen]
    if gone:
        closed_long = any(outcome.channel.closed for outcome in gone)
        say_rescan(
            [f"{outcome.scb.txid[::-1].hex()}:{outcome.scb.vout}" for outcome in gone], None if closed_long else height
        )


def _say_chanbackup(node: Lightningd) -> None:
    try:
        runs = node.has_chanbackup()
    except RefusedError:
        return
    if runs:
        say(
            "lightningd runs its plugin chanbackup: LND peers then close after 9 connections instead of 3.\n"
            "  Better: restart it with --disable-plugin=chanbackup, meanwhile or now. This goes on all the same."
        )
