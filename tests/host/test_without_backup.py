"""A build without the backup package: the loop's tests pass on it all the same."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from firmware_copy import ROOT

from vls_backup_sim.vm import micropython_command

BOTH = ROOT / "tests" / "both"
MODULES = sorted(BOTH.glob("test_loop*.py"))
VMS = {"CPython": sys.executable, "MicroPython 64-bit": micropython_command()}


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """The firmware's packages without signer_backup."""
    ignore = shutil.ignore_patterns("__pycache__", "signer_backup")
    return Path(shutil.copytree(ROOT / "firmware", tmp_path / "firmware", ignore=ignore))


def run(vm: str, firmware: Path, *arguments: str) -> str:
    """Return what the VM prints that finds our modules in firmware and in tests/both only."""
    path = f"{firmware}:{BOTH}"
    environment = {**os.environ, "MICROPYPATH": f"{path}:.frozen", "PYTHONPATH": path}
    command = [VMS[vm], *arguments]
    done = subprocess.run(command, cwd=firmware, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("vm", VMS)
@pytest.mark.parametrize("module", MODULES, ids=[module.stem for module in MODULES])
def test_loop_passes_without_backup(module: Path, vm: str, firmware: Path) -> None:
    output = run(vm, firmware, str(BOTH / "run_on_vm.py"), str(module))
    expected = module.read_text().count("\ndef test_")
    assert re.search(rf"^ran {expected} failed 0\s*\Z", output, re.MULTILINE), output
    assert expected > 0


@pytest.mark.parametrize("vm", VMS)
def test_backup_package_is_really_absent(vm: str, firmware: Path) -> None:
    refused = run(vm, firmware, "-c", "import signer.loop, signer_backup.build").lower()
    assert "no module named 'signer_backup" in refused, refused
    assert run(vm, firmware, "-c", "import signer.loop; print('there')").strip() == "there"


def test_there_are_modules() -> None:
    assert len(MODULES) >= 2
