"""The board contract (boards/README.md) as checks that run anywhere: on models, on the simulated board, on hardware.

Each check_* function takes a board, and raises AssertionError or whatever the board raised. run(board) prints
`ok NAME`, `FAIL NAME: why` or `skip NAME: why` for each, and last `ran N failed M skipped K`.
"""

from backup_format.errors import FormatError
from backup_format.port import ticks_ms, ticks_since
from backup_format.units import UNIT_HEADER, parse_unit_header


class Skip(Exception):
    """This check would do harm here."""


def _refused(call, *args):
    """Assert that the call is refused: OSError with a number, or ValueError."""
    try:
        call(*args)
    except ValueError:
        return
    except OSError as error:
        assert isinstance(error.errno, int), "OSError without an errno: %r" % error
        return
    raise AssertionError("%r was not refused" % (args[0],))


def _read(device, offset, length):
    buf = bytearray(length)
    device.read_into(offset, buf)
    return bytes(buf)


def _holds(device, unit, pages):
    """Return whether the erase unit at offset unit holds pages ({number of program unit: bytes}) and else is blank.

    Page by page: a board's heap has no room for large units.
    """
    page = bytearray(device.program_size)
    blank = b"\xff" * device.program_size
    for n in range(device.erase_size // device.program_size):
        device.read_into(unit + n * device.program_size, page)
        if page != pages.get(n, blank):
            return False
    return True


def check_name(board):
    assert isinstance(board.name, str) and board.name, "name: %r" % board.name
    assert isinstance(board.retry_pause, int) and board.retry_pause > 0, "retry_pause: %r" % board.retry_pause


def check_strategy(board):
    name = board.strategy()
    if name.startswith("periodic:"):
        assert int(name[9:]) > 0, name
    else:
        assert name in ("never", "new-channels-only"), name


def check_clock(board):
    now = board.clock()
    assert now is None or (isinstance(now, int) and 1735689600 <= now < 4102444800), "clock: %r" % now


def check_random(board):
    one, other = board.random(16), board.random(16)
    assert isinstance(one, bytes) and len(one) == len(other) == 16 and one != other
    assert len(board.random(3)) == 3


def check_unique_id(board):
    one = board.unique_id()
    assert isinstance(one, bytes) and one and one == board.unique_id(), "unique_id: %r" % one


def check_indicator(board):
    board.indicator(True)
    board.indicator(False)


def check_log(board):
    for i in range(50):
        board.log("board contract: line %d" % i)


def check_engine(board):
    assert callable(board.engine().handle)


def check_link(board):
    link = board.link()
    try:
        while link.read(0, 100):
            pass
        began = ticks_ms()
        assert link.read(100, 16) == b"", "something talks on the link"
        assert 80 <= ticks_since(began) < 2000, "read waited %d ms instead of 100" % ticks_since(began)
        link.write(b"")
    finally:
        link.close()


def check_sizes(board):
    device = board.storage()
    for size in (device.erase_size, device.program_size):
        assert size > 0 and size & (size - 1) == 0, "%d is no power of two" % size
    assert device.program_size >= 128 and device.erase_size % device.program_size == 0
    assert device.size % device.erase_size == 0 and device.size >= 4 * device.erase_size


def check_reads(board):
    device = board.storage()
    whole = _read(device, 0, device.program_size + 100)
    assert _read(device, 7, 50) == whole[7:57]
    assert _read(device, device.program_size - 3, 7) == whole[device.program_size - 3 :][:7]
    edge = _read(device, device.erase_size - 5, 10)
    assert _read(device, device.erase_size, 5) == edge[5:]
    buf = bytearray(20)
    device.read_into(device.size - 10, memoryview(buf)[5:15])
    assert bytes(buf[5:15]) == _read(device, device.size - 10, 10)


def check_refused_reads(board):
    device = board.storage()
    _refused(device.read_into, -1, bytearray(1))
    _refused(device.read_into, -device.erase_size, bytearray(device.erase_size))
    _refused(device.read_into, device.size, bytearray(1))
    _refused(device.read_into, device.size - 1, bytearray(2))


def check_refused_writes(board):
    device = board.storage()
    _spare(device)
    size, erase, program = device.size, device.erase_size, device.program_size
    for offset in (-erase, -program, size, size + erase, 1, program // 2):
        _refused(device.program, offset, bytes(program))
    _refused(device.program, 0, bytes(program - 1))
    _refused(device.program, 0, b"")
    for offset in (-erase, size, size + erase, 1, program if program < erase else erase // 2):
        _refused(device.erase, offset)


def check_erases_and_programs(board):
    device = board.storage()
    _spare(device)
    erase, program = device.erase_size, device.program_size
    for unit in (0, device.size - erase):
        neighbour = unit + erase if unit == 0 else unit - erase
        beside = _read(device, neighbour, program)
        device.erase(unit)
        assert _holds(device, unit, {}), "an erased unit doesn't read as 0xFF"
        first = bytes([i & 0xFF for i in range(program)])
        second = bytes([0x5A]) * program
        device.program(unit, first)
        device.program(unit + program, memoryview(b"xx" + second)[2:])
        device.program(unit + erase - program, bytearray(first))  # units may stay blank in between
        expected = {0: first, 1: second, erase // program - 1: first}
        assert _holds(device, unit, expected), "other bytes are read than were programmed"
        assert _holds(board.storage(), unit, expected), "a new storage() reads other bytes"
        device = board.storage()
        device.program(unit + 2 * program, second)  # a unit that was passed over
        expected[2] = second
        assert _holds(device, unit, expected), "a unit that was passed over reads other bytes"
        device.erase(unit)
        assert _holds(device, unit, {}), "an erased unit doesn't read as 0xFF"
        assert _read(device, neighbour, program) == beside, "a neighbouring unit changed"


def check_speed(board):
    device = board.storage()
    _spare(device)
    began = ticks_ms()
    device.erase(0)
    device.program(0, bytes(device.program_size))
    took = ticks_since(began)
    device.erase(0)
    assert took < 5000, "one erase and one program took %d ms: a host would have given up" % took


def _spare(device):
    """Raise Skip if the medium holds a backup, or anything in the units that the checks write to."""
    buf = bytearray(UNIT_HEADER)
    for offset in range(0, device.size, device.erase_size):
        device.read_into(offset, buf)
        try:
            found = parse_unit_header(buf) is not None
        except FormatError:
            found = True
        if found:
            raise Skip("the medium holds a backup")
    if not _erase_all:
        for offset in (0, device.size - device.erase_size):
            if not _holds(device, offset, {}):
                raise Skip("the medium isn't blank; ERASE=yes overwrites its first and last unit")


_erase_all = False

CHECKS = (
    check_name,
    check_strategy,
    check_clock,
    check_random,
    check_unique_id,
    check_indicator,
    check_log,
    check_engine,
    check_link,
    check_sizes,
    check_reads,
    check_refused_reads,
    check_refused_writes,
    check_erases_and_programs,
    check_speed,
)


def run(board, erase=False):
    """Run all checks on board and print what came of each. erase: write even where the medium holds something foreign.

    A medium that holds a backup is never written. Return the number of failures.
    """
    global _erase_all
    _erase_all = erase
    failed = skipped = 0
    for check in CHECKS:
        name = check.__name__
        try:
            check(board)
            print("ok", name)
        except Skip as why:
            skipped += 1
            print("skip %s: %s" % (name, why))
        except Exception as error:  # noqa: BLE001 - a board may fail in any way
            failed += 1
            print("FAIL %s: %r" % (name, error))
    print("ran %d failed %d skipped %d" % (len(CHECKS), failed, skipped))
    return failed
