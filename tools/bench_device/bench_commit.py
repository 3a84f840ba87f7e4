"""One channel changes on a board that starts with a full medium: how little heap is enough?"""

import gc
import json

from bench_parts import Board

from backup_format.frames import STATUS
from backup_format.port import collect_early
from signer_backup.build import build_backup
from signer_backup.index import Index


def commit(path, node_id, key, value):
    """Change key's value (JSON text) on the board whose flash is the file at path; print "committed" or its log."""
    collect_early()  # as main.py does
    board = Board(path, 4096, 256)
    store, observe, services = build_backup(board)
    before = store.get(key)
    store.put(key, before.version + 1, before.signature, value)
    observe(node_id, [(key, before, store.get(key))])
    status = json.loads(services[STATUS](b""))
    print("committed" if status["snapshot"] == 2 and not status["failures"] else board.said)


def index_size(keys):
    """Print the bytes of heap that an index of so many keys takes."""
    gc.collect()
    before = gc.mem_alloc()
    index = Index(bytes(8))
    for n in range(keys):
        index.add("channels/%d" % n)
    gc.collect()
    print(gc.mem_alloc() - before)
