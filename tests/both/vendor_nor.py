"""NOR flash under the models of rp2.Flash and esp32.Partition: sparse, so that a chip fits into a board's heap."""

BLOCK = 4096


class Nor:
    """A chip of `blocks` blocks of 4096 bytes; below `first` lies a firmware, whose bytes are their block's number.

    worn: numbers of blocks that neither erase nor program any more, without saying so.
    """

    def __init__(self, blocks, first):
        self.size = blocks * BLOCK
        self._first = first
        self._blocks = {}
        self.worn = set()

    def block(self, n):
        """Return what block n holds."""
        n %= self.size // BLOCK
        return self._blocks.get(n) or bytes([n & 0xFF if n < self._first else 0xFF]) * BLOCK

    def _own(self, n):
        """Return block n as a bytearray of the chip."""
        n %= self.size // BLOCK
        if n not in self._blocks:
            self._blocks[n] = bytearray(self.block(n))
        return self._blocks[n]

    def firmware_is_whole(self):
        """Return whether nothing below the first block was touched."""
        return all(self.block(n) == bytes([n & 0xFF]) * BLOCK for n in range(self._first))

    def read(self, address, buf):
        done = 0
        while done < len(buf):
            start = (address + done) % BLOCK
            n = min(BLOCK - start, len(buf) - done)
            buf[done : done + n] = self.block((address + done) // BLOCK)[start : start + n]
            done += n

    def program(self, address, data):
        for i in range(len(data)):
            block = (address + i) // BLOCK
            if block not in self.worn:
                self._own(block)[(address + i) % BLOCK] &= data[i]

    def erase(self, address):
        if address // BLOCK not in self.worn:
            self._own(address // BLOCK)[:] = b"\xff" * BLOCK
