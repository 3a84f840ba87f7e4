"""vls-backup pull --image on damaged media, held against what the board itself would read, and on what is none."""

from __future__ import annotations

import errno
import io
import os
import random
import subprocess
import sys
import zlib
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from backup_cases import Ran, run
from board_rig import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pull_image import MEDIA, UNIT, WRAPPED, held, in_image

from faulty_flash import RamFlash
from journal_rig import Rig, channel, channel_key
from journal_rig import fill as fill_rig
from vls_backup.errors import BackupError
from vls_backup.image import BLOCK, Image
from vls_backup.journals import Search
from vls_backup.pull_image import snapshot_of_image


def board_reads(data: bytes) -> tuple[int, dict[str, Any]] | None:
    """Return number and entries of what the board itself takes for the newest snapshot on a medium."""
    flash = RamFlash()
    flash.data[:] = data
    rig = Rig(flash)
    if not rig.journal.last:
        return None
    entries = {}
    for key in list(rig.state.keys()):
        entry = rig.state.get(key)
        if entry.version < 2**64 - 1:
            entries[key] = [entry.version, entry.signature.hex(), b"".join(entry.text()).decode()]
    return rig.journal.last.number, entries


SPILLS = (MEDIA / "spills.bin").read_bytes()
HITS = st.lists(st.tuples(st.integers(0, len(WRAPPED) - 1), st.integers(1, 300), st.integers(0, 3)), max_size=6)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([WRAPPED, SPILLS]), HITS, st.integers(0, 2000))
def test_damage_is_met_as_the_board_meets_it(medium: bytes, hits: list[tuple[int, int, int]], before: int) -> None:
    """The same snapshot as the board's own reader takes, byte for byte, or none where it takes none."""
    data = bytearray(medium)
    for at, length, kind in hits:
        part = data[at : at + length]
        data[at : at + length] = [
            bytes(len(part)),
            b"\xff" * len(part),
            random.Random(at).randbytes(len(part)),
            bytes(byte ^ 4 for byte in part),
        ][kind]
    expected = board_reads(bytes(data))
    with NamedTemporaryFile() as file:
        file.write(bytes(before) + data)
        file.flush()
        if expected is None:
            with pytest.raises(BackupError):
                snapshot_of_image(file.name, None, before)
        else:
            snapshot, _ = snapshot_of_image(file.name, None, before)
            assert (snapshot.commit.number, held(snapshot)) == expected


def test_a_lost_unit_right_behind_a_record(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What it held was replaced since: the snapshot that did so is whole."""
    rig = Rig(RamFlash())
    for number in range(2):  # each fills a unit to its last byte
        rig.put(channel_key(number), 1, b'"%s"' % (b"z" * 3901))
    rig.save()
    log, second = rig.state.log, rig.state.index.position(rig.state.index.find(channel_key(1)))
    assert [start for start, _ in log.places()] == [0, second, 2 * second]
    rig.put(channel_key(1), 2, b"2")
    rig.save()
    data = rig.flash.data
    data[UNIT : 2 * UNIT] = b"\xff" * UNIT
    expected = board_reads(data)
    assert expected and expected[0] == 2
    path = in_image(tmp_path, bytes(data))
    snapshot, _ = snapshot_of_image(path, None, None)
    assert (snapshot.commit.number, held(snapshot)) == expected
    assert "Warning" not in run(capfd, "pull", "--image", path, "--list").err  # a unit that begins blank is none of its


def test_damaged_units_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(WRAPPED)
    data[5 * UNIT + 8] ^= 1
    data[9 * UNIT + 700] ^= 1
    path = in_image(tmp_path, bytes(1000) + data)
    ran = run(capfd, "pull", "--image", path, "--list")
    assert f"erase unit 5 (bytes {1000 + 5 * UNIT} to {1000 + 6 * UNIT - 1}): it does not begin as a unit" in ran.err
    assert f"erase unit 9 (bytes {1000 + 9 * UNIT} to {1000 + 10 * UNIT - 1}): records in it are damaged" in ran.err
    assert ran.err.count("Warning: erase unit") == 2
    data[:] = b"\xff" * len(data)
    data[: 2 * UNIT] = WRAPPED[9 * UNIT : 10 * UNIT] * 2
    ran = run(capfd, "pull", "--image", in_image(tmp_path, bytes(data)))
    assert (ran.status, ran.out) == (1, "")


def test_a_damaged_newest_snapshot_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rig = Rig(RamFlash())
    fill_rig(rig, 3, 0, 60)
    for number in range(3):
        rig.put(channel_key(2), number, channel(number, 60))
        rig.save()
    log, end = rig.journal.last_log, rig.journal.last_end
    data = rig.flash.data
    data[log.place(end - 120)[0]] ^= 1
    path = in_image(tmp_path, bytes(data))
    ran = run(capfd, "pull", "--image", path)
    assert ran.status == 0 and "Snapshot 2 of" in ran.err and "Warning: snapshot 3 is newer, but damaged" in ran.err
    ran = run(capfd, "pull", "--image", path, "--generation", 3)
    assert (ran.status, ran.out) == (1, "") and "Snapshot 3 is damaged" in ran.err
    ran = run(capfd, "pull", "--image", path, "--generation", 4)
    assert (ran.status, ran.out) == (4, "") and "no snapshot number 4" in ran.err
    data[log.place(20)[0]] ^= 1
    ran = run(capfd, "pull", "--image", in_image(tmp_path, bytes(data)))
    assert (ran.status, ran.out) == (1, "") and "holds 3 snapshots, but none is whole" in ran.err
    assert "Warning: erase unit 0 (bytes 0 to 4095): records in it are damaged" in ran.err


def test_a_newer_format_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    header = bytearray(WRAPPED[:65])
    header[4] = 2
    path = in_image(tmp_path, bytes(header) + zlib.crc32(header).to_bytes(4, "big") + bytes(UNIT))
    ran = run(capfd, "pull", "--image", path)
    assert (ran.status, ran.out) == (1, "") and "format version 2" in ran.err and "install a newer" in ran.err


class Failing(io.BytesIO):
    """A medium that gives an I/O error wherever a read touches one of some places."""

    def __init__(self, data: bytes, bad: list[int]) -> None:
        super().__init__(data)
        self.bad = bad

    def readinto(self, buf: Any) -> int:
        begin = self.tell()
        if any(begin <= at < begin + len(buf) for at in self.bad):
            raise OSError(errno.EIO, "Input/output error")
        return super().readinto(buf)


def test_a_medium_that_fails_in_places() -> None:
    """The rest is read; the unit is named. Where it fails all over, that is told instead."""
    data = WRAPPED + bytes(4 << 20)
    image = Image(Failing(data, [9 * UNIT + 5]), len(data))
    (journal,) = Search(image, lambda done, total: None).journals
    assert image.unreadable == {9 * UNIT} and 9 not in journal.units
    for _ in journal.snapshots(lambda done, total: None):
        pass
    assert [unit for unit, _ in journal.damage()] == [9]
    image = Image(Failing(data, [9 * UNIT + 5]), len(data))
    part = bytearray(UNIT)
    image.read_into(9 * UNIT, part)
    assert set(part) == {0xEE}
    with pytest.raises(OSError, match="Input/output"):
        Search(Image(Failing(data, list(range(0, len(data), BLOCK))), len(data)), lambda done, total: None)


def test_the_image_is_never_the_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = in_image(tmp_path, WRAPPED)
    ran = run(capfd, "pull", "--image", path, "--output", path, "--force")
    assert ran.status == 6 and Path(path).read_bytes() == WRAPPED


def refused(ran: Ran, words: str, status: int = 1) -> None:
    assert (ran.status, ran.out) == (status, "") and words in ran.err, ran


def test_what_is_no_image(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused(run(capfd, "pull", "--image", tmp_path / "none.bin"), "cannot be read: No such file")
    refused(run(capfd, "pull", "--image", in_image(tmp_path, b"")), "is empty (0 bytes)")
    refused(run(capfd, "pull", "--image", in_image(tmp_path, b"UF2\nWQ]\x9e" + bytes(504))), "picotool save --all")
    refused(run(capfd, "pull", "--image", ROOT / "README.md"), "no journal of ours", 4)
    refused(run(capfd, "pull", "--image", "/dev/null"), "no disk's device. A board's serial port goes with --port")
    os.mkfifo(tmp_path / "fifo")
    refused(run(capfd, "pull", "--image", tmp_path / "fifo"), "no disk's device")


def test_no_permission(tmp_path: Path) -> None:
    """Also as root, who may read everything: as somebody else then."""
    path = tmp_path / "card"
    path.write_bytes(WRAPPED)
    path.chmod(0)
    script = (
        "import os, sys; from vls_backup.cli import main; import vls_backup.pull; os.geteuid() or os.seteuid(65534);"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "pull", "--image", str(path)]
    tmp_path.parent.chmod(0o755)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "") and "Permission denied" in done.stderr
    assert f"sudo dd if={path} of=card.img bs=1M count=64" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--image", "x", "--port", "y"], "--port"),
        (["--port", "x", "--offset", "0"], "--offset goes with --image"),
        (["--image", "x", "--json"], "--json goes with --list"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    refused(run(capfd, "pull", *arguments), words, 2)
