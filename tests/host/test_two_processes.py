"""A large backup file is read by two processes: the same result, and nothing of them is left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from backup_cases import MIXED, run_process

from vls_backup import backup_stream
from vls_backup.beside import beside

_BEGIN = b'    "values": {\n'
_FILLER = b'      "a/%d": [\n        1,\n        "' + b"x" * 200_000 + b'"\n      ],\n'
_FILLERS = 400  # 80 MB: more than backup_stream._LARGE


def enlarged(data: bytes) -> bytes:
    """Return the backup file with entries that nobody looks at, a half of them before its own and a half behind."""
    head, begin, rest = data.partition(_BEGIN)
    first, border, others = rest.partition(b"\n      ],\n")
    early, late = (b"".join(_FILLER % n for n in range(at, at + _FILLERS // 2)) for at in (0, _FILLERS // 2))
    return head + begin + early + first + border + late + others


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "backup.json"
    path.write_bytes(enlarged(MIXED.read_bytes()))
    with path.open("rb") as file:
        assert backup_stream._middle(file, 0), "too small for two processes"
    return path


CONVERT = ("convert-backup", "--skip-incomplete", "--path")


def by_one(large: Path) -> tuple[object, ...]:
    """Return what a conversion of MIXED gives, which speaks of large."""
    status, out, err = run_process(*CONVERT, MIXED)
    return status, out, err.replace(str(MIXED), str(large))


def test_the_result_is_that_of_one_process(large: Path) -> None:
    assert run_process(*CONVERT, large) == by_one(large)
    assert run_process("inspect-backup", "--path", large)[1] == run_process("inspect-backup", "--path", MIXED)[1]


def test_where_processes_are_started_anew(large: Path) -> None:
    """As on macOS and Windows, where they are not forked."""
    program = "import multiprocessing as m, sys; m.set_start_method('spawn'); from vls_backup.cli import main; "
    program += f"sys.exit(main({[*CONVERT, str(large)]!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == by_one(large)


def test_standard_input_is_read_by_one(large: Path) -> None:
    with large.open("rb") as file:
        command = [sys.executable, "-m", "vls_backup", *CONVERT, "-"]
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False, timeout=120)
    expected = run_process(*CONVERT, "-", stdin=MIXED.read_bytes())
    assert (done.returncode, done.stdout, done.stderr) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"a/399": [\n        1,', b'"a/399": [\n        x,'),
        (b'"a/399": [\n        1,', b'"a/399": [\n        18446744073709551616,'),
        (b'"a/399": [', b'"a/0": ['),
        (b'"a/0": [\n        1,', b'"a/0": [\n        x,'),
    ],
    ids=["no JSON in the second half", "a version too large", "a key in both halves", "no JSON in the first half"],
)
def test_damage_is_told_as_by_one(old: bytes, new: bytes, large: Path, tmp_path: Path) -> None:
    data = large.read_bytes()
    assert data.count(old) == 1
    path = tmp_path / "damaged.json"
    path.write_bytes(data.replace(old, new))
    by_one = run_process(*CONVERT, "-", stdin=path.read_bytes())
    assert (by_one.status, by_one.out) == (1, "")
    assert run_process(*CONVERT, path) == by_one._replace(err=by_one.err.replace("standard input", str(path)))


def fail() -> int:
    raise ValueError("not to be seen")


def die() -> int:
    os._exit(9)


def test_a_process_that_fails_has_no_result(capfd: pytest.CaptureFixture[str]) -> None:
    for work, expected in ((os.getppid, os.getpid()), (fail, None), (die, None)):
        with beside(work) as result:
            assert result() == expected
    assert capfd.readouterr() == ("", "")


def test_a_file_that_was_replaced_meanwhile_is_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "backup.json"
    path.write_bytes(MIXED.read_bytes())
    before = path.stat()
    path.unlink()
    (tmp_path / "keeps the inode").write_bytes(b"")
    path.write_bytes(MIXED.read_bytes())
    scan = backup_stream._Scan(str(path), "", object, lambda node_id, values: None)
    with pytest.raises(backup_stream._OtherLayoutError):
        backup_stream._scan_again(before, backup_stream._Part(0, None), b"", scan)


@pytest.mark.skipif(os.name != "posix", reason="only there a test can press Ctrl-C")
def test_ctrl_c_ends_both() -> None:
    program = (
        "import time\nfrom vls_backup.beside import beside\n"
        "with beside(time.sleep, 60) as result:\n    print('now', flush=True)\n    result()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()  # ends when both have ended
        assert process.wait(timeout=30) == -signal.SIGINT
    assert said.count(b"Traceback") == 1  # this program's own
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
