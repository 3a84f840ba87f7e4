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


class MediumError(OSError):
    """The medium did not do what it was asked to, or holds what must not be overwritten."""

    def __init__(self, text):
        super().__init__(errno.EIO, text)
        self.text = text

    def __str__(self):
        return self.text


class CheckedDevice:
    """A BlockDevice whose every call is checked for range and alignment, and whose every write is read back.

    Counts since it was made: programmed_bytes, programs, erases.
    """

    def __init__(self, device):
        self.device = device
        self.erase_size = device.erase_size
        self.program_size = device.program_size
        self.size = device.size
        self.programmed_bytes = 0
        self.programs = 0
        self.erases = 0
        self._back = bytearray(max(self.program_size, _CHUNK))
        self._blank = b"\xff" * _CHUNK

    def read_into(self, offset, buf):
        """Fill buf from byte offset on. Raises MediumError."""
        if offset < 0 or offset + len(buf) > self.size:
            raise MediumError("read outside of the medium: %d bytes at %d" % (len(buf), offset))
        try:
            self.device.read_into(offset, buf)
        except OSError as e:
            raise MediumError("read failed at %d: %s" % (offset, e)) from None

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
            raise MediumError("program failed at %d: %s" % (offset, e)) from None
        if back != data:
            raise MediumError("program failed at %d: other bytes were read back" % offset)

    def erase(self, offset):
        """Erase one unit and make sure that it is blank. Raises MediumError."""
        if offset % self.erase_size or not 0 <= offset < self.size:
            raise MediumError("erase at %d" % offset)
        self.erases += 1
        try:
            self.device.erase(offset)
            blank = self.is_blank(offset)
        except OSError as e:
            raise MediumError("erase failed at %d: %s" % (offset, e)) from None
        if not blank:
            raise MediumError("erase failed at %d: the unit is not blank" % offset)

    def is_blank(self, offset):
        """Return whether the whole erase unit at offset reads as 0xFF. Raises MediumError."""
        chunk = memoryview(self._back)[:_CHUNK]
        for at in range(offset, offset + self.erase_size, _CHUNK):
            self.read_into(at, chunk)
            if chunk != self._blank:
                return False
        return True
