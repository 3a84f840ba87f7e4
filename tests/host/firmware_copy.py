"""A copy of what `make firmware` builds from, so that a test can change it and builds nothing into the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def copy_sources(folder: Path) -> Path:
    """Copy the firmware, the boards and the budget into folder; return it."""
    for name in ("firmware", "boards"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "budget.toml", folder / "tools")
    return folder


def make_firmware(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run tools/firmware.py on the copy in folder; what it builds is in folder/build/firmware/<board>."""
    command = [sys.executable, str(ROOT / "tools" / "firmware.py"), "--root", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def built_firmware(folder: Path) -> Path:
    """Build every board's firmware in the new folder; return the folder that holds it. Its size is another test's."""
    done = make_firmware(copy_sources(folder))
    built = folder / "build" / "firmware"
    assert {path.name for path in built.iterdir()} >= {"sim"}, done.stderr
    return built


def manifest_files(manifest: Path) -> list[str]:
    """Return the paths on the board of what a manifest ships, sorted, as MicroPython's build would understand it.

    What it requires from MicroPython's own library is not ours, and left out.
    """
    found: list[str] = []
    options = SimpleNamespace(backup=None)
    options.defaults = lambda backup: setattr(options, "backup", backup)

    def run(path: Path) -> None:
        def module(name: str, base_path: str = ".") -> None:
            assert (path.parent / base_path / name).exists(), f"{path} ships {name}, which is not there"
            found.append(name)

        def package(name: str) -> None:
            found.extend(os.path.relpath(file, path.parent) for file in (path.parent / name).rglob("*.py"))

        words: dict[str, Any] = {"options": options, "module": module, "package": package, "require": len}
        words["include"] = lambda name: run((path.parent / name).resolve())
        exec(path.read_text(encoding="utf-8"), words)

    run(manifest)
    return sorted(found)
