"""Checks on pieces of JSON text, shared by both directions of the compact coding."""

from .errors import FormatError


def check_plain(body):
    """Raise FormatError unless body (bytes) may stand between quotes as it is: UTF-8, no control, quote, backslash."""
    if body:
        if min(body) < 0x20 or b'"' in body or b"\\" in body:
            raise FormatError("a character that a JSON string must escape")
        check_utf8(body)


def check_escaped(body):
    """Raise FormatError unless body (bytes) has a backslash and may stand between quotes (RFC 8259 section 7)."""
    if b"\\" not in body:
        raise FormatError("a string without a backslash, marked as one with")
    if min(body) < 0x20:
        raise FormatError("a control character in a JSON string")
    p = 0
    while True:
        at = body.find(b"\\", p)
        if b'"' in body[p : at if at >= 0 else len(body)]:
            raise FormatError("a quote in a JSON string")
        if at < 0:
            break
        c = body[at + 1 : at + 2]
        if c == b"u":
            digits = body[at + 2 : at + 6]
            if len(digits) != 4 or not all(d in b"0123456789abcdefABCDEF" for d in digits):
                raise FormatError("a bad \\u escape")
            p = at + 6
        elif c and c in b'"\\/bfnrt':
            p = at + 2
        else:
            raise FormatError("a bad escape")
    check_utf8(body)


def check_utf8(body):
    """Raise FormatError unless body (bytes) is UTF-8 (RFC 3629)."""
    try:
        str(body, "utf-8")
    except UnicodeError:
        raise FormatError("not UTF-8") from None
    if not body or max(body) < 0x80:
        return
    # MicroPython lets overlong forms, surrogates and code points past 10FFFF through.
    before = 0
    for c in body:
        if (
            c in (0xC0, 0xC1)
            or c > 0xF4
            or (before == 0xE0 and c < 0xA0)
            or (before == 0xED and c > 0x9F)
            or (before == 0xF0 and c < 0x90)
            or (before == 0xF4 and c > 0x8F)
        ):
            raise FormatError("not UTF-8")
        before = c


def is_number(text):
    """Return whether text (bytes) is a JSON number (RFC 8259 section 6)."""
    n = len(text)
    p = 1 if text[:1] == b"-" else 0
    digits = _digits(text, p)
    if not digits or (digits > 1 and text[p] == 0x30):
        return False
    p += digits
    if p < n and text[p] == 0x2E:
        digits = _digits(text, p + 1)
        if not digits:
            return False
        p += 1 + digits
    if p < n and text[p] in b"eE":
        p += 1
        if p < n and text[p] in b"+-":
            p += 1
        digits = _digits(text, p)
        if not digits:
            return False
        p += digits
    return p == n


def _digits(text, p):
    start = p
    n = len(text)
    while p < n and 0x30 <= text[p] <= 0x39:
        p += 1
    return p - start
