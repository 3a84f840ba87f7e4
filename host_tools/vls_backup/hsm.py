"""The node's side of a signer's requests: HsmRequest and HsmResponse (greenlight.proto in Greenlight's gl-client).

The schema is stated here and handed to Google's protobuf at run time, so that no generated code lies in the tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_UINT32, _UINT64, _BYTES, _STRING, _MESSAGE = 13, 4, 12, 9, 11  # FieldDescriptorProto.Type
_SCHEMA: dict[str, list[tuple[str, int, int, str]]] = {
    "SignerStateEntry": [
        ("version", 1, _UINT64, ""),
        ("key", 2, _STRING, ""),
        ("value", 3, _BYTES, ""),
        ("signature", 4, _BYTES, ""),
    ],
    "HsmRequestContext": [("node_id", 1, _BYTES, ""), ("dbid", 2, _UINT64, ""), ("capabilities", 3, _UINT64, "")],
    "PendingRequest": [
        ("request", 1, _BYTES, ""),
        ("uri", 2, _STRING, ""),
        ("signature", 3, _BYTES, ""),
        ("pubkey", 4, _BYTES, ""),
        ("timestamp", 5, _UINT64, ""),
        ("rune", 6, _BYTES, ""),
    ],
    "HsmRequest": [
        ("request_id", 1, _UINT32, ""),
        ("context", 2, _MESSAGE, "HsmRequestContext"),
        ("raw", 3, _BYTES, ""),
        ("signer_state", 4, _MESSAGE, "SignerStateEntry*"),
        ("requests", 5, _MESSAGE, "PendingRequest*"),
    ],
    "HsmResponse": [
        ("request_id", 1, _UINT32, ""),
        ("raw", 2, _BYTES, ""),
        ("signer_state", 5, _MESSAGE, "SignerStateEntry*"),
        ("error", 6, _STRING, ""),
    ],
}
"""Message -> (field, number, type, message type; * = repeated)."""


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="vls_backup/signer.proto", package="greenlight", syntax="proto3")
    for name, fields in _SCHEMA.items():
        proto = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            proto.field.add(
                name=field,
                number=number,
                type=kind,
                label=3 if of.endswith("*") else 1,
                type_name=f".greenlight.{of.rstrip('*')}" if of else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"greenlight.{n}")) for n in _SCHEMA}


MESSAGES = _classes()
"""Name -> protobuf message class."""


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


def encode_request(
    request_id: int,
    raw: bytes,
    state: Iterable[tuple[str, StateEntry]],
    context: tuple[bytes, int, int] | None = None,
    requests: Iterable[bytes] = (),
) -> bytes:
    """Encode an HsmRequest. context: (node_id, dbid, capabilities); requests: encoded PendingRequest messages."""
    request = MESSAGES["HsmRequest"](request_id=request_id, raw=raw)
    if context is not None:
        request.context.SetInParent()
        request.context.node_id, request.context.dbid, request.context.capabilities = context
    for key, entry in state:
        request.signer_state.add(version=entry.version, key=key, value=entry.value, signature=entry.signature)
    for pending in requests:
        request.requests.add().ParseFromString(pending)
    return bytes(request.SerializeToString())


def decode_response(data: bytes) -> HsmResponse:
    """Decode an HsmResponse. Raises ValueError for anything else."""
    response = MESSAGES["HsmResponse"]()
    try:
        response.ParseFromString(data)
    except message.DecodeError as error:
        raise ValueError(f"HsmResponse: {error}") from error
    state = {e.key: StateEntry(e.version, e.value, e.signature) for e in response.signer_state}
    return HsmResponse(response.request_id, response.raw, state, response.error)
