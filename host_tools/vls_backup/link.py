"""The host's end of the link to a board (LINK.md in backup_format): one frame out, one answer in, resent when lost."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Protocol

from backup_format import frames
from backup_format.errors import FormatError
from backup_format.layout import get_u32
from backup_format.port import ticks_ms
from vls_backup.errors import BoardError


class Port(Protocol):
    """The part of pyserial's Serial that the link uses."""

    timeout: float | None

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""

    def read(self, size: int = 1, /) -> bytes:
        """Return up to size bytes, fewer after timeout seconds."""

    def write(self, data: bytes, /) -> int | None:
        """Send data."""


class LinkTimeout(BoardError):
    """The board stopped answering, or no signer loop runs on it."""


class LinkError(BoardError):
    """The board answered with an error: code (frames.E_...; 32 and more are the services' own) and text."""

    def __init__(self, code: int, text: str) -> None:
        """Keep code and text; the message shows both."""
        super().__init__(f"The board answered with an error: {text} (code {code}).")
        self.code = code
        self.text = text


class Link:
    """Talks to the loop of one board over an open port. Every method may raise LinkTimeout, LinkError or BoardError."""

    def __init__(self, port: Port, timeout: float = 1.0, attempts: int = 10) -> None:
        """Send each frame up to attempts times, waiting timeout seconds for each answer.

        The board may be busy for seconds, erasing flash, after it has answered a request: be patient.
        """
        self._port = port
        self._timeout = timeout
        self._attempts = attempts
        self._max_in = frames.MAX_TO_BOARD
        self._max_out = frames.MAX_TO_HOST
        self._seq = int.from_bytes(os.urandom(2), "big")
        port.timeout = timeout

    def hello(self, attach: bool, attempts: int | None = None) -> dict[str, Any]:
        """Greet the board and return what it says of itself (LINK.md, HELLO).

        attach: a node attaches, its next request carries its whole state; else the board goes on undisturbed.
        """
        flag = frames.ATTACH if attach else frames.LOOK
        answer = self._exchange(frames.HELLO, bytes((flag,)), attempts)[1]
        try:
            hello = json.loads(answer)
            protocol, max_in, max_out = (int(hello[name]) for name in ("protocol", "max_in", "max_out"))
        except (ValueError, KeyError, TypeError) as error:
            raise LinkError(frames.E_MALFORMED, "its greeting makes no sense") from error
        if protocol != frames.PROTOCOL or not (16 <= max_in <= 0xFFFF and 16 <= max_out <= 0xFFFF):
            raise BoardError(
                f"The board speaks link protocol {protocol}, this tool speaks {frames.PROTOCOL}: "
                "install the vls-backup that fits the board's firmware."
            )
        self._max_in = max_in
        self._max_out = max_out
        return dict(hello)

    def exchange(self, kind: int, payload: bytes = b"") -> bytes:
        """Send one frame and return the payload of its answer."""
        return self._exchange(kind, payload)[1]

    def request(self, message: bytes) -> bytes:
        """Send an encoded HsmRequest and return the encoded HsmResponse."""
        total = len(message)
        size = self._max_in - 8
        offset = 0
        while True:
            chunk = message[offset : offset + size]
            head = offset.to_bytes(4, "big") + total.to_bytes(4, "big")
            kind, answer = self._exchange(frames.REQUEST, head + chunk)
            offset += len(chunk)
            if kind == frames.RESPONSE:
                return self._response(answer)
            if answer != offset.to_bytes(4, "big") or offset == total:
                raise LinkError(frames.E_ORDER, f"it lost count at byte {offset} of a request")

    def _response(self, answer: bytes) -> bytes:
        """Return the whole response, whose first part came as answer."""
        response = bytearray()
        while True:
            try:
                total, offset = get_u32(answer, 0), get_u32(answer, 4)
            except FormatError as error:
                raise LinkError(frames.E_MALFORMED, "a part of its response is too short") from error
            response += answer[8:]
            if offset + len(answer) - 8 != len(response) or len(response) > total:
                raise LinkError(frames.E_ORDER, f"it sent a wrong part of its response: {offset} of {total}")
            if len(response) == total:
                return bytes(response)
            if len(answer) == 8:
                raise LinkError(frames.E_ORDER, f"its response ends at byte {offset} of {total}")
            answer = self._exchange(frames.FETCH, len(response).to_bytes(4, "big"))[1]

    def _exchange(self, kind: int, payload: bytes, attempts: int | None = None) -> tuple[int, bytes]:
        """Send one frame until its answer comes; return the answer's kind and payload."""
        if len(payload) > self._max_in:
            raise ValueError(f"payload of {len(payload)} bytes; the board takes {self._max_in}")
        frame = b"\x03"
        while 0x03 in frame:
            self._seq = (self._seq + 1) & 0xFFFF
            frame = frames.encode(kind, self._seq, payload)
            if kind != frames.HELLO:  # the first frame that a board gets, maybe while it still starts (LINK.md)
                break
        attempts = attempts or self._attempts
        try:
            for _ in range(attempts):
                self._port.write(frame)
                answer = self._wait(kind)
                if answer is not None:
                    break
            else:
                raise LinkTimeout(
                    f"The board doesn't answer ({attempts} tries of {self._timeout:g} s). Check cable and power and "
                    "try again; what the board has stored stays there."
                )
        except OSError as error:
            raise BoardError(f"The port failed: {error}. Plug the board in again and retry.") from error
        answer_kind, data = answer
        if answer_kind == frames.ERROR:
            raise LinkError(data[0] if data else 0, data[1:].decode(errors="replace"))
        return answer

    def _wait(self, kind: int) -> tuple[int, bytes] | None:
        """Return kind and payload of the answer to the frame just sent, or None when none came in time."""
        wanted = {kind | frames.ANSWER, frames.ERROR}
        if kind == frames.REQUEST:
            wanted.add(frames.RESPONSE)
        # A new reader each time: what came before is at best an answer that isn't waited for any more.
        reader = frames.FrameReader(self._max_out)
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            reader.feed(self._port.read(max(1, self._port.in_waiting)), ticks_ms())
            while (frame := reader.next()) is not None:
                if frame[1] == self._seq and frame[0] in wanted:
                    return frame[0], frame[2]
        return None
