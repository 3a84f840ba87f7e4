"""The signer's seed: read from lightningd's hsm_secret or from words, and what shows whether a backup is of that seed.

Node id (read in Core Lightning's hsmd and VLS's native key derivation, style 1): the public key of HKDF-SHA256(seed, no
salt, "nodeid"). State signatures (read in Greenlight's gl-client): ECDSA, compact, by HKDF-SHA256(seed, no salt,
"greenlight/state-signing/v1") over SHA-256 of that name, a zero byte, the key with its length before it, the version,
the canonical value with its length before it. Lengths are u32, the version u64, big-endian.

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
_ENCRYPTED_SIZE = 73  # an hsm_secret that lightningd encrypted with a passphrase
_WORDS = (12, 15, 18, 21, 24)
_SIGNING = b"greenlight/state-signing/v1"


class Seed:
    """One seed (bytes: mostly 32, or 64), which shows nothing of itself when it is printed."""

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
        """Return the key that HKDF-SHA256 (RFC 5869) makes of the seed: no salt, 32 bytes, so one round."""
        extracted = hmac.digest(bytes(32), self._secret, "sha256")
        return coincurve.PrivateKey(hmac.digest(extracted, info + b"\1", "sha256"))

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


def read_secret(path: str) -> list[Seed]:
    """Return the seeds that the hsm_secret file at path can mean. Raise BackupError."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise BackupError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) == _SIZE:
        return [Seed(data)]
    if len(data) == _ENCRYPTED_SIZE:
        raise BackupError(f"{path}: is encrypted: decrypt a copy of it with lightning-hsmtool decrypt, and give that")
    try:
        text = data.removeprefix(bytes(_SIZE)).decode().strip()
        return [Seed(bytes.fromhex(text))] if len(text) == 2 * _SIZE else from_words(text)
    except (ValueError, BackupError):
        raise BackupError(
            f"{path}: is no hsm_secret: it must be {_SIZE} bytes, their hex, or the words of a mnemonic"
        ) from None


def from_words(text: str) -> list[Seed]:
    """Return the seeds that a BIP-39 mnemonic (no passphrase) can mean. Raise BackupError.

    Greenlight takes the first 32 bytes of what BIP-39 makes of it, lightningd's own hsm_secret all 64.
    """
    words = unicodedata.normalize("NFKD", text).lower().split()
    if len(words) not in _WORDS:
        raise BackupError(f"a mnemonic has 12 to 24 words, not {len(words)}")
    secret = hashlib.pbkdf2_hmac("sha512", " ".join(words).encode(), b"mnemonic", 2048)
    return [Seed(secret[:_SIZE]), Seed(secret)]
