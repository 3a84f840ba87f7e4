"""convert-backup's words and files: what it says, where it writes, and that no failure costs what was there."""

import json
import os
import resource
import stat
from pathlib import Path

import pytest
from backup_cases import ANOTHER_CHANNEL, MIXED, ONE_CHANNEL, VECTORS, channel_of, expected_text, load, run, run_process

EXPECTED = expected_text(load(ONE_CHANNEL.with_name("set1-n2L.expected.json")))


def test_words_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "convert-backup", "--path", MIXED, "--skip-incomplete")
    assert "2026-11-22T12:00:00Z" in ran.err
    assert "Converted 13 channels" in ran.err
    assert "left out 1" in ran.err
    assert "never a way to move it" in ran.err
    assert "side by side" in ran.err
    assert "one SCB per call" in ran.err
    assert f"\n  vls-backup recover --path {MIXED} --rpc " in ran.err
    assert '''lightning-cli recoverchannel "[\\"$scb\\"]"''' in ran.err
    assert "Dual-funded (v2) channels are not supported" in ran.err


def test_warnings_name_their_channel(capfd: pytest.CaptureFixture[str]) -> None:
    path = VECTORS / "signer-run" / "a-last.backup.json"
    ran = run(capfd, "convert-backup", "--path", path)
    warnings = [line for line in ran.err.splitlines() if line.startswith("Warning: ")]
    closed = [
        key
        for key, (_, value, *_) in load(path)["state"]["values"].items()
        if "channels/" in key and value["enforcement_state"]["channel_closed"]
    ]
    assert [line.split(": ")[1:3] for line in warnings] == [
        [closed[0], "peer_addr_inbound"],
        [closed[0], "channel_closed"],
    ]


def edited(tmp_path: Path, change: str) -> Path:
    backup = load(ANOTHER_CHANNEL)
    key, value = channel_of(backup)
    state = value["enforcement_state"]
    secrets = state["counterparty_secrets"]["old_secrets"]
    match change:
        case "no enforcement state":
            value["enforcement_state"] = None
        case "secrets null":
            state["counterparty_secrets"] = None
        case "secrets absent":
            del state["counterparty_secrets"]
        case "last secret lost":
            secrets.pop()
        case "same dbid twice":
            other = load(MIXED)["state"]["values"]
            other_key = next(
                name
                for name in other
                if name.startswith("channels/") and name[68:134] != key[68:134] and "peers/" + name[75:141] in other
            )
            backup["state"]["values"][other_key[:-16] + key[-16:]] = other[other_key]
            backup["state"]["values"]["peers/" + other_key[75:141]] = other["peers/" + other_key[75:141]]
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(backup))
    return path


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ("no enforcement state", "shachain_tlv_missing"),
        ("secrets null", "shachain_tlv_missing"),
        ("secrets absent", "shachain_tlv_missing"),
        ("last secret lost", "shachain_incomplete"),
        ("same dbid twice", "dbid_not_unique"),
    ],
)
def test_warning(change: str, warning: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "convert-backup", "--path", edited(tmp_path, change))
    assert ran.status == 0, ran.err
    assert ran.err.count(f": {warning}: ") == 1
    assert len(json.loads(ran.out)["scb"]) == (2 if change == "same dbid twice" else 1)
    if warning == "shachain_tlv_missing":  # TLV 1 is there all the same: min_index 1, no secrets
        assert "010c" + "0000000000000001" + "00000000" + "0384" in ran.out


def test_output_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.json"
    output.write_text("old")
    output.chmod(0o644)
    ran = run(capfd, "convert-backup", "--path", ONE_CHANNEL, "--output", output)
    assert (ran.status, ran.out) == (0, "")
    assert output.read_text() == EXPECTED
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert f"jq -r '.scb[]' {output}" in ran.err
    assert os.listdir(tmp_path) == ["out.json"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    other.write_text("not ours")
    link = tmp_path / "out.json"
    link.symlink_to(other)
    assert run(capfd, "convert-backup", "--path", ONE_CHANNEL, "--output", link).status == 0
    assert other.read_text() == "not ours"
    assert not link.is_symlink()
    assert link.read_text() == EXPECTED


def test_a_write_that_fails_leaves_the_old_content_and_no_temporary_file(tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    output.write_text("old")
    ran = run_process(
        "convert-backup",
        "--path",
        ONE_CHANNEL,
        "--output",
        output,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert ran.status == 6
    assert ran.err == f"Error: {output}: cannot be written: File too large\n"
    assert output.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.json"]
