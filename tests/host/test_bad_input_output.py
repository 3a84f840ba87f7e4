"""Outputs that are refused: the input itself, a missing folder, what is no regular file."""

from pathlib import Path

import pytest
from backup_cases import ONE_CHANNEL, error_line, run


@pytest.mark.parametrize("kind", ["itself", "symbolic link", "hard link", "other spelling"])
def test_output_is_the_input(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "backup.json"
    path.write_bytes(ONE_CHANNEL.read_bytes())
    output = {"itself": path, "other spelling": tmp_path / "." / ".." / tmp_path.name / "backup.json"}.get(kind)
    if output is None:
        output = tmp_path / "link.json"
        output.symlink_to(path) if kind == "symbolic link" else output.hardlink_to(path)
    ran = run(capfd, "convert-backup", "--path", path, "--output", output)
    assert ran.status == 6
    assert "is the input file itself" in error_line(ran)
    assert path.read_bytes() == ONE_CHANNEL.read_bytes()


def test_output_folder_missing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "none" / "out.json"
    ran = run(capfd, "convert-backup", "--path", ONE_CHANNEL, "--output", output)
    assert ran.status == 6
    assert f"{output}: cannot be written: there is no folder {output.parent}" in error_line(ran)
    assert list(tmp_path.iterdir()) == []


def test_output_is_no_regular_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for output in (tmp_path, "/dev/null"):
        ran = run(capfd, "convert-backup", "--path", ONE_CHANNEL, "--output", output)
        assert ran.status == 6
        assert "not a regular file" in error_line(ran)
    assert not Path("/dev/null").is_file()
