"""`make wheel`: installed alone, far from the checkout, the command works, and it brings the firmware along."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from backup_cases import ONE_CHANNEL, expected_text, load
from firmware_copy import ROOT, built_firmware


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel in it; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    firmware = built_firmware(folder / "tree")
    quietly([sys.executable, str(ROOT / "tools" / "wheel.py"), "--firmware", str(firmware), "--out", str(folder / "w")])
    (wheel,) = (folder / "w").iterdir()
    quietly([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")])
    python = str(folder / "env" / "bin" / "python")
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    quietly([sys.executable, "-m", "pip", "--python", python, "install", *options, str(wheel)])
    (packages,) = (folder / "env").glob("lib/python*/site-packages")
    # A path in a .pth file brings the dependencies, but not the checkout, which is linked there by a .pth of its own.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def quietly(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def vls_backup(installed: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder far from the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(installed / "env" / "bin" / "vls-backup"), *map(str, arguments)]
    return subprocess.run(command, cwd=installed, env=environment, capture_output=True, text=True, check=False)


def test_help(installed: Path) -> None:
    done = vls_backup(installed, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "inspect-backup" in done.stdout


def test_inspect_and_convert(installed: Path) -> None:
    done = vls_backup(installed, "inspect-backup", "--path", ONE_CHANNEL, "--format", "text")
    assert done.returncode == 0
    assert "channels: total=1 complete=1" in done.stdout
    done = vls_backup(installed, "convert-backup", "--path", ONE_CHANNEL)
    assert done.returncode == 0
    assert done.stdout == expected_text(load(ONE_CHANNEL.with_name("set1-n2L.expected.json")))


def test_it_runs_from_the_wheel_alone(installed: Path) -> None:
    python = str(installed / "env" / "bin" / "python")
    program = "import vls_backup, backup_format.log as log; print(vls_backup.__file__, log.__file__)"
    done = subprocess.run([python, "-c", program], cwd=installed, capture_output=True, text=True, check=True)
    assert done.stdout.count(str(installed / "env")) == 2
    (wheel,) = (installed / "w").iterdir()
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {f"backup_format/{path.name}" for path in ROOT.glob("firmware/backup_format/*.py")} <= packed
    assert not [name for name in packed if "test" in name or "__pycache__" in name]


def test_it_carries_the_firmware_of_every_board(installed: Path) -> None:
    built = installed / "tree" / "build" / "firmware"
    files = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()}
    (wheel,) = (installed / "w").iterdir()
    packed = {name.removeprefix("vls_backup/firmware/") for name in zipfile.ZipFile(wheel).namelist()}
    assert files
    assert files <= packed
    done = vls_backup(installed, "deploy", "--board", "none", "--port", "/dev/null")
    assert done.returncode == 2
    assert f"There is for: {', '.join(sorted(path.name for path in built.iterdir()))}." in done.stderr
