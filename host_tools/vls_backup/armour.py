"""Reads the text in which a board prints a snapshot without this tool (firmware/signer_backup/armour.py)."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode

from backup_format.errors import FormatError
from backup_format.units import UNIT_HEADER, parse_unit_header
from vls_backup.errors import FieldError
from vls_backup.snapshots import Place, decode_units, to_backup_file

# Possessive, and in two: one pattern for all of it would try each run of blanks in every way.
_HEAD = re.compile(rb"-----BEGIN VLS BACKUP-----\s++Snapshot: (\d{1,10})\s++Log-End: (\d{1,10})\s")
_TAIL = re.compile(rb"\n=([0-9a-f]{64})\s++-----END VLS BACKUP-----")
_AGAIN = "copy the whole text from the board again, from the line that begins it to the line that ends it"


def backup_file(text: bytes) -> bytes:
    """Return the version-1 backup file of the snapshot in text; what stands before and behind it is ignored.

    Raises FieldError if a line of it is damaged or missing.
    """
    head = _HEAD.search(text)
    tail = _TAIL.search(text, head.end() - 1) if head else None
    if head is None or tail is None:
        raise FieldError("", f"is no whole armoured backup: a line is damaged, or its end is missing: {_AGAIN}")
    number, end = head.groups()
    data = b"".join(_line(line) for line in text[head.end() : tail.start()].split())
    if hashlib.sha256(data).hexdigest().encode() != tail[1]:
        raise FieldError("", f"is damaged: a line is missing or was changed (its checksum differs): {_AGAIN}")
    try:
        header = parse_unit_header(data[:UNIT_HEADER])
        if header is None:
            raise FormatError("it begins with no erase unit")
        size = header.erase_size
        place = Place(int(number), header.arena, int(end), size, header.program_size, [])
        return to_backup_file(decode_units([data[at : at + size] for at in range(0, len(data), size)], place))
    except FormatError as error:
        raise FieldError("", f"holds a damaged snapshot: {error}") from error


def _line(line: bytes) -> bytes:
    try:
        return b64decode(line, validate=True)
    except ValueError as error:
        raise FieldError("", f"is damaged in the line {line.decode(errors='replace')[:80]}: {_AGAIN}") from error
