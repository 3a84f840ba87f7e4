"""Reads any SCB as far as it goes: its fields, all that is wrong with it, and what lightningd would make of that.

The strict decoder (scb.py) says no at the first fault; this one says why, and to a person. What lightningd does was
observed on Core Lightning v26.06.6 (docs/glcli-differences.md, docs/recovery.md).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from vls_backup.addresses import address_text, split_size, split_wireaddr, wireaddr_size
from vls_backup.channels import CHANNEL_TYPES
from vls_backup.errors import FieldError
from vls_backup.fields import is_point
from vls_backup.scb import FUNDING, IDS, MAX_DBID, MIN_INDEX, SHACHAIN, TLV_NUMBERS, Reader, channel_id_v1, decode_scb
from vls_backup.shachain import INDEX_END, MAX_SECRETS, STORED_SIZE, indexes_of, known_secrets

_ABORTS = "lightningd aborts on it, and stores nothing of the whole call"
_DROPS = "lightningd drops all TLVs without a word: wrong basepoints, no secrets, delay 0"
_BASEPOINTS = ("revocation", "payment", "htlc", "delayed_payment")
_MOST_TLVS = 16  # to be named one by one
_MOST_TYPE = 32  # bytes of a channel type; its bits are shown
_MOST_SATS = 21_000_000 * 100_000_000
_TLV_NAMES = {1: "shachain", 3: "basepoints", 5: "opener", 7: "remote_to_self_delay"}
_WITHOUT = {
    1: "lightningd then brings home the money of some channels only",
    3: "lightningd takes our own ones for the peer's",
    5: "lightningd takes us for the opener",
    7: "lightningd takes it for 0, and a peer who cheats can't be punished",
}


class Explained(NamedTuple):
    """fields: by name, as far as they could be read; integers, hex, lists. wrong: why it must not be used. doubtful:
    what lightningd takes, but may bring less money back."""

    fields: dict[str, Any]
    wrong: list[str]
    doubtful: list[str]


def explain(text: str) -> Explained:
    """Read the SCB that text is in hex. What is wrong is in the result; nothing is raised."""
    found = Explained({}, [], [])
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if not data or len(text) != 2 * len(data):
        what = "it is empty" if not text else "its number of hex digits is odd" if len(text) % 2 else "it is not hex"
        found.wrong.append(f"{what}: {_ABORTS}")
        return found
    reader = Reader(data)
    try:
        _head(reader, found)
        _tlvs(reader, found)
    except ValueError as error:
        found.wrong.append(str(error))
    try:
        decode_scb(data)
    except ValueError as error:  # the strict decoder has the last word
        if not found.wrong:
            found.wrong.append(str(error))
    return found


def _head(reader: Reader, found: Explained) -> None:
    fields, wrong, doubtful = found
    try:
        dbid, channel_id, node_id = reader.fields(IDS)
    except ValueError as error:
        raise ValueError(f"{error}, within the ids at its beginning: {_ABORTS}") from error
    fields |= {"dbid": dbid, "channel_id": channel_id.hex(), "node_id": node_id.hex()}
    if not 1 <= dbid <= MAX_DBID:
        wrong.append(f"dbid {dbid} is not 1 to {MAX_DBID}: {_ABORTS}")
    if not is_point(node_id):
        wrong.append(f"node_id is not a point on the curve secp256k1: {_ABORTS}")
    kind, host, port = split_wireaddr(reader.rest())
    fields["address"] = address_text(kind, host, port)
    try:
        wireaddr_size(reader.rest())
    except ValueError as error:
        wrong.append(f"the address cannot be used: {error}")
    fields["wireaddr"] = reader.take(split_size(kind, host)).hex()
    txid, vout, sats, size = reader.fields(FUNDING)
    fields |= {"funding_txid": txid.hex(), "funding_txid_explorer": txid[::-1].hex(), "funding_vout": vout}
    fields |= {"funding_sats": sats}
    if vout > 65535:
        wrong.append(f"vout {vout} is more than 65535: no channel's id has room for it")
    elif channel_id != channel_id_v1(txid, vout):
        doubtful.append(
            "channel_id is not that of a v1 channel with this outpoint: a dual-funded (v2) channel, whose id can't be "
            "checked, or damage"
        )
    if not 0 < sats <= _MOST_SATS:
        doubtful.append(f"funding_sats {sats}: no channel has so much, or so little")
    _channel_type(reader.take(size), found)


def _channel_type(data: bytes, found: Explained) -> None:
    found.fields["channel_type"] = data.hex()
    if len(data) > _MOST_TYPE:
        found.doubtful.append(f"channel_type has {len(data)} bytes: damage")
        return
    bits = [at for at in range(8 * len(data)) if data[-1 - at // 8] >> at % 8 & 1]
    name = next((name for name, known in CHANNEL_TYPES.items() if known == data), None)
    found.fields.update({"channel_type_bits": bits, "commitment_type": name})
    if name is None:
        found.doubtful.append(f"channel_type has the feature bits {bits}: no type that this tool writes so")


def _tlvs(reader: Reader, found: Explained) -> None:
    said = reader.number(4)
    there = reader.left
    if said > there:
        found.wrong.append(f"it says that {said} bytes of TLVs follow, but {there} do: lightningd reads past its end")
    elif said < there:
        found.wrong.append(f"{there - said} bytes follow its end: damage; lightningd ignores them")
    stream = Reader(reader.rest()[:said])
    tlvs: list[tuple[int, bytes]] = []
    try:
        while stream.left:
            if len(tlvs) == _MOST_TLVS:
                raise ValueError(f"there are more than {_MOST_TLVS}")
            number = stream.bigsize()
            tlvs.append((number, stream.take(stream.bigsize())))
    except ValueError as error:
        found.wrong.append(f"the TLVs: {error}: {_DROPS}")
    for before, after in pairwise(number for number, _ in tlvs):
        if after <= before:
            fault = "stands twice" if after == before else f"stands behind TLV {before}"
            found.wrong.append(f"TLV {after} {fault}: {_DROPS}")
    for number, value in tlvs:
        if number not in TLV_NUMBERS:
            effect = "lightningd ignores it" if number % 2 else _DROPS
            found.wrong.append(f"TLV {number} is unknown: {effect}")
        else:
            try:
                _tlv(number, value, found)
            except ValueError as error:
                found.wrong.append(f"TLV {number} ({_TLV_NAMES[number]}): {error}: {_DROPS}")
    for number in TLV_NUMBERS:
        if number not in dict(tlvs):
            found.wrong.append(f"TLV {number} ({_TLV_NAMES[number]}) is missing: {_WITHOUT[number]}")


def _tlv(number: int, value: bytes, found: Explained) -> None:
    fields = found.fields
    if number == 1:
        _shachain(value, found)
    elif number == 3:
        points = [value[at : at + 33] for at in range(0, len(value), 33)]
        if len(value) != 33 * len(_BASEPOINTS):
            raise ValueError(f"has {len(value)} bytes, not {33 * len(_BASEPOINTS)}")
        fields["basepoints"] = {name: point.hex() for name, point in zip(_BASEPOINTS, points, strict=True)}
        bad = [name for name, point in zip(_BASEPOINTS, points, strict=True) if not is_point(point)]
        if bad:
            raise ValueError(f"{', '.join(bad)}: not on the curve secp256k1")
    elif number == 5:
        if value not in (b"\0", b"\1"):
            raise ValueError(f"is {value.hex() or 'empty'}, not 00 (us) or 01 (the peer)")
        fields["opener"] = ("us", "the peer")[value[0]]
    else:
        if len(value) != 2:
            raise ValueError(f"has {len(value)} bytes, not 2")
        fields["remote_to_self_delay"] = delay = int.from_bytes(value, "big")
        if not delay:
            found.doubtful.append("remote_to_self_delay is 0: a peer who cheats could not be punished")


def _shachain(value: bytes, found: Explained) -> None:
    reader = Reader(value)
    min_index, count = reader.fields(SHACHAIN)
    secrets = reader.rest()
    found.fields.update({"min_index": min_index, "secrets_count": count})
    if count > MAX_SECRETS or len(secrets) != STORED_SIZE * count:
        raise ValueError(f"says that it holds {count} secrets (at most {MAX_SECRETS}), in {len(secrets)} bytes")
    indexes = indexes_of(secrets)
    found.fields["secrets"] = [
        {"index": index, "secret": secrets[STORED_SIZE * at + 8 : STORED_SIZE * (at + 1)].hex()}
        for at, index in enumerate(indexes)
    ]
    if not 1 <= min_index <= INDEX_END:
        found.wrong.append(f"min_index {min_index} is not 1 to 2^48")
    elif min_index != MIN_INDEX:
        found.doubtful.append(
            f"min_index is {min_index}, not {MIN_INDEX}: of peers that close with their latest state, lightningd then "
            "brings home the money of few"
        )
    try:
        known_secrets([(bytes.fromhex(item["secret"]), item["index"]) for item in found.fields["secrets"]])
    except FieldError as error:
        found.wrong.append(f"the secrets are damaged: {error}")
