"""Has a second process do one part of a long work while this process does another."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_Result = TypeVar("_Result")


@contextmanager
def beside(work: Callable[..., _Result], *arguments: Any) -> Iterator[Callable[[], _Result | None]]:
    """Start work(*arguments) in a second process, and yield a function that waits for its result.

    It gives None if there is none for any reason at all: do the work here then, which also shows what was wrong. The
    work must not return None; it, its arguments and its result must be picklable. However the block is left, the second
    process has ended by then.
    """
    from multiprocessing import Pipe, Process  # slow to load, and seldom needed

    reader, writer = Pipe(duplex=False)
    process = Process(target=_answer, args=(reader, writer, work, arguments), daemon=True)
    try:
        with _later_ctrl_c():
            process.start()
    except OSError:  # the system allows no more processes
        writer.close()
        yield lambda: None
        return
    writer.close()

    def result() -> _Result | None:
        with suppress(EOFError):
            return reader.recv()  # type: ignore[no-any-return]
        return None

    try:
        yield result
    finally:
        process.kill()
        process.join()


@contextmanager
def _later_ctrl_c() -> Iterator[None]:
    """Put Ctrl-C off, where that can be done: the new process never gets it, not even while it starts."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(reader: Connection, writer: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to both; the first process ends this one
    reader.close()  # else this process would not notice the end of the first one
    with suppress(Exception):
        writer.send(work(*arguments))
