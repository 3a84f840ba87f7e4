"""What the hook of the backup allocates when a request changed nothing."""

import gc

from bench_parts import Board

from backup_format.units import UNIT_HEADER, parse_unit_header
from signer_backup.build import build_backup

_CALLS = 10


def show(path):
    """Print the bytes that some calls of observe allocate on a board whose flash is the file at path."""
    board = Board(path, 4096, 256)
    _store, observe, _services = build_backup(board)
    header = bytearray(UNIT_HEADER)
    board.storage().read_into(0, header)
    node_id = parse_unit_header(header).node_id
    observe(node_id, [])
    changes = []
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(_CALLS):
        observe(node_id, changes)
    after = gc.mem_alloc()
    print(after - before)
