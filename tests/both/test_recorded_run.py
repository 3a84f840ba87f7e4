"""The recorded run through the signer's loop, on a store that lives on the medium."""

import json
from binascii import unhexlify

from backup_format import frames
from faulty_flash import At, RamFlash, dead
from journal_rig import CPYTHON, contents, held, remount
from loop_rig import Rig, entry, field
from medium_content import SMALL_HEAP, content
from replay import ReplayEngine, value_end
from signer.store import TOMBSTONE
from signer_backup.journal import Journal
from signer_backup.runtime import BackupRuntime
from signer_backup.service import BackupService
from signer_backup.state import State
from signer_backup.strategy import parse_strategy

NEEDS = [
    "tests/vectors/signer-run/a.jsonl",
    "tests/vectors/signer-run/a-at-0050.backup.json",
    "tests/vectors/signer-run/a-at-0200.backup.json",
    "tests/vectors/signer-run/a-last.backup.json",
]
LAST = 933 if CPYTHON else 120
STARTS = (30, 77, 300, 500)  # the board starts anew before these requests
GREENLIGHT_ANSWERED = 27141247  # bytes of entries in gl-client's answers to the whole run (tests/host/test_sizes.py)


class Board:
    """A board with the backup built in, as firmware/main.py puts it together."""

    def __init__(self, flash, run, strategy, budget=24 * 1024):
        self.logged = []
        self.state = State(b"salt", budget)
        self.journal = Journal(lambda: flash)
        self.runtime = BackupRuntime(
            self.journal, self.state, parse_strategy(strategy), lambda: None, self.logged.append, 0
        )
        services = BackupService(self.runtime, "ram", b"").handlers
        self.rig = Rig(self.state, ReplayEngine(run), hook=self.runtime.observe, services=services)
        self.rig.ask(frames.HELLO, bytes((frames.ATTACH,)))


class Node:
    """The recorded node: entries is its state, {key: (version, signature, value)}, read line by line. A value is a
    content, None for a tombstone: a node's state is in another machine's RAM than the board's."""

    def __init__(self, run):
        self._run = run
        run.readline()
        self.entries = {}

    def message(self, i, attach):
        """Return HsmRequest i, with what the node wrote before it, or all live entries; and what the signer changes."""
        line = self._run.readline()
        assert line.startswith(b'{"i":%d,' % i)
        news = cut(line, b'"node_wrote":[')
        self.entries.update(news)
        if attach:
            news = {key: e for key, e in self.entries.items() if e[0] != TOMBSTONE}
        made = message_of(i, news)
        if b'"error":' not in line:
            self.entries.update(cut(line, b'"changed":['))
        return made

    def expected(self):
        """Return what contents gives of a board that has this state."""
        return {
            key: (version, signature, None if value is None else held((value[:],)))
            for key, (version, signature, value) in self.entries.items()
        }


def message_of(i, entries):
    """Return HsmRequest i with these entries, as a content."""
    head = field(1, i) + field(3, b"\x00\x01" + i.to_bytes(4, "big"))
    made = content(len(head) + sum([len(carried(key, e)) for key, e in entries.items()]))
    made[: len(head)] = head
    at = len(head)
    for key, e in entries.items():
        part = carried(key, e)
        made[at : at + len(part)] = part
        at += len(part)
    return made


def carried(key, live):
    """Return an entry of the node, no tombstone, as a request carries it."""
    version, signature, value = live
    return entry(key, version, value[:], signature)


def cut(line, name):
    """Return {key: (version, signature, value)} of an array of a recorded line, the values as they stand there."""
    found = {}
    p = line.find(name) + len(name)
    if p < len(name):
        return found
    while line[p] == 0x5B:
        p += 1
        parts = []
        while line[p - 1] != 0x5D:
            end = value_end(line, p)
            parts.append(line[p:end])
            p = end + 1
        signature = unhexlify(parts[4][1:-1]) if len(parts) > 4 else b""
        version = int(parts[2])
        value = None
        if version != TOMBSTONE:
            value = content(len(parts[3]))
            value[:] = parts[3]
        found[str(parts[0][1:-1], "utf-8")] = version, signature, value
        p += line[p] == 0x2C
    return found


def is_greenlights(state, name):
    """Whether state is the one of a recorded backup file."""
    with open("tests/vectors/signer-run/" + name) as file:
        values = json.load(file)["state"]["values"]
    live = [key for key in state if state[key][0] != TOMBSTONE]
    assert sorted(live) == sorted(values)
    for key, value in values.items():
        assert [state[key][0], json.loads(str(state[key][2], "utf-8"))] == value[:2], key
        assert (list(state[key][1]) if state[key][1] else None) == (value[2] if len(value) > 2 else None), key
    return True


def test_the_run_on_a_store_on_the_medium():
    flash = RamFlash((512 if CPYTHON else 128) * 1024)
    with open(NEEDS[0], "rb") as run, open(NEEDS[0], "rb") as again:
        node = Node(run)
        board = None
        answered = 0
        for i in range(LAST + 1):
            attach = i in STARTS or not i
            if attach:
                board = Board(flash, again, "periodic:1", 6000)
            answer = board.rig.request(node.message(i, attach))
            assert isinstance(answer, bytes), answer
            answered += len(answer)
            if i % 40 == 0 or i == LAST:
                assert contents(board.state) == node.expected()
                if board.journal.last:
                    snapshot = remount(flash).expected
                    assert set(snapshot) <= set(node.entries)
            if (i == 50 or i == 200) and not SMALL_HEAP:  # which has no room for the JSON of a state
                assert is_greenlights(contents(board.state), "a-at-%04d.backup.json" % i)
        if LAST == 933:
            assert is_greenlights(contents(board.state), "a-last.backup.json")
            assert 0 < 5 * answered <= GREENLIGHT_ANSWERED, answered
        assert board.runtime.failures == 0 and board.logged == [] and board.rig.logged == []
        assert board.journal.last.number == board.journal.number > LAST // 4


def test_a_medium_that_dies_and_comes_back_in_the_run():
    """The loop answers with an error where it must; the node attaches anew, and in the end nothing differs."""
    flash = RamFlash((512 if CPYTHON else 128) * 1024)
    errors = 0
    with open(NEEDS[0], "rb") as run, open(NEEDS[0], "rb") as again:
        node = Node(run)
        board = Board(flash, again, "periodic:1", 6000)
        attach = True
        for i in range(24 if SMALL_HEAP else 60):
            if i % 12 == 5:
                flash.fault = At(1 + i // 12, dead, times=5)
            message = node.message(i, attach)
            attach = False
            answer = board.rig.request(message)
            while not isinstance(answer, bytes):
                errors += 1
                assert errors < 100
                board.rig.ask(frames.HELLO, bytes((frames.ATTACH,)))
                live = {key: e for key, e in node.entries.items() if e[0] != TOMBSTONE}
                answer = board.rig.request(message_of(i, live))
        flash.fault = None
        assert errors > 0 and board.runtime.failures > 0
        assert contents(board.state) == node.expected()
        board.runtime.observe(board.journal.node_id, [])
        assert board.runtime.failing == 0, board.runtime.last_error
        assert remount(flash).expected == node.expected()
