"""A host that surveys and formats a board's medium; for tests on any VM."""

from binascii import hexlify

from backup_format.frames import FORMAT
from faulty_flash import RamFlash
from journal_rig import NODE, Rig, fill
from service_rig import ServiceHost
from signer_backup import formatting
from signer_backup.formatting import Formatter


class Host(ServiceHost):
    """Asks the services of a board."""

    def __init__(self, flash, strategy="periodic:1"):
        super().__init__(flash, strategy)
        self.handlers.update(Formatter(self.board.runtime).handlers)

    def step(self, done, *nodes):
        """Format on; return (units done, units)."""
        answer = bytes(self.handlers[FORMAT](done.to_bytes(4, "big") + b"".join(nodes)))
        assert len(answer) == 8
        return int.from_bytes(answer[:4], "big"), int.from_bytes(answer[4:], "big")

    def format(self, *nodes):
        """Format to the end; return how many calls it took."""
        done, total, calls = 0, 1, 0
        while done < total:
            done, total = self.step(done, *nodes)
            calls += 1
        return calls


class OneEraseEach:
    """Within it, a call of FORMAT erases or skips one unit."""

    def __enter__(self):
        self._real = formatting.ticks_since
        formatting.ticks_since = lambda then: 1 << 20

    def __exit__(self, *error):
        formatting.ticks_since = self._real


class InOneCall(OneEraseEach):
    """Within it, a call of FORMAT goes on to its end, however slow the machine is."""

    def __enter__(self):
        super().__enter__()
        formatting.ticks_since = lambda then: 0


def is_blank(flash, but=()):
    """Return whether each erase unit of flash but some is blank."""
    size = flash.erase_size
    units = [unit for unit in range(flash.size // size) if unit not in but]
    return all([flash.data[unit * size : unit * size + size] == b"\xff" * size for unit in units])


def filled(count=8, flash=None, node_id=NODE):
    """Return a flash with snapshots in several arenas."""
    rig = Rig(flash or RamFlash())
    for version in range(count):
        fill(rig, 4, version, 900)
        rig.save(node_id)
    return rig.flash


def hexed(*nodes):
    return [hexlify(node).decode() for node in nodes]
