"""What the board answers to a host that asks for its backups (LINK.md, "Backup services")."""

import json
from binascii import hexlify

from backup_format.errors import FormatError
from backup_format.frames import (
    CONFIGURE,
    E_MALFORMED,
    E_MEDIUM,
    E_ORDER,
    E_SERVICE,
    LIST,
    MAX_TO_HOST,
    OPEN,
    READ,
    STATUS,
    ServiceError,
)
from backup_format.layout import get_u16, get_u32

from .strategy import parse_strategy

NO_SNAPSHOT = E_SERVICE
NO_SUCH_SNAPSHOT = E_SERVICE + 1
NO_MEDIUM = E_SERVICE + 2
_PAGE = 6  # commits per answer


class BackupService:
    """Answers from a BackupRuntime; board: the board's name; chip: its own number, bytes.

    handlers: {frame kind: callable(payload) -> answer}.
    """

    def __init__(self, runtime, board, chip):
        self._runtime = runtime
        self._journal = runtime.journal
        self._board = board
        self._chip = hexlify(chip).decode()
        self._listing = None
        self.handlers = {
            LIST: self.list,
            OPEN: self.open,
            READ: self.read,
            STATUS: self.status,
            CONFIGURE: self.configure,
        }

    def _medium(self):
        """Return the CheckedDevice. Raises ServiceError while the medium can't be read."""
        self._runtime.remount()
        if not self._journal.mounted:
            raise ServiceError(NO_MEDIUM, self._runtime.last_error or "the medium was not read yet")
        return self._journal.device

    def _logs(self, newest_first):
        """Yield the Log of each arena on the medium."""
        self._medium()
        found = self._journal.arenas()
        for arena in sorted(found, reverse=newest_first):
            log = self._journal.log(arena, found[arena])
            if log:
                yield log

    def _commits(self):
        """Yield (Log, Commit) of the whole medium, oldest first."""
        last = None
        for log in self._logs(False):
            for commit, _end in log.commits():
                # A write that failed at its very end can leave a snapshot whose number the next one has too.
                if last and last[1].number != commit.number:
                    yield last
                last = log, commit
        if last:
            yield last

    def list(self, payload):
        """Payload: u8, 0 to begin, 1 to go on. Answer: JSON {"snapshots": [...], "more": bool}, oldest first.

        Only commits are read. whole: True for the newest whole snapshot, False for what is newer: damaged, or its write
        failed; None for older ones: who pulls one checks it.
        """
        if len(payload) != 1:
            raise ServiceError(E_MALFORMED, "list takes one byte")
        listing, self._listing = self._listing, None  # gone if the medium fails in between
        if payload[0] == 0:
            listing = self._commits()
        elif listing is None:
            raise ServiceError(E_ORDER, "no list was begun")
        page = []
        newest = self._journal.last.number if self._journal.last else 0
        for log, commit in listing:
            page.append(
                {
                    "number": commit.number,
                    "time": commit.time,
                    "trigger": commit.trigger,
                    "channels": commit.channels,
                    "entries": commit.entries,
                    "arena": log.arena,
                    "whole": False if commit.number > newest else True if commit.number == newest else None,
                }
            )
            if len(page) == _PAGE:
                break
        more = len(page) == _PAGE
        if more:
            self._listing = listing
        return json.dumps({"snapshots": page, "more": more}).encode()

    def open(self, payload):
        """Payload: u32 number of a snapshot, 0 for the newest whole one. Answer: JSON of where it lies."""
        number = get_u32(payload, 0)
        journal = self._journal
        self._medium()
        if number == 0 and journal.last is None:
            error = self._runtime.last_error
            raise ServiceError(NO_SNAPSHOT, "no snapshot yet" + (": " + error if error else ""))
        if journal.last and number in (0, journal.last.number):
            return _place(journal.last.number, journal.last_log, journal.last_end)
        for log in self._logs(True):
            place = None
            for commit, end in log.commits():
                if commit.number == number:
                    place = _place(number, log, end)
                if commit.number > number:
                    break
            if place:
                return place
        raise ServiceError(NO_SUCH_SNAPSHOT, "no snapshot number %d" % number)

    def read(self, payload):
        """Payload: u32 byte offset on the medium, u16 length (at most MAX_TO_HOST). Answer: these bytes."""
        offset, length = get_u32(payload, 0), get_u16(payload, 4)
        if length > MAX_TO_HOST:
            raise ServiceError(E_MALFORMED, "at most %d bytes at once" % MAX_TO_HOST)
        data = bytearray(length)
        self._medium().read_into(offset, data)
        return data

    def configure(self, payload):
        """Payload: a strategy as parse_strategy takes it. Answer: as status, once the medium keeps it."""
        try:
            strategy = parse_strategy(str(payload, "utf-8"))
        except ValueError as e:  # UnicodeError too
            raise ServiceError(E_MALFORMED, str(e)) from None
        try:
            self._runtime.configure(strategy)
        except (OSError, FormatError) as e:
            raise ServiceError(E_MEDIUM, "the settings could not be written: %s" % e) from None
        return self.status(b"")

    def status(self, _payload):
        """Answer: JSON of the board, its storage and its backups."""
        runtime, journal = self._runtime, self._journal
        runtime.remount()
        last = journal.last
        strategy = runtime.schedule.strategy
        device = journal.device if journal.mounted else None
        return json.dumps(
            {
                "board": self._board,
                "chip": self._chip,
                "strategy": strategy.name,
                "updates": strategy.updates,
                "strategy_from": "medium" if journal.settings else "board",
                "size": device.size if device else None,
                "programmed_bytes": device.programmed_bytes if device else 0,
                "erases": device.erases if device else 0,
                "node_id": None if journal.node_id is None else hexlify(journal.node_id).decode(),
                "snapshot": None if last is None else last.number,
                "time": None if last is None else last.time,
                "trigger": None if last is None else last.trigger,
                "channels": runtime.state.index.channels,
                "unwritten": runtime.unwritten,
                "failures": runtime.failures,
                "last_error": runtime.last_error,
                "clock": runtime.clock(),
            }
        ).encode()


def _place(number, log, end):
    """Return the answer to OPEN: where the snapshot number that ends at log position end of log lies."""
    return json.dumps(
        {
            "number": number,
            "arena": log.arena,
            "end": end,
            "erase_size": log.erase_size,
            "program_size": log.program_size,
            "units": _ranges(log),
        }
    ).encode()


def _ranges(log):
    """Return the units of log as [first, count] pairs of runs that lie side by side, in their order."""
    ranges = []
    for _start, unit in log.places():
        if ranges and ranges[-1][0] + ranges[-1][1] == unit:
            ranges[-1][1] += 1
        else:
            ranges.append([unit, 1])
    return ranges
