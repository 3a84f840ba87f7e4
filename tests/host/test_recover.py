"""`recover --rpc`: whom it refuses, one channel at a time, and each stub compared with what was sent."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backup_cases import MIXED, ONE_CHANNEL, VECTORS, Ran, error_line, load, run
from recover_rig import LND, REVOKED, events, node_of, recover, scbs_of, script
from scripted_lightningd import ScriptedLightningd, scripted
from scripted_node import CHANNEL, Stub

from vls_backup.scb import Scb, decode_scb
from vls_backup.sending import safe_height


def test_sends_one_channel_at_a_time(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script(MIXED)) as server:
        ran = recover(capfd, server, MIXED)
        assert ran.status == 0, ran.err
        assert [stub.scb for stub in server.node.stubs.values()] == scbs_of(MIXED)
        assert server.calls["recoverchannel"] == 13
    lines = ran.out.splitlines()
    assert len(lines) == 13 and all(line.startswith("sent, stored right: ") for line in lines)
    assert "13 channels: 13 to send, 0 already known" in ran.err
    assert "Skipped channels/" in ran.err
    assert f"recover --rpc {server.path} --watch" in ran.err


def test_the_same_again_sends_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script(MIXED)) as server:
        recover(capfd, server, MIXED)
        ran = run(capfd, "recover", "--rpc", server.path, "--path", MIXED, "--skip-incomplete")  # no question either
        assert (ran.status, server.calls["recoverchannel"]) == (0, 13)
    assert {line.split(":")[0] for line in ran.out.splitlines()} == {"already known, stored right"}


def test_json(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script()) as server:
        (sent,) = events(recover(capfd, server, ONE_CHANNEL, "--json"))
    scb = scbs_of(ONE_CHANNEL)[0]
    assert list(sent) == ["event", "node_id", "lightningd", "blockheight", "channels"]
    assert (sent["event"], sent["node_id"], sent["lightningd"]) == ("sent", node_of(ONE_CHANNEL), "v26.06.6")
    (channel,) = sent["channels"]
    assert channel.pop("channel_key").endswith("0300000000000000")
    assert channel == {
        "channel_id": scb.channel_id.hex(),
        "peer_id": scb.node_id.hex(),
        "dbid": 3,
        "funding_txid_explorer": load(ONE_CHANNEL.with_name("set1-n2L.expected.json"))["funding_txid_explorer"],
        "funding_vout": scb.vout,
        "funding_sats": scb.funding_sats,
        "result": "sent, stored right",
        "sent": True,
        "already_known": False,
        "stored_right": True,
        "differs": [],
        "funding_spent": False,
    }


def refused(server: ScriptedLightningd, ran: Ran, status: int = 8) -> str:
    """Return the one line of a refusal, after which lightningd has no stub."""
    assert ran.status == status
    assert server.node.stubs == {} and server.calls["recoverchannel"] == 0
    return error_line(ran)


def test_another_node(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script(LND)) as server:
        line = refused(server, recover(capfd, server, ONE_CHANNEL, "--not-fresh", "--any-version"))
    assert node_of(LND) in line and node_of(ONE_CHANNEL) in line and "hsm_secret" in line


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("v25.05", True),
        ("25.05-3-gabc", True),
        ("v25.09.1", True),
        ("v26.06.6", True),
        ("v25.02.2", False),
        ("v24.11", False),
        ("basedon-something", False),
        ("\x1b[2J", False),
    ],
)
def test_version(version: str, fits: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script(version=version)) as server:
        if not fits:
            line = refused(server, recover(capfd, server, ONE_CHANNEL))
            assert "older than v25.05" in line and "--any-version" in line and "\x1b" not in line
        ran = recover(capfd, server, ONE_CHANNEL, *([] if fits else ["--any-version"]))
        assert ran.status == 0 and len(server.node.stubs) == 1


def test_not_in_sync(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script(behind="Still loading latest blocks from bitcoind.")) as server:
        assert "Still loading latest blocks" in refused(server, recover(capfd, server, ONE_CHANNEL))


@pytest.mark.parametrize("kind", ["live", "foreign stub", "being opened", "the backup's own, alive"])
def test_not_fresh(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    other = {
        "live": {**CHANNEL, "short_channel_id": "800000x1x1"},
        "foreign stub": CHANNEL,
        "being opened": {"peer_id": "02" * 33, "state": "OPENINGD", "peer_connected": True},
        "the backup's own, alive": {
            **CHANNEL,
            "short_channel_id": "800000x1x1",
            "channel_id": scbs_of(ONE_CHANNEL)[0].channel_id.hex(),
        },
    }[kind]
    with scripted(tmp_path, script()) as server:
        server.node.live = [other]
        line = refused(server, recover(capfd, server, ONE_CHANNEL))
        assert ("is alive in this lightningd" if "alive" in kind else "is not fresh") in line
        assert "--not-fresh" in line
        if "alive" not in kind:
            assert recover(capfd, server, ONE_CHANNEL, "--not-fresh").status == 0
            assert len(server.node.stubs) == 1


def test_an_incomplete_backup(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script(MIXED)) as server:
        ran = run(capfd, "recover", "--rpc", server.path, "--path", MIXED, "--yes")
        assert "--skip-incomplete" in refused(server, ran, status=3)
        missing = load(MIXED.with_name("mixed.expected.json"))["skipped"][0][75:141]
        address = f"{missing}@203.0.113.7:9735"
        ran = run(capfd, "recover", "--rpc", server.path, "--path", MIXED, "--yes", "--peer-addr", address)
        assert ran.status == 0 and len(server.node.stubs) == 14
        assert recover(capfd, server, MIXED).status == 0  # the one without an address is still the backup's own


def test_damaged_channels_are_skipped_by_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backup = load(MIXED)
    values = backup["state"]["values"]
    of_peer = scbs_of(MIXED)[0].node_id.hex()
    key = next(key for key in values if key.startswith("channels/") and key[75:141] == of_peer)
    values[key][1]["channel_setup"]["counterparty_points"]["payment_point"] = "05" * 33
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(backup))
    with scripted(tmp_path, script(MIXED)) as server:
        ran = recover(capfd, server, path, "--skip-incomplete")
        assert ran.status == 3 and f"Skipped {key}" in ran.err
        assert len(server.node.stubs) == 12


def damage(scb: Scb, field: str) -> Scb:
    other = decode_scb(bytes.fromhex(load(REVOKED.with_name("set2-dR60.expected.json"))["recoverchannel"]["scb"][0]))
    value = {
        "txid": scb.txid[::-1],
        "vout": scb.vout + 1,
        "funding_sats": scb.funding_sats + 1,
        "opener": 1 - scb.opener,
        "remote_to_self_delay": scb.remote_to_self_delay + 1,
        "min_index": 2,
    }
    return scb._replace(**{field: value.get(field, getattr(other, field))})


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("channel_id", "its number is another channel's"),
        ("node_id", "the peer's id"),
        ("txid", "the funding txid"),
        ("vout", "the funding output"),
        ("funding_sats", "the amount"),
        ("basepoints", "the peer's basepoints (TLV 3)"),
        ("opener", "the opener (TLV 5)"),
        ("min_index", "min_index (TLV 1)"),
        ("remote_to_self_delay", "our delay (TLV 7)"),
    ],
)
def test_stored_wrong_ends_it(field: str, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script(MIXED, store=lambda scb: damage(scb, field))) as server:
        ran = recover(capfd, server, MIXED)
        assert ran.status == 9
        assert server.calls["recoverchannel"] == 1  # not the others too
    assert ran.out.startswith(f"sent, stored wrong ({words}): ")
    assert f"stored it wrong ({words})" in ran.err and "1 of 13 channels; 12 were not sent" in ran.err


@pytest.mark.parametrize("form", ["glcli's", "lightningd's own", "our delay only", "min_index only", "no secrets"])
def test_a_recovery_in_another_form_can_be_repaired(
    form: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sent = scbs_of(REVOKED)[0]
    own = load(REVOKED.with_name("set2-dR60.expected.json"))["as_lightningd_staticbackup_wrote_it"]
    stored = {
        "glcli's": decode_scb(bytes.fromhex(own))._replace(channel_type=bytes.fromhex("00501000")),
        "lightningd's own": decode_scb(bytes.fromhex(own)),
        "our delay only": damage(sent, "remote_to_self_delay"),
        "min_index only": damage(sent, "min_index"),
        "no secrets": sent._replace(secrets=b""),
    }[form]
    with scripted(tmp_path, script(REVOKED)) as server:
        server.node.stubs[sent.dbid] = Stub(stored)
        ran = recover(capfd, server, REVOKED, "--watch")
        assert ran.status == 9 and server.calls["recoverchannel"] == 0 and server.node.connects.total() == 0
    assert ran.out.startswith("already known, stored wrong (")
    for words in ["fresh lightning-dir", "--disable-plugin=chanbackup", "--rescan=-", "in another form than ours"]:
        assert words in ran.err


def test_the_form_of_glcli_as_it_wrote_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    answers = load(VECTORS / "glcli" / "answers.json")
    accepted = [
        a
        for a in answers
        if a["input"] == "cln-regtest/set1-n2L.backup.json" and a["accepted"] and '"scb"' in a["stdout"]
    ]
    (text,) = json.loads(accepted[0]["stdout"])["scb"]
    with scripted(tmp_path, script()) as server:
        server.node.stubs[3] = Stub(decode_scb(bytes.fromhex(text)))
        ran = recover(capfd, server, ONE_CHANNEL)
        assert ran.status == 9 and "Repair it as said above" in ran.err


def test_a_dbid_in_use_by_another_channel(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script()) as server:
        server.node.stubs[3] = Stub(scbs_of(REVOKED)[0]._replace(dbid=3))
        ran = recover(capfd, server, ONE_CHANNEL, "--not-fresh")
        assert ran.status == 9 and "its number is another channel's" in ran.err and "fresh lightning-dir" in ran.err


def test_skipped_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script(skips=True)) as server:
        ran = recover(capfd, server, ONE_CHANNEL)
        assert ran.status == 8 and "did not store this channel" in ran.err


@pytest.mark.parametrize(("method", "number"), [("recoverchannel", 5), ("staticbackup", 5), ("getinfo", 1)])
def test_lightningd_dies_in_the_middle(
    method: str, number: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with scripted(tmp_path, script(MIXED, dies_at=(method, number))) as server:
        ran = recover(capfd, server, MIXED, "--json")
        assert ran.status == 8
        assert json.loads(ran.out)["channels"] if number > 1 else ran.out == ""  # what was done is reported
        assert "went away in the middle of " + method in ran.err and "run the same command again" in ran.err
        server.start()
        ran = recover(capfd, server, MIXED)
        assert ran.status == 0 and [s.scb for s in server.node.stubs.values()] == scbs_of(MIXED)


def test_nobody_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "recover", "--rpc", tmp_path / "none", "--path", ONE_CHANNEL, "--yes")
    assert ran.status == 8 and "is lightningd running?" in error_line(ran)


@pytest.mark.parametrize("closed_long", [False, True])
def test_a_peer_that_had_closed_before(closed_long: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backup = load(ONE_CHANNEL) | {"created_at": "2100-01-01T00:00:00Z"}  # of the age 0
    for key, entry in backup["state"]["values"].items():
        if key.startswith("channels/"):
            entry[1]["enforcement_state"]["channel_closed"] = closed_long
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(backup))
    scb = scbs_of(ONE_CHANNEL)[0]
    with scripted(tmp_path, script(closed_before={scb.channel_id.hex()}, height=800000)) as server:
        ran = recover(capfd, server, path)
        assert ran.status == 0
    height = "HEIGHT" if closed_long else 800001 - 144
    assert f"Closed before lightningd looked: {scb.txid[::-1].hex()}:{scb.vout}" in ran.err
    assert f"--rescan=-{height} " in ran.err


def test_safe_height() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert safe_height("2026-11-23T00:00:00Z", 900000, now) == 900000 - 180 - 144
    assert safe_height("2026-11-25T00:00:00Z", 900000, now) == 900000 - 144
    assert safe_height("2020-11-25T00:00:00Z", 1000, now) == 1
    assert safe_height("yesterday", 1000, now) == 1
    assert safe_height("2026-11-23T00:00:00", 1000, now) == 1  # no zone
