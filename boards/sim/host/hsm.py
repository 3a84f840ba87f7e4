"""The node's side of greenlight.proto: encodes HsmRequest, decodes HsmResponse.

Written apart from the board's codec, so that the two check each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class StateEntry:
    """One entry of the signer's state. value: canonical JSON text as bytes, `null` for a tombstone."""

    version: int
    value: bytes
    signature: bytes


@dataclass(frozen=True)
class HsmResponse:
    """What the signer answered. error: "" if it didn't refuse."""

    request_id: int
    raw: bytes
    signer_state: dict[str, StateEntry]
    error: str


def encode_message(fields: Iterable[tuple[int, int | bytes]]) -> bytes:
    """Encode (field number, integer or bytes) pairs in their order; zero and empty ones are left out (proto3)."""
    message = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            if value:
                message += _varint(number << 3) + _varint(value)
        elif value:
            message += _field(number, value)
    return bytes(message)


def encode_request(
    request_id: int,
    raw: bytes,
    state: Iterable[tuple[str, StateEntry]],
    context: tuple[bytes, int, int] | None = None,
    requests: Iterable[bytes] = (),
) -> bytes:
    """Encode an HsmRequest. context: (node_id, dbid, capabilities); requests: encoded PendingRequest messages."""
    message = encode_message([(1, request_id)])
    if context is not None:
        message += _field(2, encode_message(enumerate(context, 1)))
    message += encode_message([(3, raw)])
    for key, entry in state:
        fields = (entry.version, key.encode(), entry.value, entry.signature)
        message += _field(4, encode_message(enumerate(fields, 1)))
    for request in requests:
        message += _field(5, request)
    return message


def decode_response(message: bytes) -> HsmResponse:
    """Decode an HsmResponse. Raises ValueError for anything else."""
    request_id, raw, error = 0, b"", ""
    state: dict[str, StateEntry] = {}
    for number, value in _fields(message):
        if number == 1 and isinstance(value, int):
            request_id = value
        elif number == 2 and isinstance(value, bytes):
            raw = value
        elif number == 5 and isinstance(value, bytes):
            fields = {1: 0, 2: b"", 3: b"", 4: b""} | dict(_fields(value))
            version, key, data, signature = (fields[n] for n in (1, 2, 3, 4))
            if not (isinstance(version, int) and isinstance(key, bytes)):
                raise ValueError("SignerStateEntry: wrong wire type")
            if not (isinstance(data, bytes) and isinstance(signature, bytes)):
                raise ValueError("SignerStateEntry: wrong wire type")
            state[key.decode()] = StateEntry(version, data, signature)
        elif number == 6 and isinstance(value, bytes):
            error = value.decode()
        else:
            raise ValueError(f"HsmResponse: field {number} unknown or of the wrong wire type")
    return HsmResponse(request_id, raw, state, error)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        value, at = _read_varint(message, at)
        if tag & 7 == 0:
            yield tag >> 3, value
        elif tag & 7 == 2 and at + value <= len(message):
            yield tag >> 3, message[at : at + value]
            at += value
        else:
            raise ValueError(f"protobuf: wire type {tag & 7} or a length past the end at byte {at}")


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError(f"protobuf: bad varint at byte {at}")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)
