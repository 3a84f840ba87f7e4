"""What the tests of `recover` share: backups, a scripted lightningd for each, and the command run on them."""

import json
from pathlib import Path
from typing import Any

import pytest
from backup_cases import MIXED, ONE_CHANNEL, VECTORS, Ran, load, run
from scripted_lightningd import ScriptedLightningd
from scripted_node import Script

from vls_backup.scb import Scb, decode_scb

LND = VECTORS / "lnd-regtest" / "lnd-visible.backup.json"  # 10 channels: 6, 2, 1 and 1 per peer
REVOKED = VECTORS / "cln-regtest" / "set2-dR60.backup.json"  # anchors, opened by the peer


def node_of(backup: Path) -> str:
    """Return the id of a backup's node."""
    node_id: str = load(backup)["node_id"]
    return node_id


def scbs_of(backup: Path) -> list[Scb]:
    """Return the SCBs that a backup must give."""
    expected = load(Path(str(backup).replace(".backup.", ".expected.")))
    return [decode_scb(bytes.fromhex(scb)) for scb in expected["recoverchannel"]["scb"]]


def script(backup: Path = ONE_CHANNEL, **what: Any) -> Script:
    """Return a script with the right node."""
    return Script(node_of(backup), **what)


def recover(
    capfd: pytest.CaptureFixture[str], server: ScriptedLightningd, backup: Path | None, *arguments: object
) -> Ran:
    """Run `recover` on a scripted lightningd: quickly, without a question, and without MIXED's incomplete channel."""
    given = ["--path", backup, "--yes"] if backup else []
    given += ["--skip-incomplete"] if backup == MIXED else []
    ran = run(capfd, "recover", "--rpc", server.path, "--interval", "0.05", *given, *arguments)
    assert "Traceback" not in ran.err
    return ran


def events(ran: Ran) -> list[Any]:
    """Return what --json printed."""
    return [json.loads(line) for line in ran.out.splitlines()]
