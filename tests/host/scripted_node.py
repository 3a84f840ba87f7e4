"""What the scripted lightningd of the tests answers, method by method: stubs, their peers, and the chain in blocks.

The answers are the recorded ones (tests/vectors/cln-rpc) with other values; test_recovery_rpc.py holds them against the
recording.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from backup_cases import VECTORS, load

from vls_backup.scb import Scb, channel_id_v1, decode_scb, encode_scb

RECORDED = {
    call["note"] + "/" + call["method"]: call for call in load(VECTORS / "cln-rpc" / "recover-session.json")["calls"]
}
INFO = RECORDED["fresh node/getinfo"]["result"]
CHANNEL = RECORDED["stored?/listpeerchannels"]["result"]["channels"][0]
NAMES = {
    12: "static_remotekey/even",
    20: "anchor_outputs/even",
    22: "anchors/even",
    46: "scid_alias/even",
    50: "zeroconf/even",
}
UNKNOWN = "ERROR: Unknown commitment, recovering our funds!"
ILLEGAL = "Tracking their illegal close: taking all funds"
NO_SUCH_PEER = "Unable to connect, no address known for peer"


def recorded_error(note: str) -> dict[str, Any]:
    """Return a recorded error, {code, message}."""
    error: dict[str, Any] = json.loads(RECORDED[note]["error"])
    return error


class RpcFailure(Exception):
    """What a method answers as an error."""


@dataclass
class Stub:
    """A recovered channel. closing: the block that its close gets into; noticed: the block at which we saw that."""

    scb: Scb
    closing: int | None = None
    noticed: int | None = None


@dataclass
class Script:
    """What happens. peers: id -> "ldk" closes all on one connection, "lnd" one, "never" none, "down" isn't there.

    By channel id: `revoked` (closed with an old state), `nothing` (nothing of it was ours), `onchaind_dies`,
    `closed_before` (the recovery), which only a rescan finds. store: what recoverchannel makes of an SCB. dies_at:
    (method, n): lightningd dies of the n-th such call. answers: raw ones. results, errors: other ones. lacks:
    methods that it doesn't have.
    """

    node_id: str
    version: str = "v26.06.6"
    peers: dict[str, str] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    nothing: set[str] = field(default_factory=set)
    onchaind_dies: set[str] = field(default_factory=set)
    closed_before: set[str] = field(default_factory=set)
    store: Callable[[Scb], Scb] = lambda scb: scb
    skips: bool = False
    plugins: list[str] = field(default_factory=list)
    behind: str | None = None
    dies_at: tuple[str, int] = ("", 0)
    answers: dict[str, bytes] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, dict[str, Any]] = field(default_factory=dict)
    lacks: set[str] = field(default_factory=set)
    height: int = 101
    blocks: bool = True


def txid_of(*what: object) -> str:
    """Return a made-up txid."""
    return sha256(repr(what).encode()).hexdigest()


class ScriptedNode:
    """Acts a script. Each getinfo mines a block. stubs, live, connected and withdrawn may be looked at, and changed."""

    def __init__(self, script: Script) -> None:
        """Begin fresh."""
        self.script = script
        self.height = script.height
        self.stubs: dict[int, Stub] = {}
        self.live: list[dict[str, Any]] = []
        self.connected: set[str] = set()
        self.connects: Counter[str] = Counter()
        self.withdrawn = False

    def rescan(self) -> None:
        """Do what a restart with --rescan does."""
        for stub in self.stubs.values():
            if stub.scb.channel_id.hex() in self.script.closed_before:
                stub.noticed = self.height

    # What lightningd does with each method.

    def do_getinfo(self) -> dict[str, Any]:
        self.height += self.script.blocks
        for stub in self.stubs.values():
            if stub.closing is not None and self.height >= stub.closing and stub.noticed is None:
                stub.noticed = self.height
        warning = {"warning_lightningd_sync": self.script.behind} if self.script.behind else {}
        own = {"id": self.script.node_id, "version": self.script.version, "blockheight": self.height}
        return {**INFO, **own, **warning}

    def do_recoverchannel(self, scb: list[str]) -> dict[str, Any]:
        made = []
        for text in scb:
            decoded = decode_scb(bytes.fromhex(text))
            if decoded.dbid not in self.stubs and not self.script.skips:
                self.stubs[decoded.dbid] = Stub(self.script.store(decoded))
                made.append(decoded.channel_id.hex())
        return {"stubs": made}

    def do_staticbackup(self) -> dict[str, Any]:
        scbs = [encode_scb(stub.scb._replace(remote_to_self_delay=0)) for stub in self._followed()]
        return {"scb": [scb.hex() for scb in scbs]}

    def do_listpeerchannels(self) -> dict[str, Any]:
        return {"channels": [*self.live, *map(self._channel, self._followed())]}

    def do_listclosedchannels(self) -> dict[str, Any]:
        gone = [stub for stub in self.stubs.values() if self._forgotten(stub)]
        dropped = {"state", "peer_connected", "status"}
        return {"closedchannels": [{k: v for k, v in self._channel(s).items() if k not in dropped} for s in gone]}

    def do_listfunds(self, spent: bool = False) -> dict[str, Any]:
        outputs = [output for stub in self.stubs.values() for output in self._outputs(stub)]
        if self.withdrawn:
            outputs = [{**output, "status": "spent"} for output in outputs] if spent else []
            outputs.append(_output(txid_of("withdrawal"), 0, 1000, "confirmed"))  # the change
        return {"outputs": outputs, "channels": []}

    def do_listtransactions(self) -> dict[str, Any]:
        found = []
        for stub in self.stubs.values():
            if stub.noticed is not None:
                funding = (stub.scb.txid[::-1].hex(), stub.scb.vout)
                found.append(_transaction(_close(stub), [funding], stub.noticed))
                if stub.scb.channel_id.hex() in self.script.revoked:
                    found.append(_transaction(txid_of("penalty", stub.scb.dbid), [(_close(stub), 0)], 0))
        if self.withdrawn:
            spent = [(o["txid"], o["output"]) for stub in self.stubs.values() for o in self._outputs(stub)]
            found.append(_transaction(txid_of("withdrawal"), spent, self.height))
        return {"transactions": found}

    def do_getutxout(self, txid: str, vout: str) -> dict[str, Any]:
        for stub in self.stubs.values():
            if (stub.scb.txid[::-1].hex(), str(stub.scb.vout)) == (txid, vout) and stub.closing is not None:
                return {"amount": None, "script": None}
        before = channel_id_v1(bytes.fromhex(txid)[::-1], int(vout)).hex() in self.script.closed_before
        return {"amount": None, "script": None} if before else {"amount": 100000, "script": "0020" + "00" * 32}

    def do_plugin(self, subcommand: str) -> dict[str, Any]:
        assert subcommand == "list"
        plugins = [
            {"name": f"/usr/lib/plugins/{name}", "active": True, "dynamic": True} for name in self.script.plugins
        ]
        return {"command": "list", "plugins": plugins}

    def do_disconnect(self, id: str, force: bool) -> dict[str, Any]:
        if id not in self.connected:
            raise RpcFailure({"code": -1, "message": "Peer not connected"})
        assert force
        self.connected.discard(id)
        return {}

    def do_connect(self, id: str, host: str | None = None, port: int | str = 0) -> dict[str, Any]:
        self.connects[id] += 1
        if host is None:
            raise RpcFailure(recorded_error("no address known/connect"))
        kind = self.script.peers.get(id, "ldk")
        if kind == "down" or int(port) == 1:
            raise RpcFailure(recorded_error("connect to a peer that is not there/connect"))
        self.connected.add(id)
        open_stubs = [s for s in self.stubs.values() if s.scb.node_id.hex() == id and s.closing is None]
        open_stubs = [s for s in open_stubs if s.scb.channel_id.hex() not in self.script.closed_before]
        for stub in {"ldk": open_stubs, "lnd": open_stubs[:1], "never": []}[kind]:
            stub.closing = self.height + 2
        if kind == "lnd":
            raise RpcFailure({"code": 402, "message": "disconnected during connection"})
        return {
            "id": id,
            "features": "08",
            "direction": "out",
            "address": {"type": "ipv4", "address": host, "port": port},
        }

    def _followed(self) -> list[Stub]:
        return [stub for stub in self.stubs.values() if not self._forgotten(stub)]

    def _forgotten(self, stub: Stub) -> bool:
        return stub.noticed is not None and self.height > stub.noticed + 100

    def _channel(self, stub: Stub) -> dict[str, Any]:
        scb = stub.scb
        status = ["restored from static channel backup"]
        if stub.noticed is not None:
            status = [f"ONCHAIN:{text}" for text in self._onchain_words(stub)]
        bits = [bit for bit in range(8 * len(scb.channel_type)) if scb.channel_type[-1 - bit // 8] >> bit % 8 & 1]
        return {
            **copy.deepcopy(CHANNEL),
            "peer_id": scb.node_id.hex(),
            "peer_connected": scb.node_id.hex() in self.connected,
            "channel_type": {"bits": bits, "names": [NAMES[bit] for bit in bits]},
            "state": "CHANNELD_NORMAL" if stub.noticed is None else "ONCHAIN",
            "channel_id": scb.channel_id.hex(),
            "funding_txid": scb.txid[::-1].hex(),
            "funding_outnum": scb.vout,
            "opener": "remote" if scb.opener else "local",
            "total_msat": 1000 * scb.funding_sats,
            "their_to_self_delay": scb.remote_to_self_delay,
            "status": status,
        }

    def _onchain_words(self, stub: Stub) -> Iterator[str]:
        cid, age = stub.scb.channel_id.hex(), self.height - (stub.noticed or 0)
        if cid in self.script.onchaind_dies:
            yield "Owning subdaemon lightning_onchaind died (61952)"
        elif cid in self.script.nothing:
            yield "ERROR: FUNDS LOST.  Unknown commitment!"
        elif cid in self.script.revoked:
            yield ILLEGAL
            if age < 2:
                yield "1 outputs unresolved: waiting confirmation that we spent THEIR_OUTPUT using OUR_PENALTY_TX"
        else:
            yield UNKNOWN
        yield f"All outputs resolved: waiting {100 - age} more blocks before forgetting channel"

    def _outputs(self, stub: Stub) -> list[dict[str, Any]]:
        cid = stub.scb.channel_id.hex()
        if stub.noticed is None or cid in self.script.nothing | self.script.onchaind_dies:
            return []
        age, half = self.height - stub.noticed, stub.scb.funding_sats // 2
        if cid not in self.script.revoked:
            return [_output(_close(stub), 1, half, "confirmed" if age else "unconfirmed")]
        # With the bug of onchaind's script search: our own output is missed in an anchor channel that the peer opened.
        missed = stub.scb.opener == 1 and len(stub.scb.channel_type) == 3
        own = [] if missed else [_output(_close(stub), 1, 1000, "confirmed")]
        return own + ([_output(txid_of("penalty", stub.scb.dbid), 0, half, "confirmed")] if age >= 2 else [])


def _close(stub: Stub) -> str:
    return txid_of("close", stub.scb.dbid)


def _output(txid: str, vout: int, sats: int, status: str) -> dict[str, Any]:
    return {
        "txid": txid,
        "output": vout,
        "amount_msat": 1000 * sats,
        "scriptpubkey": "0014" + "00" * 20,
        "status": status,
    }


def _transaction(txid: str, spends: list[tuple[str, int]], height: int) -> dict[str, Any]:
    inputs = [{"txid": spent, "index": index, "sequence": 0} for spent, index in spends]
    return {"hash": txid, "rawtx": "", "blockheight": height, "txindex": 0, "inputs": inputs, "outputs": []}
