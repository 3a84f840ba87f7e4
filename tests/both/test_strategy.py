"""When to take a snapshot: each trigger, their precedence, the count of periodic, and the pause before retries."""

from signer_backup import strategy
from signer_backup.strategy import Pause, Schedule, Seen, Strategy, parse_strategy

HOUR = 3600 * 1000


class Clock:
    """Stands in for the millisecond clock while a test runs: with Clock() as clock: clock.now += 5."""

    def __enter__(self):
        self.now = 1000
        self._real = strategy.ticks_ms, strategy.ticks_since
        strategy.ticks_ms = lambda: self.now
        strategy.ticks_since = lambda then: self.now - then
        return self

    def __exit__(self, *_exception):
        strategy.ticks_ms, strategy.ticks_since = self._real


def seen(new_channel=False, advance=0, address=False, deleted=False):
    found = Seen()
    found.new_channel = new_channel
    found.advance = advance
    found.address = address
    found.deleted = deleted
    return found


NOTHING = seen()
NEW = seen(new_channel=True, advance=1)
UPDATE = seen(advance=1)


class Board:
    """A Schedule that has a snapshot and channels, and a medium that works or not."""

    def __init__(self, name, pause=1000, has_snapshot=True, channels=1):
        self.schedule = Schedule(parse_strategy(name), pause)
        self.has_snapshot = has_snapshot
        self.channels = channels
        self.works = True

    def request(self, found=NOTHING):
        """Return the trigger of a request, whose write goes as the medium works."""
        trigger = self.schedule.trigger(found, self.has_snapshot, self.channels)
        if trigger:
            if self.works:
                self.schedule.succeeded()
                self.has_snapshot = True
            else:
                self.schedule.failed()
        return trigger


def refuses(call, *args):
    try:
        call(*args)
    except ValueError as error:
        return str(error)
    return None


def test_names():
    for text, name, updates in (
        ("never", "never", 0),
        ("new-channels-only", "new-channels-only", 0),
        ("periodic:1", "periodic", 1),
        ("periodic:4294967295", "periodic", 4294967295),
    ):
        parsed = parse_strategy(text)
        assert (parsed.name, parsed.updates) == (name, updates)
    for text in ("", "always", "periodic", "periodic:", "periodic:0", "periodic:-1", "periodic:4294967296", "never:1"):
        assert "strategy" in refuses(parse_strategy, text), text
    for name, updates in (("never", 5), ("new_channels_only", 0), ("periodic", -1), ("periodic", 1 << 40)):
        assert refuses(Strategy, name, updates), (name, updates)


def test_never():
    board = Board("never", has_snapshot=False, channels=3)
    for found in (NOTHING, NEW, seen(True, 1, True, True)):
        assert board.request(found) is None


def test_new_channels_only():
    board = Board("new-channels-only")
    for found, trigger in (
        (NOTHING, None),
        (UPDATE, None),
        (NEW, "new-channel"),
        (seen(address=True), "address"),
        (seen(deleted=True), "deleted"),
        (seen(True, 1, True, True), "new-channel"),
        (seen(False, 1, True, True), "address"),
    ):
        assert board.request(found) == trigger


def test_first():
    for name in ("new-channels-only", "periodic:3"):
        board = Board(name, has_snapshot=False, channels=0)
        assert board.request(NOTHING) is None
        board.channels = 1
        assert board.request(NOTHING) == "first" and board.request(NOTHING) is None
        board = Board(name, has_snapshot=False)
        assert board.request(seen(True, 1, True, True)) == "first"


def test_periodic():
    board = Board("periodic:3")
    assert [board.request(UPDATE) for _ in range(7)] == [None, None, "periodic", None, None, "periodic", None]
    assert [board.request(found) for found in (NOTHING, UPDATE, NOTHING, UPDATE)] == [None, None, None, "periodic"]
    board = Board("periodic:1")
    assert [board.request(UPDATE) for _ in range(3)] == ["periodic"] * 3


def test_what_resets_the_count():
    for found, resets in (
        (NEW, True),
        (seen(address=True), False),
        (seen(deleted=True), False),
        (seen(advance=1, address=True), False),
    ):
        board = Board("periodic:4")
        assert board.request(UPDATE) is None and board.request(UPDATE) is None
        assert board.request(found) is not None
        count = 0 if resets else 2 + (found.advance > 0)
        assert board.schedule.count == count
    board = Board("periodic:4", has_snapshot=False)
    board.schedule.count = 2
    assert board.request(NOTHING) == "first" and board.schedule.count == 2
    board = Board("periodic:4", has_snapshot=False)
    board.schedule.count = 2
    assert board.request(NEW) == "first" and board.schedule.count == 0


def test_the_count_after_a_start():
    board = Board("periodic:10")
    assert board.schedule.count is None
    assert board.request(NOTHING) is None and board.schedule.count is None
    assert board.request(seen(advance=7)) is None and board.schedule.count == 7  # what the node brought at its attach
    assert board.request(seen(advance=5)) is None and board.schedule.count == 8  # from then on, each request is one
    assert board.request(UPDATE) is None and board.request(UPDATE) == "periodic" and board.schedule.count == 0
    board = Board("periodic:10")
    assert board.request(seen(advance=25)) == "periodic"


def test_a_retry_waits_longer_each_time():
    with Clock() as clock:
        board = Board("new-channels-only", pause=1000)
        board.works = False
        assert board.request(NEW) == "new-channel"
        pause = 1000
        for _ in range(16):
            clock.now += pause - 1
            assert board.request(NOTHING) is None
            clock.now += 1
            assert board.request(NOTHING) == "retry"
            pause = min(2 * pause, HOUR)
        assert pause == HOUR
        clock.now += HOUR
        board.works = True
        assert board.request(NOTHING) == "retry" and board.request(NOTHING) is None
        board.works = False
        assert board.request(NEW) == "new-channel"
        clock.now += 999
        assert board.request(NOTHING) is None
        clock.now += 1
        assert board.request(NOTHING) == "retry"


def test_a_new_trigger_never_waits():
    with Clock():
        board = Board("periodic:2", pause=1000)
        board.works = False
        for found, trigger in (
            (NEW, "new-channel"),
            (NOTHING, None),
            (seen(address=True), "address"),
            (NEW, "new-channel"),
            (seen(deleted=True), "deleted"),
            (NOTHING, None),
        ):
            assert board.request(found) == trigger


def test_first_and_periodic_are_new_only_once():
    with Clock() as clock:
        board = Board("periodic:2", pause=1000, has_snapshot=False)
        board.works = False
        board.schedule.count = 0
        assert [board.request(UPDATE) for _ in range(5)] == ["first", "periodic", None, None, None]
        clock.now += 2000
        board.works = True
        assert board.request(UPDATE) == "retry" and board.schedule.count == 0
        assert [board.request(UPDATE) for _ in range(2)] == [None, "periodic"]


def test_a_retry_does_what_its_triggers_would_have():
    with Clock() as clock:
        for found, count in ((NEW, 0), (seen(address=True), 2)):
            board = Board("periodic:9", pause=10)
            board.schedule.count = 2 - (found.advance > 0)
            board.works = False
            board.request(found)
            clock.now += 10
            board.works = True
            assert board.request(NOTHING) == "retry" and board.schedule.count == count


def test_without_a_pause_every_request_retries():
    board = Board("new-channels-only", pause=0)
    board.works = False
    assert [board.request(found) for found in (NEW, NOTHING, NOTHING)] == ["new-channel", "retry", "retry"]


def test_a_pause():
    with Clock() as clock:
        pause = Pause(100)
        assert pause.over()
        pause.failed()
        assert not pause.over()
        clock.now += 100
        assert pause.over()
        pause.failed()
        clock.now += 199
        assert not pause.over()
        pause.succeeded()
        assert pause.over()
        pause.failed()
        clock.now += 100
        assert pause.over()
