"""verify: what is wrong with a file by itself, and against the seed; a wrong seed and a damaged file are two things."""

import hmac
import json
import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coincurve
import pytest
from backup_cases import MIXED, ONE_CHANNEL, VECTORS, Ran, channel_of, load, run, run_process

from vls_backup.seed import from_words, state_digest

SEEDS = {
    "cln-regtest/set2-": "a5" * 16 + "3c" * 16,
    "lnd-regtest/lnd-": "b6" * 16 + "4d" * 16,
    "signer-run/a-": json.loads((VECTORS / "signer-run" / "a.jsonl").open().readline())["seed"],
}
SIGNED = VECTORS / "cln-regtest" / "set2-v6L.backup.json"
SEED = bytes.fromhex(SEEDS["cln-regtest/set2-"])
WORDS = "equip orbit punch pipe priority junior scare seven april flower mandate wild"
CASES = [(path, seed) for start, seed in SEEDS.items() for path in sorted(VECTORS.glob(f"{start}*.backup.json"))]


def verify(capfd: pytest.CaptureFixture[str], path: Path, *options: object) -> tuple[Ran, Any]:
    """Return the run, and the report in JSON."""
    ran = run(capfd, "verify", "--path", path, "--json", *options)
    return ran, json.loads(ran.out)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "hsm_secret"
    path.write_bytes(SEED)
    return path


@pytest.fixture
def backup() -> Any:
    return load(SIGNED)


def written(tmp_path: Path, backup: Any) -> Path:
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(backup))
    return path


def test_there_are_cases() -> None:
    assert len(CASES) >= 19
    assert len({seed for _, seed in CASES}) == 3


@pytest.mark.parametrize(("path", "seed"), CASES, ids=[path.name.split(".")[0] for path, _ in CASES])
def test_recorded_signatures(path: Path, seed: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Real signatures of three seeds: all of them fit their seed, and none another one."""
    for name in SEEDS.values():
        file = tmp_path / "hsm_secret"
        file.write_bytes(bytes.fromhex(name))
        ran, report = verify(capfd, path, "--hsm-secret", file)
        signed = sum(len(entry) == 3 for entry in load(path)["state"]["values"].values())
        assert signed == report["entries"]
        assert report["seed"] == ("fits" if name == seed else "wrong")
        assert report["signatures_right"] == (signed if name == seed else 0)
        assert report["damaged"] == []
        assert ran.status == (7 if name != seed else 3 if report["incomplete"] or not report["channels"] else 0)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*/*.backup.json")), ids=lambda path: path.name.split(".")[0])
def test_recorded_files_are_sound(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran, report = verify(capfd, path)
    assert report["damaged"] == []
    assert (report["seed"], report["signatures_right"]) == ("not checked", 0)
    assert [text for _, text in report["warnings"] if "the signer counted" in text] == []
    assert ran.status == (3 if report["incomplete"] or not report["channels"] else 0)
    inspected = json.loads(run(capfd, "inspect-backup", "--path", path).out)
    assert (report["channels"], len(report["incomplete"])) == (
        inspected["total_channels"],
        inspected["incomplete_channels"],
    )


def the_channel(backup: Any) -> str:
    return channel_of(backup)[0]


def change_a_value(backup: Any) -> str:
    channel_of(backup)[1]["enforcement_state"]["initial_holder_value"] += 1
    return the_channel(backup)


def change_a_version(backup: Any) -> str:
    backup["state"]["values"][the_channel(backup)][0] += 1
    return the_channel(backup)


def change_a_signature(backup: Any) -> str:
    backup["state"]["values"][the_channel(backup)][2][40] ^= 1
    return the_channel(backup)


def zero_a_signature(backup: Any) -> str:
    backup["state"]["values"][the_channel(backup)][2] = [255] * 64
    return the_channel(backup)


@pytest.mark.parametrize("edit", [change_a_value, change_a_version, change_a_signature, zero_a_signature])
def test_damage_that_only_the_seed_shows(
    edit: Callable[[Any], str], backup: Any, secret: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    key = edit(backup)
    path = written(tmp_path, backup)
    assert verify(capfd, path)[0].status == 0
    ran, report = verify(capfd, path, "--hsm-secret", secret)
    assert (ran.status, report["seed"]) == (1, "fits")
    assert [name for name, _ in report["damaged"]] == [key]
    assert (report["signatures_right"], report["signatures_wrong"]) == (4, 1)
    assert ran.err.startswith(f"Error: {path}: damaged: {key}: its signature is not the signer's")


def test_all_signatures_wrong_and_yet_the_node_is_the_seeds(
    backup: Any, secret: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for entry in backup["state"]["values"].values():
        entry[0] += 1
    ran, report = verify(capfd, written(tmp_path, backup), "--hsm-secret", secret)
    assert (ran.status, report["seed"], report["signatures_wrong"]) == (1, "fits", 5)


def test_another_node_id_in_a_file_that_this_seed_signed(
    backup: Any, secret: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    backup["node_id"] = load(MIXED)["node_id"]
    ran, report = verify(capfd, written(tmp_path, backup), "--hsm-secret", secret)
    assert (ran.status, report["seed"]) == (1, "fits")
    assert "belongs to another node" in report["damaged"][0][1]


def test_unsigned_entries(backup: Any, secret: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for entry in backup["state"]["values"].values():
        del entry[2]
    ran, report = verify(capfd, written(tmp_path, backup), "--hsm-secret", secret)
    assert (ran.status, report["seed"], report["unsigned"]) == (0, "fits", 5)


def test_a_seed_that_cannot_be_told(
    backup: Any, secret: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another style of derivation and no signature: neither a wrong seed nor damage."""
    for key, entry in backup["state"]["values"].items():
        del entry[2]
        if key.startswith("nodes/"):
            entry[1]["key_derivation_style"] = 3
    secret.write_bytes(bytes(31) + b"1")
    ran, report = verify(capfd, written(tmp_path, backup), "--hsm-secret", secret)
    assert (ran.status, report["seed"], report["damaged"]) == (0, "cannot be told", [])


def test_another_order_of_fields_is_no_damage(
    backup: Any, secret: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for entry in backup["state"]["values"].values():
        if isinstance(entry[1], dict):
            entry[1] = dict(reversed(entry[1].items()))
    ran, report = verify(capfd, written(tmp_path, backup), "--hsm-secret", secret)
    assert (ran.status, report["signatures_right"]) == (0, 5)


def of_seed(backup: Any, seed: bytes, node_id: str) -> Any:
    """Return the backup as if this seed's node had made it: another node id, signed anew by its key."""
    own = backup["node_id"]
    backup = json.loads(json.dumps(backup).replace(own, node_id))
    extracted = hmac.digest(b"", seed, "sha256")
    key = coincurve.PrivateKey(hmac.digest(extracted, b"greenlight/state-signing/v1\1", "sha256"))
    for name, entry in backup["state"]["values"].items():
        value = json.dumps(entry[1], separators=(",", ":"), sort_keys=True).encode()
        signature = key.sign_recoverable(state_digest(name, entry[0], value), hasher=None)
        entry[2] = list(signature[:64])
    return backup


RECORDED_ROOT = (  # what a running lightningd made of these words
    "38b6de5db84d9f4d201b0575afd469de2388f2d17cac43c961c4d93f13462be6"
    "5b97f68d0933a14d96669075bbae00ed42be7fc9fc373509c18d6f06039ec3c0"
)


def test_mnemonic(backup: Any, tmp_path: Path) -> None:
    """The words come through a pipe here. The node of the recorded run had them as its hsm_secret."""
    node_id = from_words(WORDS).node_id.hex()
    assert node_id == load(MIXED)["node_id"]
    path = written(tmp_path, of_seed(backup, bytes.fromhex(RECORDED_ROOT)[:32], node_id))
    for words, status in (
        (WORDS, 0),
        (f"  {WORDS.upper()} ", 0),
        (WORDS.replace("wild", "april"), 7),
        ("equip orbit", 1),
    ):
        ran = run_process("verify", "--path", path, "--mnemonic", stdin=words.encode() + b"\n")
        assert ran.status == status, ran.err
        assert "equip" not in ran.out + ran.err and "orbit" not in ran.out + ran.err


def test_a_mnemonic_at_a_terminal_is_not_shown(backup: Any, tmp_path: Path) -> None:
    path = written(tmp_path, of_seed(backup, bytes.fromhex(RECORDED_ROOT)[:32], from_words(WORDS).node_id.hex()))
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "vls_backup", "verify", "--path", str(path), "--mnemonic"])
    shown = b""
    while b"not shown): " not in shown:
        shown += os.read(terminal, 4096)
    os.write(terminal, WORDS.encode() + b"\n")
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # the other end is closed
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown
    assert b"seed: fits" in shown
    assert b"orbit" not in shown


def tombstone_with_a_value(backup: Any) -> str:
    backup["state"]["values"][the_channel(backup)][0] = 2**64 - 1
    return the_channel(backup)


def short_signature(backup: Any) -> str:
    backup["state"]["values"][the_channel(backup)][2] = [1, 2, 3]
    return the_channel(backup)


def foreign_node(backup: Any) -> str:
    key = "nodestates/" + load(MIXED)["node_id"]
    backup["state"]["values"][key] = [0, {}]
    return key


def bad_point(backup: Any) -> str:
    channel_of(backup)[1]["channel_setup"]["counterparty_points"]["htlc_basepoint"] = "02" + "ff" * 32
    return the_channel(backup)


@pytest.mark.parametrize("edit", [tombstone_with_a_value, short_signature, foreign_node, bad_point])
def test_damage(edit: Callable[[Any], str], backup: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    key = edit(backup)
    path = written(tmp_path, backup)
    ran, report = verify(capfd, path)
    assert ran.status == 1
    assert [name for name, _ in report["damaged"]] == [key]
    text = run(capfd, "verify", "--path", path)
    assert f"\ndamaged: {key}: " in text.out
    assert f"damaged: {key}: " in text.err


@pytest.mark.parametrize("created_at", ["2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "today", "2026-11-22T12:00:00"])
def test_clock(created_at: str, backup: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backup["created_at"] = created_at
    ran, report = verify(capfd, written(tmp_path, backup))
    assert ran.status == 0
    ((key, text),) = report["warnings"]
    assert key == ""
    assert created_at in text


def test_secrets_that_are_too_few(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backup = load(ONE_CHANNEL)
    state = channel_of(backup)[1]["enforcement_state"]
    counted = state["next_counterparty_revoke_num"]
    assert counted == 2
    state["next_counterparty_revoke_num"] = 7
    ran, report = verify(capfd, written(tmp_path, backup))
    assert ran.status == 0
    assert "the signer counted 7 revocations, but the secrets tell of 2" in report["warnings"][-1][1]
    state["next_counterparty_revoke_num"] = "7"
    assert "is no number" in verify(capfd, written(tmp_path, backup))[1]["warnings"][-1][1]


def test_a_file_that_is_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.json"
    path.write_bytes(SIGNED.read_bytes()[:-50])
    ran = run(capfd, "verify", "--path", path)
    assert (ran.status, ran.out) == (1, "")
    assert "it ends too early" in ran.err


def test_wrong_usage(secret: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, "verify", "--path", SIGNED, "--mnemonic", "--hsm-secret", secret).status == 2
    assert run(capfd, "verify", "--path", "-", "--mnemonic").status == 2
