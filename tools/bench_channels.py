"""States with as many channels as a measurement wants, multiplied from the recorded run."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from vls_backup.hsm import StateEntry
from vls_backup_sim.feeder import Feeder

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / "tests" / "vectors" / "signer-run" / "a.jsonl"


@cache
def values() -> list[bytes]:
    """Return the values of all recoverable channels that the run's requests wrote, in their order."""
    return [
        entry.value
        for recorded in Feeder(RUN).requests
        for key, entry in recorded.changed
        if key.startswith("channels/") and b'"channel_setup":{' in entry.value
    ]


def channel_key(n: int) -> str:
    """Return the key of channel number n, each with a peer of its own."""
    return f"channels/{node_id()}{_peer(n)}{(1000 + n).to_bytes(8, 'little').hex()}"


@cache
def node_id() -> str:
    """Return the node id of the run, as hex."""
    with RUN.open(encoding="utf-8") as file:
        return str(json.loads(file.readline())["node_id"])


def multiplied(count: int) -> dict[str, StateEntry]:
    """Return count channels and their peers' addresses, each with a signature, in the sizes that they have in the run.

    The values come from the second half of the run, where channels are old.
    """
    pool = values()[len(values()) // 2 :]
    state = {}
    for n in range(count):
        peer = _peer(n)
        address = f'{{"addr":"198.51.100.{n % 250}:9735","direction":"out","peer_id":"{peer}"}}'
        state[channel_key(n)] = StateEntry(n + 1, pool[n * 7 % len(pool)], _signature(n))
        state[f"peers/{peer}"] = StateEntry(0, address.encode(), b"")
    return state


def longer_run(path: Path, count: int) -> None:
    """Write to path the recorded run of a node that had count more channels from the beginning."""
    with RUN.open(encoding="utf-8") as source, path.open("w", encoding="utf-8") as target:
        target.write(next(source))
        wrote = ",".join(
            f'["{key}",null,{e.version},{e.value.decode()},"{e.signature.hex()}"]'
            for key, e in multiplied(count).items()
        )
        first = next(source)
        assert '"node_wrote"' not in first
        target.write(first.replace('"sent":', f'"node_wrote":[{wrote}],"sent":', 1))
        target.writelines(source)


def _peer(n: int) -> str:
    return "02" + hashlib.sha256(b"peer %d" % n).hexdigest()


def _signature(n: int) -> bytes:
    return hashlib.sha512(b"signature %d" % n).digest()
