"""lightningd's answers, typed; the scripted lightningd of these tests against the recording of a real one."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from backup_cases import VECTORS, load
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_lightningd import ScriptedLightningd, scripted
from scripted_node import Script, Stub

from vls_backup import watch
from vls_backup.errors import LightningdError
from vls_backup.recovery_rpc import GoneError, Info, Lightningd, PeerChannel, RefusedError, lightningd, sats
from vls_backup.scb import decode_scb

SESSION = load(VECTORS / "cln-rpc" / "recover-session.json")
CALLS = {f"{number} {call['note']}": call for number, call in enumerate(SESSION["calls"])}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[ScriptedLightningd]:
    with scripted(tmp_path, Script(SESSION["node_id"], blocks=False)) as server:
        yield server


def raw(server: ScriptedLightningd, method: str, params: dict[str, Any]) -> Any:
    """Call over the socket without pyln-client."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server.path))
        connection.sendall(json.dumps({"jsonrpc": "2.0", "method": method, "id": "1", "params": params}).encode())
        data = b""
        while not data.endswith(b"\n\n"):
            part = connection.recv(65536)
            assert part, f"it died of {method}"
            data += part
    return json.loads(data)


def named(method: str, values: list[str]) -> dict[str, Any]:
    names = {"recoverchannel": ["scb"], "connect": ["id", "host", "port"]}
    read = [json.loads(value) if method == "recoverchannel" else value for value in values]
    return dict(zip(names.get(method, []), read, strict=False))


def comparable(method: str, result: Any) -> Any:
    """Return of an answer what `recover` reads, in an order of its own: lightningd's is that of a hash table."""
    if method == "listpeerchannels":
        channels = msgspec.convert(result["channels"], list[PeerChannel])
        return sorted(channels, key=lambda channel: channel.channel_id)
    if method == "staticbackup":
        return sorted(result["scb"])
    if method == "listfunds":
        return result["outputs"]
    return result


def test_the_scripted_lightningd_answers_as_the_real_one_did(fresh: ScriptedLightningd) -> None:
    compared = 0
    for name, call in CALLS.items():
        if call["method"] in ("nosuchmethod", "listpeers") or (call["method"], call["params"]) == (
            "recoverchannel",
            [],
        ):
            continue
        answer = raw(fresh, call["method"], named(call["method"], call["params"]))
        if "error" in call:
            assert answer["error"] == json.loads(call["error"]), name
        else:
            method = call["method"]
            assert comparable(method, answer["result"]) == comparable(method, call["result"]), name
        compared += 1
    assert compared == 14
    assert raw(fresh, "nosuchmethod", {})["error"]["message"].startswith("Unknown command")


def test_typed_answers(fresh: ScriptedLightningd) -> None:
    node = Lightningd(str(fresh.path))
    assert node.info() == Info(SESSION["node_id"], "v26.06.6", 101, "regtest")
    assert (node.channels(), node.outputs(), node.static_backup(), node.closed_channels()) == ([], [], {}, [])
    scb = bytes.fromhex(json.loads(SESSION["calls"][4]["params"][0])[0])
    assert node.recover_channel(scb) is True
    assert node.recover_channel(scb) is False
    (channel,) = node.channels()
    assert channel.is_stub and channel.has_anchors and sats(channel.total_msat) == 700000
    assert list(node.static_backup()) == [1]
    assert node.is_spent(*channel.outpoint) is False
    fresh.script.lacks = {"getutxout"}
    assert node.is_spent(*channel.outpoint) is None


@pytest.mark.parametrize(("msat", "expected"), [(1999, 1), ("1999msat", 1), (0, 0)])
def test_sats(msat: int | str, expected: int) -> None:
    assert sats(msat) == expected


def test_the_default_timeout_is_put_back(tmp_path: Path) -> None:
    socket.setdefaulttimeout(None)
    with lightningd(str(tmp_path / "none")):
        assert socket.getdefaulttimeout() == 60
    assert socket.getdefaulttimeout() is None


def test_a_lightningd_that_says_nothing(fresh: ScriptedLightningd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vls_backup.recovery_rpc.ANSWER_SECONDS", 0.2)
    with lightningd(str(fresh.path)) as node, fresh.hung(), pytest.raises(GoneError, match="has not answered getinfo"):
        node.info()


ODD = [
    b"\n\n",
    b"[]\n\n",
    b"{}\n\n",
    b"nonsense\n\n",
    b"\xff\n\n",
    b'{"id":"x","result":{}}\n\n',
    b"[" * 100000 + b"\n\n",
]


@pytest.mark.parametrize("answer", ODD, ids=range(len(ODD)))
def test_odd_answers(fresh: ScriptedLightningd, answer: bytes) -> None:
    fresh.script.answers["getinfo"] = answer
    with pytest.raises(LightningdError, match="makes no sense"):
        Lightningd(str(fresh.path)).info()


@pytest.mark.parametrize("value", [None, {}, [], {"id": 3}, {"id": "", "version": "v", "blockheight": "high"}])
def test_answers_of_another_shape(fresh: ScriptedLightningd, value: Any) -> None:
    fresh.script.results["getinfo"] = value
    with pytest.raises(LightningdError, match="makes no sense"):
        Lightningd(str(fresh.path)).info()


@pytest.mark.parametrize("scb", [["zz"], ["0"], 3, "x"])
def test_a_static_backup_that_is_none(fresh: ScriptedLightningd, scb: Any) -> None:
    fresh.script.results["staticbackup"] = {"scb": scb}
    with pytest.raises(LightningdError, match="staticbackup makes no sense"):
        Lightningd(str(fresh.path)).static_backup()


def test_nobody_answers(fresh: ScriptedLightningd, tmp_path: Path) -> None:
    fresh.stop()
    for path, words in [
        (fresh.path, "nobody answers"),
        (tmp_path / "none", "No such file"),
        (tmp_path, "is no socket"),
        (VECTORS / "README.md", "is no socket"),
    ]:
        with pytest.raises(GoneError, match=words):
            Lightningd(str(path)).info()


def test_shutting_down_is_going_away(fresh: ScriptedLightningd) -> None:
    fresh.script.errors["getinfo"] = {"code": -5, "message": "lightningd is shutting down"}
    with pytest.raises(GoneError, match="is shutting down: start it again"):
        Lightningd(str(fresh.path)).info()


def test_refusals_keep_lightningds_words(fresh: ScriptedLightningd) -> None:
    node = Lightningd(str(fresh.path))
    with pytest.raises(RefusedError, match=r"Connection refused.*code 401"):
        node.connect("02" * 33, "127.0.0.1:1")
    with pytest.raises(RefusedError, match="no address known"):
        node.connect("02" * 33, None)


METHODS = ["getinfo", "listpeerchannels", "listclosedchannels", "listfunds", "listtransactions", "staticbackup"]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.fixture(scope="module")
def recovered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedLightningd]:
    """A lightningd with two channels, one of them closed."""
    scbs = [decode_scb(bytes.fromhex(scb)) for scb in json.loads(SESSION["calls"][8]["params"][0])[:2]]
    with scripted(tmp_path_factory.mktemp("recovered"), Script(SESSION["node_id"], blocks=False)) as server:
        server.node.stubs = {scb.dbid: Stub(scb) for scb in scbs}
        server.node.stubs[scbs[1].dbid].noticed = 100
        yield server


def bent(data: st.DataObject, value: Any) -> Any:
    """Return a JSON value with junk somewhere in it."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 9)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: bent(data, value[key])}
    if isinstance(value, list) and value and data.draw(st.integers(0, 9)):
        return [bent(data, value[0]), *value[1:]]
    return data.draw(JUNK)


@given(st.data(), st.sampled_from(METHODS))
@settings(max_examples=100)
def test_no_answer_is_a_surprise(recovered: ScriptedLightningd, data: st.DataObject, method: str) -> None:
    """Whatever lightningd says, it is taken, or refused in words."""
    recovered.script.results = {}
    answer = raw(recovered, method, {})["result"]
    recovered.script.results = {method: bent(data, answer)}
    node = Lightningd(str(recovered.path))
    with suppress(LightningdError):
        watch.look(node).report()
    with suppress(LightningdError):
        node.static_backup()


@pytest.mark.parametrize(
    ("method", "field", "value"),
    [
        ("listpeerchannels", "total_msat", "much"),
        ("listpeerchannels", "total_msat", "1" * 5000),
        ("listfunds", "amount_msat", "12sat"),
        ("getinfo", "blockheight", "high"),
    ],
)
def test_numbers_that_are_none(recovered: ScriptedLightningd, method: str, field: str, value: object) -> None:
    recovered.script.results = {}
    answer = raw(recovered, method, {})["result"]
    (answer if field in answer else answer[{"listfunds": "outputs"}.get(method, "channels")][0])[field] = value
    recovered.script.results = {method: answer}
    with pytest.raises(LightningdError, match="makes no sense"):
        watch.look(Lightningd(str(recovered.path)))
