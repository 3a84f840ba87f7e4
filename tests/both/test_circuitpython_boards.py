"""The CircuitPython boards as they start: their boot.py, code.py, safemode.py and board_def.py, on every VM."""

import errno
import json
import sys

import board_contract
from backup_format import frames
from journal_rig import Rig, fill
from vendor_circuitpython import Machine, Module, Reload, Reset, board, load, microcontroller, sd, supervisor, usb_cdc

NEEDS = ["boards/feather-rp2040-adalogger", "boards/metro-esp32-s3"]
STOP = b"\x03"

load("circuitpython_life")._PAUSE = load("circuitpython_life")._RECOVERY = 0


def run(folder, file):
    """Run a file of a board as its VM does, in a fresh VM as far as our modules go; return its names."""
    with open(folder + "/" + file) as source:
        names = {"__name__": "__main__"}
        exec(source.read(), names)
        return names


def start(folder):
    """Power a board on with a card of ours in its slot; return its Board class."""
    Machine()
    return run(folder, "board_def.py")["Board"]


def run_code(folder, arrived):
    """Run code.py while the host sends `arrived`; return what ended it: Reload, or another exception."""
    kept = [(name, sys.modules.pop(name, None)) for name in ("main", "board_def")]
    sys.modules["board_def"] = Module(Board=run(folder, "board_def.py")["Board"])
    if usb_cdc.data:
        usb_cdc.data.arrived = arrived
    try:
        run(folder, "code.py")
    except (Exception, KeyboardInterrupt, Reload) as error:  # noqa: BLE001
        return type(error)
    finally:
        for name, module in kept:
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def answers():
    """Return [(kind, JSON value or None)] of the frames that the host read."""
    reader = frames.FrameReader(frames.MAX_TO_HOST)
    reader.feed(usb_cdc.data.got, 0)
    found = []
    frame = reader.next()
    while frame is not None:
        found.append((frame[0], json.loads(str(bytes(frame[2]), "utf-8"))))
        frame = reader.next()
    return found


def card_with_a_snapshot():
    """Put a card into the slot on which a board wrote a snapshot before."""
    card = sd.SPI.card = sd.Card(foreign=b"\xff" * sd.BLOCK)
    spi = sd.SPI(sd.Pin("SCK"), sd.Pin("MOSI"), sd.Pin("MISO"))
    blocks = load("sdcardio_blocks").SdcardioBlocks(spi, sd.Pin("CS"))
    device = load("sd_blocks").SdBlocks(blocks)
    device.size = 8 * device.erase_size  # the journal looks at all of a blank medium: that takes a while
    rig = Rig(device)
    fill(rig, 2)
    rig.save()
    blocks.close()
    return card


def raised(call, *args):
    """Return the OSError that the call raises."""
    try:
        call(*args)
    except OSError as error:
        return error
    raise AssertionError("no OSError")


def test_boot_opens_the_link_and_closes_what_costs_endpoints():
    for folder, drive in zip(NEEDS, (1, 0)):
        machine = Machine()
        run(folder, "boot.py")
        assert machine.usb["console"] == machine.usb["data"] == 2
        assert machine.usb.get("drive", 0) == drive
        assert supervisor.runtime.autoreload is False
    assert sum(machine.usb.values()) <= 5  # what an ESP32-S3 has (ports/espressif/mpconfigport.mk)


def test_code_serves_its_backups_and_starts_again_after_a_stop():
    for folder in NEEDS:
        Machine()
        card_with_a_snapshot()
        hello = frames.encode(frames.HELLO, 1, bytes((frames.LOOK,)))
        assert run_code(folder, hello + frames.encode(frames.STATUS, 2, b"") + STOP + b"rest") is Reload
        (kind, greeting), (_, status) = answers()
        assert kind == frames.HELLO | frames.ANSWER
        assert greeting["board"] == status["board"] == folder.split("/")[1]
        assert (status["snapshot"], status["channels"], status["size"]) == (1, 2, 16 << 20)
        assert usb_cdc.data.arrived == b"rest"


def test_code_starts_again_after_any_failure_and_says_why():
    for folder in NEEDS:
        Machine()
        usb_cdc.data = None
        assert run_code(folder, b"") is Reload
        assert b"boot.py" in usb_cdc.console.got


def test_code_starts_again_without_memory_for_words():
    Machine()
    usb_cdc.data = None

    def write(data):
        raise MemoryError

    usb_cdc.console.write = write
    assert run_code(NEEDS[0], b"") is Reload


def test_ctrl_c_on_the_console_ends_in_the_repl():
    Machine()

    def read(size):
        raise KeyboardInterrupt

    usb_cdc.data.read = read
    assert run_code(NEEDS[0], b"x") is KeyboardInterrupt


def test_without_a_card_the_loop_runs():
    Machine()
    sd.SPI.card.pull()
    assert run_code(NEEDS[0], frames.encode(frames.STATUS, 2, b"") + STOP) is Reload
    [(_, status)] = answers()
    assert status["size"] is None and "no SD card" in status["last_error"]


def test_safe_mode_ends_by_a_reset_where_that_can_help():
    for folder in NEEDS:
        for reason, reset in (
            ("BROWNOUT", True),
            ("HARD_FAULT", True),
            ("WATCHDOG", True),
            ("PROGRAMMATIC", False),
            ("USB_TOO_MANY_ENDPOINTS", False),
        ):
            Machine()
            supervisor.runtime.safe_mode_reason = reason
            try:
                run(folder, "safemode.py")
            except Reset:
                assert reset, reason
            else:
                assert not reset, reason


def test_storage_asked_again_is_the_card_again():
    for folder in NEEDS:
        parts = start(folder)()
        first = parts.storage()
        first.program(0, bytes(512))
        sd.SPI.card.pull()
        assert raised(parts.storage).errno == errno.ENODEV
        sd.SPI.card.insert()
        again = parts.storage()
        assert again is not first
        back = bytearray(512)
        again.read_into(0, back)
        assert back == bytes(512)


def test_a_card_that_circuitpython_keeps_as_a_drive():
    for folder in NEEDS:
        parts = start(folder)()
        board.SD_MISO.take()
        error = raised(parts.storage)
        assert error.errno == errno.EACCES
        assert "SD_MISO in use" in str(error) and "settings.toml" in str(error)


def test_clock_is_none_until_it_was_set():
    parts = start(NEEDS[0])()
    module = load("circuitpython_board")
    kept = module.time
    for now, expected in ((946684800, None), (1735689599, None), (1735689600, 1735689600)):
        module.time = Module(time=lambda reading=now: reading)
        assert parts.clock() == expected
    module.time = kept


def test_the_board_contract():
    for folder in NEEDS:
        assert board_contract.run(start(folder)(), erase=True) == 0


def test_the_other_parts():
    for folder in NEEDS:
        parts = start(folder)()
        assert parts.name == folder.split("/")[1]
        assert parts.unique_id() == bytes(microcontroller.cpu.uid)
        parts.indicator(True)
        assert parts._led.value is True
        parts.log("words")
        assert usb_cdc.console.got == b"words\r\n"


def test_settings_leave_the_card_alone_and_the_stack_deep():
    for folder in NEEDS:
        with open(folder + "/settings.toml") as file:
            lines = file.read().split("\n")
        settings = dict([line.split(" = ") for line in lines if " = " in line])
        assert settings["CIRCUITPY_SDCARD_USB"] == "false"
        assert int(settings["CIRCUITPY_PYSTACK_SIZE"]) % 4 == 0
