"""Reads a backup in any of its forms: a file of Greenlight's layout or another, a board's armour, VLS's own keys."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from typing import BinaryIO, cast

from vls_backup.backup_file import Backup, parse_backup
from vls_backup.errors import BackupError, FieldError, cannot_read
from vls_backup.plain_state import is_plain_state, parse_plain_state

_ADVICE = "Use another copy of it, or pull it from the board again"


def read_backup(path: str) -> Backup:
    """Read and check the backup file at path ("-" = standard input). Raise BackupError."""
    with open_backup(path) as (file, name):
        return whole_backup(file.read(), name)


def read_bytes(path: str) -> bytes:
    """Return all of the file at path. Raise BackupError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise cannot_read(path, error) from error


@contextmanager
def open_backup(path: str) -> Iterator[tuple[BufferedReader, str]]:
    """Yield the file at path ("-" = standard input), which can seek, and how to speak of it.

    What goes wrong inside, an OSError or a FieldError, is raised as a BackupError that names the file.
    """
    name = "standard input" if path == "-" else path
    try:
        if path != "-":
            with open(path, "rb") as file:
                yield _seekable(file), name
        elif sys.stdin is None:
            raise BackupError("standard input is closed: name the file with --path")
        else:
            yield _seekable(sys.stdin.buffer), name
    except OSError as error:
        raise cannot_read(name, error) from error
    except FieldError as error:
        raise BackupError(f"{name}: {error}. {_ADVICE}") from error


def _seekable(file: BinaryIO) -> BufferedReader:
    return cast(BufferedReader, file if file.seekable() else BytesIO(file.read()))


def whole_backup(data: bytes, name: str) -> Backup:
    """Check the file that data is. Raise FieldError."""
    if is_plain_state(data):
        return parse_plain_state(data, name)
    if re.search(rb"^-----BEGIN VLS BACKUP-----\s*$", data, re.MULTILINE):  # no line of JSON
        from vls_backup.armour import backup_file  # slow to load, and seldom needed

        data = backup_file(data)
    return parse_backup(data, name)
