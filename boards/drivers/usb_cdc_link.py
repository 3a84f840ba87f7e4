"""The link over CircuitPython's second serial port, usb_cdc.data, and words for the first one, the console.

Facts from CircuitPython's source (shared-module/usb_cdc/Serial.c, supervisor/shared/serial.c): both ports wait for ever
unless their timeouts are set; write returns how much went out in time; print() waits as long as a host holds the
console open without reading it. Both ports pass every byte value, but on the console 0x03 interrupts the program.
"""

import errno
import time

import usb_cdc

from backup_format.port import ticks_ms, ticks_since

_STALL = 0.5  # seconds without a byte going out: the host doesn't read
_CONSOLE_STALL = 0.1  # words for nobody must not hold the signer up


class UsbCdcLink:
    """The data port as a link. Raises OSError if boot.py did not switch it on."""

    def __init__(self):
        if usb_cdc.data is None:
            raise OSError(errno.ENODEV, "usb_cdc.data is off: put boot.py on the board and press its reset button")
        self._port = usb_cdc.data
        self._port.timeout = 0
        self._port.write_timeout = _STALL

    def read(self, timeout_ms, limit):
        """Return the bytes that are there, at most limit; b"" if none came in timeout_ms."""
        began = ticks_ms()
        while not self._port.in_waiting:
            if ticks_since(began) >= timeout_ms:
                return b""
            time.sleep(0.001)
        return self._port.read(min(limit, self._port.in_waiting))

    def write(self, data):
        """Write all of data. Raises OSError(ETIMEDOUT) if the host doesn't read; what was written is unknown then."""
        view = memoryview(data)
        done = 0
        while done < len(view):
            n = self._port.write(view[done:])
            if not n:
                raise OSError(errno.ETIMEDOUT, "the host reads no more, after %d of %d bytes" % (done, len(view)))
            done += n

    def close(self):
        """Nothing to give back: the REPL has a port of its own."""


def say(text):
    """Write a line to the console, if somebody reads it."""
    console = usb_cdc.console
    if console is not None:
        console.write_timeout = _CONSOLE_STALL
        console.write((text + "\r\n").encode())
