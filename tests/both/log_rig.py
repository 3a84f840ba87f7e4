"""One arena on a small flash, written record by record; for tests on any VM."""

from backup_format.live import Places, whole_commits
from backup_format.log import Log, find_arenas, open_log
from backup_format.records import ENTRY, Commit, entry_head
from backup_format.units import UNIT_HEADER, UnitHeader
from faulty_flash import RamFlash
from signer_backup.blockdev import CheckedDevice
from signer_backup.writer import Writer

NODE = b"\x02" * 33
PAYLOAD = 1024 - UNIT_HEADER


class Arena:
    """Arena 1 on a medium of 1-KiB units, written by a Writer that takes the units in turn."""

    def __init__(self):
        self.flash = RamFlash(32768, 1024, 128)
        self.device = CheckedDevice(self.flash)
        self.log = Log(self.device.read_into, 1024, 128, 1)
        self.writer = Writer(self.device, self.log, self.open_unit)
        self.opened = 0
        self.number = 0

    def open_unit(self, log, start, buf):
        unit = self.opened
        self.opened += 1
        self.device.erase(unit * 1024)
        header = UnitHeader(1024, 128, 1, self.opened, start, log.last_start(), unit, 1, NODE)
        header.pack_into(buf)
        log.add(header)
        return unit * 1024

    def snapshot(self, *bodies, replaced=0):
        """Write entries with these bodies and a commit; return their positions. replaced: as Writer.begin takes it."""
        self.writer.begin(replaced)
        positions = [self.writer.append(ENTRY, [body[:3], body[3:]]) for body in bodies]
        self.number += 1
        self.writer.finish(Commit(self.number, None, "periodic", "never", 0, len(bodies), 0))
        return positions

    def place(self, position):
        """Return the byte offset on the flash of a log position."""
        return self.log.place(position)[0]

    def flip(self, position, bits=1):
        """Damage the byte at a log position."""
        self.flash.data[self.place(position)] ^= bits

    def read(self):
        """Return a Log of what lies on the flash."""
        return open_log(self.flash.read_into, 1024, 1, find_arenas(self.flash.read_into, 1024, 32)[1])


def commits(log):
    """Return [(number, whole)] of the commits that can be read."""
    return [(commit.number, whole) for commit, _end, whole in whole_commits(log, Places())]


def units_of(log):
    """Return the erase units of a log, in its order."""
    return [unit for _start, unit in log.places()]


def kinds(log):
    """Return the kinds of the records that are met when headers are believed."""
    return [kind for _position, kind, _length in log.records()]


def bodies(log, end=None):
    """Return the bodies of the entries that can be read up to a log position, in order."""
    return [log.body(position)[1] for position, kind, _length, _mark in log.checked(0, end) if kind == ENTRY]


def body(i, size, version=0):
    """Return the body of an entry of key number i: size bytes, at least 9."""
    head = entry_head(0, "k%d" % i, version, b"", 0, NODE)
    return head + bytes([(i + j * 5) & 0xFF for j in range(size - len(head))])
