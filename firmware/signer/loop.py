"""The loop: frames in over the board's link, answers out, and after each request the changes to the hook."""

import json
import os
from binascii import hexlify

from backup_format import frames
from backup_format.errors import FormatError
from backup_format.frames import HEAD, ServiceError
from backup_format.layout import get_u32, put_u32
from backup_format.port import ticks_ms

from .session import Session

_PLACE = 8  # bytes before the data in REQUEST and RESPONSE: two u32, offset and total


class SignerLoop:
    """Answers the frames of one link (LINK.md) until 0x03 comes outside a frame.

    link: read(timeout_ms, limit) -> at most limit bytes of what is there, b"" after timeout_ms; write(data), which may
    raise OSError. The loop never reads past a frame or 0x03: what follows is the REPL's. store: as signer.store.
    engine: as signer.engine. hook(node_id, changes): called after every request, once its answer is on its way; node_id
    is 33 bytes or None, changes is [(key, Entry before or None, Entry after)]. Of a request that changes much it gets a
    part of the changes earlier, as hook(node_id, changes, True). services: {kind: callable(payload bytes)
    -> answer bytes, at most MAX_TO_HOST}; they may raise ServiceError. log(text): where troubles are told.
    """

    def __init__(self, link, store, engine, hook=None, services=None, log=None, firmware="", board=""):
        """firmware (its version) and board (its name) go into the HELLO answer."""
        self._link = link
        self._session = Session(store, engine, self._hand_on)
        self._hook = hook
        self._services = services or {}
        self._log = log or _silent
        self._hello = {
            "protocol": frames.PROTOCOL,
            "boot": _boot_id(),
            "firmware": firmware,
            "board": board,
            "max_in": frames.MAX_TO_BOARD,
            "max_out": frames.MAX_TO_HOST,
        }
        self._reader = frames.FrameReader(frames.MAX_TO_BOARD, ticks_ms())
        self._frame = bytearray(frames.OVERHEAD + frames.MAX_TO_HOST)  # the last answer, kept to be sent again
        self._size = 0
        self._answered = None  # (seq, crc) of the frame that it answers

    def run(self):
        """Serve until 0x03 comes outside a frame."""
        while self.step():
            pass

    def step(self, timeout_ms=500):
        """Wait at most timeout_ms for bytes and answer what came; return False once 0x03 came outside a frame."""
        data = self._link.read(timeout_ms, self._reader.wanted)
        now = ticks_ms()
        self._reader.expire(now)
        self._reader.feed(data, now)
        while True:
            frame = self._reader.next()
            if frame is None:
                return not self._reader.interrupted
            if frame[0] < frames.ERROR:
                self._serve(frame)

    def _serve(self, frame):
        kind, seq, payload, crc = frame
        if self._answered == (seq, crc):
            self._send()
            return
        self._answered = None
        kind, length = self._answer(kind, payload)
        self._size = frames.seal(self._frame, kind, seq, length)
        self._answered = (seq, crc)
        self._send()
        if frame[0] == frames.REQUEST and kind != frames.ACK:
            self._observe()

    def _send(self):
        try:
            self._link.write(memoryview(self._frame)[: self._size])
        except OSError as error:
            self._log("answer not sent: %r" % error)  # the host asks again

    def _answer(self, kind, payload):
        """Put the answer's payload into the frame; return (kind, length). Only KeyboardInterrupt gets out."""
        try:
            if kind == frames.REQUEST:
                return self._request(payload)
            if kind == frames.FETCH:
                return self._fetch(payload)
            if kind == frames.HELLO:
                answer = self._greet(payload)
            elif kind in self._services:
                answer = self._services[kind](payload)
            else:
                raise ServiceError(frames.E_KIND, "unknown kind 0x%02x" % kind)
            if len(answer) > frames.MAX_TO_HOST:
                raise ServiceError(frames.E_INTERNAL, "answer of %d bytes to kind 0x%02x" % (len(answer), kind))
            self._frame[HEAD : HEAD + len(answer)] = answer
            return kind | frames.ANSWER, len(answer)
        except ServiceError as error:
            return self._error(error.code, error.text)
        except FormatError as error:
            return self._error(frames.E_MALFORMED, str(error))
        except OSError as error:
            return self._error(frames.E_MEDIUM, "medium: %r" % error)
        except MemoryError:
            return self._error(frames.E_MEMORY, "out of memory")
        except Exception as error:  # noqa: BLE001 - whatever fails, the loop lives on
            return self._error(frames.E_INTERNAL, repr(error))

    def _error(self, code, text):
        self._log(text)
        data = text.encode()[: frames.MAX_TO_HOST - 1]
        self._frame[HEAD] = code & 0xFF
        self._frame[HEAD + 1 : HEAD + 1 + len(data)] = data
        return frames.ERROR, 1 + len(data)

    def _greet(self, payload):
        if payload == bytes((frames.ATTACH,)):
            self._session.attach()
        elif payload != bytes((frames.LOOK,)):
            raise FormatError("HELLO: one byte, 0 or 1, is expected")
        return json.dumps(self._hello).encode()

    def _request(self, payload):
        if len(payload) < _PLACE:
            raise FormatError("REQUEST: %d bytes" % len(payload))
        if self._session.take(get_u32(payload, 0), get_u32(payload, 4), memoryview(payload)[_PLACE:]):
            return self._response(0)
        put_u32(self._frame, HEAD, get_u32(payload, 0) + len(payload) - _PLACE)
        return frames.ACK, 4

    def _fetch(self, payload):
        if len(payload) != 4:
            raise FormatError("FETCH: %d bytes" % len(payload))
        return self._response(get_u32(payload, 0))

    def _response(self, offset):
        answer = self._session.answer
        if answer is None or offset > answer.total:
            raise ServiceError(frames.E_ORDER, "no response to fetch at %d" % offset)
        put_u32(self._frame, HEAD, answer.total)
        put_u32(self._frame, HEAD + 4, offset)
        return frames.RESPONSE, _PLACE + answer.read(offset, self._frame, HEAD + _PLACE, frames.MAX_TO_HOST - _PLACE)

    def _observe(self):
        """Hand the changes to the hook. Whatever happens there, the loop goes on: a backup never hurts the signer."""
        try:
            changes = self._session.take_changes()
        except Exception as error:  # noqa: BLE001
            self._log("changes: %r" % error)
            changes = []
        self._hand_on(changes, False)

    def _hand_on(self, changes, more=True):
        try:
            if self._hook is None:
                pass
            elif more:
                self._hook(self._session.node_id, changes, True)
            else:
                self._hook(self._session.node_id, changes)
        except Exception as error:  # noqa: BLE001
            self._log("hook: %r" % error)


def _boot_id():
    """Return 8 hex digits that differ from boot to boot, as far as the VM can tell boots apart."""
    random = os.urandom(4) if hasattr(os, "urandom") else ticks_ms().to_bytes(4, "big")
    return hexlify(random).decode()


def _silent(text):
    pass
