"""Values that JSON allows and few tools take: half a surrogate pair, deep nesting, numbers of thousands of digits."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from backup_cases import VECTORS, channel_of, load, run

from vls_backup.backup_file import format_backup
from vls_backup.errors import BackupError, FieldError
from vls_backup.reading import read_backup
from vls_backup.vault import state_of

SIGNED = VECTORS / "cln-regtest" / "set2-v6L.backup.json"
SEED = bytes.fromhex("a5" * 16 + "3c" * 16)
NODE = load(SIGNED)["node_id"]
HALF_A_PAIR = '"\\ud800 and more"'
DEEP = "[" * 900 + "]" * 900
LONG = "9" * 5000


def with_value(tmp_path: Path, text: str, number: int = 0) -> Path:
    """Write the signed backup with one more signed entry, of this value."""
    backup = load(SIGNED)
    backup["state"]["values"][f"allowlists/{NODE}"] = [number, "HERE", [1] * 64]
    path = tmp_path / f"{number}.json"
    path.write_text(json.dumps(backup).replace('"HERE"', text))
    return path


@pytest.mark.parametrize(("text", "other"), [(DEEP, f"[{DEEP}]"), (LONG, "8" * 5000)], ids=["deep", "long"])
def test_no_command_stumbles(text: str, other: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, newer = with_value(tmp_path, text), with_value(tmp_path, other, 1)
    secret = tmp_path / "hsm_secret"
    secret.write_bytes(SEED)
    assert run(capfd, "inspect-backup", "--path", path).status == 0
    assert run(capfd, "convert-backup", "--path", path).status == 0
    ran = run(capfd, "verify", "--path", path, "--hsm-secret", secret)
    assert ran.status == 1 and f"allowlists/{NODE}: its signature is not the signer's" in ran.out
    for options in ([], ["--json"]):
        ran = run(capfd, "diff", path, newer, *options)
        assert ran.status == 0 and "allowlists/" in ran.out
    assert state_of(read_backup(str(path)))[f"allowlists/{NODE}"].value == text.encode()


def test_nesting_at_the_limit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What can be read at one place of the program is too deep at another, whose stack is deeper: told, in words."""
    secret = tmp_path / "hsm_secret"
    secret.write_bytes(SEED)
    for depth in range(904, 1000, 8):
        text = "[" * depth + "]" * depth
        path, newer = with_value(tmp_path, text), with_value(tmp_path, f"[{text}]", 1)
        commands: list[list[Any]] = [["verify", "--path", path, "--hsm-secret", secret], ["diff", path, newer]]
        for command in commands:
            ran = run(capfd, *command)
            assert "internal" not in ran.err, (depth, ran)
        with suppress(BackupError):
            state_of(read_backup(str(path)))
        backup = load(SIGNED)
        channel_of(backup)[1]["x"] = "HERE"
        path.write_text(json.dumps(backup).replace('"HERE"', text))
        for name in ("inspect-backup", "convert-backup", "verify"):
            ran = run(capfd, name, "--path", path)
            assert "internal" not in ran.err, (depth, ran)


@pytest.mark.parametrize("value", [b"x{", b'"\xff"', b"", b"[" * 5000 + b"]" * 5000, HALF_A_PAIR.encode()])
def test_no_file_is_written_with_what_is_no_json(value: bytes) -> None:
    entries: list[Any] = [("k", 1, value, b"")]
    with pytest.raises(FieldError, match="k: its value is"):
        format_backup("", NODE, "never", entries)
