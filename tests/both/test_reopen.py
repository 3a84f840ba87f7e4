"""What is taken for the medium that was there before, and what is not: on a flash in RAM."""

from faulty_flash import At, RamFlash, dead
from journal_rig import OTHER_NODE, channel, channel_key, contents, refusal, remount
from log_rig import units_of
from medium_content import fill
from runtime_rig import Board


def on_flash():
    """Return a Board (runtime_rig) with three channels saved, whose storage is asked for each time."""
    board = Board(RamFlash())
    for i in range(3):
        board.observe((channel_key(i), 0, channel(i, 300)))
    assert board.journal.last.number == 3
    return board


def fail_once(board):
    board.flash.fault = At(1, dead)
    board.observe((channel_key(0), board.entries[channel_key(0)].version + 1, channel(9, 300)))
    board.flash.fault = None


def in_place(board, flash):
    """Pull the medium and put another flash in its place; return the words of the next attempt, or None."""
    board.flash.fault = dead
    board.flash = None
    board.observe((channel_key(1), board.entries[channel_key(1)].version + 1, channel(5, 300)))
    board.flash = flash
    board.observe((channel_key(2), board.entries[channel_key(2)].version + 1, channel(6, 300)))
    return board.runtime.last_error


def test_the_same_medium_is_taken_whatever_lies_behind_its_last_snapshot():
    for budget in (24 * 1024, 500):
        board = Board(RamFlash(), "new-channels-only", budget=budget)
        board.observe((channel_key(0), 0, channel(0, 300)))
        for version in range(1, 9):
            board.observe((channel_key(0), version, channel(version, 300)))  # spilled, with the small budget
        assert board.journal.last.number == 1
        flash = board.flash
        assert in_place_is_fine(board, flash)


def in_place_is_fine(board, flash):
    board.flash = None
    board.journal.device.failed = True
    board.observe()
    board.flash = flash
    board.observe()
    assert board.runtime.last_error is None and board.journal.mounted
    board.observe((channel_key(50), 0, channel(1)))
    return remount(flash).expected == board.expected()


def test_an_older_copy_of_the_medium_is_refused():
    board = on_flash()
    copy = board.flash.copy()
    board.observe((channel_key(0), 1, channel(7, 300)))
    before = copy.copy().data
    assert "another medium" in in_place(board, copy) and copy.data == before


def test_a_medium_that_another_board_went_on_with_is_refused():
    board = on_flash()
    copy = board.flash.copy()
    other = Board(copy, entries=dict(board.entries))
    other.observe((channel_key(30), 0, channel(7, 300)))
    before = copy.copy().data
    assert "another medium" in in_place(board, copy) and copy.data == before


def test_a_medium_whose_first_unit_is_gone_is_refused():
    board = Board(RamFlash())
    for i in range(4):
        board.observe((channel_key(i), 0, channel(i, 1500)))
    assert len(units_of(board.state.log)) > 1 and board.journal.last.number == 4
    copy = board.flash.copy()
    copy.data[:4096] = b"\xff" * 4096
    assert "another medium" in in_place(board, copy)


def test_a_medium_with_one_changed_byte_in_a_spill_is_refused():
    for i in range(6):  # the sum without that record is now larger, now smaller
        one_changed_byte(i)


def one_changed_byte(i):
    board = Board(RamFlash(), "new-channels-only", budget=500)
    board.observe((channel_key(i), 0, channel(0, 300)))
    for version in range(1, 9):
        board.observe((channel_key(i), version, channel(version, 300)))
    copy = board.flash.copy()
    position = board.state.index.position(board.state.index.find(channel_key(i)))
    copy.data[board.state.log.place(position + 200)[0]] ^= 1
    before = copy.copy().data
    board.flash = None
    board.journal.device.failed = True
    board.observe()
    board.flash = copy
    board.observe()
    assert "another medium" in board.runtime.last_error and copy.data == before


def test_damage_while_the_medium_was_away_is_told_before_the_next_snapshot():
    """In what was written before the last snapshot: by that the medium is not known."""
    board = on_flash()
    position = board.state.index.position(board.state.index.find(channel_key(0)))
    board.flash.data[board.state.log.place(position + 100)[0]] ^= 1
    board.journal.device.failed = True
    board.observe((channel_key(1), 1, channel(5, 300)))
    assert "lost a part of the state" in board.runtime.last_error and board.journal.last.number == 3
    board.observe((channel_key(0), 1, channel(6, 300)))  # the node sends it again
    assert board.runtime.last_error is None and remount(board.flash).expected == board.expected()


def test_a_medium_of_another_node_and_one_of_another_size_are_refused():
    board = on_flash()
    other = Board(RamFlash())
    for i in range(3):
        other.observe((channel_key(i), 0, channel(i, 300)), node_id=OTHER_NODE)
    assert "another medium" in in_place(board, other.flash)
    board = on_flash()
    assert "another medium" in in_place(board, RamFlash(131072))


def test_a_blank_medium_in_its_place():
    """The snapshots are gone with the other one, and what only they held; the owner's settings are not."""
    board = on_flash()
    board.journal.configure(board.state, ("periodic", 3))
    in_place(board, RamFlash())
    assert board.state.index.lost == 1 and sorted(board.state.changed) == [channel_key(1), channel_key(2)]
    assert board.journal.last is None and board.journal.last_log is None
    assert board.journal.settings == ("periodic", 3)


def test_foreign_content_in_the_place_of_the_medium_is_refused():
    board = on_flash()
    foreign = RamFlash()
    fill(foreign.data, 0, foreign.size, bytes(1024))
    assert "another medium" in in_place(board, foreign) and foreign.writes == 0


def test_a_failure_at_any_call_of_a_reopening():
    for nth in range(1, 60):
        board = on_flash()
        fail_once(board)
        board.journal.device.failed = True
        board.flash.fault = fault = At(nth, dead, ("read",))
        board.observe()
        board.flash.fault = None
        board.observe()
        board.observe((channel_key(9), 0, channel(1)))
        assert board.runtime.last_error is None and remount(board.flash).expected == board.expected()
        if not fault.happened:
            break
    assert nth > 20, nth


def test_a_reopening_that_runs_out_of_memory_or_is_interrupted_leaves_nothing_half_known():
    for error in (MemoryError(), KeyboardInterrupt()):
        board = on_flash()
        board.journal.device.failed = True
        board.flash.fault = At(5, error, ("read",))
        try:
            board.observe()
        except KeyboardInterrupt:
            pass
        assert not board.journal.mounted and refusal(board.state.get, channel_key(0))
        board.flash.fault = None
        board.observe()
        assert board.journal.mounted and contents(board.state) == board.expected()


def test_one_read_that_finds_nothing_in_a_reopening():
    """At worst the medium is taken for a blank one, then for what it is: the node attaches anew; nothing is lost."""
    told = 0
    for nth in range(1, 60):
        board = on_flash()
        board.journal.device.failed = True
        board.flash.fault = fault = At(nth, lambda op, offset, buf: fill(buf, 0, len(buf)) or True, ("read",))
        board.observe()
        board.flash.fault = None
        board.observe()
        told += refusal(board.state.get, channel_key(0)) is not None
        assert board.journal.mounted and not board.state.index.lost and contents(board.state) == board.expected()
        if not fault.happened:
            break
    assert nth > 20 and told == 1
