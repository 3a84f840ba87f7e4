"""Cases of damage at rest, and of media that must not be written (families flip ... newer). For tests on any VM."""

from binascii import crc32

from backup_format.layout import get_u32, put_u32
from backup_format.units import MAGIC, UNIT_HEADER
from fault_board import Lost
from fault_cases import OLDER, known, spread
from fault_judge import check_older, go_on, started
from fault_workload import FAILURES, Ledger
from faulty_flash import Dice
from journal_rig import OTHER_NODE, channel_key, held
from medium_content import SMALL_HEAP, fill


class _AtRest:
    """Cases on the media that the steps of a workload leave. count: how many there are until only the dice differ."""

    def __init__(self, workload, seed):
        self.workload = workload
        self.seed = seed
        self._step = None
        self._spans = []

    def dice(self, number):
        """Return the case's dice."""
        return Dice(self.seed * 1000003 + number)

    def medium(self, step):
        """Return (flash, ledger) as a step left them."""
        board, ledger = self.workload.reach(step + 1)
        if step != self._step:
            self._step = step
            self._spans = self._used(board, ledger)
        return board.flash, ledger

    def _used(self, board, ledger):
        """Return [(place in ledger.attempts, [(first byte, byte behind)]: where the snapshot lies)], newest first."""
        found = []
        spans = board.used() if hasattr(board, "used") else {}
        for place in range(ledger.promised, 0, -1):
            its = spans.pop(ledger.attempts[place][0], None)
            if its:
                found.append((place, its))
        return found

    def judge(self, flash, ledger, low, high, older):
        """The bytes low ... high of flash were damaged: every snapshot that does not lie there comes back."""
        kind = self.workload.kind
        left = [place for place, spans in self._spans if not any(a < high and low < b for a, b in spans)]
        least = max(left) if left else 0
        if not hasattr(kind, "used"):  # a store of one snapshot
            least = ledger.promised
        board = started(kind, flash, ledger, least, True)
        if board is None:
            return
        if older:
            check_older(board, ledger, left)
        go_on(known(board, ledger), ledger, False)


class Flips(_AtRest):
    """Any single bit flipped: first every bit of the medium as the last step left it, then of the other steps' media.

    Promise: left. All snapshots of which the bit is no part are readable."""

    name = "flip"

    def __init__(self, workload, seed):
        super().__init__(workload, seed)
        self.count = 8 * workload.reach(0)[0].flash.size

    def run(self, number):
        """Raises Lost, Wrong."""
        steps = len(self.workload.steps)
        flash, ledger = self.medium(steps - 1 - number // self.count % steps)
        bit = spread(number % self.count, self.count)
        flash.flip(bit)
        self.judge(flash, ledger, bit >> 3, (bit >> 3) + 1, number % OLDER == 0)


class Noise(_AtRest):
    """Any single erase unit turned to noise: of random bytes, with its header or without; zeros; blank; another unit's
    content; its own with many bits cleared. Promise: left."""

    name = "noise"
    KINDS = 6

    def __init__(self, workload, seed):
        super().__init__(workload, seed)
        flash = workload.reach(0)[0].flash
        self._units = flash.size // flash.erase_size
        self.count = len(workload.steps) * self._units * self.KINDS

    def run(self, number):
        """Raises Lost, Wrong."""
        step, place = divmod(number % self.count, self._units * self.KINDS)
        flash, ledger = self.medium(len(self.workload.steps) - 1 - step)
        kind, unit = divmod(place, self._units)
        dice = self.dice(number)
        size = flash.erase_size
        low = unit * size
        there = bytearray(flash.data[low : low + size])
        other = dice.roll(self._units) * size
        for at in range(UNIT_HEADER if kind == 1 else 0, size):
            if kind < 2:
                there[at] = dice.roll(256)
            elif kind == 2:
                there[at] = 0
            elif kind == 3:
                there[at] = 0xFF
            elif kind == 4:
                there[at] = flash.data[other + at]
            else:
                there[at] &= dice.roll(256)
        flash.data[low : low + size] = there
        self.judge(flash, ledger, low, low + size, number % OLDER == 0)


class _Refused:
    """Cases of media that must not be written. Promise: they are refused in words, and not a byte of them changes."""

    def __init__(self, workload, seed):
        self.workload = workload
        self.seed = seed

    def judge(self, board, ledger, must_start):
        """must_start: the board reads the medium, and refuses only to write it."""
        before = board.flash.copy().data
        for _ in range(2):
            try:
                board.start()
                if not must_start:
                    raise Lost("a medium that should be refused was mounted")
            except FAILURES as e:
                if must_start or not str(e):
                    raise Lost("a start failed: %s" % e)
            ledger.put(board, 0, 100)
            for save in (board.spill, lambda: ledger.save(board)):
                try:
                    save()
                except FAILURES as e:
                    if not str(e):
                        raise Lost("refused without a word")
                    continue
                raise Lost("a medium that should be refused was written")
        if board.flash.data != before:
            raise Lost("a medium that was refused was written")


class Foreign(_Refused):
    """The medium holds something else in two units or more, or another node's backups."""

    name = "foreign"

    def __init__(self, workload, seed):
        super().__init__(workload, seed)
        self.count = 4 * len(workload.steps)

    def run(self, number):
        """Raises Lost."""
        kind, step = divmod(number % self.count, len(self.workload.steps))
        board, ledger = self.workload.reach(step + 1)
        if kind == 3:
            board.node = OTHER_NODE
        else:
            self._fill(board.flash, kind, Dice(self.seed * 1000003 + number))
        self.judge(board, Ledger(), kind == 3)

    def _fill(self, flash, kind, dice):
        size = flash.erase_size
        fill(flash.data, 0, flash.size)
        first = dice.roll(flash.size // size)
        for i in range(2 + dice.roll(flash.size // size - 1)):
            low = (first + i) * size % flash.size
            for at in range(low, low + size) if kind == 0 else ():
                flash.data[at] = dice.roll(256)
            if kind == 1:
                flash.data[low : low + 64] = b"\xeb\x3c\x90MSDOS5.0" + bytes(53)
            elif kind == 2:  # a backup torn to pieces: magic alone is none of ours
                flash.data[low : low + 8] = b"vlsb" + bytes([dice.roll(256) for _ in range(4)])


class Newer(_Refused):
    """A unit of the medium has a header of a newer format version."""

    name = "newer"

    def __init__(self, workload, seed):
        super().__init__(workload, seed)
        self.places = []
        for step in range(len(workload.steps)):
            flash = workload.reach(step + 1)[0].flash
            for low in range(0, flash.size, flash.erase_size):
                header = bytes(flash.data[low : low + UNIT_HEADER])
                if header[:4] == MAGIC and crc32(header[:65]) == get_u32(header, 65):
                    self.places.append((step, low))
        self.count = len(self.places)

    def run(self, number):
        """Raises Lost."""
        step, low = self.places[spread(number, self.count)]
        board, _ledger = self.workload.reach(step + 1)
        header = bytearray(board.flash.data[low : low + UNIT_HEADER])
        header[4] = 2 + number % 254
        put_u32(header, 65, crc32(bytes(header[:65])))
        board.flash.data[low : low + UNIT_HEADER] = header
        self.judge(board, Ledger(), False)


class Full:
    """The state grows beyond the medium. Promise: full; refused in words, and saved again as soon as it fits."""

    name = "full"

    def __init__(self, workload, seed):
        self.workload = workload
        self.seed = seed
        self.count = 16 * len(workload.steps)

    def run(self, number):
        """Raises Lost, Wrong."""
        step = number % self.count // 16
        board, ledger = self.workload.reach(step + 1)
        dice = Dice(self.seed * 1000003 + number)
        # While a value is coded, its text is in RAM more than once: a board's heap has no room for half a medium.
        grown = [100 + i for i in range((12 if SMALL_HEAP else 2) + dice.roll(3))]
        for i in grown:
            ledger.put(board, i, board.flash.size // len(grown) - dice.roll(200))
            version, signature, value = ledger.truth[channel_key(i)]
            ledger.truth[channel_key(i)] = version, signature, held((value,))
            if dice.roll(3) == 0:
                _refused(board.spill)
        if not _refused(lambda: ledger.save(board)):
            raise Lost("a state larger than the medium was saved")
        started(self.workload.kind, board.flash.copy(), ledger, ledger.promised)
        for i in grown:
            ledger.put(board, i, 1)
        go_on(board, ledger, number % OLDER == 0)


def _refused(call):
    try:
        call()
    except FAILURES as e:
        return str(e)
    return None
