"""A start where bits have flipped, or where a read gives other bytes than lie there."""

from binascii import crc32

from backup_format.errors import FormatError
from backup_format.layout import put_u32
from backup_format.units import UnitHeader
from faulty_flash import At, Misread, RamFlash
from journal_rig import CPYTHON, NODE, SIGNATURE, Rig, channel, channel_key, contents, fill, refusal, remount
from log_rig import units_of
from medium_content import fill as fill_content
from signer_backup.journal import Journal
from signer_backup.state import State


class Heads:
    """Notes where the heads of erase units are read, to find out which arenas there are."""

    def __init__(self, flash):
        self.places = []
        flash.fault = self

    def __call__(self, op, offset, data):
        if op == "read" and len(data) == 16:
            self.places.append(offset)
        return False


def nineteen_snapshots():
    """Return a rig on a small flash, and the state at each of its snapshots."""
    rig = Rig(RamFlash(16384, 1024, 128))
    history = {0: {}}
    for number in range(1, 20):
        rig.put(channel_key(number % 4), number, channel(number, 60))
        rig.save()
        history[number] = dict(rig.expected)
    return rig, history


def test_a_flipped_bit():
    """As tests/faults does with every bit: what was replaced does no harm, else an older snapshot is found."""
    rig, history = nineteen_snapshots()
    flash, log = rig.flash, rig.state.log
    newest = older = 0
    for unit in units_of(log):
        for at in range(unit * 1024, unit * 1024 + 1024, 5 if CPYTHON else 41):
            flash.flip(at * 8 + at % 7)
            again = remount(flash)
            number = again.journal.last.number if again.journal.last else 0
            assert again.expected == history[number], at
            flash.flip(at * 8 + at % 7)
            newest += number == 19
            older += number < 19
    assert newest > older > 10


def test_one_wrong_read_at_a_start():
    """It gives the newest snapshot and the settings all the same: what seems damaged is looked at again."""
    rig, history = nineteen_snapshots()
    rig.journal.configure(rig.state, ("periodic", 7))
    blank = lambda op, offset, buf: fill_content(buf, 0, len(buf)) or True  # noqa: E731
    for garbled in (True, False):
        for nth in range(1, 1000, 5 if CPYTHON else 31):
            fault = Misread(rig.flash, nth) if garbled else At(nth, blank, ("read",))
            rig.flash.fault = fault
            again = Rig(rig.flash)
            rig.flash.fault = None
            if not fault.happened:
                break
            assert again.journal.last.number == 19 and again.journal.settings == ("periodic", 7), nth
            assert contents(again.state) == history[19], nth
        assert nth > 60


def test_a_start_that_reads_a_unit_wrongly_opens_the_next_one_elsewhere():
    """The newest arena is one unit, whose header is read as blank: what lies there must not be erased."""
    rig = Rig(RamFlash())
    rig.put("a", 1, b"1")
    rig.save()
    rig.flash.fault = At(1, lambda op, offset, buf: fill_content(buf, 0, len(buf)) or True, ("read",))
    again = Rig(rig.flash)
    assert again.journal.last.number == 1


def test_one_wrong_read_of_settings():
    """They are all that lies there, or the first record of the arena with the newest snapshot."""
    flash = RamFlash()
    rig = Rig(flash)
    rig.journal.configure(rig.state, ("periodic", 7))
    for unit in (0, 1):
        for nth in range(1, 100):
            flash.fault = fault = Misread(flash, nth)
            again = Rig(flash)
            flash.fault = None
            assert again.journal.settings == ("periodic", 7) and again.journal.settings_unit == unit, nth
            if not fault.happened:
                break
        assert 20 < nth < 99
        fill(rig, 1)
        rig.save()


def test_one_wrong_read_beside_damage():
    """What was replaced is damaged, so every record is looked at, and what counts is read twice."""
    rig = Rig(RamFlash(16384, 1024, 128))
    fill(rig, 2, 0, 60)
    rig.save()
    position = rig.state.index.position(rig.state.index.find(channel_key(0)))
    fill(rig, 1, 1, 60)
    rig.save()
    rig.flash.data[rig.state.log.place(position + 20)[0]] ^= 1
    for nth in range(1, 300):
        rig.flash.fault = fault = Misread(rig.flash, nth)
        again = Rig(rig.flash)
        rig.flash.fault = None
        assert again.journal.last.number == 2 and contents(again.state) == rig.expected, nth
        if not fault.happened:
            break
    assert 60 < nth < 299


def test_a_newer_version_that_is_read_once_is_none():
    """A read gives what lies on no medium of ours: a header of format version 2."""
    rig = Rig(RamFlash())
    fill(rig, 2)
    rig.save()
    newer = bytearray(69)
    UnitHeader(4096, 256, 9, 99, 0, 0, 3, 1, NODE).pack_into(newer)
    newer[4] = 2
    put_u32(newer, 65, crc32(bytes(newer[:65])))

    def read(op, offset, buf):
        if offset != 3 * 4096 or seen[0] == times:
            return False
        seen[0] += len(buf) == 69
        buf[:] = newer[: len(buf)]
        return True

    for times in (1, 2, 3):
        seen = [0]
        rig.flash.fault = read
        try:
            again = Rig(rig.flash)
            assert times < 3 and again.journal.last.number == 1 and contents(again.state) == rig.expected
        except FormatError as error:
            assert times == 3 and "version 2" in str(error)
        assert seen[0] == times
    rig.flash.fault = None


def test_one_wrong_read_of_an_entry():
    """Nothing is lost by it, a tombstone neither: it would not be sent again."""
    rig = Rig(RamFlash())
    rig.put("a", 1, b"1")
    rig.delete("b")
    rig.save()
    for key in ("a", "b"):
        for nth in (1, 2):
            rig.flash.fault = Misread(rig.flash, nth)
            rig.state.get(key)
            rig.flash.fault = None
    rig.journal._must_checkpoint = True
    for nth in range(1, 60):
        rig.flash.fault = Misread(rig.flash, nth)
        rig.put("c", nth, b"1")
        rig.save()
        rig.flash.fault = None
        rig.journal._must_checkpoint = True
    assert remount(rig.flash).expected == rig.expected and "b" in rig.expected


def test_a_record_is_read_three_times_before_it_is_lost():
    for wrong in (1, 2, 3):
        rig = Rig(RamFlash())
        rig.put("a", 1, b"1")
        rig.save()
        at = rig.state.log.place(rig.state.index.position(rig.state.index.find("a")))[0]
        seen = []

        def read(op, offset, buf, at=at, wrong=wrong, seen=seen):
            if offset == at and len(seen) < wrong:
                seen.append(op)
                fill_content(buf, 0, len(buf))
                return True
            return False

        rig.flash.fault = read
        words = refusal(rig.state.get, "a")
        assert len(seen) == wrong and rig.state.index.lost == (wrong == 3), wrong
        assert "lost an entry" in words if wrong == 3 else words is None


def test_one_wrong_read_of_what_ram_holds_too():
    """A medium comes late, and an entry on it is read once more to see which one is newer."""
    rig = Rig(RamFlash())
    fill(rig, 3)
    rig.save()
    words = set()
    for nth in range(1, 60):
        state, journal = State(b""), Journal(lambda: rig.flash)
        state.put(channel_key(1), 9, SIGNATURE, b'"ram"')
        rig.flash.fault = Misread(rig.flash, nth)
        words.add(refusal(journal.mount, state))
        happened, rig.flash.fault = rig.flash.fault.happened, None
        assert state.get(channel_key(1)).value == b'"ram"'
        if not journal.mounted:
            journal.mount(state)
        assert journal.last.number == 1 and len(contents(state)) == 3 and list(state.changed) == [channel_key(1)]
        if not happened:
            break
    assert len(words) == 2 and None in words and "can't be read" in max(filter(None, words))


def test_a_commit_whose_length_is_read_wrongly():
    """Its end is not where the next snapshot must begin."""
    for more in (-1, 1):
        wrong_length(more)


def wrong_length(more):
    rig = Rig(RamFlash())
    fill(rig, 3)
    rig.save()
    at = rig.state.log.place(rig.journal.last_end - len(rig.journal.last.body()) - 8)[0]

    def wrong(op, offset, buf):
        if offset == at and len(buf) == 8 and not seen:
            seen.append(offset)
            buf[:] = rig.flash.data[at : at + 8]
            buf[3] += more
            return True
        return False

    seen = []
    rig.flash.fault = wrong
    again = Rig(rig.flash)
    rig.flash.fault = None
    assert seen and again.journal.last.number == 1 and again.journal.last_end == rig.journal.last_end
    assert contents(again.state) == rig.expected


def test_a_start_looks_once_at_a_medium_in_order():
    for settings in (None, ("periodic", 7)):
        rig = Rig(RamFlash())
        if settings:
            rig.journal.configure(rig.state, settings)
        for version in range(9):
            fill(rig, 4, version, 900)
            rig.save()
        heads = Heads(rig.flash)
        assert contents(Rig(rig.flash).state) == rig.expected
        assert heads.places == list(range(0, 65536, 4096))
        commit = rig.journal.last_end - 3
        rig.flash.data[rig.state.log.place(commit)[0]] ^= 1
        heads = Heads(rig.flash)
        assert Rig(rig.flash).journal.last.number == 8
        assert heads.places == 2 * list(range(0, 65536, 4096))  # two looks agree


def test_a_start_looks_once_at_the_smallest_medium_too():
    rig = Rig(RamFlash(4 * 1024, 1024, 128))
    for version in range(20):
        rig.put(channel_key(0), version, channel(version))
        rig.save()
        heads = Heads(rig.flash)
        assert contents(Rig(rig.flash).state) == rig.expected
        assert heads.places == list(range(0, 4096, 1024))


def test_a_start_looks_three_times_at_most():
    """At a medium on which one more of the newest snapshots can't be read each time."""
    rig, commits = Rig(RamFlash()), []
    for version in range(9):
        fill(rig, 1, version)
        rig.save()
        commits.append(rig.state.log.place(rig.journal.last_end - 3)[0])
    heads = Heads(rig.flash)

    def read(op, offset, buf):
        heads(op, offset, buf)
        for at in commits[9 - len(heads.places) // 16 :]:
            if op == "read" and offset <= at < offset + len(buf):
                buf[:] = rig.flash.data[offset : offset + len(buf)]
                buf[at - offset] ^= 1
                return True
        return False

    rig.flash.fault = read
    assert Rig(rig.flash).journal.last.number == 6
    assert heads.places == 3 * list(range(0, 65536, 4096))
