"""The way back from the compact coding: a CBOR subset to the canonical JSON text that it was made from."""

from binascii import hexlify

from .compact import MAX_DEPTH, MAX_TEXT
from .errors import FormatError
from .names import NAMES
from .port import const
from .textcheck import check_escaped, check_plain, is_number

_INDEX_BASE = const(1 << 48)


def read_head(data, p):
    """Return (major type, argument, next position) of the CBOR head at p of data.

    The argument is -1 for an indefinite length or a break. Raises FormatError for a head that is cut off, reserved or
    not in its shortest form.
    """
    if p >= len(data):
        raise FormatError("coded value ends too early")
    first = data[p]
    n = first & 0x1F
    p += 1
    if n < 24:
        return first >> 5, n, p
    if n == 31:
        return first >> 5, -1, p
    if n > 27:
        raise FormatError("reserved head at byte %d" % (p - 1))
    size = 1 << (n - 24)
    if p + size > len(data):
        raise FormatError("coded value ends too early")
    n = int.from_bytes(data[p : p + size], "big")
    if n < 24 or (size > 1 and not n >> (4 * size)):
        raise FormatError("head not in its shortest form at byte %d" % (p - 1))
    return first >> 5, n, p + size


def read_string(data, p, major):
    """Return (content, next position) of the byte (major 2) or text (major 3) string at p. Raises FormatError."""
    kind, n, p = read_head(data, p)
    if kind != major or n < 0 or p + n > len(data):
        raise FormatError("a string is missing or cut off")
    return bytes(data[p : p + n]), p + n


class _Text:
    """JSON text in pieces, never longer than MAX_TEXT."""

    def __init__(self):
        self.parts = []
        self.size = 0

    def add(self, piece):
        self.size += len(piece)
        if self.size > MAX_TEXT:
            raise FormatError("value of more than %d bytes" % MAX_TEXT)
        self.parts.append(piece)


def decode(data):
    """Return the JSON text (bytes) whose compact coding is data (bytes). Raises FormatError for anything else."""
    text = _Text()
    # An open array: [index of its current item in text.parts, items so far]; an open object: [-1, fields so far].
    stack = []
    p = 0
    while True:
        opened = False
        first = data[p] if p < len(data) else 0
        if first == 0xFF:
            if not stack:
                raise FormatError("a break outside of arrays and objects")
            top = stack.pop()
            if not top[1]:
                raise FormatError("an empty array or object of indefinite length")
            text.add(b"}" if top[0] < 0 else b"]")
            p += 1
        elif first == 0xC6:
            p = _repeat(data, p, text, stack)
        else:
            if stack:
                p = _before_item(data, p, text, stack[-1])
                first = data[p] if p < len(data) else 0
            if first in (0x9F, 0xBF):
                text.add(b"{" if first == 0xBF else b"[")
                stack.append([-1 if first == 0xBF else len(text.parts), 0])
                if len(stack) > MAX_DEPTH:
                    raise FormatError("more than %d arrays and objects inside each other" % MAX_DEPTH)
                p += 1
                opened = True
            else:
                p = _item(data, p, text)
        if not opened and not stack:
            if p != len(data):
                raise FormatError("bytes after the coded value")
            return b"".join(text.parts)


def _before_item(data, p, text, top):
    """Write what stands between two items: a comma, and in an object the field name. Return the value's position."""
    if top[1]:
        text.add(b",")
    top[1] += 1
    if top[0] >= 0:
        top[0] = len(text.parts)
        return p
    major, n, after = read_head(data, p)
    if major == 0:
        if n >= len(NAMES):
            raise FormatError("unknown field name %d: written by a newer version?" % n)
        text.add(b'"')
        text.add(NAMES[n])
        text.add(b'":')
        return after
    if major not in (2, 3) and data[p] != 0xC8:
        raise FormatError("a field name that is no string")
    p = _item(data, p, text)
    text.add(b":")
    return p


def _repeat(data, p, text, stack):
    if not stack or stack[-1][0] < 0 or not stack[-1][1]:
        raise FormatError("a repeat without an item before it")
    major, n, p = read_head(data, p + 1)
    if major or n < 1:
        raise FormatError("a repeat without a count")
    if stack[-1][0] == len(text.parts):
        raise FormatError("two repeats in a row")
    item = b"," + b"".join(text.parts[stack[-1][0] :])
    if text.size + n * len(item) > MAX_TEXT:
        raise FormatError("value of more than %d bytes" % MAX_TEXT)
    text.add(item * n)
    stack[-1][0] = len(text.parts)
    return p


def _item(data, p, text):
    """Write the one value at p that is no open array or object. Return the next position."""
    major, n, after = read_head(data, p)
    if major <= 1:
        if n < 0 or (major and n >> 63):
            raise FormatError("an integer out of range")
        text.add(str(-1 - n if major else n).encode())
    elif major <= 3:
        body, after = read_string(data, p, major)
        if major == 2:
            if not body:
                raise FormatError("empty hex")
            body = hexlify(body)
        else:
            check_plain(body)
        text.add(b'"')
        text.add(body)
        text.add(b'"')
    elif data[p] == 0x80:
        text.add(b"[]")
    elif data[p] == 0xA0:
        text.add(b"{}")
    elif major == 6:
        after = _tagged(n, data, after, text)
    elif data[p] in (0xF4, 0xF5, 0xF6):
        text.add((b"false", b"true", b"null")[n - 20])
    else:
        raise FormatError("unknown item at byte %d" % p)
    return after


def _tagged(tag, data, p, text):
    if tag == 7 or tag == 8:
        body, p = read_string(data, p, 3)
        if tag == 7:
            if not is_number(body):
                raise FormatError("no number")
            text.add(body)
        else:
            check_escaped(body)
            text.add(b'"')
            text.add(body)
            text.add(b'"')
        return p
    if tag != 9 and tag != 64:
        raise FormatError("unknown tag %d" % tag)
    body, p = read_string(data, p, 2)
    if tag == 64:
        if not body:
            raise FormatError("an empty list of byte values")
        text.add(("[" + ",".join(map(str, body)) + "]").encode())
        return p
    if not 32 <= len(body) <= 39 or body[32:33] == b"\0":
        raise FormatError("a shachain item of %d bytes" % len(body))
    index = _INDEX_BASE - int.from_bytes(body[32:], "big")
    if index < 0:
        raise FormatError("a shachain index out of range")
    text.add(("[[" + ",".join(map(str, body[:32])) + "]," + str(index) + "]").encode())
    return p
