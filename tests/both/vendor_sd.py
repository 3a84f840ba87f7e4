"""An SD card, and the two drivers through which MicroPython boards reach one: machine.SDCard of the ESP32 port and
micropython-lib's sdcard.py over an SPI bus. What they do when a card fails is kept (read from their sources).
"""

BLOCK = 512
_FOREIGN = b"\x33" * BLOCK


class Card:
    """A card of `blocks` blocks; blocks never written hold `foreign`.

    present: whether it is in the slot. ready: whether it was initialised since it got power: pull and insert end that,
    and a card that is not ready neither reads nor writes. reads: blocks read so far. rejects: how many writes from now
    on it refuses. hangs: it stays busy for ever after the next write. misdirects: added to the number of every block
    written. rests: what MISO reads as when nobody drives it (0xFF with a pull-up, else often 0).
    """

    def __init__(self, blocks=65536, foreign=_FOREIGN):
        self.blocks = blocks
        self.data = {}
        self.present = True
        self.ready = False
        self.reads = 0
        self._foreign = foreign
        self.rejects = 0
        self.hangs = False
        self.misdirects = 0
        self.rests = 0xFF

    def pull(self):
        self.present = self.ready = False

    def insert(self):
        self.present = True

    def read(self, n):
        self.reads += 1
        return self.data.get(n, self._foreign)

    def write(self, n, data):
        """Return whether the card took the block."""
        if self.rejects:
            self.rejects -= 1
            return False
        data = bytes(data)
        self.data[n + self.misdirects] = self._foreign if data == self._foreign else data  # saves a small heap
        return True


def machine_sdcard(card, booleans):
    """Return machine.SDCard of the ESP32 port; card() is what is in the slot. booleans: of versions before 1.25, whose
    calls answer True and False.

    A failed call answers False when the card can't be initialised, else -5 (False before 1.25); a second SDCard on a
    bus that the first one still owns is an OSError.
    """
    owner = []

    class SDCard:
        def __init__(self, slot=1, width=1, cd=None, wp=None, miso=None, mosi=None, sck=None, cs=None, freq=20000000):
            if not 1 <= slot <= 3:
                raise ValueError("invalid slot number")
            if owner:
                raise OSError(-0x103, "ESP_ERR_INVALID_STATE")
            owner.append(self)
            self._initialised = False

        def deinit(self):
            if owner == [self]:
                owner.clear()

        def _ready(self):
            if not self._initialised and card().present:
                self._initialised = card().ready = True
            return self._initialised

        def _answer(self, done):
            return done if booleans else (0 if done else -5)

        def readblocks(self, n, buf):
            if not self._ready():
                return False
            count = len(buf) // BLOCK
            if not card().ready or n < 0 or n + count > card().blocks:
                return self._answer(False)
            for i in range(count):
                buf[i * BLOCK : i * BLOCK + BLOCK] = card().read(n + i)
            return self._answer(True)

        def writeblocks(self, n, buf):
            if not self._ready():
                return False
            count = len(buf) // BLOCK
            if not card().ready or n < 0 or n + count > card().blocks:
                return self._answer(False)
            done = [card().write(n + i, bytes(buf[i * BLOCK : i * BLOCK + BLOCK])) for i in range(count)]
            return self._answer(all(done))

        def ioctl(self, command, argument):
            if command in (1, 4, 5) and not self._ready():
                return -1
            if command in (1, 2, 3):
                return 0
            return {4: card().blocks, 5: BLOCK}.get(command, -1)

    return SDCard


def machine_spi(card):
    """Return machine.SPI with card() on it, as an SD card in SPI mode answers (block addressing, SDHC)."""

    class SPI:
        def __init__(self, bus, **settings):
            self._out = b""  # bytes the card sends next
            self._place = None  # the block that a write command named
            self._received = None
            self._busy = False

        def init(self, **settings):
            pass

        def _next(self):
            if not card().present:
                return card().rests
            if self._out:
                first = self._out[0]
                self._out = self._out[1:]
                return first
            return 0 if self._busy else 0xFF

        def read(self, nbytes, write=0):
            if self._place is not None and self._received is None and write == 0xFE:
                self._received = b""
                return b"\xff" * nbytes
            return bytes([self._next() for _ in range(nbytes)])

        def readinto(self, buf, write=0):
            for i in range(len(buf)):
                buf[i] = self._next()

        def write_readinto(self, out, buf):
            if card().present and len(self._out) >= len(buf):
                buf[:] = self._out[: len(buf)]
                self._out = self._out[len(buf) :]
            else:
                self.readinto(buf)

        def write(self, buf):
            if not card().present:
                return
            if self._received is not None:
                self._received += bytes(buf)
                if len(self._received) == BLOCK + 2:
                    taken = card().write(self._place, self._received[:BLOCK])
                    self._out = b"\xe5\0\0\0\xff" if taken else b"\xeb"
                    self._busy = card().hangs
                    if card().hangs:
                        self._out = b"\xe5"
                    self._place = self._received = None
            elif len(buf) == 6:
                self._command(buf[0] & 0x3F, int.from_bytes(bytes(buf[1:5]), "big"))
            else:
                for _ in range(len(buf)):
                    self._next()

        def _command(self, number, argument):
            size = card().blocks // 1024 - 1
            csd = bytes([0x40, 0, 0, 0, 0, 0, 0, size >> 16 & 63, size >> 8 & 255, size & 255, 0, 0, 0, 0, 0, 0])
            answers = {0: [1], 8: [1, 0, 0, 1, 0xAA], 9: [0, 0xFE] + list(csd) + [0, 0], 16: [0]}
            answers.update({41: [0], 55: [1], 58: [0, 0xC0, 0xFF, 0x80, 0]})
            inside = argument < card().blocks
            if number == 0:
                card().ready = False
            if number == 41:
                card().ready = True
            if number in (17, 24) and not card().ready:
                self._out = b"\x05"  # illegal command, in idle state
            elif number == 17:
                self._out = b"\0\xfe" + card().read(argument) + b"\0\0" if inside else b"\x40"
            elif number == 24:
                self._out = b"\0" if inside else b"\x40"
                self._place = argument if inside else None
            else:
                self._out = bytes(answers.get(number, [4]))

    return SPI


class SdcardModule:
    """The module sdcard of micropython-lib 0.2.0, as far as single blocks go.

    Its OSError("no SD card") has no errno; a write that the card rejects returns as if nothing had happened; the wait
    for the end of a write has no limit; the CRC of what was read is thrown away.
    """

    class SDCard:
        def __init__(self, spi, cs, baudrate=1320000):
            self.spi = spi
            self.cs = cs
            self.spi.init(baudrate=100000, phase=0, polarity=0)
            for _ in range(16):
                self.spi.write(b"\xff")
            if 1 not in [self.cmd(0, 0) for _ in range(5)]:
                raise OSError("no SD card")
            if self.cmd(8, 0x01AA, 4) != 1:
                raise OSError("couldn't determine SD card version")
            self.cmd(55, 0)
            if self.cmd(41, 0x40000000) != 0:
                raise OSError("timeout waiting for v2 card")
            self.cmd(58, 0, 4)
            if self.cmd(9, 0, 0, False) != 0:
                raise OSError("no response from SD card")
            csd = bytearray(16)
            self.readinto(csd)
            self.sectors = ((csd[7] << 16 | csd[8] << 8 | csd[9]) + 1) * 1024
            if self.cmd(16, 512) != 0:
                raise OSError("can't set 512 block size")
            self.spi.init(baudrate=baudrate, phase=0, polarity=0)

        def cmd(self, number, argument, final=0, release=True):
            self.cs(0)
            self.spi.write(bytes([0x40 | number]) + (argument & 0xFFFFFFFF).to_bytes(4, "big") + b"\x01")
            token = bytearray(1)
            for _ in range(100):
                self.spi.readinto(token, 0xFF)
                if not token[0] & 0x80:
                    for _ in range(final):
                        self.spi.write(b"\xff")
                    if release:
                        self.cs(1)
                        self.spi.write(b"\xff")
                    return token[0]
            self.cs(1)
            self.spi.write(b"\xff")
            return -1

        def readinto(self, buf):
            self.cs(0)
            token = bytearray(1)
            for _ in range(100):
                self.spi.readinto(token, 0xFF)
                if token[0] == 0xFE:
                    break
            else:
                self.cs(1)
                raise OSError("timeout waiting for response")
            self.spi.write_readinto(b"\xff" * len(buf), buf)
            self.spi.write(b"\xff")
            self.spi.write(b"\xff")
            self.cs(1)
            self.spi.write(b"\xff")

        def readblocks(self, n, buf):
            self.spi.write(b"\xff")
            assert len(buf) == 512, "the model has single blocks only"
            if self.cmd(17, n, release=False) != 0:
                self.cs(1)
                raise OSError(5)
            self.readinto(buf)

        def writeblocks(self, n, buf):
            self.spi.write(b"\xff")
            assert len(buf) == 512, "the model has single blocks only"
            if self.cmd(24, n) != 0:
                raise OSError(5)
            self.cs(0)
            self.spi.read(1, 0xFE)
            self.spi.write(buf)
            self.spi.write(b"\xff")
            self.spi.write(b"\xff")
            if (self.spi.read(1, 0xFF)[0] & 0x1F) != 0x05:
                self.cs(1)
                self.spi.write(b"\xff")
                return
            while self.spi.read(1, 0xFF)[0] == 0:
                pass
            self.cs(1)
            self.spi.write(b"\xff")

        def ioctl(self, command, argument):
            if command == 4:
                return self.sectors
            if command == 5:
                return 512
            return None
