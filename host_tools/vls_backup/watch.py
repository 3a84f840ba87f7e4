"""How far each recovered channel is on the way to the money, read from lightningd alone: nothing of our own is kept.

What lightningd shows of a channel that came from an SCB (observed on v26.06.6, the words read in its onchaind/): short
channel id 1x1x1, and state CHANNELD_NORMAL until the close stands in a block; then FUNDING_SPEND_SEEN and ONCHAIN, with
onchaind's words in `status`; some 100 blocks later it is in `listclosedchannels`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from vls_backup.recovery_rpc import Lightningd, Output, PeerChannel, Transaction, sats


class Stage(StrEnum):
    """How far a channel is; the value is what people read."""

    WAITING = "waiting for the peer"
    CONNECTED = "peer connected"
    CLOSING = "closing transaction seen"
    CLOSED = "closed on chain"
    SWEPT = "money on its way"
    CONFIRMED = "money in the wallet"
    NOTHING = "closed, nothing was ours"
    TROUBLE = "needs a repair"


OPEN = (Stage.WAITING, Stage.CONNECTED)
"""Stages in which the peer still has to close."""
DONE = (Stage.CONFIRMED, Stage.NOTHING, Stage.TROUBLE)
"""Stages after which nothing more comes by itself."""


@dataclass
class Followed:
    """One recovered channel. Txids as explorers show them; sats in our wallet from its close and from penalties."""

    channel_id: str
    peer_id: str
    funding_txid_explorer: str
    funding_vout: int
    funding_sats: int
    stage: Stage
    closing_txid: str | None
    closing_height: int | None
    sats_unconfirmed: int
    sats_confirmed: int
    second_pass: bool

    @property
    def point(self) -> str:
        """Return TXID:VOUT."""
        return f"{self.funding_txid_explorer}:{self.funding_vout}"


@dataclass
class View:
    """All recovered channels at one moment."""

    node_id: str
    blockheight: int
    channels: list[Followed]

    @property
    def done(self) -> bool:
        """Tell whether nothing more comes by itself."""
        return all(channel.stage in DONE for channel in self.channels)

    def open_peers(self) -> dict[str, list[Followed]]:
        """Return the peers that still have to close, each with these channels."""
        peers: dict[str, list[Followed]] = defaultdict(list)
        for channel in self.channels:
            if channel.stage in OPEN:
                peers[channel.peer_id].append(channel)
        return dict(peers)

    def report(self) -> dict[str, Any]:
        """Return it for programs; stages by their names in small letters."""
        return {
            "node_id": self.node_id,
            "blockheight": self.blockheight,
            "done": self.done,
            "sats_unconfirmed": sum(channel.sats_unconfirmed for channel in self.channels),
            "sats_confirmed": sum(channel.sats_confirmed for channel in self.channels),
            "channels": [{**asdict(channel), "stage": channel.stage.name.lower()} for channel in self.channels],
        }


def look(node: Lightningd) -> View:
    """Ask lightningd how far all its recovered channels are. Raise LightningdError."""
    info = node.info()
    wallet = _Wallet(node.outputs(), node.transactions())
    found = [channel for channel in [*node.channels(), *node.closed_channels()] if channel.is_stub]
    found.sort(key=lambda channel: (channel.peer_id, channel.outpoint))
    return View(info.id, info.blockheight, [_follow(node, wallet, channel) for channel in found])


def _follow(node: Lightningd, wallet: _Wallet, channel: PeerChannel) -> Followed:
    close, own, penalties = wallet.of(channel.outpoint)
    outputs = own + penalties
    waiting = [output for output in outputs if output.status in ("unconfirmed", "immature")]
    words = " ".join(channel.status)
    stage = _stage(channel, words, bool(outputs), bool(waiting))
    if stage in OPEN and node.is_spent(*channel.outpoint):
        stage = Stage.CLOSING
    return Followed(
        channel_id=channel.channel_id,
        peer_id=channel.peer_id,
        funding_txid_explorer=channel.funding_txid,
        funding_vout=channel.funding_outnum,
        funding_sats=sats(channel.total_msat),
        stage=stage,
        closing_txid=close.hash if close else None,
        closing_height=close.blockheight or None if close else None,
        sats_unconfirmed=sum(output.sats for output in waiting),
        sats_confirmed=sum(output.sats for output in outputs if output not in waiting),
        second_pass=bool(penalties) and not own and channel.opener == "remote" and channel.has_anchors,
    )


def _stage(channel: PeerChannel, words: str, any_outputs: bool, any_waiting: bool) -> Stage:
    """Return the stage by lightningd's state and onchaind's words (onchaind.c: billboard_update, init_reply)."""
    if channel.state not in ("FUNDING_SPEND_SEEN", "ONCHAIN", "CLOSED"):
        return Stage.CONNECTED if channel.peer_connected else Stage.WAITING
    if "died (" in words:
        return Stage.TROUBLE
    if any_waiting or "that we spent" in words or "will spend" in words:
        return Stage.SWEPT
    if any_outputs:
        return Stage.CONFIRMED
    over = channel.state == "CLOSED" or "FUNDS LOST" in words or "All outputs resolved" in words
    return Stage.NOTHING if over else Stage.CLOSED


class _Wallet:
    """Finds the outputs of our wallet that come from a channel's close."""

    def __init__(self, outputs: Iterable[Output], transactions: Iterable[Transaction]) -> None:
        self._outputs: dict[str, list[Output]] = defaultdict(list)
        for output in outputs:
            self._outputs[output.txid].append(output)
        self._spends: dict[str, list[tuple[int, Transaction]]] = defaultdict(list)
        for transaction in transactions:
            for spent in transaction.inputs:
                self._spends[spent.txid].append((spent.index, transaction))

    def of(self, funding: tuple[str, int]) -> tuple[Transaction | None, list[Output], list[Output]]:
        """Return what spends a funding output, our outputs of that, and those of what spends the rest (penalties)."""
        txid, vout = funding
        close = next((spender for index, spender in self._spends[txid] if index == vout), None)
        if close is None:
            return None, [], []
        penalties: dict[str, list[Output]] = {}
        ahead = [close.hash]
        while ahead:
            parent = ahead.pop()
            ours = {output.output for output in self._outputs[parent]}
            for index, spender in self._spends[parent]:
                # What spends an output of our wallet is a withdrawal: its outputs are not the channel's any more.
                if index not in ours and spender.hash not in penalties:
                    penalties[spender.hash] = self._outputs[spender.hash]
                    ahead.append(spender.hash)
        return close, self._outputs[close.hash], [output for found in penalties.values() for output in found]
