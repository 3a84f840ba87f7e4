"""The merge rules of gl-client, and the log of changes around a store."""

from signer.changes import ChangeLog
from signer.merge import CONFLICT, KEPT, SAME, STORED, merge
from signer.store import TOMBSTONE, Entry, PlainStore


class UnreadableEntry(Entry):
    """An entry whose value lies on a dead medium."""

    @property
    def value(self):
        raise OSError(5)

    @value.setter
    def value(self, value):
        pass


class UnreadableStore(PlainStore):
    """Holds one entry that can't be read."""

    def __init__(self, key, version, signature):
        super().__init__()
        self._entries[key] = UnreadableEntry(version, signature, None)


def outcome(held, incoming):
    """Merge incoming over held (each (version, signature, value) or None); return (outcome, what is held then)."""
    store = PlainStore()
    if held is not None:
        merge(store, "k", *held)
    result = merge(store, "k", *incoming)
    entry = store.get("k")
    return result, (entry.version, entry.signature, entry.value)


def test_rules():
    one = (1, b"s1", b"1")
    dead = (TOMBSTONE, b"t", None)
    for held, incoming, result, after in (
        (None, one, STORED, one),
        (None, dead, STORED, dead),
        (None, (TOMBSTONE, b"t", b"null"), STORED, dead),
        (one, (2, b"", b"2"), STORED, (2, b"", b"2")),
        (one, (2, b"s2", b"1"), STORED, (2, b"s2", b"1")),
        (one, one, SAME, one),
        (one, (1, b"s2", b"1"), STORED, (1, b"s2", b"1")),
        (one, (1, b"", b"1"), STORED, (1, b"", b"1")),
        (one, (1, b"s2", b"2"), KEPT, one),
        (one, (1, b"s1", b"2"), SAME, one),
        (one, (0, b"s0", b"0"), CONFLICT, one),
        (one, dead, STORED, dead),
        (dead, dead, SAME, dead),
        (dead, (TOMBSTONE, b"u", b"null"), KEPT, dead),
        (dead, one, CONFLICT, dead),
        (dead, (TOMBSTONE - 1, b"", b"1"), CONFLICT, dead),
    ):
        assert outcome(held, incoming) == (result, after), (held, incoming)


def test_the_value_is_read_only_to_compare_it():
    for incoming, result in (((0, b"", b"1"), CONFLICT), ((1, b"s", b"1"), SAME), ((2, b"", b"2"), STORED)):
        assert merge(UnreadableStore("k", 1, b"s"), "k", *incoming) == result
    assert merge(UnreadableStore("k", 1, b"s"), "k", TOMBSTONE, b"", None) == STORED
    try:
        merge(UnreadableStore("k", 1, b"s"), "k", 1, b"t", b"1")
    except OSError:
        return
    assert False


def test_plain_store_keeps_tombstones():
    store = PlainStore()
    store.put("a", 1, b"", b"1")
    store.put("b", 1, b"", b"1")
    store.delete("a", b"t")
    assert sorted(store.keys()) == ["a", "b"]
    assert (store.get("a").version, store.get("a").signature, store.get("a").value) == (TOMBSTONE, b"t", None)
    assert store.get("c") is None


def test_change_log_keeps_the_entry_before_the_first_write():
    store = PlainStore()
    store.put("b", 1, b"s", b"1")
    first = store.get("b")
    log = ChangeLog(store)
    log.put("b", 2, b"", b"2")
    log.put("b", 3, b"", b"3")
    log.put("a", 0, b"", b"0")
    assert log.get("b").version == 3 and sorted(log.keys()) == ["a", "b"] and sorted(log.touched()) == ["a", "b"]
    assert log.take() == [("a", None, store.get("a")), ("b", first, store.get("b"))]
    assert log.take() == [] and log.touched() == []
    log.delete("b", b"t")
    changes = log.take()
    assert [(key, before.version, after.version) for key, before, after in changes] == [("b", 3, TOMBSTONE)]


def test_a_write_of_the_same_is_no_change():
    log = ChangeLog(PlainStore())
    log.put("a", 1, b"s", b"1")
    log.take()
    log.put("a", 1, b"s", b"1")
    assert log.take() == []
    log.put("a", 1, b"t", b"1")
    assert len(log.take()) == 1


def test_a_refused_write_is_no_change():
    class Refusing(PlainStore):
        def put(self, key, version, signature, value):
            raise OSError(5)

    log = ChangeLog(Refusing())
    try:
        log.put("a", 1, b"", b"1")
    except OSError:
        pass
    assert log.take() == []
