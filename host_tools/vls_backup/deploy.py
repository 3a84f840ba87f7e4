"""`vls-backup deploy`: the built firmware onto a board's file system, each file verified by its SHA-256."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from vls_backup.console import printable, say
from vls_backup.errors import BackupError, BoardError
from vls_backup.options import PORT
from vls_backup.progress import progress_bar
from vls_backup.transport import at_prompt, wait_for_loop

_EXAMPLES = """\b
Example:
  vls-backup deploy --board rp2 --port /dev/ttyACM0
"""
_MAIN = "main.py"  # the board starts it at power-on: gone before anything changes, back when all else is right
_START_SECONDS = 60  # a slow board looks for its medium at its start
_CHUNK = 1024  # bytes that a board gets at once, as the text of a literal

_HASHES = """
import hashlib
from binascii import hexlify
def show(name):
    try:
        file = open(name, "rb")
    except OSError:
        return
    digest = hashlib.sha256()
    block = file.read(512)
    while block:
        digest.update(block)
        block = file.read(512)
    file.close()
    print(name, hexlify(digest.digest()).decode())
for name in %r:
    show(name)
"""
_FOLDERS = """
import os
for name in %r:
    try:
        os.mkdir(name)
    except OSError:
        pass
"""
_REMOVE = "import os\nos.remove(%r)\n"
_MISSING = """
try:
    import board_def
except ImportError as error:
    print(str(error))
"""
_FROM_LIB = {"sdcard": "sdcard@0.2.0"}
"""Modules of micropython-lib that boards need, and what mip calls the version that they were tested with."""
_VM = "import sys\nprint(sys.implementation.name, getattr(sys.implementation, '_mpy', 0) & 0xFF)\n"


def _complete_board(_context: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    with suppress(BackupError):  # there is no firmware
        return [name for name in _boards(firmware_folder()) if name.startswith(incomplete)]
    return []


@click.command("deploy", epilog=_EXAMPLES)
@click.option(
    "--board",
    required=True,
    metavar="NAME",
    shell_complete=_complete_board,
    help="Which board: a name that the firmware was built for.",
)
@click.option("--port", required=True, type=PORT, help="The board's serial port, for instance /dev/ttyACM0.")
def command(board: str, port: str) -> None:
    """Put the firmware onto a board that runs MicroPython.

    Copies what the board doesn't have yet, checks every file by its SHA-256, and starts the firmware. Snapshots on
    the board are not touched. May be run again at any time: it goes on where it was stopped.
    """
    files = built_files(firmware_folder(), board)
    with at_prompt(port) as prompt:
        _check_vm(prompt, files)
        with progress_bar("Copying") as progress:
            copied = deploy(prompt, files, progress)
        _check_modules(prompt, board, port)
    say(f"{copied} of {len(files)} files copied, {len(files) - copied} were right already; all are verified.")
    hello = wait_for_loop(port, _START_SECONDS)
    if hello is None:
        raise BoardError(
            "The files on the board are right, but its firmware doesn't answer. Unplug the board, plug it in again, "
            f"and ask it what is wrong: vls-backup status --port {port}"
        )
    say(printable(f"The board runs our firmware: board {hello.get('board')}, firmware {hello.get('firmware')}."))
    say(f"Check what it holds with: vls-backup pull --port {port} --list")


def firmware_folder() -> Path:
    """Return the folder with the firmware: this installation's, or what its checkout has built. Raises BackupError."""
    here = Path(__file__).resolve().parent
    for folder in (here / "firmware", here.parents[1] / "build" / "firmware"):
        if folder.is_dir():
            return folder
    raise BackupError("There is no firmware to deploy: run make firmware in a checkout of vls-backup, and deploy there")


def built_files(folder: Path, board: str) -> dict[str, bytes]:
    """Return {path on the board: content} of what was built for board. Raises UsageError, BackupError."""
    known = _boards(folder)
    if board not in known:
        raise click.UsageError(f"--board {board}: there is no firmware for it. There is for: {', '.join(known)}.")
    paths = [path for path in (folder / board).rglob("*") if path.is_file()]
    files = {path.relative_to(folder / board).as_posix(): path.read_bytes() for path in paths}
    if _MAIN not in files:
        raise BackupError(f"{folder / board}: is no whole firmware: {_MAIN} is missing. Build it anew: make firmware")
    if "code.py" in files:
        raise BackupError(
            f"Board {board} runs CircuitPython, which takes no files over its serial port. Plug it in and copy "
            f"everything in {folder / board} onto its drive CIRCUITPY"
        )
    return files


def _boards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def _check_vm(prompt: Any, files: dict[str, bytes]) -> None:
    """Raise BoardError unless the VM at the prompt runs these compiled files (.mpy: "M", format version, ...)."""
    name, version = prompt.exec(_VM).decode().split()
    wanted = {str(content[1]) for path, content in files.items() if path.endswith(".mpy")}
    if name != "micropython" or wanted - {version}:
        raise BoardError(
            f"The board runs {printable(name)} with compiled files of version {printable(version)}; this firmware is "
            f"for MicroPython with version {', '.join(sorted(wanted))}. Put a current MicroPython onto the board first."
        )


def _check_modules(prompt: Any, board: str, port: str) -> None:
    """Raise BoardError if the board lacks a module that its firmware needs and that is not ours."""
    said = prompt.exec(_MISSING).decode().strip()
    if not said:
        return
    found = re.search(r"'(\w+)'", said)
    name = found[1] if found else ""
    if name in _FROM_LIB:
        raise BoardError(
            f"All files are on the board and right, but it needs the driver {name} of micropython-lib, too. Put it "
            f"there (this downloads it), then deploy again: mpremote connect {port} mip install {_FROM_LIB[name]}"
        )
    raise BoardError(
        f"All files are on the board and right, but its MicroPython can't run them: {printable(said)}. Is this a board "
        f"for which --board {board} is meant?"
    )


def deploy(prompt: Any, files: dict[str, bytes], progress: Callable[[int, int], None]) -> int:
    """Make the board at the prompt (mpremote's transport) hold files; return how many had to be copied.

    progress(done, total) is told the bytes. Raises BoardError if the board reads back other bytes than it was given.
    """
    # A leftover X.py would be imported in place of our X.mpy.
    shadows = [path.removesuffix(".mpy") + ".py" for path in files if path.endswith(".mpy")]
    there = _hashes(prompt, [*files, *shadows])
    wrong = [path for path, content in files.items() if there.get(path) != _digest(content)]
    stale = [path for path in shadows if path in there]
    if not wrong and not stale:
        return 0
    if _MAIN in there:
        stale.insert(0, _MAIN)
    for path in stale:
        prompt.exec(_REMOVE % path)
    wrong = [path for path in wrong if path != _MAIN]
    total = sum(len(files[path]) for path in [*wrong, _MAIN])
    done = 0
    folders = {str(parent) for path in wrong for parent in Path(path).parents if str(parent) != "."}
    prompt.exec(_FOLDERS % sorted(folders))
    for group in (wrong, [_MAIN]):
        for path in group:
            prompt.fs_writefile(path, files[path], _CHUNK)
            done += len(files[path])
            progress(done, total)
        _verify(prompt, files, group)
    return len(wrong) + 1


def _verify(prompt: Any, files: dict[str, bytes], paths: list[str]) -> None:
    there = _hashes(prompt, paths)
    for path in paths:
        if there.get(path) != _digest(files[path]):
            raise BoardError(
                f"The board reads back other bytes of {path} than it was given: its file system is damaged. The "
                "firmware was not started. Deploy again; if it says the same, format the board's file system."
            )


def _hashes(prompt: Any, paths: Iterable[str]) -> dict[str, str]:
    """Return {path: SHA-256 in hex} of those paths that are files on the board."""
    lines = prompt.exec(_HASHES % list(paths)).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
