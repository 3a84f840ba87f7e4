"""What the board answers to SURVEY, FORMAT and CONFIGURE."""

from backup_format import frames
from backup_format.frames import CONFIGURE, E_MALFORMED, E_MEDIUM, E_ORDER, FORMAT, STATUS, SURVEY
from backup_format.units import UnitHeader, parse_unit_header
from faulty_flash import At, Cut, PowerCut, RamFlash, Worn, dead
from format_rig import Host, InOneCall, OneEraseEach, filled, hexed, is_blank
from journal_rig import NODE, OTHER_NODE, Rig, channel, channel_key, snapshots
from runtime_rig import Board
from signer_backup.formatting import NO_MEDIUM, Formatter
from signer_backup.strategy import parse_strategy


def foreign(what):
    """Return a flash that something else was on."""
    flash = RamFlash()
    flash.data[:] = b"some photos here" * (flash.size // 16)
    flash.data[510:512] = b"\x55\xaa" if what in ("fat", "fat32", "exfat", "partitions") else b"\0\0"
    if what == "fat":
        flash.data[54:62] = b"FAT16   "
    elif what == "fat32":
        flash.data[82:90] = b"FAT32   "
    elif what == "exfat":
        flash.data[3:11] = b"EXFAT   "
    elif what == "the last partition":
        flash.data[446:512] = bytes(52) + b"\x0c" + bytes(11) + b"\x55\xaa"
    elif what == "other words":
        flash.data[3:16] = b"EXFAS" + b"a little"
        flash.data[4096 + 8 : 4096 + 16] = b"zittlefs"
        flash.data[54:57] = flash.data[82:85] = b"EXT"
        flash.data[446:512] = bytes(64) + b"\x55\xaa"
    elif what == "no boot signature":
        flash.data[54:62] = b"FAT16   "
        flash.data[510:512] = b"\x56\xaa"
    elif what == "partitions":
        flash.data[446:510] = bytes((0, 0, 0, 0, 0x0C)) + bytes(59)
    elif what == "empty table":
        flash.data[446:512] = bytes(64) + b"\x55\xaa"
    elif what == "littlefs":
        flash.data[8:16] = b"littlefs"
    elif what == "littlefs, second block":
        flash.data[4096 + 8 : 4096 + 16] = b"littlefs"
    return flash


def newer(flash):
    """Make all units of flash those of a later format version."""
    buf = bytearray(69)
    for unit in range(flash.size // 4096):
        UnitHeader(4096, 256, 1, unit + 1, unit * 4027, unit * 4027, unit, 1, OTHER_NODE).pack_into(buf)
        buf[4] = 2
        crc = frames.crc32(bytes(buf[:65])) & 0xFFFFFFFF
        flash.data[unit * 4096 : unit * 4096 + 69] = bytes(buf[:65]) + crc.to_bytes(4, "big")
    return flash


def test_survey():
    says = Host(RamFlash()).json(SURVEY)
    assert (says["content"], says["size"], says["nodes"], says["problem"]) == ("blank", 65536, [], None)
    says = Host(filled(3)).json(SURVEY)
    assert (says["content"], says["nodes"], says["snapshot"], says["channels"]) == ("journal", hexed(NODE), 3, 4)
    assert says["time"] == 1700000000 and says["units"] > 1
    says = Host(newer(RamFlash())).json(SURVEY)
    assert (says["content"], says["nodes"], says["units"]) == ("newer", hexed(OTHER_NODE), 16)
    assert "version 2" in says["problem"] and says["snapshot"] is None


def test_survey_tells_whose_backups_there_are():
    """Of four nodes at most: an answer has to fit into a frame (LINK.md)."""
    flash = RamFlash()
    nodes = [b"\x02" + bytes(31) + bytes((unit,)) for unit in range(5)]
    buf = bytearray(69)
    for unit in range(5):
        UnitHeader(4096, 256, 1 + unit, 1 + unit, 0, 0, unit, 1, nodes[unit]).pack_into(buf)
        flash.data[unit * 4096 : unit * 4096 + 69] = buf
    says = Host(flash).json(SURVEY)
    assert (says["content"], says["units"], says["nodes"]) == ("journal", 5, hexed(*nodes[:4]))


def test_survey_of_a_medium_that_fails_meanwhile():
    flash = filled(3)
    host = Host(flash)
    host.json(SURVEY)
    flash.fault = At(3, dead, ("read",))
    code, text = host.error(SURVEY)
    assert code == E_MEDIUM and "can't be read" in text
    flash.fault = None
    assert host.json(SURVEY)["snapshot"] == 3


def test_survey_of_what_is_not_ours():
    for what, content in (
        ("fat", "fat"),
        ("fat32", "fat"),
        ("exfat", "exfat"),
        ("partitions", "partitions"),
        ("empty table", "unknown"),
        ("littlefs", "littlefs"),
        ("littlefs, second block", "littlefs"),
        ("the last partition", "partitions"),
        ("other words", "unknown"),
        ("no boot signature", "unknown"),
        ("nothing known", "unknown"),
    ):
        flash = foreign(what)
        before = flash.copy().data
        says = Host(flash).json(SURVEY)
        assert (says["content"], says["nodes"]) == (content, []) and "no backup of ours" in says["problem"]
        assert flash.data == before


def test_no_medium():
    host = Host(None)
    for kind, payload in ((SURVEY, b""), (FORMAT, bytes(4))):
        assert host.error(kind, payload)[0] == NO_MEDIUM == 34  # LINK.md
    assert host.error(CONFIGURE, b"never") == (E_MEDIUM, "the settings could not be written: " + host.error(SURVEY)[1])
    host.board.flash = RamFlash()
    assert host.json(SURVEY)["content"] == "blank"


def test_a_medium_that_is_too_small():
    host = Host(RamFlash(8192))
    assert host.error(FORMAT, bytes(4))[0] == E_MEDIUM
    assert not host.board.journal.mounted


def test_configure():
    host = Host(RamFlash(), "periodic:3")
    assert host.json(STATUS)["strategy_from"] == "board"
    says = host.json(CONFIGURE, b"periodic:10")
    assert says == host.json(STATUS)
    assert (says["strategy"], says["updates"], says["strategy_from"]) == ("periodic", 10, "medium")
    for bad in (b"", b"often", b"periodic", b"periodic:0", b"periodic:4294967296", b"never:3", b"\xff\xfe"):
        assert host.error(CONFIGURE, bad)[0] == E_MALFORMED, bad
    host.board.flash.fault = dead
    assert host.error(CONFIGURE, b"never")[0] == E_MEDIUM
    host.board.flash.fault = None
    now = host.json(STATUS)
    assert [now[name] for name in ("strategy", "updates", "strategy_from")] == ["periodic", 10, "medium"]
    says = Host(host.board.flash, "never").json(STATUS)
    assert (says["strategy"], says["updates"], says["strategy_from"]) == ("periodic", 10, "medium")


def test_foreign_content_and_newer_versions_are_formatted():
    for flash, nodes in ((foreign("fat"), ()), (newer(RamFlash()), (OTHER_NODE,))):
        host = Host(flash, "periodic:7")
        host.board.observe((channel_key(0), 1, channel(1)))
        assert host.board.journal.last is None
        host.format(*nodes)
        assert is_blank(flash) and host.json(SURVEY)["content"] == "blank"
        assert host.json(STATUS)["strategy_from"] == "board"
        # The whole state was in RAM: nothing is lost, and the snapshot that failed is taken now.
        assert host.board.state.get(channel_key(0)).version == 1
        assert host.board.observe() == "retry"
        assert snapshots(Rig(flash).journal)[0][1] is True


def test_backups_are_erased_only_if_all_their_nodes_are_named():
    flash = filled()
    host = Host(flash)
    for nodes in ((), (bytes(33),), (OTHER_NODE,)):
        assert host.error(FORMAT, bytes(4) + b"".join(nodes)) == (
            35,  # LINK.md
            "the medium holds backups of node " + hexed(NODE)[0],
        )
        assert host.json(SURVEY)["snapshot"] == 8 and host.board.journal.last.number == 8
    host.format(OTHER_NODE, NODE)
    assert is_blank(flash)
    assert host.json(STATUS)["snapshot"] is None and host.json(STATUS)["node_id"] is None


def test_it_takes_many_short_calls_in_the_right_order():
    flash = filled()
    host = Host(flash)
    for each in (host, Host(foreign("fat")), Host(None)):  # before anything was begun
        assert each.error(FORMAT, (1).to_bytes(4, "big") + NODE)[0] == E_ORDER
    with OneEraseEach():
        assert host.step(0, NODE) == (1, 16)
        assert host.step(1, NODE) == (2, 16)
        for wrong in (1, 3, 16, 1 << 31):
            assert host.error(FORMAT, wrong.to_bytes(4, "big") + NODE)[0] == E_ORDER
        assert host.step(2) == (3, 16)
        assert host.step(0, NODE) == (1, 16)  # another host begins anew
        assert host.error(FORMAT, (2).to_bytes(4, "big"))[0] == E_ORDER
        for done in range(1, 16):
            host.step(done, NODE)
        assert host.error(FORMAT, (16).to_bytes(4, "big"))[0] == E_ORDER
    assert is_blank(flash)


def test_blank_units_are_not_erased_again():
    flash = RamFlash()
    Host(flash).format()
    assert flash.writes == 0


def test_settings_are_kept():
    for flash in (RamFlash(), filled()):
        host = Host(flash)
        host.json(CONFIGURE, b"periodic:9")
        host.format(NODE)
        assert host.json(STATUS)["strategy_from"] == "medium" and host.json(SURVEY)["content"] == "blank"
        unit = host.board.journal.settings_unit
        assert is_blank(flash, (unit,)) and not is_blank(flash)
        again = Host(flash)
        assert again.json(STATUS)["updates"] == 9 and again.json(SURVEY)["content"] == "blank"
        again.format()
        assert Host(flash).json(STATUS)["updates"] == 9 and flash.data.count(b"VLSb") == 1


def test_the_oldest_is_erased_first_and_settings_last():
    flash = filled(20)  # no unit is blank any more
    host = Host(flash)
    host.json(CONFIGURE, b"periodic:9")
    unit = host.board.journal.settings_unit
    erased = []

    def note(op, offset, data):
        if op != "read":
            erased.append(offset // 4096 if op == "erase" else op)
        return False

    sequences = [parse_unit_header(flash.data[at : at + 69]).sequence for at in range(0, flash.size, 4096)]
    flash.fault = note
    host.format(NODE)
    flash.fault = None
    assert [sequences[each] for each in erased[:15]] == sorted(sequences[each] for each in range(16) if each != unit)
    assert erased[-2:] == ["program", unit] and len(erased) == 18  # written anew first, in a unit of its own
    host.board.observe((channel_key(1), 1, channel(1)))
    assert host.board.journal.last.number == 1


def test_a_unit_that_can_not_be_erased():
    flash = foreign("fat")
    host = Host(flash)
    flash.fault = Worn(flash, {5}, ("erase",))
    with InOneCall():
        code, text = host.error(FORMAT, bytes(4))
    assert code == E_MEDIUM and "20480" in text
    flash.fault = None
    host.format()
    assert is_blank(flash)


def test_an_interrupted_format_shows_no_older_snapshot_as_the_newest():
    """At every cut: the newest snapshot is there whole, or none is; settings are there; a format goes to its end."""
    for configured in (False, True):
        writes = 0
        while True:
            writes += 1
            flash = filled(9)
            host = Host(flash)
            if configured:
                host.json(CONFIGURE, b"periodic:9")
                host.board.observe((channel_key(1), 20, channel(20)))
            assert len(snapshots(host.board.journal)) >= 3
            newest = host.board.journal.last.number
            flash.fault = Cut(flash, writes, ("torn", "before", "after")[writes % 3])
            try:
                host.format(NODE)
                break
            except PowerCut:
                flash.fault = None
            again = Host(flash)
            last = again.board.journal.last
            assert last is None or last.number == newest, (last.number, newest)
            assert {number for number, whole, _held in snapshots(again.board.journal) if whole} <= set(
                range(newest + 1)
            )
            assert again.json(STATUS)["strategy_from"] == ("medium" if configured else "board")
            again.format(NODE)
            assert again.json(SURVEY)["content"] == "blank" and again.json(STATUS)["snapshot"] is None
            assert Host(flash).json(STATUS)["updates"] == (9 if configured else 1)
        assert writes > 10


def test_an_abandoned_format():
    """The host goes away: after a while the board mounts what is left, and a late step of that format is refused."""
    flash = filled()
    host = Host(flash)
    journal = host.board.journal
    with OneEraseEach():
        done = host.step(0, NODE)[0]
        host.board.observe((channel_key(0), 30, channel(30)))
        assert not journal.mounted and "being formatted" in host.board.runtime.last_error
        journal.hold = (journal.hold - 31000) & 0x3FFFFFFF
        host.board.observe((channel_key(0), 31, channel(31)))
        assert journal.mounted and journal.last.number == 9
        assert journal.device.programmed_bytes < 2000  # what changed, not the whole state
        assert host.error(FORMAT, done.to_bytes(4, "big") + NODE)[0] == E_ORDER
    host.format(NODE)
    assert is_blank(flash)


def test_the_strategy_of_the_medium_after_a_format():
    board = Board(filled(2), "periodic:1")
    board.runtime.configure(parse_strategy("new-channels-only"))
    Formatter(board.runtime).format(bytes(4) + NODE)
    assert board.runtime.schedule.strategy.name == "new-channels-only" and board.runtime.schedule.count is None
