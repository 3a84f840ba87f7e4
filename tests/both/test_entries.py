"""Entries that lie on the medium: keys of every length, values that only look the same."""

from faulty_flash import RamFlash
from journal_rig import STUB, Rig, channel, channel_key, peer_id, refusal, remount
from signer_backup.journal import Journal
from signer_backup.state import State
from signer_backup.value import code


def test_keys_of_every_length():
    """The longest ones reach into the second piece that is read of a record; behind one, the value begins with it."""
    rig = Rig(RamFlash())
    for size in (1, 44, 45, 185, 230, 256, 300, 400):
        rig.put("k" * size, 1, b'"v"')
    rig.save()
    rig.check()
    assert remount(rig.flash).expected == rig.expected and len(rig.expected) == 8


def test_another_value_of_the_same_size_is_told_apart():
    rig = Rig(RamFlash())
    for number in range(10, 30):
        rig.put("k%d" % number, 1, channel(number))
    rig.save()
    same = {(a, b) for a in range(10, 30) for b in range(10, 30) if rig.state.get("k%d" % a).holds(code(channel(b)))}
    assert same == {(number, number) for number in range(10, 30)}


def test_text_that_the_compact_coding_does_not_take():
    rig = Rig(RamFlash())
    rig.put("k", 1, b"{ }")
    rig.save()
    entry = rig.state.get("k")
    assert entry.holds(code(b"{ }")) and not entry.holds(code(b"[ ]")) and not entry.holds(code(b"123"))


def test_text_and_the_string_of_its_hex_digits_are_told_apart():
    """Their coding is the same, byte for byte."""
    both = b"{ }", b'"7b207d"'
    assert code(both[0]).pieces[-1] == code(both[1]).pieces[-1][-3:] == b"{ }"
    rig = Rig(RamFlash())
    for saved in (False, True):
        for text in both:
            rig.put(text.decode(), 1, text)
        if saved:
            rig.save()
        for text in both:
            assert [other for other in both if rig.state.get(text.decode()).holds(code(other))] == [text]


def test_a_tombstone_holds_no_value():
    rig = Rig(RamFlash())
    rig.put("k", 1, b"1")
    rig.delete("k")
    for save in (rig.save, rig.check):  # from RAM, from the medium
        entry = rig.state.get("k")
        assert entry.size == 0 and entry.value is None and not entry.holds(code(b"1"))
        save()
    assert rig.state.changed == {}


def test_peers_of_recoverable_channels_after_a_start():
    rig = Rig(RamFlash())
    rig.put(channel_key(1), 0, channel(0))
    rig.put(channel_key(2), 0, STUB)
    rig.save()
    state = remount(rig.flash).state
    assert [state.is_channel_peer("peers/" + peer_id(i)) for i in (1, 2, 3)] == [True, False, False]
    for key, known in ((channel_key(1), True), (channel_key(2), False), (channel_key(3), False), ("", False)):
        assert state.is_channel(key) == state.was_observed(key) == known


def test_a_value_that_the_medium_lost_meanwhile():
    rig = Rig(RamFlash())
    rig.put("k", 1, channel(1))
    rig.save()
    entry = rig.state.get("k")
    rig.flash.data[rig.state.log.place(rig.state.index.position(rig.state.index.find("k")) + 80)[0]] ^= 1
    assert "the medium lost k" in refusal(lambda: entry.value)


def test_another_signature_in_ram_counts():
    """A medium comes late: what RAM holds of the same version stays, unless it is the very same."""
    rig = Rig(RamFlash())
    for key in ("a", "b", "c"):
        rig.put(key, 5, b"1", b"\x01" * 64)
    rig.save()
    state, journal = State(b""), Journal(lambda: rig.flash)
    for i, key in enumerate(("a", "b", "c")):
        state.put(key, 5, bytes([i]) * 64, b"1")
    journal.mount(state)
    assert sorted(state.changed) == ["a", "c"] and state.get("a").signature == bytes(64)
