"""The state as a store: what it holds, what it reads back lazily, and what it says when the medium lost something."""

from backup_format.errors import FormatError
from backup_format.records import TOMBSTONE_VERSION
from faulty_flash import RamFlash, dead
from journal_rig import NODE, SIGNATURE, STUB, Rig, channel, channel_key, contents, fill, peer_id, refusal, remount
from signer_backup.blockdev import MediumError
from signer_backup.index import NOWHERE
from signer_backup.state import State, peer_key


def damage(rig, key, at=120):
    """Flip a bit of the record that the medium holds for key."""
    position = rig.state.index.position(rig.state.index.find(key))
    assert position != NOWHERE
    rig.flash.flip(rig.state.log.place(position + at)[0] * 8)


def saved(count=5):
    rig = Rig(RamFlash())
    fill(rig, count)
    rig.save()
    return rig


def raises(call, *args):
    try:
        call(*args)
    except MediumError:
        return True
    return False


def test_it_is_a_store():
    state = State(b"")
    assert state.get("k") is None and list(state.keys()) == []
    state.put("k", 0, b"s", b"[1]")
    entry = state.get("k")
    assert (entry.version, entry.signature, entry.value) == (0, b"s", b"[1]")
    state.put("k", 1, b"", b"{}")
    assert (state.get("k").version, state.get("k").value, entry.value) == (1, b"{}", b"[1]")
    state.delete("k", b"t")
    entry = state.get("k")
    assert (entry.version, entry.signature, entry.value) == (TOMBSTONE_VERSION, b"t", None)
    assert list(state.keys()) == ["k"]


def test_what_does_not_fit_a_record_is_refused_at_once():
    state = State(b"")
    for call in (
        lambda: state.put("x" * 401, 1, b"", b"1"),
        lambda: state.put("x", 1, b"s" * 65, b"1"),
        lambda: state.delete("x" * 401, b""),
        lambda: state.delete("x", b"s" * 65),
    ):
        try:
            call()
        except FormatError:
            continue
        assert False
    assert list(state.keys()) == [] and state.changed_bytes == 0 and state.index.live == 0


def test_recoverable_channels():
    for key, value, recoverable in (
        (channel_key(1), channel(1), True),
        (channel_key(1), b'{"a":1,"channel_setup":{}}', True),
        (channel_key(1), b'{"a": 1, "channel_setup":{}}', True),  # kept as text
        (channel_key(1), STUB, False),
        ("peers/aa", channel(1), False),
        (channel_key(1), b'{"x":"\\"channel_setup\\":{"}', False),
        (channel_key(1), b'{"a":{"channel_setup":{}}}', False),
        (channel_key(1), b"{}", False),
    ):
        state = State(b"")
        state.put(key, 1, b"", value)
        assert state.is_channel(key) == recoverable, value
        assert state.get(key).value == value
    assert peer_key(channel_key(7)) == "peers/" + peer_id(7)


def test_a_value_may_come_in_pieces():
    rig = Rig(RamFlash())
    for size in (1, 7, 232):
        writer = rig.state.writer()
        text = channel(size)
        for at in range(0, len(text), size):
            writer.feed(memoryview(text)[at : at + size])
        value = writer.finish()
        assert value.size == len(text)
        rig.put(channel_key(size), 1, text)
        assert rig.state.get(channel_key(size)).holds(value)
        rig.state.put(channel_key(size), 1, SIGNATURE, value)
    rig.check()
    rig.save()
    rig.check()
    assert rig.state.changed == {}
    entry = rig.state.get(channel_key(232))
    assert entry.holds(value) and not rig.state.get(channel_key(7)).holds(value)
    assert b"".join(entry.text()) == text and entry.size == len(text)
    for bad in (b"{", b"[1", b"{]", b"1 2"):
        writer = rig.state.writer()
        try:
            writer.feed(bad)
            writer.finish()
        except FormatError:
            continue
        assert False, bad


def test_what_the_node_is_known_to_have():
    rig = saved(3)
    state = rig.state
    rig.put("new", 1, b"1")
    known = [channel_key(1), "new"]
    for key in known:
        state.set_known(key)
    assert [key for key in state.keys() if state.is_known(key)] == [key for key in state.keys() if key in known]
    rig.save()
    assert state.is_known("new") and state.is_known(channel_key(1)) and not state.is_known(channel_key(2))
    rig.put("new", 2, b"1")
    rig.delete(channel_key(1))
    assert not state.is_known("new") and not state.is_known(channel_key(1)) and not state.is_known("nobody")
    state.set_known("new")
    state.forget_known()
    assert not state.is_known("new")


def test_keys_keep_their_order():
    rig = Rig(RamFlash())
    fill(rig, 30)
    order = list(rig.state.keys())
    rest = rig.state.keys()
    begun = [next(rest) for _ in range(10)]
    rig.save()
    assert list(rig.state.keys()) == order == begun + list(rest)
    rig.put(channel_key(3), 5, channel(5))
    assert list(rig.state.keys()) == order


def test_counts():
    rig = Rig(RamFlash())
    index = rig.state.index
    rig.put(channel_key(1), 0, STUB)
    assert (index.live, index.channels) == (1, 0)
    rig.put(channel_key(1), 1, channel(1))
    rig.put(channel_key(2), 0, channel(2))
    assert (index.live, index.channels) == (2, 2)
    rig.delete(channel_key(1))
    rig.delete("never seen")
    assert (index.live, index.channels) == (1, 1)
    rig.save()
    again = remount(rig.flash)
    assert (again.state.index.live, again.state.index.channels) == (1, 1)
    assert again.state.is_channel(channel_key(2)) and not again.state.is_channel(channel_key(1))
    assert again.state.is_channel_peer("peers/" + peer_id(2)) and not again.state.is_channel_peer("peers/" + peer_id(9))


def test_a_stored_entry_stays_what_it_was():
    rig = saved()
    key = channel_key(1)
    before = rig.state.get(key)
    for version in (1, 2, 3):
        rig.put(key, version, channel(50 + version))
        if version == 2:
            rig.spill()
        if version == 3:
            rig.save()
        assert (before.version, before.value) == (0, channel(1))
    rig.journal._must_checkpoint = True
    rig.save()
    assert before.value == channel(1) and rig.state.get(key).value == channel(53)


def test_values_stay_on_the_medium():
    rig = saved(20)
    reads = [0]

    def count(op, offset, buf):
        reads[0] += op == "read"

    rig.flash.fault = count
    assert rig.state.changed == {}
    entry = rig.state.get(channel_key(3))
    assert reads[0] and entry.version == 0
    reads[0] = 0
    assert entry.value == channel(3) and reads[0]


def test_a_dead_medium_loses_nothing():
    rig = saved()
    entry = rig.state.get(channel_key(1))
    rig.flash.fault = dead
    for _ in range(3):
        assert raises(rig.state.get, channel_key(1)) and raises(lambda: entry.value) and raises(list, rig.state.keys())
    rig.put("new", 1, b"1")
    assert rig.state.get("new").value == b"1"
    rig.flash.fault = None
    rig.check()


def test_a_damaged_entry_is_told_once_then_gone():
    rig = saved()
    key = channel_key(2)
    damage(rig, key)
    assert "lost" in refusal(rig.state.get, key)
    assert rig.state.get(key) is None and rig.state.get(channel_key(1)).value == channel(1)
    assert (rig.state.index.lost, rig.state.index.live, rig.state.index.channels) == (1, 4, 4)
    assert key not in list(rig.state.keys())
    writes = rig.flash.writes
    assert "waiting for the node" in refusal(rig.save)
    assert rig.flash.writes == writes and rig.journal.last.number == 1
    rig.put(key, 0, channel(2))  # the node sends it again
    assert (rig.state.index.lost, rig.state.index.live, rig.state.index.channels) == (0, 5, 5)
    rig.save()
    rig.check()
    assert remount(rig.flash).expected == rig.expected


def test_damage_that_keys_meets():
    rig = saved()
    damage(rig, channel_key(2))
    assert raises(list, rig.state.keys())
    assert len(list(rig.state.keys())) == 4 and rig.state.index.lost == 1
    assert rig.state.get(channel_key(2)) is None


def test_damage_that_a_checkpoint_meets():
    rig = saved()
    rig.put(channel_key(1), 1, channel(9))
    damage(rig, channel_key(2))
    rig.journal._must_checkpoint = True
    assert "waiting for the node" in refusal(rig.save)
    assert rig.state.index.lost == 1
    assert raises(rig.state.get, channel_key(1))  # the loop must make the node attach anew
    assert rig.state.get(channel_key(1)).value == channel(9) and rig.state.get(channel_key(2)) is None
    rig.put(channel_key(2), 0, channel(2))
    rig.save()
    assert remount(rig.flash).expected == rig.expected


def test_a_damaged_tombstone_is_not_waited_for():
    rig = saved()
    rig.delete(channel_key(2))
    rig.delete(channel_key(3))
    rig.save()
    for key in (channel_key(2), channel_key(3)):
        damage(rig, key, 60)
    assert raises(rig.state.get, channel_key(2)) and rig.state.get(channel_key(2)) is None
    rig.journal._must_checkpoint = True
    rig.save()
    del rig.expected[channel_key(2)], rig.expected[channel_key(3)]
    assert remount(rig.flash).expected == rig.expected


def test_damage_that_a_newer_entry_replaces_harms_nothing():
    for meet in ("checkpoint", "keys"):
        rig = saved()
        damage(rig, channel_key(2))
        rig.put(channel_key(2), 1, channel(9))
        if meet == "keys":
            rig.check()
        rig.journal._must_checkpoint = True
        rig.save()
        assert rig.state.index.lost == 0
        assert remount(rig.flash).expected == rig.expected


def test_a_record_of_another_key_is_not_taken_for_this_one():
    for one, other in ((1, 2), (2, 1)):
        rig = saved()
        index = rig.state.index
        index.set_position(index.find(channel_key(one)), index.position(index.find(channel_key(other))))
        assert "in its place" in refusal(rig.state.get, channel_key(one))
        assert index.lost == 1 and rig.state.get(channel_key(other)).value == channel(other)


def test_what_changed_is_spilled_beyond_24_kib():
    """Of a new state, and of one that a format has emptied."""
    for cleared in (False, True):
        state = State(b"")
        if cleared:
            state.put("gone", 1, b"", b"[1]")
            state.clear()
        for i in range(7):
            state.put("k%d" % i, 1, b"", text(3800))
        more = taken(state) - 24 * 1024
        assert 0 < more < 3500  # nothing to spill to
        spilled = []
        state.spill = lambda spilled=spilled: spilled.append(1)
        state.put("k6", 2, b"", text(3800 - more))
        assert state.changed_bytes == taken(state) == 24 * 1024 and not spilled
        state.put("k6", 3, b"", text(3800 - more + 1))
        assert spilled == [1]


def text(size):
    """Return a JSON string of size letters."""
    return b'"' + b"x" * size + b'"'


def taken(state):
    """Return the bytes that what changed takes."""
    return sum([entry.cost() for entry in state.changed.values()])


def test_spilled_entries_are_read_back():
    rig = Rig(RamFlash(), budget=3000)
    rig.state.spill = rig.spill
    for version in range(60):
        rig.put(channel_key(version % 7), version, channel(version))
        assert rig.state.changed_bytes < 3000 + 500
        rig.check()
    assert rig.journal.last is None and contents(rig.state) == rig.expected
    assert rig.journal.node_id == NODE and rig.expected[channel_key(3)][1] == SIGNATURE
