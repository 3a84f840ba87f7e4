"""lightningd's file emergency.recover: SCBs under a key of the node's seed, for its command `emergencyrecover`.

Layout (observed with Core Lightning v26.06.6, which recovered 13 of 13 channels from such a file; read in its
plugins/chanbackup.c): one sealed message (secretstream.py). It holds, integers big-endian: u16 6137, u64 version 1, u32
time (unix seconds), u16 number of SCBs, and the SCBs one after another.
"""

import struct
import time

from vls_backup import secretstream
from vls_backup.errors import BackupError, WrongSeedError
from vls_backup.secret_file import ask_unseen, cannot_ask, read_lightningds_secret
from vls_backup.seed import Seed

MESSAGE = struct.Struct(">HQIH")
"""What stands before the SCBs: type, version, time, number of SCBs."""

_TYPE, _VERSION = 6137, 1
_MOST = 2**16 - 1


def seed_of(node_id: bytes, path: str, backup_path: str) -> Seed:
    """Return the seed in the hsm_secret file at path, which must be the node's. Raise BackupError, WrongSeedError."""
    seed = read_lightningds_secret(path, cannot_ask if backup_path == "-" else ask_unseen)
    if seed.node_id != node_id:
        raise WrongSeedError(
            f"{path}: is the seed of node {seed.node_id.hex()}, but the backup is of node {node_id.hex()}: lightningd "
            "could not read the file, and nothing would come back. Look for the hsm_secret of that node"
        )
    return seed


def emergency_file(scbs: list[bytes], seed: Seed) -> bytes:
    """Return the file that holds scbs, after it was opened again. Raise BackupError if they are too many for one."""
    if len(scbs) > _MOST:
        raise BackupError(f"emergency.recover holds {_MOST} channels at most, not {len(scbs)}: use --format cln")
    message = MESSAGE.pack(_TYPE, _VERSION, int(time.time()), len(scbs)) + b"".join(scbs)
    key = seed.scb_key()
    file = secretstream.seal(message, key)
    if unseal(file, key) != message:
        raise BackupError("internal: our own emergency.recover holds something else. Please report it")
    return file


def unseal(file: bytes, key: bytes) -> bytes:
    """Return the message in file. Raise BackupError if it was changed, or is not under this key."""
    try:
        return secretstream.unseal(file, key)
    except ValueError as error:
        raise BackupError("emergency.recover: is damaged, or of another seed") from error
