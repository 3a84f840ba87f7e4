"""What the board answers to LIST, OPEN, READ and STATUS."""

from backup_format.errors import FormatError
from backup_format.frames import CONFIGURE, E_MALFORMED, E_ORDER, LIST, MAX_TO_HOST, OPEN, READ, STATUS
from backup_format.live import Places, whole_commits
from backup_format.log import Log
from backup_format.units import parse_unit_header
from faulty_flash import RamFlash, dead
from journal_rig import channel, channel_key
from log_rig import units_of
from medium_content import fill as fill_content
from service_rig import ServiceHost
from signer_backup.service import NO_MEDIUM, NO_SNAPSHOT, NO_SUCH_SNAPSHOT


class Host(ServiceHost):
    """Asks the service of a board."""

    def list(self):
        """Return the listed snapshots of all pages."""
        page = self.json(LIST, b"\0")
        found = page["snapshots"]
        while page["more"]:
            page = self.json(LIST, b"\1")
            found += page["snapshots"]
            assert len(page["snapshots"]) <= 6
        return found

    def open(self, number):
        return self.json(OPEN, number.to_bytes(4, "big"))

    def save(self, count, size=200):
        """Have the board take count more snapshots."""
        for _ in range(count):
            version = self.board.journal.number + 1
            self.board.observe((channel_key(version % 3), version, channel(version, size)))


def test_kinds():
    assert sorted(Host(RamFlash()).handlers) == sorted([LIST, OPEN, READ, STATUS, CONFIGURE])


def test_an_empty_medium():
    host = Host(RamFlash())
    assert host.list() == []
    assert host.error(OPEN, bytes(4)) == (NO_SNAPSHOT, "no snapshot yet")
    assert host.error(OPEN, b"\0\0\0\1")[0] == NO_SUCH_SNAPSHOT
    status = host.json(STATUS)
    assert status["snapshot"] is None and status["size"] == 65536 and status["node_id"] is None


def test_listing_in_pages():
    for count in (1, 5, 6, 7, 12, 20):
        host = Host(RamFlash())
        host.save(count)
        found = host.list()
        assert [item["number"] for item in found] == list(range(1, count + 1))
        assert found[0] == {
            "number": 1,
            "time": 1700000000,
            "trigger": "first",
            "channels": 1,
            "entries": 1,
            "arena": 1,
            "whole": True if count == 1 else None,
        }
        assert [item["whole"] for item in found] == [None] * (count - 1) + [True]
        assert [item["trigger"] for item in found[3:]] == ["periodic"] * (count - 3)


def test_listing_out_of_order():
    host = Host(RamFlash())
    host.save(8)
    assert host.error(LIST, b"\1")[0] == E_ORDER
    assert host.error(LIST, b"")[0] == host.error(LIST, b"\0\0")[0] == E_MALFORMED
    host.json(LIST, b"\0")
    host.json(LIST, b"\0")
    assert len(host.json(LIST, b"\1")["snapshots"]) == 2
    assert host.error(LIST, b"\1")[0] == E_ORDER


def test_a_medium_that_fails_in_a_listing_is_no_shorter_list():
    host = Host(RamFlash())
    host.save(20)
    host.json(LIST, b"\0")
    host.board.flash.fault = dead
    try:
        host.ask(LIST, b"\1")
    except OSError:
        pass
    else:
        assert False
    host.board.flash.fault = None
    assert host.error(LIST, b"\1")[0] == E_ORDER
    assert len(host.list()) == 20


def test_snapshots_between_two_pages():
    host = Host(RamFlash())
    host.save(12)
    numbers = [item["number"] for item in host.json(LIST, b"\0")["snapshots"]]
    host.save(60, 900)  # the listed arena is erased by now
    page = host.json(LIST, b"\1")
    assert numbers == [1, 2, 3, 4, 5, 6] and all([item["number"] > 6 for item in page["snapshots"]])


def test_open_and_read():
    host = Host(RamFlash())
    host.save(40, 900)
    listed = host.list()
    opened = 0
    for item in listed:
        n = item["number"]
        place = host.open(n)
        assert sorted(place) == ["arena", "end", "erase_size", "number", "program_size", "units"]
        assert (place["number"], place["arena"]) == (n, item["arena"])
        assert (place["erase_size"], place["program_size"]) == (4096, 256)
        log = Log(host.reader(), 4096, 256, place["arena"])
        for first, count in place["units"]:
            for unit in range(first, first + count):
                log.add(parse_unit_header(host.ask(READ, (unit * 4096).to_bytes(4, "big") + b"\0\x45")))
        ends = whole_commits(log, Places())
        found = [whole for commit, end, whole in ends if (commit.number, end) == (n, place["end"])]
        opened += found == [True]
        assert len(found) == 1 and (found[0] or item["arena"] == listed[0]["arena"])  # overwritten in part
    assert opened > 5 and len({item["arena"] for item in listed}) > 1
    assert host.open(0)["number"] == listed[-1]["number"] == 40
    assert host.error(OPEN, b"\0\0\0\x63")[0] == NO_SUCH_SNAPSHOT


def reader(host):
    """Return a read_into function over READ."""

    def read_into(offset, buf):
        buf[:] = host.ask(READ, offset.to_bytes(4, "big") + len(buf).to_bytes(2, "big"))

    return read_into


Host.reader = reader


def test_read():
    host = Host(RamFlash())
    host.save(1)
    assert host.ask(READ, b"\0\0\0\0\0\4") == b"VLSb"
    assert host.ask(READ, b"\0\0\xff\xff\0\1") == b"\xff"
    assert len(host.ask(READ, b"\0\0\0\0\4\0")) == MAX_TO_HOST
    assert host.error(READ, b"\0\0\0\0\4\1")[0] == E_MALFORMED
    for payload in (b"\0\0\xff\xff\0\2", b"\xff\xff\xff\xff\0\1"):
        try:
            host.ask(READ, payload)
        except OSError as error:
            assert "outside" in str(error)
        else:
            assert False


def test_short_payloads():
    host = Host(RamFlash())
    host.save(1)
    for kind, payload in ((OPEN, b""), (OPEN, b"\0\0\0"), (READ, b"\0\0\0\0\0"), (READ, b"")):
        try:
            host.ask(kind, payload)
        except FormatError:
            continue
        assert False


def test_listing_and_opening_behind_damage():
    """The headers of what was replaced make no sense any more: the commits behind it are found all the same. A damaged
    commit is not listed, and what is newer than the newest whole snapshot is told as such."""
    flash = RamFlash()
    host = Host(flash)
    host.save(9, 300)
    state = host.board.state
    flash.data[69 + 1] ^= 0x40  # the length of the first record, replaced by now
    assert [item["number"] for item in host.list()] == list(range(1, 10))
    assert [host.open(n)["number"] for n in range(10)] == [9, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    again = Host(flash)
    assert again.board.journal.last.number == 9
    end = again.open(3)["end"]
    log = again.board.journal.last_log
    flash.data[units_of(log)[0] * 4096 + 69 + end - 5] ^= 1  # commit 3
    assert [item["number"] for item in host.list()] == [1, 2, 4, 5, 6, 7, 8, 9]
    assert host.error(OPEN, b"\0\0\0\3")[0] == NO_SUCH_SNAPSHOT
    position = state.index.position(state.index.find(channel_key(0)))  # in snapshot 9
    flash.data[log.place(position)[0] + 20] ^= 1
    again = Host(flash)
    assert again.board.journal.last.number == 8
    assert [item["whole"] for item in again.list()] == [None] * 6 + [True, False]


def test_no_listed_snapshot_is_whole():
    flash = RamFlash()
    host = Host(flash)
    host.save(1)
    flash.data[69 + 20] ^= 1
    again = Host(flash)
    assert [item["whole"] for item in again.list()] == [False] and again.error(OPEN, bytes(4))[0] == NO_SNAPSHOT
    assert again.open(1)["number"] == 1


def test_opening_the_newest_reads_nothing():
    """The journal knows where it lies; and only commits are read for a list."""
    host = Host(RamFlash())
    host.save(30, 300)
    reads = []

    def note(op, offset, data):
        reads.append(len(data))
        return False

    host.board.flash.fault = note
    host.open(0)
    assert reads == []
    host.list()
    assert 0 < sum(reads) < 30 * 100


def test_two_writes_of_one_number():
    """A write that failed at its very end left a whole snapshot: the one that the journal goes by is answered."""
    host = Host(RamFlash())
    host.save(3)
    journal, commit = host.board.journal, host.board.journal.last
    number = commit.number
    host.board.state.put(channel_key(9), 0, b"", channel(9))
    commit.number = number + 1
    journal.write(host.board.state, journal.node_id, commit)
    journal.number = number  # as if that write had failed
    journal._must_checkpoint = True
    host.board.observe((channel_key(1), 99, channel(99)))
    assert [item["number"] for item in host.list()] == [1, 2, 3, 4]
    assert host.open(0)["arena"] == host.open(number + 1)["arena"] == 2
    host.save(1)
    assert host.open(0)["number"] == number + 2 and host.open(number + 1)["arena"] == 2


def test_no_medium():
    host = Host(None)
    for kind, payload in ((LIST, b"\0"), (OPEN, bytes(4)), (READ, bytes(6))):
        code, text = host.error(kind, payload)
        assert code == NO_MEDIUM and "no medium" in text
    status = host.json(STATUS)
    assert status["size"] is None and status["failures"] == 5 and "no medium" in status["last_error"]


def test_a_refused_medium_is_told():
    flash = RamFlash()
    fill_content(flash.data, 0, flash.size, bytes(1024))
    code, text = Host(flash).error(OPEN, bytes(4))
    assert code == NO_MEDIUM and "no backup of ours" in text


def test_no_snapshot_and_why():
    host = Host(RamFlash())
    host.board.flash.fault = dead
    host.save(1)
    host.board.flash.fault = None
    code, text = host.error(OPEN, bytes(4))
    assert code == NO_SNAPSHOT and text.startswith("no snapshot yet: ") and "failed" in text


def test_status():
    host = Host(RamFlash(), "periodic:3")
    host.save(3)
    status = host.json(STATUS)
    device = host.board.journal.device
    assert status == {
        "board": "test board",
        "chip": "01ab",
        "strategy": "periodic",
        "updates": 3,
        "strategy_from": "board",
        "size": 65536,
        "programmed_bytes": device.programmed_bytes,
        "erases": device.erases,
        "node_id": "02" + "11" * 32,
        "snapshot": 3,
        "time": 1700000000,
        "trigger": "new-channel",
        "channels": 3,
        "unwritten": 0,
        "failures": 0,
        "last_error": None,
        "clock": 1700000000,
    }
    assert device.programmed_bytes > 0 and device.erases > 0
    host.board.observe((channel_key(1), 50, channel(50)))
    assert host.json(STATUS)["unwritten"] == 1
