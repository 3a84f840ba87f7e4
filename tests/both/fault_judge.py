"""Says whether a board kept the promise: "once a save has returned, that snapshot can be read back whole, byte for
byte; until it has returned, the one before it can". Raises Lost or Wrong if not. For tests on any VM."""

from fault_board import Lost, Wrong
from fault_workload import FAILURES


def started(kind, flash, ledger, least, damaged=False):
    """Start a board of kind on flash and return it: it finds the snapshot at place least of ledger.attempts, or a
    later one, byte for byte (board.found), and the settings, which may be older ones if what lay on the medium was
    damaged. If least is 0 then, it may refuse the medium; return None."""
    board = kind(flash)
    try:
        board.start()
        board.found = state = board.read()
    except FAILURES as e:
        if not least and damaged:
            return None
        if not least and hasattr(board, "format"):  # a store that has to be told
            return _formatted(board)
        raise Lost("snapshot %d: %s" % (ledger.attempts[least][0], e))
    place = ledger.find(board.number, state)
    if place < 0:
        raise Wrong("snapshot %d came back with a state that it never had" % board.number)
    if place < least:
        raise Lost("snapshot %d was saved, but number %d came back" % (ledger.attempts[least][0], board.number))
    if hasattr(kind, "strategies") and board.settings not in ledger.settings[0 if damaged else ledger.kept :]:
        raise Lost("the settings came back as %s" % (board.settings,))
    return board


def _formatted(board):
    try:
        board.format()
        board.found = {}
        return board
    except FAILURES as e:
        raise Lost("the medium can't be used any more: %s" % e)


def check_older(board, ledger, left=()):
    """Every whole snapshot on the medium is one that was begun, and those at the places left are there."""
    places = [ledger.find(number, state) for number, state in board.older()]
    if places and min(places) < 0:
        raise Wrong("an older snapshot came back with a state that it never had")
    for place in left if hasattr(board, "used") else ():
        if place not in places:
            raise Lost("snapshot %d is no longer among the older ones" % ledger.attempts[place][0])


def resend(board, ledger):
    """The node sends its state to a board that went on after an error; return whether the board was as it should be."""
    state = None
    for _ in range(20):  # each lost entry is told once
        try:
            board.ready()
            state = board.read()
            break
        except FAILURES:
            ledger.told += 1
    if state is None:
        raise Lost("the state can't be read again after the fault")
    for key in ledger.truth:
        if state.get(key) != ledger.truth[key]:
            board.put(key, ledger.truth[key])
    return state == ledger.truth


def go_on(board, ledger, longer, damaged=False):
    """Save once more, and start anew: that snapshot is there. longer: the one before it too (unless
    what lay on the medium was damaged), and all is well after some more, when the next arena has begun."""
    before = ledger.promised
    _save(board, ledger, 0, 100)
    again = started(type(board), board.flash, ledger, ledger.promised)
    if longer:
        check_older(again, ledger, [before] if before and not damaged else ())
        for i in range(24):
            _save(board, ledger, i % 3, 150)
        check_older(started(type(board), board.flash, ledger, ledger.promised), ledger)


def _save(board, ledger, i, size):
    ledger.put(board, i, size)
    try:
        ledger.save(board)
    except FAILURES as e:
        raise Lost("no snapshot can be saved any more: %s" % e)
