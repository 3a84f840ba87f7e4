"""Atoms of the compact coding: strings, numbers, arrays of byte values, and what equals the item before it."""

from binascii import hexlify, unhexlify

from .cbor import head
from .errors import FormatError
from .port import const
from .textcheck import check_escaped, check_plain, is_number

MAX_ITEM = const(1024)  # bytes of text of a number, of an array of byte values, of an array item that is repeated

_INDEX_BASE = const(1 << 48)
_SECRET = const(132)  # bytes that [[ and 32 byte values and ] take, and some more
_INDEX = const(16)  # bytes that 2^48 and ] take
_HEX_DIGITS = b"0123456789abcdef"


def string_end(text, p):
    """Return the position of the quote that ends the string whose opening quote is at p, or -1: not in text yet."""
    p += 1
    end = text.find(b'"', p)
    while end > p and text[end - 1] == 0x5C:
        backslashes = 1
        while end - 1 - backslashes >= p and text[end - 1 - backslashes] == 0x5C:
            backslashes += 1
        if not backslashes & 1:
            break
        end = text.find(b'"', end + 1)
    return end


def put_string(out, body):
    """Code a string of which body (bytes) stands between the quotes, into out (bytearray). Raises FormatError."""
    n = len(body)
    if n and not n & 1 and body[0] in _HEX_DIGITS:
        try:
            raw = unhexlify(body)
        except ValueError:
            raw = b""
        if hexlify(raw) == body:  # upper case is not hex here: it would come back in lower case
            n >>= 1
            if n < 24:
                out.append(0x40 | n)
            elif n < 0x100:
                out.append(0x58)
                out.append(n)
            else:
                out += head(2, n)
            out += raw
            return
    if b"\\" in body:
        check_escaped(body)
        out.append(0xC8)  # tag 8
    else:
        check_plain(body)
    out += head(3, n)
    out += body


def put_number(out, number):
    """Code a number of a JSON text (bytes) into out (bytearray). Raises FormatError if it is none."""
    if len(number) > MAX_ITEM or not is_number(number):
        raise FormatError("no JSON value: " + repr(number[:20]))
    if len(number) <= 20:
        try:
            value = int(number)
        except ValueError:
            value = None
        if value is not None and -(1 << 63) <= value < 1 << 64 and number != b"-0":
            out += head(0, value) if value >= 0 else head(1, -1 - value)
            return
    out.append(0xC7)  # tag 7
    out += head(3, len(number))
    out += number


def byte_values(array):
    """Return the bytes that array (JSON text, bytes, from a [ to the first ]) lists as decimals 0 ... 255, or None."""
    try:
        values = bytes(map(int, array[1:-1].split(b",")))
    except (ValueError, OverflowError):
        return None
    # Back to text: int() takes spaces and zeros in front, and MicroPython wraps 256.
    return values if byte_list(values) == array else None


def byte_list(values):
    """Return the JSON text (bytes) of an array of the values (bytes)."""
    return str(list(values)).replace(" ", "").encode()


def short_array(text, p, out):
    """Code the array at p whole if it is empty, lists byte values or is a shachain item; return its end, or 0.

    out: bytearray. Raises IndexError when text is too short to tell.
    """
    c = text[p + 1]
    if c == 0x5D:
        out.append(0x80)
        return p + 2
    if 0x30 <= c <= 0x39:
        end = _bracket(text, p, MAX_ITEM)
        values = byte_values(text[p : end + 1]) if end else None
        if values is None:
            return 0
        out += b"\xd8\x40"  # tag 64
        out += head(2, len(values))
        out += values
        return end + 1
    if c == 0x5B and 0x30 <= text[p + 2] <= 0x39:
        inner = _bracket(text, p, _SECRET)
        if not inner or text[inner + 1] != 0x2C or not 0x30 <= text[inner + 2] <= 0x39:
            return 0
        end = _bracket(text, inner + 2, _INDEX)
        number = text[inner + 2 : end]
        if not number.isdigit() or (number[0] == 0x30 and len(number) > 1):
            return 0
        index = _INDEX_BASE - int(number)
        secret = byte_values(text[p + 1 : inner + 1])
        if secret is None or len(secret) != 32 or index < 0:
            return 0
        tail = index.to_bytes(7, "big").lstrip(b"\0")
        out += bytes((0xC9, 0x58, 32 + len(tail)))  # tag 9
        out += secret
        out += tail
        return end + 1
    return 0


def _bracket(text, p, size):
    """Return the position of the first ] in the size bytes from p, or 0. Raises IndexError when text is too short."""
    end = text.find(b"]", p, p + size)
    if end < 0:
        if len(text) < p + size:
            raise IndexError
        return 0
    return end


def follows(text, start, p, count):
    """Return whether the item text[start:p] follows count more times behind the comma at p.

    Raises IndexError when text is too short to tell.
    """
    end = p + count * (p - start + 1)
    if end < len(text) and text[end] not in b",]":
        return False
    item = text[start:p]
    if count > 1:
        item = b",".join([item] * count)
    if end < len(text):
        return text.startswith(item, p + 1)
    if item.startswith(text[p + 1 :]):
        raise IndexError
    return False
