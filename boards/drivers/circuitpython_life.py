"""The life of a CircuitPython board: its boot.py, code.py and safemode.py call boot, run and recover.

CircuitPython runs boot.py once, before USB; then code.py, and when that ends, it waits for a person. After a crash of
CircuitPython itself, or a brownout, it stays in safe mode, where it runs safemode.py and nothing else.
"""

import time

import supervisor

_PAUSE = 1  # seconds before a new start: nobody can type into a board that restarts all the time
_RECOVERY = 5  # seconds for a supply that broke down


def boot(drive=True):
    """Switch on the port of the link, and off what would hurt: a host's write to the drive must not restart the signer.

    drive: whether CIRCUITPY stays a USB drive. An ESP32-S3 has five IN endpoints (CircuitPython ends in safe mode if
    more are asked for): one is the chip's own, a serial port takes two, drive, keyboard and MIDI one each.
    """
    import storage
    import usb_cdc
    import usb_hid
    import usb_midi

    usb_cdc.enable(console=True, data=True)
    usb_hid.disable()
    usb_midi.disable()
    if not drive:
        storage.disable_usb_drive()
    supervisor.runtime.autoreload = False


def run():
    """Run the firmware; when it ends, start it anew in a fresh VM. Only Ctrl-C on the console gets out, to the REPL:
    0x03 on the link ends the loop too, but the REPL has a port of its own here, so there is nothing to hand over."""
    try:
        _run_main()
    except Exception:  # noqa: BLE001 - no memory for the words
        pass
    time.sleep(_PAUSE)
    supervisor.reload()


def _run_main():
    import traceback

    from usb_cdc_link import say

    try:
        import main

        main.main()
    except Exception as error:  # noqa: BLE001 - whatever it is, the signer starts again
        say("".join(traceback.format_exception(error)))
    say("firmware ended, starting it again")


def recover():
    """Reset the board out of safe mode, unless the next start would end there again for the same reason."""
    import microcontroller

    reasons = supervisor.SafeModeReason
    lasting = (
        reasons.PROGRAMMATIC,
        reasons.USB_TOO_MANY_ENDPOINTS,
        reasons.USB_TOO_MANY_INTERFACE_NAMES,
        reasons.USB_BOOT_DEVICE_NOT_INTERFACE_ZERO,
    )
    if supervisor.runtime.safe_mode_reason not in lasting:
        time.sleep(_RECOVERY)
        microcontroller.reset()
