"""Surveys and formats the medium, for a host that asks (LINK.md; docs/media-format.md, "Formatting")."""

import json
from binascii import hexlify

from backup_format.errors import FormatError
from backup_format.frames import E_MEDIUM, E_ORDER, E_SERVICE, FORMAT, SURVEY, ServiceError
from backup_format.layout import get_u32, put_u32
from backup_format.port import const, ticks_ms, ticks_since
from backup_format.units import NO_NODE, NODE_ID

from .content import headers, looks_like
from .foreign import headers_within

NO_MEDIUM = E_SERVICE + 2
NOT_ALLOWED = E_SERVICE + 3
_CALL_MS = const(500)  # after so long an erase is the last one of a call: a host waits only a second for each answer
_NODES = const(4)  # of which a survey tells


class Formatter:
    """Surveys and formats the medium of a BackupRuntime. handlers: {frame kind: callable(payload) -> answer}."""

    def __init__(self, runtime):
        self._runtime = runtime
        self._journal = runtime.journal
        self._order = []  # erase units, in the order in which they are erased
        self._done = 0  # how many of them are
        self._allowed = []  # the node ids whose backups may be erased
        self.handlers = {SURVEY: self.survey, FORMAT: self.format}

    def survey(self, _payload):
        """Answer: JSON of what is on the medium; nothing there is changed."""
        journal = self._journal
        problem = self._mount()
        try:
            units, newer, nodes = 0, False, set()
            for _unit, header, is_newer in headers(journal.device):
                units += 1
                newer = newer or is_newer
                if header.node_id != NO_NODE:
                    nodes.add(header.node_id)
            content = "newer" if newer else "journal" if nodes else "blank"
            if not units and not journal.mounted:
                content = looks_like(journal.device)
        except OSError as e:
            raise ServiceError(E_MEDIUM, "the medium can't be read: %s" % e) from None
        last = journal.last
        return json.dumps(
            {
                "size": journal.device.size,
                "content": content,
                "problem": problem,
                "units": units,
                "nodes": [hexlify(node).decode() for node in sorted(nodes)[:_NODES]],
                "snapshot": last and last.number,
                "time": last and last.time,
                "channels": last and last.channels,
            }
        ).encode()

    def format(self, payload):
        """Payload: u32 how many erase units are done (0 begins anew), then the node ids whose backups may be erased.
        Answer: u32 how many are done now, u32 how many there are; when these are equal the medium is blank and in use.
        """
        done = get_u32(payload, 0)
        try:
            if done == 0:
                self._begin([payload[at : at + NODE_ID] for at in range(4, len(payload), NODE_ID)])
            elif done != self._done or self._journal.mounted:
                raise ServiceError(E_ORDER, "no format stands at erase unit %d: begin again" % done)
            self._go_on()
        except OSError as e:
            self._journal.hold = None
            raise ServiceError(E_MEDIUM, "formatting failed: %s" % e) from None
        except ServiceError:
            self._journal.hold = None
            raise
        answer = bytearray(8)
        put_u32(answer, 0, self._done)
        put_u32(answer, 4, len(self._order))
        return answer

    def _mount(self):
        """Mount the medium if it isn't yet; return why it can't be, or None. Raises ServiceError if there is none."""
        if self._journal.mounted:
            return None
        try:
            self._runtime.mount()
            return None
        except (OSError, FormatError) as e:
            problem = str(e)
        if self._journal.device is None:
            raise ServiceError(NO_MEDIUM, problem)
        return problem

    def _begin(self, allowed):
        """Make sure that nothing is erased that must not be, and decide on the order."""
        journal = self._journal
        if self._mount():
            journal.open()  # for what isn't a medium at all, this raises
        ours = []
        units = journal.device.size // journal.device.erase_size
        self._allowed = allowed
        for unit, header, _newer in headers(journal.device):
            self._check(header)
            ours.append(header.sequence * units + unit)
        # The oldest first: so the newest snapshot is there as long as any. Settings stay until they are written again.
        ours.sort()
        last = journal.settings_unit
        order = [number % units for number in ours if number % units != last]
        seen = set(order)
        order.extend([unit for unit in range(units) if unit not in seen and unit != last])
        self._runtime.unmount()
        self._order = order
        self._done = 0

    def _check(self, header):
        if header.node_id != NO_NODE and header.node_id not in self._allowed:
            raise ServiceError(NOT_ALLOWED, "the medium holds backups of node " + hexlify(header.node_id).decode())

    def _go_on(self):
        began = ticks_ms()
        journal = self._journal
        while self._done < len(self._order):
            offset = self._order[self._done] * journal.device.erase_size
            if not journal.device.is_blank(offset):
                # Of a journal with smaller erase units none may begin where one of this board's does.
                for header in headers_within(journal.device, offset):
                    self._check(header)
                journal.device.erase(offset)
            self._done += 1
            if ticks_since(began) >= _CALL_MS:
                break
        journal.hold = ticks_ms()
        if self._done == len(self._order):
            self._finish()

    def _finish(self):
        journal = self._journal
        journal.take_blank()
        if journal.settings:
            unit = journal.settings_unit
            journal.configure(self._runtime.state, journal.settings)
            journal.device.erase(unit * journal.device.erase_size)
        self._runtime.retry()
