"""The runtime on a medium that fails: signing goes on, nothing is raised, failures are counted, writes are retried."""

from backup_format.records import TOMBSTONE_VERSION
from faulty_flash import At, Dice, RamFlash, dead
from journal_rig import NODE, channel, channel_key, contents, peer_id, remount, rounds, snapshots
from runtime_rig import Board, gone, peer
from signer.store import Entry
from test_strategy import Clock


def test_a_failed_write_is_counted_logged_and_retried():
    board = Board(RamFlash(), "new-channels-only")
    board.observe((channel_key(1), 0, channel(0)))
    board.flash.fault = dead
    assert board.observe((channel_key(2), 0, channel(0))) is None
    assert (board.runtime.failures, board.runtime.failing) == (1, 1) and "failed at" in board.runtime.last_error
    assert len(board.logged) == 1 and "signing goes on" in board.logged[0]
    assert board.observe() is None and (board.runtime.failures, board.runtime.failing) == (2, 2)
    board.flash.fault = None
    assert board.observe() == "retry"
    assert (board.runtime.failures, board.runtime.failing, board.runtime.last_error) == (2, 0, None)
    assert board.lit == [True, True, False]
    assert board.observe() is None
    assert remount(board.flash).expected == board.expected()


def test_retries_wait():
    with Clock() as clock:
        board = Board(RamFlash(), "new-channels-only", pause=1000)
        board.flash.fault = dead
        board.observe((channel_key(1), 0, channel(0)))
        for wait in (1000, 2000, 4000):
            clock.now += wait - 1
            failures = board.runtime.failures
            assert board.observe() is None and board.runtime.failures == failures
            clock.now += 1
            assert board.observe() is None and board.runtime.failures == failures + 1
        board.flash.fault = None
        assert board.observe((channel_key(2), 0, channel(0))) == "new-channel"


def test_whatever_the_device_raises():
    for error in (OSError(5), ValueError("driver"), MemoryError(), IndexError(), ZeroDivisionError()):
        board = Board(RamFlash(), "periodic:1")
        board.observe((channel_key(1), 0, channel(0)))
        for nth in range(1, 40, 5):
            board.flash.fault = fault = At(nth, error)
            board.observe((channel_key(1), nth, channel(nth)))
            board.flash.fault = None
            if not fault.happened:
                break
            assert remount(board.flash).expected is not None
            board.observe()
            assert board.runtime.failing == 0 and remount(board.flash).expected == board.expected()
        assert nth > 10 and (board.runtime.failures > 0 or isinstance(error, OSError))  # tried again in other units


def test_a_keyboard_interrupt_goes_through():
    board = Board(RamFlash(), "periodic:1")
    board.observe((channel_key(1), 0, channel(0)))
    board.flash.fault = At(1, KeyboardInterrupt(), ("program",))
    try:
        board.observe((channel_key(1), 1, channel(1)))
    except KeyboardInterrupt:
        pass
    else:
        assert False
    assert board.observe() == "retry"
    assert remount(board.flash).expected == board.expected()


def test_a_log_that_fails():
    board = Board(RamFlash(), "periodic:1")

    def log(text):
        raise OSError(28)

    board.runtime._log = log
    board.flash.fault = dead
    board.observe((channel_key(1), 0, channel(0)))
    assert board.runtime.failures == 1


def test_a_missing_medium_is_looked_for_every_eight_seconds_at_last():
    with Clock() as clock:
        board = Board(None, "never", pause=1000)
        for wait in (1000, 2000, 4000, 8000, 8000):
            failures = board.runtime.failures
            clock.now += wait - 1
            board.observe()
            assert board.runtime.failures == failures, wait
            clock.now += 1
            board.observe()
            assert board.runtime.failures == failures + 1, wait


def test_no_medium_at_the_start():
    for name, trigger in (("periodic:1", "first"), ("new-channels-only", "first"), ("never", None)):
        board = Board(None, name)
        assert board.runtime.failures == 1 and "no medium" in board.runtime.last_error
        assert board.observe((channel_key(1), 0, channel(0))) is None and board.runtime.failures > 1
        board.flash = RamFlash()
        assert board.observe() == ("retry" if trigger else None), name
        assert board.journal.mounted and board.runtime.last_error is None and board.runtime.failing == 0
        if trigger:
            assert remount(board.flash).expected == board.expected()


def test_a_medium_with_snapshots_appears_later():
    flash = RamFlash()
    old = Board(flash, "periodic:1")
    for version in range(5):
        old.observe((channel_key(1), version, channel(version)), (channel_key(2), version, channel(version)))
    board = Board(None, "new-channels-only", entries={channel_key(1): old.entries[channel_key(1)]})
    board.observe((channel_key(1), 6, channel(6)), (channel_key(3), 0, channel(0)))
    board.flash = flash
    assert board.observe() == "retry"
    assert board.journal.last.number == 6 and board.journal.last.entries == 3 and board.journal.last.channels == 3
    board.entries[channel_key(2)] = old.entries[channel_key(2)]  # what only the medium knew
    again = remount(flash)
    assert again.expected == board.expected() and again.journal.number == 6
    assert [number for number, _whole, _held in snapshots(again.journal)] == [1, 2, 3, 4, 5, 6]


def test_a_first_trigger_that_finds_a_snapshot_is_a_retry():
    flash = RamFlash()
    Board(flash, "periodic:1").observe((channel_key(1), 0, channel(0)))
    with Clock():
        board = Board(None, "new-channels-only", pause=1000)
        board.flash = flash
        assert board.observe((channel_key(2), 0, channel(0))) == "retry"
        assert board.journal.last.number == 2 and board.journal.last.entries == 2


def test_spills_wait_after_a_failure_and_then_go_on():
    for name in ("never", "new-channels-only"):
        with Clock() as clock:
            board = Board(RamFlash(), name, pause=1000, budget=2000)
            board.flash.fault = dead
            for i in range(20):
                board.observe(("k%d" % i, 0, b'"' + b"x" * 200 + b'"'))
            assert board.runtime.failures == 1 and len(board.state.changed) == 20, board.logged
            clock.now += 1000
            board.flash.fault = None
            board.observe(("k", 0, b"1"))
            assert board.state.changed == {} and board.runtime.last_error is None and board.runtime.failing == 0
            for i in range(60):
                board.observe(("k%d" % (i % 20), i + 1, b'"' + b"x" * 200 + b'"'))
                assert board.state.changed_bytes < 3000
            assert contents(board.state) == board.expected() and board.journal.last is None


def test_one_entry_that_fails_keeps_no_other_out():
    board = Board(RamFlash(), "new-channels-only")
    board.observe((channel_key(1), 0, channel(0)))
    board.observe(("x" * 500, 0, b"1"), (channel_key(2), 0, channel(0)), ("peers/bb", 0, peer("a")))
    assert board.runtime.failures == 1 and "key" in board.runtime.last_error
    assert board.observe() == "new-channel"
    del board.entries["x" * 500]
    assert remount(board.flash).expected == board.expected()


class Late:
    """An entry whose value can't be read while it is broken."""

    signature = b""

    def __init__(self, version, value):
        self.version = version
        self.broken = True
        self._value = value

    @property
    def value(self):
        if self.broken:
            raise OSError(5)
        return self._value


def test_a_value_that_can_not_be_read_is_taken_later():
    board = Board(RamFlash(), "new-channels-only")
    board.observe((channel_key(1), 0, channel(0)))
    entry = Late(7, channel(2))
    board.runtime.observe(board.journal.node_id, [(channel_key(2), None, entry)])
    assert board.runtime.failures == 1 and board.observe() is None and board.runtime.failures == 2
    entry.broken = False
    assert board.observe() == "new-channel"
    assert remount(board.flash).expected[channel_key(2)] == (7, b"", channel(2))


def test_a_change_behind_one_that_could_not_be_taken():
    """Both count as one: from what was there before them."""
    for name, key, before, value, trigger in (
        ("periodic:1", channel_key(1), Entry(0, b"", channel(0)), channel(2), "periodic"),
        ("new-channels-only", "peers/" + peer_id(1), None, peer("a:1"), "address"),
    ):
        board = Board(RamFlash(), name)
        assert board.observe((channel_key(1), 0, channel(0))) == "first"
        late = Late(2, value)
        board.runtime.observe(NODE, [(key, before, late)])
        assert board.runtime.failures == 1 and board.journal.last.number == 1
        late.broken = False
        board.runtime.observe(NODE, [(key, late, Entry(2, b"another", value))])
        assert (board.journal.last.number, board.journal.last.trigger) == (2, trigger)
        assert remount(board.flash).expected[key] == (2, b"another", value)


def test_a_damaged_entry_stops_snapshots_until_the_node_sends_it_again():
    board = Board(RamFlash(), "periodic:1")
    board.observe((channel_key(1), 0, channel(0)), (channel_key(2), 0, channel(0)))
    position = board.state.index.position(board.state.index.find(channel_key(2)))
    board.flash.data[69 + position + 100] ^= 4
    board.journal._must_checkpoint = True
    assert board.observe((channel_key(1), 1, channel(1))) is None
    assert "waiting for the node" in board.runtime.last_error
    assert board.observe((channel_key(1), 2, channel(2))) is None
    assert board.observe((channel_key(2), 0, channel(0))) == "retry"
    assert board.runtime.failing == 0 and remount(board.flash).expected == board.expected()


def test_a_storm():
    """Random requests on a medium that fails at random: never an exception, and all is well when it stops."""
    errors = (OSError(5), ValueError(), MemoryError())
    for seed in range(rounds(24)):
        dice = Dice(seed)
        board = Board(RamFlash(), ("periodic:1", "periodic:3", "new-channels-only")[seed % 3], budget=3000)
        for _ in range(80):
            calm = dice.roll(3) == 0
            board.flash.fault = None if calm else At(1 + dice.roll(12), errors[dice.roll(3)], times=1 + dice.roll(9))
            changes = []
            for key in {channel_key(dice.roll(8)) for _ in range(dice.roll(4))}:
                held = board.entries.get(key)
                if held is None:
                    changes.append((key, 0, channel(dice.roll(99))))
                elif held.version != TOMBSTONE_VERSION:
                    changes.append(gone(key) if dice.roll(9) == 0 else (key, held.version + 1, channel(dice.roll(99))))
            board.observe(*changes)
        board.flash.fault = None
        board.observe((channel_key(100), 0, channel(0)))
        board.observe()
        assert board.runtime.failures > 0 and board.runtime.failing == 0, board.runtime.last_error
        assert contents(board.state) == board.expected()
        assert remount(board.flash).expected == board.expected()
