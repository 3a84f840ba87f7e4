"""The replay engine makes the recorded signer's changes, to the byte."""

import io

import replay
from backup_format.port import sha256
from signer.engine import EngineError
from signer.protobuf import HsmRequest
from signer.store import TOMBSTONE, PlainStore

NEEDS = ["tests/vectors/signer-run/a.jsonl"]

SIGNATURE = "ab" * 64
TRICKY = (
    r'{"a":"]}\"","b\\":[[1,2.50,-0],{"changed":[["x",0,1,2,"00"]]}],"c":"\\","d":[[[[]]]],"e":18446744073709551615}'
)
LINES = [
    '{"format":"signer-run"}',
    '{"i":0,"message":"A","changed":[["a",null,0,[],"%s"]]}' % SIGNATURE,
    '{"i":1,"phase":"\\"changed\\":[[","node_wrote":[["n",null,0,{"changed":[["x",null,0,1,"00"]]}]],"changed":[]}',
    '{"i":2,"changed":[["a",0,1,%s,"%s"],["b\u00f6",null,7,"x","%s"],["t",0,18446744073709551615,null,"%s"]]}'
    % (TRICKY, SIGNATURE, SIGNATURE, SIGNATURE),
    '{"i":3,"changed":[],"error":"Other(\\"no\\")"}',
    '{"i":4,"changed":[["a",1,1,3,"00"]]}',
]


def run_of(lines):
    return io.BytesIO("\n".join(lines).encode() + b"\n")


def play(engine, store, i):
    request = HsmRequest()
    request.raw = b"\x07\xd8" + i.to_bytes(4, "big")
    return engine.handle(request, store)


def refusal(engine, i):
    try:
        play(engine, PlainStore(), i)
    except EngineError as error:
        return str(error)


def test_changes_are_made_as_recorded():
    engine = replay.ReplayEngine(run_of(LINES))
    store = PlainStore()
    assert play(engine, store, 0) == b""
    a = store.get("a")
    assert (a.version, a.signature, a.value) == (0, b"\xab" * 64, b"[]")
    play(engine, store, 1)
    assert sorted(store.keys()) == ["a"]
    play(engine, store, 2)
    assert sorted(store.keys()) == ["a", "b\u00f6", "t"]
    assert (store.get("a").version, store.get("a").value) == (1, TRICKY.encode())
    assert (store.get("b\u00f6").version, store.get("b\u00f6").value) == (7, b'"x"')
    assert (store.get("t").version, store.get("t").value) == (TOMBSTONE, None)
    play(engine, store, 4)
    assert (store.get("a").version, store.get("a").signature, store.get("a").value) == (1, b"\0", b"3")


def test_requests_in_any_order():
    engine = replay.ReplayEngine(run_of(LINES))
    for i, keys in (
        (4, ["a"]),
        (2, ["a", "b\u00f6", "t"]),
        (2, ["a", "b\u00f6", "t"]),
        (0, ["a"]),
        (1, []),
        (0, ["a"]),
    ):
        store = PlainStore()
        play(engine, store, i)
        assert sorted(store.keys()) == keys


def test_other_messages_change_nothing():
    engine = replay.ReplayEngine(run_of(LINES))
    request = HsmRequest()
    for raw in (b"", b"\x07\xd8", b"\x07\xd8\0\0\0\0\0"):
        request.raw = raw
        store = PlainStore()
        assert engine.handle(request, store) == b"" and list(store.keys()) == []


def test_a_recorded_error_is_raised():
    engine = replay.ReplayEngine(run_of(LINES))
    assert refusal(engine, 3) == 'Other("no")'
    assert "no request 5" in refusal(engine, 5)
    assert "no request 99" in refusal(engine, 99)
    assert refusal(engine, 3) == 'Other("no")'


def test_a_damaged_run_is_told():
    for i, lines in (
        (0, LINES[:1] + LINES[2:]),
        (0, [LINES[0], '{"i":0,"message":"A"}']),
        (0, [LINES[0], '{"i":0,"changed":[["a",null,0,[],"']),
        (0, [LINES[0], '{"i":0,"changed":[["a",null,0,[{"}]']),
    ):
        try:
            play(replay.ReplayEngine(run_of(lines)), PlainStore(), i)
        except ValueError:
            continue
        assert False, lines


def test_spans():
    for value in (
        TRICKY,
        '"\\\\"',
        '"a\\"b"',
        "[]",
        "{}",
        "1.5e3",
        "null",
        "[1]",
        '["",[""]]',
        '[{"a":[]},{}]',
        "[[[1],2]]",
    ):
        line = (value + ',"]').encode()
        assert replay.value_end(line, 0) == len(value.encode()), value


def test_the_whole_recorded_run():
    with open("tests/vectors/signer-run/a.jsonl", "rb") as file:
        engine = replay.ReplayEngine(file)
        store = PlainStore()
        errors = 0
        for i in range(934):
            try:
                play(engine, store, i)
            except EngineError:
                errors += 1
    assert errors == 1
    digest = sha256()
    for key in sorted(store.keys()):
        entry = store.get(key)
        digest.update(b"%s %d " % (key.encode(), entry.version))
        digest.update(entry.signature)
        digest.update(entry.value or b"null")
    # The same over the last version of every key that json.loads finds in the file's changed lists.
    assert digest.digest().hex() == "53d5b938b1ad85de364699bf9f1e1cbfb02cf48a72d167dd331a238d9195af69"
