"""littlefs (littlefs-python, the C code) beside our journal: the same flash, faults and workload.

The state is kept as its users do it: one file with everything, written under another name, closed, renamed. What the
callbacks raise would be swallowed and taken as success, so they return negative codes; after a power cut the flash
stays as it is, and the cut is raised when littlefs has come back. A read cannot fail through littlefs-python.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from littlefs import LittleFS, LittleFSError, lfs

from fault_errors import WornOut
from faulty_flash import PowerCut, RamFlash, Worn
from medium_content import content

IO_ERROR = -5
NO_ENTRY = -2
BAD_BLOCK = -84  # LFS_ERR_CORRUPT: littlefs then takes another block
Entry = tuple[int, bytes, bytes | None]


class OverwritableFlash(RamFlash):
    """A RamFlash where a program clears bits of whatever is there, as NOR does."""

    def program(self, offset: int, data: bytes) -> None:
        self.writes += 1
        if not self._swallowed("program", offset, data):
            old = int.from_bytes(self.data[offset : offset + len(data)], "big")
            self.data[offset : offset + len(data)] = (old & int.from_bytes(data, "big")).to_bytes(len(data), "big")


class _Context:
    """littlefs' callbacks. cut: the power is gone."""

    def __init__(self, flash: RamFlash) -> None:
        self.flash = flash
        self.cut = False

    def read(self, cfg: Any, block: int, off: int, size: int) -> bytes:
        offset = block * cfg.block_size + off
        buf = bytearray(size)
        if self.cut or self._call(self.flash.read_into, offset, buf):
            fault, self.flash.fault = self.flash.fault, None
            self.flash.read_into(offset, buf)
            self.flash.fault = fault
        return bytes(buf)

    def prog(self, cfg: Any, block: int, off: int, data: bytes) -> int:
        for at in range(0, len(data), self.flash.program_size):
            part = bytes(data[at : at + self.flash.program_size])
            code = self._call(self.flash.program, block * cfg.block_size + off + at, part)
            if code:
                return code
        return 0

    def erase(self, cfg: Any, block: int) -> int:
        return self._call(self.flash.erase, block * cfg.block_size)

    def sync(self, cfg: Any) -> int:
        if hasattr(self.flash.fault, "sync"):
            self.flash.fault.sync()
        return IO_ERROR if self.cut else 0

    def _call(self, call: Callable[..., None], *args: object) -> int:
        if self.cut:
            return IO_ERROR
        try:
            call(*args)
        except PowerCut:
            self.cut = True
            return IO_ERROR
        except OSError:
            return BAD_BLOCK if isinstance(self.flash.fault, WornOut | Worn) else IO_ERROR
        return 0


class LittlefsBoard:
    """As fault_board.JournalBoard, as far as littlefs can."""

    recovery = 48
    syncs = True  # it says itself what must be on the medium (fault_families: reorder)

    def __init__(self, flash: RamFlash) -> None:
        self.flash = flash
        self.number = 0
        self._failed = False  # by an error, not by a power cut
        self._held: dict[str, Entry] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_fs", "_context")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if not self.flash.is_blank():
            self._mount()

    def _mount(self) -> None:
        self._context = _Context(self.flash)
        size = self.flash.erase_size
        options = {"read_size": 16, "prog_size": self.flash.program_size, "cache_size": self.flash.program_size}
        self._fs = LittleFS(
            self._context,
            mount=False,
            block_size=size,
            block_count=self.flash.size // size,
            block_cycles=100,
            **options,
        )
        if self.flash.is_blank():
            self._on_board(self._fs.format)
        self._on_board(self._fs.mount)

    def _on_board(self, call: Callable[..., Any], *args: object) -> Any:
        try:
            return call(*args)
        except LittleFSError as e:
            if not self._context.cut:
                self._failed = True
            raise OSError(5, str(e)) from None
        finally:
            if self._context.cut:
                raise PowerCut("littlefs")

    def start(self) -> None:
        """Mount, and read the file."""
        self._held = {}
        self.number = 0
        self._failed = False
        self._mount()
        self._on_board(self._read_file)

    def format(self) -> None:
        """Begin anew on a medium that can't be mounted and never held anything."""
        self._held = {}
        self.number = 0
        self._on_board(self._fs.format)
        self._on_board(self._fs.mount)

    def _read_file(self) -> None:
        try:
            size = lfs.stat(self._fs.fs, "/state").size
        except LittleFSError as e:
            if e.code == NO_ENTRY:
                return
            raise
        text = self._with_file("/state", "r", lfs.file_read, min(size, self.flash.size))
        self.number, entries = json.loads(text)
        for key, (version, signature, value) in entries.items():
            self._held[key] = version, bytes.fromhex(signature), None if value is None else value.encode()

    def ready(self) -> None:
        """Mount again after an error: littlefs, going on with what it has in RAM, may abort."""
        if self._failed:
            self._mount()
            self._failed = False

    def put(self, key: str, entry: Entry) -> None:
        self._held[key] = entry

    def spill(self) -> None:
        """Nothing: there are no snapshots in parts."""

    def save(self, begin: Callable[[int], None]) -> None:
        """Write the file anew."""
        self.ready()
        begin(self.number + 1)
        entries = {
            key: (version, signature.hex(), None if value is None else value.decode())
            for key, (version, signature, value) in self._held.items()
        }
        self._on_board(self._write_file, json.dumps([self.number + 1, entries]).encode())
        self.number += 1

    def _write_file(self, text: bytes) -> None:
        self._with_file("/state.new", "w", lfs.file_write, text)
        self._fs.rename("/state.new", "/state")

    def _with_file(self, path: str, mode: str, call: Callable[..., Any], argument: Any) -> Any:
        """Not by LittleFS.open: its file is closed a second time after an error, and littlefs aborts then."""
        file = lfs.file_open(self._fs.fs, path, mode)
        result = call(self._fs.fs, file, argument)
        lfs.file_close(self._fs.fs, file)
        return result

    def read(self) -> dict[str, Entry]:
        """Return the state."""
        return dict(self._held)

    def older(self) -> list[tuple[int, dict[str, Entry]]]:
        """Return the snapshots on the medium: there is one."""
        return [(self.number, dict(self._held))] if self.number else []


def overwritable_flash() -> OverwritableFlash:
    """Return the suite's medium."""
    flash = OverwritableFlash(16384, 1024, 128)
    flash.older = content(flash.size)
    return flash
