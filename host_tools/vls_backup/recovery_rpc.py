"""What lightningd says over its JSON-RPC socket, typed; every failure becomes one sentence of what, where, what to do.

Methods and fields: Core Lightning's doc/schemas, and answers of a running v26.06.6 (tests/vectors/cln-rpc). `getutxout`
is a method of lightningd's bitcoin backend (read in plugins/bcli.c; v26.06.6 passes such a call on): nulls where an
output is spent, also by a transaction that is in no block yet.
"""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from vls_backup.console import printable
from vls_backup.errors import LightningdError

ANSWER_SECONDS = 60.0
"""How long lightningd may take for one answer: the slowest, `connect` to a peer that isn't there, gives up then too."""

STUB_SCID = "1x1x1"
"""The short channel id of every channel that was restored from an SCB."""

_SHUTDOWN = -5  # LIGHTNINGD_SHUTDOWN in common/jsonrpc_errors.h
_Answer = TypeVar("_Answer")

Msat = int | Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,19}msat$")]
"""An amount: a number, or as older lightningds write it, "123msat"."""


class GoneError(LightningdError):
    """Nobody answers at the socket, now or in the middle of a call."""


class RefusedError(LightningdError):
    """lightningd answered with an error; `code` and `reason` are its own."""

    def __init__(self, method: str, code: int, reason: str) -> None:
        """Keep lightningd's words."""
        super().__init__(f"lightningd refuses {method}: {reason} (code {code})")
        self.code = code
        self.reason = reason


class Info(msgspec.Struct):
    """Of getinfo: who this is, how new, and whether it has caught up with the chain."""

    id: str
    version: str
    blockheight: int
    network: str = ""
    warning_bitcoind_sync: str = ""
    warning_lightningd_sync: str = ""


class _ChannelType(msgspec.Struct):
    bits: list[int] = []


class PeerChannel(msgspec.Struct):
    """Of listpeerchannels, or listclosedchannels (state CLOSED). Txid as explorers show it; amounts in msat."""

    state: str = "CLOSED"
    peer_id: str = ""
    channel_id: str = ""
    peer_connected: bool = False
    short_channel_id: str = ""
    funding_txid: str = ""
    funding_outnum: int = 0
    total_msat: Msat = 0
    opener: str = ""
    their_to_self_delay: int | None = None
    channel_type: _ChannelType | None = None
    status: list[str] = []

    @property
    def is_stub(self) -> bool:
        """Tell whether it was restored from an SCB."""
        return self.short_channel_id == STUB_SCID

    @property
    def has_anchors(self) -> bool:
        """Tell whether its commitments have anchor outputs (BOLT 9: bit 22, or 20 for the older kind)."""
        return self.channel_type is not None and not {20, 22}.isdisjoint(self.channel_type.bits)

    @property
    def outpoint(self) -> tuple[str, int]:
        """Return its funding output."""
        return self.funding_txid, self.funding_outnum


class Output(msgspec.Struct):
    """An output of lightningd's wallet (listfunds). Amount in msat."""

    txid: str
    output: int
    amount_msat: Msat
    status: str

    @property
    def sats(self) -> int:
        """Return its amount in sats."""
        return sats(self.amount_msat)


class _Input(msgspec.Struct):
    txid: str
    index: int


class Transaction(msgspec.Struct):
    """A transaction that concerns the wallet or a channel; blockheight 0 = in no block yet."""

    hash: str
    inputs: list[_Input]
    blockheight: int = 0


class _Stubs(msgspec.Struct):
    stubs: list[str]


class _StaticBackup(msgspec.Struct):
    scb: list[str]


class _PeerChannels(msgspec.Struct):
    channels: list[PeerChannel]


class _ClosedChannels(msgspec.Struct):
    closedchannels: list[PeerChannel]


class _Funds(msgspec.Struct):
    outputs: list[Output]


class _Transactions(msgspec.Struct):
    transactions: list[Transaction]


class _Plugin(msgspec.Struct):
    name: str
    active: bool = True


class _Plugins(msgspec.Struct):
    plugins: list[_Plugin]


class _Utxo(msgspec.Struct):
    amount: Msat | None


def sats(msat: int | str) -> int:
    """Return an Msat in sats, rounded down."""
    return int(str(msat).removesuffix("msat")) // 1000


class Lightningd:
    """The calls that a recovery needs. Each raises GoneError, RefusedError, or LightningdError for an odd answer."""

    def __init__(self, path: str) -> None:
        """Remember the socket's path; each call opens it anew, so calls from several threads are fine."""
        from pyln.client import LightningRpc

        self.path = path
        self._rpc = LightningRpc(path)

    def info(self) -> Info:
        """Return who and how new this lightningd is."""
        return self._ask(Info, "getinfo")

    def channels(self) -> list[PeerChannel]:
        """Return all channels that it follows."""
        return self._ask(_PeerChannels, "listpeerchannels").channels

    def closed_channels(self) -> list[PeerChannel]:
        """Return the channels that it has finished with (state CLOSED)."""
        return self._ask(_ClosedChannels, "listclosedchannels").closedchannels

    def static_backup(self) -> dict[int, bytes]:
        """Return the SCB of each channel that it follows, by dbid."""
        try:
            scbs = [bytes.fromhex(scb) for scb in self._ask(_StaticBackup, "staticbackup").scb]
        except ValueError as error:
            raise self._odd("staticbackup", error) from error
        return {int.from_bytes(scb[:8], "big"): scb for scb in scbs}

    def recover_channel(self, scb: bytes) -> bool:
        """Give it one SCB; tell whether it made a stub. An SCB that is not well-formed can abort it."""
        return bool(self._ask(_Stubs, "recoverchannel", scb=[scb.hex()]).stubs)

    def connect(self, peer_id: str, address: str | None) -> None:
        """Connect to a peer, at "HOST:PORT" or where lightningd believes it to be."""
        if address is None:
            self._call("connect", id=peer_id)
            return
        host, _, port = address.rpartition(":")
        self._call("connect", id=peer_id, host=host.strip("[]"), port=int(port))

    def disconnect(self, peer_id: str) -> None:
        """Disconnect from a peer, whatever its channels do."""
        self._call("disconnect", id=peer_id, force=True)

    def outputs(self) -> list[Output]:
        """Return all outputs that its wallet ever had."""
        return self._ask(_Funds, "listfunds", spent=True).outputs

    def transactions(self) -> list[Transaction]:
        """Return the transactions that concern its wallet and its channels."""
        return self._ask(_Transactions, "listtransactions").transactions

    def has_chanbackup(self) -> bool:
        """Tell whether the plugin chanbackup runs: it hooks peer_connected, and so makes LND close less often."""
        plugins = self._ask(_Plugins, "plugin", subcommand="list").plugins
        return any(Path(plugin.name).name == "chanbackup" and plugin.active for plugin in plugins)

    def is_spent(self, txid: str, vout: int) -> bool | None:
        """Tell whether an output is gone, as far as bitcoind knows; None: this lightningd can't tell."""
        try:
            return self._ask(_Utxo, "getutxout", txid=txid, vout=str(vout)).amount is None
        except RefusedError:
            return None

    def _ask(self, kind: type[_Answer], method: str, **params: object) -> _Answer:
        answer = self._call(method, **params)
        try:
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError as error:
            raise self._odd(method, error) from error

    def _call(self, method: str, **params: object) -> Any:
        from pyln.client import RpcError

        try:
            return self._rpc.call(method, params)
        except RpcError as error:
            if not isinstance(error.error, dict):
                raise GoneError(
                    f"{self.path}: lightningd went away in the middle of {method}: look into its log, start it again, "
                    "and run the same command again"
                ) from error
            code, reason = error.error.get("code"), printable(str(error.error.get("message")))
            if code == _SHUTDOWN:
                raise GoneError(f"{self.path}: lightningd is shutting down: start it again") from error
            raise RefusedError(method, code if isinstance(code, int) else 0, reason) from error
        except TimeoutError as error:
            raise GoneError(
                f"{self.path}: lightningd has not answered {method} for {ANSWER_SECONDS:.0f} seconds: is it still "
                "starting, or stuck? Look into its log, and run the same command again"
            ) from error
        except OSError as error:
            raise GoneError(self._why_nobody_answers(error)) from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise self._odd(method, error) from error

    def _odd(self, method: str, error: Exception) -> LightningdError:
        return LightningdError(
            f"{self.path}: the answer to {method} makes no sense ({printable(str(error))[:200]}): is this lightningd's "
            "socket, and one of a version that is known to work (v25.05 or newer)?"
        )

    def _why_nobody_answers(self, error: OSError) -> str:
        hint = "the socket is <lightning-dir>/<network>/lightning-rpc, for instance ~/.lightning/bitcoin/lightning-rpc"
        try:
            mode = Path(self.path).stat().st_mode
        except OSError as failure:
            return f"{self.path}: {failure.strerror or failure}: is lightningd running? {hint}"
        if not stat.S_ISSOCK(mode):
            return f"{self.path}: is no socket; {hint}"
        reason = error.strerror or error
        return (
            f"{self.path}: nobody answers ({reason}): is lightningd running? Start it, then run the same command again"
        )


@contextmanager
def lightningd(path: str) -> Iterator[Lightningd]:
    """Yield the lightningd behind a socket. Meanwhile no socket of this process waits longer than ANSWER_SECONDS."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(ANSWER_SECONDS)  # pyln-client has no setting of its own for it
    try:
        yield Lightningd(path)
    finally:
        socket.setdefaulttimeout(before)
