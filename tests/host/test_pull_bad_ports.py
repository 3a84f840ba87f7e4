"""vls-backup pull on ports that stay silent, talk nonsense or fall silent: all at once, for each takes patience."""

from __future__ import annotations

import os
import pty
import select
import signal
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from board_rig import OLD, Done, FailingBoard, fill, node, result, start, vault

from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.settings import board_settings

FOREIGN_MAIN = """
import time
while True:
    print("23.5 degrees")
    time.sleep_ms(50)
"""


@contextmanager
def device(link: Path, answer: Callable[[bytes], bytes]) -> Iterator[Path]:
    """Yield the port of something that is no board: to what it gets it says answer(that)."""
    ours, terminal = pty.openpty()
    tty.setraw(terminal)
    link.symlink_to(os.ttyname(terminal))
    end = threading.Event()

    def serve() -> None:
        while not end.is_set():
            if select.select([ours], [], [], 0.05)[0]:
                os.write(ours, answer(os.read(ours, 4096)))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield link
    finally:
        end.set()
        thread.join()
        os.close(ours)
        os.close(terminal)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Done, Path]]:
    """Each pull's end, and the output file that it was given."""
    folder = tmp_path_factory.mktemp("ports")
    pulls = {}
    with ExitStack() as stack:

        def begin(name: str, port: Path) -> None:
            output = folder / name / "backup.json"
            output.parent.mkdir()
            output.write_text(OLD)
            pulls[name] = (start("pull", "--port", port, "--output", output), output)

        def enter(name: str, board: SimulatedBoard) -> SimulatedBoard:
            boards[name] = stack.enter_context(board)
            return boards[name]

        boards: dict[str, SimulatedBoard] = {}
        begin("silent", stack.enter_context(device(folder / "silent port", lambda data: b"")))
        begin("echo", stack.enter_context(device(folder / "echo port", lambda data: data)))
        modem = stack.enter_context(device(folder / "modem port", lambda data: data + b"\r\nERROR\r\n"))
        begin("modem", modem.readlink())  # mpremote treats a name /dev/pts/N in a way of its own

        (folder / "foreign.py").write_text(FOREIGN_MAIN)
        begin("foreign", enter("foreign", SimulatedBoard(folder / "foreign.py", {"MICROPYPATH": ".frozen"})).port)

        settings = {**board_settings(folder / "new.bin", "never"), "VLS_SIM_STRATEGY": "hourly"}
        begin("no start", enter("no start", SimulatedBoard(None, settings)).port)

        with vault(folder / "flash.bin") as board:
            fill(board, 60)
        flash = (folder / "flash.bin").read_bytes()
        (folder / "stalls.bin").write_bytes(flash)
        stalls = FailingBoard(folder / "stalls.bin", lambda board: board.signal(signal.SIGSTOP))
        enter("stalls", stalls)
        stalls.fail_after(9000)
        begin("stalls", stalls.port)

        busy = enter("busy", vault(folder / "flash.bin"))
        with node(busy) as link:
            boot = link.hello(attach=False)["boot"]
        os.kill(busy.pid, signal.SIGSTOP)
        begin("busy", busy.port)
        time.sleep(4)
        os.kill(busy.pid, signal.SIGCONT)

        found = {name: (result(process), output) for name, (process, output) in pulls.items()}
        assert stalls.failed.is_set()
        with node(busy) as link:
            assert (link.hello(attach=False)["boot"], busy.restarts) == (boot, 0)
        assert boards["foreign"].power_cuts == 0
    return found


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("silent", ["neither our firmware nor a MicroPython prompt", "Is this the board's port?", "stays there"]),
        ("echo", ["neither our firmware nor a MicroPython prompt", "Is this the board's port?"]),
        ("modem", ["neither our firmware nor a MicroPython prompt", "Is this the board's port?"]),
        ("foreign", ["our firmware is not on it", "another board"]),
        ("no start", ["firmware of the board", "doesn't start: ValueError: strategy hourly"]),
        ("stalls", ["doesn't answer", "Check cable and power", "stays there"]),
    ],
)
def test_told_in_words_and_nothing_written(ended: dict[str, tuple[Done, Path]], name: str, words: list[str]) -> None:
    done, output = ended[name]
    assert (done.returncode, done.stdout) == (5, ""), done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert output.read_text() == OLD
    assert [entry.name for entry in output.parent.iterdir()] == ["backup.json"]


def test_a_busy_signer_is_waited_for_and_not_stopped(ended: dict[str, tuple[Done, Path]]) -> None:
    done, output = ended["busy"]
    assert done.returncode == 0, done.stderr
    assert "may be busy" in done.stderr
    assert output.read_text() != OLD
