"""The simulated board behaves towards real mpremote and a real serial port as a board does."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial
from board_rig import is_alive

from vls_backup_sim.bridge import SimulatedBoard

ROOT = Path(__file__).resolve().parents[2]
MPREMOTE = str(Path(sys.executable).with_name("mpremote"))
MAIN = """
import os, time
try:
    while True:
        print("main of", os.getenv("BOARD_NAME"))
        time.sleep_ms(10)
except KeyboardInterrupt:
    print("main was interrupted")
"""
ECHO = """
import micropython, select, sys
micropython.kbd_intr(-1)
poll = select.poll()
poll.register(sys.stdin, select.POLLIN)
left = %d
sys.stdout.buffer.write(b"ready")
while left:
    if poll.poll(5000):
        data = sys.stdin.buffer.read(1)
        sys.stdout.buffer.write(data)
        left -= 1
"""


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard() as board:
        yield board


@pytest.fixture
def main_board(tmp_path: Path) -> Iterator[SimulatedBoard]:
    """A board with a main.py that runs for ever."""
    script = tmp_path / "main.py"
    script.write_text(MAIN)
    with SimulatedBoard(script, {"BOARD_NAME": "Alice"}) as board:
        yield board


def mpremote(board: SimulatedBoard, *arguments: str) -> str:
    """Return what mpremote prints; fail with it if mpremote fails."""
    done = subprocess.run(
        [MPREMOTE, "connect", str(board.port), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@contextmanager
def opened(board: SimulatedBoard) -> Iterator[serial.Serial]:
    with serial.Serial(str(board.port), timeout=20, write_timeout=20) as port:
        yield port


def until(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def raw_repl(port: serial.Serial) -> None:
    """Enter the raw REPL without a soft reset."""
    port.write(b"\r\x03\r\x01")
    assert port.read_until(b"raw REPL; CTRL-B to exit\r\n>").endswith(b">")


def test_exec_and_soft_reset(board: SimulatedBoard) -> None:
    assert mpremote(board, "exec", "print(1 + 1)").strip() == "2"
    assert board.restarts == 1  # mpremote asks for a soft reset first
    assert mpremote(board, "exec", "x = 5", "exec", "print(x)").strip() == "5"
    assert board.power_cuts == 0


def test_device_code_is_importable(board: SimulatedBoard) -> None:
    assert mpremote(board, "exec", "import nor, backup_format.port; print('both')").strip() == "both"


def test_long_program_by_raw_paste(board: SimulatedBoard) -> None:
    program = "s = 0\n" + "".join(f"s += {i}  # {'x' * 40}\n" for i in range(1000)) + "print(s)\n"
    assert mpremote(board, "exec", program).strip() == str(sum(range(1000)))


def test_files_both_ways(board: SimulatedBoard, tmp_path: Path) -> None:
    data = bytes(range(256)) * 16
    (tmp_path / "there").write_bytes(data)
    mpremote(board, "fs", "cp", str(tmp_path / "there"), ":kept")
    mpremote(board, "fs", "cp", ":kept", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data
    assert "kept" in mpremote(board, "fs", "ls")


def test_main_runs_at_power_on_and_after_a_soft_reset_from_its_repl(main_board: SimulatedBoard) -> None:
    with opened(main_board) as port:
        port.read_until(b"main of Alice")
        port.write(b"\x03")
        assert b"main was interrupted" in port.read_until(b">>> ")
        port.write(b"\x04")
        assert b"MPY: soft reboot" in port.read_until(b"main of Alice")


def test_soft_reset_in_the_raw_repl_skips_main(main_board: SimulatedBoard) -> None:
    with opened(main_board) as port:
        port.read_until(b"main of Alice")
        raw_repl(port)
        port.write(b"\x04")
        assert port.read_until(b"raw REPL; CTRL-B to exit\r\n>") == (
            b"OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>"
        )
        port.write(b"import machine; machine.soft_reset()\x04")
        assert b"main of" not in port.read_until(b"raw REPL; CTRL-B to exit\r\n>")
    assert main_board.restarts == 2


def test_mpremote_stops_main(main_board: SimulatedBoard) -> None:
    with opened(main_board) as port:  # a Ctrl-C from before it runs stops nothing
        assert port.read_until(b"Alice").endswith(b"Alice")
    assert mpremote(main_board, "exec", "print('mine')").strip() == "mine"


def test_ctrl_c_interrupts_a_program(board: SimulatedBoard) -> None:
    with opened(board) as port:
        raw_repl(port)
        port.write(b"print('begun')\nwhile True: pass\x04")
        assert port.read_until(b"begun\n") == b"OKbegun\n"
        port.write(b"\x03")
        assert b"KeyboardInterrupt" in port.read_until(b"\x04>")
        port.write(b"print(3)\x04")
        assert port.read_until(b"\x04>") == b"OK3\n\x04\x04>"
    assert board.restarts == 0


def test_every_byte_value_passes_both_ways(board: SimulatedBoard) -> None:
    data = bytes(range(256)) * 40
    with opened(board) as port:
        raw_repl(port)
        port.write(ECHO.encode() % len(data) + b"\x04")
        assert port.read_until(b"ready") == b"OKready"
        back = b""
        for at in range(0, len(data), 512):
            port.write(data[at : at + 512])
            back += port.read(len(data[at : at + 512]))
        assert back == data
        assert port.read(3) == b"\x04\x04>"
    assert board.restarts == 0


def test_power_cut_and_return(main_board: SimulatedBoard) -> None:
    first = main_board.pid
    with opened(main_board) as port:
        main_board.cut_power()
        assert not is_alive(first)
        assert b"main of Alice" in port.read_until(b"main of Alice")
    assert main_board.pid != first
    assert (main_board.restarts, main_board.power_cuts) == (1, 1)
    assert mpremote(main_board, "exec", "print(7)").strip() == "7"


def test_power_cut_from_inside_runs_main_again(main_board: SimulatedBoard) -> None:
    with opened(main_board) as port:
        port.read_until(b"main of Alice")
        raw_repl(port)
        port.write(b"import os; os.system('kill -9 $PPID')\x04")
        said = port.read_until(b"main of Alice")
        assert b"main of Alice" in said
        assert b"soft reboot" not in said
    assert main_board.power_cuts == 1


def test_cable_pulled_and_back(board: SimulatedBoard) -> None:
    pid = board.pid
    with opened(board) as port:
        raw_repl(port)
        port.write(b"kept = 42\x04")
        assert port.read_until(b"\x04>") == b"OK\x04\x04>"
        board.unplug()
        with pytest.raises((OSError, serial.SerialException)):
            while port.read(1):
                pass
            port.write(b"x")
    assert not board.port.exists()
    board.plug()
    with opened(board) as port:
        port.write(b"print(kept)\x04")
        assert port.read_until(b"\x04>") == b"OK42\n\x04\x04>"
    assert (board.pid, board.restarts) == (pid, 0)


def test_host_that_does_not_read_does_not_stop_the_board(board: SimulatedBoard) -> None:
    program = b"for i in range(20000): print('x' * 50)\nimport os; open('done', 'w').close(); print('e' + 'nd')\x04"
    with opened(board) as port:
        raw_repl(port)
        port.write(program)
        time.sleep(3)
        port.reset_input_buffer()
        port.write(b"\r\x01print(os.listdir())\x04")
        assert b"done" in port.read_until(b"'done']")


def test_stop_leaves_nothing_behind() -> None:
    with SimulatedBoard() as board:
        pid, folder = board.pid, board.port.parent
        assert is_alive(pid)
    assert not is_alive(pid)
    assert not folder.exists()
    board.stop()


def test_board_ends_with_its_host_program(tmp_path: Path) -> None:
    """A host program that is killed leaves no VM behind, not even one that listens to nothing."""
    script = tmp_path / "main.py"
    script.write_text("import micropython\nmicropython.kbd_intr(-1)\nwhile True: pass\n")
    program = (
        "import pathlib, sys, time; from vls_backup_sim.bridge import SimulatedBoard\n"
        "with SimulatedBoard(pathlib.Path(sys.argv[1])) as board:\n"
        "    print(board.pid, board.port.parent, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", program, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid, folder = process.stdout.readline().split()
        time.sleep(0.2)  # until the script runs
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert until(lambda: not is_alive(int(pid)))
    for path in [*Path(folder).glob("*"), Path(folder)]:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
