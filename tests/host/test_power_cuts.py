"""Pull the plug at random program and erase calls: the last committed snapshot is what is pulled, byte for byte.

The power goes inside the call, which is torn; the same flash file is under the VM that comes back.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import serial
from board_rig import NODE_ID, RUN, greenlight_file, live, node, pull, vault, whole_numbers

from backup_format import frames
from vls_backup.errors import BoardError, NoSnapshotError
from vls_backup.link import Link
from vls_backup.snapshots import read_snapshot, status
from vls_backup_sim import bridge
from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.feeder import Feeder, State


@pytest.fixture(autouse=True)
def short_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The power comes back soon: nothing here depends on how long it was off."""
    monkeypatch.setattr(bridge, "POWER_OFF_SECONDS", 0.01)


def small_run(path: Path, requests: int, seed: int) -> Path:
    """Write a run of format signer-run that changes small channels, one with each request, and return its path."""
    rng = random.Random(seed)
    header = {"format": "signer-run", "format_version": 1, "node_id": NODE_ID, "signer_restarts_before": []}
    keys = [f"nodes/{NODE_ID}", *(f"channels/{NODE_ID}{NODE_ID}{n:02x}00000000000000" for n in range(1, 4))]
    versions = Counter(dict.fromkeys(keys, -1))
    lines = [json.dumps(header)]
    for i in range(requests):
        key = keys[i] if i < len(keys) else rng.choice(keys[1:])
        before = versions[key] if versions[key] >= 0 else None
        versions[key] += 1
        value = {"channel_setup": {"pad": rng.randbytes(rng.randrange(4, 300)).hex()}}
        change = [key, before, versions[key], value, rng.randbytes(64).hex()]
        line = {"i": i, "type": 9, "request_id": i + 1, "changed": [change]}
        lines.append(json.dumps(line, separators=(",", ":")))
    path.write_text("\n".join(lines) + "\n")
    return path


class Plug:
    """A node that talks to a board whose power goes again and again, and that checks what is pulled each time.

    confirmed: snapshot number -> request after which it was taken. results: what happened, how often.
    """

    def __init__(self, board: SimulatedBoard, flash: Path, feeder: Feeder, link: Link) -> None:
        self.board = board
        self.flash = flash
        self.feeder = feeder
        self.link = link
        self.i = -1  # the last request that was sent
        self.newest = 0
        self.confirmed: dict[int, int] = {}
        self.results: Counter[str] = Counter()
        self.seen = 0  # power cuts
        self.order = 0  # at which call the power goes; 0: it doesn't
        self.calls_before = (0, 0)

    def calls(self) -> tuple[int, int]:
        """Return the programs and erases of the flash's life (nor.py: the trailer)."""
        trailer = self.flash.read_bytes()[-24:]
        return int.from_bytes(trailer[8:16], "little"), int.from_bytes(trailer[16:], "little")

    def cut_at(self, call: int) -> None:
        """Order that the power goes at the call-th program or erase from now on."""
        self.order = call
        self.calls_before = self.calls()
        (self.flash.parent / "flash.bin.cut").write_text(str(call))

    def was_cut(self) -> bool:
        return self.board.power_cuts != self.seen

    def tell(self, message: bytes) -> None:
        """Send a request, and learn which snapshot the board has then; the power may go meanwhile."""
        try:
            self.feeder.answer(self.link.request(message))
            number = status(self.link)["snapshot"] or 0
        except BoardError:
            if not self.was_cut():
                raise
            return
        if not self.was_cut() and number != self.newest:
            assert number > self.newest  # not always by one: a torn snapshot can have used a number up
            self.newest = number
            self.confirmed[number] = self.i

    def sign(self) -> None:
        """Send the next request of the run."""
        self.i += 1
        self.tell(self.feeder.request(self.i))

    def expected(self, number: int) -> State:
        return self.feeder.state_after(self.confirmed[number])

    def recover(self) -> None:
        """The power is back: check how it went and what can be pulled."""
        self.seen += 1
        self.link.hello(attach=False)
        assert self.board.power_cuts == self.seen
        programs, erases = (now - then for now, then in zip(self.calls(), self.calls_before, strict=True))
        assert programs + erases == self.order  # it went where it was ordered to go
        if self.order == 1:
            self.results["erase torn" if erases else "program torn"] += 1
        self.order = 0
        try:
            found = read_snapshot(self.link, 0, lambda done, total: None)
        except NoSnapshotError:
            found = None
        number = found.commit.number if found else 0
        if number > self.newest:  # complete, though nobody had told us
            self.newest = number
            self.confirmed[number] = self.i
            self.results["the new one"] += 1
        else:
            self.results["the last confirmed"] += 1
        assert number == self.newest
        if found:
            assert live(found) == self.expected(number)
            if self.seen % 20 == 0:
                text = pull(self.board).stdout
                created_at, strategy = json.loads(text)["created_at"], {"periodic": {"updates": 1}}
                assert text == greenlight_file(self.expected(number), created_at, strategy)

    def attach(self) -> None:
        self.link.hello(attach=True)
        self.tell(self.feeder.greeting())


def cut_again_and_again(folder: Path, run: Path, size: int, cuts: int, farthest: int, seed: int) -> Plug:
    """Let a board keep snapshots of a run while its power is cut, each time at most farthest calls later.

    After every other cut the power goes once more while the node brings everything. size: bytes of the flash.
    """
    flash = folder / "flash.bin"
    with vault(flash, VLS_SIM_SIZE=str(size)) as board, node(board, timeout=0.08) as link:
        plug = Plug(board, flash, Feeder(run, follower=True), link)
        rng = random.Random(seed)
        link.hello(attach=False)
        plug.attach()
        while plug.seen < cuts:
            if not plug.order:
                plug.cut_at(rng.randint(1, farthest))
            while not plug.was_cut():
                plug.sign()
            plug.recover()
            again = rng.random() < 0.5
            if again:
                plug.cut_at(rng.randint(1, 3))
            plug.attach()
            if again and plug.was_cut():
                plug.results["cut during recovery"] += 1
                plug.recover()
                plug.attach()
        whole = whole_numbers(link)
        assert whole[-1] == plug.newest and len(whole) > 3
        for number in whole[-12:]:
            assert live(read_snapshot(link, number, lambda done, total: None)) == plug.expected(number), number
    return plug


def test_what_was_committed_is_pulled(tmp_path: Path) -> None:
    """Three boards at once: two with small snapshots on a small flash, that erases often, and one with a signer's."""
    with ThreadPoolExecutor(3) as pool:
        jobs = []
        for seed in (1, 2, 3):
            folder = tmp_path / str(seed)
            folder.mkdir()
            run, size, cuts, farthest = RUN, 128 * 1024, 10, 40
            if seed < 3:
                run, size, cuts, farthest = small_run(folder / "small.jsonl", 900, seed), 32 * 1024, 95, 6
            jobs.append(pool.submit(cut_again_and_again, folder, run, size, cuts, farthest, seed))
        plugs = [job.result() for job in jobs]
    assert sum(plug.seen for plug in plugs) >= 200
    results = sum((plug.results for plug in plugs), Counter())
    assert results["the last confirmed"] > 50 and results["the new one"] > 0 and results["cut during recovery"] > 20
    assert results["program torn"] and results["erase torn"]


def test_a_host_that_talks_while_the_board_starts_does_not_stop_it(tmp_path: Path) -> None:
    """A node repeats its frames when the power went. A 0x03 in them is no Ctrl-C, not even before the loop runs."""
    frame = frames.encode(frames.HELLO, 0x0303, bytes((frames.LOOK,)))
    with vault(tmp_path / "flash.bin") as board, serial.Serial(str(board.port), timeout=0.002) as port:
        for _ in range(5):
            board.cut_power()
            end = time.monotonic() + 0.6
            while time.monotonic() < end:
                port.write(frame)
                port.read(4096)
            assert Link(port, timeout=0.5, attempts=40).hello(attach=False)["board"] == "sim"
            port.timeout = 0.002
        assert board.restarts == board.power_cuts == 5
