"""Write a file so that at every moment its name shows the old content or the new, whole."""

import os
import stat
import tempfile
from collections.abc import Iterable

from vls_backup.errors import OutputError

_BUFFER = 1 << 18  # bytes: fewer writes of a large file


def write_atomic(path: str, parts: Iterable[bytes], inputs: Iterable[str] = ()) -> None:
    """Put parts, one after the other, at path with mode 0600.

    That is: into a temporary file beside it, fsync, rename, fsync of the folder.
    A link at path is replaced, not followed. Raise OutputError, with the old content untouched and no temporary file
    left, when the folder is missing, path is no regular file, path is one of inputs (also through a link), or any
    step fails.
    """
    check_output(path, inputs)
    folder = os.path.dirname(path) or "."
    try:
        handle, temporary = tempfile.mkstemp(prefix=".vls-backup-", dir=folder)  # mode 0600
        try:
            with os.fdopen(handle, "wb", buffering=_BUFFER) as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        if os.name == "posix":  # elsewhere a folder can't be opened
            _sync_folder(folder)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_output(path: str, inputs: Iterable[str] = ()) -> None:
    """Raise OutputError now if write_atomic would refuse path: before work that takes minutes."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise OutputError(f"{path}: cannot be written: there is no folder {folder}. Make it first, or name another one")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: cannot be written: no permission to write in folder {folder}. Name another one")
    try:
        there = os.stat(path)
    except OSError:
        return  # nothing there, or a link to nothing
    if not stat.S_ISREG(there.st_mode):
        raise OutputError(f"{path}: cannot be written: it is not a regular file. Name a new file")
    for name in inputs:
        if os.path.exists(name) and os.path.samestat(there, os.stat(name)):
            raise OutputError(f"{path}: is the input file itself ({name}), which must not be lost. Name another output")


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
