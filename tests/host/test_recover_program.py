"""`recover` as a program: it asks, it can be stopped at any time, and it shows progress on a terminal."""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from backup_cases import MIXED, ONE_CHANNEL, VECTORS, run, run_process
from recover_rig import LND, recover, scbs_of, script
from scripted_lightningd import scripted

ROOT = VECTORS.parents[1]


@pytest.mark.parametrize(
    ("answer", "status", "stubs"), [(b"n\n", 1, 0), (b"\n", 1, 0), (b"y\n", 0, 1), (b"\x04", 130, 0)]
)
def test_it_asks(answer: bytes, status: int, stubs: int, tmp_path: Path) -> None:
    parent, child = pty.openpty()
    with scripted(tmp_path, script()) as server:
        command = [sys.executable, "-m", "vls_backup", "recover", "--rpc", server.path, "--path", ONE_CHANNEL]
        process = subprocess.Popen(command, stdin=child, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.write(parent, answer)
        out, err = process.communicate(timeout=60)
        os.close(parent)
        os.close(child)
        assert (process.returncode, len(server.node.stubs)) == (status, stubs), err
    assert "LAST RESORT" in err and "never start it again" in err and "Is the old node gone for good" in err
    assert out.startswith("sent, stored right") if stubs else out == ""


def test_without_a_terminal_it_wants_yes(tmp_path: Path) -> None:
    with scripted(tmp_path, script()) as server:
        ran = run_process("recover", "--rpc", server.path, "--path", ONE_CHANNEL)
        assert ran.status == 2 and "use --yes" in ran.err and "nothing was sent" in ran.err
        ran = run_process("recover", "--rpc", server.path, "--path", "-", "--yes", stdin=ONE_CHANNEL.read_bytes())
        assert ran.status == 0 and len(server.node.stubs) == 1


def test_wrong_usage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "recover", "--rpc", tmp_path)
    assert ran.status == 2 and "--path FILE" in ran.err


def test_ctrl_c_while_sending(tmp_path: Path) -> None:
    with scripted(tmp_path, script(MIXED)) as server:
        command = [sys.executable, "-m", "vls_backup", "recover", "--rpc", server.path, "--path", MIXED, "--yes"]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen([*command, "--skip-incomplete"], **options)  # type: ignore[call-overload]
        while server.calls["recoverchannel"] < 3:
            time.sleep(0.01)
        with server.hung():
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 130 and "run the same command again" in err and "Traceback" not in err
        ran = run_process(*map(str, command[3:]), "--skip-incomplete")
        assert ran.status == 0 and len(server.node.stubs) == 13


def test_ctrl_c_while_watching(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    peer = scbs_of(ONE_CHANNEL)[0].node_id.hex()
    with scripted(tmp_path, script(peers={peer: "never"})) as server:
        recover(capfd, server, ONE_CHANNEL)
        command = [sys.executable, "-m", "vls_backup", "recover", "--rpc", server.path, "--watch", "--interval", "0.05"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while server.node.connects[peer] < 3:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130 and "run the same command again to go on" in err and "Traceback" not in err
        server.script.peers[peer] = "ldk"
        ran = recover(capfd, server, None, "--watch")
        assert ran.status == 0 and "1 money in the wallet" in ran.err


def on_a_terminal(command: list[object]) -> tuple[int, str]:
    """Run a command whose stderr is a terminal of 160 columns; return its status and what it drew."""
    parent, child = pty.openpty()
    environment = {**os.environ, "COLUMNS": "160", "TERM": "xterm"}
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=child, env=environment)
    os.close(child)
    drawn = b""
    with suppress(OSError):  # EIO: the other end is closed
        while part := os.read(parent, 65536):
            drawn += part
    os.close(parent)
    return process.wait(60), drawn.decode()


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    scb = scbs_of(ONE_CHANNEL)[0]
    with scripted(tmp_path, script(plugins=["chanbackup"])) as server:
        command = [sys.executable, "-m", "vls_backup", "recover", "--rpc", server.path, "--path", ONE_CHANNEL, "--yes"]
        status, drawn = on_a_terminal([*command, "--watch", "--interval", "0.2"])
    assert status == 0, drawn
    for words in [
        "capacity",
        "····· waiting for the peer",
        "■■··· closing transaction seen",
        "■■■■■ money in the wallet",
    ]:
        assert words in drawn
    assert f"{scb.txid[::-1].hex()[:12]}…:{scb.vout}" in drawn and f"{scb.funding_sats // 2:,}" in drawn
    assert "withdraw ADDRESS all" in drawn


@pytest.mark.parametrize("method", ["listfunds", "listpeerchannels", "staticbackup"])
def test_lightningd_dies_while_watching(method: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Watching goes on when it is back."""
    with scripted(tmp_path, script(LND, peers={scb.node_id.hex(): "lnd" for scb in scbs_of(LND)})) as server:
        recover(capfd, server, LND)
        server.script.dies_at = (method, server.calls[method] + 2)

        def start_again() -> None:
            while server.alive:
                time.sleep(0.01)
            time.sleep(0.2)
            server.start()

        thread = threading.Thread(target=start_again)
        thread.start()
        ran = recover(capfd, server, None, "--watch")
        thread.join()
    assert ran.status == 0, ran.err
    assert ran.err.count("Waiting for it") == 1 and f"went away in the middle of {method}" in ran.err
    assert "10 money in the wallet" in ran.err


def test_lightningd_gone_before_watching(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with scripted(tmp_path, script()) as server:
        recover(capfd, server, ONE_CHANNEL)
        server.stop()
        ran = recover(capfd, server, None, "--watch")
    assert ran.status == 8 and "nobody answers" in ran.err


DOCUMENTS = [ROOT / "README.md", ROOT / "docs" / "recovery.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_documented_commands(document: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As they stand there, but for the files' places, and without the question and the long interval."""
    lines = re.findall(r"^ *vls-backup (recover .*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    assert lines
    for number, line in enumerate(lines):
        folder = tmp_path / str(number)
        folder.mkdir()
        places = {"~/.lightning/bitcoin/lightning-rpc": folder / "lightning-rpc", "backup.json": ONE_CHANNEL}
        words = [str(places.get(word, word)) for word in shlex.split(line, comments=True)]
        with scripted(folder, script()) as server:
            ran = run(capfd, *words, "--yes", "--interval", "0.05")
            assert server.path.name in " ".join(words) and ran.status == 0, ran.err
