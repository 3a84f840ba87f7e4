"""A state under VLS's own keys: the same answers as for the same state in Greenlight's file."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from backup_cases import VECTORS, Ran, load, run, run_process
from hypothesis import given
from hypothesis import strategies as st

from vls_backup.backup_file import TOMBSTONE_VERSION
from vls_backup.errors import FieldError
from vls_backup.reading import read_backup, whole_backup

LAST = VECTORS / "signer-run" / "a-last.backup.json"
OLDER = VECTORS / "signer-run" / "a-at-0050.backup.json"
EXPECTED = VECTORS / "signer-run" / "a-last.expected.json"
NODE = load(LAST)["node_id"]
NAMES = {"nodes": "node/entry", "nodestates": "node/state", "trackers": "node/tracker", "allowlists": "node/allowlist"}


def plain(path: Path, peers: bool = True) -> dict[str, Any]:
    """Return the state of a backup file as VLS's own stores have it, its peers kept or not."""
    found = {}
    for key, entry in load(path)["state"]["values"].items():
        prefix, _, rest = key.partition("/")
        if prefix == "channels":
            found[f"channel/{rest[:66]}/{rest[66:]}"] = [entry[0], entry[1]]
        elif prefix in NAMES:
            found[f"{NAMES[prefix]}/{rest}"] = [entry[0], entry[1]]
        elif peers:
            found[key] = [entry[0], entry[1]]
    return found


def written(tmp_path: Path, state: Any, name: str = "state.json", **layout: Any) -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(state, **layout))
    return path


@pytest.mark.parametrize("indent", [None, 2])
def test_the_same_scbs_and_report(indent: int | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Values that a real VLS 0.14 wrote."""
    path = written(tmp_path, plain(LAST), indent=indent)
    ran = run(capfd, "convert-backup", "--path", path, "--skip-incomplete")
    assert ran.status == 0 and json.loads(ran.out) == load(EXPECTED)["recoverchannel"]
    assert f"Note: {path} has VLS's own keys" in ran.err and "its age is unknown" in ran.err
    assert run_process("convert-backup", "--path", "-", "--skip-incomplete", stdin=path.read_bytes()).out == ran.out
    report = json.loads(run(capfd, "inspect-backup", "--path", path).out)
    original = json.loads(run(capfd, "inspect-backup", "--path", LAST).out)
    assert report == original | {"created_at": "unknown", "strategy": "unknown"}
    text = run(capfd, "inspect-backup", "--path", path, "--format", "text")
    assert text.status == 0 and "strategy: unknown\n" in text.out


def test_verify_and_diff(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, plain(LAST))
    report = json.loads(run(capfd, "verify", "--path", path, "--json").out)
    original = json.loads(run(capfd, "verify", "--path", LAST, "--json").out)
    for name in ("node_id", "entries", "channels", "damaged", "incomplete"):
        assert report[name] == original[name]
    assert any("how old the backup is cannot be told" in text for _, text in report["warnings"])
    older = written(tmp_path, plain(OLDER), "older.json")
    changes = json.loads(run(capfd, "diff", older, path, "--json").out)
    expected = json.loads(run(capfd, "diff", OLDER, LAST, "--json").out)
    assert changes["newer"] == "new" and changes["channels"] == expected["channels"]
    same = json.loads(run(capfd, "diff", path, LAST, "--json").out)
    assert same["newer"] == "same" and same["channels"] == {"new": [], "gone": [], "changed": []}


def test_vls_has_no_peers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Their addresses are given, or the channels are incomplete."""
    path = written(tmp_path, plain(LAST, peers=False))
    ran = run(capfd, "convert-backup", "--path", path)
    assert (ran.status, ran.out) == (3, "") and "--peers" in ran.err
    peers = [entry[1] for key, entry in load(LAST)["state"]["values"].items() if key.startswith("peers/")]
    given = [f"--peer-addr={peer['peer_id']}@{peer['addr']}" for peer in peers]
    ran = run(capfd, "convert-backup", "--path", path, "--skip-incomplete", *given)
    assert ran.status == 0 and json.loads(ran.out) == load(EXPECTED)["recoverchannel"]


def test_channels_of_older_vls(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    samples = [load(path) for path in sorted(VECTORS.glob("vls-samples/*.json"))]
    keys = list(plain(LAST))
    ids = [key for key in keys if key.startswith("channel/")]
    path = written(tmp_path, {key: [0, value] for key, value in zip(ids, samples, strict=False)})
    ran = run(capfd, "inspect-backup", "--path", path)
    assert ran.status == 0
    assert json.loads(ran.out)["total_channels"] == sum(value["channel_setup"] is not None for value in samples) == 3


@pytest.mark.parametrize("empty", ["", None, []])
def test_an_empty_value_is_a_tombstone(empty: Any, tmp_path: Path) -> None:
    state = plain(LAST)
    gone = next(key for key in state if key.startswith("channel/"))
    state[gone] = [77, empty]
    values = read_backup(str(written(tmp_path, state))).values
    key = gone.replace("channel/", "channels/")
    assert values[key[:75] + key[76:]].version == TOMBSTONE_VERSION
    assert sum(entry.version == TOMBSTONE_VERSION for entry in values.values()) == 1


CHANNEL = f"channel/{NODE}/" + "02" * 41


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"node/entry/02": [0, {}]}', "node_id: must be 66 hex characters"),
        (f'{{"node/entry/02{"ff" * 32}": [0, {{}}]}}', "is not a point on the curve"),
        ('{"what/ever": [0, {}]}', "names no node in its keys"),
        (f'{{"node/entry/{NODE}": [0, {{}}], "node/state/03{NODE[2:]}": [0, {{}}]}}', "is of 2 nodes"),
        (f'{{"node/entry/{NODE}": [0, {{}}], "node/entry/{NODE}": [1, {{}}]}}', "stands twice"),
        (f'{{"node/entry/{NODE}": [0, {{}}], "nodes/{NODE}": [1, {{}}]}}', "stands twice"),
        (f'{{"node/entry/{NODE}": {{}}}}', f"nodes/{NODE}: must be [version, value]"),
        (f'{{"node/entry/{NODE}": [0]}}', "must be [version, value]"),
        (f'{{"node/entry/{NODE}": [-1, {{}}]}}', "must be [version, value]"),
        (f'{{"node/entry/{NODE}": [18446744073709551616, {{}}]}}', "is more than 2^64-1"),
        (f'{{"node/entry/{NODE}": [0, {{}}]', "is no whole state"),
        (f'{{"node/entry/{NODE}": [0, {{}}]}} x', "is no whole state"),
        (f'{{"node/entry/{NODE}": [0, {"[" * 5000}{"]" * 5000}]}}', "nested too deep"),
    ],
)
def test_what_is_refused(text: str, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    ran: Ran = run(capfd, "inspect-backup", "--path", path)
    assert (ran.status, ran.out) == (1, "") and words in ran.err and ran.err.startswith(f"Error: {path}: "), ran


def test_a_damaged_channel_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state = plain(LAST)
    key = next(key for key in state if key.startswith("channel/") and state[key][1]["channel_setup"])
    state[key + "00"] = state.pop(key)
    ran = run(capfd, "inspect-backup", "--path", written(tmp_path, state))
    assert ran.status == 1 and "must be 148 hex characters" in ran.err
    assert json.loads(ran.out)["total_channels"] > 0


@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 60))
def test_damage_raises_nothing_else(new: bytes, at: int, length: int) -> None:
    data = bytearray(json.dumps({CHANNEL: [1, {"channel_setup": None}], f"node/entry/{NODE}": [0, {}]}).encode())
    data[at : at + length] = new
    with suppress(FieldError):
        whole_backup(bytes(data), "it")
