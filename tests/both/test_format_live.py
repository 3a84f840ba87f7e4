"""A node on the loop of a board whose medium is formatted meanwhile: it hears one error, attaches, and goes on."""

from binascii import hexlify, unhexlify

from backup_format import frames
from backup_format.frames import CONFIGURE, E_MEDIUM, FORMAT, STATUS
from faulty_flash import At, RamFlash
from format_rig import Host, OneEraseEach, hexed
from journal_rig import CPYTHON, NODE, OTHER_NODE, Rig, channel, channel_key, snapshots
from loop_rig import Rig as LoopRig
from loop_rig import entry, field
from signer.follower import FollowerEngine


class Node(LoopRig):
    """A node on the loop of a board with backups; it holds the whole state."""

    def __init__(self, flash, node_id=NODE):
        self.host = Host(flash)
        self.node_id = node_id
        board = self.host.board
        self.state = {"nodes/" + hexlify(node_id).decode(): (1, b"{}")}
        super().__init__(board.state, FollowerEngine(), hook=board.runtime.observe, services=self.host.handlers)

    def change(self, key, version, value):
        """Tell the board of one change; return the answer."""
        self.state[key] = version, value
        return self.request(field(1, 1) + entry(key, version, value))

    def attach(self):
        """Tell the board everything."""
        self.ask(frames.HELLO, b"\1")
        entries = [entry(key, *self.state[key]) for key in sorted(self.state)]
        return self.request(field(1, 1) + b"".join(entries))

    def snapshot(self):
        """Return {key: (version, value)} of the newest snapshot on the flash."""
        number, whole, held = snapshots(Rig(self.host.board.flash).journal)[-1]
        assert whole
        return {key: (held[key][0], held[key][2]) for key in held}

    def format(self, work_after=0):
        """Format as a host does; the node works and attaches after so many calls. Return what it is told then."""
        done, total, calls, told = 0, 1, 0, None
        while done < total:
            kind, answer = self.ask(FORMAT, done.to_bytes(4, "big") + self.node_id)
            assert kind == FORMAT | 0x80, answer
            done, total = int.from_bytes(answer[:4], "big"), int.from_bytes(answer[4:], "big")
            calls += 1
            if calls == work_after:
                told = self.change(channel_key(1), 2, channel(8))
                assert isinstance(self.attach(), bytes)
                assert isinstance(self.change(channel_key(2), 2, channel(9)), bytes)
        return told


def worked(node):
    """Let the node open channels and attach; return it."""
    node.attach()
    for i in range(6):
        assert isinstance(node.change(channel_key(i), 1, channel(i, 700)), bytes)
    assert node.snapshot() == node.state
    return node


def test_a_node_goes_on_after_a_format():
    node = worked(Node(RamFlash()))
    node.format()
    code, text = node.change(channel_key(1), 2, channel(8))
    assert code == frames.E_MEDIUM and "attach again" in text
    assert node.host.board.journal.last is None
    assert isinstance(node.attach(), bytes)
    assert node.snapshot() == node.state
    for i in range(20):
        assert isinstance(node.change(channel_key(i % 9), 3 + i, channel(i)), bytes)
        assert node.snapshot() == node.state
    assert node.host.board.runtime.failures == 0


def test_a_node_that_works_and_attaches_in_the_middle_of_a_format():
    for at in (1, 3, 9, 16):
        node = worked(Node(RamFlash()))
        with OneEraseEach():
            told = node.format(at)
        assert told[0] == frames.E_MEDIUM
        assert isinstance(node.change(channel_key(1), 3, channel(9)), bytes)
        assert node.snapshot() == node.state
        assert node.host.board.runtime.last_error is None


def test_another_node_may_attach_after_a_format():
    flash = RamFlash()
    node = worked(Node(flash))
    node.format()
    other = b"\x02" + b"\x77" * 32
    node.state = {
        "nodes/" + hexlify(other).decode(): (1, b"{}"),
        channel_key(0).replace(hexed(NODE)[0], hexed(other)[0]): (1, channel(3)),
    }
    assert node.attach()[0] == frames.E_MEDIUM
    assert isinstance(node.attach(), bytes)
    assert node.snapshot() == node.state and unhexlify(node.host.json(STATUS)["node_id"]) == other


def test_another_node_is_refused_without_a_format():
    node = worked(Node(RamFlash()))
    node.state = {"nodes/" + hexlify(OTHER_NODE).decode(): (1, b"{}")}
    assert node.attach()[0] == frames.E_NODE


def test_an_error_of_the_medium_at_any_call_of_a_format():
    """It is told, and a second format ends well; the node goes on."""
    for nth in range(1, 2000, 1 if CPYTHON else 11):
        node = worked(Node(RamFlash()))
        flash = node.host.board.flash
        node.host.json(CONFIGURE, b"periodic:1")
        flash.fault = fault = At(nth * 7, OSError(5))
        kind, answer = node.ask(FORMAT, bytes(4) + NODE)
        flash.fault = None
        if not fault.happened:
            break
        assert kind == frames.ERROR and answer[0] == E_MEDIUM or kind == FORMAT | 0x80, answer
        node.format()
        answer = node.attach()
        assert isinstance(answer, bytes) or isinstance(node.attach(), bytes)
        assert node.snapshot() == node.state, nth
    assert nth > 3
