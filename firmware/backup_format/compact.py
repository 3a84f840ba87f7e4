"""The compact coding of one state value: canonical JSON text to a CBOR subset (RFC 8949) and back, byte for byte.

FORMAT.md, "Values", is the specification. Both directions work on bytes and keep an explicit stack: no tree of the
value is ever built, nothing recurses, and no number is converted to a float.
"""

from binascii import hexlify, unhexlify

from .errors import FormatError
from .names import NAMES
from .port import const
from .textcheck import check_escaped, check_plain, is_number

MAX_TEXT = const(1 << 20)  # bytes of JSON text that a value may have, both ways
MAX_DEPTH = const(512)  # arrays and objects inside each other; serde_json itself reads 127

_REPEAT = b"\xc6"  # tag 6, unsigned n: the array item before this one, n more times
_NUMBER = b"\xc7"  # tag 7, text: a number that is no integer in -2^63 ... 2^64-1, as written
_ESCAPED = b"\xc8"  # tag 8, text: a string with backslashes, as written between its quotes
_SECRET = b"\xc9"  # tag 9, bytes: [[32 byte values], index], as secret and 2^48 - index (shachain item of VLS)
_BYTES = b"\xd8\x40"  # tag 64 (RFC 8746), bytes: an array of integers 0 ... 255
_HEX_DIGITS = b"0123456789abcdef"
_INDEX_BASE = const(1 << 48)
_FLUSH = const(48)  # parts gathered before they go to the sink: some 300 bytes

_codes = {name: code for code, name in enumerate(NAMES)}


def head(major, n):
    """Return the CBOR head of major type 0 ... 7 with argument n (0 ... 2^64-1), in its shortest form."""
    major <<= 5
    if n < 24:
        return bytes((major | n,))
    if n < 0x100:
        return bytes((major | 24, n))
    if n < 0x10000:
        return bytes((major | 25, n >> 8, n & 0xFF))
    if n < 0x100000000:
        return bytes((major | 26,)) + n.to_bytes(4, "big")
    return bytes((major | 27,)) + n.to_bytes(8, "big")


def encode(text):
    """Return the compact coding of text: one canonical JSON value as bytes, at most MAX_TEXT. Raises FormatError."""
    parts = []
    encode_to(text, parts.append)
    return b"".join(parts)


def encode_to(text, sink):
    """Code text (bytes: one JSON value without spaces), handing pieces of some hundred bytes to sink(bytes).

    Raises FormatError when text is not JSON, has white space between tokens, is longer than MAX_TEXT or nested deeper
    than MAX_DEPTH.
    """
    if len(text) > MAX_TEXT:
        raise FormatError("value of %d bytes; at most %d" % (len(text), MAX_TEXT))
    try:
        _encode(text, sink)
    except IndexError:
        raise FormatError("JSON value ends too early") from None


def _encode(text, sink):
    parts = []
    stack = []  # an open array: where its current item starts; an open object: -1
    p = 0
    while True:
        if len(parts) > _FLUSH:
            sink(b"".join(parts))
            parts.clear()
        if len(stack) > MAX_DEPTH:
            raise FormatError("more than %d arrays and objects inside each other" % MAX_DEPTH)
        c = text[p]
        if c == 0x22:
            p = _string(text, p, parts)
        elif c == 0x7B:
            if text[p + 1] == 0x7D:
                parts.append(b"\xa0")
                p += 2
            else:
                parts.append(b"\xbf")
                stack.append(-1)
                p = _key(text, p + 1, parts)
                continue
        elif c == 0x5B:
            end = _short_array(text, p, parts)
            if not end:
                parts.append(b"\x9f")
                p += 1
                stack.append(p)
                continue
            p = end
        elif c == 0x74 and text[p : p + 4] == b"true":
            parts.append(b"\xf5")
            p += 4
        elif c == 0x66 and text[p : p + 5] == b"false":
            parts.append(b"\xf4")
            p += 5
        elif c == 0x6E and text[p : p + 4] == b"null":
            parts.append(b"\xf6")
            p += 4
        else:
            p = _number(text, p, parts)
        # A value has ended at p: close what closes here, then go on to the next value.
        while stack:
            c = text[p]
            if stack[-1] < 0:
                if c == 0x2C:
                    p = _key(text, p + 1, parts)
                    break
                if c != 0x7D:
                    raise FormatError("expected , or } at byte %d" % p)
            elif c == 0x2C:
                p = _repeats(text, stack, p, parts)
                if text[p] == 0x2C:
                    p += 1
                    stack[-1] = p
                    break
                continue
            elif c != 0x5D:
                raise FormatError("expected , or ] at byte %d" % p)
            parts.append(b"\xff")
            stack.pop()
            p += 1
        else:
            if p != len(text):
                raise FormatError("more than one JSON value: byte %d" % p)
            sink(b"".join(parts))
            return


def _repeats(text, stack, p, parts):
    """At the comma p: count the items that follow and equal the item that ended here. Return where they end."""
    start = stack[-1]
    n = p - start
    item = None
    count = 0
    while text[p] == 0x2C and text[p + 1] == text[start] and text[p + 1 + n : p + 2 + n] in (b",", b"]"):
        if item is None:
            item = text[start : start + n]
        if text[p + 1 : p + 1 + n] != item:
            break
        count += 1
        p += 1 + n
    if count * n < 8:  # a tag costs as much as it saves
        return start + n
    parts.append(_REPEAT)
    parts.append(head(0, count))
    stack[-1] = p - n
    return p


def _string_end(text, p):
    """Return the position of the quote that ends the string whose first character is at p."""
    end = text.find(b'"', p)
    while end > p and text[end - 1] == 0x5C:
        backslashes = 1
        while end - 1 - backslashes >= p and text[end - 1 - backslashes] == 0x5C:
            backslashes += 1
        if not backslashes & 1:
            break
        end = text.find(b'"', end + 1)
    if end < 0:
        raise FormatError("string without an end at byte %d" % p)
    return end


def _string(text, p, parts):
    """Code the string whose opening quote is at p; return the position after it."""
    end = _string_end(text, p + 1)
    _string_body(text[p + 1 : end], parts)
    return end + 1


def _string_body(body, parts):
    n = len(body)
    if n and not n & 1 and body[0] in _HEX_DIGITS:
        try:
            raw = unhexlify(body)
        except ValueError:
            raw = b""
        if hexlify(raw) == body:  # upper case is not hex here: it would come back in lower case
            parts.append(head(2, n >> 1))
            parts.append(raw)
            return
    if b"\\" in body:
        check_escaped(body)
        parts.append(_ESCAPED)
    else:
        check_plain(body)
    parts.append(head(3, n))
    parts.append(body)


def _key(text, p, parts):
    """Code the field name whose opening quote should be at p; return the position of its value."""
    if text[p] != 0x22:
        raise FormatError("expected a field name at byte %d" % p)
    end = _string_end(text, p + 1)
    if text[end + 1] != 0x3A:
        raise FormatError("expected : at byte %d" % (end + 1))
    name = text[p + 1 : end]
    code = _codes.get(name)
    if code is None:
        _string_body(name, parts)
    else:
        parts.append(head(0, code))
    return end + 2


def _byte_values(text):
    """Return the bytes that text lists as decimal integers 0 ... 255 between commas, or None."""
    try:
        values = bytes(map(int, text.split(b",")))
    except (ValueError, OverflowError):
        return None
    # Back to text: int() takes spaces and zeros in front, and MicroPython wraps 256.
    return values if ",".join(map(str, values)).encode() == text else None


def _short_array(text, p, parts):
    """Code the array at p whole if it is empty, lists byte values or is a shachain item; return its end, or 0."""
    c = text[p + 1]
    if c == 0x5D:
        parts.append(b"\x80")
        return p + 2
    if 0x30 <= c <= 0x39:
        end = text.find(b"]", p)
        values = _byte_values(text[p + 1 : end])
        if values is None:
            return 0
        parts.append(_BYTES)
        parts.append(head(2, len(values)))
        parts.append(values)
        return end + 1
    if c == 0x5B and 0x30 <= text[p + 2] <= 0x39:
        inner = text.find(b"]", p)
        if not 65 <= inner - p <= 131 or text[inner + 1] != 0x2C:
            return 0
        end = text.find(b"]", inner + 1)
        number = text[inner + 2 : end]
        if not 0 < len(number) <= 15 or not is_number(number) or number[0] == 0x2D:
            return 0
        try:
            index = _INDEX_BASE - int(number)
        except ValueError:
            return 0
        secret = _byte_values(text[p + 2 : inner])
        if secret is None or len(secret) != 32 or index < 0:
            return 0
        tail = index.to_bytes(7, "big").lstrip(b"\0")
        parts.append(_SECRET)
        parts.append(head(2, 32 + len(tail)))
        parts.append(secret)
        parts.append(tail)
        return end + 1
    return 0


def _number(text, p, parts):
    """Code the number at p; return the position after it."""
    end = p
    n = len(text)
    while end < n and text[end] not in b",]}":
        end += 1
    number = text[p:end]
    if not is_number(number):
        raise FormatError("no JSON value at byte %d" % p)
    if len(number) <= 20:
        try:
            value = int(number)
        except ValueError:
            value = None
        if value is not None and -(1 << 63) <= value < 1 << 64 and number != b"-0":
            parts.append(head(0, value) if value >= 0 else head(1, -1 - value))
            return end
    parts.append(_NUMBER)
    parts.append(head(3, len(number)))
    parts.append(number)
    return end
