"""Words and data for the user: stdout carries data, stderr words; nothing out of a file may steer the terminal."""

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime

import click

from vls_backup.errors import OutputError

CLOSED_PIPE_STATUS = 141
"""The exit status that a shell shows for a program whose reader went away (128 + SIGPIPE)."""


def printable(text: str) -> str:
    """Return text on one line, with control and format characters (escape sequences) shown as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def say(text: str) -> None:
    """Print words to stderr, if anyone listens. What comes out of a file goes through printable() first."""
    with suppress(OSError):
        click.echo(text, err=True)


def emit(text: str) -> None:
    """Write text to stdout as UTF-8 and flush. Raise OutputError; leave quietly if the reader went away."""
    if sys.stdout is None:
        raise OutputError("standard output is closed: use --output FILE")
    try:
        click.echo(text.encode(), nl=False)
    except BrokenPipeError:
        _drop_stdout()
        raise SystemExit(CLOSED_PIPE_STATUS) from None
    except OSError as error:
        _drop_stdout()
        raise OutputError(f"standard output: cannot be written: {error.strerror or error}") from error


def _drop_stdout() -> None:
    # What is still buffered must not raise again when Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say_age(created_at: str) -> None:
    """Say when a backup was made, and how long ago that is."""
    say(f"The backup was made {printable(created_at)} ({age(created_at)}).")


def age(created_at: str, now: datetime | None = None) -> str:
    """Return how old an RFC 3339 time is, in words: "3 days ago"."""
    try:
        made = datetime.fromisoformat(created_at)
        seconds = int(((now or datetime.now(UTC)) - made).total_seconds())
    except (ValueError, TypeError):
        return "its age is unknown: the time cannot be read"
    if seconds < -60:
        return "a time in the future: some clock is wrong"
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def when(unix: int | None) -> str:
    """Return a time in unix seconds as RFC 3339; a clock that is unset, or past year 9999, in words."""
    try:
        return "clock unset" if unix is None else datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"unix time {unix}"


def when_and_age(unix: int | None) -> str:
    """Return a time in unix seconds with how long ago that is: "2026-11-22T12:00:00Z (3 days ago)"."""
    made = when(unix)
    return f"{made} ({age(made)})" if made.endswith("Z") else made
