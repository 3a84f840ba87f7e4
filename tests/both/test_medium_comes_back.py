"""A medium that fails, is pulled out, put back or exchanged: the board goes on without a restart, and mixes nothing.

On models of the vendors' drivers, each as its board opens it.
"""

import json
from binascii import hexlify

import vendor_circuitpython
import vendor_circuitpython_sd as circuitpython
import vendor_sd
from backup_format import frames
from journal_rig import NODE, SIGNATURE, channel, channel_key, contents, remount
from loop_rig import Rig as LoopRig
from loop_rig import entry, field
from signer.follower import FollowerEngine
from signer_backup.build import build_backup
from test_strategy import Clock
from vendor_board import World

BLANK = b"\xff" * 512
UNITS = 8  # the first units of a card: whole cards take long on the slow VMs


class Slot:
    """A board's card slot. card: what is in it; exchange puts another one there."""

    def __init__(self, card):
        self.card = card

    def exchange(self, card):
        self.card.pull()
        self.card = card
        card.insert()
        self.put(card)

    def put(self, card):
        """Tell the model what is in the slot."""

    def storage(self):
        device = self.open()
        device.size = UNITS * device.erase_size
        return device


class MicroPythonSlot(Slot):
    """The slot of a board with the driver module: sd_spi on rp2-sd, sd_slot on esp32-sd."""

    def __init__(self, board):
        self._world = World()
        super().__init__(vendor_sd.Card(foreign=BLANK))
        self.put(self.card)
        self.open = self._world.load("board_def", "boards/" + board).Board().storage

    def put(self, card):
        self._world.card = card

    def blank(self):
        return vendor_sd.Card(foreign=BLANK)


class CircuitPythonSlot(Slot):
    """The slot of a board that runs CircuitPython."""

    def __init__(self):
        super().__init__(circuitpython.Card(foreign=BLANK))
        pins = circuitpython.Pin("SCK"), circuitpython.Pin("MOSI"), circuitpython.Pin("MISO")
        self._spi = circuitpython.SPI(*pins)
        self._cs = circuitpython.Pin("SD_CS")
        self._blocks = None
        self.put(self.card)

    def put(self, card):
        self._spi.card = card

    def open(self):
        """As CircuitPythonBoard.storage."""
        if self._blocks is not None:
            self._blocks.close()
        self._blocks = vendor_circuitpython.load("sdcardio_blocks").SdcardioBlocks(self._spi, self._cs)
        return vendor_circuitpython.load("sd_blocks").SdBlocks(self._blocks)

    def blank(self):
        return circuitpython.Card(foreign=BLANK)


def slots():
    """Yield a Slot for each driver."""
    yield MicroPythonSlot("rp2-sd")
    yield MicroPythonSlot("esp32-sd")
    yield CircuitPythonSlot()


class Signer:
    """A whole board: loop, follower, backup on a slot's card; and a node that attaches anew after an error, as VLS's
    does. node: {key: version} of what the node knows; errors: answers that were none; clock: a
    test_strategy.Clock; seed: other values."""

    name = "test"
    retry_pause = 1000

    def __init__(self, slot, clock, seed=0):
        self.seed = seed
        self.storage = slot.storage
        self.time = clock
        self.logged = []
        self.store, hook, services = build_backup(self)
        self.loop = LoopRig(self.store, FollowerEngine(), hook=hook, services=services)
        self.node = {"nodes/" + hexlify(NODE).decode(): 0}
        self.errors = 0
        self.attaching = True

    def strategy(self):
        return "periodic:1"

    def clock(self):
        return 1700000000

    def random(self, n):
        return bytes(range(n))

    def unique_id(self):
        return b"chip"

    def indicator(self, on):
        pass

    def log(self, text):
        self.logged.append(text)

    def request(self, *keys):
        """The node sends these keys, a version on; return whether it was served. After an error it attaches and sends
        all that it has, three times at most."""
        for key in keys:
            self.node[key] = self.node.get(key, -1) + 1
        for _ in range(4):
            self.time.now += 10000
            carried = self.node if self.attaching else keys
            if self.attaching:
                assert self.loop.ask(frames.HELLO, bytes((frames.ATTACH,)))[0] == frames.HELLO | frames.ANSWER
            sent = [entry(key, self.node[key], self.value(key, self.node[key]), SIGNATURE) for key in carried]
            answer = self.loop.request(field(1, 7) + b"".join(sent))
            self.attaching = not isinstance(answer, bytes)
            if not self.attaching:
                return True
            self.errors += 1
        return False

    def value(self, key, version):
        return b"{}" if key.startswith("nodes/") else channel(version * 2 + self.seed, 8)

    def status(self):
        kind, payload = self.loop.ask(frames.STATUS)
        assert kind == frames.STATUS | frames.ANSWER
        return json.loads(str(bytes(payload), "utf-8"))

    def expected(self):
        return {key: (version, SIGNATURE, self.value(key, version)) for key, version in self.node.items()}

    def is_whole(self):
        """Whether the state is the node's, and so is what the card would give after a restart."""
        return contents(self.store) == self.expected() == remount(self.storage()).expected


def served(slot, clock, seed=0):
    """Return a Signer with three channels on the slot's card, each snapshot written."""
    signer = Signer(slot, clock, seed)
    for i in range(3):
        assert signer.request(channel_key(i))
    assert signer.errors == 0 and signer.status()["last_error"] is None and signer.status()["snapshot"] == 3
    return signer


def test_a_card_is_pulled_and_put_back():
    for slot in slots():
        with Clock() as clock:
            signer = served(slot, clock)
            slot.card.pull()
            assert not signer.request(channel_key(0))  # what it compares with is on the card
            assert "no medium" in signer.status()["last_error"] and signer.status()["size"] is None
            slot.card.insert()
            assert signer.request(channel_key(1))
            clock.now += 3600000
            assert signer.request(channel_key(2))
            status = signer.status()
            assert (status["last_error"], status["size"] is None) == (None, False), status
            assert signer.is_whole()


def test_status_alone_finds_the_card_again():
    for slot in slots():
        with Clock() as clock:
            signer = served(slot, clock)
            slot.card.pull()
            assert signer.loop.ask(frames.READ, bytes(4) + b"\x00\x10")[0] == frames.ERROR
            assert signer.status()["size"] is None
            slot.card.insert()
            clock.now += 10000
            assert signer.status()["size"] == slot.storage().size


def test_no_card_at_power_on():
    for slot in slots():
        with Clock() as clock:
            slot.card.pull()
            signer = Signer(slot, clock)
            assert signer.request(channel_key(0)) and "no medium" in signer.status()["last_error"]
            slot.card.insert()
            assert signer.request(channel_key(1)) and signer.status()["last_error"] is None
            assert signer.errors == 0 and signer.is_whole()


def test_a_blank_card_is_put_in():
    """What only the missing card held is lost: one error, the node attaches and sends it, and the new card is whole."""
    for slot in slots():
        with Clock() as clock:
            signer = served(slot, clock)
            slot.exchange(slot.blank())
            before = signer.errors
            assert signer.request(channel_key(1))
            assert 1 <= signer.errors - before <= 3
            clock.now += 3600000
            assert signer.request(channel_key(2))
            assert signer.status()["last_error"] is None and signer.is_whole()


def test_another_card_is_refused_and_not_touched():
    for slot in slots():
        with Clock() as clock:
            check_another_card(slot, clock)


def check_another_card(slot, clock):
    """The other card is as like the first as can be: same node, keys and sizes, as many snapshots."""
    served(slot, clock, 1)
    other = slot.card
    held = dict(other.data)
    slot.exchange(slot.blank())
    first = served(slot, clock)
    mine = slot.card
    slot.exchange(other)
    assert not first.request(channel_key(1))
    assert "another medium" in first.status()["last_error"] and other.data == held
    slot.exchange(mine)
    assert first.request(channel_key(1))
    clock.now += 3600000
    assert first.request(channel_key(2))
    assert first.status()["last_error"] is None and first.is_whole()
