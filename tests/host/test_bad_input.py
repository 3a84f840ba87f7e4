"""Every kind of bad input is refused in one line that names the file, the entry and the fault."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backup_cases import ANOTHER_CHANNEL, MIXED, ONE_CHANNEL, channel_of, error_line, expected_text, load, run

NOT_A_POINT = "02" + "ff" * 32
ONION = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:9735"
Edit = Callable[[Any], object]


def setup(backup: Any) -> Any:
    return channel_of(backup)[1]["channel_setup"]


def secrets(backup: Any) -> Any:
    return channel_of(backup)[1]["enforcement_state"]["counterparty_secrets"]["old_secrets"]


def put(place: Callable[[Any], Any], name: Any, value: object) -> Edit:
    return lambda backup: place(backup).__setitem__(name, value)


def drop(place: Callable[[Any], Any], name: str) -> Edit:
    return lambda backup: place(backup).pop(name)


def rename(backup: Any, old: str, new: str) -> None:
    values = backup["state"]["values"]
    values[new] = values.pop(old)


def rekey(change: Callable[[str], str]) -> Edit:
    def edit(backup: Any) -> None:
        key = channel_of(backup)[0]
        rename(backup, key, "channels/" + change(key.removeprefix("channels/")))

    return edit


def peer_key(backup: Any) -> str:
    return "peers/" + channel_of(backup)[0][len("channels/") + 66 :][:66]


def peer(backup: Any) -> Any:
    return backup["state"]["values"][peer_key(backup)][1]


def whole(backup: Any) -> Any:
    return backup


def outpoint(backup: Any) -> Any:
    return setup(backup)["funding_outpoint"]


def points(backup: Any) -> Any:
    return setup(backup)["counterparty_points"]


def entry(backup: Any) -> Any:
    return backup["state"]["values"][channel_of(backup)[0]]


FILE_FAULTS: dict[str, tuple[Edit, str]] = {
    "version 2": (put(whole, "version", 2), "field version: is 2, but only version 1 can be read"),
    "version 1.0": (put(whole, "version", 1.0), "field version: is 1.0"),
    "version true": (put(whole, "version", True), "field version: is true"),
    "unknown field": (put(whole, "peerlist", None), "unknown field peerlist"),
    "state is a list": (put(whole, "state", []), "field state: expected object"),
    "created_at is a number": (put(whole, "created_at", 1), "field created_at: must be a string"),
    "node id short": (put(whole, "node_id", "02" * 32), "field node_id: must be 66 hex characters"),
    "node id not on the curve": (put(whole, "node_id", NOT_A_POINT), "field node_id: is not a point on the curve"),
    "strategy unknown": (put(whole, "strategy", "always"), "field strategy: must be"),
    "strategy of 0 updates": (put(whole, "strategy", {"periodic": {"updates": 0}}), "field strategy.periodic.updates"),
    "strategy past u32": (put(whole, "strategy", {"periodic": {"updates": 2**32}}), "field strategy.periodic.updates"),
    "entry version past u64": (put(entry, 0, 2**64), f"version {2**64} is more than 2^64-1"),
    "entry version negative": (put(entry, 0, -1), "[version, value]"),
    "entry signature past a byte": (lambda b: entry(b).append([256]), "[version, value, signature], but field [2]"),
    "entry is a bare value": (lambda b: b["state"]["values"].update({channel_of(b)[0]: {}}), "[version, value]"),
    **{f"no {name}": (drop(whole, name), f"missing required field {name}") for name in load(ONE_CHANNEL)},
}

READ_SETUP_FIELDS = [
    "is_outbound",
    "channel_value_sat",
    "funding_outpoint",
    "holder_selected_contest_delay",
    "counterparty_points",
    "counterparty_selected_contest_delay",
    "commitment_type",
]
POINTS = list(points(load(ONE_CHANNEL)))

CHANNEL_FAULTS: dict[str, tuple[Edit, str]] = {
    "key not hex": (rekey(lambda key: key[:-1] + "z"), "field key: holds something that is not hex"),
    "key with blanks": (rekey(lambda key: key[:-2] + "  "), "field key: holds something that is not hex"),
    "key too short": (rekey(lambda key: key[:-2]), "field key: must be 148 hex characters (74 bytes), found 146"),
    "key too long": (rekey(lambda key: key + "00"), "field key: must be 148 hex characters (74 bytes), found 150"),
    "key of another node": (rekey(lambda key: key[66:132] + key[66:]), "field key: belongs to node"),
    "key's peer not on the curve": (rekey(lambda key: key[:66] + NOT_A_POINT + key[132:]), "is not a point"),
    "dbid 0": (rekey(lambda key: key[:132] + "00" * 8), "field key: dbid 0 is not 1 to 2147483647"),
    "dbid 2^31": (rekey(lambda key: key[:132] + "0000008000000000"), "field key: dbid 2147483648 is not"),
    "txid short": (put(outpoint, "txid", "ab" * 31), "field channel_setup.funding_outpoint.txid: must be 64 hex"),
    "txid not hex": (put(outpoint, "txid", "zz" * 32), "field channel_setup.funding_outpoint.txid: holds something"),
    "vout 65536": (put(outpoint, "vout", 65536), "field channel_setup.funding_outpoint.vout: expected int <= 65535"),
    "our delay 65536": (put(setup, "holder_selected_contest_delay", 65536), "holder_selected_contest_delay: expected"),
    "their delay 65536": (
        put(setup, "counterparty_selected_contest_delay", 65536),
        "counterparty_selected_contest_delay: expected int <= 65535",
    ),
    "sats past u64": (put(setup, "channel_value_sat", 2**64), "channel_setup.channel_value_sat: is more than 2^64-1"),
    "sats negative": (put(setup, "channel_value_sat", -1), "channel_setup.channel_value_sat: expected int >= 0"),
    "sats a float": (put(setup, "channel_value_sat", 1.0), "channel_setup.channel_value_sat: expected int"),
    "opener a string": (put(setup, "is_outbound", "yes"), "field channel_setup.is_outbound: expected bool"),
    "commitment type": (put(setup, "commitment_type", "SimpleTaproot"), "'SimpleTaproot' is not supported"),
    "no channel_setup": (lambda b: channel_of(b)[1].pop("channel_setup"), "missing required field channel_setup"),
    "value null": (put(entry, 1, None), "expected object, got null"),
    "setup a number": (lambda b: channel_of(b)[1].update(channel_setup=5), "field channel_setup: expected"),
    "secret of 31 bytes": (lambda b: secrets(b)[1][0].pop(), "old_secrets[1]: has a secret of 31 bytes, not 32"),
    "secret with 256": (lambda b: secrets(b)[1][0].__setitem__(0, 256), "old_secrets[1]: holds a number"),
    "secrets swapped": (lambda b: secrets(b).reverse(), "old_secrets[0]: index 281474976710654 does not belong"),
    "secret missing": (lambda b: secrets(b).pop(0), "old_secrets[0]: index 281474976710654 does not belong"),
    "gap": (lambda b: secrets(b).__setitem__(0, [[0] * 32, 2**48]), "old_secrets[0]: is missing, but later ones"),
    "50 secrets": (lambda b: secrets(b).extend([[[0] * 32, 2**48]] * 48), "has 50 items, at most 49"),
    "secret that does not derive": (
        lambda b: secrets(b)[0][0].__setitem__(0, secrets(b)[0][0][0] ^ 1),
        "the secret of index 281474976710655 does not derive from that of index 281474976710654",
    ),
    "peer's payload of another": (put(peer, "peer_id", NOT_A_POINT), "field peer_id: is " + NOT_A_POINT),
    "peer's address a number": (put(peer, "addr", 1), "field addr: expected str"),
    "peer's address missing": (drop(peer, "addr"), "missing required field addr"),
    **{
        f"no setup field {name}": (drop(setup, name), f"field channel_setup: missing required field {name}")
        for name in READ_SETUP_FIELDS
    },
    **{
        f"no outpoint field {name}": (drop(outpoint, name), f"funding_outpoint: missing required field {name}")
        for name in ("txid", "vout")
    },
    **{f"no {name}": (drop(points, name), f"missing required field {name}") for name in POINTS},
    **{
        f"{name} not on the curve": (
            put(points, name, NOT_A_POINT),
            f"field channel_setup.counterparty_points.{name}: is not a point on the curve",
        )
        for name in POINTS
    },
}

ADDRESS_FAULTS: dict[str, tuple[Edit, str]] = {
    "address without a port": (put(peer, "addr", "203.0.113.7"), "203.0.113.7: has no port"),
    "address with port 0": (put(peer, "addr", "203.0.113.7:0"), "the port must be 1 to 65535"),
    "address that is no IPv4": (put(peer, "addr", "203.0.113.256:9735"), "looks like an IPv4 address, but is none"),
    "onion with a wrong checksum": (put(peer, "addr", "q" + ONION[1:]), "the Tor name's checksum is wrong"),
}


def edited(tmp_path: Path, edit: Edit, source: Any) -> Path:
    backup = copy.deepcopy(source)
    edit(backup)
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(backup))
    return path


def test_unedited_is_good(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = edited(tmp_path, lambda backup: None, load(ONE_CHANNEL))
    assert run(capfd, "convert-backup", "--path", path).status == 0
    assert run(capfd, "inspect-backup", "--path", path).status == 0


@pytest.mark.parametrize("command", ["convert-backup", "inspect-backup"])
@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_file(fault: str, command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    edit, words = FILE_FAULTS[fault]
    path = edited(tmp_path, edit, load(ONE_CHANNEL))
    ran = run(capfd, command, "--path", path)
    assert ran.status == 1
    assert str(path) in error_line(ran)
    assert words in ran.err


@pytest.mark.parametrize("fault", CHANNEL_FAULTS)
def test_channel(fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    edit, words = CHANNEL_FAULTS[fault]
    source = load(ONE_CHANNEL)
    path = edited(tmp_path, edit, source)
    ran = run(capfd, "convert-backup", "--path", path)
    assert ran.status == 1
    assert str(path) in error_line(ran)
    assert words in ran.err
    changed = next(
        key for key, value in load(path)["state"]["values"].items() if source["state"]["values"].get(key) != value
    )
    assert changed in ran.err  # the entry at fault, by name
    ran = run(capfd, "inspect-backup", "--path", path)
    assert ran.status == 1
    assert ran.err.splitlines()[-1].startswith(f"Error: {path}: ")
    assert words in ran.err.splitlines()[-1]
    report = json.loads(ran.out)
    assert changed in [item["key"] for item in report["damaged"]]
    assert report["channels"] == []


@pytest.mark.parametrize("fault", ADDRESS_FAULTS)
def test_address(fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    edit, words = ADDRESS_FAULTS[fault]
    path = edited(tmp_path, edit, load(ONE_CHANNEL))
    ran = run(capfd, "convert-backup", "--path", path)
    assert ran.status == 1
    assert f"{path}: {channel_of(load(path))[0]}: the peer's address " in error_line(ran)
    assert words in ran.err
    # The file is sound all the same, so inspect shows it, and says what is wrong.
    ran = run(capfd, "inspect-backup", "--path", path)
    assert ran.status == 0
    channel = json.loads(ran.out)["channels"][0]
    assert (channel["complete"], channel["warnings"]) == (False, ["peer_addr_invalid"])


@pytest.mark.parametrize("fault", [*CHANNEL_FAULTS, *ADDRESS_FAULTS])
def test_one_bad_channel_never_holds_up_another(fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    edit, words = (CHANNEL_FAULTS | ADDRESS_FAULTS)[fault]
    good = expected_text(load(ANOTHER_CHANNEL.with_name("set1-pL.expected.json")))
    source = load(ONE_CHANNEL)
    # Two channels with two peers: the faults of the first must not touch the second.
    others = load(ANOTHER_CHANNEL)["state"]["values"]
    source["state"]["values"].update(
        {key: value for key, value in others.items() if key.startswith(("channels/", "peers/"))}
    )
    path = edited(tmp_path, edit, source)
    ran = run(capfd, "convert-backup", "--path", path, "--skip-incomplete")
    assert ran.status == 3, ran.err
    assert ran.out == good
    assert any(line.startswith("Skipped ") and words in line for line in ran.err.splitlines())
    report = json.loads(run(capfd, "inspect-backup", "--path", path).out)
    assert channel_of(load(ANOTHER_CHANNEL))[0] in [item["channel_key"] for item in report["channels"]]


RAW_FAULTS = {
    "empty": (b"", "is empty (0 bytes)"),
    "not JSON": (b"no backup", "is not JSON"),
    "a syntax error": (b'{\n  "version": 1,\n  oops\n}', "at line 3, column 3"),
    "cut off": (ONE_CHANNEL.read_bytes()[:-20], "it ends too early"),
    "not UTF-8": (ONE_CHANNEL.read_bytes().replace(b"2026", b"\xff026", 1), "not UTF-8 text at line 3, column 18"),
    "deep": (ONE_CHANNEL.read_bytes().replace(b"[]", b"[" * 100000 + b"]" * 100000, 1), "nested too deeply"),
    "a second one after it": (ONE_CHANNEL.read_bytes() * 2, "trailing characters"),
    "version twice": (ONE_CHANNEL.read_bytes().replace(b"{", b'{"version": 1,', 1), "the name version stands twice"),
    "state twice": (
        ONE_CHANNEL.read_bytes().replace(b"{", b'{"state": {"values": {}},', 1),
        "the name state stands twice",
    ),
    "a key twice": (
        ONE_CHANNEL.read_bytes().replace(b'"values": {', b'"values": {"nodes/x": [0, 0], "nodes/\\u0078": [1, 1],', 1),
        "the name nodes/x stands twice",
    ),
    "a number of 5,000 digits": (ONE_CHANNEL.read_bytes().replace(b"1", b"1" * 5000, 1), "integer value out of range"),
}


@pytest.mark.parametrize("command", ["convert-backup", "inspect-backup"])
@pytest.mark.parametrize("fault", RAW_FAULTS)
def test_raw(fault: str, command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, words = RAW_FAULTS[fault]
    path = tmp_path / "raw.json"
    path.write_bytes(data)
    ran = run(capfd, command, "--path", path)
    assert ran.status == 1
    assert str(path) in error_line(ran)
    assert words in ran.err


@pytest.mark.parametrize("command", ["convert-backup", "inspect-backup"])
def test_no_file_to_read(command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for path, words in ((tmp_path / "none.json", "No such file"), (tmp_path, "directory"), ("", "No such file")):
        ran = run(capfd, command, "--path", path)
        assert ran.status == 1
        assert str(path) in error_line(ran)
        assert words in ran.err


def test_no_complete_channel(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = edited(tmp_path, lambda backup: backup["state"]["values"].pop(peer_key(backup)), load(ONE_CHANNEL))
    key = channel_of(load(path))[0]
    ran = run(capfd, "convert-backup", "--path", path)
    assert ran.status == 3
    assert key in error_line(ran)
    ran = run(capfd, "convert-backup", "--path", path, "--skip-incomplete")
    assert (ran.status, ran.out) == (3, "")
    skipped, error = ran.err.splitlines()
    assert key in skipped
    assert skipped.startswith("Skipped ")
    assert "no complete channel" in error
    assert str(path) in error


def test_incomplete_refusal_names_every_channel(capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "convert-backup", "--path", MIXED)
    assert ran.status == 3
    assert all(key in error_line(ran) for key in load(MIXED.with_name("mixed.expected.json"))["skipped"])
