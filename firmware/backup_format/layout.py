"""Fixed-width integers in byte buffers, range-checked: the only user of struct.

struct itself detects nothing that every VM agrees on: MicroPython wraps values out of range, CircuitPython and CPython
raise different exceptions. So range and length are checked here first.
"""

import struct

from .errors import FormatError


def put_u32(buf, at, value):
    """Write value (0 ... 2^32-1) into buf[at : at + 4], big-endian. Raises FormatError out of range."""
    if not 0 <= value <= 0xFFFFFFFF or not 0 <= at <= len(buf) - 4:
        raise FormatError("u32 %d at %d of %d bytes" % (value, at, len(buf)))
    struct.pack_into(">I", buf, at, value)


def get_u32(buf, at):
    """Return the big-endian u32 at buf[at : at + 4]. Raises FormatError past the end."""
    if not 0 <= at <= len(buf) - 4:
        raise FormatError("no u32 at %d of %d bytes" % (at, len(buf)))
    return struct.unpack_from(">I", buf, at)[0]


def put_u16(buf, at, value):
    """Write value (0 ... 65535) into buf[at : at + 2], big-endian. Raises FormatError out of range."""
    if not 0 <= value <= 0xFFFF or not 0 <= at <= len(buf) - 2:
        raise FormatError("u16 %d at %d of %d bytes" % (value, at, len(buf)))
    struct.pack_into(">H", buf, at, value)


def get_u16(buf, at):
    """Return the big-endian u16 at buf[at : at + 2]. Raises FormatError past the end."""
    if not 0 <= at <= len(buf) - 2:
        raise FormatError("no u16 at %d of %d bytes" % (at, len(buf)))
    return struct.unpack_from(">H", buf, at)[0]
