"""Checks of single fields: hex of a fixed length, points on secp256k1."""

from functools import cache

import coincurve
import msgspec

from vls_backup.errors import FieldError


def bytes_from_hex(field: str, text: str, size: int) -> bytes:
    """Return the size bytes that text names in hex (either case), or raise FieldError for this field."""
    if len(text) != 2 * size:
        raise FieldError(field, f"must be {2 * size} hex characters ({size} bytes), found {len(text)}")
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != size:  # fromhex skips blanks between bytes
        raise FieldError(field, "holds something that is not hex")
    return data


@cache  # a peer stands in the keys of its channels and of its own entry
def is_point(data: bytes) -> bool:
    """Tell whether data is a compressed point on secp256k1 (33 bytes)."""
    if len(data) != 33:
        return False
    try:
        coincurve.PublicKey(data)
    except ValueError:
        return False
    return True


def point_from_hex(field: str, text: str) -> bytes:
    """Return the 33-byte compressed point that text names in hex, or raise FieldError."""
    data = bytes_from_hex(field, text, 33)
    if not is_point(data):
        raise FieldError(field, "is not a point on the curve secp256k1")
    return data


def laid_out(value: bytes, indent: int) -> bytes:
    """Return the JSON text value with other blanks between its tokens: indent columns per level, or -1 for none.

    Raise FieldError for what is no JSON, and for what msgspec does not take: deep nesting, half a surrogate pair.
    """
    try:
        value.decode()
        return msgspec.json.format(value, indent=indent)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FieldError("", f"its value is no JSON text: {error}") from error
    except RecursionError:
        raise FieldError("", "its value is JSON nested too deeply") from None
