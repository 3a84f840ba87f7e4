"""verify --hsm-secret: the forms of the file that hold the seed, and files that hold none."""

from pathlib import Path

import pytest
from backup_cases import VECTORS, run, run_process

SIGNED = VECTORS / "cln-regtest" / "set2-v6L.backup.json"
SEED = bytes.fromhex("a5" * 16 + "3c" * 16)
WORDS = "equip orbit punch pipe priority junior scare seven april flower mandate wild"


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (SEED, 0, ""),
        (SEED.hex().encode() + b"\n", 0, ""),
        (bytes(32), 7, "another signer's"),
        (bytes(32) + WORDS.encode(), 7, "another signer's"),
        (WORDS.encode(), 7, "another signer's"),
        (SEED[:31], 1, "is no hsm_secret"),
        (b"", 1, "is no hsm_secret"),
        (b"zz" * 32, 1, "is no hsm_secret"),
        (None, 1, "cannot be read"),
    ],
)
def test_secret_files(
    content: bytes | None, status: int, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    ran = run(capfd, "verify", "--path", SIGNED, "--hsm-secret", path)
    assert ran.status == status, ran.err
    assert words in ran.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bytes(73), "is not its passphrase"),
        (bytes(31) + b"1" + WORDS.encode(), "not the passphrase of its words"),
    ],
)
def test_a_wrong_passphrase(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    ran = run_process("verify", "--path", SIGNED, "--hsm-secret", path, stdin=b"a horse\n")
    assert (ran.status, ran.out) == (1, "")
    assert words in ran.err
