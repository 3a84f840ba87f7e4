"""Link frames: how a host and a board talk over a serial byte stream. LINK.md is the specification.

A frame is sync A5 5A, kind u8, seq u16, length u16, payload, CRC-32 over kind ... payload; integers are big-endian.
"""

from binascii import crc32

from .layout import get_u16, get_u32, put_u16, put_u32
from .port import const

PROTOCOL = const(1)
MAX_TO_BOARD = const(240)  # payload bytes: a whole frame fits into an ESP32 UART's receive buffer of 260 bytes
MAX_TO_HOST = const(1024)  # payload bytes

SYNC = b"\xa5\x5a"
HEAD = const(7)  # sync, kind, seq, length
OVERHEAD = const(11)  # HEAD and the CRC

FRAME_MS = const(2000)  # a frame that isn't complete by then is given up
QUIET_MS = const(100)  # after noise, 0x03 counts again once the line was silent for so long

HELLO = const(0x01)
REQUEST = const(0x02)
LIST = const(0x04)
OPEN = const(0x05)
READ = const(0x06)
STATUS = const(0x07)
FETCH = const(0x08)  # not 0x03: that byte, met outside a frame, ends the loop
CONFIGURE = const(0x09)
SURVEY = const(0x0B)
FORMAT = const(0x0C)
ERROR = const(0x7F)
ANSWER = const(0x80)  # set in the kind of every answer but ERROR
ACK = const(0x82)  # REQUEST: the chunk was taken, more are expected
RESPONSE = const(0x88)  # REQUEST (last chunk) or FETCH: a part of the response

LOOK = const(0)  # HELLO: just looking
ATTACH = const(1)  # HELLO: a node attaches and will send its whole state

E_KIND = const(1)  # unknown kind
E_MALFORMED = const(2)  # a payload that isn't what LINK.md or the protobuf schema says
E_ORDER = const(3)  # a chunk or an offset that nothing was begun for
E_MEDIUM = const(4)  # the state could not be read or written (OSError)
E_MEMORY = const(5)  # out of memory
E_INTERNAL = const(6)  # any other exception
E_ATTACH = const(7)  # a request before a node attached: the board started anew
E_NODE = const(8)  # an entry of another node than the one whose state the board holds
E_SERVICE = const(32)  # codes from here on belong to the services


class ServiceError(Exception):
    """Raised by a service to be answered with an ERROR frame: code (1 ... 255) and text for the user."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code
        self.text = text


def seal(frame, kind, seq, length):
    """Complete the frame whose payload of length bytes lies at HEAD in frame (bytearray); return the frame's size."""
    frame[0] = SYNC[0]
    frame[1] = SYNC[1]
    frame[2] = kind & 0xFF
    put_u16(frame, 3, seq)
    put_u16(frame, 5, length)
    put_u32(frame, HEAD + length, crc32(memoryview(frame)[2 : HEAD + length]))
    return OVERHEAD + length


def encode(kind, seq, payload):
    """Return the whole frame as bytes."""
    frame = bytearray(OVERHEAD + len(payload))
    frame[HEAD : HEAD + len(payload)] = payload
    seal(frame, kind, seq, len(payload))
    return bytes(frame)


class FrameReader:
    """Finds frames in a byte stream that may hold garbage, damage and cut-off frames.

    Bytes of a rejected frame are searched again from their second byte on, so a good frame behind a broken one is
    found. Times are readings of port.ticks_ms.
    """

    def __init__(self, max_payload, began=None):
        """Accept payloads of at most max_payload bytes.

        began: when the reader began to listen to a line on which a frame may have been under way: its rest, which may
        begin with 0x03, is noise. None: the line is new.
        """
        self.interrupted = False  # 0x03 came outside any frame
        self.damaged = 0  # frames rejected so far
        self._max = max_payload
        self._held = b""  # from the first byte of what may be a frame
        self._since = 0  # when that frame began
        self._last = began or 0  # when the last byte came
        self._noisy = began is not None

    @property
    def inside(self):
        """Whether a frame has begun and isn't complete; settled once next() has returned None."""
        return bool(self._held)

    @property
    def wanted(self):
        """How many bytes to read next so as not to read past a frame; settled once next() has returned None."""
        have = len(self._held)
        if not have:
            return 1
        return HEAD - have if have < HEAD else OVERHEAD + get_u16(self._held, 5) - have

    def feed(self, data, now):
        """Take data (bytes) that arrived at now."""
        if not data:
            return
        if not self._held:
            if (now - self._last) & 0x3FFFFFFF >= QUIET_MS:
                self._noisy = False
            self._since = now
        self._last = now
        self._held += data

    def expire(self, now):
        """Give up a frame that began FRAME_MS ago or earlier; next() then looks for others in its bytes."""
        if self._held and (now - self._since) & 0x3FFFFFFF >= FRAME_MS:
            self._reject(now)

    def next(self):
        """Return the next whole frame as (kind, seq, payload, crc), or None when more bytes are needed."""
        while True:
            self._hunt()
            held = self._held
            if len(held) < HEAD:
                return None
            end = HEAD + get_u16(held, 5)
            if end <= HEAD + self._max:
                if len(held) < end + 4:
                    return None
                crc = get_u32(held, end)
                if crc32(held[2:end]) & 0xFFFFFFFF == crc:
                    self._held = held[end + 4 :]
                    self._since = self._last
                    self._noisy = False
                    return held[2], get_u16(held, 3), held[HEAD:end], crc
            self._reject(self._last)

    def _hunt(self):
        """Drop what lies before the next sync. 0x03 there counts only in silence: noise may be what a frame was."""
        held = self._held
        at = held.find(SYNC)
        if at < 0:
            at = len(held) - (1 if held[-1:] == SYNC[:1] else 0)
        if not at:
            return
        for byte in held[:at]:
            if self._noisy:
                break
            if byte == 0x03:
                self.interrupted = True
            elif byte != 0x0D and byte != 0x0A:
                self._noisy = True
        self._held = held[at:]

    def _reject(self, now):
        self.damaged += 1
        self._held = self._held[1:]  # the rest of the sync is noise
        self._since = now
