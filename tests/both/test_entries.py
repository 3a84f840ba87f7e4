"""Entries that lie on the medium: keys of every length, values that only look the same."""

from faulty_flash import RamFlash
from journal_rig import Rig, channel, remount
from signer_backup.value import code


def test_keys_of_every_length():
    """The longest ones reach into the second piece that is read of a record."""
    rig = Rig(RamFlash())
    for size in (1, 44, 45, 230, 256, 300, 400):
        rig.put("k" * size, 1, b'"v"')
    rig.save()
    rig.check()
    assert remount(rig.flash).expected == rig.expected and len(rig.expected) == 7


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
