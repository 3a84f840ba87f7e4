"""Addresses that the backup lacks: --peer-addr, --peers lists of lightningd and plain ones; the better one counts."""

import json
from pathlib import Path
from typing import Any

import pytest
from backup_cases import MIXED, ONE_CHANNEL, VECTORS, Ran, channel_of, error_line, load, run

from vls_backup.addresses import encode_wireaddr
from vls_backup.scb import decode_scb

(MISSING,) = load(MIXED.with_name("mixed.expected.json"))["skipped"]
PEER = MISSING[75:141]
LISTPEERS = {"peers": [{"id": PEER, "connected": True, "num_channels": 1, "netaddr": ["203.0.113.7:9735"]}]}
LISTNODES = {
    "nodes": [
        {"nodeid": "03" + "00" * 32},
        {
            "nodeid": PEER,
            "alias": "x",
            "addresses": [
                {"type": "torv2", "address": "abcdefghijklmnop.onion", "port": 9735},
                {"type": "ipv6", "address": "2001:db8::7", "port": 9736},
                {"type": "ipv4", "address": "203.0.113.8", "port": 9737},
            ],
        },
    ]
}


def scb_of(ran: Ran, peer: str) -> Any:
    """Return the decoded SCB of the channel with that peer."""
    assert ran.status == 0, ran.err
    return next(
        scb
        for scb in (decode_scb(bytes.fromhex(text)) for text in json.loads(ran.out)["scb"])
        if scb.node_id.hex() == peer
    )


def converted(capfd: pytest.CaptureFixture[str], *options: object) -> Ran:
    return run(capfd, "convert-backup", "--path", MIXED, *options)


def one_channel(tmp_path: Path, direction: str | None, addr: str = "198.51.100.1:9999") -> tuple[Path, str]:
    """Return a backup of one channel whose peer's entry says direction and addr, and the peer's id."""
    backup = load(ONE_CHANNEL)
    peer = channel_of(backup)[0][75:141]
    backup["state"]["values"]["peers/" + peer][1] |= {"direction": direction, "addr": addr}
    path = tmp_path / "one.json"
    path.write_text(json.dumps(backup))
    return path, peer


@pytest.mark.parametrize("peer", [PEER, PEER.upper()])
def test_typed(peer: str, capfd: pytest.CaptureFixture[str]) -> None:
    ran = converted(capfd, "--peer-addr", f"{peer}@[2001:db8::7]:9735")
    assert scb_of(ran, PEER).wireaddr == encode_wireaddr("[2001:db8::7]:9735")
    assert f"Address of {MISSING}: [2001:db8::7]:9735, from --peer-addr\n" in ran.err
    assert ran.err.count("Address of ") == 1
    assert "left out 0" in ran.err


@pytest.mark.parametrize(
    ("content", "address", "source"),
    [
        (json.dumps(LISTPEERS), "203.0.113.7:9735", "listpeers; who called whom is not said"),
        (json.dumps(LISTNODES), "203.0.113.8:9737", "listnodes"),
        (f"# peers\n\n{PEER} node.example.com:9735  # his\n", "node.example.com:9735", ""),
        (f"{PEER}@203.0.113.9:1\r\n", "203.0.113.9:1", ""),
    ],
)
def test_file(content: str, address: str, source: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peers"
    path.write_text(content)
    ran = converted(capfd, "--peers", path)
    assert scb_of(ran, PEER).wireaddr == encode_wireaddr(address)
    assert f"Address of {MISSING}: {address}, from {path}{f' ({source})' if source else ''}\n" in ran.err


def test_recorded_answers_of_lightningd(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Real ones are read; these know no address, since no peer was connected."""
    for call in load(VECTORS / "cln-rpc" / "recover-session.json")["calls"]:
        if call["method"] in ("listpeers", "listpeerchannels") and "result" in call:
            path = tmp_path / call["method"]
            path.write_text(json.dumps(call["result"]))
            ran = converted(capfd, "--peers", path)
            assert ran.status == 3
            assert MISSING in ran.err
            assert ("listpeerchannels tells of no address" in ran.err) == (call["method"] == "listpeerchannels")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("direction", "file", "typed", "expected"),
    [
        ("out", "plain", False, "backup"),
        (None, "plain", False, "backup"),
        ("in", "plain", False, "plain"),
        ("in", "in", False, "backup"),
        ("out", "plain", True, "typed"),
        ("in", None, True, "typed"),
    ],
)
def test_the_better_address_counts(
    direction: str | None,
    file: str | None,
    typed: bool,
    expected: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path, peer = one_channel(tmp_path, direction)
    options: list[object] = []
    if file:
        listed = tmp_path / "listed"
        peers = {"peers": [{"id": peer, "netaddr": ["203.0.113.7:9735"], "direction": "in"}]}
        listed.write_text(json.dumps(peers) if file == "in" else f"{peer} 203.0.113.7:9735")
        options += ["--peers", listed]
    if typed:
        options += ["--peer-addr", f"{peer}@203.0.113.8:9735"]
    wanted = {"backup": "198.51.100.1:9999", "plain": "203.0.113.7:9735", "typed": "203.0.113.8:9735"}[expected]
    ran = run(capfd, "convert-backup", "--path", path, *options)
    assert scb_of(ran, peer).wireaddr == encode_wireaddr(wanted)
    assert ("peer_addr_inbound" in ran.err) == (direction == "in" and expected == "backup")
    (channel,) = json.loads(run(capfd, "inspect-backup", "--path", path, *options).out)["channels"]
    assert channel["peer_addr"] == wanted
    assert channel["peer_addr_source"] == {"backup": "the backup", "typed": "--peer-addr"}.get(
        expected, str(tmp_path / "listed")
    )


def test_an_inbound_address_of_a_list_is_doubtful(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peers"
    path.write_text(json.dumps({"peers": [LISTPEERS["peers"][0] | {"direction": "in"}]}))
    ran = converted(capfd, "--peers", path)
    assert f"Warning: {MISSING}: peer_addr_inbound: " in ran.err
    assert "(listpeers; direction in)" in ran.err


@pytest.mark.parametrize("damage", ["an address that is none", "an entry that is none"])
def test_repairs_a_damaged_peer(damage: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, peer = one_channel(tmp_path, "out", "203.0.113.256:9735")
    if damage.startswith("an entry"):
        backup = load(path)
        backup["state"]["values"]["peers/" + peer][1] = "oops"
        path.write_text(json.dumps(backup))
    assert run(capfd, "convert-backup", "--path", path).status == 1
    ran = run(capfd, "convert-backup", "--path", path, "--peer-addr", f"{peer}@203.0.113.7:9735")
    assert scb_of(ran, peer).wireaddr == encode_wireaddr("203.0.113.7:9735")


def test_a_peer_without_a_channel(capfd: pytest.CaptureFixture[str]) -> None:
    other = channel_of(load(ONE_CHANNEL))[0][9:75]  # our own id: nobody's peer
    ran = converted(capfd, "--skip-incomplete", "--peer-addr", f"{other}@203.0.113.7:9735")
    assert ran.status == 0
    assert f"Warning: --peer-addr {other}: no channel of this backup is with that peer\n" in ran.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("203.0.113.7:9735", "ID@HOST:PORT"),
        ("02aa@203.0.113.7:9735", "ID: must be 66 hex characters"),
        (f"{'05' + 'ff' * 32}@203.0.113.7:9735", "not a point"),
        (f"{PEER}@203.0.113.7", "has no port"),
        (f"{PEER}@203.0.113.256:1", "looks like an IPv4 address"),
    ],
)
def test_wrong_addresses(text: str, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = converted(capfd, "--peer-addr", text)
    assert (ran.status, ran.out) == (2, "")
    assert words in ran.err
    path = tmp_path / "peers"
    path.write_text(f"{PEER} 203.0.113.7:9735\n{text}\n")
    ran = converted(capfd, "--peers", path)
    assert ran.status == 1
    assert words in error_line(ran)
    assert f"{path}: line 2: " in ran.err


def test_two_addresses_for_one_peer(capfd: pytest.CaptureFixture[str]) -> None:
    ran = converted(capfd, *[word for port in (1, 2) for word in ("--peer-addr", f"{PEER}@203.0.113.7:{port}")])
    assert ran.status == 2
    assert f"two addresses for peer {PEER}" in ran.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is no answer of"),
        (b"{}", "it has no such list"),
        (b"[]", "is no answer of"),
        (b'{"peers": [{"id": 7}]}', "is no answer of"),
        (b'{"peers": [{"id": "zz", "netaddr": ["203.0.113.7:9735"]}]}', "field id: must be 66 hex characters"),
        (b"\xff\xfe", "line 1"),
        (None, "cannot be read"),
    ],
)
def test_bad_files(content: bytes | None, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peers"
    if content is not None:
        path.write_bytes(content)
    ran = converted(capfd, "--peers", path)
    assert ran.status == 1
    assert words in error_line(ran)
    assert str(path) in ran.err
