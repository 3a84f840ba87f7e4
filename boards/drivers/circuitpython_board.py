"""What all boards that run CircuitPython have alike (boards/README.md). A board adds name, pins and engine."""

import errno
import os
import time

import digitalio
import microcontroller

from sd_blocks import SdBlocks
from sdcardio_blocks import SdcardioBlocks
from usb_cdc_link import UsbCdcLink, say

_CLOCK_IS_SET = 1735689600  # 2025-01-01: an unset clock starts at 2000


class CircuitPythonBoard:
    """A board with an SD card, which the backup has for itself, and usb_cdc.data as its link.

    spi(): a new busio.SPI to the card. cs: the pin of its chip select. led: a pin, or None. retry_pause: milliseconds.
    """

    name = ""
    retry_pause = 1000
    cs = None
    led = None

    def __init__(self):
        self._spi = None
        self._card = None
        self._led = None
        if self.led is not None:
            self._led = digitalio.DigitalInOut(self.led)
            self._led.switch_to_output(False)

    def storage(self):
        """Return the card. Raises OSError while it is missing, or while CircuitPython has it as a drive."""
        if self._card is not None:
            self._card.close()
        if self._spi is None:
            try:
                self._spi = self.spi()
            except ValueError as error:
                text = "SD card: %s. If it is because CircuitPython shows the card as a drive: put settings.toml on the"
                raise OSError(errno.EACCES, (text + " board and press its reset button") % error)
        self._card = SdcardioBlocks(self._spi, self.cs)
        return SdBlocks(self._card)

    def link(self):
        """Return the link to the host. Raises OSError if boot.py did not switch it on."""
        return UsbCdcLink()

    def strategy(self):
        """Return the backup strategy's name."""
        return "new-channels-only"

    def clock(self):
        """Return unix seconds, or None while the clock is unset: boards have no battery."""
        now = time.time()
        return int(now) if now >= _CLOCK_IS_SET else None

    def random(self, n):
        """Return n random bytes."""
        return os.urandom(n)

    def unique_id(self):
        """Return the chip's own number, bytes."""
        return bytes(microcontroller.cpu.uid)

    def indicator(self, on):
        """Switch the LED, if there is one."""
        if self._led is not None:
            self._led.value = bool(on)

    def log(self, text):
        """Write the line to the console."""
        say(text)
