"""The counterparty's revealed commitment secrets: checks of BOLT 3's compact storage.

Secrets are revealed for indexes counting down from 2^48-1. One is stored per number of trailing zero bits of its index
(0 to 47, and 48 for index 0): the latest. BOLT 3, "Efficient Per-commitment Secret Storage": whoever knows the secret
of index P derives that of every index that differs from P only in P's trailing zeros, from the highest bit that is set
down: flip that bit of the secret, hash it.

The rule checked here: each stored secret must derive from its *nearest* stored ancestor, if it has one. That is enough:
an index's ancestors are itself with its lowest set bits cleared one after the other, so they lie on one line, and
deriving along a line in two steps gives the same bytes as in one. In a chain that was really counted down, the nearest
stored ancestor is the index with its lowest set bit cleared or there is none (each stored index I is the smallest seen
with its zeros, so clearing two bits would name an index that is not revealed yet): one hash per secret.
"""

from hashlib import sha256
from operator import sub

from vls_backup.errors import FieldError

MAX_SECRETS = 49
SECRET_SIZE = 32
INDEX_END = 1 << 48
"""Indexes are below this; LDK-style lists are padded with dummies: this index and 32 zero bytes."""

Secrets = tuple[tuple[int, bytes], ...]
"""(index, secret of 32 bytes) by position = trailing zero bits of the index."""

_DUMMY = (INDEX_END, bytes(SECRET_SIZE))
_FIELD = "enforcement_state.counterparty_secrets.old_secrets"
_LOWEST_BITS = [1 << position for position in range(48)] + [0]
"""By position: the lowest set bit of every index that belongs there (index 0, the only one at 48, has none)."""
_GAPS = [2 << position for position in range(49)]
"""By position: the distance between two indexes that belong there."""


def known_secrets(items: list[tuple[list[int], int]]) -> Secrets:
    """Return the real secrets of a VLS `old_secrets` list, or raise FieldError: wrong size, position or derivation."""
    if len(items) > MAX_SECRETS:
        raise FieldError(_FIELD, f"has {len(items)} items, at most {MAX_SECRETS} are possible")
    for position, (numbers, _) in enumerate(items):
        if len(numbers) != SECRET_SIZE:
            raise FieldError(f"{_FIELD}[{position}]", f"has a secret of {len(numbers)} bytes, not {SECRET_SIZE}")
    try:
        known = [(index, bytes(numbers)) for numbers, index in items]
    except ValueError:
        position = next(p for p, (numbers, _) in enumerate(items) if min(numbers) < 0 or max(numbers) > 255)
        raise FieldError(f"{_FIELD}[{position}]", "holds a number that is not 0 to 255") from None
    while known and known[-1] == _DUMMY:
        known.pop()
    secrets = tuple(known)
    check_positions(secrets)
    _check_derivation(secrets)
    return secrets


def check_positions(secrets: Secrets) -> None:
    """Raise FieldError unless each secret stands where its index belongs."""
    if [index & -index for index, _ in secrets] == _LOWEST_BITS[: len(secrets)] and _in_range(secrets):
        return
    for position, (index, secret) in enumerate(secrets):
        if (index, secret) == _DUMMY:
            raise FieldError(f"{_FIELD}[{position}]", "is missing, but later ones are there (a gap)")
        if not 0 <= index < INDEX_END or index & -index != _LOWEST_BITS[position]:
            raise FieldError(f"{_FIELD}[{position}]", f"index {index} does not belong at this position")


def _in_range(secrets: Secrets) -> bool:
    return not secrets or (min(secrets)[0] >= 0 and max(secrets)[0] < INDEX_END)


def _check_derivation(secrets: Secrets) -> None:
    by_index = dict(secrets)
    last = min(by_index, default=0)
    for position, (index, secret) in enumerate(secrets[: MAX_SECRETS - 1]):  # index 0, the last, has no ancestor
        ancestor = index & (index - 1)
        if ancestor in by_index:
            good = _step_down(by_index[ancestor], position) == secret
        else:
            while ancestor not in by_index and ancestor > last:
                ancestor &= ancestor - 1
            good = ancestor not in by_index or derive(by_index[ancestor], index ^ ancestor) == secret
        if not good:
            raise FieldError(_FIELD, f"the secret of index {index} does not derive from that of index {ancestor}")


def derive(secret: bytes, bits: int) -> bytes:
    """Derive downwards: for each set bit of bits, the highest first, flip that bit of the secret and hash it."""
    while bits:
        bit = bits.bit_length() - 1
        bits ^= 1 << bit
        secret = _step_down(secret, bit)
    return secret


def _step_down(secret: bytes, bit: int) -> bytes:
    flipped = bytearray(secret)
    flipped[bit >> 3] ^= 1 << (bit & 7)
    return sha256(flipped).digest()


def is_complete(secrets: Secrets) -> bool:
    """Tell whether counting down from 2^48-1 leaves behind just these indexes, so that every past secret is known."""
    if not secrets:
        return True
    indexes = [index for index, _ in secrets]
    last = min(indexes)
    # Each must be the smallest seen at its position: the next smaller one there is not revealed yet.
    return len(secrets) == (INDEX_END - last).bit_length() and max(map(sub, indexes, _GAPS)) < last
