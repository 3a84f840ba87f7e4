"""Puts the backup's parts together for a board."""

from .formatting import Formatter
from .journal import Journal
from .runtime import BackupRuntime
from .service import BackupService
from .state import State
from .strategy import parse_strategy


def build_backup(board):
    """Return (store, hook, services) for a signer's loop: the store on the medium, what hears of changes, and what
    answers hosts. board: boards/README.md. Never raises for a medium that fails: it is tried again later."""
    state = State(board.random(8))
    runtime = BackupRuntime(
        Journal(board.storage),
        state,
        parse_strategy(board.strategy()),
        board.clock,
        board.log,
        board.retry_pause,
        board.indicator,
    )
    services = BackupService(runtime, board.name, board.unique_id()).handlers
    services.update(Formatter(runtime).handlers)
    return state, runtime.observe, services
