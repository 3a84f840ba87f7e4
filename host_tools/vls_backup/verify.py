"""`vls-backup verify`: everything that can be known of a backup without the network."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click
import msgspec

from vls_backup.backup_file import TOMBSTONE_VERSION, Backup
from vls_backup.channels import WARNINGS, Channel, Fault, channels_of
from vls_backup.console import age, emit, printable
from vls_backup.errors import BackupError, IncompleteError, WrongSeedError
from vls_backup.options import FILE
from vls_backup.reading import read_backup
from vls_backup.secret_file import ask_unseen, cannot_ask, read_secret
from vls_backup.seed import NATIVE_STYLE, Seed, from_words
from vls_backup.shachain import INDEX_END, indexes_of

_OWN_PREFIXES = ("nodes/", "nodestates/", "allowlists/", "trackers/")
"""Entries that carry the node's own id behind these."""

_SIGNATURE_SIZE = 64
_NO_BACKUPS_BEFORE = datetime(2025, 1, 1, tzinfo=UTC)  # Greenlight's format is younger


class _Enforcement(msgspec.Struct):
    next_counterparty_revoke_num: int | None = None


class _Revoked(msgspec.Struct):
    enforcement_state: _Enforcement | None = None


class _Style(msgspec.Struct):
    key_derivation_style: int | None = None


class Report(msgspec.Struct):
    """What verify found. The lists hold (key of an entry, or "" for the file; what is the matter with it).

    seed: "not checked", "fits", "wrong" or "cannot be told"; the three numbers count signatures that were looked at.
    """

    file: str
    node_id: str
    created_at: str
    entries: int
    channels: int = 0
    damaged: list[tuple[str, str]] = []
    incomplete: list[tuple[str, str]] = []
    warnings: list[tuple[str, str]] = []
    seed: str = "not checked"
    signatures_right: int = 0
    signatures_wrong: int = 0
    unsigned: int = 0


def check(backup: Backup, seed: Seed | None) -> Report:
    """Check the backup, and if there is a seed, whether it is of that."""
    report = Report(backup.name, backup.node_id.hex(), backup.created_at, len(backup.values))
    report.damaged += _wrong_entries(backup)
    report.warnings += [("", text) for text in _clock(backup.created_at)]
    for item in channels_of(backup):
        if isinstance(item, Fault):
            report.damaged.append((item.key, item.reason))
            continue
        report.channels += 1
        report.warnings += [(item.key, f"{name}: {WARNINGS[name]}") for name in item.warnings if item.wireaddr]
        report.warnings += [(item.key, text) for text in _missing_secrets(backup, item)]
        if item.wireaddr is None:
            fault = item.address and item.address.fault
            why = f"the peer's address {fault}" if fault else WARNINGS["missing_peer_addr"]
            report.incomplete.append((item.key, why))
    if seed is not None:
        _check_seed(backup, seed, report)
    return report


def _wrong_entries(backup: Backup) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the entries beside what a channel or a peer must hold: owners, versions, signatures."""
    own = backup.node_id.hex()
    for key, entry in backup.values.items():
        if entry.version == TOMBSTONE_VERSION and bytes(entry.value) != b"null":
            yield key, "its version says that it was deleted, and yet it holds a value"
        if len(entry.signature) not in (0, _SIGNATURE_SIZE):
            yield key, f"its signature has {len(entry.signature)} bytes, not {_SIGNATURE_SIZE}"
        prefix, _, owner = key.partition("/")
        if f"{prefix}/" in _OWN_PREFIXES and owner.lower() != own:
            yield key, f"belongs to another node, but this is the backup of {own}"


def _clock(created_at: str) -> Iterator[str]:
    try:
        made = datetime.fromisoformat(created_at)
        early, late = made < _NO_BACKUPS_BEFORE, made > datetime.now(UTC) + timedelta(days=1)
    except (ValueError, TypeError):
        yield f"created_at {created_at} is not a time: how old the backup is cannot be told"
        return
    if early or late:
        yield f"created_at {created_at} cannot be right: a clock was wrong, and how old the backup is cannot be told"


def _missing_secrets(backup: Backup, channel: Channel) -> Iterator[str]:
    """Compare the revocations that the signer has counted with the secrets that are there."""
    try:
        state = msgspec.json.decode(backup.values[channel.key].value, type=_Revoked).enforcement_state
    except msgspec.MsgspecError:
        yield "enforcement_state.next_counterparty_revoke_num is no number: how many secrets there must be is unknown"
        return
    if channel.secrets is None or state is None or state.next_counterparty_revoke_num is None:
        return
    counted = state.next_counterparty_revoke_num
    there = INDEX_END - min(indexes_of(channel.secrets), default=INDEX_END)
    if there != counted:
        yield (
            f"the signer counted {counted} revocations, but the secrets tell of {there}: "
            "a peer who cheats with one of the others cannot be punished"
        )


def _check_seed(backup: Backup, seed: Seed, report: Report) -> None:
    """Tell a wrong seed from damage: signatures that fit prove the seed, whatever else doesn't."""
    live = {key: entry for key, entry in backup.values.items() if entry.signature}
    right = {key for key, entry in live.items() if seed.signed(key, entry)}
    same_node = seed.node_id == backup.node_id
    if not right and not same_node:
        report.seed = "wrong" if live or _is_native(backup) else "cannot be told"
        return
    report.seed = "fits"
    report.unsigned = len(backup.values) - len(live)
    report.signatures_right = len(right)
    report.signatures_wrong = len(live) - len(right)
    if not same_node and _is_native(backup):
        report.damaged.append(("", f"node_id is {backup.node_id.hex()}, but the seed's node is {seed.node_id.hex()}"))
    for key in sorted(live.keys() - right):
        report.damaged.append((key, "its signature is not the signer's: the entry was changed after it was signed"))


def _is_native(backup: Backup) -> bool:
    """Tell whether the node id can be derived: other styles of VLS are not known here."""
    entry = backup.values.get(f"nodes/{backup.node_id.hex()}")
    try:
        return entry is not None and msgspec.json.decode(entry.value, type=_Style).key_derivation_style == NATIVE_STYLE
    except msgspec.MsgspecError:
        return False


def as_text(report: Report) -> str:
    """Return the report in words, one line for each finding."""
    found = [
        ("damaged", report.damaged),
        ("incomplete", report.incomplete),
        ("warning", report.warnings),
    ]
    complete = report.channels - len(report.incomplete)
    checked = f"{report.signatures_right} right, {report.signatures_wrong} wrong, {report.unsigned} entries without"
    lines = [
        f"Signer backup {report.node_id}",
        f"created_at: {report.created_at} ({age(report.created_at)})",
        f"entries: {report.entries}",
        f"channels: total={report.channels} complete={complete} incomplete={len(report.incomplete)}",
        f"seed: {report.seed}{'' if report.seed != 'not checked' else ': give it with --hsm-secret or --mnemonic'}",
        f"signatures: {checked if report.seed == 'fits' else 'not checked'}",
        *(f"{kind}: {key or 'the file'}: {text}" for kind, items in found for key, text in items),
    ]
    return "".join(printable(line) + "\n" for line in lines)


def judge(report: Report) -> None:
    """Raise what the report comes to, the worst first: WrongSeedError, BackupError for damage, IncompleteError."""
    name = report.file
    if report.seed == "wrong":
        raise WrongSeedError(f"{name}: the seed is another signer's: no signature is its own, nor is the node its node")
    if report.damaged:
        key, reason = report.damaged[0]
        more = f" (and {len(report.damaged) - 1} more)" if len(report.damaged) > 1 else ""
        advice = "convert-backup --skip-incomplete converts what is sound"
        raise BackupError(f"{name}: damaged: {key or 'the file'}: {reason}{more}. {advice}")
    if not report.channels:
        raise IncompleteError(f"{name}: holds no channel: nothing can be recovered from it")
    if report.incomplete:
        raise IncompleteError(
            f"{name}: incomplete: {len(report.incomplete)} of {report.channels} channels lack an address"
        )


_EXAMPLES = """\b
Examples:
  vls-backup verify --path backup.json
  vls-backup verify --path backup.json --hsm-secret hsm_secret
  vls-backup verify --path backup.json --mnemonic
"""


@click.command(epilog=_EXAMPLES)
@click.option("--path", required=True, type=FILE, metavar="FILE", help="The backup file; - reads standard input.")
@click.option("--hsm-secret", type=FILE, metavar="FILE", help="The signer's seed, as lightningd or glcli keeps it.")
@click.option("--mnemonic", is_flag=True, help="Ask for the words of the seed, without showing them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(path: str, hsm_secret: str | None, mnemonic: bool, as_json: bool) -> None:
    """Check all that can be known of a backup without the network.

    The file, its points on the curve, whose entries they are, the revocation secrets, dbids, addresses and the clock.
    With the seed: that the node is this seed's, and that the signer signed every entry as it stands. The exit status
    tells ok (0), damaged (1), incomplete (3) and wrong seed (7) apart.
    """
    if mnemonic and (hsm_secret is not None or path == "-"):
        raise click.UsageError("--mnemonic goes neither with --hsm-secret nor with --path -.")
    backup = read_backup(path)
    seed = None
    if mnemonic:
        seed = from_words(ask_unseen("The words of the seed"))
    elif hsm_secret is not None:
        seed = read_secret(hsm_secret, cannot_ask if path == "-" else ask_unseen)
    report = check(backup, seed)
    emit(json.dumps(msgspec.structs.asdict(report), indent=2) + "\n" if as_json else as_text(report))
    judge(report)
