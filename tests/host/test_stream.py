"""Reading a backup file piece by piece and reading it whole: the same channels, or the same refusal."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from backup_cases import ANOTHER_CHANNEL, MIXED, ONE_CHANNEL, VECTORS, load, run, run_process
from hypothesis import given
from hypothesis import strategies as st
from tools.bench_backup_file import write_backup

from vls_backup import backup_stream
from vls_backup.channels import Channel, Fault, read_channels
from vls_backup.errors import BackupError

RECORDED = sorted(VECTORS.glob("*/*.backup.json"))
WITH_ENTRIES = [path for path in RECORDED if b'"values": {}' not in path.read_bytes()]
Read = tuple[object, list[Channel | Fault]] | str


def read(path: Path) -> Read:
    """Return what the file says of itself and its channels, or the words of the refusal."""
    try:
        head, found = read_channels(str(path))
    except BackupError as error:
        return str(error)
    return (head.version, head.created_at, head.node_id, head.strategy), list(found)


def read_whole(path: Path) -> Read:
    """Do the same with the reader that knows every layout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup_stream, "_ENTRIES_BEGIN", b"\0")  # stands in no file that is read here
        return read(path)


def read_in_pieces(path: Path, size: int, *, by_two: bool = False) -> Read:
    """Do the same with pieces of some size bytes; by_two: two processes read a half of the entries each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup_stream, "_PIECE", size)
        if by_two:
            patch.setattr(backup_stream, "_LARGE", 0)
        return read(path)


def never_whole(data: bytes, name: str) -> None:
    raise AssertionError("the file was read whole")


@pytest.mark.parametrize("path", WITH_ENTRIES, ids=lambda path: path.name.split(".")[0])
@pytest.mark.parametrize("size", [400, 5000, 1 << 17])
def test_recorded_files_are_read_in_pieces(size: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_whole(path)
    assert not isinstance(whole, str)
    monkeypatch.setattr(backup_stream, "whole_backup", never_whole)
    assert read_in_pieces(path, size) == whole


def test_another_layout_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_stream, "_ENTRIES_BEGIN", b"\0")
    monkeypatch.setattr(backup_stream, "whole_backup", never_whole)
    with pytest.raises(AssertionError, match="read whole"):
        read(MIXED)


def minified(data: bytes, _: st.DataObject) -> bytes:
    return json.dumps(json.loads(data), separators=(",", ":")).encode()


def other_order(data: bytes, draw: st.DataObject) -> bytes:
    backup = json.loads(data)
    values = backup["state"]["values"]
    backup["state"]["values"] = {key: values[key] for key in draw.draw(st.permutations(sorted(values)))}
    return json.dumps(backup, indent=2).encode() + b"\n"


def windows_lines(data: bytes, _: st.DataObject) -> bytes:
    return data.replace(b"\n", b"\r\n")


def cut_off(data: bytes, draw: st.DataObject) -> bytes:
    return data[: draw.draw(st.integers(0, len(data)))]


def another_byte(data: bytes, draw: st.DataObject) -> bytes:
    at = draw.draw(st.integers(0, max(len(data) - 1, 0)))
    byte = draw.draw(st.integers(0, 255) | st.sampled_from(b'{}[],:" \n0'))
    return data[:at] + bytes([byte]) + data[at + 1 :]


def of_lines(change: Callable[[list[bytes], int, int], object]) -> Callable[[bytes, st.DataObject], bytes]:
    """Make a change of two lines, which often are such as end an entry or begin one."""

    def edit(data: bytes, draw: st.DataObject) -> bytes:
        lines = data.split(b"\n")
        borders = [at for at, line in enumerate(lines) if line.startswith((b'      "', b"      ]", b"    }", b"    "))]
        some = st.integers(0, len(lines) - 1) | st.sampled_from(borders or [0])
        change(lines, draw.draw(some), draw.draw(some))
        return b"\n".join(lines)

    return edit


def swap(lines: list[bytes], one: int, two: int) -> None:
    lines[one], lines[two] = lines[two], lines[one]


def repeat(lines: list[bytes], one: int, two: int) -> None:
    lines[two:two] = lines[min(one, two) : max(one, two) + 1]


def lose(lines: list[bytes], one: int, two: int) -> None:
    del lines[min(one, two) : max(one, two) + 1]


def put_in(text: bytes) -> Callable[[list[bytes], int, int], object]:
    return lambda lines, one, two: lines.insert(one, text)


EDITS = [
    cut_off,
    another_byte,
    *map(of_lines, (swap, repeat, lose)),
    *(of_lines(put_in(text)) for text in (b"      ],", b"    },", b"", b"{", "      \u20ac".encode(), b"\xff")),
    windows_lines,
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stream") / "edited.json"


@given(
    st.sampled_from([ONE_CHANNEL, ANOTHER_CHANNEL, MIXED]),
    st.sampled_from([None, minified, other_order]),
    st.lists(st.sampled_from(EDITS), max_size=3),
    st.integers(400, 5000),
    st.booleans(),
    st.data(),
)
def test_both_readers_agree(
    path: Path,
    source: Path,
    first: Callable[[bytes, st.DataObject], bytes] | None,
    edits: list[Callable[[bytes, st.DataObject], bytes]],
    size: int,
    by_two: bool,
    draw: st.DataObject,
) -> None:
    data = source.read_bytes()
    for edit in [*([first] if first else []), *edits]:
        data = edit(data, draw)
    path.write_bytes(data)
    assert read_in_pieces(path, size, by_two=by_two) == read_whole(path)


ENTRY = b'      "x/%d": [\n        1,\n        null\n      ]'
BEFORE = b"".join(ENTRY % number + b",\n" for number in range(100, 120))


def file_with(entries: bytes) -> bytes:
    head, _, _ = ONE_CHANNEL.read_bytes().partition(b'"values": {')
    return head + b'"values": {\n' + BEFORE + entries + b"\n    }\n  }\n}\n"


@pytest.mark.parametrize(
    "entries",
    [
        b"",
        b"\n",
        ENTRY % 1,
        ENTRY % 1 + b",\n",
        ENTRY % 1 + b",\n\n",
        ENTRY % 1 + b",\n" + ENTRY % 1,
        ENTRY % 100,
        ENTRY % 1 + b",\n,\n" + ENTRY % 2,
        ENTRY % 1 + b"\n" + ENTRY % 2,
        (ENTRY % 1).replace(b"1,\n", b"18446744073709551616,\n") + b",\n" + ENTRY % 2,
        (ENTRY % 1).replace(b"null", b'{\n      "a": [\n      ],\n      "b": 1}') + b",\n" + ENTRY % 2,
        (ENTRY % 1).replace(b"null", '"\u20ac"'.encode()),
        (ENTRY % 1).replace(b"null", b'"\xe2\x82"'),
        (ENTRY % 1).replace(b"null", b"[" * 5000 + b"]" * 5000),
        (ENTRY % 1).replace(b"x/1", b"peers/1").replace(b"null", b'{"channel_setup": null}'),
        ENTRY % 1 + b"\n    },\n" + ENTRY % 2,
        ENTRY % 1 + b"\n    }\n  },\n" + ENTRY % 2,
    ],
)
@pytest.mark.parametrize("only_these", [True, False])
def test_borders(entries: bytes, only_these: bool, path: Path) -> None:
    data = file_with(entries)
    path.write_bytes(data.replace(BEFORE, b"") if only_these else data)
    for size in (300, 400, 5000):
        for by_two in (False, True):
            assert read_in_pieces(path, size, by_two=by_two) == read_whole(path)


def test_every_cut_is_noticed(path: Path) -> None:
    data = file_with(ENTRY % 1)
    for size in range(len(data) - 1):  # but for the last line feed
        path.write_bytes(data[:size])
        assert isinstance(read_in_pieces(path, 400), str)


@pytest.mark.parametrize("layout", ["Greenlight's", "another"])
def test_standard_input_is_read_from_where_it_stands(layout: str, tmp_path: Path) -> None:
    data = MIXED.read_bytes() if layout == "Greenlight's" else json.dumps(load(MIXED)).encode()
    (tmp_path / "file").write_bytes(b"not ours\n" + data)
    with open(tmp_path / "file", "rb") as file:
        os.lseek(file.fileno(), len(b"not ours\n"), os.SEEK_SET)
        command = [sys.executable, "-m", "vls_backup", "inspect-backup", "--path", "-"]
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False, timeout=60)
    from_pipe = run_process("inspect-backup", "--path", "-", stdin=data)
    assert (done.returncode, done.stdout, done.stderr) == from_pipe
    assert from_pipe == run_process("inspect-backup", "--path", MIXED)


def test_the_file_of_the_benchmark(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "big.json"
    write_backup(path, 300)
    data = path.read_bytes()
    assert json.dumps(json.loads(data), indent=2).encode() + b"\n" == data
    keys = list(json.loads(data)["state"]["values"])
    assert keys == sorted(keys)
    ran = run(capfd, "convert-backup", "--path", path)
    assert (ran.status, ran.err.count("Warning")) == (0, 0)
    scbs = json.loads(ran.out)["scb"]
    assert len(set(scbs)) == 300
    assert {len(scb) for scb in scbs} == {len(scbs[0])}
    assert len(scbs[0]) > 2 * 49 * 40
