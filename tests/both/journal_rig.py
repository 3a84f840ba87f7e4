"""A state and its journal on a flash in RAM, and what they should hold; for tests on any VM."""

import sys
from binascii import hexlify

from backup_format.live import Places, whole_commits
from backup_format.port import sha256
from backup_format.records import TOMBSTONE_VERSION, Commit
from medium_content import SMALL_HEAP
from signer_backup.blockdev import MediumError
from signer_backup.entries import StoredEntry
from signer_backup.journal import Journal
from signer_backup.state import State

NODE = b"\x02" + b"\x11" * 32
OTHER_NODE = b"\x03" + b"\x22" * 32
SIGNATURE = bytes(range(64))


def peer_id(i):
    """Return the node id of peer number i, as hex."""
    return "03" + "%064x" % (i + 1)


def channel_key(i):
    """Return the key of channel number i, with peer number i."""
    return "channels/" + hexlify(NODE).decode() + peer_id(i) + "%02x00000000000000" % (i & 0xFF)


def channel(version, size=200):
    """Return a recoverable channel's value of some size bytes on the medium, that version says apart."""
    filler = hexlify(bytes((version * 31 + i * 7) & 0xFF for i in range(size)))
    return b"".join((b'{"channel_setup":{"is_outbound":true},"id":%d,"x":"' % version, filler, b'"}'))


CPYTHON = sys.implementation.name == "cpython"
STUB = b'{"channel_setup":null,"id":null}'


def rounds(count):
    """Return count on CPython; the other VMs, which are slow here, do a sixth."""
    return count if CPYTHON else count // 6


class Digest:
    """Stands for a value where whole states of them would fill the heap: equal to it, and to what stands for it."""

    def __init__(self, pieces):
        running = sha256()
        for piece in pieces:
            running.update(piece)
        self._digest = running.digest()[:12]

    def __eq__(self, other):
        other = other if isinstance(other, Digest) else Digest((other or b"",))
        return self._digest == other._digest


def held(pieces):
    """Return the value that consists of pieces, or what stands for it in a board's heap."""
    return Digest(pieces) if SMALL_HEAP else b"".join(pieces)


class StateDigest(Digest):
    """Stands for a state, as a Digest for a value."""

    def __init__(self, state):
        super().__init__(_entries(state))

    def __eq__(self, other):
        return self._digest == StateDigest(other)._digest


def _entries(state):
    for key in sorted(state):
        version, signature, value = state[key] or (None, None, None)
        if value is not None and not isinstance(value, Digest):
            value = Digest((value,))
        yield repr((key, version, signature, value and value._digest)).encode()


def held_state(state):
    """Return a copy of the state {key: (version, signature, value)}, or what stands for it in a board's heap."""
    return StateDigest(state) if SMALL_HEAP else dict(state)


class Rig:
    """A board's memory: a State and its Journal on flash. expected: {key: (version, signature, value)} of the state."""

    def __init__(self, flash, budget=1 << 20):
        self.flash = flash
        self.state = State(b"salt", budget)
        self.journal = Journal(lambda: flash)
        self.journal.mount(self.state)
        self.expected = {}

    def put(self, key, version, value, signature=SIGNATURE):
        self.state.put(key, version, signature, value)
        self.expected[key] = version, signature, held((value,))

    def delete(self, key):
        self.state.delete(key, SIGNATURE)
        self.expected[key] = TOMBSTONE_VERSION, SIGNATURE, None

    def commit(self, trigger="periodic"):
        """Return the Commit that a runtime would write now."""
        index = self.state.index
        return Commit(self.journal.number + 1, 1700000000, trigger, "periodic", 1, index.live, index.channels)

    def save(self, node_id=NODE):
        """Write a snapshot."""
        self.journal.write(self.state, node_id, self.commit())

    def spill(self):
        """Write what changed, without a snapshot."""
        self.journal.write(self.state, NODE)

    def check(self):
        """The state holds what was put, byte for byte."""
        assert contents(self.state) == self.expected


def contents(state):
    """Return {key: (version, signature, value)} of the whole state, tombstones with value None."""
    found = {}
    for key in state.keys():
        entry = state.get(key)
        assert key not in found
        value = None if entry.version == TOMBSTONE_VERSION else held(entry.text())
        found[key] = entry.version, entry.signature, value
    live = [key for key in found if found[key][0] != TOMBSTONE_VERSION]
    assert state.index.live == len(live)
    return found


def remount(flash):
    """Return a new Rig as after a start of the board; expected is what the medium gave."""
    rig = Rig(flash)
    rig.expected = contents(rig.state)
    return rig


def snapshots(journal):
    """Return [(number, whole, {key: (version, signature, value)} or None)] of all that lies on the medium."""
    return list(each_snapshot(journal))


def each_snapshot(journal):
    """Yield them one by one, where all at once would fill the heap."""
    arenas = journal.arenas()
    for arena in sorted(arenas):
        log = journal.log(arena, arenas[arena])
        places = Places()
        for commit, _end, whole in whole_commits(log, places) if log else ():
            held = None
            if whole:
                state = State(b"salt")
                state.log = log
                for position in places.at.values():
                    state.load(StoredEntry(log, position), position)
                held = contents(state)
                assert commit.entries == state.index.live and commit.channels == state.index.channels
            yield commit.number, whole, held


def refusal(call, *args):
    """Return the words of the MediumError that call raises; None if it raises none."""
    try:
        call(*args)
    except MediumError as error:
        return str(error)
    return None


def fill(rig, count, version=0, size=200):
    """Put count channels."""
    for i in range(count):
        rig.put(channel_key(i), version, channel(version * 7 + i, size))
