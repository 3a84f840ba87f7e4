"""The signer loop, frame by frame: what it answers, what it merges and what the hook sees."""

import json

from backup_format import frames
from loop_rig import Rig, ScriptedEngine, answered, brief, entry, field, follower, u32
from signer.engine import EngineError
from signer.store import TOMBSTONE, PlainStore

NODE = "nodes/02" + "11" * 32
NODE_ID = bytes.fromhex(NODE[6:])
LOOK = b"\0"
ATTACH = b"\1"


def test_hello():
    rig = follower(firmware="0.1", board="sim")
    kind, payload = rig.ask(frames.HELLO, LOOK)
    hello = json.loads(payload)
    boot = hello.pop("boot")
    assert kind == frames.HELLO | frames.ANSWER
    assert hello == {"protocol": 1, "firmware": "0.1", "board": "sim", "max_in": 240, "max_out": 1024}
    assert len(boot) == 8 and int(boot, 16) >= 0
    for bad in (b"", b"\2", b"\0\0"):
        kind, payload = rig.ask(frames.HELLO, bad)
        assert kind == frames.ERROR and payload[0] == frames.E_MALFORMED


def test_entries_are_merged_and_the_hook_is_told():
    rig = follower()
    assert rig.request(field(1, 7) + entry("b", 1, b"1") + entry(NODE, 0, b"{}", b"s")) == field(1, 7)
    assert rig.request(field(1, 8) + entry("b", 2, b"2")) == field(1, 8)
    assert rig.request(field(1, 9)) == field(1, 9)
    assert [(node_id, brief(changes)) for node_id, changes in rig.hooked] == [
        (NODE_ID, [("b", None, 1), (NODE, None, 0)]),
        (NODE_ID, [("b", 1, 2)]),
        (NODE_ID, []),
    ]
    assert rig.hooked[1][1][0][1].value == b"1" and rig.hooked[1][1][0][2].value == b"2"


def test_the_node_id_is_found():
    store = PlainStore()
    store.put("nodes/zz" + "11" * 32, 0, b"", b"{}")
    store.put(NODE, 0, b"", b"{}")
    rig = follower(store)
    rig.request(b"")
    assert rig.hooked == [(NODE_ID, [])]
    rig = follower()
    rig.request(entry("nodes/02", 0, b"{}"))
    assert rig.hooked[0][0] is None

    def begin(request, store):
        store.put(NODE, 0, b"", b"{}")
        return b""

    rig = Rig(PlainStore(), ScriptedEngine(begin))
    rig.request(b"")
    assert rig.hooked[0][0] == NODE_ID


def test_many_changes_are_handed_on_before_the_request_ends():
    seen = []
    rig = follower(hook=lambda node_id, changes, more=False: seen.append((len(changes), more, rig.pipe.to_host)))
    rig.request(b"".join([entry("k%d" % i, 1, b"1") for i in range(40)]))
    assert [one[:2] for one in seen] == [(16, True), (16, True), (8, False)]
    assert [bool(one[2]) for one in seen] == [False, False, True]


def test_the_hook_comes_after_the_answer():
    seen = []
    rig = follower(hook=lambda node_id, changes: seen.append(rig.pipe.to_host))
    rig.request(field(1, 7))
    assert len(seen) == 1 and seen[0] == frames.encode(frames.RESPONSE, rig.seq, u32(2) + u32(0) + field(1, 7))


def test_the_engine_gets_the_request_and_writes():
    def sign(request, store):
        assert store.get("b").value == b"1"
        store.put("a", 5, b"sa", b'"x"')
        store.put("b", 2, b"sb", b"2")
        store.delete("c", b"sc")
        return b"\x00\x82"

    engine = ScriptedEngine(sign)
    rig = Rig(PlainStore(), engine)
    message = field(1, 7) + field(2, field(2, 9)) + field(3, b"raw") + entry("b", 1, b"1") + field(5, b"pending")
    expected = (
        answered("a", 5, b'"x"', b"sa") + answered("b", 2, b"2", b"sb") + answered("c", TOMBSTONE, b"null", b"sc")
    )
    assert rig.request(message, 5) == field(1, 7) + field(2, b"\x00\x82") + expected
    request = engine.request
    assert (request.request_id, request.raw, request.requests, request.context) == (
        7,
        b"raw",
        [b"pending"],
        (b"", 9, 0),
    )
    assert brief(rig.hooked[0][1]) == [("a", None, 5), ("b", None, 2), ("c", None, TOMBSTONE)]


def test_the_answer_holds_what_differs_from_what_was_sent():
    store = PlainStore()
    rig = follower(store)
    rig.request(b"")  # the attach, while there is nothing to answer
    store.put("kept", 1, b"ours", b"1")
    store.put("newer", 5, b"", b"5")
    store.put("silent", 1, b"", b"1")
    store.delete("dead", b"t")
    message = entry("dead", 3, b"3") + entry("kept", 1, b"2", b"theirs") + entry("newer", 4, b"4") + entry("x", 1, b"1")
    ours = answered("kept", 1, b"1", b"ours") + answered("newer", 5, b"5")
    assert rig.request(message) == answered("dead", TOMBSTONE, b"null", b"t") + ours
    assert rig.hooked[1][1] == [("x", None, store.get("x"))]


def test_an_attach_is_answered_with_all_that_the_node_lacks():
    store = PlainStore()
    for key in ("d", "a", "b", "c"):
        store.put(key, 3, b"s", b"3")
    store.delete("t", b"")
    rig = follower(store)
    message = entry("a", 3, b"3", b"s") + entry("b", 2, b"2", b"s") + entry("c", 3, b"3", b"") + entry("e", 1, b"1")
    rig.ask(frames.HELLO, ATTACH)
    lacking = answered("b", 3, b"3", b"s") + answered("d", 3, b"3", b"s") + answered("t", TOMBSTONE, b"null")
    assert rig.request(message) == lacking  # c took the node's missing signature over
    assert rig.request(field(1, 2)) == field(1, 2)  # only the first request after HELLO is the attach


def test_a_looker_disturbs_nothing():
    rig = follower()
    message = entry("a", 1, b"1" * 300)
    rig.ask(frames.HELLO, ATTACH)
    assert rig.ask(frames.REQUEST, u32(0) + u32(len(message)) + message[:200])[0] == frames.ACK
    rig.ask(frames.HELLO, LOOK)
    assert rig.ask(frames.REQUEST, u32(200) + u32(len(message)) + message[200:])[0] == frames.RESPONSE
    assert rig.ask(frames.FETCH, u32(0)) == (frames.RESPONSE, u32(0) + u32(0))


def test_fetch():
    store = PlainStore()
    store.put("a", 1, b"", b"1" * 5000)
    rig = follower(store)
    assert rig.ask(frames.FETCH, u32(0))[0] == frames.ERROR
    rig.ask(frames.HELLO, ATTACH)
    whole = rig.request(field(1, 7))
    assert whole == field(1, 7) + answered("a", 1, b"1" * 5000)
    for offset in (4000, 0, 1, 5000, len(whole) - 1, len(whole), 1016):  # again, backwards, at the end
        kind, payload = rig.ask(frames.FETCH, u32(offset))
        assert (kind, payload) == (frames.RESPONSE, u32(len(whole)) + u32(offset) + whole[offset : offset + 1016])
    for bad, code in ((u32(len(whole) + 1), frames.E_ORDER), (b"\0\0\0", frames.E_MALFORMED)):
        kind, payload = rig.ask(frames.FETCH, bad)
        assert kind == frames.ERROR and payload[0] == code
    rig.ask(frames.REQUEST, u32(0) + u32(600) + b"\x08")
    assert rig.ask(frames.FETCH, u32(0))[0] == frames.ERROR  # a new request ends the old response


def test_services():
    def fail(error):
        def service(payload):
            raise error

        return service

    services = {
        frames.LIST: lambda payload: b"<" + payload + b">",
        frames.OPEN: fail(frames.ServiceError(33, "no such snapshot")),
        frames.READ: lambda payload: bytes(1025),
        0x50: fail(MemoryError()),
        0x51: fail(OSError(5)),
        0x52: fail(KeyError("k")),
        0x53: lambda payload: bytes(1024),
        0x54: fail(frames.ServiceError(32, "x" * 2000)),
    }
    rig = follower(services=services)
    assert rig.ask(frames.LIST, b"p") == (frames.LIST | frames.ANSWER, b"<p>")
    assert rig.ask(frames.OPEN) == (frames.ERROR, b"\x21no such snapshot")
    assert rig.ask(0x53)[1] == bytes(1024)
    assert rig.ask(0x54)[1] == b"\x20" + b"x" * 1023
    for kind, code in ((frames.READ, 6), (0x50, 5), (0x51, 4), (0x52, 6), (frames.STATUS, 1), (0, 1)):
        answer, payload = rig.ask(kind)
        assert answer == frames.ERROR and payload[0] == code and len(payload) > 5, (kind, payload)
    assert rig.hooked == []


def test_run_ends_at_ctrl_c_outside_a_frame():
    rig = follower()
    rig.pipe.to_board = frames.encode(frames.HELLO, 0x0303, LOOK) + b"\r\x03\r\x01"
    rig.loop.run()
    assert len(rig.pipe.to_host) > 11
    assert rig.pipe.to_board == b"\r\x01"  # left for the REPL: mpremote doesn't wait between the two


def test_an_engine_that_refuses():
    def refuse(request, store):
        raise EngineError("policy failure: n\u00f6")

    rig = Rig(PlainStore(), ScriptedEngine(refuse))
    message = field(1, 7) + entry("a", 1, b"1")
    assert rig.request(message) == field(1, 7) + field(6, "policy failure: n\u00f6".encode())
    assert brief(rig.hooked[0][1]) == [("a", None, 1)]


def test_a_loop_without_a_hook():
    rig = follower(hook=None)
    assert rig.request(field(1, 7) + entry("a", 1, b"1")) == field(1, 7)
    assert rig.logged == []
