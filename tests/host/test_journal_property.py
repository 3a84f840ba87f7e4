"""The journal against a dict in lockstep, in any order of writes, starts, power cuts, failures and damage."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from backup_format.records import TOMBSTONE_VERSION
from faulty_flash import At, Cut, PowerCut, RamFlash, WrongByte, swallow
from journal_rig import SIGNATURE, Rig, channel, channel_key, contents, snapshots
from signer_backup.blockdev import MediumError

keys = st.integers(0, 9).map(channel_key) | st.sampled_from(["nodes/aa", "peers/bb", "\u00e9", "x" * 300])
values = st.tuples(st.integers(0, 255), st.integers(0, 400)).map(lambda pair: channel(*pair)) | st.sampled_from(
    [b"null", b"[]", b"no json", b'"\\u0000"']
)


class JournalMachine(RuleBasedStateMachine):
    """history: the state at each snapshot that was saved; self.rig.expected: what the board should know now."""

    @initialize(erase_size=st.sampled_from([1024, 2048]), units=st.integers(16, 20))
    def begin(self, erase_size: int, units: int) -> None:
        self.flash = RamFlash(erase_size * units, erase_size, 128)
        self.rig = Rig(self.flash)
        self.history: dict[int, dict[str, object]] = {0: {}}

    @rule(key=keys, value=values)
    def put(self, key: str, value: bytes) -> None:
        held = self.rig.expected.get(key)
        self.rig.put(key, 0 if held is None or held[0] == TOMBSTONE_VERSION else held[0] + 1, value)

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.rig.delete(key)

    @rule()
    def save(self) -> None:
        self.rig.save()
        self.history[self.rig.journal.number] = dict(self.rig.expected)

    @rule()
    def spill(self) -> None:
        self.rig.spill()

    @rule()
    def start(self) -> None:
        """The board starts anew: the newest snapshot is there, what came after it is not."""
        self.rig = Rig(self.flash)
        number = self.rig.journal.number
        self.rig.expected = dict(self.history[number])
        assert number == max(self.history)
        assert contents(self.rig.state) == self.history[number]

    @rule(nth=st.integers(1, 25), how=st.sampled_from(["torn", "before", "after"]), commit=st.booleans())
    def cut(self, nth: int, how: str, commit: bool) -> None:
        """The power goes in the nth write of a snapshot or a spill, if it has so many."""
        number = self.rig.journal.number
        self.flash.fault = Cut(self.flash, nth, how)
        with suppress(PowerCut):
            self.rig.save() if commit else self.rig.spill()
        self.flash.fault = None
        if Rig(self.flash).journal.number > number:  # it came after the snapshot's last byte, or never
            assert commit
            self.history[number + 1] = dict(self.rig.expected)
        self.start()

    @rule(nth=st.integers(1, 60), times=st.integers(1, 80))
    def fail(self, nth: int, times: int) -> None:
        """The medium fails for a while: the snapshot is saved, or refused in words."""
        number = self.rig.journal.number
        self.flash.fault = At(nth, OSError(5), times=times)
        try:
            self.rig.save()
            saved = True
        except MediumError:
            saved = False
        self.flash.fault = None
        if saved or Rig(self.flash).journal.number > number:
            self.history[number + 1] = dict(self.rig.expected)
        if not saved:
            self.save()

    @rule(nth=st.integers(1, 12), op=st.sampled_from(["program", "erase"]))
    def lie(self, nth: int, op: str) -> None:
        """One program or erase does nothing and says that all is well."""
        self.flash.fault = At(nth, swallow, (op,))
        self.save()
        self.flash.fault = None

    @rule(nth=st.integers(1, 12))
    def wrong_byte(self, nth: int) -> None:
        self.flash.fault = WrongByte(self.flash, nth)
        self.save()
        self.flash.fault = None

    @precondition(lambda self: len(self.history) > 1)
    @rule(data=st.data())
    def pull(self, data: st.DataObject) -> None:
        """A host takes any of the snapshots on the medium."""
        whole = {number: held for number, whole, held in snapshots(self.rig.journal) if whole}
        assert max(self.history) in whole
        number = data.draw(st.sampled_from(sorted(whole)))
        assert whole[number] == self.history[number]

    @precondition(lambda self: len(self.history) > 2)
    @rule(data=st.data())
    def flip(self, data: st.DataObject) -> None:
        """A bit flips while the board is off: what it finds is a snapshot that was saved. Then the bit flips back."""
        bit = data.draw(st.integers(0, 8 * self.flash.size - 1))
        other = self.flash.copy()
        other.flip(bit)
        try:
            rig = Rig(other)
        except MediumError as error:  # a lone unit without its magic, beside one that a cut left torn
            assert "no backup of ours" in str(error) and bit % (8 * self.flash.erase_size) < 32
            return
        assert contents(rig.state) == self.history[rig.journal.last.number if rig.journal.last else 0]

    @invariant()
    def nothing_differs(self) -> None:
        if not hasattr(self, "rig"):
            return
        assert contents(self.rig.state) == self.rig.expected
        assert self.rig.state.index.lost == 0

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        self.save()
        self.start()
        found = snapshots(self.rig.journal)
        assert found and found[-1][:2] == (max(self.history), True)
        for number, whole, held in found:
            assert not whole or held == self.history[number], number


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_signatures_differ_from_their_absence() -> None:
    rig = Rig(RamFlash())
    rig.put("a", 1, b"1")
    rig.put("b", 1, b"1", b"")
    rig.save()
    assert contents(Rig(rig.flash).state) == {"a": (1, SIGNATURE, b"1"), "b": (1, b"", b"1")}
