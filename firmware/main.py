"""The firmware: pick the board, build the parts, inject them, run. A board starts this file at power-on."""

from board_def import Board
from signer.loop import SignerLoop
from signer.store import PlainStore

FIRMWARE = "0.1.0"


def main():
    """Serve the link until it says stop (0x03 outside a frame); then the REPL has the board."""
    board = Board()
    try:
        from signer_backup.build import build_backup
    except ImportError:  # a build without backups signs all the same
        store, hook, services = PlainStore(), None, None
    else:
        store, hook, services = build_backup(board)
    link = board.link()
    try:
        SignerLoop(link, store, board.engine(), hook, services, board.log, FIRMWARE, board.name).run()
    finally:
        link.close()


if __name__ == "__main__":
    main()
