"""How an entry that the node sends meets the one that the signer holds: the rules of gl-client's State::merge.

The higher version wins; a tombstone always wins; the same version with the same value takes over the signature; an
older version, or a live entry for a deleted key, is a conflict and changes nothing.
"""

from backup_format.port import const

from .store import TOMBSTONE

SAME = const(0)  # the store held just that
STORED = const(1)  # the store now holds what came
KEPT = const(2)  # same version, but the store keeps an entry with another signature
CONFLICT = const(3)  # what came is older than what the store keeps


def merge(store, key, version, signature, value):
    """Merge one entry into store and return SAME, STORED, KEPT or CONFLICT.

    value came from the store's writer; it is ignored for a tombstone (version TOMBSTONE). The held value is read only
    to compare it under an equal version with another signature. Raises what the store raises.
    """
    held = store.get(key)
    if held is not None:
        if held.version > version:
            return CONFLICT
        if held.version == version:
            if held.signature == signature:
                return SAME
            if version == TOMBSTONE or not held.holds(value):
                return KEPT
    if version == TOMBSTONE:
        store.delete(key, signature)
    else:
        store.put(key, version, signature, value)
    return STORED
