"""Keeps off media that hold something else than our backups (docs/media-format.md, "Foreign content")."""

from backup_format.port import const
from backup_format.units import MAGIC

from .blockdev import MediumError, is_filled

_BOOT_SIGNATURE = const(510)  # where 55 AA says that block 0 is a partition table or a boot sector
_STRAYS = const(2)  # on a medium of ours: what a cut in an erase left torn, and one fault beside it


class ForeignError(MediumError):
    """The medium holds something that is no backup of ours."""

    def __init__(self):
        super().__init__("the medium holds something that is no backup of ours: not overwritten")


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
        signature = bytearray(2)
        self._device.read_into(_BOOT_SIGNATURE, signature)
        if self.strays > 1 or signature == b"\x55\xaa":
            raise ForeignError()
        if self.strays:
            _refuse_strays(self._device, 1)


def keep_foreign(device, offset):
    """Before the erase unit at offset is erased: raise ForeignError if what it holds may be foreign. Raises
    MediumError."""
    if _is_stray(device, offset):
        _refuse_strays(device, _STRAYS)


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
