"""The journal: formats a medium, keeps snapshots, refuses what is not its own."""

from backup_format.records import TOMBSTONE_VERSION
from faulty_flash import At, RamFlash, dead
from format_rig import Host
from journal_rig import (
    NODE,
    OTHER_NODE,
    SIGNATURE,
    STUB,
    Rig,
    channel,
    channel_key,
    fill,
    refusal,
    remount,
    snapshots,
)
from log_rig import units_of
from medium_content import fill as fill_content
from signer_backup import journal as journal_module
from signer_backup.journal import Journal
from signer_backup.state import State


def test_a_blank_medium_is_empty_and_stays_blank_until_the_first_write():
    flash = RamFlash()
    rig = Rig(flash)
    assert rig.journal.mounted and rig.journal.last is None and rig.journal.number == 0 and rig.journal.node_id is None
    assert snapshots(rig.journal) == [] and flash.writes == 0
    rig.check()


def test_what_was_saved_comes_back():
    rig = Rig(RamFlash())
    rig.put("nodes/" + "02" + "11" * 32, 0, b'{"key_derivation_style":1,"network":"regtest"}')
    rig.put("a key of no known kind \u00e9", 3, b"[1,2.50,-0]", b"")
    rig.put(channel_key(1), 5, channel(5))
    rig.put(channel_key(2), 1, STUB)
    rig.put("huge", TOMBSTONE_VERSION - 1, b'"' + b"x" * 20000 + b'"')
    rig.put("no json", 1, b"\xff{")
    rig.delete(channel_key(3))
    rig.save()
    rig.check()
    assert rig.state.changed == {} and rig.state.changed_bytes == 0
    again = remount(rig.flash)
    assert again.expected == rig.expected
    assert again.journal.node_id == NODE and again.journal.number == 1
    last = again.journal.last
    assert (last.number, last.time, last.trigger, last.strategy, last.updates) == (
        1,
        1700000000,
        "periodic",
        "periodic",
        1,
    )
    assert (last.entries, last.channels) == (6, 1)


def test_an_empty_state_can_be_saved():
    rig = Rig(RamFlash())
    rig.save()
    again = remount(rig.flash)
    assert again.journal.last.number == 1 and again.expected == {}
    again.save()
    assert remount(rig.flash).journal.last.number == 2


def test_numbers_count_up_across_starts():
    flash = RamFlash()
    for number in range(1, 12):
        rig = remount(flash)
        assert rig.journal.number == number - 1
        rig.put("k", number, b"%d" % number)
        rig.save()
        assert rig.journal.last.number == number
    assert [number for number, _whole, _held in snapshots(rig.journal)][-6:] == [6, 7, 8, 9, 10, 11]


def test_a_snapshot_costs_what_changed():
    rig = Rig(RamFlash(262144))
    fill(rig, 100)
    rig.save()
    before = rig.journal.device.programmed_bytes
    for version in range(1, 21):
        rig.put(channel_key(version), version, channel(version))
        rig.save()
    assert (rig.journal.device.programmed_bytes - before) / 20 < 200 + 100 + 150 + 1.5 * 256


def test_a_foreign_medium_is_not_written():
    flash = RamFlash()
    flash.data[4096:4100] = b"FAT1"
    flash.data[60000] = 0
    journal, state = Journal(lambda: flash), State(b"")
    for call in (lambda: journal.mount(state), lambda: journal.write(state, NODE)):
        assert "no backup of ours" in refusal(call)
    assert flash.writes == 0 and not journal.mounted


def test_one_torn_unit_is_no_foreign_content():
    flash = RamFlash()
    flash.data[300] = 0
    rig = Rig(flash)
    rig.put("k", 1, b"1")
    rig.save()
    assert remount(flash).expected == rig.expected


def test_damaged_units_of_our_own_are_no_foreign_content():
    rig = Rig(RamFlash())
    fill(rig, 20)
    rig.save()
    flash = rig.flash.copy()
    units = len(units_of(rig.state.log))
    assert units >= 2
    for unit in range(units):
        flash.data[unit * 4096 + 20] ^= 1
    flash.data[50000:50100] = bytes(100)  # and one that a cut left torn
    again = remount(flash)
    assert again.expected == {} and again.journal.last is None
    again.put("k", 1, b"1")
    again.save()
    assert remount(flash).expected == again.expected


def test_a_damaged_newer_snapshot_is_kept():
    rig = Rig(RamFlash())
    rig.put("a", 1, b"1")
    rig.save()
    rig.put("a", 2, b"2")
    rig.save()
    record = rig.state.index.position(rig.state.index.find("a"))
    rig.flash.data[69 + record + 9] ^= 1
    again = remount(rig.flash)
    assert again.journal.last.number == 1 and again.expected["a"][0] == 1
    again.put("a", 3, b"3")
    again.save()
    found = [(number, whole) for number, whole, _held in snapshots(again.journal)]
    assert found == [(1, True), (2, False), (3, True)]
    assert remount(rig.flash).expected == again.expected


def test_a_newer_format_is_not_written():
    from binascii import crc32

    rig = Rig(RamFlash())
    rig.put("k", 1, b"1")
    rig.save()
    flash = rig.flash.copy()
    flash.data[4] = 2
    flash.data[65:69] = crc32(bytes(flash.data[:65])).to_bytes(4, "big")
    journal, state = Journal(lambda: flash), State(b"")
    for call in (lambda: journal.mount(state), lambda: journal.write(state, NODE)):
        try:
            call()
        except ValueError as error:
            assert "version 2" in str(error)
        else:
            assert False
    assert flash.writes == 0


def test_another_nodes_medium_is_not_written():
    rig = Rig(RamFlash())
    rig.put("k", 1, b"1")
    rig.save()
    again = remount(rig.flash)
    again.state.put("k", 2, b"", b"2")
    writes = rig.flash.writes
    assert "another node" in refusal(again.save, OTHER_NODE)
    assert rig.flash.writes == writes
    again.save()


def test_a_medium_of_few_units_is_refused():
    for flash in (RamFlash(12288), RamFlash(65536, 4096, 64)):
        assert "too small" in refusal(Rig, flash)


def test_the_first_arena_is_number_one():
    """Behind a format of what could not be mounted, too (FORMAT.md, "Units")."""
    for foreign in (False, True):
        flash = RamFlash()
        if foreign:
            fill_content(flash.data, 0, flash.size, bytes(1024))
        host = Host(flash)
        host.format()
        host.board.observe((channel_key(0), 1, channel(1)))
        assert list(host.board.journal.arenas()) == [1]


def test_a_format_holds_the_medium_for_half_a_minute():
    journal, real = Journal(RamFlash), journal_module.ticks_since
    try:
        for passed, held in ((0, True), (29999, True), (30000, False)):
            journal.hold = 0
            journal_module.ticks_since = lambda then, passed=passed: passed
            told = refusal(journal.mount, State(b""))
            assert told == ("the medium is being formatted" if held else None) and journal.mounted == (not held)
    finally:
        journal_module.ticks_since = real


def test_a_medium_that_appears_later():
    flash = RamFlash()
    present = []

    def open_device():
        if not present:
            raise OSError(19)
        return flash

    journal, state = Journal(open_device), State(b"")
    assert "no medium" in refusal(journal.mount, state)
    state.put("k", 1, b"", b"1")
    rig = Rig(flash)
    rig.journal, rig.state = journal, state
    assert "no medium" in refusal(journal.write, state, NODE)
    present.append(True)
    rig.save()
    assert remount(flash).expected == {"k": (1, b"", b"1")}


def test_a_mount_that_fails_half_way_leaves_nothing_behind():
    flash = RamFlash()
    rig = Rig(flash)
    fill(rig, 20)
    rig.save()
    failed = 0
    for nth in range(1, 1000):
        state, journal = State(b"salt"), Journal(lambda: flash)
        state.put("new", 1, b"", b"1")
        flash.fault = At(nth, OSError(5))
        told = refusal(journal.mount, state)
        flash.fault = None
        if not told:
            break
        failed += 1
        assert not journal.mounted and state.log is None and list(state.keys()) == ["new"]
        assert state.index.live == 1 and state.index.channels == 0 and state.get(channel_key(1)) is None
        journal.mount(state)
        assert len(list(state.keys())) == 21 and state.index.channels == 20
    assert failed > 100


def test_what_ram_holds_meets_the_medium_by_version():
    rig = Rig(RamFlash())
    for key, version in (("older", 5), ("newer", 5), ("same", 5), ("signed", 5)):
        rig.put(key, version, b'"medium"')
    rig.delete("deleted")
    rig.save()
    state, journal = State(b""), Journal(lambda: rig.flash)
    for key, version, signature in (("older", 4, b""), ("newer", 6, b""), ("same", 5, SIGNATURE), ("signed", 5, b"s")):
        state.put(key, version, signature, b'"ram"')
    state.put("deleted", 7, b"", b'"ram"')
    journal.mount(state)
    found = {key: (state.get(key).version, state.get(key).value) for key in state.keys()}
    assert found == {
        "older": (5, b'"medium"'),
        "newer": (6, b'"ram"'),
        "same": (5, b'"medium"'),
        "signed": (5, b'"ram"'),
        "deleted": (TOMBSTONE_VERSION, None),
    }
    assert sorted(state.changed) == ["newer", "signed"]
    assert state.changed_bytes == sum([entry.cost() for entry in state.changed.values()])


def test_a_state_too_large_is_told_and_costs_nothing():
    rig = Rig(RamFlash(32768))
    fill(rig, 10, size=400)
    rig.save()
    kept = snapshots(rig.journal)
    for i in range(10, 50):
        rig.put(channel_key(i), 0, channel(i, 700))
    writes = rig.flash.writes
    assert "too small" in refusal(rig.save)
    rig.check()
    assert rig.flash.writes == writes and snapshots(rig.journal) == kept
    assert remount(rig.flash).expected == kept[-1][2]
    for i in range(10, 50):
        rig.put(channel_key(i), 1, b"1")
    rig.save()
    assert remount(rig.flash).expected == rig.expected


def test_a_dead_medium_is_told():
    flash = RamFlash()
    rig = Rig(flash)
    rig.put("k", 1, b"1")
    flash.fault = dead
    assert "failed" in refusal(rig.save)
    flash.fault = None
    rig.save()
    flash.fault = dead
    assert "failed" in refusal(rig.state.get, "k") and "read failed" in refusal(Rig, flash)
    flash.fault = None
    assert rig.state.get("k").value == b"1"
