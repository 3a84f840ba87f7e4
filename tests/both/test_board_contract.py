"""Every board file keeps the board contract, its drivers running on models of the vendors' modules."""

import board_contract
from backup_format.units import UnitHeader
from vendor_board import World, boards


def board(name):
    world = World()
    world.file_system = 96 * 4096  # what boards/rp2/_boot.py mounts
    return world, world.load("board_def", "boards/" + name).Board()


def failures_of(made, erase=True, only=None):
    """Return the names of the checks that fail, or are skipped. only: the name of one that is to run alone."""
    failed = []
    board_contract._erase_all = erase
    for check in board_contract.CHECKS:
        if only not in (None, check.__name__):
            continue
        try:
            check(made)
        except board_contract.Skip:
            failed.append("skipped " + check.__name__)
        except Exception:  # noqa: BLE001
            failed.append(check.__name__)
    return failed


def test_every_board_keeps_the_contract():
    names = boards()
    assert len(names) >= 8 and "rp2" in names and "esp32" in names and "_template" in names
    for name in names:
        _world, made = board(name)
        assert made.name == ("template" if name == "_template" else name)
        print("board", name)
        assert board_contract.run(made, erase=True) == 0, name


def test_rp2_led_is_the_indicator():
    world, made = board("rp2")
    made.indicator(True)
    made.indicator(False)
    assert world.led == [True, False]


def test_clock_is_none_until_set():
    world, made = board("rp2")
    assert made.clock() == 1800000000
    world.now = 1609459200 + 86400 * 30  # an rp2 that has run for a month since its clock began, at 2021-01-01
    assert made.clock() is None


def test_clock_of_an_epoch_of_2000():
    world, made = board("esp32")
    world.time.gmtime = lambda seconds: (2000, 1, 1, 0, 0, 0, 5, 1)
    world.now = 1800000000 - 946684800
    assert made.clock() == 1800000000
    world.now = 5
    assert made.clock() is None


def test_log_is_bounded_and_stays_off_the_link():
    world = World()
    module = world.load("micropython_board")
    made = module.MicroPythonBoard()
    for i in range(1000):
        made.log("line %d" % i)
    assert module.LOG == ["line %d" % i for i in range(980, 1000)]
    assert world.terminal.sent == b""


def test_a_backup_is_never_overwritten():
    _world, made = board("rp2")
    device = made.storage()
    page = bytearray(b"\xff" * 256)
    UnitHeader(4096, 256, 1, 1, 0, 0, 17, 1, b"\x02" * 33).pack_into(page)
    device.program(17 * 4096, page)
    writing = ["check_refused_writes", "check_erases_and_programs", "check_speed"]
    assert failures_of(made) == ["skipped " + name for name in writing]


def test_foreign_content_is_left_alone_unless_asked():
    world, made = board("rp2-sd")
    assert [name[:8] for name in failures_of(made, erase=False)] == ["skipped "] * 3
    assert world.card.data == {}
    assert failures_of(made, erase=True) == []


class Silent:
    """A storage whose writes do nothing."""

    def __init__(self, device):
        self.size, self.erase_size, self.program_size = device.size, device.erase_size, device.program_size
        self.read_into = device.read_into

    def program(self, offset, data):
        pass

    def erase(self, offset):
        pass


class Unchecked(Silent):
    """A storage that passes everything on, as rp2.Flash does."""

    def read_into(self, offset, buf):
        for i in range(len(buf)):
            buf[i] = 0xFF


def test_broken_boards_are_found():
    _world, made = board("esp32")
    kind = type(made)
    good = made.storage
    faults = (
        ("check_name", "name", ""),
        ("check_strategy", "strategy", lambda self: "always"),
        ("check_clock", "clock", lambda self: 0),
        ("check_random", "random", lambda self, n: bytes(n)),
        ("check_unique_id", "unique_id", lambda self: ""),
        ("check_indicator", "indicator", None),
        ("check_log", "log", lambda self: None),
        ("check_engine", "engine", lambda self: None),
        ("check_link", "link", lambda self: None),
        ("check_erases_and_programs", "storage", lambda self: Silent(good())),
        ("check_refused_writes", "storage", lambda self: Silent(good())),
    )
    for check, member, instead in faults:
        broken = type("Broken", (kind,), {member: instead})()
        assert failures_of(made, only=check) == [] and failures_of(broken, only=check) == [check]


def test_unchecked_reads_are_found():
    _world, made = board("esp32")
    unchecked = Unchecked(made.storage())
    unchecked.read_into = lambda offset, buf: Unchecked.read_into(unchecked, offset, buf)
    made.storage = lambda: unchecked
    failed = failures_of(made)
    assert "check_refused_reads" in failed and "check_refused_writes" in failed
