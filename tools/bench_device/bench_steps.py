"""The firmware's loop, frame by frame: for a VM that collects garbage only while no Python runs."""

import gc
from binascii import hexlify, unhexlify

from bench_parts import Board

from signer.loop import SignerLoop
from signer_backup.build import build_backup


class _Pipe:
    def __init__(self):
        self.to_board = b""
        self.to_host = b""

    def read(self, timeout_ms, limit):
        data = self.to_board[:limit]
        self.to_board = self.to_board[limit:]
        return data

    def write(self, data):
        self.to_host += bytes(data)


_most = 0


def begin(path, erase_size, program_size):
    """Start the firmware on a board whose flash is the file at path."""
    global _loop, _pipe
    _pipe = _Pipe()
    board = Board(path, erase_size, program_size)
    store, hook, services = build_backup(board)
    _loop = SignerLoop(_pipe, store, board.engine(), hook, services, board.log)


def look():
    """Note how many bytes of heap are in use; garbage was just collected."""
    global _most
    _most = max(_most, gc.mem_alloc())


def answer(frame):
    """Give the loop a frame (hex); print the most bytes in use that look saw, and the loop's answer."""
    _pipe.to_board = unhexlify(frame)
    while _pipe.to_board:
        _loop.step(0)
    print(_most, hexlify(_pipe.to_host).decode())
    _pipe.to_host = b""
