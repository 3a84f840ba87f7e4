"""The signer's seed: what shows whether a backup is of that seed, and the key of lightningd's emergency.recover.

A seed is 32 bytes, or the 64 that BIP-39 makes of words. Node id (read in Core Lightning's hsmd and VLS's native key
derivation, style 1): the public key of HKDF-SHA256(first 32 bytes, no salt, "nodeid"). State signatures (read in
Greenlight's gl-client, which keeps 32 bytes): ECDSA, compact, by HKDF-SHA256(first 32 bytes, no salt,
"greenlight/state-signing/v1") over SHA-256 of that name, a zero byte, the key with its length before it, the version,
the canonical value with its length before it. Lengths are u32, the version u64, big-endian. Key of emergency.recover
(read in Core Lightning's hsmd and chanbackup): HKDF-SHA256 of all bytes by "derived secrets", of that by "scb secret".

Nothing here puts a secret into a message.
"""

import hashlib
import hmac
import json
import unicodedata
from functools import cached_property

import coincurve
import msgspec

from vls_backup.backup_file import Entry
from vls_backup.errors import BackupError, FieldError
from vls_backup.fields import laid_out

NATIVE_STYLE = 1
"""VLS's `key_derivation_style` for which the node id is derived as here."""

_SIZE = 32
_WORDS = (12, 15, 18, 21, 24)
_SIGNING = b"greenlight/state-signing/v1"


class Seed:
    """One seed (32 or 64 bytes), which shows nothing of itself when it is printed."""

    def __init__(self, secret: bytes) -> None:
        """Keep the secret."""
        self._secret = secret

    @cached_property
    def node_id(self) -> bytes:
        """The node id that this seed gives in the native style."""
        return self._derived(b"nodeid").public_key.format()

    @cached_property
    def _state_key(self) -> coincurve.PublicKey:
        return self._derived(_SIGNING).public_key

    def _derived(self, info: bytes) -> coincurve.PrivateKey:
        return coincurve.PrivateKey(_hkdf(self._secret[:_SIZE], info))

    def scb_key(self) -> bytes:
        """Return the key (32 bytes) under which lightningd keeps its emergency.recover.

        It depends on the form of the hsm_secret too: with words in it, on all 64 bytes, and else on 32.
        """
        return _hkdf(_hkdf(self._secret, b"derived secrets"), b"scb secret")

    def digest(self) -> bytes:
        """Return the SHA-256 of the seed."""
        return hashlib.sha256(self._secret).digest()

    def signed(self, key: str, entry: Entry[msgspec.Raw]) -> bool:
        """Tell whether the entry's signature is this seed's, over the value as it stands or with its fields sorted."""
        try:
            compact = coincurve.ecdsa.deserialize_compact(bytes(entry.signature))
        except ValueError:
            return False
        signature = coincurve.ecdsa.cdata_to_der(compact)
        return any(
            self._state_key.verify(signature, state_digest(key, entry.version, value), hasher=None)
            for value in _canonical(entry.value)
        )


def _hkdf(secret: bytes, info: bytes) -> bytes:
    """Return what HKDF-SHA256 (RFC 5869) makes of a secret: no salt, 32 bytes, so one round."""
    extracted = hmac.digest(bytes(_SIZE), secret, "sha256")
    return hmac.digest(extracted, info + b"\1", "sha256")


def state_digest(key: str, version: int, value: bytes) -> bytes:
    """Return the SHA-256 that a state signature signs. value: canonical JSON text."""
    name = key.encode()
    parts = [_SIGNING, b"\0", len(name).to_bytes(4, "big"), name, version.to_bytes(8, "big")]
    return hashlib.sha256(b"".join([*parts, len(value).to_bytes(4, "big"), value])).digest()


def _canonical(value: msgspec.Raw) -> list[bytes]:
    """Return the value's text without layout; then, if another tool changed the order of fields, with them sorted."""
    try:
        texts = [laid_out(bytes(value), -1)]
    except FieldError:
        return [bytes(value)]
    try:
        text = json.dumps(json.loads(texts[0]), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # beyond Python's reader
        return texts
    return texts if text == texts[0] else [*texts, text]


def from_words(text: str, passphrase: str = "") -> Seed:
    """Return the seed (64 bytes) that a BIP-39 mnemonic means. Raise BackupError.

    Greenlight keeps the first 32 bytes of it, lightningd all 64; both have the same node id.
    """
    words = unicodedata.normalize("NFKD", text).lower().split()
    if len(words) not in _WORDS:
        raise BackupError(f"a mnemonic has 12 to 24 words, not {len(words)}")
    salt = unicodedata.normalize("NFKD", "mnemonic" + passphrase)
    return Seed(hashlib.pbkdf2_hmac("sha512", " ".join(words).encode(), salt.encode(), 2048))
