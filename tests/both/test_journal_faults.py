"""The journal on a medium that fails: what was saved stays, and saving works again as soon as it can."""

from backup_format.units import MAGIC
from faulty_flash import At, Misread, PowerCut, RamFlash, Worn, WrongByte, dead, swallow
from journal_rig import CPYTHON, Rig, channel, channel_key, fill, refusal, remount, rounds, snapshots
from medium_content import fill as fill_content


def saved(count=6):
    """Return a rig with one snapshot and a change that is not saved."""
    rig = Rig(RamFlash())
    fill(rig, count)
    rig.save()
    rig.put(channel_key(0), 1, channel(99))
    return rig


def test_a_program_that_does_nothing_is_found():
    for nth in range(1, 12):
        rig = Rig(RamFlash())
        fill(rig, 6)
        rig.flash.fault = fault = At(nth, swallow, ("program",))
        rig.save()
        assert fault.happened == (nth <= 9), nth
        rig.check()
        assert remount(rig.flash).expected == rig.expected


def test_an_erase_that_does_nothing_is_found():
    rig = saved()
    while rig.journal.device.erases < 20:  # no unit is blank any more
        rig.put(channel_key(1), rig.flash.writes, channel(5, 900))
        rig.save()
    for _ in range(4):
        erases = rig.journal.device.erases
        rig.flash.fault = At(1, swallow, ("erase",))
        while rig.journal.device.erases == erases:
            rig.put(channel_key(1), rig.flash.writes, channel(5, 900))
            rig.save()
        assert rig.flash.fault.happened
        assert remount(rig.flash).expected == rig.expected


def test_a_wrong_byte_is_found():
    for nth in range(1, 10):
        rig = Rig(RamFlash())
        fill(rig, 6)
        rig.flash.fault = WrongByte(rig.flash, nth)
        rig.save()
        assert remount(rig.flash).expected == rig.expected
        for number, whole, held in snapshots(rig.journal):
            assert number == 1 and (not whole or held == rig.expected)


def test_a_medium_that_swallows_everything_is_told():
    rig = saved()
    before = dict(remount(rig.flash).expected)
    for op in ("program", "erase"):
        rig.flash.fault = At(1, swallow, (op,), 1 << 30)
        if op == "erase":
            fill_content(rig.flash.data, 32768, 65536, bytes(1024))
        told = refusal(rig.save)
        assert (told and "bytes were read back" in told) if op == "program" else told is None or "not blank" in told
    rig.flash.fault = None
    rig.check()
    rig.save()
    assert remount(rig.flash).expected == rig.expected != before


def test_three_attempts():
    """Each in another unit: two that fail side by side cost nothing, and a medium that always fails is left alone."""
    for failing in (1, 2, 3, 100):
        rig = saved()
        rig.flash.fault = fault = At(1, swallow, ("program",), failing)
        told = refusal(rig.save)
        if failing < 3:
            assert told is None and remount(rig.flash).expected == rig.expected
        else:
            assert told and "bytes were read back" in told and fault.calls == 3 and rig.flash.worn[:4] == [1, 1, 1, 0]


def test_worn_units_are_left_out():
    for ops in (("program",), ("erase",), ("program", "erase")) if CPYTHON else (("program",),):
        for loud in (False, True):
            flash = RamFlash()
            flash.data[5 * 4096 : 7 * 4096] = bytes(8192)
            flash.data[0] = 0
            worn = Worn(flash, {5, 6}, ops, loud)
            rig = saved_on(flash, worn)
            for number in range(rounds(240)):
                rig.put(channel_key(1), number, channel(number, 1500))
                rig.save()
                if number % 40 == 0:
                    flash.fault = None
                    assert remount(flash).expected == rig.expected
                    flash.fault = worn
            assert flash.worn[5] <= 3 and flash.worn[6] <= 3, (ops, loud, flash.worn)
            assert min(flash.worn[7:]) >= rounds(6), flash.worn


def saved_on(flash, fault):
    """Return a rig that began on a flash with two used units, which a fault has since then."""
    blank = RamFlash()
    rig = Rig(blank)
    rig.put("k", 1, b"1")
    rig.save()
    flash.data[:4096] = blank.data[:4096]
    flash.fault = fault
    return remount(flash)


def test_a_medium_dead_for_a_while():
    for nth in range(1, 40, 1 if CPYTHON else 4):
        rig = saved()
        before = remount(rig.flash).expected
        rig.flash.fault = At(nth, dead, times=1 << 30)
        told = refusal(rig.save)
        if told is None:
            assert nth > 5
            break
        assert "failed" in told
        refusal(rig.save)
        rig.flash.fault = None
        rig.journal.mount(rig.state)
        if nth % 2:
            rig.check()
            assert remount(rig.flash).expected in (before, rig.expected)
        for version in range(2, 12):
            rig.put(channel_key(0), version, channel(version))
            rig.save()
        rig.check()
        assert remount(rig.flash).expected == rig.expected


def test_any_exception_at_any_call_leaves_the_last_snapshot():
    for error in (KeyboardInterrupt(), MemoryError(), OSError(5), ValueError()):
        for nth in range(1, 60, 1 if CPYTHON else 3):
            rig = saved()
            before = remount(rig.flash).expected
            rig.flash.fault = fault = At(nth, error)
            try:
                rig.save()
                failed = False
            except Exception as e:  # noqa: BLE001
                failed = type(e)
            except KeyboardInterrupt:
                failed = KeyboardInterrupt
            if not fault.happened:
                assert not failed and nth > 5
                break
            assert failed in (False, type(error)), (error, failed)
            rig.flash.fault = None
            rig.check()
            assert remount(rig.flash).expected in ((before, rig.expected) if failed else (rig.expected,))
            rig.put(channel_key(1), 1, channel(7))
            rig.save()
            assert remount(rig.flash).expected == rig.expected
        else:
            assert False


def test_a_failed_checkpoint_that_left_a_whole_commit_hides_nothing():
    """The checkpoint's commit lies on the medium, but it can't be read back: what is saved next must win at a start."""
    rig = Rig(RamFlash())
    fill(rig, 4)
    rig.save()
    while len(rig.journal.arenas()[1]) < 7:
        rig.put(channel_key(0), rig.flash.writes, channel(3, 900))
        rig.save()
    for i in range(8, 12):  # more than the arena has room for
        rig.put(channel_key(i), 0, channel(i, 2000))
    number = rig.journal.number
    writes = [0]

    def fault(op, offset, data):
        if op == "read" and commits_on(rig.flash) > writes[0]:
            raise OSError(5)
        return False

    writes[0] = commits_on(rig.flash)
    rig.flash.fault = fault
    assert "read" in refusal(rig.save)
    rig.flash.fault = None
    assert [n for n, whole, _held in snapshots(rig.journal) if whole][-1] == number + 1
    for i in range(8, 12):
        rig.put(channel_key(i), 1, b"1")
    rig.save()
    again = remount(rig.flash)
    assert again.expected == rig.expected and again.journal.number == number + 1


def commits_on(flash):
    """Return how many records with a commit's kind and length lie on the flash."""
    return flash.data.count(b"C\x00\x00")


def test_a_misread_copy_never_becomes_right():
    """While a checkpoint copies, one read gives other bytes: they are not taken over with a new, valid CRC."""
    again = 0
    for nth in range(1, 400, 3 if CPYTHON else 8):
        rig = saved()
        rig.journal._must_checkpoint = True

        rig.flash.fault = fault = Misread(rig.flash, nth)
        rig.save()
        rig.flash.fault = None
        if not fault.happened:
            break
        again += max(rig.journal.arenas()) > 2
        for number, whole, held in snapshots(rig.journal):
            if whole and number == 2:
                assert held == rig.expected, nth
        assert remount(rig.flash).expected == rig.expected
    assert again > (5 if CPYTHON else 0) and nth > 40


def test_a_place_that_can_not_be_read_any_more():
    """The record there is replaced: without it no sum can be kept, so the state goes into a new arena."""
    rig = saved()
    log, index = rig.state.log, rig.state.index
    position = index.position(index.find(channel_key(0))) + 50
    bad = log.place(position)[0]

    def fault(op, offset, data):
        if op == "read" and offset <= bad < offset + len(data):
            raise OSError(5)
        return False

    rig.flash.fault = fault
    rig.save()
    assert rig.state.log.arena == log.arena + 1
    rig.check()
    rig.put(channel_key(0), 2, channel(98))
    rig.save()
    assert rig.state.log.arena == log.arena + 1 and remount(rig.flash).expected == rig.expected


def test_a_power_cut_is_no_exception_that_anything_catches():
    rig = saved()

    def cut(op, offset, data):
        raise PowerCut(op)

    rig.flash.fault = cut
    try:
        rig.save()
    except PowerCut:
        return
    assert False


def test_a_checkpoint_never_overwrites_itself():
    """Units fail while a checkpoint that needs nearly all of them is written."""
    flash = RamFlash()
    for unit in (3, 7, 11):
        flash.data[unit * 4096 : unit * 4096 + 4096] = MAGIC + bytes(4092)
    rig = saved_on(flash, Worn(flash, {3, 7, 11}, ("erase",)))
    kept = dict(rig.expected)
    for i in range(30):
        rig.put(channel_key(i), 0, channel(i, 1580))
    assert "the medium is too small" in refusal(rig.save)
    rig.check()
    flash.fault = None
    assert remount(flash).expected == kept
