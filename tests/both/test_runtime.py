"""The runtime: what it makes of a request's changes, and which snapshots it takes."""

import gc

from faulty_flash import RamFlash
from journal_rig import CPYTHON, NODE, STUB, channel, channel_key, contents, peer_id, remount, snapshots
from runtime_rig import Board, gone, peer
from signer.store import Entry


def peers(i):
    return "peers/" + peer_id(i)


def test_a_channel_becomes_recoverable():
    board = Board(RamFlash(), "new-channels-only")
    key = channel_key(1)
    assert board.observe(("nodes/aa", 0, b"{}")) is None
    assert board.observe((key, 0, STUB)) is None
    assert board.observe((key, 1, channel(1))) == "first"
    assert board.observe((key, 2, channel(2))) is None
    assert board.observe((channel_key(2), 0, channel(1))) == "new-channel"
    assert board.observe((channel_key(3), 0, channel(1)), (channel_key(4), 0, channel(1))) == "new-channel"
    assert board.runtime.failures == 0 and board.logged == []
    assert remount(board.flash).expected == board.expected()


def test_first_when_the_state_holds_channels_but_the_medium_no_snapshot():
    board = Board(RamFlash(), "never")
    board.observe((channel_key(1), 5, channel(1)))
    entries = board.entries
    again = Board(RamFlash(), "new-channels-only", entries=entries)
    assert again.observe(*[(key, e.version, e.value) for key, e in entries.items()]) == "first"
    never = Board(RamFlash(), "never", entries=entries)
    assert never.observe((channel_key(1), 6, channel(6))) is None and snapshots(never.journal) == []


def test_periodic_counts_requests_that_raise_a_recoverable_channel():
    board = Board(RamFlash(), "periodic:3")
    board.observe((channel_key(1), 0, channel(0)), (channel_key(2), 0, channel(0)), (channel_key(3), 0, STUB))
    assert board.written == [(1, "first")]
    for changes, trigger in (
        (((channel_key(1), 1, channel(1)), (channel_key(2), 1, channel(1))), None),
        (((channel_key(3), 1, STUB),), None),
        (((channel_key(1), 1, channel(1), b"s" * 64),), None),  # another signature only
        (((channel_key(1), 2, channel(1)),), None),  # the same value, but the version rises
        (((channel_key(2), 2, channel(2)), ("trackers/aa", 1, b"{}")), "periodic"),
    ):
        assert board.observe(*changes) == trigger
    assert remount(board.flash).expected == board.expected()


def test_a_new_signature_is_in_the_next_snapshot():
    board = Board(RamFlash(), "new-channels-only")
    board.observe((channel_key(1), 0, channel(0)))
    for signature in (b"t" * 64, bytes(64)):
        board.observe((channel_key(1), 0, channel(0), signature))
        assert board.state.get(channel_key(1)).signature == signature
    board.observe((channel_key(2), 0, channel(0)))
    assert remount(board.flash).expected == board.expected()
    board.observe((channel_key(2), 9, channel(9)), ("nodes/aa", 9, b"[9]"))
    board.observe(("nodes/aa", 8, b"[8]"))  # whatever the versions: the signer's word counts
    assert board.state.get("nodes/aa").version == 8


def test_addresses():
    board = Board(RamFlash(), "new-channels-only")
    board.observe((channel_key(1), 0, channel(0)), (peers(9), 0, peer("elsewhere")))
    version = 0
    for addr, direction, trigger in (
        ("a:1", "in", "address"),  # it appears: better than none
        ("a:1", "in", None),
        ("a:50000", "in", None),
        ("a:9735", "out", "address"),
        ("a:9735", "out", None),
        ("a:50001", "in", None),
        ("b:9735", "out", "address"),
        ("a:9735", "out", "address"),
        ("b:9735", "out", "address"),
        ("", "out", None),
        ("b:9735", "in", "address"),
    ):
        version += 1
        assert board.observe((peers(1), version, peer(addr, direction))) == trigger, (addr, direction)
    assert board.observe((peers(9), 1, peer("nowhere"))) is None  # a peer without a recoverable channel
    assert board.observe(gone(peers(1))) is None
    assert board.observe((peers(2), 0, b"no json"), (peers(3), 0, b"[]")) is None
    assert board.runtime.failures == 0


def test_an_address_that_comes_with_its_channel():
    board = Board(RamFlash(), "periodic:9")
    board.observe((channel_key(5), 0, channel(0)))
    assert board.observe((peers(1), 0, peer("a:1")), (channel_key(1), 0, channel(0))) == "new-channel"
    assert board.observe((peers(1), 1, peer("b:1"))) == "address"
    for value in (b"\xff", b"[]", b'{"addr":null}'):
        assert board.observe((peers(1), board.entries[peers(1)].version + 1, value)) is None
    assert board.observe((peers(1), 9, peer("c:1"))) == "address"
    assert board.observe((peers(1), 10, b'{"addr":"c:2"}')) == "address"  # nobody says that the peer called
    assert board.runtime.failures == 0
    board.runtime.observe(NODE, [(peers(1), Unreadable(), Entry(11, b"", peer("d:1", "in")))])  # as if there was none
    assert board.journal.last.trigger == "address" and board.journal.last.number == 6 and board.runtime.failures == 0


class Unreadable:
    """An entry whose value the medium can't give."""

    version = 9

    @property
    def value(self):
        raise OSError(5)


def test_deleted():
    board = Board(RamFlash(), "new-channels-only")
    board.observe((channel_key(1), 0, channel(0)), (channel_key(2), 0, STUB), ("allowlists/aa", 0, b"[]"))
    assert board.observe((channel_key(5), 0, channel(0))) == "new-channel"
    assert board.observe((channel_key(5), 1, STUB)) is None  # no longer recoverable, but there
    assert board.observe(gone(channel_key(5))) is None
    assert board.observe(gone(channel_key(2))) is None
    assert board.observe(gone("allowlists/aa")) is None
    assert board.observe(gone(channel_key(1))) == "deleted"
    assert board.observe(gone(channel_key(1))) is None
    assert remount(board.flash).expected == board.expected()
    assert board.journal.last.channels == 0 and board.journal.last.entries == 0


def test_after_a_start_the_known_channels_are_not_new():
    flash = RamFlash()
    board = Board(flash, "periodic:10")
    board.observe((channel_key(1), 0, channel(0)), (channel_key(2), 3, channel(3)), (peers(1), 0, peer("a:1")))
    again = Board(flash, "periodic:10", entries=dict(board.entries))
    assert again.journal.last.number == 1 and again.runtime.schedule.count is None
    assert again.observe() is None
    # The node attaches and brings what happened since: 4 steps of one channel, 2 of another.
    changes = (channel_key(1), 4, channel(4)), (channel_key(2), 5, channel(5)), (peers(1), 9, peer("a:1"))
    assert again.observe(*changes) is None and again.runtime.schedule.count == 4
    assert again.observe((peers(1), 10, peer("z:1"))) == "address" and again.runtime.schedule.count == 4
    assert again.observe(gone(channel_key(2))) == "deleted" and again.runtime.schedule.count == 4
    assert [again.observe((channel_key(1), n, channel(n))) for n in range(5, 11)] == [None] * 5 + ["periodic"]
    board = Board(flash, "periodic:10")  # whose signer doesn't say what was there before
    assert board.observe((channel_key(1), 10, channel(10))) is None and board.runtime.schedule.count == 1
    third = Board(flash, "periodic:10", entries=dict(again.entries))
    assert third.observe((channel_key(1), 25, channel(25))) == "periodic"


def test_unwritten():
    board = Board(RamFlash(), "periodic:3")
    assert board.runtime.unwritten == 0
    found = []
    for version in range(5):
        board.observe((channel_key(1), version, channel(version)))
        board.observe(("trackers/aa", version, b"{}"))
        found.append(board.runtime.unwritten)
    assert found == [0, 1, 2, 0, 1]
    board.runtime.unmount()  # as for a format
    assert board.runtime.unwritten == 0


def test_a_node_that_nobody_knows_yet():
    board = Board(RamFlash(), "new-channels-only")
    assert board.observe((channel_key(1), 0, channel(0)), node_id=None) is None
    assert board.flash.writes == 0 and board.runtime.failures == 0
    assert board.observe() == "first"
    again = Board(board.flash, "new-channels-only")
    assert again.observe((channel_key(2), 0, channel(0)), node_id=None) == "new-channel"  # the medium knows


def test_the_state_may_be_the_signers_own_store():
    board = Board(RamFlash(), "periodic:1", budget=1500)
    state = board.state
    for version in range(40):
        key = channel_key(version % 3)
        before = state.get(key)
        state.put(key, version, b"", channel(version))
        board.runtime.observe(b"\x02" + b"\x11" * 32, [(key, before, state.get(key))])
        assert state.get(key).value == channel(version)
    assert board.journal.last.number == 40 and board.runtime.failures == 0
    assert remount(board.flash).expected == contents(state)


def test_snapshots_say_what_they_are():
    board = Board(RamFlash(), "periodic:7")
    board.observe((channel_key(1), 0, channel(0)), ("nodes/aa", 0, b"{}"))
    last = board.journal.last
    assert (last.number, last.time, last.trigger) == (1, 1700000000, "first")
    assert (last.strategy, last.updates) == ("periodic", 7)
    assert (last.entries, last.channels) == (2, 1)


def allocated(board, changes):
    """Return the bytes that one observe takes from the heap."""
    node_id = b"\x02" + b"\x11" * 32
    board.runtime.observe(node_id, changes)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    board.runtime.observe(node_id, changes)
    after = gc.mem_alloc()
    gc.enable()
    return after - before


def test_the_cost_of_a_request_follows_what_changed():
    if CPYTHON:
        return  # it does not say what it allocates
    costs = []
    for count in (10, 200):
        board = Board(RamFlash(262144), "new-channels-only")
        for i in range(0, count, 10):
            board.observe(*[("channels/%0148x" % (i + j), 0, channel(0, 20)) for j in range(10)])
        key = "channels/%0148x" % 5
        change = key, Entry(0, b"", b"1"), board.entries[key]
        costs.append((allocated(board, []), allocated(board, [change])))
        assert board.runtime.failures == 0 and board.journal.last.channels == count
    assert costs[0][0] == costs[1][0] < 300, costs
    assert costs[1][1] < 1.3 * costs[0][1] < 10000, costs  # some more steps of a search


def test_a_medium_that_is_looked_for_first_changes_no_trigger():
    board = Board(RamFlash(), "new-channels-only")
    board.observe((channel_key(1), 0, channel(0)), (channel_key(2), 0, channel(0)))
    for change, trigger in (
        ((channel_key(3), 0, channel(0)), "new-channel"),
        (gone(channel_key(2)), "deleted"),
        ((peers(1), 0, peer("a:1")), "address"),
    ):
        board.journal.device.failed = True
        assert board.observe(change) == trigger
