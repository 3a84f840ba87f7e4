"""Keeps off media that hold something else than our backups (docs/media-format.md, "Foreign content")."""

from backup_format.port import const
from backup_format.units import MAGIC, UNIT_HEADER, parse_unit_header

from .blockdev import MediumError, is_filled

_BOOT_SIGNATURE = const(510)  # where 55 AA says that block 0 is a partition table or a boot sector
_STRAYS = const(2)  # on a medium of ours: what a cut in an erase left torn, and one fault beside it


class ForeignError(MediumError):
    """The medium holds something that is no backup of ours."""

    def __init__(self, what="something that is no backup of ours"):
        super().__init__("the medium holds %s: not overwritten" % what)


class Heads:
    """Notes what the erase units of device (a CheckedDevice) begin with while read_into reads their headers.

    used: how many do not begin blank. strays: how many of these don't begin as a unit of ours does either.
    """

    def __init__(self, device):
        self._device = device
        self.used = 0
        self.strays = 0

    def read_into(self, offset, buf):
        """Fill buf from byte offset on, the beginning of an erase unit. Raises MediumError."""
        self._device.read_into(offset, buf)
        if not is_filled(buf):
            self.used += 1
            self.strays += buf[: len(MAGIC)] != MAGIC

    def refuse_foreign(self):
        """For a medium without a header of ours: raise ForeignError unless at most one unit is torn, as by a cut in the
        very first erase. Where all units begin blank, not all of it is read: that would take too long at each start.
        """
        if self.used > self.strays:  # some begin as ours, and are none
            _refuse_other_size(self._device, 0, self._device.size, self._device.erase_size)
        signature = bytearray(2)
        self._device.read_into(_BOOT_SIGNATURE, signature)
        if self.strays > 1 or signature == b"\x55\xaa":
            raise ForeignError()
        if self.strays:
            _refuse_strays(self._device, 1)


def keep_foreign(device, offset):
    """Before the erase unit at offset is erased: raise ForeignError if what it holds may be foreign. Raises
    MediumError."""
    if device.is_blank(offset):
        return
    _refuse_other_size(device, offset, offset + device.erase_size, device.program_size)
    if _is_stray(device, offset):
        _refuse_strays(device, _STRAYS)


def _refuse_other_size(device, start, stop, step):
    """Raise ForeignError if a unit of a journal with erase units of another size begins at one of these offsets: of a
    board whose driver divides the medium otherwise."""
    for header in _headers(device, start, stop, step):
        if header.erase_size != device.erase_size:
            sizes = header.erase_size, device.erase_size
            raise ForeignError("backups in erase units of %d bytes, where this board has %d" % sizes)


def headers_within(device, offset):
    """Yield the UnitHeader of each erase unit, whatever its size, that begins in the one at offset. Raises
    MediumError."""
    return _headers(device, offset, offset + device.erase_size, device.program_size)


def _headers(device, start, stop, step):
    buf = bytearray(UNIT_HEADER)
    for offset in range(start, stop, step):
        device.read_into(offset, buf)
        header = parse_unit_header(buf, True)
        if header:
            yield header


def _refuse_strays(device, limit):
    strays = 0
    for offset in range(0, device.size, device.erase_size):
        strays += _is_stray(device, offset)
        if strays > limit:
            raise ForeignError()


def _is_stray(device, offset):
    magic = bytearray(len(MAGIC))
    device.read_into(offset, magic)
    return magic != MAGIC and not device.is_blank(offset)
