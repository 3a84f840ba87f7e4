"""An SD card on SPI by CircuitPython's sdcardio, in MicroPython's block protocol: what SdBlocks stands on.

Facts, from CircuitPython's source (shared-module/sdcardio/SDCard.c) and from 10.2.1 against a card model:

- writeblocks opens a stream on the card (CMD25) and leaves it open. While it is open, a pulled card or a block number
  past the card's end looks like success; sync() ends the stream, and raises.
- sync() returns when the card has begun to program. The next command waits until it is done: a write is on the card
  once it was read back after a sync. So each write is synced here, and Medium reads it back.
- A read of several blocks can stop at the second one and say nothing: one block a call.
- After an error nobody knows the state of the stream: the object must be made anew.
- A card that isn't there is an OSError without errno; a pin that has an owner is a ValueError.
"""

import errno

import sdcardio

from backup_format.port import const

_BLOCK = const(512)
_BLOCK_COUNT = const(4)  # MicroPython's ioctl


class SdcardioBlocks:
    """readblocks(n, buf) and writeblocks(n, buf) of one block each, ioctl(4, 0) -> number of blocks.

    After an OSError it is closed: every call fails. Who makes a new one must see to it that it is the same card.
    """

    def __init__(self, spi, cs):
        """spi: busio.SPI; cs: pin. Raises OSError if no card answers."""
        try:
            self._card = sdcardio.SDCard(spi, cs)
        except (OSError, ValueError) as error:
            raise OSError(errno.ENODEV, "SD card: %s" % error)
        self._blocks = self._card.count()

    def close(self):
        """Let go of the card and its pin."""
        card = self._card
        self._card = None
        if card is not None:
            card.deinit()

    def ioctl(self, command, _argument):
        """Return the number of blocks for command 4."""
        return self._blocks if command == _BLOCK_COUNT else None

    def readblocks(self, n, buf):
        """Fill buf (512 bytes) from block n. Raises OSError."""
        self._call("readblocks", n, buf)

    def writeblocks(self, n, data):
        """Write data (512 bytes) to block n; it is on the card once it was read back. Raises OSError."""
        self._call("writeblocks", n, data)
        self._call("sync")

    def _call(self, name, *args):
        if self._card is None:
            raise OSError(errno.ENODEV, "the SD card failed before: it must be opened again")
        try:
            getattr(self._card, name)(*args)
        except OSError:
            self.close()
            raise
