"""Opens a board's port: talks to the loop that runs there, or starts one through the raw REPL.

The only module that imports mpremote.
"""

from __future__ import annotations

import contextlib
import errno
import io
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from vls_backup.console import printable, say
from vls_backup.errors import BoardError
from vls_backup.link import Link, LinkTimeout

_CHECK = "import signer.loop"  # ours; another firmware's main must not be started
_SERVE = """\
try:
    from micropython import kbd_intr
    kbd_intr(-1)
except ImportError:
    pass
print("serving")
import main
main.main()
"""
_SERVING = b"serving\r\n"  # from here on 0x03 in a frame is no Ctrl-C
_STOP = b"\x03"  # outside a frame it ends the loop (LINK.md)
_PROMPTS = (b"raw REPL", b">>> ", b"... ", b"=== ")  # the last two inside a block, and in paste mode
_WRITE_SECONDS = 5  # a board that takes nothing for so long is gone
_LOST = "The board on {port} stopped answering. Plug it in again and run the same command: it goes on where it stopped."


@contextlib.contextmanager
def open_board(port: str) -> Iterator[tuple[Link, dict[str, Any]]]:
    """Yield (Link, what the board said in HELLO) for the board at port; the port is closed afterwards.

    A loop that runs is not stopped. A board at its REPL runs our loop while the port is open, and stands at its REPL
    again afterwards. Raises BoardError.
    """
    with _opened(port) as running:
        link = Link(running)
        hello = _greeting(link, running)
        if hello is not None:
            yield link, hello
            return
    with _raw_repl(port) as transport:
        link = Link(transport.serial)
        try:
            hello = link.hello(attach=False)
        except LinkTimeout as error:
            raise BoardError(_why_silent(transport, port)) from error
        yield link, hello


@contextlib.contextmanager
def _opened(port: str) -> Iterator[serial.Serial]:
    try:
        opened = serial.Serial(port, 115200, write_timeout=_WRITE_SECONDS, exclusive=True)
    except (OSError, ValueError) as error:
        raise BoardError(_cannot_open(port, error)) from error
    with opened:
        yield opened


def _greeting(link: Link, port: serial.Serial) -> dict[str, Any] | None:
    """Return what a loop on the board says in HELLO, or None if none runs there.

    What comes next stops a running program, so a loop that is busy, erasing flash, gets all the time that it needs.
    """
    try:
        return link.hello(attach=False, attempts=1)
    except LinkTimeout:
        if _is_repl(port):
            return None
    say("The board doesn't answer yet. It may be busy: waiting up to 10 seconds.")
    try:
        return link.hello(attach=False)
    except LinkTimeout:
        return None


def _is_repl(port: serial.Serial) -> bool:
    """Return whether a MicroPython prompt answers Enter and Ctrl-A. A running loop ignores these (LINK.md)."""
    port.timeout = 0.3
    heard = b""
    deadline = time.monotonic() + 1
    try:
        port.write(b"\r\r\x01")  # twice: the first may end an escape sequence
        while time.monotonic() < deadline and (said := port.read(max(1, port.in_waiting))):
            heard += said
            if any(prompt in heard for prompt in _PROMPTS):
                return True
    except OSError as error:
        raise BoardError(f"The port failed: {error}. Plug the board in again and retry.") from error
    return False


def _cannot_open(port: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if not Path(port).exists():
        return (
            f"There is no port {port}. Plug the board in and look for its port (Linux: ls /dev/ttyACM* /dev/ttyUSB*)."
        )
    if not Path(port).is_char_device():
        return f"{port} is no serial port. A board's port is named like /dev/ttyACM0 or /dev/ttyUSB0."
    if number in (errno.EAGAIN, errno.EBUSY):
        return f"Port {port} is in use by another program (a terminal, mpremote, another pull). Close that and retry."
    if number in (errno.EACCES, errno.EPERM):
        return f"Port {port}: permission denied. On Linux, join the group that owns it (ls -l {port}; often dialout)."
    return f"{port} can't be used as a board's port: {error}."


@contextlib.contextmanager
def _raw_repl(port: str) -> Iterator[SerialTransport]:
    """Yield the transport on which main.py's loop was started through the raw REPL; afterwards the loop is ended."""
    transport = _start(port)
    try:
        yield transport
    finally:
        with _quiet(), contextlib.suppress(OSError, TransportError):
            transport.serial.write(_STOP)
            transport.follow(timeout=3)
            transport.exit_raw_repl()
        _close(transport)


def _start(port: str) -> SerialTransport:
    say("No signer's loop answers: trying the board's MicroPython prompt.")
    with _quiet():
        try:
            transport = SerialTransport(port, timeout=2)
        except (OSError, TransportError) as error:
            raise BoardError(_cannot_open(port, error)) from error
        transport.serial.write_timeout = _WRITE_SECONDS
        try:
            transport.enter_raw_repl(timeout_overall=5)
            transport.exec(_CHECK)
            transport.exec_raw_no_follow(_SERVE)
            transport.read_until(1, _SERVING)
            return transport
        except TransportExecError as error:
            _close(transport)
            raise BoardError(
                f"The board on {port} runs MicroPython, but our firmware is not on it ({_last_line(error)}). "
                "Is this the port of another board?"
            ) from error
        except (OSError, TransportError) as error:
            _close(transport)
            raise BoardError(
                f"What is on {port} doesn't answer: neither our firmware nor a MicroPython prompt. Is this the board's "
                "port? If so, unplug the board, plug it in again and retry; what it has stored stays there."
            ) from error
        except BaseException:
            _close(transport)
            raise


def _why_silent(transport: SerialTransport, port: str) -> str:
    """Return a message: the firmware was started but answered nothing. Start it again to hear what it says."""
    with _quiet():
        try:
            transport.enter_raw_repl(soft_reset=False)
            transport.exec(_SERVE)
        except TransportExecError as error:
            return f"The firmware of the board on {port} doesn't start: {_last_line(error)}."
        except (OSError, TransportError):
            pass
    return f"The board on {port} stopped answering. Unplug it, plug it in again and retry; what it has stored stays."


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """mpremote prints what it finds instead of a prompt: that is no answer to our user."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _close(transport: SerialTransport) -> None:
    with contextlib.suppress(OSError):
        transport.close()


def _last_line(error: TransportExecError) -> str:
    lines = str(error.error_output).strip().splitlines()
    return printable(lines[-1]) if lines else "no reason given"


@contextlib.contextmanager
def at_prompt(port: str) -> Iterator[SerialTransport]:
    """Yield mpremote's transport at the MicroPython prompt of the board at port, whatever ran there being stopped.

    Afterwards the board starts its main.py. Raises BoardError, also for what goes wrong in the body of the `with`.
    """
    with _quiet():
        try:
            transport = SerialTransport(port, timeout=2)
        except (OSError, TransportError) as error:
            raise BoardError(_cannot_open(port, error)) from error
        try:
            transport.serial.write_timeout = _WRITE_SECONDS
            transport.enter_raw_repl(timeout_overall=5)
            yield transport
            transport.exit_raw_repl()
            transport.serial.write(b"\x04")  # at the friendly prompt: a soft reset
        except TransportExecError as error:
            raise BoardError(f"The board on {port} refused: {_last_line(error)}.") from error
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise BoardError(f"The board's file system is full: no room for {error.strerror}.") from error
            raise BoardError(_LOST.format(port=port)) from error
        except (TransportError, struct.error, ValueError) as error:
            raise BoardError(_LOST.format(port=port)) from error
        finally:
            _close(transport)


def wait_for_loop(port: str, seconds: int) -> dict[str, Any] | None:
    """Return what the loop on the board at port says in HELLO, as soon as it does; None if it doesn't in seconds.

    Nothing on the board is stopped. Raises BoardError.
    """
    with _opened(port) as opened:
        try:
            return Link(opened).hello(attach=False, attempts=seconds)
        except LinkTimeout:
            return None
