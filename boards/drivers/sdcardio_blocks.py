"""An SD card on SPI by CircuitPython's sdcardio, in MicroPython's block protocol: what SdBlocks stands on.

Facts, from CircuitPython's source (shared-module/sdcardio/SDCard.c) and from 10.2.1 against a card model:

- writeblocks opens a stream on the card (CMD25) and leaves it open. While it is open, a pulled card or a block number
  past the card's end looks like success; sync() ends the stream, and raises.
- sync() returns when the card has begun to program. The next command waits until it is done: a write is on the card
  once it was read back after a sync. So each write is synced here, and Medium reads it back.
- A read of several blocks can stop at the second one and say nothing: one block a call.
- After an error nobody knows the state of the stream: the object is made anew.
- A card that isn't there is an OSError without errno; a pin that has an owner is a ValueError.
"""

import errno
from binascii import crc32

import sdcardio

from backup_format.port import const

_BLOCK = const(512)
_BLOCK_COUNT = const(4)  # MicroPython's ioctl


class SdcardioBlocks:
    """readblocks(n, buf) and writeblocks(n, buf) of one block each, ioctl(4, 0) -> number of blocks.

    After an OSError the next call looks for the card again. It must be the same card: its size, and the block that was
    written last, are compared. What was written to another card would be missing on this one, and nobody would know.
    """

    def __init__(self, spi, cs):
        """spi: busio.SPI; cs: pin. Raises OSError if no card answers."""
        self._spi = spi
        self._cs = cs
        self._card = None
        self._blocks = None
        self._mark = 0, None  # a block, and the CRC-32 of what it holds: tells this card from another
        self._written = None  # the block written last, until it was read back
        self._buf = bytearray(_BLOCK)
        self._open()

    def close(self):
        """Let go of the card and its pin; the next call takes them again."""
        card = self._card
        self._card = None
        if card is not None:
            card.deinit()

    def ioctl(self, command, _argument):
        """Return the number of blocks for command 4."""
        return self._blocks if command == _BLOCK_COUNT else None

    def readblocks(self, n, buf):
        """Fill buf (512 bytes) from block n. Raises OSError."""
        card = self._card or self._open()
        try:
            card.readblocks(n, buf)
        except OSError:
            self.close()
            raise
        if n == self._written:
            self._written = None
            self._mark = n, crc32(buf)

    def writeblocks(self, n, data):
        """Write data (512 bytes) to block n; it is on the card once it was read back. Raises OSError."""
        card = self._card or self._open()
        if n == self._mark[0]:
            self._mark = n, None
        self._written = n
        try:
            card.writeblocks(n, data)
            card.sync()
        except OSError:
            self.close()
            raise

    def _open(self):
        try:
            card = sdcardio.SDCard(self._spi, self._cs)
        except (OSError, ValueError) as error:
            raise OSError(errno.ENODEV, "SD card: %s" % error)
        n, crc = self._mark
        try:
            card.readblocks(n, self._buf)
            found = crc32(self._buf)
            if self._blocks not in (None, card.count()) or crc not in (None, found):
                raise OSError(errno.ENODEV, "another SD card: put the first one back, or restart the board")
        except OSError:
            card.deinit()
            raise
        self._mark = n, found
        self._blocks = card.count()
        self._card = card
        return card
