"""The signer loop under trouble: bad lines, bad requests, dead media, broken parts. It never stops and never lies."""

from backup_format import frames
from loop_rig import Rig, ScriptedEngine, brief, entry, field, follower, u32
from signer.store import PlainStore

NODE = "nodes/02" + "11" * 32
NODE_ID = bytes.fromhex(NODE[6:])
LOOK = b"\0"
ATTACH = b"\1"


class FaultyStore(PlainStore):
    """A store whose entries under bad can't be read, as on a dead medium."""

    def __init__(self):
        super().__init__()
        self.bad = set()

    def get(self, key):
        if key in self.bad:
            raise OSError(5)
        return super().get(key)


class LazyStore(PlainStore):
    """A store that counts how often a value is read; reading fails while dead."""

    def __init__(self):
        super().__init__()
        self.reads = 0
        self.dead = False

    def get(self, key):
        entry = super().get(key)
        return entry and LazyEntry(self, entry)


class LazyEntry:
    def __init__(self, store, entry):
        self.store = store
        self.entry = entry
        self.version = entry.version
        self.signature = entry.signature

    @property
    def value(self):
        return b"".join(self.text())

    @property
    def size(self):
        return self.entry.size

    def holds(self, value):
        return self.value == value

    def text(self):
        self.store.reads += 1
        if self.store.dead:
            raise OSError(5)
        yield self.entry.value


def test_a_board_that_started_anew_wants_an_attach():
    rig = follower(attached=False)
    assert rig.request(field(1, 7))[0] == frames.E_ATTACH
    rig.ask(frames.HELLO, LOOK)
    assert rig.request(field(1, 7))[0] == frames.E_ATTACH
    rig.ask(frames.HELLO, ATTACH)
    assert rig.request(field(1, 7)) == field(1, 7)


def test_another_nodes_state_is_refused():
    store = PlainStore()
    rig = follower(store)
    mine, other = "02" + 32 * "aa", "03" + 32 * "bb"
    rig.request(field(1, 1) + entry("nodes/" + mine, 0, b"{}"))
    for key in ("nodes/" + other, "channels/" + other + 41 * "00"):
        code, text = rig.request(field(1, 2) + entry(key, 0, b"{}"))
        assert code == frames.E_NODE and mine in text
        assert store.get(key) is None
    assert rig.request(field(1, 3) + entry("peers/" + other, 0, b"{}")) == field(1, 3)


def test_an_attach_drops_a_half_received_request():
    rig = follower()
    message = entry("a", 1, b"1") + entry("b", 1, b"1" * 300)
    rig.ask(frames.REQUEST, u32(0) + u32(len(message)) + message[:200])
    rig.ask(frames.HELLO, ATTACH)
    kind, payload = rig.ask(frames.REQUEST, u32(200) + u32(len(message)) + message[200:])
    assert kind == frames.ERROR and payload[0] == frames.E_ORDER


def test_what_a_broken_off_request_changed_is_told_with_the_next():
    rig = follower()
    message = entry("a", 1, b"1") + entry("b", 1, b"1" * 300)
    rig.ask(frames.REQUEST, u32(0) + u32(len(message)) + message[:200])
    assert rig.hooked == []
    rig.ask(frames.HELLO, ATTACH)
    rig.request(message)
    assert brief(rig.hooked[0][1]) == [("a", None, 1), ("b", None, 1)]


def test_chunks_out_of_order():
    rig = follower()
    message = entry("a", 1, b"1" * 600)
    total = u32(len(message))
    for begun in (False, True):
        for bad in (u32(100) + total + b"x", u32(300) + total + b"x", u32(200) + u32(601) + b"x"):
            if begun:
                assert rig.ask(frames.REQUEST, u32(0) + total + message[:200]) == (frames.ACK, u32(200))
            kind, payload = rig.ask(frames.REQUEST, bad)
            assert kind == frames.ERROR and payload[0] == frames.E_ORDER
    for bad in (b"", u32(0) + b"\0\0\0", u32(0) + u32(2) + b"abc", u32(0) + u32(2)):
        kind, payload = rig.ask(frames.REQUEST, bad)
        assert kind == frames.ERROR and payload[0] == frames.E_MALFORMED
    assert rig.request(field(1, 7)) == field(1, 7)


def test_a_repeated_frame_is_answered_again_and_not_processed_again():
    engine = ScriptedEngine(lambda request, store: store.put("n", store.get("n").version + 1, b"", b"1") or b"")
    store = PlainStore()
    store.put("n", 0, b"", b"1")
    rig = Rig(store, engine)
    frame = frames.encode(frames.REQUEST, 9, u32(0) + u32(2) + field(1, 7))
    first = rig.push(frame)
    assert rig.push(frame + frame) == first * 2
    assert store.get("n").version == 1 and len(rig.hooked) == 1
    assert rig.push(frames.encode(frames.REQUEST, 9, u32(0) + u32(2) + field(1, 8))) != first  # same seq, other content
    assert store.get("n").version == 2


def test_a_lost_answer_is_sent_again():
    rig = follower()
    rig.pipe.write_errors = 1
    frame = frames.encode(frames.REQUEST, 9, u32(0) + u32(2) + field(1, 7))
    assert rig.push(frame) == []
    assert len(rig.push(frame)) == 1 and len(rig.hooked) == 1
    assert rig.logged


def test_damaged_frames_get_no_answer():
    rig = follower()
    bad = bytearray(frames.encode(frames.HELLO, 1, LOOK))
    bad[-1] ^= 1
    assert rig.push(bytes(bad)) == []
    assert len(rig.push(b"garbage" + frames.encode(frames.HELLO, 1, LOOK))) == 1


def test_echoed_answers_get_no_answer():
    rig = follower()
    for kind in (frames.ERROR, frames.ACK, 0xFF):
        assert rig.push(frames.encode(kind, 1, b"")) == []


def test_keyboard_interrupt_gets_out():
    def interrupted(*_):
        raise KeyboardInterrupt

    for rig in (
        follower(services={frames.LIST: interrupted}),
        follower(hook=interrupted),
        Rig(PlainStore(), ScriptedEngine(interrupted)),
    ):
        try:
            rig.push(frames.encode(frames.LIST, 1, b"") + frames.encode(frames.REQUEST, 2, u32(0) + u32(0)))
        except KeyboardInterrupt:
            continue
        assert False


def test_an_engine_that_breaks():
    def fail(request, store):
        raise ValueError("bug")

    rig = Rig(PlainStore(), ScriptedEngine(fail))
    code, text = rig.request(entry("a", 1, b"1"))
    assert code == frames.E_INTERNAL and "bug" in text
    assert brief(rig.hooked[0][1]) == [("a", None, 1)]


def test_a_malformed_request():
    rig = follower()
    code, text = rig.request(entry("a", 1, b"1") + b"\x0b" + bytes(500))
    assert code == frames.E_MALFORMED and "wire type" in text
    assert brief(rig.hooked[0][1]) == [("a", None, 1)]
    assert rig.request(entry("b", 1, b"1")) == b""


def test_a_hook_that_fails_hurts_nothing():
    def fail(node_id, changes):
        raise MemoryError

    rig = follower(hook=fail)
    assert rig.request(field(1, 7) + entry("a", 1, b"1")) == field(1, 7)
    assert rig.request(field(1, 8)) == field(1, 8)
    assert len(rig.logged) == 2


def test_a_store_that_cannot_be_read():
    store = FaultyStore()
    store.put(NODE, 1, b"", b"1")
    store.bad.add("a")
    rig = follower(store)
    code, text = rig.request(entry("a", 1, b"1") + entry("b", 1, b"1"))
    assert code == frames.E_MEDIUM
    assert rig.hooked == [(NODE_ID, [])]
    store.bad.clear()
    assert rig.request(entry("a", 1, b"1") + entry("b", 1, b"1")) == b""
    assert brief(rig.hooked[1][1]) == [("a", None, 1), ("b", None, 1)]


def test_changes_that_cannot_be_read_are_told_later():
    store = FaultyStore()
    rig = Rig(store, ScriptedEngine(lambda request, s: store.bad.add("a") or b""))
    assert rig.request(entry("a", 1, b"1")) == b""
    assert rig.hooked == [(None, [])] and rig.logged
    store.bad.clear()
    rig.loop._session._engine.called = lambda request, s: b""
    rig.request(entry("b", 2, b"2"))
    assert brief(rig.hooked[1][1]) == [("a", None, 1), ("b", None, 2)]


def test_a_store_that_is_dead_at_the_start():
    class Dead(FaultyStore):
        def keys(self):
            raise OSError(5)

    rig = follower(Dead())
    rig.request(entry(NODE, 1, b"1"))
    assert rig.hooked[0][0] == NODE_ID


def test_values_are_read_only_where_needed():
    store = LazyStore()
    store.put("a", 1, b"s", b"1")
    store.put("b", 1, b"s", b"1" * 2000)
    rig = follower(store)
    rig.ask(frames.HELLO, ATTACH)
    rig.request(entry("a", 1, b"1", b"s") + entry("b", 1, b"1" * 2000, b"s") + entry("c", 1, b"1"))
    assert store.reads == 0
    rig.ask(frames.HELLO, ATTACH)
    assert len(rig.request(entry("a", 1, b"1", b"s") + entry("c", 1, b"1"))) > 2000
    assert store.reads == 1  # measured without reading
    store.dead = True
    rig.ask(frames.HELLO, ATTACH)
    assert rig.request(b"")[0] == frames.E_MEDIUM
    store.dead = False
    rig.ask(frames.HELLO, ATTACH)
    assert rig.ask(frames.REQUEST, u32(0) + u32(0))[0] == frames.RESPONSE


def test_a_medium_that_dies_while_the_answer_is_fetched():
    store = LazyStore()
    store.put("a", 1, b"", b"1" * 1500)
    store.put("b", 1, b"", b"1" * 1500)
    rig = follower(store)
    rig.ask(frames.HELLO, ATTACH)
    assert rig.ask(frames.REQUEST, u32(0) + u32(0))[0] == frames.RESPONSE
    store.dead = True
    kind, payload = rig.ask(frames.FETCH, u32(1016))
    assert kind == frames.ERROR and payload[0] == frames.E_MEDIUM
    store.dead = False
    rig.ask(frames.HELLO, ATTACH)
    assert len(rig.request(b"")) > 3000
