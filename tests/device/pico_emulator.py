"""An emulated Raspberry Pi Pico as a process: boots an unmodified UF2 image, its USB port a pseudo terminal.

Arguments: the UF2 file, the flash file, the port. The flash file is the chip's whole flash, made of the UF2 if it is
missing; every finished program and erase is in it at once, so that killing this process is a power cut between two of
them. A cut inside one is ordered as on the simulated board: a file `<flash>.cut` that holds n tears the n-th program or
erase from then on. The port is a link that is there once the board has told the USB host of itself.
"""

import asyncio
import os
import pty
import random
import select
import sys
import tty
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rp2040py.boards import BOARDS
from rp2040py.device.base_device import BaseDevice
from rp2040py.peripherals import ssi

POWER_CUT = 3  # exit status
FLASH = 2 * 1024 * 1024
SIZES = {ssi.CMD_PAGE_PROGRAM: 256, ssi.CMD_SECTOR_ERASE: 4096, ssi.CMD_BLOCK_ERASE: 65536}


class Flash:
    """Keeps the emulated flash in a file, and cuts the power."""

    def __init__(self, content: bytearray, path: Path) -> None:
        """content: the emulator's flash, which holds the UF2; path: the file."""
        self._content = content
        self._order = path.with_name(path.name + ".cut")
        self._left = 0
        if path.exists():
            content[:FLASH] = path.read_bytes()
        else:
            path.write_bytes(content[:FLASH])
        self._file = os.open(path, os.O_WRONLY)

    def run(self, apply: Any, chip: Any) -> None:
        """Let the flash chip carry out, by apply(chip), the command that it got: in part, if the power goes."""
        command = bytes(chip._tx_buffer)
        size = SIZES.get(command[0], 0) if len(command) >= 4 else 0
        at = int.from_bytes(command[1:4], "big") // size * size if size else 0
        before = bytes(self._content[at : at + size])
        apply(chip)
        after = bytes(self._content[at : at + size])
        if after == before:
            return
        cut = self._is_cut()
        if cut:
            dice = random.Random(cut)
            share = dice.random()
            after = bytes(new if dice.random() < share else old for new, old in zip(after, before, strict=True))
        os.pwrite(self._file, after, at)
        if cut:
            os._exit(POWER_CUT)

    def _is_cut(self) -> int:
        """Return the order's number if this is the call that it names, else 0."""
        try:
            number = int(self._order.read_text())
        except (OSError, ValueError):
            self._left = 0
            return 0
        self._left = (self._left or number) - 1
        if self._left:
            return 0
        self._order.unlink()
        return number


class Cable:
    """The USB cable between the board and a pseudo terminal."""

    def __init__(self, device: BaseDevice) -> None:
        self._usb = device.cdc.usb
        self._asked: deque[tuple[int, int]] = deque()
        self._to_board = b""
        self._to_host = b""
        self._host, terminal = pty.openpty()
        tty.setraw(terminal)
        os.set_blocking(self._host, False)
        self.port = os.ttyname(terminal)
        os.close(terminal)
        # The emulator's own host answers each read with an empty packet while it has nothing to send. No real host
        # does, and the board would do nothing but take them.
        self._control = self._usb.on_endpoint_read
        self._usb.on_endpoint_read = self._read
        device.cdc.on_serial_data = self._said

    async def run(self) -> None:
        """Carry bytes for ever."""
        poll = select.poll()
        poll.register(self._host, select.POLLIN)
        while True:
            events = poll.poll(0)[0][1] if poll.poll(0) else 0
            if events & select.POLLHUP:  # nobody has the port open: what the board says is lost
                self._to_host = b""
            elif events & select.POLLIN and not self._to_board:
                self._to_board = os.read(self._host, 512)
            self._carry()
            await asyncio.sleep(0)

    def _read(self, endpoint: int, size: int) -> None:
        """The board is ready for size bytes."""
        if endpoint == 0:
            self._control(endpoint, size)
        else:
            self._asked.append((endpoint, size))
            self._carry()

    def _said(self, data: bytes | bytearray) -> None:
        self._to_host += bytes(data)

    def _carry(self) -> None:
        while self._asked and self._to_board:
            endpoint, size = self._asked.popleft()
            self._usb.endpoint_read_done(endpoint, self._to_board[:size])
            self._to_board = self._to_board[size:]
        if self._to_host:
            with suppress(BlockingIOError):
                self._to_host = self._to_host[os.write(self._host, self._to_host) :]


async def main(image: str, flash: str, port: str) -> None:
    """Boot, offer the port, and run until the process is killed."""
    device = BaseDevice(board=replace(BOARDS["pico"], image=image))
    keeper = Flash(device.mcu.flash, Path(flash))
    apply = ssi.RPSSI._apply_command
    ssi.RPSSI._apply_command = lambda chip: keeper.run(apply, chip)
    cable = Cable(device)
    await device.astart()
    Path(port).symlink_to(cable.port)
    await cable.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
