"""Plays the node of a recorded signer run (format: tests/vectors/signer-run/README.md) towards a signer.

The node's part follows Greenlight's node plugin: everything but tombstones when a signer attaches, then what changed
since it last sent something, with what the signer's own answers brought; answers are merged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vls_backup.hsm import HsmResponse, StateEntry, decode_response, encode_request

TOMBSTONE = 2**64 - 1
HEARTBEAT = 2008  # hsmd message GetHeartbeat

State = dict[str, StateEntry]


@dataclass(frozen=True)
class Recorded:
    """One request of the run: its line, and the entries that the node wrote before it and that its answer changed."""

    line: dict[str, Any]
    node_wrote: list[tuple[str, StateEntry]]
    changed: list[tuple[str, StateEntry]]


class Feeder:
    """The node of one run. header: the run's first line; requests: the recorded requests, by their number."""

    def __init__(self, run_path: Path, follower: bool = False) -> None:
        """Read the run. follower: what the recorded signer changed is sent, with its request, as the node's own.

        Raises ValueError naming file and line if the run is not of format signer-run version 1.
        """
        self._follower = follower
        self._state: State = {}
        self._sent: dict[str, tuple[int, bytes]] = {}
        self._attaching = True
        self.requests: list[Recorded] = []
        number = 0
        try:
            with run_path.open(encoding="utf-8") as file:
                number = 1
                self.header: dict[str, Any] = json.loads(file.readline())
                if (self.header["format"], self.header["format_version"]) != ("signer-run", 1):
                    raise ValueError("not a signer-run of version 1")
                for number, text in enumerate(file, 2):  # noqa: B007 - told when a line is bad
                    recorded = _read_line(text)
                    if recorded.line["i"] != len(self.requests):
                        raise ValueError(f"request {len(self.requests)} is expected here")
                    self.requests.append(recorded)
        except (ValueError, LookupError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(f"{run_path}, line {number}: no line of a recorded run ({reason})") from error

    def attaches_before(self, i: int) -> bool:
        """Whether the recorded signer process began anew, and so attached, right before request i."""
        return i == 0 or i in self.header["signer_restarts_before"]

    def attach(self) -> None:
        """A signer attaches: the next request carries everything."""
        self._attaching = True

    def greeting(self) -> bytes:
        """Return the HsmRequest that greets a signer that attaches: a heartbeat with everything."""
        self.attach()
        return encode_request(0, HEARTBEAT.to_bytes(2, "big"), self._outgoing())

    def request(self, i: int) -> bytes:
        """Return HsmRequest i: raw is its type (u16) and i (u32), big-endian, for the replay engine.

        What the node wrote before it is in the node's state from then on. May be called again for the same i.
        """
        recorded = self.requests[i]
        for key, entry in recorded.node_wrote + (recorded.changed if self._follower else []):
            merge(self._state, key, entry)
        raw = int(recorded.line["type"]).to_bytes(2, "big") + i.to_bytes(4, "big")
        return encode_request(recorded.line["request_id"], raw, self._outgoing())

    def answer(self, message: bytes) -> HsmResponse:
        """Merge the signer's HsmResponse into the node's state, unless it is an error, and return it decoded."""
        response = decode_response(message)
        if not response.error:
            for key, entry in response.signer_state.items():
                merge(self._state, key, entry)
        return response

    def state(self) -> State:
        """Return the state as the node knows it now, without tombstones."""
        return _live(self._state)

    def state_after(self, i: int) -> State:
        """Return the recorded state after request i (-1: the empty one), without tombstones."""
        state: State = {}
        for recorded in self.requests[: i + 1]:
            state.update(recorded.node_wrote)
            state.update(recorded.changed)
        return _live(state)

    def _outgoing(self) -> list[tuple[str, StateEntry]]:
        """Return what the signer isn't known to have, by key, and note that it was sent."""
        if self._attaching:
            self._attaching = False
            news = sorted(_live(self._state).items())
            self._sent = {}
            for key, entry in self._state.items():
                self._sent[key] = (entry.version, entry.signature)
            return news
        news = []
        for key, entry in sorted(self._state.items()):
            version, signature = self._sent.get(key, (-1, b""))
            if entry.version > version or (entry.version == version and entry.signature != signature):
                news.append((key, entry))
                self._sent[key] = (entry.version, entry.signature)
        return news


def merge(state: State, key: str, entry: StateEntry) -> None:
    """Merge one entry into state by Greenlight's rules: the higher version wins, a tombstone is the highest.

    The same version with the same value takes over the signature, of a live entry.
    """
    held = state.get(key)
    if held is not None and held.version >= entry.version:
        same = held.version == entry.version and held.value == entry.value
        if not same or held.version == TOMBSTONE:
            return
    state[key] = StateEntry(entry.version, b"null" if entry.version == TOMBSTONE else entry.value, entry.signature)


def _live(state: State) -> State:
    return {key: entry for key, entry in state.items() if entry.version != TOMBSTONE}


def _read_line(text: str) -> Recorded:
    node_wrote: list[tuple[str, StateEntry]] = []
    changed: list[tuple[str, StateEntry]] = []
    line: dict[str, Any] = {}
    at = 1
    while text[at] == '"':
        name, at = _decode(text, at)
        line[name], end = _decode(text, at + 1)
        if name in ("node_wrote", "changed"):
            start = at + 2
            for _ in line[name]:
                entry, start = _read_entry(text, start)
                (node_wrote if name == "node_wrote" else changed).append(entry)
        at = end + 1
    return Recorded(line, node_wrote, changed)


def _read_entry(text: str, at: int) -> tuple[tuple[str, StateEntry], int]:
    """Read `[key,before,after,value]` or `[…,signature]` at `at`; return it and the position after it and a comma.

    The value is cut out as it stands: its exact text is what is signed and stored.
    """
    (key, _, version, *rest), end = _decode(text, at)
    start = at
    for _ in range(3):
        start = _decode(text, start + 1)[1]
    value_end = _decode(text, start + 1)[1]
    signature = bytes.fromhex(rest[1]) if len(rest) == 2 else b""
    return (key, StateEntry(version, text[start + 1 : value_end].encode(), signature)), end + 1


_decode = json.JSONDecoder().raw_decode
