"""One message in libsodium's secretstream (XChaCha20-Poly1305), behind its header: how lightningd seals its files.

Its message has tag 0 and no additional data (read in Core Lightning's common/hsm_secret.c and plugins/chanbackup.c).
"""

HEADER_SIZE = 24
"""Bytes before the message."""


def seal(message: bytes, key: bytes) -> bytes:
    """Return message under key (32 bytes), behind a new random header."""
    from nacl import bindings

    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    header = bindings.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    return header + bindings.crypto_secretstream_xchacha20poly1305_push(state, message)


def unseal(sealed: bytes, key: bytes) -> bytes:
    """Return the message in sealed. Raise ValueError if it was changed, or is not under this key."""
    from nacl import bindings, exceptions

    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    try:
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, sealed[:HEADER_SIZE], key)
        return bindings.crypto_secretstream_xchacha20poly1305_pull(state, sealed[HEADER_SIZE:])[0]
    except exceptions.CryptoError as error:
        raise ValueError(str(error)) from error
