"""A journal whose erase units are of another size than this board's driver says: foreign, refused, not touched."""

from backup_format.frames import FORMAT
from faulty_flash import RamFlash
from format_rig import Host, hexed, is_blank
from journal_rig import NODE, Rig, channel, channel_key, fill, refusal

SIZES = (1024, 2048, 8192, 16384)  # of the driver's erase units; the journal's are of 4,096 bytes


def seen_as(flash, erase_size):
    """Return a flash of another erase size with the same content."""
    other = RamFlash(flash.size, erase_size, flash.program_size)
    other.data[:] = flash.data
    return other


def small():
    """Return a medium with one snapshot in one unit."""
    rig = Rig(RamFlash())
    rig.put("k", 1, b"1")
    rig.save()
    return rig.flash


def some_units():
    """Return a medium of which some units are written."""
    rig = Rig(RamFlash())
    fill(rig, 20)
    rig.save()
    return rig.flash


def worn():
    """Return a medium whose ring has been around."""
    rig = Rig(RamFlash())
    for number in range(60):
        rig.put(channel_key(number % 3), number, channel(number, 1500))
        rig.save()
    return rig.flash


def began_at(unit):
    """Return a medium as after a format: the journal begins anew behind the unit that was opened last."""
    rig = Rig(RamFlash())
    rig.journal._ring._at = unit - 1
    rig.put("k", 1, b"1")
    rig.save()
    return rig.flash


def check_untouched(flash):
    """For each other size: nothing of the content changes, and the board says why, where it comes to it at last."""
    for erase_size in SIZES:
        seen = seen_as(flash, erase_size)
        told = None
        try:
            rig = Rig(seen)
        except OSError as error:
            told = str(error)
            assert seen.writes == 0
        for number in range(0 if told else 60):
            rig.put("new", number, channel(number, 1500))
            told = told or refusal(rig.save)
        for at in range(0, flash.size, 64):
            was = flash.data[at : at + 64]
            assert was == b"\xff" * 64 or seen.data[at : at + 64] == was, (erase_size, at)
        assert told and "backups in erase units of 4096 bytes" in told, (erase_size, told)


def test_a_journal_of_another_erase_size_is_not_written():
    for flash in (small(), some_units(), worn()):
        check_untouched(flash)


def test_a_journal_that_began_amid_the_medium():
    for unit in (1, 5, 6, 11, 15):
        check_untouched(began_at(unit))


def test_a_format_erases_it_only_if_its_node_is_named():
    for flash in (small(), began_at(5)):
        for erase_size in (1024, 8192, 16384):
            seen = seen_as(flash, erase_size)
            host = Host(seen)
            assert host.error(FORMAT, bytes(4)) == (35, "the medium holds backups of node " + hexed(NODE)[0])
            assert seen.data == flash.data and host.board.journal.hold is None
            host.format(NODE)
            assert is_blank(seen)
