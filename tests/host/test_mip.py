"""package.json: what `mip install` puts onto a board is what the manifest ships, and it runs."""

import json
import subprocess
import sys
from pathlib import Path

from firmware_copy import ROOT, manifest_files

from vls_backup import __version__
from vls_backup_sim.bridge import SimulatedBoard

MANIFEST = ROOT / "firmware" / "manifest.py"
MPREMOTE = str(Path(sys.executable).with_name("mpremote"))


def test_package_json_lists_what_the_manifest_ships() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    assert sorted(package["urls"]) == [[name, f"firmware/{name}"] for name in manifest_files(MANIFEST)]
    assert package["version"] == __version__
    assert package["deps"] == []


def test_mip_installs_it() -> None:
    with SimulatedBoard(None, {"MICROPYPATH": ".:.frozen"}) as board:
        mip = ["connect", str(board.port), "mip", "install", "--target", ".", "./package.json"]
        done = subprocess.run([MPREMOTE, *mip], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        there = board.port.parent / "files"
        assert sorted(path.relative_to(there).as_posix() for path in there.rglob("*.py")) == manifest_files(MANIFEST)
        program = "import signer.loop, signer_backup.build; print(signer.loop.SignerLoop.__name__)"
        run = [MPREMOTE, "connect", str(board.port), "exec", program]
        said = subprocess.run(run, capture_output=True, text=True, timeout=30, check=False)
        assert said.stdout.strip() == "SignerLoop", said.stdout + said.stderr
