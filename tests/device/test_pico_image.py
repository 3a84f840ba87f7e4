"""Our firmware on an unmodified MicroPython image, on an emulated RP2040: PICO_UF2=file names the image.

The emulator is pip install 'vls-backup[pico]'. It is some ten times slower than the chip, and its clock is no measure.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from backup_cases import run_process
from board_rig import live
from firmware_copy import ROOT, copy_sources, make_firmware

from vls_backup.deploy import built_files, deploy
from vls_backup.errors import BoardError
from vls_backup.link import Link
from vls_backup.snapshots import read_snapshot, status
from vls_backup.transport import at_prompt
from vls_backup_sim.feeder import Feeder

IMAGE = os.environ.get("PICO_UF2")
RUN = ROOT / "tests" / "vectors" / "signer-run" / "a.jsonl"
MPREMOTE = str(Path(sys.executable).with_name("mpremote"))
BOARD = "rp2-stock"
FIRST = 8  # requests before the cuts, with the first snapshots
CUTS = 6
MOST_CALLS = 60  # programs and erases before a cut, at most: some snapshots' worth
POWER_CUT = 3  # exit status of the emulator
SECONDS = 600  # within which a start, or one answer, must have come

pytestmark = pytest.mark.skipif(IMAGE is None, reason="PICO_UF2 names no MicroPython image for the Pico")


class Pico:
    """An emulated Pico, off at first. Its flash is a file and its port a link, both in folder."""

    def __init__(self, folder: Path) -> None:
        self.flash = folder / "flash.bin"
        self.port = folder / "port"
        self._process: subprocess.Popen[bytes] | None = None

    def power_on(self) -> None:
        """Boot; return when USB is up."""
        assert importlib.util.find_spec("rp2040py"), (
            "PICO_UF2 is set, but the emulator is missing: pip install '.[pico]'"
        )
        emulator = Path(__file__).with_name("pico_emulator.py")
        self._process = subprocess.Popen([sys.executable, str(emulator), str(IMAGE), str(self.flash), str(self.port)])
        deadline = time.monotonic() + SECONDS
        while not os.path.lexists(self.port):
            assert self._process.poll() is None, "the emulator ended: see above"
            assert time.monotonic() < deadline, "the image did not bring up USB"
            time.sleep(0.1)

    def cut_power_at(self, call: int) -> None:
        """Have the power cut in the nth program or erase from now."""
        order = self.flash.with_name(self.flash.name + ".new")
        order.write_text(str(call))
        order.rename(self.flash.with_name(self.flash.name + ".cut"))

    def wait_for_cut(self) -> None:
        """Return when the power has gone by itself; its port may be gone a moment before."""
        assert self._process is not None
        assert self._process.wait(timeout=SECONDS) == POWER_CUT

    def power_off(self) -> None:
        """Cut the power, if it is on, between two programs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.port.unlink(missing_ok=True)
        self.flash.with_name(self.flash.name + ".cut").unlink(missing_ok=True)


class Node:
    """The node of the recorded run, at a Pico. states: {number of a snapshot: the request after which it was taken}."""

    def __init__(self, pico: Pico) -> None:
        self.feeder = Feeder(RUN, follower=True)
        self.pico = pico
        self.states: dict[int, int] = {}

    def attach(self) -> None:
        """Wait for the loop and greet it. Raises BoardError."""
        self._port = serial.Serial(str(self.pico.port), 115200, exclusive=True)
        self.link = Link(self._port, timeout=10, attempts=SECONDS // 10)
        self.link.hello(attach=True)
        self.feeder.attach()

    def close(self) -> None:
        """Let go of the port."""
        self._port.close()

    def send(self, i: int) -> None:
        """Send request i and note a new snapshot. Raises BoardError when the board died."""
        try:
            self.feeder.answer(self.link.request(self.feeder.request(i)))
            number = status(self.link)["snapshot"]
        except OSError as error:
            raise BoardError(str(error)) from error
        if number is not None:
            self.states.setdefault(number, i)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Node]:
    """(The flash of a Pico with our firmware and some snapshots, the node that it belongs to)."""
    folder = tmp_path_factory.mktemp("pico")
    tree = copy_sources(folder / "tree")
    # More snapshots, on a smaller medium: a blank one is looked through at the start.
    board = tree / "boards" / BOARD / "board_def.py"
    source = board.read_text().replace('FileUnits("/backup", 128)', 'FileUnits("/backup", 16)')
    assert source != board.read_text()
    board.write_text(source + '\n    def strategy(self):\n        return "periodic:1"\n')
    make_firmware(tree)
    files = built_files(tree / "build" / "firmware", BOARD)
    pico = Pico(folder)
    try:
        pico.power_on()
        with at_prompt(str(pico.port)) as prompt:
            assert deploy(prompt, files, lambda done, total: None) == len(files)
        node = Node(pico)
        node.attach()
        for i in range(FIRST):
            node.send(i)
        node.close()
    finally:
        pico.power_off()
    assert len(node.states) >= 2
    return pico.flash, node


@pytest.fixture
def pico(deployed: tuple[Path, Node], tmp_path: Path) -> Iterator[Pico]:
    """A Pico with that flash, off."""
    pico = Pico(tmp_path)
    shutil.copy(deployed[0], pico.flash)
    yield pico
    pico.power_off()


def test_pull(deployed: tuple[Path, Node], pico: Pico, tmp_path: Path) -> None:
    """The command pulls from the loop what the recorded run says; and the text by mpremote alone is the same."""
    _, before = deployed
    node = Node(pico)
    pico.power_on()
    node.attach()
    node.close()
    pulled = tmp_path / "backup.json"
    done = run_process("pull", "--port", pico.port, "--output", pulled)
    assert done.status == 0, done.err
    assert f"Snapshot {max(before.states)} " in done.err
    assert "MicroPython prompt" not in done.err
    wanted = before.feeder.state_after(before.states[max(before.states)])
    assert json.loads(pulled.read_text())["state"]["values"].keys() == wanted.keys()

    program = "from signer_backup.armour import show; from board_def import Board; show(Board())"
    command = [MPREMOTE, "connect", str(pico.port), "exec", program]
    text = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True).stdout
    from_text = run_process("inspect-backup", "--path", "-", stdin=text)
    from_file = run_process("inspect-backup", "--path", pulled)
    assert from_text.status == from_file.status == 0, from_text.err
    assert without_time(from_text.out) == without_time(from_file.out)


def without_time(report: str) -> dict[str, object]:
    """Return what inspect-backup reports, without the time: the board's clock is unset."""
    return {name: value for name, value in json.loads(report).items() if name != "created_at"}


@pytest.mark.parametrize("seed", range(CUTS))
def test_power_cut(seed: int, deployed: tuple[Path, Node], pico: Pico) -> None:
    """The power goes in the middle of a program or erase; the last snapshot, or the one being written, is there."""
    node = Node(pico)
    node.states.update(deployed[1].states)
    for i in range(FIRST):
        node.feeder.request(i)
    pico.power_on()
    node.attach()
    pico.cut_power_at(random.Random(seed).randint(1, MOST_CALLS))
    i = FIRST
    with contextlib.suppress(BoardError):
        while True:
            node.send(i)
            i += 1
    pico.wait_for_cut()
    node.close()
    pico.power_off()

    pico.power_on()
    node.attach()
    try:
        found = read_snapshot(node.link, 0, lambda done, total: None)
        newest = max(node.states)
        assert found.commit.number in (newest, newest + 1)
        assert live(found) == node.feeder.state_after(node.states.get(found.commit.number, i))
        node.send(i)  # and life goes on
        for more in range(i + 1, i + 4):
            node.send(more)
        assert status(node.link)["failures"] == 0
        last = max(node.states)
        assert last > found.commit.number
        assert live(read_snapshot(node.link, last, lambda done, total: None)) == node.feeder.state_after(
            node.states[last]
        )
    finally:
        node.close()
