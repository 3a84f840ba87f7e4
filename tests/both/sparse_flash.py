"""A large medium in little RAM, as an SD card behaves: 512-byte sectors, of which only the written ones are kept."""

from faulty_flash import RamFlash

SECTOR = 512
_BLANK = b"\xff" * SECTOR


class SparseFlash(RamFlash):
    """A BlockDevice of 16 MiB in erase units of 128 KiB. data: {sector's first byte: its content}, blank ones left out.

    size, erase_size: bytes; a program unit is a sector."""

    def __init__(self, size=16 << 20, erase_size=128 << 10):
        super().__init__(0, erase_size, SECTOR)
        self.size = size
        self.worn = [0] * (size // erase_size)
        self.data = {}

    def read_into(self, offset, buf):
        assert 0 <= offset and offset + len(buf) <= self.size
        if self._swallowed("read", offset, buf):
            return
        done = 0
        while done < len(buf):
            at = (offset + done) % SECTOR
            n = min(SECTOR - at, len(buf) - done)
            buf[done : done + n] = self.data.get(offset + done - at, _BLANK)[at : at + n]
            done += n

    def program(self, offset, data):
        assert len(data) == SECTOR and not offset % SECTOR and 0 <= offset < self.size
        self.writes += 1
        if not self._swallowed("program", offset, data):
            self.put(offset, data)

    def erase(self, offset):
        assert not offset % self.erase_size and 0 <= offset < self.size
        self.writes += 1
        self.worn[offset // self.erase_size] += 1
        if not self._swallowed("erase", offset, None):
            for sector in [s for s in self.data if offset <= s < offset + self.erase_size]:
                del self.data[sector]

    def put(self, sector, data):
        """Overwrite one sector."""
        self.data[sector] = bytes(data)

    def sectors(self):
        """Return the written sectors' first bytes, in order."""
        return sorted(self.data)

    def is_blank(self):
        return not self.data

    def copy(self):
        other = SparseFlash(self.size, self.erase_size)
        other.data.update(self.data)
        return other
