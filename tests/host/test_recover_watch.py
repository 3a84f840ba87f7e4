"""`recover --watch`: until the money is there, with every kind of peer; resumed at any point; what it tells people."""

import re
import threading
import time
from pathlib import Path

import pytest
from backup_cases import MIXED, ONE_CHANNEL, Ran, load
from recover_rig import LND, REVOKED, events, node_of, recover, scbs_of, script
from scripted_lightningd import ScriptedLightningd, scripted
from scripted_node import Script, txid_of

from vls_backup import reconnect
from vls_backup.watch import Stage


def point(scb: object) -> str:
    return f"{scb.txid[::-1].hex()}:{scb.vout}"  # type: ignore[attr-defined]


def watch(capfd: pytest.CaptureFixture[str], server: ScriptedLightningd, *arguments: object) -> Ran:
    return recover(capfd, server, None, "--watch", *arguments)


def test_from_the_backup_to_the_money(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script(MIXED)) as server:
        ran = recover(capfd, server, MIXED, "--watch")
    assert ran.status == 0, ran.err
    scbs = scbs_of(MIXED)
    sats = sum(scb.funding_sats // 2 for scb in scbs)
    assert f"13 money in the wallet; {sats:,} sats in the wallet." in ran.err
    for scb in scbs:  # each channel's stages, in order
        stages = re.findall(f" {point(scb)} with {scb.node_id.hex()}: ([a-z ]+)", ran.err)
        assert [Stage(stage) for stage in stages] == sorted(map(Stage, stages), key=list(Stage).index)
        assert stages[-1] == "money in the wallet"
    assert "waiting for the peer" in ran.err and "peer connected" not in ran.err.splitlines()[-1]
    assert "withdraw ADDRESS all" in ran.err and "before you open any new channel" in ran.err


def test_lnd_closes_one_channel_per_connection(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lnd = {scb.node_id.hex(): "lnd" for scb in scbs_of(LND)}
    with scripted(tmp_path, script(LND, peers=lnd)) as server:
        ran = recover(capfd, server, LND, "--watch")
        assert ran.status == 0, ran.err
        channels = [stub.scb.node_id.hex() for stub in server.node.stubs.values()]
        assert {peer: server.node.connects[peer] for peer in lnd} == {peer: channels.count(peer) for peer in lnd}
    assert "10 money in the wallet" in ran.err
    for stub in server.node.stubs.values():  # connections that come and go are no news
        assert ran.err.count(f"{point(stub.scb)} with {stub.scb.node_id.hex()}: peer connected") <= 1


def test_json(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script()) as server:
        sent, *seen = events(recover(capfd, server, ONE_CHANNEL, "--watch", "--json"))
    assert sent["event"] == "sent" and {event["event"] for event in seen} == {"watch"}
    assert [list(event) for event in seen] == [
        ["event", "node_id", "blockheight", "done", "sats_unconfirmed", "sats_confirmed", "channels"]
    ] * len(seen)
    stages = [event["channels"][0]["stage"] for event in seen]
    order = [stage.name.lower() for stage in Stage]
    assert stages == sorted(set(stages), key=order.index)
    assert stages[0] == "waiting" and stages[-1] == "confirmed" and "closing" in stages
    scb = scbs_of(ONE_CHANNEL)[0]
    last = seen[-1]
    assert (last["done"], last["sats_confirmed"], last["sats_unconfirmed"]) == (True, scb.funding_sats // 2, 0)
    (channel,) = last["channels"]
    height = channel.pop("closing_height")
    assert 101 < height <= last["blockheight"]
    assert channel == {
        "channel_id": scb.channel_id.hex(),
        "peer_id": scb.node_id.hex(),
        "funding_txid_explorer": scb.txid[::-1].hex(),
        "funding_vout": scb.vout,
        "funding_sats": scb.funding_sats,
        "stage": "confirmed",
        "closing_txid": txid_of("close", 3),
        "sats_unconfirmed": 0,
        "sats_confirmed": scb.funding_sats // 2,
        "second_pass": False,
    }


def test_watch_alone_finds_everything_in_lightningd(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No backup, no file of ours: lightningd's own addresses. And after it is all over it says so at once."""
    with scripted(tmp_path, script(MIXED)) as server:
        recover(capfd, server, MIXED)
        assert watch(capfd, server).status == 0
        server.node.height += 200  # forgotten: only listclosedchannels has them
        assert server.node.do_listpeerchannels() == {"channels": []}
        ran = watch(capfd, server)
        assert ran.status == 0 and "13 money in the wallet" in ran.err
        server.node.withdrawn = True
        sats = sum(scb.funding_sats // 2 for scb in scbs_of(MIXED))
        assert f"; {sats:,} sats in the wallet" in watch(capfd, server).err  # the change isn't counted
        ran = recover(capfd, server, MIXED)
        assert ran.status == 0 and {line.split(":")[0] for line in ran.out.splitlines()} == {"finished before"}


def test_nothing_to_watch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script()) as server:
        ran = watch(capfd, server)
    assert ran.status == 8 and "has no recovered channels" in ran.err


def test_a_penalty_and_the_second_pass(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scb = scbs_of(REVOKED)[0]
    assert scb.opener == 1
    with scripted(tmp_path, script(REVOKED, revoked={scb.channel_id.hex()})) as server:
        ran = recover(capfd, server, REVOKED, "--watch")
        close = server.node.stubs[scb.dbid].noticed
    assert ran.status == 9
    assert f"your own output is still on chain, in: {point(scb)}" in ran.err
    assert "vls-backup convert-backup --second-pass --path backup.json" in ran.err
    assert close and f"--rescan=-{close - 1}." in ran.err
    assert "money on its way" in ran.err and f"{scb.funding_sats // 2:,} sats in the wallet" in ran.err


@pytest.mark.parametrize("backup", [ONE_CHANNEL, LND])
def test_a_penalty_without_a_second_pass(backup: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Ours is missed only in anchor channels that the peer opened."""
    ours = [scb for scb in scbs_of(backup) if scb.opener == 0 or len(scb.channel_type) != 3]
    theirs = [scb for scb in scbs_of(backup) if scb not in ours]
    revoked = {scb.channel_id.hex() for scb in ours}
    with scripted(tmp_path, script(backup, revoked=revoked)) as server:
        ran = recover(capfd, server, backup, "--watch")
    assert ran.status == 0 and "second pass" not in ran.err
    sats = sum(scb.funding_sats // 2 + 1000 for scb in ours) + sum(scb.funding_sats // 2 for scb in theirs)
    assert f"{sats:,} sats in the wallet" in ran.err


def test_nothing_was_ours(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script(nothing={scbs_of(ONE_CHANNEL)[0].channel_id.hex()})) as server:
        ran = recover(capfd, server, ONE_CHANNEL, "--watch")
    assert ran.status == 0 and "1 closed, nothing was ours; 0 sats" in ran.err and "withdraw" not in ran.err


def test_onchaind_died(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The sign of a recovery in glcli's form: how to repair it, with the height."""
    scbs = scbs_of(MIXED)
    with scripted(tmp_path, script(MIXED, onchaind_dies={scbs[0].channel_id.hex()})) as server:
        ran = recover(capfd, server, MIXED, "--watch")
        close = server.node.stubs[scbs[0].dbid].noticed
    assert ran.status == 9 and f"onchaind died over: {point(scbs[0])}\n" in ran.err
    assert close and f"--rescan=-{close - 1}, then" in ran.err and "fresh lightning-dir" in ran.err
    assert "12 money in the wallet" in ran.err and "1 channels need a repair, 0 a second pass" in ran.err


def test_an_old_close_is_noticed_after_a_rescan(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scb = scbs_of(ONE_CHANNEL)[0]
    with scripted(tmp_path, script(closed_before={scb.channel_id.hex()})) as server:
        recover(capfd, server, ONE_CHANNEL)

        def restart_with_rescan() -> None:
            while server.calls["listpeerchannels"] < 12:
                time.sleep(0.01)
            server.stop()
            time.sleep(0.3)
            server.node.rescan()
            server.start()

        thread = threading.Thread(target=restart_with_rescan)
        thread.start()
        ran = watch(capfd, server)
        thread.join()
        assert server.node.connects.total() == 0  # the peer has nothing left to close
    assert ran.status == 0, ran.err
    assert ran.err.count(f"Closed before lightningd looked: {point(scb)}") == 1 and "--rescan=-HEIGHT" in ran.err
    assert ran.err.count("Waiting for it") == 1 and "answers again" in ran.err
    assert "1 money in the wallet" in ran.err


def test_another_node_after_a_restart(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    peer = scbs_of(ONE_CHANNEL)[0].node_id.hex()
    with scripted(tmp_path, script(peers={peer: "never"})) as server:
        recover(capfd, server, ONE_CHANNEL)

        def become_another() -> None:
            while server.calls["getinfo"] < 5:
                time.sleep(0.01)
            server.script.node_id = node_of(LND)

        thread = threading.Thread(target=become_another)
        thread.start()
        ran = watch(capfd, server)
        thread.join()
    assert ran.status == 8 and f"another node answers now, {node_of(LND)}" in ran.err


def test_chanbackup(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for plugins, said in [(["chanbackup", "bcli"], True), (["bcli", "chanbackup-of-mine"], False)]:
        with scripted(tmp_path, script(plugins=plugins)) as server:
            ran = recover(capfd, server, ONE_CHANNEL, "--watch")
        assert (ran.status, "--disable-plugin=chanbackup" in ran.err) == (0, said)


class Stubborn:
    """A run in which one peer doesn't do what it should, until the words are there; then it does."""

    def __init__(self, server: ScriptedLightningd, peer: str, connections: int) -> None:
        self.server, self.peer, self.connections = server, peer, connections

    def __call__(self) -> None:
        while self.server.node.connects[self.peer] < self.connections:
            time.sleep(0.01)
        self.server.script.peers[self.peer] = "ldk"


def stubborn(capfd: pytest.CaptureFixture[str], folder: Path, kind: str, connections: int) -> tuple[Ran, str]:
    peer = scbs_of(ONE_CHANNEL)[0].node_id.hex()
    with scripted(folder, Script(node_of(ONE_CHANNEL), peers={peer: kind})) as server:
        thread = threading.Thread(target=Stubborn(server, peer, connections))
        thread.start()
        ran = recover(capfd, server, ONE_CHANNEL, "--watch")
        thread.join()
    return ran, peer


def test_the_line_for_the_operator(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconnect, "PATIENCE", 4)
    ran, peer = stubborn(capfd, tmp_path, "never", 6)
    scb = scbs_of(ONE_CHANNEL)[0]
    assert ran.status == 0
    assert ran.err.count(f"Peer {peer}: 4 connections") == 1
    assert f"    lncli closechannel --force --chan_point {point(scb)}\n" in ran.err
    assert f"    lightning-cli close {scb.channel_id.hex()} 1\n" in ran.err
    assert node_of(ONE_CHANNEL) in ran.err


def test_a_peer_that_is_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran, peer = stubborn(capfd, tmp_path, "down", 8)
    address = load(ONE_CHANNEL)["state"]["values"][f"peers/{peer}"][1]["addr"]
    assert ran.status == 0
    assert ran.err.count(f"Peer {peer} cannot be reached at {address}: All addresses failed") == 1
    assert f"--peer-addr {peer}@HOST:PORT" in ran.err


def test_an_address_that_the_owner_gives(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Port 1 is nobody's in the scripted lightningd: so it shows which address was used."""
    scb = scbs_of(ONE_CHANNEL)[0]
    with scripted(tmp_path, script()) as server:
        recover(capfd, server, ONE_CHANNEL)
        stub = server.node.stubs[scb.dbid]
        stub.scb = stub.scb._replace(wireaddr=bytes.fromhex("017f0000010001"))
        assert watch(capfd, server, "--peer-addr", f"{scb.node_id.hex()}@[2001:db8::7]:9735").status == 0
