"""The demo's own checks: it ends with 0 on a good run by every strategy, and with 1 as soon as anything is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from board_rig import ROOT, RUN, SECONDS, VECTORS, Done

LAST = 50  # the last request of the short run; a golden conversion fits its state
GOLDEN = "a-at-0050.expected.json"
FILES = {"backup.json", "board.log", "cln-recoverchannel.json", "flash.bin", "snapshots.json"}


def demo(folder: Path, *arguments: object) -> Done:
    """Run tools/demo.py with its files in folder/out."""
    command = [sys.executable, str(ROOT / "tools" / "demo.py"), "--out", str(folder / "out"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """The beginning of run a and its golden conversion, in another folder."""
    path = tmp_path / "vectors" / "short.jsonl"
    path.parent.mkdir()
    path.write_text("".join(RUN.open().readlines()[: LAST + 2]))
    shutil.copy(VECTORS / GOLDEN, path.parent)
    (path.parent / GOLDEN).chmod(0o644)
    return path


def test_a_short_run(short: Path, tmp_path: Path) -> None:
    done = demo(tmp_path, "--run", short)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "POWER CUT" in done.stdout and f"equals the golden file {GOLDEN}" in done.stdout
    assert f"recorded state after request {LAST}," in done.stdout
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} <= FILES
    notes = json.loads((out / "snapshots.json").read_text())
    assert [list(note) for note in notes] == [["after_request", "trigger", "programmed_bytes"]] * len(notes)
    assert notes[-1]["after_request"] == LAST and notes[0]["trigger"] == "first"
    assert all(note["programmed_bytes"] > 0 for note in notes)
    want = json.loads((VECTORS / GOLDEN).read_bytes())["recoverchannel"]
    assert json.loads((out / "cln-recoverchannel.json").read_text()) == want


def test_the_strategies(short: Path, tmp_path: Path) -> None:
    done = demo(tmp_path, "--run", short, "--strategy", "new-channels-only")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "after request 30," in done.stdout and "No golden conversion fits" in done.stdout
    done = demo(tmp_path, "--run", short, "--strategy", "never")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no snapshot yet" in done.stdout and "POWER CUT" not in done.stdout
    assert json.loads((tmp_path / "out" / "snapshots.json").read_text()) == []
    assert not (tmp_path / "out" / "backup.json").exists()  # the one of the demo before is gone


def alter_golden(short: Path) -> None:
    """Another delay in one SCB."""
    path = short.parent / GOLDEN
    text = path.read_text()
    path.write_text(text.replace('"scb":["00', '"scb":["01').replace('"scb": [\n      "00', '"scb": [\n      "01'))
    assert path.read_text() != text


def refuse_golden(short: Path) -> None:
    """A golden file that says that there is nothing to convert."""
    path = short.parent / GOLDEN
    golden = json.loads(path.read_bytes())
    golden["recoverchannel"]["scb"] = []
    path.write_text(json.dumps(golden))


@pytest.mark.parametrize(
    ("alter", "words"),
    [(alter_golden, f"not what {GOLDEN} says"), (refuse_golden, "yet the conversion was not refused")],
)
def test_another_golden_conversion_is_noticed(
    short: Path, tmp_path: Path, alter: Callable[[Path], None], words: str
) -> None:
    alter(short)
    done = demo(tmp_path, "--run", short)
    assert done.returncode == 1
    assert "The demo FAILED: " in done.stderr and words in done.stderr


@pytest.mark.parametrize("what", ["version", "value", "signature", "key"])
def test_another_state_is_noticed(short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """check_pulled is what stands between a wrong state and the demo's praise."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    import demo as module

    from vls_backup_sim.feeder import Feeder

    state = Feeder(short).state_after(LAST)
    values = {
        key: [e.version, json.loads(e.value)] + ([list(e.signature)] if e.signature else []) for key, e in state.items()
    }
    path = tmp_path / "backup.json"
    path.write_text(json.dumps({"state": {"values": values}}))
    module.check_pulled(path, state)
    key = next(key for key, entry in state.items() if entry.signature)
    if what == "version":
        values[key][0] += 1
    elif what == "value":
        values[key][1] = {}
    elif what == "signature":
        values[key][2][63] ^= 1
    else:
        del values[key]
    path.write_text(json.dumps({"state": {"values": values}}))
    with pytest.raises(module.DemoFailed, match=key):
        module.check_pulled(path, state)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategy", "hourly"], "strategy 'hourly': use never, new-channels-only or periodic:N"),
        (["--strategy", "periodic:0"], "strategy 'periodic:0': use"),
        (["--run", "missing.jsonl"], "missing.jsonl: No such file"),
        (["--run", ROOT], "Is a directory"),
        (["--run", VECTORS / "a-last.backup.json"], "a-last.backup.json, line 1: "),
        (["--run", sys.executable], "line 1: "),
    ],
)
def test_wrong_arguments_are_told_in_one_line_before_anything_starts(
    tmp_path: Path, arguments: list[object], words: str
) -> None:
    done = demo(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("The demo FAILED: ") and words in lines[0]
    assert len(lines[0]) < 300
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_cut_short_is_told(short: Path, tmp_path: Path) -> None:
    """The feeder reads all of it before the board starts."""
    with short.open("a") as file:
        file.write('{"i":51,"message":"x"')
    done = demo(tmp_path, "--run", short)
    assert done.returncode == 1 and f"short.jsonl, line {LAST + 3}: " in done.stderr
