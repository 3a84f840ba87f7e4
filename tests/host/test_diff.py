"""Two backups side by side: channels and fields that changed, and which one is newer, told by versions alone."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backup_cases import MIXED, ONE_CHANNEL, VECTORS, channel_of, error_line, load, run

RUN = VECTORS / "signer-run"
AT = ["a-at-0000", "a-at-0050", "a-at-0200", "a-last"]


def recorded(name: str) -> Path:
    return RUN / f"{name}.backup.json"


def set_up(path: Path) -> set[str]:
    values = load(path)["state"]["values"]
    return {
        key for key, entry in values.items() if key.startswith("channels/") and entry[1] and entry[1]["channel_setup"]
    }


@pytest.mark.parametrize("new", AT)
@pytest.mark.parametrize("old", AT)
def test_a_real_run(old: str, new: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever the order of the files, the later one of a recorded run is the newer one."""
    ran = run(capfd, "diff", recorded(old), recorded(new), "--json")
    assert (ran.status, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert found["newer"] == ("same" if old == new else "new" if AT.index(old) < AT.index(new) else "old")
    before, after = set_up(recorded(old)), set_up(recorded(new))
    assert set(found["channels"]["new"]) == after - before
    assert set(found["channels"]["gone"]) == before - after
    changed = {item["key"]: item for item in found["channels"]["changed"]}
    for key in before & after:
        was, now = (load(recorded(name))["state"]["values"][key] for name in (old, new))
        assert (key in changed) == (was[1] != now[1])
        if key in changed:
            assert (changed[key]["old_version"], changed[key]["new_version"]) == (was[0], now[0])
            fields = {item["field"]: (item.get("old"), item.get("new")) for item in changed[key]["fields"]}
            numbers = (
                was[1]["enforcement_state"]["next_holder_commit_num"],
                now[1]["enforcement_state"]["next_holder_commit_num"],
            )
            assert (numbers[0] != numbers[1]) == ("enforcement_state.next_holder_commit_num" in fields)
            assert fields.get("enforcement_state.next_holder_commit_num", numbers) == numbers


def bump(backup: Any, key: str, by: int = 1) -> None:
    backup["state"]["values"][key][0] += by


def older_channel_newer_peer(backup: Any) -> None:
    key = channel_of(backup)[0]
    bump(backup, key, -1)
    bump(backup, "peers/" + key[75:141])


def same_version_other_value(backup: Any) -> None:
    channel_of(backup)[1]["enforcement_state"]["channel_closed"] = True


def no_channel_any_more(backup: Any) -> None:
    del backup["state"]["values"][channel_of(backup)[0]]


def only_the_clock(backup: Any) -> None:
    backup["created_at"] = "2001-01-01T00:00:00Z"


def only_a_signature(backup: Any) -> None:
    backup["state"]["values"][channel_of(backup)[0]][2:] = [[7] * 64]


def newer_but_the_clock(backup: Any) -> None:
    only_the_clock(backup)
    bump(backup, channel_of(backup)[0])


@pytest.mark.parametrize(
    ("edit", "newer"),
    [
        (older_channel_newer_peer, "neither"),
        (same_version_other_value, "neither"),
        (no_channel_any_more, "old"),
        (only_the_clock, "same"),
        (only_a_signature, "same"),
        (newer_but_the_clock, "new"),
    ],
)
def test_which_is_newer(
    edit: Callable[[Any], None], newer: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    backup = load(ONE_CHANNEL)
    edit(backup)
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(backup))
    assert json.loads(run(capfd, "diff", ONE_CHANNEL, path, "--json").out)["newer"] == newer
    opposite = {"old": "new", "new": "old"}.get(newer, newer)
    assert json.loads(run(capfd, "diff", path, ONE_CHANNEL, "--json").out)["newer"] == opposite


def test_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backup = load(MIXED)
    values = backup["state"]["values"]
    key, value = channel_of(backup)
    stub = next(
        k for k, entry in values.items() if k.startswith("channels/") and entry[1] and not entry[1]["channel_setup"]
    )
    gone = sorted(set_up(MIXED))[-1]
    values[stub][1]["channel_setup"] = copy.deepcopy(value["channel_setup"])
    del values[gone]
    bump(backup, key, 2)
    value["enforcement_state"]["channel_closed"] = "\x1b[31m"
    value["enforcement_state"]["counterparty_secrets"] = {"old_secrets": []}
    value["surprise"] = 1
    values["peers/new"] = [0, 1]
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(backup))
    ran = run(capfd, "diff", MIXED, path)
    assert (ran.status, ran.err) == (0, "")
    version = values[key][0]
    for line in (
        "NEW is newer. Entries with a higher version in NEW: 1, lower: 0.",
        "channels: new=1 gone=1 changed=1",
        "other entries: new=1 gone=0 changed=0",
        f"new {stub}",
        f"gone {gone}",
        f"changed {key}: version {version - 2} -> {version}",
        '  enforcement_state.channel_closed: false -> "\\x1b[31m"'.replace("\\x1b", "\\u001b"),
        "  surprise: not there -> 1",
        "new peers/new",
    ):
        assert f"\n{line}\n" in ran.out
    assert " items -> 0 items\n" in ran.out
    fields = json.loads(run(capfd, "diff", MIXED, path, "--json").out)["channels"]["changed"][0]["fields"]
    assert {"field": "surprise", "new": 1} in fields


def test_two_layouts_are_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "flat.json"
    path.write_text(json.dumps(load(MIXED), separators=(",", ":"), sort_keys=True))
    ran = run(capfd, "diff", MIXED, path)
    assert "Both hold the same state. " in ran.out
    assert "changed channels/" not in ran.out


def test_values_that_python_does_not_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Numbers and depths beyond Python's reader are compared as text."""
    paths = []
    for digit in "12":
        backup = load(ONE_CHANNEL)
        backup["state"]["values"]["nodes/x"] = [0, "HERE"]
        paths.append(tmp_path / f"{digit}.json")
        paths[-1].write_text(json.dumps(backup).replace('"HERE"', "[" * 400 + digit * 5000 + "]" * 400))
    ran = run(capfd, "diff", *paths, "--json")
    assert (ran.status, ran.err) == (0, "")
    assert [item["key"] for item in json.loads(ran.out)["others"]["changed"]] == ["nodes/x"]


def test_two_nodes(capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "diff", recorded("a-last"), MIXED)
    assert ran.status == 1
    assert "nothing to compare" in error_line(ran)
    assert load(MIXED)["node_id"] in ran.err
