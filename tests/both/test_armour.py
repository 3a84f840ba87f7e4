"""The newest snapshot as text, straight from the medium."""

import errno
from binascii import a2b_base64, hexlify

from backup_format.errors import FormatError
from backup_format.port import sha256
from backup_format.units import UNIT_HEADER
from faulty_flash import RamFlash
from journal_rig import Rig, channel, channel_key, fill, remount
from log_rig import units_of
from medium_content import SMALL_HEAP
from signer_backup.armour import armoured, show


def text_of(flash):
    """Return (number, log end, bytes) of what is printed, after checking its form."""
    before = flash.copy().data
    lines = list(armoured(flash))
    assert flash.data == before
    assert lines[0] == "-----BEGIN VLS BACKUP-----" and lines[-1] == "-----END VLS BACKUP-----"
    assert lines[1].startswith("Snapshot: ") and lines[2].startswith("Log-End: ") and lines[3] == ""
    assert max(len(line) for line in lines) == 76
    data = b"".join([a2b_base64(line.encode()) for line in lines[4:-2]])
    digest = sha256()
    digest.update(data)
    assert lines[-2] == "=" + hexlify(digest.digest()).decode()
    return int(lines[1][10:]), int(lines[2][9:]), data


def check(flash):
    """What is printed is what a board would mount: its units, in the order of the log, up to the snapshot's end."""
    number, end, data = text_of(flash)
    rig = remount(flash)
    log = rig.state.log
    assert number == rig.journal.last.number
    places = [(start, unit) for start, unit in log.places() if start < end]
    units = [unit for _start, unit in places]
    for i in range(0, len(data), 256):
        at = units[i // 4096] * 4096 + i % 4096
        assert flash.data[at : at + 256][: len(data) - i] == data[i : i + 256]
    whole = 4096 * len(units)
    assert len(data) == min(whole, whole - 4096 + UNIT_HEADER + end - places[-1][0])
    return len(units)


def test_the_newest_snapshot_is_printed():
    rig = Rig(RamFlash())
    fill(rig, 3)
    rig.save()
    assert check(rig.flash) == 1
    fill(rig, 20, 1)
    rig.save()
    assert check(rig.flash) > 1
    for version in range(2, 12):  # until it went to another arena
        rig.put(channel_key(1), version, channel(version, 3000))
        rig.save()
        if not SMALL_HEAP or len(units_of(rig.state.log)) < 4:  # the whole text in RAM
            check(rig.flash)
    assert rig.state.log.arena > 1


def test_what_is_no_snapshot_is_left_out():
    rig = Rig(RamFlash())
    fill(rig, 3)
    rig.save()
    before = text_of(rig.flash)
    rig.put(channel_key(5), 1, channel(5, 6000))
    rig.spill()
    assert text_of(rig.flash) == before


def test_a_log_that_left_units_half_way():
    """After each start the log goes on in a fresh unit: the middle ones hold little."""
    rig = Rig(RamFlash())
    fill(rig, 3)
    rig.save()
    for version in range(1, 4):
        rig = remount(rig.flash)
        rig.put(channel_key(1), version, channel(version))
        rig.save()
        assert check(rig.flash) == version + 1


def test_a_damaged_newest_one_gives_way_to_the_one_before():
    rig = Rig(RamFlash())
    fill(rig, 2)
    rig.save()
    before = text_of(rig.flash)
    rig.put(channel_key(1), 1, channel(1))
    rig.save()
    rig.flash.data[rig.state.log.place(before[1] + 300)[0]] ^= 1
    assert text_of(rig.flash) == before


def no_backup(device):
    try:
        list(armoured(device))
    except (FormatError, OSError) as error:
        return str(error)
    return None


def test_no_snapshot_is_said_in_words():
    assert no_backup(RamFlash()) == "there is no whole snapshot"
    flash = RamFlash()
    flash.data[:4096] = b"\x00" * 4096
    assert no_backup(flash) == "there is no whole snapshot"


class NoMedium:
    """A board without its card."""

    def storage(self):
        raise OSError(errno.ENODEV, "no card")


def test_a_medium_that_fails_makes_no_traceback():
    show(NoMedium())
