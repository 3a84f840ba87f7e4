"""The second pass of a recovery: what lightningd leaves behind where a peer cheated in a channel that it had opened.

Observed with Core Lightning v26.06.6: of an anchor channel that the peer had opened, the penalty is taken, but our own
output is missed (a fault in onchaind's search for the script). A second pass in a fresh lightning-dir, with an SCB
that holds no secrets (TLV 1: count 0, min_index 1), brings that output in. Nobody but the chain tells whether the peer
cheated, so every channel in which this can happen is converted; if the peer didn't, the second pass finds nothing new.
"""

from collections.abc import Iterable, Iterator

from vls_backup.channels import Channel, Fault

_ANCHORS = ("Anchors", "AnchorsZeroFeeHtlc")


def needs_second_pass(channel: Channel) -> bool:
    """Tell whether a penalty in this channel would leave our own output behind."""
    return not channel.opened_by_us and channel.commitment_type in _ANCHORS and bool(channel.secrets)


def second_pass(found: Iterable[Channel | Fault]) -> Iterator[Channel | Fault]:
    """Yield the channels that need it, without their secrets, and all faults: the entry at fault may be one of them."""
    for item in found:
        if isinstance(item, Fault):
            yield item
        elif needs_second_pass(item):
            yield item._replace(secrets=None)
