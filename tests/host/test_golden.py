"""convert-backup prints, byte for byte, the SCBs with which running nodes got their money back."""

from pathlib import Path

import pytest
from backup_cases import MIXED, VECTORS, error_line, expected_text, load, run, run_process

CASES = sorted(
    path
    for folder in ("cln-regtest", "lnd-regtest", "signer-run")
    for path in (VECTORS / folder).glob("*.expected.json")
)


def backup_beside(expected: Path) -> Path:
    return expected.with_name(expected.name.replace(".expected.", ".backup."))


def test_every_backup_has_a_golden_file() -> None:
    backups = {path for path in VECTORS.glob("*/*.backup.json")}
    assert {backup_beside(path) for path in CASES} == backups
    assert len(CASES) >= 36


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name.split(".")[0])
def test_conversion(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    expected = load(path)
    skipped = expected.get("skipped", [])
    backup = backup_beside(path)
    if skipped:
        refused = run(capfd, "convert-backup", "--path", backup)
        assert refused.status == 3
        assert all(key in error_line(refused) for key in skipped)
    ran = run(capfd, "convert-backup", "--path", backup, *["--skip-incomplete"] * bool(skipped))
    if not expected["recoverchannel"]["scb"]:
        assert ran.status == 3
        assert "no complete channel" in error_line(ran)
        return
    assert ran.status == 0, ran.err
    assert ran.out == expected_text(expected)
    lines = ran.err.splitlines()
    assert [key for key in skipped if not any(key in line and "Skipped" in line for line in lines)] == []
    assert sum(line.startswith("Skipped") for line in lines) == len(skipped)


def test_as_a_real_process() -> None:
    ran = run_process("convert-backup", "--path", "-", "--skip-incomplete", stdin=MIXED.read_bytes())
    assert ran.status == 0, ran.err
    assert ran.out == expected_text(load(MIXED.with_name("mixed.expected.json")))
