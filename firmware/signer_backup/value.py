"""An entry's value as the medium holds it: in compact coding, and in small pieces: RAM has no room in one place."""

from backup_format.cbor import head
from backup_format.compact import Encoder
from backup_format.errors import FormatError
from backup_format.port import const, sha256
from backup_format.records import AS_TEXT

_SETUP = b"channel_setup"
_PIECE = const(256)


class CodedValue:
    """flags: AS_TEXT or 0; pieces: the coding, a list of bytes; size: bytes of the JSON text; has_setup: whether it is
    an object with an object under channel_setup (gl-client, signer/backup.rs, recoverable_channel_entries)."""

    def __init__(self, flags, pieces, size, has_setup):
        self.flags = flags
        self.pieces = pieces
        self.size = size
        self.has_setup = has_setup


class ValueWriter:
    """Codes a value while its JSON text comes in."""

    def __init__(self):
        self._pieces = []
        self._encoder = Encoder(self._pieces.append, _SETUP)

    def feed(self, data):
        """Take the next bytes of the text. Raises FormatError when it is not canonical JSON."""
        self._encoder.feed(data)

    def finish(self):
        """Return the CodedValue. Raises FormatError when the text is not canonical JSON."""
        self._encoder.finish()
        return CodedValue(0, self._pieces, self._encoder.size, self._encoder.has_field)


def code(text):
    """Return the CodedValue of a value's whole JSON text (bytes): as it is if the compact coding does not take it."""
    writer = ValueWriter()
    try:
        writer.feed(text)
        return writer.finish()
    except FormatError:
        pieces = [head(2, len(text))]
        for at in range(0, len(text), _PIECE):
            pieces.append(text[at : at + _PIECE])
        return CodedValue(AS_TEXT, pieces, len(text), b'"channel_setup":{' in text)


def digest(pieces):
    """Return a SHA-256 over pieces of a coding: equal values have equal codings."""
    running = sha256()
    for piece in pieces:
        running.update(piece)
    return running.digest()
