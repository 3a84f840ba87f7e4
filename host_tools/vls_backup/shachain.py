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

import struct
from collections.abc import Sequence
from hashlib import sha256
from itertools import chain, repeat
from operator import and_, sub, xor

from vls_backup.errors import FieldError

MAX_SECRETS = 49
SECRET_SIZE = 32
INDEX_END = 1 << 48
"""Indexes are below this; LDK-style lists are padded with dummies: this index and 32 zero bytes."""

STORED_SIZE = 8 + SECRET_SIZE
"""Size of one secret in `Secrets`."""

Secrets = bytes
"""Index u64 big-endian and secret 32, by position = trailing zero bits of the index, as they stand in an SCB."""

_DUMMY = bytes(SECRET_SIZE)
_FIELD = "enforcement_state.counterparty_secrets.old_secrets"
_LOWEST_BITS = [1 << position for position in range(48)] + [0]
"""By position: the lowest set bit of every index that belongs there (index 0, the only one at 48, has none)."""
_GAPS = [2 << position for position in range(49)]
"""By position: the distance between two indexes that belong there."""
_MASKS = [gap - 1 for gap in _GAPS]
"""By position: the bits that are the same in all indexes that belong there."""
_FLIPS = sum(1 << position * 8 * SECRET_SIZE + position for position in range(MAX_SECRETS - 1))
"""What flips bit 0 of the first secret, bit 1 of the second, and so on, in a number that is all of them."""


def known_secrets(items: Sequence[tuple[Sequence[int], int]]) -> Secrets:
    """Return the real secrets of a VLS `old_secrets` list, or raise FieldError: wrong size, position or derivation."""
    if len(items) > MAX_SECRETS:
        raise FieldError(_FIELD, f"has {len(items)} items, at most {MAX_SECRETS} are possible")
    numbers = [of_one for of_one, _ in items]
    if {*map(len, numbers)} - {SECRET_SIZE}:
        position, size = next((p, len(of_one)) for p, of_one in enumerate(numbers) if len(of_one) != SECRET_SIZE)
        raise FieldError(f"{_FIELD}[{position}]", f"has a secret of {size} bytes, not {SECRET_SIZE}")
    try:
        secrets = list(map(bytearray, numbers))  # takes half the time of bytes
    except ValueError:
        position = next(p for p, of_one in enumerate(numbers) if min(of_one) < 0 or max(of_one) > 255)
        raise FieldError(f"{_FIELD}[{position}]", "holds a number that is not 0 to 255") from None
    indexes = [index for _, index in items]
    while indexes and indexes[-1] == INDEX_END and secrets[-1] == _DUMMY:
        indexes.pop()
        secrets.pop()
    if INDEX_END in indexes and secrets[position := indexes.index(INDEX_END)] == _DUMMY:
        raise FieldError(f"{_FIELD}[{position}]", "is missing, but later ones are there (a gap)")
    check_positions(indexes)
    _check_derivation(indexes, secrets)
    return struct.pack(">" + "Q32s" * len(indexes), *chain.from_iterable(zip(indexes, secrets, strict=True)))


def indexes_of(secrets: Secrets) -> tuple[int, ...]:
    """Return the indexes of secrets."""
    return struct.unpack(">" + "Q32x" * (len(secrets) // STORED_SIZE), secrets)


def check_positions(indexes: Sequence[int]) -> None:
    """Raise FieldError unless each index stands where it belongs."""
    if list(map(and_, indexes, _MASKS)) == _LOWEST_BITS[: len(indexes)] and _in_range(indexes):
        return
    for position, index in enumerate(indexes):
        if not 0 <= index < INDEX_END or index & -index != _LOWEST_BITS[position]:
            raise FieldError(f"{_FIELD}[{position}]", f"index {index} does not belong at this position")


def _in_range(indexes: Sequence[int]) -> bool:
    return not indexes or (min(indexes) >= 0 and max(indexes) < INDEX_END)


def _check_derivation(indexes: list[int], secrets: list[bytearray]) -> None:
    by_index = dict(zip(indexes, secrets, strict=True))
    ancestors = list(map(xor, indexes, _LOWEST_BITS[:-1]))  # index 0, the last, has none
    # One step from each one, as if all were there: most of the time goes into this.
    flipped = _flip_each(b"".join(map(by_index.get, ancestors, repeat(_DUMMY))))
    derived = [sha256(secret).digest() for secret in struct.unpack("32s" * len(ancestors), flipped)]
    if derived == secrets[: MAX_SECRETS - 1]:
        return
    last = min(indexes)
    for position, ancestor in enumerate(ancestors):
        index, found = indexes[position], derived[position]
        if ancestor not in by_index:
            while ancestor not in by_index and ancestor > last:
                ancestor &= ancestor - 1
            if ancestor not in by_index:
                continue
            found = derive(bytes(by_index[ancestor]), index ^ ancestor)
        if found != secrets[position]:
            raise FieldError(_FIELD, f"the secret of index {index} does not derive from that of index {ancestor}")


def _flip_each(secrets: bytes) -> bytes:
    """Flip bit 0 of the first secret, bit 1 of the second, and so on."""
    return (int.from_bytes(secrets, "little") ^ _FLIPS & (1 << 8 * len(secrets)) - 1).to_bytes(len(secrets), "little")


def derive(secret: bytes, bits: int) -> bytes:
    """Derive downwards: for each set bit of bits, the highest first, flip that bit of the secret and hash it."""
    while bits:
        bit = bits.bit_length() - 1
        bits ^= 1 << bit
        flipped = bytearray(secret)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        secret = sha256(flipped).digest()
    return secret


def is_complete(indexes: Sequence[int]) -> bool:
    """Tell whether counting down from 2^48-1 leaves behind just these indexes, so that every past secret is known."""
    if not indexes:
        return True
    last = min(indexes)
    # Each must be the smallest seen at its position: the next smaller one there is not revealed yet.
    return len(indexes) == (INDEX_END - last).bit_length() and max(map(sub, indexes, _GAPS)) < last
