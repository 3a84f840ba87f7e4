"""CBOR heads and strings (RFC 8949), as far as FORMAT.md uses them."""

from .errors import FormatError


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


def peek_head(data, p):
    """Return what read_head does, for a caller that can get more data. Raises IndexError for a head that is cut off."""
    first = data[p]
    n = first & 0x1F
    p += 1
    if n < 24:
        return first >> 5, n, p
    if n == 31:
        return first >> 5, -1, p
    if n > 27:
        raise FormatError("a reserved head")
    size = 1 << (n - 24)
    if p + size > len(data):
        raise IndexError
    n = int.from_bytes(data[p : p + size], "big")
    if n < 24 or (size > 1 and not n >> (4 * size)):
        raise FormatError("a head that is not in its shortest form")
    return first >> 5, n, p + size


def read_head(data, p):
    """Return (major type, argument, next position) of the CBOR head at p of data.

    The argument is -1 for an indefinite length or a break. Raises FormatError for a head that is cut off, reserved or
    not in its shortest form.
    """
    try:
        return peek_head(data, p)
    except IndexError:
        raise FormatError("coded value ends too early") from None


def read_string(data, p, major):
    """Return (content, next position) of the byte (major 2) or text (major 3) string at p. Raises FormatError."""
    kind, n, p = read_head(data, p)
    if kind != major or n < 0 or p + n > len(data):
        raise FormatError("a string is missing or cut off")
    return bytes(data[p : p + n]), p + n


def string_pieces(chunks):
    """Yield the content of the one byte string that chunks (bytes or memoryview) hold, as it comes.

    A chunk may be overwritten when the next one is asked for. Raises FormatError at the end if there is more or less.
    """
    data = b""
    left = -1  # bytes that are still to come; below 0: not known yet
    for chunk in chunks:
        if left < 0:
            data += chunk
            try:
                major, left, p = peek_head(data, 0)
            except IndexError:
                continue
            if major != 2 or left < 0:
                raise FormatError("a string is missing")
            chunk = data[p:]
        left -= len(chunk)
        if left < 0:
            raise FormatError("bytes after a value")
        if chunk:
            yield bytes(chunk)
    if left:
        raise FormatError("a string is missing or cut off")
