"""The firmware: pick the board, build the parts, inject them, run. A board starts this file at power-on."""

try:
    from micropython import kbd_intr
except ImportError:  # CircuitPython: what is said on its data port interrupts nothing

    def kbd_intr(char):
        pass


if __name__ == "__main__":
    # First of all: a host may talk while the board still starts, and a 0x03 in its frames is no Ctrl-C.
    kbd_intr(-1)

from backup_format.port import collect_early  # noqa: E402
from board_def import Board  # noqa: E402
from signer.loop import SignerLoop  # noqa: E402
from signer.store import PlainStore  # noqa: E402

FIRMWARE = "0.1.0"


def main():
    """Serve the link until it says stop (0x03 outside a frame); then the REPL has the board."""
    collect_early()
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
    try:
        main()
    finally:
        kbd_intr(3)
