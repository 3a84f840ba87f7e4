"""The compact coding of one state value: canonical JSON text to a CBOR subset (RFC 8949), as the text comes in.

FORMAT.md, "Values", is the specification; expand.py is the way back. No tree of the value is ever built, nothing
recurses, and no number is converted to a float.
"""

from .atoms import MAX_ITEM, follows, put_number, put_string, short_array, string_end
from .cbor import head
from .errors import FormatError
from .names import NAMES
from .port import const

MAX_TEXT = const(1 << 20)  # bytes of JSON text that a value may have, both ways
MAX_DEPTH = const(512)  # arrays and objects inside each other; serde_json itself reads 127

_FLUSH = const(512)  # bytes of text that are coded before the coding goes to the sink: some 200 bytes

# What stands at the next position of the text.
_VALUE = const(0)
_FIELD = const(1)  # a field name
_AFTER = const(2)  # what follows a value
_REPEAT = const(3)  # what follows an item that was repeated

# Where a value stands; in an array: the position in the text at which its current item begins, 0 or more.
_OBJECT = const(-1)
_TOP = const(-2)

_codes = {name: code for code, name in enumerate(NAMES)}


def encode(text):
    """Return the compact coding of text: one canonical JSON value as bytes, at most MAX_TEXT. Raises FormatError."""
    parts = []
    encode_to(text, parts.append)
    return b"".join(parts)


def encode_to(text, sink):
    """Code text (bytes) as Encoder does."""
    encoder = Encoder(sink)
    encoder.feed(text)
    encoder.finish()


class Encoder:
    """Codes one JSON value whose text comes in pieces; the coding is the same wherever the text is cut.

    sink(bytes) gets pieces of some hundred bytes. In RAM are the text of the token that is being read and, for
    repeats, of the item before it: some 2 KB unless a string is longer.

    size: bytes of text so far. has_field: whether the value is an object and an own field of it, named field (bytes),
    holds an object.
    """

    def __init__(self, sink, field=None):
        self.size = 0
        self.has_field = False
        self._sink = sink
        self._field = field
        self._out = bytearray()
        self._text = b""  # a window of the text
        self._base = 0  # where in the text it begins
        self._p = 0  # position in the window
        self._flush = _FLUSH  # position in the window
        self._state = _VALUE
        self._stack = []
        self._top = _TOP
        self._name = None
        self._count = 0

    def feed(self, data):
        """Take the next bytes of the text (bytes or memoryview).

        Raises FormatError when the text is not JSON, has white space between tokens, is longer than MAX_TEXT or nested
        deeper than MAX_DEPTH. What the sink got is void then.
        """
        self.size += len(data)
        if self.size > MAX_TEXT:
            raise FormatError("value of more than %d bytes" % MAX_TEXT)
        self._run(self._text + data)
        # What is still needed: the text from the first open item on that may yet be repeated.
        p = self._base + self._p
        keep = p
        for start in self._stack:
            if start >= 0 and p - start <= MAX_ITEM:
                keep = start
                break
        else:
            if self._top >= 0 and p - self._top <= MAX_ITEM:
                keep = self._top
        keep -= self._base
        self._text = self._text[keep:]
        self._base += keep
        self._p -= keep
        self._flush -= keep

    def finish(self):
        """The text is complete. Raises FormatError as feed, and when the value isn't."""
        if self._top != _TOP or self._state not in (_VALUE, _AFTER):
            raise FormatError("JSON value ends too early")
        if self._state == _VALUE:  # only a number ends where the text ends
            put_number(self._out, self._text)
        self._text = b""
        self._sink(bytes(self._out))

    def _run(self, text):
        """Code as much of text as is certain. Each step is done whole, or left for later: then text was too short."""
        self._text = text
        find = text.find
        get = _codes.get
        base = self._base
        p = self._p
        flush = self._flush
        state = self._state
        stack = self._stack
        top = self._top
        name = self._name
        out = self._out
        append = out.append
        try:
            while True:
                if state == _FIELD:
                    end = find(b'"', p + 1)
                    if end < 0:
                        if text[p] != 0x22:
                            raise FormatError("expected a field name at byte %d" % (base + p))
                        break
                    name = text[p + 1 : end]
                    code = get(name)
                    if text[p] != 0x22:
                        raise FormatError("expected a field name at byte %d" % (base + p))
                    if code is None:
                        end = string_end(text, p)
                        if end < 0:
                            break
                        name = text[p + 1 : end]
                    if text[end + 1] != 0x3A:
                        raise FormatError("expected : at byte %d" % (base + end + 1))
                    if code is None:
                        put_string(out, name)
                    elif code < 24:
                        append(code)
                    else:
                        append(24)
                        append(code)
                    p = end + 2
                    state = _VALUE
                if state == _VALUE:
                    c = text[p]
                    if c == 0x22:
                        end = find(b'"', p + 1)
                        if end < 0:
                            break
                        if text[end - 1] == 0x5C:
                            end = string_end(text, p)
                            if end < 0:
                                break
                        put_string(out, text[p + 1 : end])
                        p = end + 1
                    elif c == 0x7B:
                        end = text[p + 1]
                        if top == _OBJECT and len(stack) == 1 and name == self._field:
                            self.has_field = True
                        if end == 0x7D:
                            append(0xA0)
                            p += 2
                        else:
                            append(0xBF)
                            p += 1
                            stack.append(top)
                            top = _OBJECT
                            state = _FIELD
                            if len(stack) > MAX_DEPTH:
                                raise FormatError("more than %d arrays and objects inside each other" % MAX_DEPTH)
                            continue
                    elif c == 0x5B:
                        end = short_array(text, p, out)
                        if not end:
                            append(0x9F)
                            p += 1
                            stack.append(top)
                            top = base + p
                            if len(stack) > MAX_DEPTH:
                                raise FormatError("more than %d arrays and objects inside each other" % MAX_DEPTH)
                            continue
                        p = end
                    elif c == 0x6E and text[p : p + 4] == b"null":
                        append(0xF6)
                        p += 4
                    elif c == 0x74 and text[p : p + 4] == b"true":
                        append(0xF5)
                        p += 4
                    elif c == 0x66 and text[p : p + 5] == b"false":
                        append(0xF4)
                        p += 5
                    elif text[p + 1] in b",]}" and 0x30 <= c <= 0x39:
                        append(c - 0x30)
                        p += 1
                    else:
                        end = find(b",", p, p + 24)
                        number = text[p : end if end > 0 else p].rstrip(b"]}")
                        if number.isdigit() and len(number) < 20 and c != 0x30:
                            n = int(number)
                            if n < 24:
                                append(n)
                            elif n < 0x100:
                                append(24)
                                append(n)
                            else:
                                out += head(0, n)
                            p += len(number)
                        else:
                            end = p + 1
                            while text[end] not in b",]}":
                                end += 1
                                if end - p > MAX_ITEM:
                                    break
                            put_number(out, text[p:end])
                            p = end
                    state = _AFTER
                c = text[p]
                if state == _REPEAT:
                    n = base + p - top
                    if c == 0x2C and follows(text, top - base, p, 1):
                        self._count += 1
                        p += n + 1
                        top += n + 1
                        continue
                    append(0xC6)  # tag 6
                    out += head(0, self._count)
                    state = _AFTER
                if c == 0x2C:
                    if p > flush:
                        self._sink(bytes(out))
                        self._out = out = bytearray()
                        append = out.append
                        flush = p + _FLUSH
                    if top == _OBJECT:
                        p += 1
                        state = _FIELD
                        continue
                    if top >= 0:
                        n = base + p - top
                        if n <= MAX_ITEM and text[p + 1] == text[p - n]:
                            count = 1 if n >= 8 else (7 + n) // n  # fewer cost no more than their tag
                            if follows(text, p - n, p, count):
                                self._count = count
                                p += count * (n + 1)
                                top = base + p - n
                                state = _REPEAT
                                continue
                        p += 1
                        top = base + p
                        state = _VALUE
                        continue
                elif c == (0x7D if top == _OBJECT else 0x5D) and top != _TOP:
                    append(0xFF)
                    p += 1
                    top = stack.pop()
                    continue
                if top == _TOP:
                    raise FormatError("more than one JSON value: byte %d" % (base + p))
                raise FormatError("expected , or %s at byte %d" % ("}" if top == _OBJECT else "]", base + p))
        except IndexError:
            pass
        self._p = p
        self._flush = flush
        self._state = state
        self._top = top
        self._name = name
