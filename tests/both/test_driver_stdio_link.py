"""The terminal as a link: every byte passes, reads never wait for more than is there, a stalled host ends a write."""

import errno

from backup_format.port import ticks_ms, ticks_since
from vendor_board import World


def link():
    world = World()
    return world.terminal, world.load("stdio_link").StdioLink()


def test_every_byte_passes_in():
    terminal, stdio = link()
    every = bytes(range(256))
    terminal.host_sends(every)
    assert stdio.read(0, 256) == every
    assert stdio.read(0, 256) == b""


def test_every_byte_passes_out():
    terminal, stdio = link()
    every = bytes(range(256)) * 5
    stdio.write(every)
    stdio.write(memoryview(every)[:3])
    stdio.write(b"")
    assert bytes(terminal.sent) == every + every[:3]


def test_read_takes_what_is_there_and_no_more_than_limit():
    terminal, stdio = link()
    terminal.host_sends(b"abcdef")
    assert stdio.read(100, 4) == b"abcd"
    assert terminal.received == b"ef"
    assert stdio.read(100, 4) == b"ef"  # the model fails on a read that would block
    terminal.host_sends(bytes(300))
    assert len(stdio.read(0, 1000)) + len(stdio.read(0, 1000)) == 300


def test_read_waits_once_for_its_timeout():
    terminal, stdio = link()
    began = ticks_ms()
    assert stdio.read(60, 16) == b""
    assert 50 <= ticks_since(began) < 1000
    terminal.waited.clear()
    terminal.host_sends(b"ab")
    stdio.read(500, 16)
    assert terminal.waited == [500, 0, 0]


def test_close_gives_ctrl_c_back():
    terminal, stdio = link()
    terminal.host_sends(b"\x03")
    assert stdio.read(0, 1) == b"\x03"
    stdio.close()
    try:
        terminal.host_sends(b"\x03")
    except KeyboardInterrupt:
        return
    raise AssertionError("Ctrl-C does not interrupt")


def stalls(room, length, two_terminals=False):
    """Return (errno, milliseconds) of a write to a host that stops reading after room bytes."""
    terminal, stdio = link()
    terminal.room = room
    terminal.two_terminals = two_terminals
    began = ticks_ms()
    try:
        stdio.write(bytes(length))
    except OSError as error:
        assert len(terminal.sent) == room
        return error.errno, ticks_since(began)
    return None, ticks_since(began)


def test_stalled_host_ends_a_write():
    for room, length in ((0, 1), (0, 1035), (100, 1035), (256, 1035), (1034, 1035)):
        number, took = stalls(room, length)
        assert number == errno.ETIMEDOUT and took < 1500, (room, length, number, took)


def test_stalled_host_ends_a_write_that_says_it_went_well():
    number, took = stalls(100, 1035, two_terminals=True)
    assert number == errno.ETIMEDOUT and took < 1500


def test_host_that_takes_the_last_byte_is_no_stall():
    assert stalls(1035, 1035)[0] is None
