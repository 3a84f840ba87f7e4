"""The command as a program: help, exit statuses, standard streams, interruptions."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from backup_cases import MIXED, ONE_CHANNEL, expected_text, load, run, run_process

from vls_backup.cli import COMMANDS, group
from vls_backup.console import CLOSED_PIPE_STATUS, age

SCRIPT = [sys.executable, "-m", "vls_backup"]


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_commands_and_exit_statuses(option: str, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, option)
    assert (ran.status, ran.err) == (0, "")
    for words in [*COMMANDS, "Exit status:", "Example:"]:
        assert words in ran.out


def test_summaries_fit_the_commands() -> None:
    context = group.make_context("vls-backup", ["--help"], resilient_parsing=True)
    assert group.list_commands(context) == list(COMMANDS)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        assert command.name is not None
    assert group.get_command(context, "none") is None


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from vls_backup.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "vls_backup.cli" in loaded
    assert loaded.isdisjoint({"msgspec", "coincurve", "serial", "mpremote", "rich", "pyln"})


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "--version")
    assert (ran.status, ran.out, ran.err) == (0, "vls-backup 0.1.0\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect"],
        ["inspect-backup"],
        ["inspect-backup", "--path"],
        ["inspect-backup", "--path", ONE_CHANNEL, "--format", "JSON"],
        ["convert-backup", "--path", ONE_CHANNEL, "--format", "yaml"],
        ["convert-backup", ONE_CHANNEL],
    ],
)
def test_wrong_usage(arguments: list[object], capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert "Error: " in ran.err


def test_standard_input(capfd: pytest.CaptureFixture[str]) -> None:
    ran = run_process("convert-backup", "--path", "-", stdin=ONE_CHANNEL.read_bytes())
    assert ran.status == 0
    assert ran.out == expected_text(load(ONE_CHANNEL.with_name("set1-n2L.expected.json")))
    ran = run_process("convert-backup", "--path", "-")
    assert ran.status == 1
    assert ran.err.startswith(
        "Error: standard input: is empty (0 bytes): nothing can be recovered from it. Use another"
    )


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)


CONVERT = f"{sys.executable} -m vls_backup convert-backup --path {MIXED} --skip-incomplete"


def test_reader_that_goes_away() -> None:
    done = shell(f"{CONVERT} | true; echo ${{PIPESTATUS[0]}}")
    assert done.stdout == f"{CLOSED_PIPE_STATUS}\n" or done.stdout == "0\n"  # 0: the pipe took it all
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        ran = subprocess.run(
            [*SCRIPT, "inspect-backup", "--path", MIXED], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert (ran.returncode, ran.stderr) == (CLOSED_PIPE_STATUS, b"")


def test_words_for_nobody() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed:
        ran = subprocess.run(
            [*SCRIPT, "inspect-backup", "--path", "none"], stdout=subprocess.PIPE, stderr=closed, check=False
        )
    assert (ran.returncode, ran.stdout) == (1, b"")


def test_closed_or_full_standard_output() -> None:
    done = shell(f"{CONVERT} >&-")
    assert (done.returncode, done.stdout) == (6, "")
    assert "standard output is closed" in done.stderr
    assert "Traceback" not in done.stderr
    if os.path.exists("/dev/full"):
        done = shell(f"{CONVERT} >/dev/full")
        assert done.returncode == 6
        assert done.stderr.splitlines()[-1] == "Error: standard output: cannot be written: No space left on device"


def test_closed_standard_input() -> None:
    done = shell(f"{sys.executable} -m vls_backup inspect-backup --path - <&-")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: standard input is closed: name the file with --path\n"


def test_interrupted() -> None:
    with subprocess.Popen(
        [*SCRIPT, "inspect-backup", "--path", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b" " * 4_000_000)  # more than the pipe holds: once it is through, the command reads
        process.stdin.flush()
        while process.poll() is None:  # one that comes just before the system call waits for the next, as for people
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2)
        assert (process.returncode, process.stderr.read()) == (130, b"\nError: stopped by Ctrl-C\n")
        assert process.stdout.read() == b""


@pytest.mark.parametrize(
    ("created_at", "words"),
    [
        ("2026-11-22T11:59:30Z", "just now"),
        ("2026-11-22T11:58:59Z", "1 minute ago"),
        ("2026-11-22T10:00:00Z", "2 hours ago"),
        ("2026-11-20T13:00:00+02:00", "2 days ago"),
        ("2026-11-22T12:05:00Z", "a time in the future: some clock is wrong"),
        ("yesterday", "its age is unknown: the time cannot be read"),
        ("2026-11-22T12:00:00", "its age is unknown: the time cannot be read"),
        ("", "its age is unknown: the time cannot be read"),
    ],
)
def test_age(created_at: str, words: str) -> None:
    assert age(created_at, datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)) == words
