"""Flash files that hold a snapshot of a state, made by the firmware on CPython."""

from __future__ import annotations

import json
from pathlib import Path

from tools.bench_channels import node_id
from tools.bench_device.bench_parts import Board

from backup_format.frames import STATUS
from signer.store import Entry
from signer_backup.build import build_backup
from vls_backup.hsm import StateEntry

ERASE, PROGRAM = 4096, 256
MEDIUM = 4 << 20  # bytes: 1,000 channels fit three times


def flash_with(path: Path, state: dict[str, StateEntry], size: int = MEDIUM) -> None:
    """Make the flash file path with one snapshot of state. Raises RuntimeError if the firmware takes none."""
    path.write_bytes(b"\xff" * size)
    board = Board(str(path), ERASE, PROGRAM)
    _store, observe, services = build_backup(board)
    changes = [(key, None, Entry(e.version, e.signature, e.value)) for key, e in state.items()]
    observe(bytes.fromhex(node_id()), changes)
    if json.loads(services[STATUS](b""))["snapshot"] != 1:
        raise RuntimeError(f"the firmware took no snapshot: {board.said}")
