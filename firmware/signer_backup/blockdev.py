"""What the journal asks of a medium, and the checks that it puts on every board's driver.

A BlockDevice has:

- erase_size, program_size, size: bytes; powers of two, size a multiple of erase_size. The medium is size/erase_size
  erase units; a program writes whole program units.
- read_into(offset, buf): fill buf (a writable buffer of any length) from byte offset on.
- program(offset, data): write data (a whole number of program units) to erased program units. Called once per program
  unit between two erases.
- erase(offset): make the erase unit at offset read as 0xFF throughout. On an SD card: overwrite its blocks.

Each raises OSError when the medium fails. A driver may also fail silently: CheckedDevice reads everything back.
"""

import errno

from backup_format.port import const

_CHUNK = const(256)
_LARGE = const(4096)  # bytes to look at together, if there is room for them


class MediumError(OSError):
    """The medium did not do what it was asked to, or holds what must not be overwritten."""

    def __init__(self, text):
        super().__init__(errno.EIO, text)
        self.text = text

    def __str__(self):
        return self.text


class NoDevice:
    """Stands for a medium that is gone: whatever is asked of it fails with text."""

    def __init__(self, text):
        self._text = text

    def read_into(self, offset, buf=None):
        """Raises OSError, as the others do."""
        raise OSError(errno.ENODEV, self._text)

    program = erase = read_into


def is_filled(buf):
    """Return whether all bytes of buf (a bytearray or memoryview, not empty) are 0xFF. Allocates next to nothing."""
    view = memoryview(buf)
    return view[0] == 0xFF and view[1:] == view[:-1]


class CheckedDevice:
    """A BlockDevice whose every call is checked for range and alignment, and whose every write is read back.

    failed: whether the medium did not do what it was asked to; its owner says when all is well again. Counts since it
    was made: programmed_bytes, programs, erases.
    """

    def __init__(self, device):
        self.device = device
        self.erase_size = device.erase_size
        self.program_size = device.program_size
        self.size = device.size
        self.failed = False
        self.programmed_bytes = 0
        self.programs = 0
        self.erases = 0
        self._back = bytearray(max(self.program_size, _CHUNK))

    def replace(self, device):
        """Go on with device, a BlockDevice. Raises MediumError if it is laid out in another way."""
        for name in ("size", "erase_size", "program_size"):
            if getattr(device, name) != getattr(self, name):
                raise MediumError("another medium: its %s is %d" % (name, getattr(device, name)))
        self.device = device

    def _fail(self, text):
        self.failed = True
        raise MediumError(text) from None

    def read_into(self, offset, buf):
        """Fill buf from byte offset on. Raises MediumError."""
        if offset < 0 or offset + len(buf) > self.size:
            raise MediumError("read outside of the medium: %d bytes at %d" % (len(buf), offset))
        try:
            self.device.read_into(offset, buf)
        except OSError as e:
            self._fail("read failed at %d: %s" % (offset, e))

    def program(self, offset, data):
        """Write one program unit and read it back. Raises MediumError."""
        if len(data) != self.program_size or offset % self.program_size or not 0 <= offset < self.size:
            raise MediumError("program of %d bytes at %d" % (len(data), offset))
        self.programs += 1
        self.programmed_bytes += len(data)
        try:
            self.device.program(offset, data)
            back = memoryview(self._back)[: len(data)]
            self.device.read_into(offset, back)
        except OSError as e:
            self._fail("program failed at %d: %s" % (offset, e))
        if back != data:
            self._fail("program failed at %d: other bytes were read back" % offset)

    def erase(self, offset):
        """Erase one unit and make sure that it is blank. Raises MediumError."""
        if offset % self.erase_size or not 0 <= offset < self.size:
            raise MediumError("erase at %d" % offset)
        self.erases += 1
        try:
            self.device.erase(offset)
            blank = self.is_blank(offset)
        except OSError as e:
            self._fail("erase failed at %d: %s" % (offset, e))
        if not blank:
            self._fail("erase failed at %d: the unit is not blank" % offset)

    def is_blank(self, offset):
        """Return whether the whole erase unit at offset reads as 0xFF. Raises MediumError.

        In few reads: each one opens a file where units are files, and reads a whole block of a card.
        """
        try:
            chunk = memoryview(bytearray(min(_LARGE, self.erase_size)))
        except MemoryError:
            chunk = memoryview(self._back)[: min(_CHUNK, self.erase_size)]
        for at in range(offset, offset + self.erase_size, len(chunk)):
            self.read_into(at, chunk)
            if not is_filled(chunk):
                return False
        return True
