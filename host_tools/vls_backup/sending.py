"""Gives lightningd one channel after the other, and compares what it stored with what it was given.

`recoverchannel` says little (observed on v26.06.6): one bad SCB can abort lightningd, and then nothing of the call is
stored; a dbid that is in use is skipped silently, whatever its content; a channel id in `stubs` proves nothing about
the fields. So: one SCB per call, and a comparison over `staticbackup` and `listpeerchannels`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vls_backup.channels import Channel
from vls_backup.convert import to_scb
from vls_backup.errors import LightningdError
from vls_backup.recovery_rpc import GoneError, Lightningd, PeerChannel
from vls_backup.scb import Scb, decode_scb, encode_scb

_COMPARED = {
    "channel_id": "its number is another channel's",
    "node_id": "the peer's id",
    "txid": "the funding txid",
    "vout": "the funding output",
    "funding_sats": "the amount",
    "channel_type": "the channel type",
    "min_index": "min_index (TLV 1)",
    "secrets": "the revocation secrets (TLV 1)",
    "basepoints": "the peer's basepoints (TLV 3)",
    "opener": "the opener (TLV 5)",
}
"""Fields of an SCB that staticbackup gives back, in words. TLV 7 comes back as 0: listpeerchannels has it."""

_DELAY = "our delay (TLV 7)"
_FORM = {_COMPARED["channel_type"], _COMPARED["min_index"], _COMPARED["secrets"], _DELAY}
_SAFE_BLOCKS_PER_DAY = 180  # 144 on average
_SAFE_MARGIN = 144


@dataclass
class Outcome:
    """What became of one channel. differs: what lightningd has stored otherwise, in words; None = nothing to compare.

    finished: lightningd had closed this channel before. spent: its funding output was gone when we looked, which
    lightningd may not know; None = it can't tell.
    """

    channel: Channel
    scb: Scb
    sent: bool = False
    known: bool = False
    finished: bool = False
    spent: bool | None = None
    differs: list[str] | None = None

    @property
    def result(self) -> str:
        """Return what became of it, in the words of the report."""
        if self.finished:
            return "finished before"
        if self.differs is None:
            return "not sent"
        stored = "stored wrong" if self.differs else "stored right"
        return f"already known, {stored}" if self.known else f"sent, {stored}"

    @property
    def other_form(self) -> bool:
        """Tell whether somebody sent it before, in a form that brings little back: glcli's, or lightningd's own."""
        return self.known and bool(self.differs) and _FORM.issuperset(self.differs or ())

    def report(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "channel_key": self.channel.key,
            "channel_id": self.scb.channel_id.hex(),
            "peer_id": self.scb.node_id.hex(),
            "dbid": self.scb.dbid,
            "funding_txid_explorer": self.scb.txid[::-1].hex(),
            "funding_vout": self.scb.vout,
            "funding_sats": self.scb.funding_sats,
            "result": self.result,
            "sent": self.sent,
            "already_known": self.known or self.finished,
            "stored_right": None if self.differs is None else not self.differs,
            "differs": self.differs or [],
            "funding_spent": self.spent,
        }


def planned(channels: Iterable[Channel]) -> list[Outcome]:
    """Return one Outcome, with nothing done yet, for each complete channel."""
    return [Outcome(channel, to_scb(channel)) for channel in channels]


def look(node: Lightningd, outcomes: Iterable[Outcome]) -> None:
    """Find out which of the channels lightningd has already, and whether it stored them right."""
    stored = node.static_backup()
    seen = {channel.channel_id: channel for channel in node.channels()}
    closed = {channel.channel_id for channel in node.closed_channels()}
    for outcome in outcomes:
        outcome.finished = outcome.scb.channel_id.hex() in closed
        outcome.known = not outcome.finished and outcome.scb.dbid in stored
        if outcome.known:
            outcome.differs = _compare(outcome.scb, stored[outcome.scb.dbid], seen)
        if not outcome.finished:
            outcome.spent = node.is_spent(outcome.scb.txid[::-1].hex(), outcome.scb.vout)


def send(node: Lightningd, outcomes: Iterable[Outcome], done: Callable[[Outcome], None]) -> None:
    """Send what isn't known yet, one SCB per call; compare each at once; tell done of every one.

    Ends after the first that was sent and stored wrong: so would the others be. Raise LightningdError; what was sent
    before is stored, and a second run finds it.
    """
    for outcome in outcomes:
        if not (outcome.known or outcome.finished):
            _send_one(node, outcome)
        done(outcome)
        if outcome.sent and outcome.differs:
            return


def _send_one(node: Lightningd, outcome: Outcome) -> None:
    key, dbid = outcome.channel.key, outcome.scb.dbid
    try:
        made = node.recover_channel(encode_scb(outcome.scb))
        stored = node.static_backup()
        seen = {channel.channel_id: channel for channel in node.channels()}
    except GoneError as error:
        raise GoneError(f"while sending {key}: {error}. Nothing is sent twice") from error
    if dbid not in stored:
        raise LightningdError(
            f"{key}: lightningd did not store this channel, without saying why. Most likely a closed channel has its "
            f"number ({dbid}): recover it in a fresh lightning-dir with the same hsm_secret"
        )
    # Between our look and our call somebody else can have made a channel of this number.
    outcome.sent, outcome.known = made, not made
    outcome.differs = _compare(outcome.scb, stored[dbid], seen)


def _compare(sent: Scb, stored: bytes, seen: dict[str, PeerChannel]) -> list[str]:
    """Return what differs between an SCB and the one that staticbackup gives for its dbid, in words."""
    try:
        scb = decode_scb(stored)
    except ValueError as error:
        return [f"the whole of it: {error}"]
    if scb.channel_id != sent.channel_id:
        return [_COMPARED["channel_id"]]
    differs = [words for field, words in _COMPARED.items() if getattr(scb, field) != getattr(sent, field)]
    channel = seen.get(sent.channel_id.hex())
    if channel is None or not channel.is_stub:
        return ["it is no recovered channel, but a live one"]
    if channel.their_to_self_delay != sent.remote_to_self_delay:
        differs.append(_DELAY)
    return differs


def safe_height(created_at: str, blockheight: int, now: datetime | None = None) -> int:
    """Return a block that is surely older than a backup: by its age, at more blocks a day than there ever are."""
    try:
        days = ((now or datetime.now(UTC)) - datetime.fromisoformat(created_at)).total_seconds() / 86400
    except (ValueError, TypeError):
        return 1
    return max(1, int(blockheight - max(days, 0) * _SAFE_BLOCKS_PER_DAY - _SAFE_MARGIN))
