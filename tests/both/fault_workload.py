"""The scripted run of the fault suite: every event of a journal's life at least twice, in small. For tests on any VM.

A step is a list of actions: ("put", channel, size), ("delete", channel), ("save",), ("configure", number of a
strategy), ("spill",), ("start",): the board starts anew, ("fail", n): the medium is gone from the nth write of a
snapshot on, and back for the next one, ("blank",): a new medium is put in.
"""

from backup_format.records import TOMBSTONE_VERSION
from fault_board import Wrong, tombstone
from faulty_flash import At, Dice, RamFlash, dead
from journal_rig import SIGNATURE, channel, channel_key, held_state
from medium_content import content

CHANNELS = 5
FAILURES = (OSError, MemoryError, ValueError, KeyboardInterrupt)  # what a save may raise; ValueError: FormatError


def new_flash():
    """Return the suite's medium."""
    flash = RamFlash(16384, 1024, 128)
    flash.older = content(flash.size)
    return flash


class Ledger:
    """What was saved. truth: the state that the node knows, {key: (version, signature, value)}.

    attempts: [(number, held_state of it)] of all snapshots ever begun on this medium, the first one stands for none.
    promised: the place there of the last one whose save returned. settings: [(strategy, updates)] of all that were ever
    put in force, the first one stands for none; kept: the place there of the last ones whose configure returned. told:
    exceptions out of the board that a step went on after.
    """

    def __init__(self):
        self.truth = {}
        self.attempts = [(0, held_state({}))]
        self.promised = 0
        self.settings = [None]
        self.kept = 0
        self.told = 0
        self._puts = 0

    def begin(self, number):
        """A snapshot of the truth begins."""
        self.attempts.append((number, held_state(self.truth)))

    def save(self, board):
        """Save; raises what the board raises."""
        board.save(self.begin)
        self.promised = len(self.attempts) - 1

    def configure(self, board, number):
        """Put the strategy of this number in force, if the board has such; raises what the board raises."""
        if hasattr(board, "strategies"):
            self.settings.append(board.strategies[number])
            board.configure(board.strategies[number])
            self.kept = len(self.settings) - 1

    def find(self, number, state):
        """Return the last place in attempts of this snapshot, -1: it never was."""
        for i in range(len(self.attempts) - 1, -1, -1):
            if self.attempts[i][0] == number and self.attempts[i][1] == state:
                return i
        return -1

    def put(self, board, i, size):
        """Channel number i changes."""
        key = channel_key(i)
        held = self.truth.get(key)
        version = 0 if held is None or held[0] == TOMBSTONE_VERSION else held[0] + 1
        self._puts += 1
        signature = SIGNATURE[:-2] + self._puts.to_bytes(2, "big")  # another one for another value, as in life
        self.truth[key] = version, signature, channel(version + 3 * i, size)
        board.put(key, self.truth[key])

    def delete(self, board, i):
        """Channel number i is deleted, if there is one."""
        key = channel_key(i)
        if key in self.truth and self.truth[key][0] != TOMBSTONE_VERSION:
            self.truth[key] = tombstone()
            board.put(key, self.truth[key])


def script(seed):
    """Return the steps."""
    dice = Dice(seed)
    steps = []
    for medium in range(2):
        first = [("blank",), ("put", 0, 100), ("put", 1, 30 + dice.roll(220)), ("save",)]
        if medium:
            first.insert(1, ("configure", 2))
        steps.append(first)
        for i in range(70 if medium else 6):
            step = []
            if i % 6 == 3:
                step.append(("start",))
            others = list(range(CHANNELS))
            for _ in range(1 + dice.roll(3)):
                which = dice.roll(CHANNELS)
                step.append(("put", which, 30 + dice.roll(220)))
                if which in others:
                    others.remove(which)
            if i % 4 == 1:  # one that was there before: for one that came and went there would be no snapshot
                step.append(("delete", others[dice.roll(len(others))]))
            if i % 5 == 2:
                for channel in range(CHANNELS - 1):
                    step.append(("put", channel, 200 + dice.roll(100)))
                step.append(("spill",))
                step.append(("put", dice.roll(CHANNELS), 30 + dice.roll(220)))
            if i % 9 == 5:
                step.append(("fail", 1 + dice.roll(2)))
            if i % 4 == 0:
                step.append(("configure", i // 4 % 3))
            step.append(("save",))
            steps.append(step)
    return steps


def card_script(seed):
    """Return the steps on a large card: starts lead around it quickly, since each opens a unit."""
    dice = Dice(seed)
    steps = []
    for i in range(150):
        step = [("start",)] if i % 8 or not i else []
        step.append(("put", dice.roll(CHANNELS), 30 + dice.roll(220)))
        steps.append(step + [("save",)])
    return steps


class _Seen:
    """Notes the letters of the calls."""

    def __init__(self):
        self.ops = []

    def __call__(self, op, offset, data):
        self.ops.append(op[0])
        return False


class CallPlaces:
    """The places of calls, as a sequence of (step, n): it is the nth such call of the step, from 1. Little RAM: a run
    has thousands of them."""

    def __init__(self, calls, ops):
        self._counts = [sum([called.count(op) for op in ops]) for called in calls]
        self._len = sum(self._counts)

    def __len__(self):
        return self._len

    def __getitem__(self, place):
        """Return the place of this number, from 0."""
        step = 0
        while place >= self._counts[step]:
            place -= self._counts[step]
            step += 1
        return step, place + 1


class Workload:
    """The steps on boards of a kind (a class as JournalBoard). calls: for each step its calls of the medium in order, a
    letter each: r, p, e; found by doing it once.
    """

    def __init__(self, kind, steps, make_flash=new_flash):
        self.kind = kind
        self.steps = steps
        self._make_flash = make_flash
        self.calls = []
        board, ledger = self.begin()
        for step in steps:
            board.flash.fault = seen = _Seen()
            self.do(step, board, ledger)
            assert not ledger.told
            board.flash.fault = None
            self.calls.append("".join(seen.ops))
            board, ledger = self.done(board, ledger)

    def begin(self):
        """Return a board without any history, and its ledger."""
        board = self.kind(self._make_flash())
        return board, Ledger()

    def done(self, board, ledger):
        """A step was done, for the first time; return what the next one is done with."""
        return board, ledger

    def reach(self, step):
        """Return (board, ledger) as they are before the step of this number."""
        board, ledger = self.begin()
        for i in range(step):
            self.do(self.steps[i], board, ledger)
        return board, ledger

    def places(self, ops):
        """Return the CallPlaces of the calls whose letter is in ops."""
        return CallPlaces(self.calls, ops)

    def do(self, step, board, ledger):
        """Do one step. What a board may raise ends it (ledger.told): the node has to go on then. A power cut goes
        up."""
        try:
            for action in step:
                self._act(action, board, ledger)
        except FAILURES:
            ledger.told += 1

    def _act(self, action, board, ledger):
        what = action[0]
        if what == "blank":
            blank = self._make_flash()
            board.flash.data[:] = blank.data
            board.flash.older = blank.older
            ledger.__init__()
            board.start()
        elif what == "start":
            board.start()
            state = board.read()
            if ledger.find(board.number, state) < 0:
                raise Wrong("snapshot %d came back with a state that it never had" % board.number)
            if state != ledger.truth:  # a fault hid the newest snapshot: the node has to send its state again
                raise OSError(5, "attach again")
        elif what == "put":
            ledger.put(board, action[1], action[2])
        elif what == "delete":
            ledger.delete(board, action[1])
        elif what == "save":
            ledger.save(board)
        elif what == "configure":
            ledger.configure(board, action[1])
        elif what == "spill":
            board.spill()
        else:
            self._fail(action[1], board, ledger)

    def _fail(self, nth, board, ledger):
        """The medium is gone in the middle of a snapshot, under whatever fault there is already."""
        fault = board.flash.fault
        gone = At(nth, dead, ("program", "erase"), 1 << 30)
        board.flash.fault = lambda op, offset, data: (fault and fault(op, offset, data)) or gone(op, offset, data)
        try:
            ledger.save(board)
            raise AssertionError("saved on a medium that is gone")
        except FAILURES:
            board.flash.fault = fault
