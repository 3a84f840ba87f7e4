"""Writes the big backup file on which `make bench` measures convert-backup."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coincurve

from vls_backup.backup_file import format_backup
from vls_backup.shachain import MAX_SECRETS, derive

_MODEL = Path(__file__).resolve().parents[1] / "tests/vectors/cln-regtest/set1-nMR.backup.json"
_OPENING, _CLOSING = b'    "values": {\n', b"\n    }\n  }\n}\n"
_PER_PEER = 5  # channels


def write_backup(path: str | Path, channels: int) -> None:
    """Write a version-1 backup file with this many channels to path; 10,000 make 460 MB. Each call the same bytes.

    Each channel is the one that a signer wrote in a recorded run, in Greenlight's layout, with a peer, a dbid, an
    outpoint and five points of its own, and with the most secrets there can be: those that counting down to index 0
    leaves behind, one for each number of trailing zeros.
    """
    model = json.loads(_MODEL.read_bytes())
    values = model["state"]["values"]
    channel = next(value for key, (_, value, *_) in values.items() if key.startswith("channels/"))
    peer = next(value for key, (_, value, *_) in values.items() if key.startswith("peers/"))
    others = [(key, version, value) for key, (version, value, *_) in values.items() if key.startswith("node")]

    def entries() -> Iterator[tuple[str, int, Any]]:
        peers = sorted(_point("peer", n) for n in range(-(-channels // _PER_PEER)))
        ids = sorted(peers[n // _PER_PEER] + (n + 1).to_bytes(8, "little").hex() for n in range(channels))
        for n, channel_id in enumerate(ids):
            yield f"channels/{model['node_id']}{channel_id}", 60, _make_another(channel, n)
        yield from others
        for point in peers:
            yield f"peers/{point}", 0, {**peer, "peer_id": point}

    def layout(*entry: tuple[str, int, bytes, bytes]) -> bytes:
        return format_backup(model["created_at"], model["node_id"], model["strategy"], entry)

    with open(path, "wb") as file:
        separator = b""
        for key, version, value in entries():
            opening, found, rest = layout((key, version, json.dumps(value).encode(), b"")).partition(_OPENING)
            file.write(separator or opening + found)
            file.write(rest.removesuffix(_CLOSING))
            separator = b",\n"
        file.write(_CLOSING)


def _make_another(channel: Any, n: int) -> Any:
    """Turn the channel into the n-th one, in place."""
    setup, state = channel["channel_setup"], channel["enforcement_state"]
    setup["funding_outpoint"] = {"txid": _hash("txid", n).hex(), "vout": n % 3}
    for name in setup["counterparty_points"]:
        setup["counterparty_points"][name] = _point(name, n)
    seed = _hash("seed", n)
    indexes = [1 << position for position in range(MAX_SECRETS - 1)] + [0]
    state["counterparty_secrets"]["old_secrets"] = [[list(derive(seed, index)), index] for index in indexes]
    return channel


def _hash(what: str, n: int) -> bytes:
    return hashlib.sha256(f"{what} {n}".encode()).digest()


def _point(what: str, n: int) -> str:
    return coincurve.PrivateKey(_hash(what, n)).public_key.format().hex()
