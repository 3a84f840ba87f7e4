"""Reads a backup file of any size piece by piece, if it is laid out as Greenlight writes it; else whole.

Greenlight's layout is serde_json's, 2 spaces: the entries of state.values follow one line, and each ends in one of its
own. The file is cut at such lines, and each piece is decoded as an object of its own. No wrong cut goes through: a
piece is whole JSON only if its brackets balance, so each one begins and ends between two entries if the one before did.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from typing import Any, TypeVar, cast

import msgspec

from vls_backup.backup_file import (
    TOMBSTONE_VERSION,
    U64_MAX,
    Entry,
    Head,
    Key,
    open_backup,
    parse_backup,
    whole_backup,
)
from vls_backup.errors import FieldError

_ENTRIES_BEGIN = b'  "state": {\n    "values": {\n'
_ENTRY_ENDS = b"\n      ],\n"
_ENTRIES_END = b"\n    }\n  }\n}"
_JSON_SPACE = b" \t\r\n"
_PIECE = 1 << 18  # bytes: some 10 channels, which stay in the processor's cache

_Shape = TypeVar("_Shape")
_Result = TypeVar("_Result")
_Values = Iterator[tuple[str, Any]]


class _OtherLayoutError(Exception):
    """The file is not laid out as Greenlight does it, or is damaged: only reading it whole can tell."""


def scan_backup(
    path: str,
    prefix: str,
    shape: type[_Shape],
    collect: Callable[[Head, Iterator[tuple[str, _Shape | msgspec.Raw]]], _Result],
) -> _Result:
    """Return collect(head, values) of the backup file at path ("-" = standard input). Raise BackupError.

    values are (key, value) of each entry that is not deleted, in the file's order. A value is JSON text, to be decoded
    or copied before the next one is asked for: its buffer is used again. Or it is decoded already, if its key begins
    with prefix and it has the shape (a msgspec type), which saves a second look at the text.

    Whether the file is good shows only at its end: nothing may come of the values before collect returns. It may be
    called twice.
    """
    with open_backup(path) as (file, name), no_garbage_collection():
        begin = file.tell()
        try:
            return collect(*_stream(file, name, prefix, shape))
        except _OtherLayoutError:
            file.seek(begin)
        backup = whole_backup(file.read(), name)
        return collect(backup, _live(backup.values))


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


def _stream(file: BufferedReader, name: str, prefix: str, shape: type) -> tuple[Head, _Values]:
    block = file.read(_PIECE)
    head, line, rest = block.partition(_ENTRIES_BEGIN)
    if not line:
        raise _OtherLayoutError
    try:
        return parse_backup(head + line + b"}}}", name), _values(_pieces(file, rest), prefix, shape)
    except FieldError as error:
        raise _OtherLayoutError from error


def _pieces(file: BufferedReader, rest: bytes) -> Iterator[memoryview]:
    """Yield the entries of values as JSON objects of some entries each; rest: what was read of them already.

    A piece is to be used before the next one is asked for: all lie in one buffer.
    """
    buffer = bytearray(b"{" + rest)
    filled = len(buffer)
    while True:
        if len(buffer) - filled < _PIECE:
            buffer = buffer + bytes(max(_PIECE, len(buffer)))
        with memoryview(buffer) as view:
            count = file.readinto(view[filled:])
        if not count:
            break
        filled += count
        end = buffer.rfind(_ENTRY_ENDS, 1, filled)
        if end >= 0:
            comma = end + _ENTRY_ENDS.index(b",")
            buffer[comma : comma + 1] = b"}"
            yield memoryview(buffer)[: comma + 1]
            kept = filled - (end + len(_ENTRY_ENDS))
            buffer[1 : 1 + kept] = buffer[filled - kept : filled]
            filled = 1 + kept
    last = buffer[:filled].rstrip(_JSON_SPACE)
    if not last.endswith(_ENTRIES_END):
        raise _OtherLayoutError
    yield memoryview(last.removesuffix(_ENTRIES_END) + b"}")


def _live(entries: Mapping[str, Entry[Any]]) -> _Values:
    return ((key, entry.value) for key, entry in entries.items() if entry.version != TOMBSTONE_VERSION)


def _values(pieces: Iterator[memoryview], prefix: str, shape: type) -> _Values:
    decode = _PieceDecoder(prefix, shape).decode
    seen: set[str] = set()
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
