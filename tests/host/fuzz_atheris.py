"""Fuzz one reader of foreign bytes by its own code paths (libFuzzer): not run by pytest.

    .venv/bin/pip install -e '.[fuzz]'
    .venv/bin/python tests/host/fuzz_atheris.py journal -max_total_time=60

Names: TARGETS in fuzz_targets.py. It stops at the first exception that is none of ours, and leaves the input that
raised it in the current folder. What libFuzzer takes as options follows the name.
"""

import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("firmware", "tests/both", "tests/host")]

with atheris.instrument_imports(include=["vls_backup", "backup_format"]):
    from fuzz_targets import TARGETS, only_ours


def main() -> None:
    """Fuzz the target that the command line names."""
    name, *options = sys.argv[1:]
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *options, folder], lambda data: only_ours(target.run, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
