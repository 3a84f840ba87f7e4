"""`inspect-backup`: what a backup file holds, as JSON for programs or as text for people."""

import json
from collections.abc import Iterable
from typing import Any

import click

from vls_backup.backup_file import Head
from vls_backup.channels import WARNINGS, Channel, Fault, read_channels
from vls_backup.console import age, emit, printable, say_age
from vls_backup.errors import BackupError
from vls_backup.given import address_options, given_addresses, noting
from vls_backup.options import FILE
from vls_backup.scb import channel_id_v1
from vls_backup.shachain import STORED_SIZE


def report(backup: Head, found: Iterable[Channel | Fault]) -> dict[str, Any]:
    """Return glcli's report object (same fields, order and meaning), with fields of our own after them.

    `remote_to_self_delay` is glcli's: the delay (blocks) that the peer imposes on us. What the SCB carries under that
    name is `our_to_self_delay`. `damaged` lists the entries that cannot be trusted, which are left out elsewhere.
    """
    channels = []
    damaged = []
    for item in found:
        if isinstance(item, Fault):
            damaged.append({"key": item.key, "reason": item.reason})
        else:
            channels.append(_channel_report(item))
    complete = sum(channel["complete"] for channel in channels)
    return {
        "version": backup.version,
        "created_at": backup.created_at,
        "node_id": backup.node_id.hex(),
        "strategy": backup.strategy,
        "total_channels": len(channels),
        "complete_channels": complete,
        "incomplete_channels": len(channels) - complete,
        "channels": channels,
        "damaged": damaged,
    }


def _channel_report(channel: Channel) -> dict[str, Any]:
    return {
        "channel_key": channel.key,
        "peer_id": channel.peer_id.hex(),
        "peer_addr": channel.address.text if channel.address else None,
        "complete": channel.wireaddr is not None,
        "warnings": channel.warnings,
        "funding_outpoint": {"txid": channel.txid.hex(), "vout": channel.vout},
        "funding_sats": channel.funding_sats,
        "remote_basepoints": {name: point.hex() for name, point in channel.points._asdict().items()},
        "opener": "local" if channel.opened_by_us else "remote",
        "remote_to_self_delay": channel.their_delay,
        "commitment_type": channel.commitment_type,
        "our_to_self_delay": channel.our_delay,
        "dbid": channel.dbid,
        "channel_id": channel_id_v1(channel.txid, channel.vout).hex(),
        "funding_txid_explorer": channel.txid[::-1].hex(),
        "peer_addr_direction": channel.address.direction if channel.address else None,
        "revocation_secrets": len(channel.secrets or b"") // STORED_SIZE,
        "channel_closed": channel.closed,
        "peer_addr_source": channel.address.source if channel.address else None,
    }


def as_text(found: dict[str, Any], file: str) -> str:
    """Return the report in words, laid out like glcli's, but with the txid as block explorers show it."""
    lines = [
        f"Signer backup {found['node_id']}",
        f"version: {found['version']}",
        f"created_at: {printable(found['created_at'])} ({age(found['created_at'])})",
        f"strategy: {_strategy_text(found['strategy'])}",
        f"channels: total={found['total_channels']} complete={found['complete_channels']} "
        f"incomplete={found['incomplete_channels']}",
    ]
    for channel in found["channels"]:
        lines += ["", *_channel_lines(channel)]
    lines += ["", *(printable(f"damaged: {item['key']}: {item['reason']}") for item in found["damaged"])]
    return "\n".join([*lines, *([""] if found["damaged"] else []), _next_step(found, file), ""])


def _channel_lines(channel: dict[str, Any]) -> list[str]:
    status = "complete" if channel["complete"] else "incomplete"
    closed = ", closed (money may still lie on chain)" if channel["channel_closed"] else ""
    address = channel["peer_addr"]
    warnings = channel["warnings"]
    return [
        f"channel: {channel['channel_key']}",
        f"  status: {status}{closed}",
        f"  peer_id: {channel['peer_id']}",
        f"  peer_addr: {'missing' if address is None else printable(address)}",
        *([f"  peer_addr_source: {printable(channel['peer_addr_source'])}"] if address else []),
        f"  funding: {channel['funding_txid_explorer']}:{channel['funding_outpoint']['vout']}",
        f"  funding_sats: {channel['funding_sats']}",
        f"  opener: {'us' if channel['opener'] == 'local' else 'the peer'}",
        f"  remote_to_self_delay: {channel['remote_to_self_delay']} blocks (the peer makes us wait)",
        f"  our_to_self_delay: {channel['our_to_self_delay']} blocks (we make the peer wait)",
        f"  commitment_type: {channel['commitment_type']}",
        f"  revocation_secrets: {channel['revocation_secrets']}",
        f"  warnings: {', '.join(warnings) or 'none'}",
        *(f"    {name}: {WARNINGS[name]}" for name in warnings),
    ]


def _strategy_text(strategy: Any) -> str:
    return strategy if isinstance(strategy, str) else f"periodic(updates={strategy['periodic']['updates']})"


def _next_step(found: dict[str, Any], file: str) -> str:
    if not found["complete_channels"]:
        return "No channel here can be recovered from this file alone."
    skip = " --skip-incomplete" if found["incomplete_channels"] or found["damaged"] else ""
    return (
        "If the node is lost for good, make Core Lightning's recovery input of this file:\n"
        f"  vls-backup convert-backup --path {printable(file)} --format cln{skip} --output cln-recoverchannel.json"
    )


@click.command(epilog="\b\nExample:\n  vls-backup inspect-backup --path backup.json --format text")
@click.option("--path", required=True, type=FILE, metavar="FILE", help="The backup file; - reads standard input.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "text"]),
    default="json",
    show_default=True,
    help="JSON for programs, text for people.",
)
@address_options
def command(path: str, form: str, peer_addr: tuple[str, ...], peers: tuple[str, ...]) -> None:
    """Check a backup file and list the channels that it can recover.

    Damaged entries are named, and the exit status is 1 then; the other channels are listed all the same.
    """
    given = given_addresses(peer_addr, peers)
    backup, channels = read_channels(path, given)
    found = report(backup, noting(channels, given))
    emit(json.dumps(found, indent=2) + "\n" if form == "json" else as_text(found, path))
    say_age(backup.created_at)
    if found["damaged"]:
        first, more = found["damaged"][0], len(found["damaged"]) - 1
        others = f" (and {more} more faults)" if more else ""
        raise BackupError(
            f"{backup.name}: {first['key']}: {first['reason']}{others}. "
            "convert-backup --skip-incomplete leaves it out and converts the others"
        )
