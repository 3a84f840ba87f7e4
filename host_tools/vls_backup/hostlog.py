"""The journal's log (backup_format/log.py) with a search behind damage that takes no longer the more damage there is.

Behind damage any byte may begin a record, and each such guess has to be held against its CRC: of up to 16 MiB, for each
byte. A board has no room for anything else; here the CRCs of the log's beginnings are kept, and the CRC of any part
follows from two of them: CRC-32 is linear, so crc(A + B) = shift(crc(A), length of B) ^ crc(B), where shift multiplies
by x^(8 n) modulo the CRC's polynomial (as zlib's crc32_combine does).
"""

from __future__ import annotations

from binascii import crc32
from bisect import bisect_right
from typing import Any

from backup_format.errors import FormatError
from backup_format.log import Log
from backup_format.records import RECORD_HEADER, record_crc
from backup_format.units import UNIT_HEADER

_POLYNOMIAL = 0xEDB88320  # bits reflected: the highest one stands for x^0
_ONE = 1 << 31
_INVERTED = 0xFFFFFFFF
_STEP = 4096  # bytes between two beginnings whose CRC is kept
_ZEROS = bytes(_STEP)
_POWERS = [_ONE, crc32(_ZEROS, _ONE ^ _INVERTED) ^ _INVERTED]  # x^(8 _STEP n) for each n, as far as needed

_UntypedLog: Any = Log


class HostLog(_UntypedLog):  # type: ignore[misc]
    """A Log; from the first damage on it knows of each guess at once whether its CRC is right."""

    _parts: tuple[list[int], list[_Part]] | None = None

    def check(self, position: int) -> tuple[int, int, int]:
        """As Log's: return (kind, length, fingerprint). Raises FormatError."""
        if self._parts:
            kind, length, crc = self.plausible(position)
            begin = position + RECORD_HEADER
            part = self._parts[1][bisect_right(self._parts[0], begin) - 1]
            if begin + length > part.end:
                raise FormatError(f"log position {part.end} is not on the medium")
            before = record_crc(self.arena, position, kind, length) ^ part.crc(self, begin)
            if _shift(before, length) ^ part.crc(self, begin + length) != crc:
                raise FormatError(f"damaged record at log position {position}")
        checked: tuple[int, int, int] = super().check(position)
        return checked

    def _resync(self, position: int) -> int:
        if self._parts is None:
            parts = _parts(self)
            self._parts = [part.begin for part in parts], parts
        found: int = super()._resync(position)
        return found


class _Part:
    """What lies in a log from position begin to end without a gap."""

    def __init__(self, begin: int) -> None:
        self.begin = self.end = begin
        self._crcs = [0]  # of the part's first 0, _STEP, 2 _STEP … bytes
        self._last = 0  # of all of it

    def append(self, data: bytes) -> None:
        """Go on with data."""
        view = memoryview(data)
        while view:
            piece = view[: _STEP - (self.end - self.begin) % _STEP]
            self._last = crc32(piece, self._last)
            self.end += len(piece)
            if (self.end - self.begin) % _STEP == 0:
                self._crcs.append(self._last)
            view = view[len(piece) :]

    def crc(self, log: Any, position: int) -> int:
        """Return the CRC of the part up to position."""
        step, rest = divmod(position - self.begin, _STEP)
        data = bytearray(rest)
        log.read(position - rest, data)
        return crc32(data, self._crcs[step])


def _parts(log: Any) -> list[_Part]:
    parts: list[_Part] = []
    units = list(log.places())
    for (start, unit), (following, _) in zip(units, [*units[1:], (log.end(), 0)], strict=True):
        if not parts or start != parts[-1].end:
            parts.append(_Part(start))
        data = bytearray(min(following - start, log.erase_size - UNIT_HEADER))
        log.read_into(unit * log.erase_size + UNIT_HEADER, data)
        parts[-1].append(bytes(data))
    return parts


def _shift(crc: int, length: int) -> int:
    """Return the CRC of what has crc, followed by length zero bytes, without CRC-32's inversions."""
    steps, rest = divmod(length, _STEP)
    while len(_POWERS) <= steps:
        _POWERS.append(_times(_POWERS[1], _POWERS[-1]))
    if steps:
        crc = _times(_POWERS[steps], crc)
    return crc32(_ZEROS[:rest], crc ^ _INVERTED) ^ _INVERTED


def _times(a: int, b: int) -> int:
    """Return a times b modulo the polynomial."""
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = a << 1 & 0xFFFFFFFF
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product
