"""CircuitPython's second serial port as the link: all bytes, no wait without an end, on every VM."""

import errno

import vendor_circuitpython  # noqa: F401 - gives the driver its vendor's modules
from vendor_circuitpython import FIFO, Machine, load, usb_cdc

UsbCdcLink = load("usb_cdc_link").UsbCdcLink
say = load("usb_cdc_link").say

ALL = bytes(range(256))


def link():
    Machine()
    return UsbCdcLink()


def test_every_byte_value_passes_both_ways():
    port = link()
    usb_cdc.data.arrived = ALL
    assert port.read(1000, 300) == ALL
    port.write(memoryview(ALL * 20))
    assert usb_cdc.data.got == ALL * 20


def test_read_takes_no_more_than_its_limit_and_waits_for_no_more_than_is_there():
    port = link()
    usb_cdc.data.arrived = b"abcdef"
    assert port.read(1000, 4) == b"abcd"
    assert port.read(1000, 4) == b"ef"
    assert usb_cdc.data.waits == 0


def test_read_gives_up_after_its_timeout():
    port = link()
    assert port.read(20, 4) == b""
    assert port.read(0, 4) == b""
    usb_cdc.data.arrived = b"x"
    assert port.read(0, 4) == b"x"


def test_a_host_that_reads_slowly_gets_everything():
    port = link()

    class Slow(type(usb_cdc.data)):
        def write(self, data):
            self.reads = 100
            return super().write(data)

    usb_cdc.data = port._port = Slow()
    usb_cdc.data.write_timeout = 0.5
    sent = ALL * 8
    port.write(sent)
    assert usb_cdc.data.waits > 3
    assert usb_cdc.data.got == sent[: len(usb_cdc.data.got)] and len(usb_cdc.data.got) >= len(sent) - FIFO


def test_a_host_that_stops_reading_is_an_error_and_not_a_wait():
    port = link()
    usb_cdc.data.reads = 10
    try:
        port.write(ALL * 4)
    except OSError as error:
        assert error.errno == errno.ETIMEDOUT
    else:
        raise AssertionError("1024 bytes went into a buffer of 256")
    assert usb_cdc.data.got == ALL[:10]


def test_nobody_there():
    port = link()
    usb_cdc.data.connected = False
    port.write(ALL * 4)
    assert port.read(5, 10) == b""


def test_a_board_without_boot_py():
    Machine()
    usb_cdc.data = None
    try:
        UsbCdcLink()
    except OSError as error:
        assert error.errno == errno.ENODEV and "boot.py" in str(error)
    else:
        raise AssertionError("a link without a port")


def test_words_for_the_console_never_hold_the_signer_up():
    Machine()
    usb_cdc.console.reads = 0
    for _ in range(20):
        say("a line of some thirty characters")
    assert usb_cdc.console.waits > 5
    usb_cdc.console.reads = None
    say("äh")
    assert usb_cdc.console.got.endswith("äh\r\n".encode())
    usb_cdc.console = None
    say("nobody")
