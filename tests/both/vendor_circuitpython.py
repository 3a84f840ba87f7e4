"""The modules that only CircuitPython has, as far as our boards use them; importing this puts them in sys.modules, and
load() then imports a driver.

sdcardio and busio are in vendor_circuitpython_sd; here is the rest: usb_cdc (shared-module/usb_cdc/Serial.c), the pins
of a board, and what boot.py, code.py and safemode.py call.
"""

import os
import sys

import vendor_circuitpython_sd as sd

FIFO = 256  # bytes of a port's transmit buffer


class Module:
    """A module made of its parts."""

    def __init__(self, **parts):
        for name in parts:
            setattr(self, name, parts[name])


class Serial:
    """usb_cdc.Serial. The host's side: arrived (bytes for the board), got (bytes that the host read), connected (DTR),
    reads: how many more bytes the host reads at all; None: everything. waits counts calls that ran into a timeout.

    Without a timeout a call that has to wait never returns: the model says so by AssertionError.
    """

    def __init__(self):
        self.timeout = None
        self.write_timeout = None
        self.arrived = b""
        self.got = b""
        self.connected = True
        self.reads = None
        self.waits = 0
        self._fifo = b""

    @property
    def in_waiting(self):
        return len(self.arrived)

    def read(self, size):
        if size > len(self.arrived):
            assert self.timeout is not None, "read waits for ever"
            self.waits += self.timeout > 0
        data = self.arrived[:size]
        self.arrived = self.arrived[size:]
        return data

    def write(self, data):
        """Return how much went out before the timeout: the host reads, and the buffer takes a little more."""
        data = bytes(data)
        if not self.connected:
            return len(data)  # the buffer overwrites itself
        readable = self._fifo + data
        n = len(readable) if self.reads is None else min(self.reads, len(readable))
        if self.reads is not None:
            self.reads -= n
        self.got += readable[:n]
        rest = readable[n:]
        written = len(data) - max(0, len(rest) - FIFO)
        self._fifo = rest[:FIFO]
        if written < len(data):
            assert self.write_timeout is not None, "write waits for ever"
            self.waits += 1
        return written


class DigitalInOut:
    """digitalio.DigitalInOut, for a LED."""

    def __init__(self, pin):
        pin.take()
        self.pin = pin

    def switch_to_output(self, value=False):
        self.value = value


class Reload(BaseException):
    """What supervisor.reload() raises, and Reset what microcontroller.reset() does: neither returns."""


class Reset(BaseException):
    """See Reload."""


class Machine:
    """A board at power-on, with everything at its default. usb: the IN endpoints that each USB function takes."""

    def __init__(self):
        self.usb = {"control": 1, "console": 2, "drive": 1, "hid": 1, "midi": 1}
        pins = [sd.Pin(name) for name in ("SD_CS", "SD_CLK", "SD_MOSI", "SD_MISO", "LED")]
        for pin in pins:
            setattr(board, pin.name, pin)
        sd.SPI.card = sd.Card()
        bus = []
        board.SPI = lambda: _only(bus)
        usb_cdc.console = Serial()
        usb_cdc.data = Serial()
        usb_cdc.enable = self._enable_cdc
        usb_hid.disable = lambda: self.usb.pop("hid")
        usb_midi.disable = lambda: self.usb.pop("midi")
        storage.disable_usb_drive = lambda: self.usb.pop("drive")
        supervisor.runtime = Module(autoreload=True, safe_mode_reason="NONE")
        supervisor.reload = lambda: _raise(Reload())
        microcontroller.reset = lambda: _raise(Reset())

    def _enable_cdc(self, console=True, data=False):
        self.usb.update({"console": 2 * console, "data": 2 * data})


def _only(bus):
    """board.SPI(): makes the bus at the first call, and returns the same one from then on."""
    if not bus:
        bus.append(sd.SPI(board.SD_CLK, board.SD_MOSI, board.SD_MISO))
    return bus[0]


def _raise(error):
    raise error


_REASONS = """NONE BROWNOUT FLASH_WRITE_FAIL GC_ALLOC_OUTSIDE_VM HARD_FAULT INTERRUPT_ERROR NLR_JUMP_FAIL NO_CIRCUITPY
NO_HEAP PROGRAMMATIC SDK_FATAL_ERROR STACK_OVERFLOW USB_BOOT_DEVICE_NOT_INTERFACE_ZERO USB_TOO_MANY_ENDPOINTS
USB_TOO_MANY_INTERFACE_NAMES USER WATCHDOG""".split()

board = Module(board_id="model")
usb_cdc = Module(console=None, data=None)
usb_hid = Module()
usb_midi = Module()
storage = Module()
supervisor = Module(SafeModeReason=Module(**{name: name for name in _REASONS}))
microcontroller = Module(cpu=Module(uid=bytearray(b"\x01\x02\x03\x04\x05\x06\x07\x08")))

sys.modules["board"] = board
sys.modules["busio"] = Module(SPI=sd.SPI)
sys.modules["digitalio"] = Module(DigitalInOut=DigitalInOut)
sys.modules["microcontroller"] = microcontroller
sys.modules["sdcardio"] = Module(SDCard=sd.SDCard)
sys.modules["storage"] = storage
sys.modules["supervisor"] = supervisor
sys.modules["usb_cdc"] = usb_cdc
sys.modules["usb_hid"] = usb_hid
sys.modules["usb_midi"] = usb_midi
Machine()
if sys.implementation.name != "cpython":  # CPython's own does the same
    sys.modules["traceback"] = Module(format_exception=lambda error: ["%r\n" % error])


def load(name):
    """Return the driver called name, on these modules."""
    return __import__(name)


if not hasattr(os, "urandom"):  # MicroPython in WebAssembly
    _drawn = []

    def _urandom(n):
        _drawn.append(n)
        return bytes([(len(_drawn) * 37 + i) & 0xFF for i in range(n)])

    load("circuitpython_board").os = Module(urandom=_urandom)
