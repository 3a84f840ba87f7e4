"""Memory that ends somewhere in a save or a start: nothing is lost, and the next one is right."""

from faulty_flash import RamFlash
from journal_rig import Rig, channel, channel_key, contents, fill, remount, snapshots
from signer_backup.journal import Journal
from signer_backup.state import State

try:
    from micropython import heap_lock, heap_unlock
except ImportError:  # CPython and CircuitPython have no such thing: memory ends in the call itself

    def heap_lock():
        raise MemoryError()

    def heap_unlock():
        pass


class Ending:
    """From the nth call of a flash on, no memory can be had."""

    def __init__(self, flash, nth):
        self.left = nth
        self._flash = flash
        flash.fault = self

    def __call__(self, op, offset, data):
        self.left -= 1
        if self.left == 0:
            heap_lock()
        return False

    def over(self):
        """Memory is back; return whether it ended at all."""
        if self.left <= 0:
            heap_unlock()
        self._flash.fault = None
        return self.left <= 0


def ends(flash, nth, call, *args):
    """Call it while memory ends at the nth call of flash; return (whether it did, whether the call failed)."""
    ending = Ending(flash, nth)
    failed = False
    try:
        call(*args)
    except MemoryError:
        failed = True
    finally:
        ended = ending.over()
    return ended, failed


def test_a_save():
    for checkpoint in (False, True):
        failures = 0
        for nth in range(1, 200):
            rig = Rig(RamFlash())
            fill(rig, 9)
            rig.save()
            fill(rig, 3, 1, 700)
            arena = rig.state.log.arena
            rig.journal._must_checkpoint = checkpoint
            ended, failed = ends(rig.flash, nth, rig.save)
            failures += failed
            rig.check()
            if not ended:
                assert (rig.state.log.arena > arena) == checkpoint
                break
            for again in range(2):
                rig.put(channel_key(3 + again), 2, channel(7))
                rig.save()
                assert remount(rig.flash).expected == rig.expected, (checkpoint, nth)
            assert snapshots(rig.journal)[-1][1:] == (True, rig.expected)
        assert 10 < failures < nth < 199


def test_a_start():
    rig = Rig(RamFlash())
    fill(rig, 8)
    rig.save()
    fill(rig, 3, 1, 700)
    rig.save()
    failures = 0
    for nth in range(1, 200):
        journal, state = Journal(lambda: rig.flash), State(b"salt")
        ended, failed = ends(rig.flash, nth, journal.mount, state)
        failures += failed
        if failed:
            assert not journal.mounted
            journal.mount(state)
        assert contents(state) == rig.expected
        if not ended:
            break
    assert 10 < failures < nth < 199
