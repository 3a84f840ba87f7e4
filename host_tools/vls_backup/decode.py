"""`vls-backup decode`: an SCB field by field, and what is wrong with a bad one."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

import click

from vls_backup.console import emit, printable
from vls_backup.errors import BackupError
from vls_backup.explain import Explained, explain
from vls_backup.options import FILE

_SHORTEST = 64  # hex digits: what is that long is meant as an SCB, though a character may be damaged

_MEANING = {
    "node_id": "the peer",
    "funding_txid": "in the order in which it is stored",
    "funding_txid_explorer": "as explorers show it",
    "remote_to_self_delay": "blocks: how long we make the peer wait",
}
"""What stands behind a field in the text."""

_EXAMPLES = """\b
Examples:
  vls-backup decode cln-recoverchannel.json
  lightning-cli staticbackup | vls-backup decode -
  vls-backup decode --json 0000000000000001…
"""


@click.command(epilog=_EXAMPLES)
@click.argument("what", type=FILE, metavar="SCB|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(what: str, as_json: bool) -> None:
    """Show a static channel backup (SCB) field by field, and say what is wrong with a bad one.

    SCB in hex, or a FILE of one or more (- reads standard input): what convert-backup or lightning-cli staticbackup
    printed, or one SCB per line. The exit status is 1 if one is bad: never give such a one to lightningd.
    """
    name, texts = _read(what)
    found = [explain(text) for text in texts]
    if as_json:
        emit(json.dumps([_as_json(item) for item in found], indent=2) + "\n")
    else:
        emit("\n".join(_as_text(number, len(found), item) for number, item in enumerate(found, 1)))
    bad = [number for number, item in enumerate(found, 1) if item.wrong]
    if bad:
        of = f"{len(bad)} of {len(found)} SCBs are bad" if len(found) > 1 else "the SCB is bad"
        which = f"number {bad[0]}: " if len(found) > 1 else ""
        raise BackupError(f"{name}: {of}: {which}{found[bad[0] - 1].wrong[0]}. Do not give it to lightningd")


def _read(what: str) -> tuple[str, list[str]]:
    """Return how to speak of the input, and the SCBs in it, as they stand there. Raise BackupError."""
    is_hex = re.fullmatch(r"[0-9a-fA-F]+", what) is not None
    if what != "-" and not os.path.exists(what) and (is_hex or (len(what) >= _SHORTEST and "/" not in what)):
        return "SCB", [what]
    name = "standard input" if what == "-" else what
    try:
        if what == "-":
            if sys.stdin is None:
                raise BackupError("standard input is closed: name a file")
            data = sys.stdin.buffer.read()
        else:
            with open(what, "rb") as file:
                data = file.read()
        text = data.decode()
    except OSError as error:
        raise BackupError(f"{name}: cannot be read: {error.strerror or error}; nor is it an SCB in hex") from error
    except UnicodeDecodeError as error:
        raise BackupError(f"{name}: is no text: SCBs must be in hex") from error
    return name, _scbs(text, name)


def _scbs(text: str, name: str) -> list[str]:
    if text.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BackupError(f"{name}: is not JSON: {error}") from error
        found = value.get("scb") if isinstance(value, dict) else value
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise BackupError(f'{name}: holds no SCBs: it must be {{"scb": ["HEX", …]}}, or one SCB in hex per line')
    else:
        found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise BackupError(f"{name}: holds no SCB")
    return found


def _as_json(found: Explained) -> dict[str, Any]:
    return {"good": not found.wrong, "fields": found.fields, "wrong": found.wrong, "doubtful": found.doubtful}


def _as_text(number: int, count: int, found: Explained) -> str:
    verdict = "bad" if found.wrong else "good, but doubtful" if found.doubtful else "good"
    lines = [f"SCB{f' {number} of {count}' if count > 1 else ''}: {verdict}"]
    for field, value in found.fields.items():
        if field == "secrets":
            continue  # only in JSON
        if isinstance(value, dict):
            lines += [f"  {field}.{name}: {point}" for name, point in value.items()]
        else:
            meaning = f" ({_MEANING[field]})" if field in _MEANING else ""
            lines.append(f"  {field}: {_shown(value)}{meaning}")
    lines += [f"  wrong: {text}" for text in found.wrong]
    lines += [f"  doubtful: {text}" for text in found.doubtful]
    return "".join(printable(line) + "\n" for line in lines)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)
