"""Opens a board's port: talks to the loop that runs there, or starts one through the raw REPL.

The only module that imports mpremote.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from vls_backup.errors import BoardError
from vls_backup.link import Link, LinkTimeout

_SERVE = "import main\nmain.main()"
_STOP = b"\x03"  # outside a frame it ends the loop (LINK.md)


@contextlib.contextmanager
def open_board(port: str) -> Iterator[tuple[Link, dict[str, Any]]]:
    """Yield (Link, what the board said in HELLO) for the board at port; the port is closed afterwards.

    A loop that runs is not stopped. A board at its REPL runs our loop while the port is open, and stands at its REPL
    again afterwards. Raises BoardError.
    """
    try:
        with serial.Serial(port, 115200, timeout=1, exclusive=True) as running:
            link = Link(running)
            try:
                hello = link.hello(attach=False, attempts=2)
            except LinkTimeout:
                hello = None
            if hello is not None:
                yield link, hello
                return
    except (OSError, ValueError) as error:
        raise BoardError(_cannot_open(port, error)) from error
    with _raw_repl(port) as link:
        yield link, link.hello(attach=False)


def _cannot_open(port: str, error: Exception) -> str:
    if not Path(port).exists():
        return (
            f"There is no port {port}. Plug the board in and look for its port (Linux: ls /dev/ttyACM* /dev/ttyUSB*)."
        )
    return (
        f"Port {port} can't be used: {error}. Close other programs that use it, and check that you may (group dialout)."
    )


@contextlib.contextmanager
def _raw_repl(port: str) -> Iterator[Link]:
    """Yield the Link to a loop that is started through the raw REPL, and ended afterwards."""
    # mpremote prints what it finds instead of a prompt: that is no answer to our user.
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            transport = SerialTransport(port, timeout=10)
        except (OSError, TransportError) as error:
            raise BoardError(_cannot_open(port, error)) from error
        try:
            try:
                transport.enter_raw_repl()
                transport.exec("import main")
                transport.exec_raw_no_follow(_SERVE)
            except TransportExecError as error:
                raise BoardError(
                    f"The board on {port} runs MicroPython, but our firmware is not on it ({_last_line(error)})."
                ) from error
            except (OSError, TransportError) as error:
                raise BoardError(
                    f"The board on {port} doesn't answer: neither our firmware nor a MicroPython REPL ({error}). "
                    "Unplug it, plug it in again and retry; what it has stored stays there."
                ) from error
            yield Link(transport.serial)
            with contextlib.suppress(OSError, TransportError):
                transport.serial.write(_STOP)
                transport.follow(timeout=5)
                transport.exit_raw_repl()
        finally:
            with contextlib.suppress(OSError):
                transport.close()


def _last_line(error: TransportExecError) -> str:
    lines = str(error.error_output).strip().splitlines()
    return lines[-1] if lines else "no reason given"
