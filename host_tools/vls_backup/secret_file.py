"""Reads the file hsm_secret in which lightningd or a signer keeps the seed, and asks for what its owner must type.

lightningd's forms (read in Core Lightning's common/hsm_secret.c): the 32 bytes as they are; 73 bytes, encrypted by
libsodium's secretstream under a key that Argon2id (moderate) makes of a passphrase; or 32 bytes and the words of a
mnemonic, those 32 being zero, or the SHA-256 of the seed if it has a passphrase.
"""

import getpass
import sys
from collections.abc import Callable

from vls_backup.errors import BackupError
from vls_backup.reading import read_bytes
from vls_backup.secretstream import HEADER_SIZE, unseal
from vls_backup.seed import Seed, from_words

_SIZE = 32
_ENCRYPTED_SIZE = HEADER_SIZE + _SIZE + 17
_SALT = b"c-lightning".ljust(16, b"\0")

Ask = Callable[[str], str]


def ask_unseen(what: str) -> str:
    """Ask for a secret, unseen; where no person sits at a terminal, take the first line of standard input."""
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass.getpass(f"{what} (not shown): ")
    return sys.stdin.readline().rstrip("\r\n") if sys.stdin is not None else ""


def cannot_ask(what: str) -> str:
    """Stand in for ask_unseen where standard input is the backup. Raise BackupError."""
    raise BackupError(f"{what} can't be asked for while the backup comes from standard input: name its file by --path")


def read_secret(path: str, ask: Ask = ask_unseen) -> Seed:
    """Return the seed in the file at path: lightningd's forms, hex of 32 bytes, or bare words. Raise BackupError."""
    data = read_bytes(path)
    try:
        return _lightningds(data, path, ask) or _from_text(data.decode().strip())
    except ValueError:
        raise BackupError(
            f"{path}: is no hsm_secret: it must be {_SIZE} bytes, their hex, or the words of a mnemonic"
        ) from None


def read_lightningds_secret(path: str, ask: Ask) -> Seed:
    """Return the seed in the file at path just as lightningd would read it. Raise BackupError."""
    seed = _lightningds(read_bytes(path), path, ask)
    if seed is None:
        raise BackupError(
            f"{path}: is no hsm_secret that lightningd could start with. The key of the file to make depends on its "
            "form: give the very file that lies in the lightning-dir"
        )
    return seed


def _from_text(text: str) -> Seed:
    try:
        return Seed(bytes.fromhex(text)) if len(text) == 2 * _SIZE else from_words(text)
    except BackupError as error:
        raise ValueError from error


def _lightningds(data: bytes, path: str, ask: Ask) -> Seed | None:
    """Return the seed, or None if lightningd would not take data."""
    if len(data) == _SIZE:
        return Seed(data)
    if len(data) == _ENCRYPTED_SIZE:
        return Seed(_decrypted(data, path, ask))
    mark, words = data[:_SIZE], data[_SIZE:]
    try:
        seed = from_words(words.decode())
    except (ValueError, BackupError):
        return None
    if not any(mark):
        return seed
    if data.isascii() and data[:1].isalpha():  # bare words: no hash looks like them
        return None
    seed = from_words(words.decode(), ask(f"The passphrase of the words in {path}"))
    if seed.digest() != mark:
        raise BackupError(f"{path}: this is not the passphrase of its words. Type it as when the node was made")
    return seed


def _decrypted(data: bytes, path: str, ask: Ask) -> bytes:
    from nacl.pwhash import argon2id

    passphrase = ask(f"The passphrase of {path}").encode()
    key = argon2id.kdf(_SIZE, passphrase, _SALT, argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE)
    try:
        return unseal(data, key)
    except ValueError:
        raise BackupError(
            f"{path}: is encrypted, and this is not its passphrase (or the file is damaged). Try again"
        ) from None
