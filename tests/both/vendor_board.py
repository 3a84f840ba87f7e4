"""Loads a board file with the vendors' modules put in their place, so that its real drivers run on models."""

import os
import sys

import backup_format.port  # noqa: F401 - the firmware must not be imported among the models
import signer.follower  # noqa: F401
from vendor_esp32 import Esp32
from vendor_littlefs import Files
from vendor_rp2 import Rp2
from vendor_sd import Card, SdcardModule, machine_sdcard, machine_spi
from vendor_stdio import Terminal


class World:
    """One board's surroundings: chip, card, files, terminal. modules: what `import` finds there, by name."""

    def __init__(self):
        self.rp2 = Rp2()
        self.esp32 = Esp32()
        self.card = Card()
        self.files = Files()
        self.terminal = Terminal()
        self.file_system = 0  # bytes of the flash that the mounted file system has
        self.now = 1800000000
        self.led = []
        world = self

        class Pin:
            OUT = 1

            def __init__(self, id, mode=None, value=None):
                self._is_led = id == "LED"

            def __call__(self, value):
                pass

            def value(self, value):
                if self._is_led:
                    world.led.append(value)

        class machine:
            SPI = machine_spi(lambda: world.card)
            SDCard = machine_sdcard(lambda: world.card, False)

            @staticmethod
            def unique_id():
                return b"\xe6\x60\x58\x38\x83\x2a\x11\x2d"

        class fake_sys:
            stdin = world.terminal.stdin
            stdout = world.terminal.stdout

        class fake_os:
            @staticmethod
            def mkdir(path):
                world.files.mkdir(path)

            @staticmethod
            def statvfs(path):
                return (4096, 4096, world.file_system // 4096, 0, 0, 0, 0, 0, 0, 255)

            @staticmethod
            def urandom(n):
                return os.urandom(n) if hasattr(os, "urandom") else bytes([world.next_random() for _ in range(n)])

        class fake_time:
            @staticmethod
            def time():
                return world.now

            @staticmethod
            def gmtime(seconds):
                return (1970, 1, 1, 0, 0, 0, 3, 1)

        machine.Pin = Pin
        self.time = fake_time
        self.machine = machine
        self.modules = {
            "esp32": self.esp32,
            "machine": machine,
            "micropython": self.terminal,
            "os": fake_os,
            "rp2": self.rp2,
            "sdcard": SdcardModule,
            "select": self.terminal,
            "sys": fake_sys,
            "time": fake_time,
        }
        self._state = 1

    def next_random(self):
        self._state = self._state * 1103515245 + 12345 & 0x7FFFFFFF
        return self._state >> 16 & 0xFF

    def load(self, name, folder="boards/drivers"):
        """Return the module called name in folder, imported afresh into this world."""
        fresh = [file[:-3] for file in os.listdir("boards/drivers") if file.endswith(".py")]
        fresh += [file[:-3] for file in os.listdir(folder) if file.endswith(".py")]
        before = {module: sys.modules.pop(module, None) for module in fresh + list(self.modules)}
        sys.modules.update(self.modules)
        sys.path.insert(0, folder)
        try:
            module = __import__(name)
            if "file_units" in sys.modules:
                sys.modules["file_units"].open = self.files.open
            return module
        finally:
            sys.path.pop(0)
            for old in before:
                if before[old] is not None:
                    sys.modules[old] = before[old]
                elif old in sys.modules:
                    del sys.modules[old]


def boards():
    """Return the names of the folders of boards that run MicroPython on hardware, and of the template."""
    return sorted(name for name in os.listdir("boards") if name != "sim" and "manifest.py" in _listed("boards/" + name))


def _listed(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def errno_of(call, *args):
    """Return the errno of the OSError that the call raises, None if it raises none."""
    try:
        call(*args)
    except OSError as error:
        return error.errno
    return None
