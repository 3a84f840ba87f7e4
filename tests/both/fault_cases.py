"""Runs the case of a number of a family. The same number and seed give the same case. For tests on any VM."""

from fault_board import Lost
from fault_cuts import PlainCut
from fault_families import HOWS
from fault_judge import check_older, go_on, resend, started
from fault_workload import FAILURES
from faulty_flash import Dice, PowerCut

FOREIGN = "the medium holds something that is no backup of ours: not overwritten"
OLDER = 16  # in every 16th case all snapshots of the medium are read


class LiveCases:
    """The cases of a Live family on a Workload. count: how many there are until only the dice differ."""

    def __init__(self, family, workload, seed):
        self.family = family
        self.workload = workload
        self.seed = seed
        self.places = workload.places(family.ops)
        self.count = len(self.places) * family.variants

    def run(self, number):
        """Raises Lost, Wrong."""
        self.run_place(spread(number, self.count), number)

    def run_place(self, place, number):
        """Run the case at this place, with the dice and the extras of number."""
        workload = self.workload
        board, ledger, fault = self.begin(place, Dice(self.seed * 1000003 + number))
        try:
            workload.do(workload.steps[self.step(place)], board, ledger)
            cut = False
        except PowerCut:
            cut = True
        board.flash.fault = fault.after
        older = number % OLDER == 0
        hit = getattr(fault, "hit", ())
        if cut:
            least = untouched(workload.kind, fault, ledger) if hit else ledger.promised
            board = started(workload.kind, board.flash, ledger, least, bool(hit))
            if board and hit:
                _go_on_or_read(known(board, ledger), ledger, least)
            elif board:
                go_on(known(board, ledger), ledger, older)
        elif hit:
            self._judge_damage(board, ledger, fault, older)
        else:
            self._judge_living(board, ledger, older)

    def step(self, place):
        """Return the number of the step that a place is in."""
        return self.places[place // self.family.variants][0]

    def begin(self, place, dice):
        """Return (board, ledger, fault) before that step, the fault in the board's flash."""
        step, nth = self.places[place // self.family.variants]
        board, ledger = self.workload.reach(step)
        board.flash.fault = fault = self.family.make(board, nth, place % self.family.variants, dice)
        return board, ledger, fault

    def _judge_living(self, board, ledger, older):
        now = board.flash.copy()  # the power may go at any time
        now.fault = board.flash.fault
        started(type(board), now, ledger, ledger.promised)
        as_it_was = resend(board, ledger)
        if not as_it_was and not ledger.told:
            raise Lost("the board forgot something and told nobody")
        go_on(board, ledger, older)

    def _judge_damage(self, board, ledger, fault, older):
        least = untouched(type(board), fault, ledger)
        if fault.noticed and not ledger.told:
            least = ledger.promised
        now = board.flash.copy()
        again = started(type(board), now, ledger, least, True)
        if again and older:
            check_older(again, ledger)
        try:
            resend(board, ledger)
        except Lost:  # what it knew the medium by was hit, and the medium was gone: it asks to be started anew
            if not again:
                return
            board = known(again, ledger)
        if fault.noticed:
            go_on(board, ledger, older, True)


class Together:
    """The cases of several Live families, as one family."""

    def __init__(self, families, workload, seed):
        self._cases = [LiveCases(family, workload, seed) for family in families]
        self.workload = workload
        self.seed = seed
        self.count = sum([cases.count for cases in self._cases])

    def find(self, number):
        """Return (cases of one family, place in it)."""
        place = spread(number, self.count)
        for cases in self._cases:
            if place < cases.count:
                break
            place -= cases.count
        return cases, place

    def run(self, number):
        """Raises Lost, Wrong."""
        cases, place = self.find(number)
        cases.run_place(place, number)


class FaultAndCut(Together):
    """One fault of Live families whose promise is full, and a power cut in the snapshot after it. Promise: full."""

    def run(self, number):
        """Raises Lost, Wrong."""
        cases, place = self.find(number)
        dice = Dice(self.seed * 1000003 + number)
        board, ledger, fault = cases.begin(place, dice)
        self.workload.do(self.workload.steps[cases.step(place)], board, ledger)
        board.flash.fault = fault.after
        resend(board, ledger)
        cut = PlainCut(board.flash, 1 + dice.roll(6), dice, HOWS[dice.roll(4)])
        board.flash.fault = _Both(cut, fault.after)
        try:
            go_on(board, ledger, False)
            board.flash.fault = fault.after
        except PowerCut:
            board.flash.fault = fault.after
            board = started(self.workload.kind, board.flash, ledger, ledger.promised)
            go_on(known(board, ledger), ledger, number % OLDER == 0)


class _Both:
    """A cut over another fault, or None."""

    def __init__(self, cut, other):
        self._cut = cut
        self._other = other

    def __call__(self, op, offset, data):
        return self._cut(op, offset, data) or (self._other is not None and self._other(op, offset, data))


def _go_on_or_read(board, ledger, least):
    """Where the neighbours of a cut were damaged, so much may be unlike ours that nothing more is written: then what is
    there stays readable."""
    try:
        go_on(board, ledger, False)
    except Lost as e:
        if FOREIGN not in str(e):
            raise
        started(type(board), board.flash, ledger, least, True)


def known(board, ledger):
    """The node attaches to a board that has just started: its truth is what the board found."""
    ledger.truth = dict(board.found)
    if hasattr(board, "strategies"):
        ledger.settings = [board.settings]
        ledger.kept = 0
    return board


def untouched(kind, fault, ledger):
    """Return the place in ledger.attempts of the newest snapshot of which the fault hit nothing."""
    if not hasattr(kind, "used"):  # a store of one snapshot
        return ledger.promised
    board = kind(fault.before)
    try:
        board.start()
    except FAILURES:
        return 0
    used = board.used()
    found = 0
    for place in range(1, ledger.promised + 1):
        spans = used.get(ledger.attempts[place][0])
        if spans and not any(a < d and c < b for a, b in spans for c, d in fault.hit):
            found = place
    return found


def spread(number, count):
    """Return a place below count: the first count numbers give each place once, a few of them places all over."""
    stride = count * 618 // 1000 | 1
    while _common(stride, count) > 1:
        stride += 2
    return number % count * stride % count


def _common(a, b):
    while b:
        a, b = b, a % b
    return a


class Cuts:
    """Power cuts again in the recovery (mount and the next snapshot). depth: how many cuts in all.

    The first count numbers are every cut of the workload with every cut of the recovery from it; further cuts are
    rolled. Promise: full.
    """

    def __init__(self, depth, workload, seed):
        self.workload = workload
        self.seed = seed
        self._depth = depth
        self.places = workload.places("pe")
        self._firsts = len(self.places) * len(HOWS)
        self._seconds = workload.kind.recovery
        self.count = self._firsts * self._seconds

    def run(self, number):
        """Raises Lost, Wrong."""
        first, second = divmod(number % self.count, self._seconds)
        first = spread(first, self._firsts)
        dice = Dice(self.seed * 1000003 + number)
        board, ledger = self._first(first)
        before = board.flash.writes
        if not self._cut(board, second + 1, dice.roll(4), dice, self._recover, board, ledger):
            writes = board.flash.writes - before  # of this recovery, shorter than others: take one of these
            assert 0 < writes <= self._seconds
            board, ledger = self._first(first)
            self._cut(board, 1 + second % writes, dice.roll(4), dice, self._recover, board, ledger)
        for _ in range(self._depth - 2):
            self._cut(board, 1 + dice.roll(6), dice.roll(4), dice, self._recover, board, ledger)
        board = started(self.workload.kind, board.flash, ledger, ledger.promised)
        go_on(known(board, ledger), ledger, number % OLDER == 0)

    def _first(self, first):
        """Cut the power for the first time; return (board, ledger)."""
        place, how = divmod(first, len(HOWS))
        step, nth = self.places[place]
        board, ledger = self.workload.reach(step)
        dice = Dice(self.seed * 7 + first)
        assert self._cut(board, nth, how, dice, self.workload.do, self.workload.steps[step], board, ledger)
        return board, ledger

    def _cut(self, board, nth, how, dice, call, *args):
        """Cut the power in the nth write of call; return whether there was one."""
        board.flash.fault = PlainCut(board.flash, nth, dice, HOWS[how])
        try:
            call(*args)
            return False
        except PowerCut:
            return True
        finally:
            board.flash.fault = None

    def _recover(self, board, ledger):
        again = started(self.workload.kind, board.flash, ledger, ledger.promised)
        known(again, ledger)
        ledger.put(again, 0, 100)
        ledger.save(again)
