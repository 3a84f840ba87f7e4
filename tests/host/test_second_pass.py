"""convert-backup --second-pass: which channels, by what came back in recorded recoveries, and in which form."""

import json
from pathlib import Path
from typing import Any

import pytest
from backup_cases import MIXED, VECTORS, error_line, load, run

from vls_backup.channels import Channel, read_channels
from vls_backup.scb import decode_scb
from vls_backup.second_pass import needs_second_pass

OUTCOMES = [path for path in sorted(VECTORS.glob("*-regtest/*.expected.json")) if "regtest_outcome" in load(path)]
CHEATED = VECTORS / "cln-regtest" / "set1-pR.backup.json"


def channels_in(path: Path) -> list[Channel]:
    return [item for item in read_channels(str(path))[1] if isinstance(item, Channel)]


def backup_of(path: Path) -> Path:
    return path.with_name(path.name.replace("expected", "backup"))


def left_behind(path: Path) -> int:
    outcome = load(path)["regtest_outcome"]
    return int(outcome["our_main_output_sat"] - outcome["recovered_main_sat"])


def test_there_are_recorded_losses() -> None:
    assert len(OUTCOMES) == 29
    assert {path.name: left_behind(path) for path in OUTCOMES if left_behind(path)} == {
        "set1-pR.expected.json": 132_000,
        "set2-dR60.expected.json": 235_000,
    }


@pytest.mark.parametrize("path", OUTCOMES, ids=[path.name.split(".")[0] for path in OUTCOMES])
def test_the_channels_of_which_something_was_left_behind(path: Path) -> None:
    """All of these; and of those that were closed with a revoked state, no other."""
    (channel,) = channels_in(backup_of(path))
    if load(path)["regtest_outcome"]["closed_with"] == "revoked":
        assert needs_second_pass(channel) == (left_behind(path) > 0)
    if needs_second_pass(channel):  # whether the peer cheats shows only on chain
        assert channel.commitment_type == "AnchorsZeroFeeHtlc"
        assert (channel.opened_by_us, len(channel.secrets or b"") > 0) == (False, True)


def converted(capfd: pytest.CaptureFixture[str], *options: object) -> Any:
    ran = run(capfd, "convert-backup", *options)
    assert ran.status == 0, ran.err
    return [decode_scb(bytes.fromhex(scb)) for scb in json.loads(ran.out)["scb"]]


def test_the_form(capfd: pytest.CaptureFixture[str]) -> None:
    """The SCB of the first pass with TLV 1 emptied, and nothing else."""
    (first,) = converted(capfd, "--path", CHEATED)
    (second,) = converted(capfd, "--path", CHEATED, "--second-pass")
    assert (first.min_index, len(first.secrets) > 0) == (1, True)
    assert second == first._replace(secrets=b"")


def test_only_channels_that_need_it(capfd: pytest.CaptureFixture[str]) -> None:
    """Also, a channel without an address that doesn't need it stops nothing."""
    wanted = [channel.dbid for channel in channels_in(MIXED) if needs_second_pass(channel)]
    assert 0 < len(wanted) < len(channels_in(MIXED))
    assert [scb.dbid for scb in converted(capfd, "--path", MIXED, "--second-pass")] == wanted


def test_the_words(capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "convert-backup", "--path", CHEATED, "--second-pass")
    for words in ("for the second pass only", "fresh lightning-dir", "--rescan=-HEIGHT", "recoverchannel"):
        assert words in ran.err
    assert "vls-backup recover" not in ran.err


def test_nothing_to_do(capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "convert-backup", "--path", CHEATED.with_name("set1-pL.backup.json"), "--second-pass")
    assert ran.status == 3
    assert "no channel that needs a second pass" in error_line(ran)


def test_in_the_other_format(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret, output = tmp_path / "hsm_secret", tmp_path / "scb.recover"
    recorded = load(VECTORS / "emergency-recover" / "recovered-with-mnemonic.json")
    secret.write_bytes(bytes.fromhex(recorded["hsm_secret_file_hex"]))
    options = ["--format", "emergency-recover", "--hsm-secret", secret, "--output", output]
    ran = run(capfd, "convert-backup", "--path", CHEATED, "--second-pass", *options)
    assert (ran.status, ran.out) == (0, "")
    assert "for the second pass only" in ran.err and "emergencyrecover" in ran.err
    assert len(output.read_bytes()) < 600
