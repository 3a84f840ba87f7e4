"""Both codecs, the board's and the feeder's, against messages that prost encoded for a real signer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from signer.protobuf import RequestDecoder, response_pieces
from signer.store import TOMBSTONE, Entry, TextWriter
from vls_backup.hsm import MESSAGES, StateEntry, decode_response, encode_request

SAMPLES = json.loads(Path("tests/vectors/signer-run/a-protobuf.json").read_bytes())["samples"]
PENDING = ("request", "uri", "signature", "pubkey", "timestamp", "rune")
each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s['message']}-{s['i']}")


def decode(message: bytes, size: int) -> tuple[Any, list[tuple[int, str, bytes, bytes]]]:
    """Decode with the board's codec, size bytes at a time."""
    entries: list[tuple[int, str, bytes, bytes]] = []
    decoder = RequestDecoder(lambda *entry: entries.append(entry), TextWriter)
    for at in range(0, len(message), size):
        decoder.feed(memoryview(message)[at : at + size])
    return decoder.finish(), entries


def check_entries(entries: list[tuple[int, str, bytes, bytes]], fields: list[dict[str, Any]]) -> None:
    assert len(entries) == len(fields)
    for (version, key, value, signature), field in zip(entries, fields, strict=True):
        assert (version, key, signature.hex()) == (field["version"], field["key"], field["signature_hex"])
        if "value_hex" in field:
            assert value.hex() == field["value_hex"]
        else:
            assert len(value) == field["value_len"]
            assert hashlib.sha256(value).hexdigest() == field["value_sha256"]


def pending(fields: dict[str, Any]) -> bytes:
    """Encode a PendingRequest from a sample's fields."""
    values = [fields.get(f"{name}_hex", fields.get(name)) for name in PENDING]
    typed = {n: bytes.fromhex(v) if f"{n}_hex" in fields else v for n, v in zip(PENDING, values, strict=True)}
    return bytes(MESSAGES["PendingRequest"](**typed).SerializeToString())


def test_the_samples_cover_the_schema() -> None:
    requests = [sample["request"]["fields"] for sample in SAMPLES]
    assert any(r["context"] for r in requests) and any(r["requests"] for r in requests)
    assert any(e["version"] == TOMBSTONE for r in requests for e in r["signer_state"])
    assert any(sample["response"]["fields"]["error"] for sample in SAMPLES)


@each_sample
@pytest.mark.parametrize("size", [1, 232, 1 << 20])
def test_request(sample: dict[str, Any], size: int) -> None:
    message, fields = bytes.fromhex(sample["request"]["hex"]), sample["request"]["fields"]
    request, entries = decode(message, size)
    assert (request.request_id, request.raw.hex()) == (fields["request_id"], fields["raw_hex"])
    check_entries(entries, fields["signer_state"])
    if fields["context"] is None:
        assert request.context is None
    else:
        node_id, dbid, capabilities = request.context
        context = {"node_id_hex": node_id.hex(), "dbid": dbid, "capabilities": capabilities}
        assert context == fields["context"]
    assert request.requests == [pending(r) for r in fields["requests"]]
    state = [(key, StateEntry(version, value, signature)) for version, key, value, signature in entries]
    assert encode_request(request.request_id, request.raw, state, request.context, request.requests) == message


@each_sample
def test_response(sample: dict[str, Any]) -> None:
    message, fields = bytes.fromhex(sample["response"]["hex"]), sample["response"]["fields"]
    response = decode_response(message)
    assert (response.request_id, response.raw.hex()) == (fields["request_id"], fields["raw_hex"])
    assert response.error == fields["error"]
    state = response.signer_state
    check_entries([(e.version, key, e.value, e.signature) for key, e in state.items()], fields["signer_state"])
    entries = [
        (key, Entry(e.version, e.signature, None if e.version == TOMBSTONE else e.value)) for key, e in state.items()
    ]
    pieces = response_pieces(response.request_id, response.raw, entries, response.error)
    assert b"".join(pieces) == message


@each_sample
def test_cut_messages_never_decode_to_nonsense(sample: dict[str, Any]) -> None:
    """A message cut anywhere either is refused or holds a true beginning of the entries."""
    message = bytes.fromhex(sample["request"]["hex"])
    whole = decode(message, len(message))[1]
    for cut in range(0, len(message), max(1, len(message) // 200)):
        try:
            entries = decode(message[:cut], 232)[1]
        except ValueError:
            continue
        assert entries == whole[: len(entries)]
