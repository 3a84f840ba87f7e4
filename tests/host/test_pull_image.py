"""vls-backup pull --image: snapshots from a medium whose board is dead, held against what the board would read."""

from __future__ import annotations

import errno
import json
import random
import re
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from backup_cases import MIXED, load, run
from board_rig import VECTORS, fill, pull, vault, vls_backup
from littlefs import LittleFS
from littlefs.context import UserContext

import file_units
from faulty_flash import RamFlash
from journal_rig import OTHER_NODE, Rig, channel, channel_key
from vls_backup.image import open_image
from vls_backup.journals import QUIET, Search
from vls_backup.pull_image import list_of_image, snapshot_of_image

MEDIA = VECTORS.parent / "media"
WRAPPED = (MEDIA / "wrapped.bin").read_bytes()
UNIT = 4096


def held(snapshot: Any) -> dict[str, list[Any]]:
    """Return a snapshot's entries as the golden media's JSON has them, which has no tombstones here."""
    return {key: [version, sig.hex(), value.decode()] for key, version, value, sig in snapshot.entries}


def in_image(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "image.bin"
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("name", ["one-arena", "spills", "wrapped"])
def test_golden_media(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each whole snapshot, and the newest one without a word; the image is left as it was."""
    path = MEDIA / f"{name}.bin"
    golden = load(path.with_suffix(".json"))["snapshots"]
    listed = json.loads(run(capfd, "pull", "--image", path, "--list", "--json").out)
    assert [row["number"] for row in listed if row["whole"]] == [snapshot["number"] for snapshot in golden]
    assert {row["whole"] for row in listed} <= {True, False}
    for snapshot in golden:
        expected = {key: entry for key, entry in snapshot["state"].items() if entry[2] is not None}
        assert held(snapshot_of_image(str(path), snapshot["number"], None)[0]) == expected
    ran = run(capfd, "pull", "--image", path)
    assert ran.status == 0 and f"Snapshot {golden[-1]['number']} of node" in ran.err and " days ago" in ran.err
    assert "Warning" not in ran.err
    assert {key: value[0] for key, value in json.loads(ran.out)["state"]["values"].items()} == {
        key: entry[0] for key, entry in golden[-1]["state"].items() if entry[2] is not None
    }
    oldest = run(capfd, "pull", "--image", path, "--generation", -len(golden), "--output", tmp_path / "old.json")
    assert oldest.status == 0 and f"Snapshot {golden[0]['number']} of node" in oldest.err
    assert f"the image's newest snapshot is number {golden[-1]['number']}" in oldest.err
    beyond = run(capfd, "pull", "--image", path, "--generation", -len(golden) - 1)
    assert (beyond.status, beyond.out) == (4, "") and "whole snapshots; the oldest is number" in beyond.err


def test_settings_alone(capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--list"], ["--generation", "3"]):
        ran = run(capfd, "pull", "--image", MEDIA / "settings.bin", *arguments)
        assert (ran.status, ran.out) == (4, "") and "but no snapshot" in ran.err


@pytest.mark.parametrize("before", [0, 1, 511, 4096, (1 << 20) - 3, (1 << 20) - 68, 0x110000])
def test_anywhere_in_a_dump(before: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Firmware before it, a file system behind it, also with the pieces that are read together ending in a header."""
    noise = random.Random(before).randbytes
    path = in_image(tmp_path, noise(before) + WRAPPED + noise(3 * UNIT + 5))
    ran = run(capfd, "pull", "--image", path)
    assert ran.status == 0 and f"Journal at byte {before} of" in ran.err and "Warning" not in ran.err
    assert ran.out == run(capfd, "pull", "--image", MEDIA / "wrapped.bin").out


def test_a_dump_that_begins_or_ends_within_the_journal(tmp_path: Path) -> None:
    """What is there is used: the newest snapshot lies in units 3 to 7."""
    expected = held(snapshot_of_image(str(MEDIA / "wrapped.bin"), None, None)[0])
    for begin, end in ((UNIT, len(WRAPPED)), (UNIT - 7, 13 * UNIT + 100)):
        snapshot, _ = snapshot_of_image(in_image(tmp_path, WRAPPED[begin:end]), None, None)
        assert held(snapshot) == expected


def sparse(path: Path, size: int, parts: dict[int, bytes]) -> str:
    with path.open("wb") as file:
        file.truncate(size)
        for offset, part in parts.items():
            file.seek(offset)
            file.write(part)
    return str(path)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory it took")
def test_of_a_large_card_only_the_beginning_is_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """32 GB with a journal at its beginning; then one far behind, and the peak of memory with it."""
    card = sparse(tmp_path / "card.img", 32 << 30, {0: WRAPPED})
    with open_image(card) as image:
        search = Search(image, lambda done, total: None)
    assert len(search.journals) == 1 and QUIET < search.searched <= QUIET + (2 << 20)
    ran = run(capfd, "pull", "--image", card)
    assert ran.status == 0 and "Searched the first 33 MiB of 32768" in ran.err
    far = sparse(tmp_path / "far.img", 300 << 20, {200 << 20: WRAPPED})
    script = (  # VmHWM: getrusage would count what this process had when it forked, too
        "import re, sys; from vls_backup.cli import main; status = main(sys.argv[1:]);"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr); sys.exit(status)"
    )
    command = [sys.executable, "-c", script, "pull", "--image", far]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and f"Journal at byte {200 << 20} of" in done.stderr
    assert int(done.stderr.splitlines()[-1]) < 120_000  # KiB


def other_journal(count: int = 2) -> bytes:
    """Return a medium of another node."""
    rig = Rig(RamFlash())
    for number in range(count):
        rig.put("peers/" + "02" + "33" * 32, number, b'{"addr":"x"}')
        rig.save(OTHER_NODE)
    return bytes(rig.flash.data)


def test_two_journals(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Refused, with what there is to choose from; one without a snapshot is no choice."""
    path = in_image(tmp_path, WRAPPED + bytes(UNIT) + other_journal())
    second = len(WRAPPED) + UNIT
    for arguments in ([], ["--list"]):
        ran = run(capfd, "pull", "--image", path, *arguments)
        assert (ran.status, ran.out) == (1, "") and "holds 2 journals: say with --offset which one" in ran.err
        assert re.search(
            rf"--offset 0: node 0211\w+, snapshot 40 .*\n--offset {second}: node 0322\w+, snapshot 2 ", ran.err
        )
    ran = run(capfd, "pull", "--image", path, "--offset", second)
    assert ran.status == 0 and json.loads(ran.out)["node_id"] == OTHER_NODE.hex()
    assert "Snapshot 40 of node 0211" in run(capfd, "pull", "--image", path, "--offset", 0).err
    ran = run(capfd, "pull", "--image", path, "--offset", 4096)
    assert (ran.status, ran.out) == (1, "") and f"journals begin at 0, {second}" in ran.err
    path = in_image(tmp_path, (MEDIA / "settings.bin").read_bytes() + WRAPPED)
    assert run(capfd, "pull", "--image", path).status == 0
    path = in_image(tmp_path, WRAPPED * 5)  # a disk with many dumps
    assert "holds 5 journals" in run(capfd, "pull", "--image", path).err
    assert run(capfd, "pull", "--image", path, "--offset", 2 * len(WRAPPED)).status == 0


def test_the_simulated_boards_flash(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The same file as over the wire, and the same list; a newer backup file is kept as it is from there."""
    flash, output = tmp_path / "flash.bin", tmp_path / "backup.json"
    with vault(flash) as board:
        fill(board, 30)
        by_wire = pull(board)
        listed = json.loads(pull(board, "--list", "--json").stdout)
        older = pull(board, "--generation", listed[-3]["number"])
    before = flash.read_bytes(), flash.stat().st_mtime_ns
    flash.chmod(0o444)
    by_image = vls_backup("pull", "--image", flash)
    assert (by_image.returncode, by_image.stdout) == (0, by_wire.stdout)
    assert vls_backup("pull", "--image", flash, "--generation", listed[-3]["number"]).stdout == older.stdout
    assert json.loads(vls_backup("pull", "--image", flash, "--list", "--json").stdout) == listed
    assert (flash.read_bytes(), flash.stat().st_mtime_ns) == before
    assert run(capfd, "pull", "--image", flash, "--output", output).status == 0
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    command = ["pull", "--image", flash, "--output", output, "--generation", listed[-3]["number"]]
    ran = run(capfd, *command)
    assert (ran.status, ran.out, output.read_text()) == (6, "", by_wire.stdout)
    assert "is newer than the snapshot" in ran.err
    assert run(capfd, *command, "--force").status == 0 and output.read_text() == older.stdout
    output.write_bytes(MIXED.read_bytes())
    ran = run(capfd, *command)
    assert (ran.status, output.read_bytes()) == (6, MIXED.read_bytes()) and "another node" in ran.err


def write_units(device: Any, rounds: int) -> dict[str, Any]:
    """Write snapshots onto a medium; return the entries of the newest one."""
    rig = Rig(device)
    for number in range(rounds):
        rig.put(channel_key(number % 4), number, channel(number, 300 if number < 4 else 20))
        rig.put(channel_key(5), number, channel(number, 20))
        rig.save()
    return {
        key: [version, signature.hex(), value.decode()] for key, (version, signature, value) in rig.expected.items()
    }


def test_a_folder_of_units(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As copied from a board whose units are files; what else lies there is no matter."""
    folder = tmp_path / "backup"
    expected = write_units(file_units.FileUnits(str(folder), 32), 60)
    assert len(list(folder.iterdir())) > 3
    (folder / "notes.txt").write_text("mine")
    (folder / "0031").write_bytes(b"")
    assert held(snapshot_of_image(str(folder), None, None)[0]) == expected
    ran = run(capfd, "pull", "--image", folder, "--list")
    assert ran.status == 0 and "Warning" not in ran.err
    ran = run(capfd, "pull", "--image", tmp_path)
    assert (ran.status, ran.out) == (1, "") and "holds no erase units" in ran.err


@pytest.mark.parametrize(
    "rounds", [31, 47, 200]
)  # the first two: several copies of the newest unit amidst other blocks
def test_files_in_a_dump_of_the_flash(rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's own files on real littlefs (rp2's settings), the flash dumped: scattered, old states beside."""
    blocks = 256
    context = UserContext(blocks * UNIT)
    fs = LittleFS(context, block_size=UNIT, block_count=blocks, prog_size=256, read_size=32, cache_size=1024)

    def lfs_open(path: str, mode: str) -> Any:
        try:
            return fs.open(path, mode)
        except FileNotFoundError:  # it says no errno
            raise OSError(errno.ENOENT, "no such file") from None

    monkeypatch.setattr(file_units, "open", lfs_open, raising=False)
    monkeypatch.setattr(file_units, "os", SimpleNamespace(mkdir=fs.mkdir))
    expected = write_units(file_units.FileUnits("/backup", 24), rounds)
    path = in_image(tmp_path, bytes(1 << 20) + bytes(context.buffer))
    with open_image(path) as image:
        (journal,) = Search(image, lambda done, total: None).journals
    assert len({place - unit * UNIT for unit, place in journal.places.items()}) > 3
    snapshot, _ = snapshot_of_image(path, None, None)
    assert (snapshot.commit.number, held(snapshot)) == (rounds, expected)
    assert sum(item.whole is True for item in list_of_image(path, None)) > 5
