"""Reads a backup file of any size piece by piece, if it is laid out as Greenlight writes it; else whole.

Greenlight's layout is serde_json's, 2 spaces: the entries of state.values follow one line, and each ends in one of its
own. The file is cut at such lines, and each piece is decoded as an object of its own. No wrong cut goes through: a
piece is whole JSON only if its brackets balance, so each one begins and ends between two entries if the one before did.
For the same reason two processes can read a large file, each one half, cut at such a line too.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import SEEK_END, BufferedReader
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from vls_backup.backup_file import (
    TOMBSTONE_VERSION,
    U64_MAX,
    Entry,
    Head,
    Key,
    parse_backup,
)
from vls_backup.beside import beside
from vls_backup.errors import FieldError
from vls_backup.reading import open_backup, whole_backup

_ENTRIES_BEGIN = b'  "state": {\n    "values": {\n'
_ENTRY_ENDS = b"\n      ],\n"
_ENTRIES_END = b"\n    }\n  }\n}"
_JSON_SPACE = b" \t\r\n"
_HEAD = 1 << 12  # bytes in which the entries begin
_PIECE = 1 << 18  # bytes: some 5 channels, which stay in the processor's cache
_LARGE = 1 << 26  # bytes of a file from which on a second process saves time: to start it takes as long as some 10 MB

_Shape = TypeVar("_Shape")
_Result = TypeVar("_Result")
_Values = Iterator[tuple[str, _Shape | msgspec.Raw]]


class _Scan(NamedTuple):
    """The arguments of scan_backup."""

    path: str
    prefix: str
    shape: type
    collect: Callable[[bytes, _Values[Any]], Any]


class _Part(NamedTuple):
    """Entries of the file: where they begin, and where the next ones do (None: they end where the file ends)."""

    begin: int
    end: int | None


class _OtherLayoutError(Exception):
    """The file is not laid out as Greenlight does it, or is damaged: only reading it whole can tell."""


def scan_backup(
    path: str, prefix: str, shape: type[_Shape], collect: Callable[[bytes, _Values[_Shape]], _Result]
) -> tuple[Head, list[_Result]]:
    """Return what the backup file at path ("-" = standard input) says of itself, and collect(node id, values) of each
    of its parts, in the file's order. Raise BackupError.

    values are (key, value) of each entry that is not deleted, in the file's order; no key is in two parts. A value is
    JSON text, to be decoded or copied before the next one is asked for: its buffer is used again. Or it is decoded
    already, if its key begins with prefix and it has the shape (a msgspec type), which saves a second look at the text.

    Whether the file is good shows only at its end: nothing may come of the values before. collect may be called again
    with the same values, and in another process: it and its result must be picklable.
    """
    scan = _Scan(path, prefix, shape, collect)
    with open_backup(path) as (file, name), no_garbage_collection():
        begin = file.tell()
        try:
            return _scan_in_parts(file, name, scan)
        except _OtherLayoutError:
            file.seek(begin)
        backup = whole_backup(file.read(), name)
        return backup, [collect(backup.node_id, _live(backup.values))]


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep Python from looking for cycles in work that makes none: among many objects it takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _scan_in_parts(file: BufferedReader, name: str, scan: _Scan) -> tuple[Head, list[Any]]:
    begin = file.tell()
    head, line, _ = file.read(_HEAD).partition(_ENTRIES_BEGIN)
    if not line:
        raise _OtherLayoutError
    try:
        backup = parse_backup(head + line + b"}}}", name)
    except FieldError as error:
        raise _OtherLayoutError from error
    begin += len(head + line)
    middle = _middle(file, begin) if scan.path != "-" and os.path.isfile(scan.path) else None
    if middle is None:
        return backup, [_scan_part(file, _Part(begin, None), backup.node_id, scan)[0]]
    second = _Part(middle, None)
    with beside(_scan_again, os.fstat(file.fileno()), second, backup.node_id, scan) as result:
        found, keys = _scan_part(file, _Part(begin, middle), backup.node_id, scan)
        more, more_keys = result() or _scan_part(file, second, backup.node_id, scan)
    if not keys.isdisjoint(more_keys):
        raise _OtherLayoutError
    return backup, [found, more]


def _middle(file: BufferedReader, begin: int) -> int | None:
    """Return where the second half of the entries begins, or None: too small a file, or no cut is found."""
    size = file.seek(0, SEEK_END) - begin
    if size < _LARGE:
        return None
    at = file.seek(begin + size // 2)
    cut = file.read(_PIECE).find(_ENTRY_ENDS)
    return at + cut + len(_ENTRY_ENDS) if cut >= 0 else None


def _scan_again(first: os.stat_result, part: _Part, node_id: bytes, scan: _Scan) -> tuple[Any, set[str]]:
    with open(scan.path, "rb") as file, no_garbage_collection():
        now = os.fstat(file.fileno())
        if not os.path.samestat(first, now) or (first.st_size, first.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
            raise _OtherLayoutError  # another file has got this name meanwhile
        return _scan_part(file, part, node_id, scan)


def _scan_part(file: BufferedReader, part: _Part, node_id: bytes, scan: _Scan) -> tuple[Any, set[str]]:
    """Return what was collected of a part of the file, and its keys."""
    keys: set[str] = set()
    return scan.collect(node_id, _values(_pieces(file, part), scan, keys)), keys


def _pieces(file: BufferedReader, part: _Part) -> Iterator[memoryview]:
    """Yield the entries of a part as JSON objects of some entries each.

    A piece is to be used before the next one is asked for: all lie in one buffer.
    """
    at = file.seek(part.begin)
    buffer = bytearray(_PIECE)
    buffer[0] = ord("{")
    filled = 1
    while True:
        stop = None if part.end is None else filled + part.end - at
        with memoryview(buffer) as view:
            count = file.readinto(view[filled:stop])
        if not count:
            break
        at += count
        filled += count
        end = buffer.rfind(_ENTRY_ENDS, 1, filled)
        if end >= 0:
            comma = end + _ENTRY_ENDS.index(b",")
            buffer[comma : comma + 1] = b"}"
            yield memoryview(buffer)[: comma + 1]
            kept = filled - (end + len(_ENTRY_ENDS))
            buffer[1 : 1 + kept] = buffer[filled - kept : filled]
            filled = 1 + kept
        if len(buffer) - filled < _PIECE // 2:
            buffer = buffer + bytes(len(buffer))
    if part.end is not None:
        return  # it ended with an entry
    last = buffer[:filled].rstrip(_JSON_SPACE)
    if not last.endswith(_ENTRIES_END):
        raise _OtherLayoutError
    yield memoryview(last.removesuffix(_ENTRIES_END) + b"}")


def _live(entries: Mapping[str, Entry[Any]]) -> _Values[Any]:
    return ((key, entry.value) for key, entry in entries.items() if entry.version != TOMBSTONE_VERSION)


def _values(pieces: Iterator[memoryview], scan: _Scan, seen: set[str]) -> _Values[Any]:
    """Yield what the pieces hold; put their keys into seen."""
    decode = _PieceDecoder(scan.prefix, scan.shape).decode
    for piece in pieces:
        entries = decode(piece)
        # An empty last piece stands behind a comma; whole, the file has no entry or is no JSON.
        if not entries or not seen.isdisjoint(entries) or any(entry.version > U64_MAX for entry in entries.values()):
            raise _OtherLayoutError
        seen.update(entries)
        yield from _live(entries)


class _PieceDecoder:
    """Decodes pieces: into the shape, if each key has the prefix and each value the shape; else into JSON texts."""

    def __init__(self, prefix: str, shape: type) -> None:
        self._keys: list[str] = []
        self._prefix = prefix
        self._shaped = msgspec.json.Decoder(dict[Key, Entry[shape]], dec_hook=self._note)  # type: ignore[valid-type]
        self._plain = msgspec.json.Decoder(dict[Key, Entry[msgspec.Raw]], dec_hook=self._note)

    def _note(self, kind: type[Key], key: str) -> Key:
        self._keys.append(key)
        return kind(key)

    def decode(self, piece: memoryview) -> dict[str, Entry[Any]]:
        try:
            if not cast(bytearray, piece.obj).isascii():
                str(piece, "utf-8")
            entries = self._decode_shaped(piece) or self._decode(self._plain, piece)
        except (UnicodeDecodeError, RecursionError, msgspec.MsgspecError) as error:
            raise _OtherLayoutError from error
        if len(self._keys) != len(entries):
            raise _OtherLayoutError  # a key stands twice
        return entries

    def _decode_shaped(self, piece: memoryview) -> dict[str, Entry[Any]] | None:
        try:
            entries = self._decode(self._shaped, piece)
        except (RecursionError, msgspec.MsgspecError):
            return None
        return entries if all(key.startswith(self._prefix) for key in entries) else None

    def _decode(self, decoder: msgspec.json.Decoder[Any], piece: memoryview) -> dict[str, Entry[Any]]:
        self._keys.clear()
        return cast(dict[str, Entry[Any]], decoder.decode(piece))
