"""The way back from the compact coding: a CBOR subset to the canonical JSON text that it was made from."""

from binascii import hexlify

from .atoms import MAX_ITEM, byte_list
from .cbor import peek_head
from .compact import MAX_DEPTH, MAX_TEXT
from .errors import FormatError
from .names import NAMES
from .port import const
from .textcheck import check_escaped, check_plain, is_number

_PIECE = const(256)  # bytes of text that are gathered before they are yielded
_INDEX_BASE = const(1 << 48)

# What stands at the next position of the coded value.
_VALUE = const(0)
_FIELD = const(1)  # a field name, or the end of an object
_ITEM = const(2)  # an item of an array, a repeat, or its end

# Where a value stands; in an array: the position in the text at which its current item begins, 0 or more.
_OBJECT = const(-1)
_TOP = const(-2)
_REPEATED = const(-3)  # in an array, behind a repeat

_SIMPLE = {0xF4: b"false", 0xF5: b"true", 0xF6: b"null", 0x80: b"[]", 0xA0: b"{}"}


def decode(data):
    """Return the JSON text (bytes) whose compact coding is data (bytes). Raises FormatError for anything else."""
    return b"".join(expand((data,)))


def expand(chunks):
    """Yield the JSON text, in pieces of some hundred bytes, whose compact coding chunks yields in pieces of any size.

    A chunk (bytes or memoryview) may be overwritten when the next one is asked for. Raises FormatError when that is no
    coding of a value; what was yielded is void then. In RAM are the string that is being read and, for repeats, the
    text of the item before it: some 3 KB unless a string is longer.
    """
    chunks = iter(chunks)
    data = b""  # a window of the coded value
    p = 0
    want = 0  # the length that the window must have at least
    out = bytearray()  # the end of the text
    append = out.append
    base = 0  # where in the text it begins
    full = _PIECE
    sent = 0  # position in out
    state = _VALUE
    stack = []
    top = _TOP
    empty = False  # nothing stands in this array or object yet
    count = 0  # how often item is still to be written
    item = None
    done = False
    while not done:
        parts = [data[p:]]
        want -= p
        have = len(parts[0])
        want = max(want, have + 1)
        for chunk in chunks:
            parts.append(bytes(chunk))
            have += len(chunk)
            if have >= want:
                break
        else:
            raise FormatError("coded value ends too early")
        data = b"".join(parts)
        parts = chunk = None
        p = 0
        want = 0
        try:
            while True:
                if len(out) > full:
                    if base + len(out) > MAX_TEXT:
                        raise FormatError("value of more than %d bytes" % MAX_TEXT)
                    yield bytes(memoryview(out)[sent:])
                    sent = len(out)
                    if sent > MAX_ITEM + _PIECE:
                        # What is still needed: the text from the first open item on that may yet be repeated.
                        keep = base + sent
                        for start in stack + [top]:
                            if start >= 0 and base + sent - start <= MAX_ITEM:
                                keep = start
                                break
                        out = out[keep - base :]
                        base = keep
                        sent = len(out)
                    append = out.append
                    full = sent + _PIECE
                if count:
                    n = min(count, 1 + _PIECE // len(item))
                    out += item * n
                    count -= n
                    continue
                c = data[p]
                if state != _VALUE:
                    if c == 0xFF:
                        if empty:
                            raise FormatError("an empty array or object of indefinite length")
                        append(0x7D if top == _OBJECT else 0x5D)
                        p += 1
                        top = stack.pop()
                        if top == _TOP:
                            done = True
                            break
                        state = _FIELD if top == _OBJECT else _ITEM
                        continue
                    if state == _FIELD:
                        body = None
                        if c < 0x18:
                            end = p + 1
                        elif c == 0x18:
                            c = data[p + 1]
                            end = p + 2
                            if c < 24 or c >= len(NAMES):
                                raise FormatError("unknown field name %d: written by a newer version?" % c)
                        else:
                            if c >> 5 not in (2, 3) and c != 0xC8:
                                raise FormatError("a field name that is no string")
                            body, end = _string(data, p)
                            if body is None:
                                want = end
                                break
                        if empty:
                            empty = False
                        else:
                            append(0x2C)
                        if body is None:
                            append(0x22)
                            out += NAMES[c]
                            out += b'":'
                        else:
                            out += body
                            append(0x3A)
                        p = end
                        state = _VALUE
                        continue
                    if c == 0xC6:
                        major, n, end = peek_head(data, p + 1)
                        if major or n < 1:
                            raise FormatError("a repeat without a count")
                        if empty or top == _REPEATED:
                            raise FormatError("a repeat without an item before it")
                        item = base + len(out) - top
                        if item > MAX_ITEM:
                            raise FormatError("a repeat of an item of more than %d bytes" % MAX_ITEM)
                        if base + len(out) + n * (item + 1) > MAX_TEXT:
                            raise FormatError("value of more than %d bytes" % MAX_TEXT)
                        item = b"," + bytes(memoryview(out)[top - base :])
                        count = n
                        top = _REPEATED
                        p = end
                        continue
                    if empty:
                        empty = False
                    else:
                        append(0x2C)
                    top = base + len(out)
                    state = _VALUE
                if c < 0x18:
                    if c < 10:
                        append(0x30 + c)
                    else:
                        out += str(c).encode()
                    p += 1
                elif c == 0xBF or c == 0x9F:
                    stack.append(top)
                    if len(stack) > MAX_DEPTH:
                        raise FormatError("more than %d arrays and objects inside each other" % MAX_DEPTH)
                    empty = True
                    p += 1
                    if c == 0xBF:
                        append(0x7B)
                        top = _OBJECT
                        state = _FIELD
                    else:
                        append(0x5B)
                        top = base + len(out)
                        state = _ITEM
                    continue
                elif 0x40 <= c < 0x80 or 0xC7 <= c <= 0xC9 or c == 0xD8:
                    body, end = _string(data, p)
                    if body is None:
                        want = end
                        break
                    out += body
                    p = end
                elif c < 0x40:
                    major, n, end = peek_head(data, p)
                    if n < 0 or (major and n >> 63):
                        raise FormatError("an integer out of range")
                    out += str(-1 - n if major else n).encode()
                    p = end
                else:
                    if c not in _SIMPLE:
                        raise FormatError("an unknown item")
                    out += _SIMPLE[c]
                    p += 1
                if top == _TOP:
                    done = True
                    break
                state = _FIELD if top == _OBJECT else _ITEM
        except IndexError:
            pass
    for chunk in chunks:
        have += len(chunk)
    if have != p:
        raise FormatError("bytes after the coded value")
    if base + len(out) > MAX_TEXT:
        raise FormatError("value of more than %d bytes" % MAX_TEXT)
    yield bytes(memoryview(out)[sent:])


def _string(data, p):
    """Return (JSON text, next position) of the string at p with its tag; if it is cut off, (None, where it ends).

    Raises IndexError when even its head is cut off.
    """
    tag = data[p]
    if tag >= 0xC0:
        p += 1
        if tag == 0xD8:
            if data[p] != 64:
                raise FormatError("unknown tag %d" % data[p])
            p += 1
    major, n, p = peek_head(data, p)
    if n < 0 or n > MAX_TEXT or (tag >= 0xC0 and major != (3 if tag < 0xC9 else 2)):
        raise FormatError("a string is missing or too long")
    end = p + n
    if end > len(data):
        return None, end
    body = data[p:end]
    if tag < 0x60:
        if not n:
            raise FormatError("empty hex")
        return b'"%s"' % hexlify(body), end
    if tag < 0x80:
        check_plain(body)
        return b'"%s"' % body, end
    if tag == 0xC8:
        check_escaped(body)
        return b'"%s"' % body, end
    if tag == 0xC7:
        if n > MAX_ITEM or not is_number(body):
            raise FormatError("no number")
        return body, end
    if tag == 0xD8:
        if not n:
            raise FormatError("an empty list of byte values")
        return byte_list(body), end
    if not 32 <= n <= 39 or body[32:33] == b"\0":
        raise FormatError("a shachain item of %d bytes" % n)
    index = _INDEX_BASE - int.from_bytes(body[32:], "big")
    if index < 0:
        raise FormatError("a shachain index out of range")
    return b"[%s,%d]" % (byte_list(body[:32]), index), end
