"""`make wheel`: a wheel of the host command that carries the built firmware, for pipx and wherever no checkout is.

It is built from a copy of the sources with build/firmware in it, so that nothing left over gets in.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "host_tools", "firmware/backup_format", "boards/sim/host")


def stage(folder: Path, firmware: Path) -> None:
    """Copy into the new folder what the wheel is made of; firmware: a folder with a folder for each board."""
    for name in SOURCES:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    shutil.copytree(firmware, folder / "host_tools" / "vls_backup" / "firmware")


def main() -> int:
    """Build the wheel and print its path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firmware", type=Path, default=ROOT / "build" / "firmware", help="what make firmware built")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "wheel", help="the folder for the wheel")
    args = parser.parse_args()
    shutil.rmtree(args.out, ignore_errors=True)
    stage(args.out / "source", args.firmware)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(args.out)]
    done = subprocess.run([*pip, *options, str(args.out / "source")], check=False)
    shutil.rmtree(args.out / "source")
    for wheel in args.out.glob("*.whl"):
        print(wheel)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
