"""format_backup writes files as Greenlight does, and no value loses a digit on the way."""

import json
from pathlib import Path
from typing import Any

import pytest
from backup_cases import VECTORS
from hypothesis import given
from hypothesis import strategies as st

from vls_backup.backup_file import Backup, format_backup
from vls_backup.reading import read_backup

NODE_ID = "02" + "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


def written(backup: Backup) -> bytes:
    entries = [(key, e.version, bytes(e.value), bytes(e.signature)) for key, e in backup.values.items()]
    return format_backup(backup.created_at, backup.node_id.hex(), backup.strategy, entries)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*/*.backup.json")), ids=lambda path: path.name.split(".")[0])
def test_every_recorded_file_again(path: Path) -> None:
    assert written(read_backup(str(path))) == path.read_bytes()


def test_empty_state_and_escapes(tmp_path: Path) -> None:
    data = format_backup('a"\n\x1b\\ü', NODE_ID, {"periodic": {"updates": 4294967295}}, [])
    path = tmp_path / "backup.json"
    path.write_bytes(data)
    backup = read_backup(str(path))
    assert backup.created_at == 'a"\n\x1b\\ü'
    assert backup.strategy == {"periodic": {"updates": 4294967295}}
    assert dict(backup.values) == {}
    assert b'"values": {}\n' in data
    assert written(backup) == data


def test_numbers_keep_their_text(tmp_path: Path) -> None:
    value = b'[18446744073709551615,1e400,0.10,-0.0,123456789012345678901234567890,"18446744073709551616"]'
    path = tmp_path / "backup.json"
    path.write_bytes(format_backup("2026-11-22T12:00:00Z", NODE_ID, "never", [("x", 2**64 - 2, value, b"\0\xff")]))
    entry = read_backup(str(path)).values["x"]
    assert bytes(entry.value).translate(None, b" \n") == value
    assert (entry.version, bytes(entry.signature)) == (2**64 - 2, b"\0\xff")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)
keys = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(keys, st.tuples(st.integers(0, 2**64 - 2), json_values, st.binary(max_size=64)), max_size=4))
def test_layout_is_that_of_pretty_json(state: dict[str, tuple[int, Any, bytes]]) -> None:
    entries = [
        (key, version, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), signature)
        for key, (version, value, signature) in state.items()
    ]
    values = {
        key: [state[key][0], state[key][1], *([list(state[key][2])] if state[key][2] else [])]
        for key in sorted(state, key=str.encode)
    }
    whole = {"version": 1, "created_at": "t", "node_id": NODE_ID, "strategy": "never", "state": {"values": values}}
    data = format_backup("t", NODE_ID, "never", entries)
    assert data.decode() == json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
