"""`convert-backup`: a backup file to the input of Core Lightning's `recoverchannel`, or to its emergency.recover."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import click

from vls_backup.advice import advice
from vls_backup.atomic import write_atomic
from vls_backup.backup_file import Head
from vls_backup.backup_stream import no_garbage_collection
from vls_backup.channels import CHANNEL_TYPES, WARNINGS, Channel, Fault, read_channels
from vls_backup.console import emit, printable, say, say_age
from vls_backup.emergency import emergency_file, seed_of
from vls_backup.errors import BackupError, IncompleteError
from vls_backup.given import address_options, given_addresses, noting
from vls_backup.options import FILE
from vls_backup.scb import MIN_INDEX, Scb, channel_id_v1, encode_scb, parse_scb
from vls_backup.second_pass import second_pass as for_second_pass

_NAMED_AT_MOST = 5


class Conversion(NamedTuple):
    """SCBs in the order of the channels' keys, what was left out, and (key, name of a warning) pairs."""

    scbs: list[bytes]
    faulty: list[Fault]
    incomplete: list[str]
    warnings: list[tuple[str, str]]


def to_scb(channel: Channel) -> Scb:
    """Return the SCB of a complete channel, in the form that gets the money back (docs/glcli-differences.md)."""
    if channel.wireaddr is None:
        raise ValueError("the channel has no usable address")
    points = channel.points
    return Scb(
        dbid=channel.dbid,
        channel_id=channel_id_v1(channel.txid, channel.vout),
        node_id=channel.peer_id,
        wireaddr=channel.wireaddr,
        txid=channel.txid,
        vout=channel.vout,
        funding_sats=channel.funding_sats,
        channel_type=CHANNEL_TYPES[channel.commitment_type],
        min_index=MIN_INDEX,
        secrets=channel.secrets or b"",
        basepoints=(
            points.revocation_basepoint,
            points.payment_point,
            points.htlc_basepoint,
            points.delayed_payment_basepoint,
        ),
        opener=0 if channel.opened_by_us else 1,
        remote_to_self_delay=channel.our_delay,
    )


def checked_scb(channel: Channel) -> bytes:
    """Return the channel's SCB, after our own strict decoder has read the same out of it.

    That the points are on the curve was checked when the channel was read.
    """
    scb = to_scb(channel)
    data = encode_scb(scb)
    try:
        same = parse_scb(data) == scb
    except ValueError as error:
        raise BackupError(f"internal: {channel.key}: our own SCB does not decode: {error}. Please report it") from error
    if not same:
        raise BackupError(f"internal: {channel.key}: our own SCB decodes to something else. Please report it")
    return data


@no_garbage_collection()
def convert(found: Iterable[Channel | Fault]) -> Conversion:
    """Convert every complete channel, and note every other one."""
    result = Conversion([], [], [], [])
    for item in found:
        if isinstance(item, Fault):
            result.faulty.append(item)
            continue
        if item.address and item.address.fault:
            result.faulty.append(Fault(item.key, f"the peer's address {item.address.fault}"))
        elif item.wireaddr is None:
            result.incomplete.append(item.key)
        else:
            result.scbs.append(checked_scb(item))
            result.warnings.extend((item.key, warning) for warning in item.warnings)
    return result


def recoverchannel_json(scbs: list[bytes]) -> Iterator[str]:
    """Yield the parts of {"scb": [...]} as glcli prints it: 2 spaces, a final newline. Hex needs no escaping."""
    separator = '{\n  "scb": [\n    "'
    for scb in scbs:
        yield separator
        yield scb.hex()
        separator = '",\n    "'
    yield '"\n  ]\n}\n'


def accept(backup: Head, result: Conversion, skip_incomplete: bool, kind: str = "complete channel") -> int:
    """Name everything that was left out, and return the exit status for it.

    Raise BackupError or IncompleteError if that may not be left out, or nothing remains. kind: of what nothing remains.
    """
    if not skip_incomplete:
        _refuse_incomplete(backup, result)
    for fault in result.faulty:
        say(f"Skipped {printable(str(fault))}")
    for key in result.incomplete:
        say(f"Skipped {printable(key)}: missing_peer_addr: {WARNINGS['missing_peer_addr']}")
    if not result.scbs:
        raise IncompleteError(f"{backup.name}: no {kind}: there is nothing that lightningd could recover")
    return IncompleteError.exit_status if result.faulty else 0


def _refuse_incomplete(backup: Head, result: Conversion) -> None:
    """Raise BackupError if anything was left out: without --skip-incomplete all channels must be there."""
    hint = "--skip-incomplete converts the others"
    if result.faulty:
        fault, more = result.faulty[0], len(result.faulty) - 1
        others = f" (and {more} more faults)" if more else ""
        raise BackupError(f"{backup.name}: {fault}{others}. {hint}")
    if result.incomplete:
        keys, more = result.incomplete[:_NAMED_AT_MOST], len(result.incomplete) - _NAMED_AT_MOST
        others = f" and {more} more" if more > 0 else ""
        why = WARNINGS["missing_peer_addr"]
        raise IncompleteError(f"{backup.name}: incomplete: {', '.join(keys)}{others}: {why}. {hint}")


def _say_what_was_done(backup: Head, result: Conversion) -> None:
    for key, warning in result.warnings:
        say(f"Warning: {key}: {warning}: {WARNINGS[warning]}")
    left_out = len(result.faulty) + len(result.incomplete)
    say(f"Converted {len(result.scbs)} channels of node {backup.node_id.hex()}, left out {left_out}.")
    say_age(backup.created_at)


_EXAMPLES = """\b
Examples:
  vls-backup convert-backup --path backup.json --output cln-recoverchannel.json
  vls-backup convert-backup --path backup.json --output cln-recoverchannel.json --peer-addr ID@203.0.113.7:9735
  vls-backup convert-backup --path backup.json --format emergency-recover --hsm-secret hsm_secret --output scb.recover
"""


@click.command(epilog=_EXAMPLES)
@click.option("--path", required=True, type=FILE, metavar="FILE", help="The backup file; - reads standard input.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["cln", "emergency-recover"]),
    default="cln",
    show_default=True,
    help="What to make: recoverchannel's input, or the file that emergencyrecover reads.",
)
@click.option("--output", type=FILE, metavar="FILE", help="Write here instead of to standard output.")
@click.option("--skip-incomplete", is_flag=True, help="Leave out channels without an address, and damaged ones.")
@click.option("--hsm-secret", type=FILE, metavar="FILE", help="For emergency-recover: the seed in lightningd's file.")
@click.option("--second-pass", is_flag=True, help="Only channels of which a penalty leaves our own output behind.")
@address_options
def command(
    path: str,
    form: str,
    output: str | None,
    skip_incomplete: bool,
    hsm_secret: str | None,
    second_pass: bool,
    peer_addr: tuple[str, ...],
    peers: tuple[str, ...],
) -> int:
    """Make Core Lightning's recovery input of a backup: for recoverchannel, or its emergency.recover.

    The result goes to standard output; what was left out, warnings and advice go to standard error. The exit status is
    3 when damaged channels were left out, though the others were converted.
    """
    if (form == "emergency-recover") != (hsm_secret is not None):
        raise click.UsageError("--format emergency-recover and --hsm-secret FILE go together.")
    if hsm_secret is not None and output is None:
        raise click.UsageError("--format emergency-recover makes a binary file: name it with --output FILE.")
    given = given_addresses(peer_addr, peers)
    backup, found = read_channels(path, given)
    seed = seed_of(backup.node_id, hsm_secret, path) if hsm_secret is not None else None
    found = noting(found, given)
    result = convert(for_second_pass(found) if second_pass else found)
    kind = "channel that needs a second pass" if second_pass else "complete channel"
    status = accept(backup, result, skip_incomplete, kind)
    parts = recoverchannel_json(result.scbs)
    if output is None:
        emit("".join(parts))
    elif seed is None or hsm_secret is None:
        write_atomic(output, map(str.encode, parts), inputs=[path])
    else:
        write_atomic(output, [emergency_file(result.scbs, seed)], inputs=[path, hsm_secret])
    _say_what_was_done(backup, result)
    say(advice(form, second_pass, path, output))
    return status
