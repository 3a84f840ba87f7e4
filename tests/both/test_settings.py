"""The owner's settings on the medium: what counts, what they survive, and what the runtime makes of them."""

from backup_format.errors import FormatError
from backup_format.records import SETTINGS, parse_settings, settings_body
from backup_format.units import NO_NODE, UNIT_HEADER
from faulty_flash import At, RamFlash, dead
from journal_rig import NODE, OTHER_NODE, Rig, channel, channel_key, fill, refusal, remount, snapshots
from log_rig import units_of
from runtime_rig import Board
from signer_backup.strategy import parse_strategy

PERIODIC = ("periodic", 10)
NEVER = ("never", 0)


def configure(rig, settings):
    rig.journal.configure(rig.state, settings)


def settings_offsets(flash):
    """Return the byte offsets of all settings records on the flash, by kind and length."""
    return [
        at
        for at in range(len(flash.data))
        if flash.data[at] == 0x4F and bytes(flash.data[at + 1 : at + 4]) in (b"\0\0\2", b"\0\0\3")
    ]


def test_the_record():
    for settings, body in (
        (NEVER, b"\x00\x00"),
        (("new-channels-only", 0), b"\x01\x00"),
        (("periodic", 1), b"\x02\x01"),
        (("periodic", 4294967295), b"\x02\x1a\xff\xff\xff\xff"),
    ):
        assert settings_body(*settings) == body and parse_settings(body) == settings
    for bad in (
        b"",
        b"\x00",
        b"\x00\x00\x00",
        b"\x03\x00",
        b"\x1a\xff\xff\xff\xff\x00",
        b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x00",
        b"\x00\x01",
        b"\x20\x00",
        b"\x00\x20",
        b"\x1f\x00",
        b"\x00\x1f",
        b"\x02\x00",
        b"\x02\x1b\0\0\0\1\0\0\0\0",
    ):
        try:
            parse_settings(bad)
        except FormatError:
            continue
        assert False, bad


def test_a_blank_medium_keeps_settings_before_any_node():
    flash = RamFlash()
    rig = Rig(flash)
    assert rig.journal.settings is None
    configure(rig, PERIODIC)
    assert rig.journal.node_id is None and flash.data[32:65] == NO_NODE
    for _ in range(2):
        rig = Rig(flash)
        assert rig.journal.settings == PERIODIC and rig.journal.node_id is None and rig.journal.last is None
    rig.put(channel_key(1), 1, channel(1))
    configure(rig, NEVER)
    rig.check()  # what is in RAM stays there
    rig.save(OTHER_NODE)
    again = remount(flash)
    assert again.journal.settings == NEVER and again.journal.node_id == OTHER_NODE
    assert again.expected == rig.expected and len(list(rig.journal.arenas())) == 3


def test_the_last_ones_in_an_arena_count():
    rig = Rig(RamFlash())
    fill(rig, 3)
    rig.save()
    configure(rig, PERIODIC)
    rig.save()
    configure(rig, NEVER)
    again = remount(rig.flash)
    assert again.journal.settings == NEVER and again.expected == rig.expected
    rig.save()
    again = remount(rig.flash)
    assert again.journal.settings == NEVER and again.state.log.arena == 1


def test_every_arena_carries_them():
    rig = Rig(RamFlash())
    fill(rig, 3)
    rig.save()
    configure(rig, PERIODIC)
    for version in range(1, 120):
        rig.put(channel_key(0), version, channel(version, 900))
        rig.save()
    assert min(rig.flash.worn) >= 1 and rig.journal.settings_unit in units_of(rig.state.log)
    again = remount(rig.flash)
    assert again.journal.settings == PERIODIC and again.expected == rig.expected


def test_settings_alone_cost_one_program_unit():
    rig = Rig(RamFlash())
    fill(rig, 8)
    rig.save()
    before = rig.journal.device.programmed_bytes
    rig.put(channel_key(0), 1, channel(3))
    configure(rig, PERIODIC)
    assert rig.journal.device.programmed_bytes == before + 256
    rig.check()
    rig.save()
    assert remount(rig.flash).expected == rig.expected


def test_the_last_ones_count():
    rig = Rig(RamFlash())
    fill(rig, 2)
    rig.save()
    for updates in (1, 300, 70000):
        configure(rig, ("periodic", updates))
        assert Rig(rig.flash).journal.settings == ("periodic", updates)
    rig.spill()
    configure(rig, NEVER)
    rig.put(channel_key(0), 5, channel(3))
    rig.save()
    rig.spill()
    assert Rig(rig.flash).journal.settings == NEVER


def test_a_medium_that_does_not_program_keeps_them():
    """Attempt after attempt opens further units, all around the ring: the one with the settings is left alone."""
    flash = RamFlash()
    configure(Rig(flash), PERIODIC)
    rig = Rig(flash)
    rig.put(channel_key(1), 1, channel(1))
    flash.fault = At(1, OSError(5), ("program",), 1 << 30)
    for _ in range(10):
        assert refusal(rig.save)
    assert min(flash.worn[1:]) >= 1
    flash.fault = None
    assert Rig(flash).journal.settings == PERIODIC
    rig.save()
    assert remount(flash).journal.settings == PERIODIC


def test_what_fails_changes_nothing():
    for node in (False, True):
        rig = Rig(RamFlash())
        if node:
            fill(rig, 3)
            rig.save()
        configure(rig, PERIODIC)
        unit = rig.journal.settings_unit
        rig.flash.fault = dead
        assert refusal(configure, rig, NEVER)
        rig.flash.fault = None
        assert rig.journal.settings == PERIODIC and rig.journal.settings_unit == unit
        assert Rig(rig.flash).journal.settings == PERIODIC
        configure(rig, NEVER)
        assert Rig(rig.flash).journal.settings == NEVER


def test_any_flipped_bit_of_the_record_costs_nothing_else():
    """The settings before or none are in force then; every snapshot is whole."""
    for first, then in ((None, PERIODIC), (("periodic", 300), NEVER)):
        rig = Rig(RamFlash(32768))
        fill(rig, 2)
        if first:
            configure(rig, first)
        rig.save()
        offset = settings_offsets(rig.flash)[-1:] if first else []
        configure(rig, then)
        rig.put(channel_key(1), 4, channel(9))
        rig.save()
        found = snapshots(rig.journal)
        offset = [at for at in settings_offsets(rig.flash) if at not in offset][-1]
        for bit in range(offset * 8, (offset + 10) * 8):
            rig.flash.flip(bit)
            again = remount(rig.flash)
            assert again.journal.settings == first, (bit & 7, bit // 8 - offset)
            assert again.journal.last.number == 2 and again.expected == rig.expected
            assert snapshots(again.journal) == found
            rig.flash.flip(bit)


def test_settings_of_a_later_program_are_none():
    rig = Rig(RamFlash())
    fill(rig, 2)
    rig.save()
    writer = rig.journal._writer
    writer.begin()
    writer.append(SETTINGS, [b"\x07\x00"])
    writer.finish()
    again = remount(rig.flash)
    assert again.journal.settings is None and again.journal.settings_unit is None and again.expected == rig.expected
    configure(again, NEVER)
    assert Rig(rig.flash).journal.settings == NEVER and remount(rig.flash).expected == rig.expected


def test_settings_right_behind_a_commit_that_fills_its_program_unit():
    """No padding lies between them: to go on behind the snapshot would make them void."""
    for size in range(1, 200):
        rig = Rig(RamFlash())
        rig.put("k", 1, b"1" * size)
        rig.save()
        if rig.journal.last_end == rig.journal._writer.end:
            break
    configure(rig, PERIODIC)
    assert rig.state.log.header(rig.journal.last_end)[0] == SETTINGS
    again = Rig(rig.flash)
    again.put("k", 2, b"1")
    again.save()
    assert Rig(rig.flash).journal.settings == PERIODIC


def test_the_first_record_of_an_arena_damaged():
    rig = Rig(RamFlash())
    configure(rig, PERIODIC)
    fill(rig, 2)
    rig.save()
    offset = rig.journal.settings_unit * 4096 + UNIT_HEADER
    assert rig.flash.data[offset] == 0x4F
    for at in range(10):
        flash = rig.flash.copy()
        flash.data[offset + at] ^= 0xA5
        again = remount(flash)
        assert again.expected == rig.expected and again.journal.settings is None
        again.put(channel_key(0), 9, channel(2))
        again.save()
        assert remount(flash).expected == again.expected


# -- the runtime -----------------------------------------------------------------------------------------------------


def strategy(board):
    return board.runtime.schedule.strategy.name, board.runtime.schedule.strategy.updates


def test_the_medium_wins_over_the_board():
    board = Board(RamFlash(), "periodic:1")
    board.runtime.configure(parse_strategy("never"))
    assert strategy(board) == NEVER
    again = Board(board.flash, "periodic:1")
    assert strategy(again) == NEVER
    for version in range(14):
        assert again.observe((channel_key(version), 1, channel(version, 2000))) is None
    assert again.journal.device.programs and again.journal.settings == NEVER  # it has spilled
    last = Board(board.flash, "periodic:1")
    assert strategy(last) == NEVER
    last.runtime.configure(parse_strategy("periodic:2"))
    assert last.observe((channel_key(1), 1, channel(1))) == "first"
    assert (last.journal.last.strategy, last.journal.last.updates) == ("periodic", 2)


def test_a_medium_that_comes_late():
    for name, expected in (("never", None), ("new-channels-only", "first"), ("periodic:50", "first")):
        flash = RamFlash()
        Board(flash).runtime.configure(parse_strategy(name))
        board = Board(None, "periodic:1")
        board.observe((channel_key(0), 1, channel(1)))
        assert strategy(board) == ("periodic", 1) and board.runtime.failures == 2
        board.flash = flash
        found = board.observe((channel_key(0), 2, channel(2)))
        assert strategy(board)[0] == name.split(":")[0]
        assert board.runtime.last_error is None and not board.runtime.schedule.pending
        assert (found and "first") == expected, name


def test_a_change_of_strategy():
    board = Board(RamFlash(), "periodic:3")
    board.observe((channel_key(0), 0, channel(0)))
    board.observe((channel_key(0), 1, channel(1)))
    board.runtime.configure(parse_strategy("periodic:2"))
    assert board.observe((channel_key(0), 2, channel(2))) == "periodic"  # the count went on
    board.runtime.configure(parse_strategy("new-channels-only"))
    assert board.observe((channel_key(0), 3, channel(3))) is None
    assert board.observe((channel_key(1), 3, channel(3))) == "new-channel"
    board.runtime.configure(parse_strategy("periodic:1"))
    assert board.observe((channel_key(1), 4, channel(4))) == "periodic"


def test_what_was_pending_under_another_strategy():
    both = ["new-channel", "periodic"]
    for name, left in (("never", []), ("new-channels-only", both[:1]), ("periodic:5", both)):
        board = Board(RamFlash(), "periodic:1")
        board.observe((channel_key(0), 0, channel(0)))
        board.flash.fault = dead
        board.observe((channel_key(0), 1, channel(1)))
        board.observe((channel_key(1), 1, channel(1)))
        assert sorted(board.runtime.schedule.pending) == both
        try:
            board.runtime.configure(parse_strategy(name))
            assert False
        except OSError:
            assert strategy(board) == ("periodic", 1) and board.runtime.last_error
        board.flash.fault = None
        board.runtime.configure(parse_strategy(name))
        assert sorted(board.runtime.schedule.pending) == left
        assert (board.runtime.last_error is None) == (not left)
        assert board.observe() == ("retry" if left else None)


def test_settings_are_no_snapshot_and_no_spill_of_anothers_state():
    """A card of another node: its settings can be set, and nothing of this node's state goes there."""
    rig = Rig(RamFlash())
    fill(rig, 2)
    rig.save(OTHER_NODE)
    again = Rig(rig.flash)
    again.put(channel_key(5), 1, channel(1))
    configure(again, PERIODIC)
    assert "another node" in refusal(again.save, NODE)
    assert remount(rig.flash).expected == rig.expected
