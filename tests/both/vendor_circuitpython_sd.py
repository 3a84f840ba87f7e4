"""sdcardio and busio of CircuitPython with an SD card behind them: errors as in shared-module/sdcardio/SDCard.c."""

import errno

BLOCK = 512
_FOREIGN = b"\x33" * BLOCK


class Pin:
    """A pin has one owner at a time."""

    def __init__(self, name):
        self.name = name
        self.owned = False

    def take(self):
        if self.owned:
            raise ValueError("%s in use" % self.name)
        self.owned = True


class SPI:
    """busio.SPI: owns its pins until deinit. card: what is in the slot behind it; a test sets it."""

    card = None

    def __init__(self, clock, MOSI=None, MISO=None):
        for pin in (clock, MOSI, MISO):
            pin.take()


class Card:
    """A card of `blocks` blocks; those never written hold `foreign`.

    It answers once it was initialised after it got power: insert, and pull, end that. rejects: how many writes from now
    on it refuses. loses: how many it takes and forgets. misdirects: added to the number of every block written.
    """

    def __init__(self, blocks=65536, foreign=_FOREIGN):
        self.blocks = blocks
        self.data = {}
        self.rejects = 0
        self.loses = 0
        self.misdirects = 0
        self.writes = 0
        self._foreign = foreign
        self._present = True
        self._place = None  # of the next block of an open stream
        self._received = []  # in an open stream, still in the card's RAM
        self._programming = []  # the stream was closed: in the flash as soon as the card is no longer busy
        self.ready = False

    def pull(self):
        """Take the card out: what it had not programmed yet is gone."""
        self._present = self.ready = False
        self._place = None
        self._received = []
        self._programming = []

    def insert(self):
        self._present = True

    def initialise(self):
        """CMD0 and what follows; return whether a card answered."""
        self._wait()
        self.ready = self._present
        self._place = None
        return self.ready

    def read(self, n):
        """CMD17: return the block, or None for an error answer or none."""
        self._wait()
        if not self.ready or not 0 <= n < self.blocks:
            return None
        return self.data.get(n, self._foreign)

    def open_stream(self, n):
        """CMD25: return whether the card answered at all; past its end it says so, and takes no data."""
        self._wait()
        if self.ready and 0 <= n < self.blocks:
            self._place = n
        return self.ready

    def receive(self, data):
        """A data packet: return False if the card refuses it, True if it takes it, None if nobody listens."""
        if not self.ready or self._place is None:
            return None
        if self.rejects:
            self.rejects -= 1
            return False
        self.writes += 1
        if self.loses:
            self.loses -= 1
        else:
            data = bytes(data)
            data = self._foreign if data == self._foreign else data  # saves a small heap
            self._received.append((self._place + self.misdirects, data))
        self._place += 1
        return True

    def close_stream(self):
        """The stop token: return whether the card answered it with "busy"."""
        open_stream = self.ready and self._place is not None
        self._place = None
        self._programming += self._received
        self._received = []
        return open_stream

    def _wait(self):
        """What every command does first: wait until the card is no longer busy."""
        for n, data in self._programming:
            self.data[n] = data
        self._programming = []


class SDCard:
    """sdcardio.SDCard."""

    def __init__(self, spi, cs, baudrate=8000000):
        cs.take()
        self._cs = cs
        self._card = spi.card
        self._in_cmd25 = False
        self._next = 0
        if not self._card.initialise():
            cs.owned = False
            raise OSError("no SD card")  # no errno
        self._blocks = self._card.blocks
        self._alive = True

    def _check(self, buf=b""):
        if not self._alive:
            raise ValueError("Object has been deinitialized and can no longer be used. Create a new object.")
        if len(buf) % BLOCK:
            raise ValueError("Buffer must be a multiple of 512 bytes")

    def _exit_cmd25(self):
        if self._in_cmd25:
            self._in_cmd25 = False
            if not self._card.close_stream():
                raise OSError(errno.EIO, "EIO")

    def count(self):
        self._check()
        return self._blocks

    def deinit(self):
        if self._alive:
            try:
                self._exit_cmd25()
            except OSError:
                pass
            self._alive = self._cs.owned = False

    def sync(self):
        self._check()
        self._exit_cmd25()

    def readblocks(self, start, buf):
        self._check(buf)
        self._exit_cmd25()
        count = len(buf) // BLOCK
        if not self._card.ready:
            raise OSError(errno.EIO, "EIO")
        for i in range(count):
            block = self._card.read(start + i)
            if block is None:
                if count == 1:
                    raise OSError(errno.EIO, "EIO")
                return  # the answer to CMD12 replaced the error: the rest of buf is stale
            buf[i * BLOCK : i * BLOCK + BLOCK] = block

    def writeblocks(self, start, buf):
        self._check(buf)
        if not self._in_cmd25 or start != self._next:
            self._exit_cmd25()
            if not self._card.open_stream(start):
                raise OSError(errno.EIO, "EIO")
            self._in_cmd25 = True
        self._next = start
        for i in range(len(buf) // BLOCK):
            if self._card.receive(buf[i * BLOCK : i * BLOCK + BLOCK]) is False:
                self._in_cmd25 = False
                raise OSError(errno.EIO, "EIO")
            self._next += 1  # taken, or nobody answered: the wait for an answer ends without an error
