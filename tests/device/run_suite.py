"""`make test-device PORT=…`: runs the board contract (tests/both/board_contract.py) on the board at a port.

The suite goes into the board's RAM by mpremote; nothing is copied to its file system. A medium that holds a backup is
only read; ERASE=yes allows writing over other content. At the end the board starts its main.py again. What came of each
check is printed, and kept in build/device/report.txt. Exit status: 0 if no check failed, 1 if one did, 2 if the suite
could not run.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import serial

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "tests" / "both" / "board_contract.py"
MPREMOTE = str(Path(sys.executable).with_name("mpremote"))
SUITE_SECONDS = 900  # an SD card's 1024 unit headers, read three times over a slow bus

_RUN = "\n\nfrom board_def import Board\n\nrun(Board(), {erase})\n"
_MARK, _READY = b"\x00<echo>", b"<ready>"
_EVERY_BYTE = bytes(range(256))
_ECHO_ROUNDS = 4
_ECHO = f"""
from board_def import Board
link = Board().link()
seen = b""
while seen[-{len(_MARK)}:] != {_MARK!r}:
    seen = (seen + link.read(1000, 1))[-{len(_MARK)}:]
link.write({_READY!r})
left = {_ECHO_ROUNDS * len(_EVERY_BYTE)}
while left:
    data = link.read(5000, 64)
    if not data:
        break
    link.write(data)
    left -= len(data)
link.close()
"""


class SuiteError(Exception):
    """One line: why the suite could not run, and what to do."""


def main() -> int:
    """Run the suite; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", required=True, help="the board's serial port")
    parser.add_argument("--erase", action="store_true", help="write over what the medium holds, unless it is a backup")
    parser.add_argument("--report", type=Path, default=ROOT / "build/device/report.txt")
    arguments = parser.parse_args()
    try:
        stop_loop(arguments.port)
        lines = [*contract(arguments.port, arguments.erase), echo(arguments.port)]
    except SuiteError as error:
        print(error, file=sys.stderr)
        return 2
    print(lines[-1])
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    arguments.report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    failed = [line for line in lines if line.startswith("FAIL")]
    print(f"{len(failed)} failed; report: {arguments.report}")
    return 1 if failed else 0


def stop_loop(port: str) -> None:
    """End a signer's loop, or any program that Ctrl-C ends, so that mpremote finds a REPL. Raises SuiteError."""
    try:
        with serial.Serial(port, 115200, write_timeout=2, exclusive=True) as opened:
            opened.write(b"\x03")
            time.sleep(1)  # the loop looks at its link every half second
            opened.reset_input_buffer()
    except (OSError, ValueError) as error:
        raise SuiteError(
            f"port {port} can't be used: {error}. Is it the board's, and in no other program's use?"
        ) from error


def contract(port: str, erase: bool) -> list[str]:
    """Run the board contract on the board, printing as it goes; return its result lines. Raises SuiteError."""
    with tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as source:
        source.write(SUITE.read_text(encoding="utf-8") + _RUN.format(erase=erase))
        source.flush()
        output = mpremote(port, "run", source.name)
    results = [line for line in output.splitlines() if re.match(r"(ok|FAIL|skip) check_\w+", line)]
    end = re.search(r"^ran (\d+) failed (\d+) skipped (\d+)", output, re.MULTILINE)
    if end is None or int(end[1]) != len(results):
        said = output.strip().splitlines()[-1:] or ["nothing"]
        raise SuiteError(
            f"the suite did not finish on the board; the last it said: {said[0]}. Is our firmware on it "
            "(vls-backup deploy), with this board's board_def?"
        )
    print("\n".join(results))
    return results


def echo(port: str) -> str:
    """Send every byte value through the board's link and back; return the result line. Raises SuiteError."""
    mpremote(port, "resume", "exec", "--no-follow", _ECHO)
    with serial.Serial(port, 115200, timeout=5, write_timeout=5) as opened:
        opened.write(_MARK)
        opened.read_until(_READY)
        result = "ok host_echo"
        for number in range(_ECHO_ROUNDS):
            for start in range(0, len(_EVERY_BYTE), 64):
                sent = _EVERY_BYTE[start : start + 64]
                opened.write(sent)
                if (came := opened.read(len(sent))) != sent:
                    result = f"FAIL host_echo: in round {number} the link gave {came.hex()} for {sent.hex()}"
                    break
        opened.write(b"\r\x02")  # out of the raw REPL
        opened.read_until(b">>> ")
        opened.write(b"\x04")  # a soft reset: main.py starts again
    return result


def mpremote(port: str, *arguments: str) -> str:
    """Return what mpremote prints. Raises SuiteError if it takes too long."""
    command = [MPREMOTE, "connect", port, *arguments]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SUITE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SuiteError(
            f"the board did not finish within {SUITE_SECONDS} seconds. Unplug it and try again."
        ) from error
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
