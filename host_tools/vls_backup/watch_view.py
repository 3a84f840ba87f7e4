"""Shows a recovery's progress: a table that is redrawn on a terminal, else a line for each change."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from vls_backup.console import say
from vls_backup.watch import OPEN, Followed, Stage, View

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table


class Display(AbstractContextManager["Display"]):
    """Where words and progress go: stderr."""

    def __init__(self) -> None:
        """Draw only where somebody can see it."""
        self._console: Console | None = None
        self._live: Live | None = None
        self._shown: dict[str, Stage] = {}
        self._was_connected: set[str] = set()
        if sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._console = Console(stderr=True)
            self._live = Live(console=self._console, auto_refresh=False)

    def __enter__(self) -> Display:
        """Begin to draw."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last picture standing."""
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print words above the table."""
        text = f"{time.strftime('%H:%M:%S')} {text}"
        if self._console:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            say(text)

    def show(self, view: View) -> None:
        """Show how far everything is."""
        if self._live:
            self._live.update(_table(view), refresh=True)
        else:
            news = [channel for channel in view.channels if self._is_news(channel)]
            for channel in news:
                self.say(_line(channel))
            if news:
                self.say(totals(view))
        self._shown |= {channel.channel_id: channel.stage for channel in view.channels}

    def _is_news(self, channel: Followed) -> bool:
        before = self._shown.get(channel.channel_id)
        # That a peer is connected is told once: connections come and go until it has closed.
        self._was_connected |= {channel.channel_id} if before is Stage.CONNECTED else set()
        if channel.stage in OPEN and channel.channel_id in self._was_connected:
            return False
        return channel.stage is not before


def totals(view: View) -> str:
    """Return the sum of it all in one line."""
    counts = Counter(channel.stage for channel in view.channels)
    stages = ", ".join(f"{counts[stage]} {stage.value}" for stage in Stage if counts[stage])
    confirmed = sum(channel.sats_confirmed for channel in view.channels)
    coming = sum(channel.sats_unconfirmed for channel in view.channels)
    on_the_way = f", {coming:,} sats on their way" if coming else ""
    return f"Block {view.blockheight}: {stages}; {confirmed:,} sats in the wallet{on_the_way}."


def _line(channel: Followed) -> str:
    amount = f", {_sats(channel)} sats" if channel.sats_confirmed or channel.sats_unconfirmed else ""
    return f"{channel.point} with {channel.peer_id}: {channel.stage.value}{amount}"


def _sats(channel: Followed) -> str:
    return f"{channel.sats_confirmed + channel.sats_unconfirmed:,}"


def _table(view: View) -> Table:
    from rich.table import Table

    table = Table(title=totals(view), title_justify="left", box=None)
    table.add_column("channel")
    table.add_column("peer")
    table.add_column("capacity", justify="right")
    table.add_column("progress")
    table.add_column("sats", justify="right")
    for channel in view.channels:
        steps = {Stage.WAITING: 0, Stage.CONNECTED: 1, Stage.CLOSING: 2, Stage.CLOSED: 3, Stage.SWEPT: 4}
        step = steps.get(channel.stage, 5)
        bar = "■" * step + "·" * (5 - step)
        table.add_row(
            f"{channel.funding_txid_explorer[:12]}…:{channel.funding_vout}",
            f"{channel.peer_id[:12]}…",
            f"{channel.funding_sats:,}",
            f"{bar} {channel.stage.value}",
            _sats(channel) if step >= 4 else "",
        )
    return table
