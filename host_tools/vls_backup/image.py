"""The bytes of a medium that no board reads any more: a card, a partition, a dump of a flash, a folder of erase units.

Read-only. What the medium itself can't give any more is filled with bytes that no journal takes for its own, and noted.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import BinaryIO

from backup_format.errors import FormatError
from backup_format.units import UNIT_HEADER, parse_unit_header
from vls_backup.errors import BackupError

_PAGE = 16384  # bytes read together; a medium's own blocks are smaller
_PAGES = 1024  # kept in RAM
BLOCK = 4096
"""Bytes that are given up together where reading fails."""

_MOST_UNREADABLE = 256  # blocks: each can take seconds
_FILLER = b"\xee" * BLOCK  # no record begins so: FF would say that nothing was written there
_UNIT_FILE = re.compile(r"\d{4,5}")  # boards/drivers/file_units.py
_UF2 = b"UF2\n"
_FAILING = (errno.EIO, errno.EREMOTEIO) if hasattr(errno, "EREMOTEIO") else (errno.EIO,)


class Image:
    """size: bytes. unreadable: where blocks of 4096 bytes or less begin that could not be read."""

    def __init__(self, file: BinaryIO | io.FileIO, size: int) -> None:
        """file: what seek and readinto work on, unbuffered best."""
        self.size = size
        self.unreadable: set[int] = set()
        self._file = file
        self._page = lru_cache(_PAGES)(lambda number: self.piece(number * _PAGE, _PAGE))

    def piece(self, offset: int, length: int) -> bytes:
        """Return up to length bytes from offset on, fewer at the end, straight from the medium. Raises OSError."""
        data = bytearray(max(0, min(length, self.size - offset)))
        try:
            return self._fill(offset, data)
        except OSError as error:
            if error.errno not in _FAILING:
                raise
        for at in range(0, len(data), BLOCK):
            part = data[at : at + BLOCK]
            try:
                data[at : at + len(part)] = self._fill(offset + at, part)
            except OSError as error:
                if error.errno not in _FAILING or len(self.unreadable) == _MOST_UNREADABLE:
                    raise
                self.unreadable.add(offset + at)
                data[at : at + len(part)] = _FILLER[: len(part)]
        return bytes(data)

    def _fill(self, offset: int, data: bytearray) -> bytes:
        self._file.seek(offset)
        view = memoryview(data)
        while view:
            count = self._file.readinto(view)  # type: ignore[union-attr]
            if not count:
                break  # it is shorter than it said
            view = view[count:]
        return bytes(data[: len(data) - len(view)])

    def read_into(self, offset: int, buf: bytearray | memoryview) -> None:
        """Fill buf from offset on; outside of the image it is blank (0xFF). Raises OSError."""
        view = memoryview(buf)
        view[:] = b"\xff" * len(view)
        begin, end = max(offset, 0), min(offset + len(view), self.size)
        while begin < end:
            number, at = divmod(begin, _PAGE)
            piece = self._page(number)[at : at + end - begin]
            if not piece:
                return
            view[begin - offset : begin - offset + len(piece)] = piece
            begin += len(piece)


@contextmanager
def open_image(path: str) -> Iterator[Image]:
    """Yield the Image at path: a file, a disk's device, or a folder of units. Raise BackupError, also for an OSError
    inside."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            data = _joined(path)
            yield Image(io.BytesIO(data), len(data))
            return
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            raise BackupError(
                f"{path}: is no file, no folder and no disk's device. A board's serial port goes with --port; of a "
                "disk take the block device, as /dev/sdb"
            )
        with open(path, "rb", buffering=0) as file:
            image = Image(file, file.seek(0, os.SEEK_END))
            _refuse_at_once(path, image)
            yield image
    except OSError as error:
        raise BackupError(f"{path}: cannot be read: {error.strerror or error}{_advice(error.errno, path)}") from error


def _refuse_at_once(path: str, image: Image) -> None:
    if not image.size:
        raise BackupError(
            f"{path}: is empty (0 bytes). Of a device whose size can't be told, or of a reader without a card, make a "
            "copy first: dd if=DEVICE of=card.img bs=1M count=64"
        )
    if image.piece(0, len(_UF2)) == _UF2:
        raise BackupError(
            f"{path}: is a UF2 file, which holds the flash in pieces: save the flash as picotool save --all flash.bin"
        )


def _advice(number: int | None, path: str) -> str:
    if number in (errno.EACCES, errno.EPERM):
        return (
            f". Mostly only root may read a device: copy the beginning of it, sudo dd if={path} of=card.img bs=1M "
            "count=64, and give --image card.img (the copy belongs to root: sudo chown $USER card.img)"
        )
    if number in _FAILING:
        return (
            ". The medium fails in too many places: save what can be read with GNU ddrescue (ddrescue DEVICE "
            "card.img), and give --image card.img"
        )
    return ""


def _joined(folder: str) -> bytes:
    """Return the medium whose erase units are files in folder, named by their numbers; behind their ends it is blank.

    Raises BackupError if there are none, OSError.
    """
    found: dict[int, bytes] = {}
    for name in os.listdir(folder):
        if _UNIT_FILE.fullmatch(name):
            with open(os.path.join(folder, name), "rb") as file:
                found[int(name)] = file.read(1 << 20)
    sizes = set()
    for data in found.values():
        with suppress(FormatError):  # of a newer version: the search tells
            header = parse_unit_header(data[:UNIT_HEADER]) if len(data) >= UNIT_HEADER else None
            sizes.add(header.erase_size if header else 0)
    size = max(sizes - {0}, default=BLOCK)
    if not found:
        raise BackupError(
            f"{folder}: holds no erase units of a journal, files named 0000, 0001 and so on. Name the folder that was "
            "copied from the board, where it is /backup"
        )
    if size > 1 << 20 or (max(found) + 1) * size > 1 << 30:
        raise BackupError(f"{folder}: its files claim a medium of more than 1 GiB: they are no board's")
    medium = bytearray(b"\xff" * ((max(found) + 1) * size))
    for number, content in found.items():
        medium[number * size : number * size + len(content[:size])] = content[:size]
    return bytes(medium)
