"""inspect-backup: the report that glcli gives, and a text that people can use."""

import json
from pathlib import Path

import pytest
from backup_cases import MIXED, ONE_CHANNEL, VECTORS, channel_of, load, run

from vls_backup.console import printable

RECOVERY = sorted(VECTORS.glob("signer-run/*.recovery.json"))
TOP_FIELDS = [
    "version",
    "created_at",
    "node_id",
    "strategy",
    "total_channels",
    "complete_channels",
    "incomplete_channels",
    "channels",
]

CHANNEL_FIELDS = [
    "channel_key",
    "peer_id",
    "peer_addr",
    "complete",
    "warnings",
    "funding_outpoint",
    "funding_sats",
    "remote_basepoints",
    "opener",
    "remote_to_self_delay",
    "commitment_type",
]


@pytest.mark.parametrize("path", RECOVERY, ids=lambda path: path.name.split(".")[0])
def test_same_as_gl_client(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backup = path.with_name(path.name.replace(".recovery.", ".backup."))
    ran = run(capfd, "inspect-backup", "--path", backup)
    assert (ran.status, ran.err.count("\n")) == (0, 1)
    assert ran.err.startswith(f"The backup was made {load(backup)['created_at']} (")
    report = json.loads(ran.out)
    assert list(report) == [*TOP_FIELDS, "damaged"]
    assert report["damaged"] == []
    source = load(backup)
    assert [report[name] for name in TOP_FIELDS[:4]] == [source[name] for name in TOP_FIELDS[:4]]
    theirs = load(path)["recovery_data"]
    ours = report["channels"]
    assert len(ours) == len(theirs) == report["total_channels"]
    for our, their in zip(ours, theirs, strict=True):
        assert list(our)[: len(their)] == CHANNEL_FIELDS  # the recording has them sorted by name
        assert {name: our[name] for name in their if name != "warnings"} == {
            name: value for name, value in their.items() if name != "warnings"
        }
        assert set(their["warnings"]) <= set(our["warnings"])
    assert report["complete_channels"] == sum(channel["complete"] for channel in theirs)


def test_some_run_has_channels() -> None:
    assert len(RECOVERY) == 4
    assert any(load(path)["recovery_data"] for path in RECOVERY)


def test_our_own_fields(capfd: pytest.CaptureFixture[str]) -> None:
    expected = load(ONE_CHANNEL.with_name("set1-n2L.expected.json"))
    (channel,) = json.loads(run(capfd, "inspect-backup", "--path", ONE_CHANNEL, "--format", "json").out)["channels"]
    assert channel["channel_id"] == expected["channel_id"]
    assert channel["funding_txid_explorer"] == expected["funding_txid_explorer"]
    assert (channel["remote_to_self_delay"], channel["our_to_self_delay"]) == (9, 7)
    assert (channel["dbid"], channel["revocation_secrets"], channel["channel_closed"]) == (3, 2, False)


def test_text(capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "inspect-backup", "--path", MIXED, "--format", "text")
    assert (ran.status, ran.err.count("\n")) == (0, 1)
    lines = ran.out.splitlines()
    assert lines[:2] == [f"Signer backup {load(MIXED)['node_id']}", "version: 1"]
    assert lines[2].startswith("created_at: 2026-11-22T12:00:00Z (")
    assert lines[3:5] == ["strategy: periodic(updates=10)", "channels: total=14 complete=13 incomplete=1"]
    assert sum(line.startswith("channel: channels/") for line in lines) == 14
    assert lines.count("  status: incomplete") == 1
    assert "  opener: us" in lines
    assert "  opener: the peer" in lines
    assert f"  vls-backup convert-backup --path {MIXED} --format cln --skip-incomplete --output" in ran.out
    # As block explorers show it, so in the other byte order than in the file.
    txid = channel_of(load(MIXED))[1]["channel_setup"]["funding_outpoint"]["txid"]
    assert f"  funding: {bytes.fromhex(txid)[::-1].hex()}:" in ran.out
    assert txid not in ran.out


def test_one_damaged_channel_hides_no_other(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backup = load(MIXED)
    key, value = channel_of(backup)
    value["channel_setup"]["funding_outpoint"]["txid"] = "\x1b"
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(backup))
    reason = "field channel_setup.funding_outpoint.txid: must be 64 hex characters (32 bytes), found 1"
    ran = run(capfd, "inspect-backup", "--path", path)
    assert ran.status == 1
    report = json.loads(ran.out)
    assert report["damaged"] == [{"key": key, "reason": reason}]
    assert (report["total_channels"], len(report["channels"]), report["complete_channels"]) == (13, 13, 13)
    ran = run(capfd, "inspect-backup", "--path", path, "--format", "text")
    assert ran.status == 1
    assert ran.out.count("\nchannel: ") == 13
    assert f"\n\ndamaged: {key}: {reason}\n\nIf the node is lost" in ran.out
    assert "--skip-incomplete --output" in ran.out
    assert ran.err.splitlines()[-1].startswith(f"Error: {path}: {key}: {reason}. ")


def test_text_says_what_is_closed_and_what_came_in(capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "inspect-backup", "--path", VECTORS / "signer-run" / "a-last.backup.json", "--format", "text")
    assert ran.out.count("  status: complete, closed (money may still lie on chain)") == 1
    assert ran.out.count("  warnings: peer_addr_inbound, channel_closed") == 1
    assert ran.out.count("  warnings: none") == 5


def test_nothing_in_the_file_steers_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backup = load(ONE_CHANNEL)
    evil = "\x1b[31m\r\x9b2J\u202ered\n\x00"
    backup["created_at"] = evil
    peer = next(key for key in backup["state"]["values"] if key.startswith("peers/"))
    backup["state"]["values"][peer][1]["addr"] = evil
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(backup))
    for form in ("text", "json"):
        ran = run(capfd, "inspect-backup", "--path", path, "--format", form)
        assert ran.status == 0
        assert [c for c in ran.out if not (c.isprintable() or c == "\n")] == []
    ran = run(capfd, "convert-backup", "--path", path)
    assert ran.status == 1
    assert ran.err.endswith("\n")
    assert ran.err[:-1].isprintable()


def test_printable() -> None:
    assert printable("a\x1b\n\u202eü€🔒\ud800") == "a\\x1b\\n\\u202eü€🔒\\ud800"


def test_old_layouts_of_vls(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Channels written by VLS 0.9 and 0.10 are read; where they hold no secrets, the report says so."""
    samples = {path.stem: load(path) for path in sorted(VECTORS.glob("vls-samples/*.json"))}
    assert len(samples) == 4
    for name, value in samples.items():
        backup = load(ONE_CHANNEL)
        key = channel_of(backup)[0]
        backup["state"]["values"][key][1] = value
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(backup))
        ran = run(capfd, "inspect-backup", "--path", path)
        assert ran.status == 0, ran.err
        channels = json.loads(ran.out)["channels"]
        assert len(channels) == (value["channel_setup"] is not None)
        has_secrets = value["enforcement_state"].get("counterparty_secrets") is not None
        assert ["shachain_tlv_missing" in channel["warnings"] for channel in channels] == [not has_secrets] * len(
            channels
        )
