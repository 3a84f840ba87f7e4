"""`vls-backup devices`: the serial ports that a board may be at."""

from __future__ import annotations

import json

import click

from vls_backup.console import emit, printable, say

_MAKERS = {
    0x2E8A: "Raspberry Pi (RP2040, RP2350)",
    0x303A: "Espressif (ESP32 with native USB)",
    0x239A: "Adafruit (CircuitPython)",
    0xF055: "MicroPython",
    0x10C4: "Silicon Labs CP210x (ESP32 boards)",
    0x1A86: "WCH CH340 (ESP32 boards)",
    0x0403: "FTDI",
}
"""USB vendor id -> what is likely behind it."""


@click.command("devices", epilog="\b\nExample:\n  vls-backup devices --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List the serial ports of this computer, likely boards first. Nothing is sent to any of them."""
    from serial.tools import list_ports

    found = [
        {
            "port": port.device,
            "likely": _MAKERS.get(port.vid or 0),
            "description": port.description,
            "interface": port.interface,
            "serial_number": port.serial_number,
        }
        for port in list_ports.comports()
    ]
    found.sort(key=lambda row: (row["likely"] is None, row["port"]))
    if as_json:
        emit(json.dumps(found, indent=2) + "\n")
        return
    if not found:
        say("No serial port found. Plug the board in with a cable that carries data.")
    for row in found:
        what = " · ".join(str(row[name]) for name in ("likely", "description", "interface") if row[name])
        emit(printable(f"{row['port']}  {what}") + "\n")
    if any(row["interface"] == "CircuitPython CDC2 data" for row in found):
        say("A CircuitPython board has two ports: its backups are at the one named CDC2 data.")
