"""emergency.recover: the key, the layout and the words, held against files of a running lightningd."""

import json
import stat
import struct
from pathlib import Path
from typing import Any

import pytest
from backup_cases import MIXED, VECTORS, error_line, load, run, run_process
from nacl import bindings
from nacl.pwhash import argon2id

from vls_backup import emergency, secretstream
from vls_backup.addresses import wireaddr_size
from vls_backup.scb import decode_scb
from vls_backup.secret_file import read_lightningds_secret
from vls_backup.seed import Seed, from_words

WRITTEN = load(VECTORS / "emergency-recover" / "lightningd-32-byte-secret.json")
RECOVERED = load(VECTORS / "emergency-recover" / "recovered-with-mnemonic.json")
RECORDED = pytest.mark.parametrize("recorded", [WRITTEN, RECOVERED], ids=["written", "recovered"])


def of(recorded: Any, field: str) -> bytes:
    return bytes.fromhex(recorded[field + "_hex"])


def seed_in(recorded: Any, tmp_path: Path) -> Seed:
    path = tmp_path / "recorded_secret"
    path.write_bytes(of(recorded, "hsm_secret_file"))
    return read_lightningds_secret(str(path), lambda what: pytest.fail(f"asked for {what}"))


def split(data: bytes) -> list[bytes]:
    """Cut SCBs that stand one after another, by their lengths alone."""
    scbs = []
    while data:
        at = 8 + 32 + 33
        at += wireaddr_size(data[at:])
        at += 32 + 4 + 8
        at += 2 + int.from_bytes(data[at : at + 2], "big")
        at += 4 + int.from_bytes(data[at : at + 4], "big")
        scbs.append(data[:at])
        data = data[at:]
    return scbs


@RECORDED
def test_recorded_files_open(recorded: Any, tmp_path: Path) -> None:
    seed = seed_in(recorded, tmp_path)
    assert seed.scb_key() == of(recorded, "scb_key")
    message = emergency.unseal(of(recorded, "file"), seed.scb_key())
    assert message == of(recorded, "plaintext")
    kind, version, _time, count = emergency.MESSAGE.unpack(message[: emergency.MESSAGE.size])
    scbs = split(message[emergency.MESSAGE.size :])
    assert (kind, version, count, len(scbs)) == (6137, 1, recorded["num_channels"], 13)
    assert len({decode_scb(scb).dbid for scb in scbs}) == 13


@RECORDED
def test_we_write_the_recorded_files(recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their header in place of a random one, and their time: byte for byte."""

    def recorded_header(state: Any, key: bytes) -> bytes:
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, of(recorded, "header"), key)
        return of(recorded, "header")

    message = of(recorded, "plaintext")
    at = emergency.MESSAGE.unpack(message[: emergency.MESSAGE.size])[2]
    monkeypatch.setattr(bindings, "crypto_secretstream_xchacha20poly1305_init_push", recorded_header)
    monkeypatch.setattr(emergency.time, "time", lambda: at)
    scbs = split(message[emergency.MESSAGE.size :])
    assert emergency.emergency_file(scbs, seed_in(recorded, tmp_path)) == of(recorded, "file")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The hsm_secret of the node that MIXED is of."""
    path = tmp_path / "hsm_secret"
    path.write_bytes(of(RECOVERED, "hsm_secret_file"))
    return path


def arguments(path: object, secret: Path) -> list[object]:
    options = ["--hsm-secret", secret, "--output", secret.with_name("scb.recover")]
    return ["convert-backup", "--path", path, "--format", "emergency-recover", *options]


def test_the_command(secret: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, *arguments(MIXED, secret), "--skip-incomplete")
    assert (ran.status, ran.out) == (0, "")
    output = secret.with_name("scb.recover")
    for words in ("Converted 13 channels", "emergencyrecover", f"cp {output} ", "side by side"):
        assert words in ran.err
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    message = emergency.unseal(output.read_bytes(), of(RECOVERED, "scb_key"))
    expected = load(MIXED.with_name("mixed.expected.json"))["recoverchannel"]["scb"]
    assert struct.unpack_from(">HQ", message) == (6137, 1)
    assert message[14:16] == (13).to_bytes(2, "big")
    assert message[16:].hex() == "".join(expected)
    assert sorted(path.name for path in secret.parent.iterdir()) == ["hsm_secret", "scb.recover"]


def test_two_files_never_share_a_header(secret: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = set()
    for _ in range(2):
        assert run(capfd, *arguments(MIXED, secret), "--skip-incomplete").status == 0
        files.add(secret.with_name("scb.recover").read_bytes()[: secretstream.HEADER_SIZE])
    assert len(files) == 2


def test_a_seed_of_another_node(secret: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret.write_bytes(of(WRITTEN, "hsm_secret_file"))
    ran = run(capfd, *arguments(MIXED, secret))
    assert ran.status == 7
    assert "is the seed of node 03b08df4371b7fceb18553f8e263b6fafc4f990a9e3dd6bad4c146347125c6d8ab" in error_line(ran)
    assert not secret.with_name("scb.recover").exists()


def test_the_32_bytes_of_words_are_another_secret(secret: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The same node, but lightningd derives another key: the form of the file counts."""
    secret.write_bytes(of(RECOVERED, "root_secret")[:32])
    assert run(capfd, *arguments(MIXED, secret), "--skip-incomplete").status == 0
    file = secret.with_name("scb.recover").read_bytes()
    with pytest.raises(emergency.BackupError, match="of another seed"):
        emergency.unseal(file, of(RECOVERED, "scb_key"))
    assert emergency.unseal(file, Seed(of(RECOVERED, "root_secret")[:32]).scb_key())


@pytest.mark.parametrize("cut", [0, 23, 40, -1])
def test_a_damaged_file(cut: int) -> None:
    with pytest.raises(emergency.BackupError):
        emergency.unseal(of(RECOVERED, "file")[:cut], of(RECOVERED, "scb_key"))


def encrypted(passphrase: bytes) -> bytes:
    """Encrypt the 32-byte secret as lightning-hsmtool does (read in common/hsm_secret.c), numbers spelled out."""
    key = argon2id.kdf(32, passphrase, b"c-lightning\0\0\0\0\0", opslimit=3, memlimit=256 << 20)
    return secretstream.seal(of(RECOVERED, "root_secret")[:32], key)


def with_passphrase(passphrase: str) -> bytes:
    """Return the words as lightningd keeps them when they have a passphrase."""
    words = of(RECOVERED, "hsm_secret_file")[32:].decode()
    return from_words(words, passphrase).digest() + words.encode()


def test_an_encrypted_secret(secret: Path) -> None:
    secret.write_bytes(encrypted(b"a horse"))
    assert secret.stat().st_size == 73
    command = arguments(MIXED, secret)
    assert run_process(*command, "--skip-incomplete", stdin=b"a horse\n").status == 0
    output = secret.with_name("scb.recover")
    assert emergency.unseal(output.read_bytes(), Seed(of(RECOVERED, "root_secret")[:32]).scb_key())
    ran = run_process(*command, "--skip-incomplete", stdin=b"a cow\n")
    assert ran.status == 1
    assert "is not its passphrase" in error_line(ran)
    ran = run_process(*arguments("-", secret), stdin=MIXED.read_bytes())
    assert ran.status == 1
    assert "can't be asked for while the backup comes from standard input" in error_line(ran)


def test_words_with_a_passphrase(secret: Path, tmp_path: Path) -> None:
    """BIP-39's own test vector (all zero entropy, passphrase TREZOR), then the command."""
    seed = from_words("abandon " * 11 + "about", "TREZOR")
    root = bytes.fromhex(
        "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2"
        "f001698e7463b04"
    )
    assert (seed.digest(), seed.scb_key()) == (Seed(root).digest(), Seed(root).scb_key())
    secret.write_bytes(with_passphrase("geheim"))
    backup = load(MIXED)
    node_id = from_words(of(RECOVERED, "hsm_secret_file")[32:].decode(), "geheim").node_id.hex()
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(backup).replace(backup["node_id"], node_id))
    assert run_process(*arguments(path, secret), "--skip-incomplete", stdin=b"geheim\n").status == 0
    ran = run_process(*arguments(path, secret), "--skip-incomplete", stdin=b"\n")
    assert ran.status == 1
    assert "not the passphrase of its words" in error_line(ran)


@pytest.mark.parametrize("content", [b"", bytes(31), of(RECOVERED, "root_secret")[:32].hex().encode()])
def test_no_hsm_secret_of_lightningds(content: bytes, secret: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Hex is a seed for verify, but lightningd would not start with it."""
    secret.write_bytes(content)
    ran = run(capfd, *arguments(MIXED, secret))
    assert ran.status == 1
    assert "is no hsm_secret that lightningd could start with" in error_line(ran)


def test_bare_words(secret: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret.write_bytes(b"abandon " * 23 + b"art\n")
    ran = run(capfd, *arguments(MIXED, secret))
    assert ran.status == 1
    assert "is no hsm_secret that lightningd could start with" in error_line(ran)


def test_the_secret_is_never_overwritten(secret: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, *arguments(MIXED, secret)[:-1], secret, "--skip-incomplete")
    assert ran.status == 6
    assert secret.read_bytes() == of(RECOVERED, "hsm_secret_file")


def test_wrong_usage(secret: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, *arguments(MIXED, secret)[:-2]).status == 2
    assert run(capfd, "convert-backup", "--path", MIXED, "--format", "emergency-recover", "--output", "x").status == 2
    assert run(capfd, "convert-backup", "--path", MIXED, "--hsm-secret", secret).status == 2
