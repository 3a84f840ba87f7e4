"""What all boards that run MicroPython have alike (boards/README.md). A board adds its name, storage and engine."""

import os
import time

import machine

from stdio_link import StdioLink

LOG = []  # the newest lines; at the REPL: import micropython_board; micropython_board.LOG
_LINES = 20
_CLOCK_IS_SET = 1735689600  # 2025-01-01: an unset clock starts at 2000 (ESP32) or 2021 (rp2)
_SECONDS_1970_TO_2000 = 946684800


class MicroPythonBoard:
    """A board whose link is its REPL's port.

    led: what machine.Pin takes for a LED, or None for a board that has none. retry_pause: milliseconds.
    """

    name = ""
    retry_pause = 1000
    led = None

    def __init__(self):
        self._led = None if self.led is None else machine.Pin(self.led, machine.Pin.OUT)

    def link(self):
        """Return the link to the host."""
        return StdioLink()

    def strategy(self):
        """Return the backup strategy's name."""
        return "new-channels-only"

    def clock(self):
        """Return unix seconds, or None while the clock is unset: boards have no battery."""
        now = time.time()
        if time.gmtime(0)[0] == 2000:  # the epoch of ESP32; rp2 counts from 1970
            now += _SECONDS_1970_TO_2000
        return int(now) if now >= _CLOCK_IS_SET else None

    def random(self, n):
        """Return n random bytes."""
        return os.urandom(n)

    def unique_id(self):
        """Return the chip's own number, bytes."""
        return machine.unique_id()

    def indicator(self, on):
        """Switch the LED, if there is one."""
        if self._led is not None:
            self._led.value(on)

    def log(self, text):
        """Keep the line in RAM, with the newest others: the terminal is the link."""
        LOG.append(text)
        if len(LOG) > _LINES:
            LOG.pop(0)
