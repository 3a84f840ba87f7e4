"""Prints the newest snapshot as text, for a host that has nothing but mpremote:

    mpremote connect PORT exec "from signer_backup.armour import show; from board_def import Board; show(Board())"

The text: a line that begins it, `Snapshot: N` (its number), `Log-End: N` (log position behind it), an empty line, its
erase units in the order of the log, each in base64 lines of its own with at most 76 columns, a line with `=` and the
SHA-256 of these bytes in hex, a line that ends it. The last unit is cut off behind the snapshot. Only reads the medium.
"""

from binascii import b2a_base64, hexlify

from backup_format.errors import FormatError
from backup_format.log import find_arenas, open_log
from backup_format.port import const, sha256

from .mount import load_newest
from .state import State

BEGIN = "-----BEGIN VLS BACKUP-----"
END = "-----END VLS BACKUP-----"
_LINE = const(57)  # bytes that base64 makes 76 columns of


def show(board):
    """Print the newest whole snapshot on board's medium, or in words why there is none."""
    try:
        for line in armoured(board.storage()):
            print(line)
    except (OSError, FormatError) as e:
        print("No backup can be read: %s" % e)


def armoured(device):
    """Yield the lines of the newest whole snapshot on device (a BlockDevice).

    Raises OSError when the medium fails, FormatError when it holds no whole snapshot or a journal of a newer version.
    """
    log, commit, end = _newest(device)
    yield BEGIN
    yield "Snapshot: %d" % commit.number
    yield "Log-End: %d" % end
    yield ""
    digest = sha256()
    units = [unit for start, unit in log.places() if start < end]
    cut = log.place(end - 1)[0] % log.erase_size + 1  # bytes of the last unit that are needed
    for i, unit in enumerate(units):
        size = log.erase_size if i < len(units) - 1 else min(log.erase_size, cut)
        for at in range(0, size, _LINE):
            data = bytearray(min(_LINE, size - at))
            log.read_into(unit * log.erase_size + at, data)
            digest.update(data)
            yield b2a_base64(data).decode().rstrip()
    yield "=" + hexlify(digest.digest()).decode()
    yield END


def _newest(device):
    """Return (Log, Commit, log position behind it) of the newest whole snapshot."""
    arenas = find_arenas(device.read_into, device.erase_size, device.size // device.erase_size)
    for arena in sorted(arenas, reverse=True):
        log = open_log(device.read_into, device.erase_size, arena, arenas[arena])
        if log:
            commit, end, _number, _in_order = load_newest(log, State(b""))
            if commit:
                return log, commit, end
    raise FormatError("there is no whole snapshot")
