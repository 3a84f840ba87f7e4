"""An SD card on an SPI bus, by micropython-lib's sdcard.py, kept from waiting for ever.

sdcard.py waits for the end of a write without a timeout: `while spi.read(1, 0xff)[0] == 0: pass`. A card that hangs, or
a pulled one on a bus whose MISO rests low, would stop the signer. It gets a bus that gives up.
"""

import errno

import sdcard
from machine import SPI, Pin

from backup_format.port import ticks_ms, ticks_since

_BUSY_MS = 1000  # SD cards promise 500 at most


class BoundedSpi:
    """An SPI bus for sdcard.py; a card that says "busy" for a second makes read raise OSError(ETIMEDOUT)."""

    def __init__(self, spi):
        self._spi = spi
        self._busy_since = None
        self.init = spi.init
        self.write = spi.write
        self.readinto = spi.readinto
        self.write_readinto = spi.write_readinto

    def read(self, nbytes, write=0):
        """Return nbytes from the bus, sending the byte write meanwhile."""
        data = self._spi.read(nbytes, write)
        if data[0]:
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = ticks_ms()
        elif ticks_since(self._busy_since) > _BUSY_MS:
            self._busy_since = None
            raise OSError(errno.ETIMEDOUT, "the SD card is busy without an end")
        return data


class SpiCard:
    """A card slot. bus: SPI id; sck, mosi, miso, cs: pins; baudrate: Hz once the card is initialised."""

    def __init__(self, bus, sck, mosi, miso, cs, baudrate):
        self._bus = bus
        self._pins = {"sck": Pin(sck), "mosi": Pin(mosi), "miso": Pin(miso)}
        self._cs = Pin(cs, Pin.OUT, value=1)
        self._baudrate = baudrate

    def open(self):
        """Initialise the card; return sdcard.SDCard. Raises OSError, also for a missing card."""
        spi = BoundedSpi(SPI(self._bus, **self._pins))
        try:
            return sdcard.SDCard(spi, self._cs, self._baudrate)
        except OSError as error:
            # sdcard.py raises OSError("no SD card"), which has no errno.
            raise OSError(errno.ENODEV, "SD card: %s" % error)
