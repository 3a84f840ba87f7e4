"""Media of format version 1, written once by the journal (64 KiB, erase units of 4 KiB): every later one reads them.

`.venv/bin/python tests/host/test_golden_media.py` made them; it writes none over another.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / name) for name in ("firmware", "tests/both")]

from faulty_flash import RamFlash  # noqa: E402
from journal_rig import Rig, channel, channel_key, fill, snapshots  # noqa: E402
from signer_backup.journal import Journal  # noqa: E402
from signer_backup.state import State  # noqa: E402

MEDIA = ROOT / "tests/vectors/media"


def contents(flash: RamFlash) -> dict[str, Any]:
    """Return what a medium holds, as the JSON beside it has it: settings and all whole snapshots, the newest last."""
    journal = Journal(lambda: flash)
    journal.mount(State(b"salt"))
    whole = [(number, held) for number, whole, held in snapshots(journal) if whole]
    assert (whole[-1][0] if whole else None) == (journal.last.number if journal.last else None)
    return {
        "settings": journal.settings and list(journal.settings),
        "snapshots": [
            {
                "number": number,
                "state": {
                    key: [version, signature.hex(), None if value is None else value.decode()]
                    for key, (version, signature, value) in sorted(held.items())
                },
            }
            for number, held in whole
        ],
    }


@pytest.mark.parametrize("path", sorted(MEDIA.glob("*.bin")), ids=lambda path: path.stem)
def test_it_is_read_as_it_was_written(path: Path) -> None:
    flash = RamFlash()
    flash.data[:] = path.read_bytes()
    assert contents(flash) == json.loads(path.with_suffix(".json").read_text())


def test_they_are_all_there() -> None:
    assert {path.stem for path in MEDIA.glob("*.bin")} == {"settings", "one-arena", "spills", "wrapped"}


def _make() -> None:
    rigs = {name: Rig(RamFlash()) for name in ("settings", "one-arena", "spills", "wrapped")}
    rigs["settings"].journal.configure(rigs["settings"].state, ("periodic", 10))
    rig = rigs["one-arena"]
    fill(rig, 3, 0, 60)
    rig.put("nodes/" + "02" + "11" * 32, 0, b'{"a":[1,2,300],"b":"\\n","c":-1.50e3}')
    rig.save()
    rig.put(channel_key(1), 1, channel(9, 90))
    rig.save()
    rig = rigs["spills"]
    rig.journal.configure(rig.state, ("new-channels-only", 0))
    for number in range(4):
        fill(rig, 8, number, 400)
        rig.spill()
        rig.delete(channel_key(number))
        if number == 2:
            rig.journal._must_checkpoint = True
        rig.save()
    fill(rig, 2, 9, 100)
    rig.spill()
    rig = rigs["wrapped"]
    for number in range(40):
        for i in range(3):
            rig.put(channel_key((number + i) % 7), number, channel(number, 400))
        rig.save()
    assert min(rig.flash.worn) >= 1 and max(rig.flash.worn) >= 2
    for name, rig in rigs.items():
        with (MEDIA / f"{name}.bin").open("xb") as image:
            image.write(rig.flash.data)
        (MEDIA / f"{name}.json").write_text(json.dumps(contents(rig.flash), indent=1) + "\n")


if __name__ == "__main__":
    _make()
