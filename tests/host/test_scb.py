"""SCBs: the encoder and its strict decoder, addresses, and the shachain's rules."""

import hashlib
from typing import Any

import pytest
from backup_cases import VECTORS, load
from hypothesis import given
from hypothesis import strategies as st

from vls_backup.addresses import encode_wireaddr, wireaddr_size
from vls_backup.errors import FieldError
from vls_backup.scb import channel_id_v1, decode_scb, encode_scb
from vls_backup.shachain import INDEX_END, STORED_SIZE, check_positions, derive, indexes_of, is_complete, known_secrets

OURS = [
    bytes.fromhex(scb)
    for path in sorted(VECTORS.glob("*/*.expected.json"))
    for scb in load(path)["recoverchannel"]["scb"]
]
CLN_EXAMPLES = [bytes.fromhex(scb) for scb in load(VECTORS / "cln-docs" / "example-scbs.json")["scb"]]
LONGEST = max(OURS, key=len)


def test_own_and_foreign_scbs_decode_and_encode_to_the_same() -> None:
    assert len(OURS) > 60
    assert len(CLN_EXAMPLES) == 6
    for data in OURS + CLN_EXAMPLES:
        assert encode_scb(decode_scb(data)) == data


def test_ours_have_what_gets_the_money_back() -> None:
    for data in OURS:
        scb = decode_scb(data)
        assert scb.min_index == 1
        assert scb.channel_id == channel_id_v1(scb.txid, scb.vout)


@pytest.mark.parametrize("data", [LONGEST, CLN_EXAMPLES[0]], ids=["ours", "CLN's"])
def test_decoder_refuses_every_truncation_and_every_appendix(data: bytes) -> None:
    for size in range(len(data)):
        with pytest.raises(ValueError):
            decode_scb(data[:size])
    with pytest.raises(ValueError, match="length of the TLVs"):
        decode_scb(data + b"\0")


def swapped(old: str, new: str) -> bytes:
    """Return the longest of our SCBs with old replaced, which must stand in it once."""
    text = LONGEST.hex()
    assert text.count(old) == 1
    return bytes.fromhex(text.replace(old, new))


SCB = decode_scb(LONGEST)
TAIL = "050100" if SCB.opener == 0 else "050101"
COUNT = len(SCB.secrets) // STORED_SIZE
DELAY = f"0702{SCB.remote_to_self_delay:04x}"


@pytest.mark.parametrize(
    "damaged",
    [
        bytes(8) + LONGEST[8:],
        bytes.fromhex("0000000080000000") + LONGEST[8:],
        swapped(TAIL + DELAY, "050102" + DELAY),
        swapped(TAIL + DELAY, DELAY + TAIL),
        swapped(TAIL + DELAY, TAIL + TAIL),
        swapped(TAIL + DELAY, "05fd000100"[: len(TAIL)] + DELAY),
        swapped("0384" + SCB.basepoints[0].hex(), "0384" + "02" + "ff" * 32),
        swapped(SCB.node_id.hex(), "02" + "ff" * 32),
        swapped(SCB.wireaddr.hex(), "03" + SCB.wireaddr[1:].hex()),
        swapped(SCB.wireaddr.hex(), SCB.wireaddr[:-2].hex() + "0000"),
        swapped(f"{COUNT:08x}{indexes_of(SCB.secrets)[0]:016x}", f"{COUNT:08x}{indexes_of(SCB.secrets)[1]:016x}"),
    ],
    ids=[
        "dbid 0",
        "dbid 2^31",
        "opener 2",
        "TLVs out of order",
        "TLV 5 twice",
        "a length longer than needed",
        "a basepoint off the curve",
        "a node id off the curve",
        "an address of unknown type",
        "port 0",
        "a secret at a wrong position",
    ],
)
def test_decoder_refuses(damaged: bytes) -> None:
    with pytest.raises(ValueError):
        decode_scb(damaged)


@given(st.integers(0, len(LONGEST) - 1), st.integers(1, 255))
def test_decoder_reads_what_is_there_or_refuses(at: int, flip: int) -> None:
    damaged = LONGEST[:at] + bytes([LONGEST[at] ^ flip]) + LONGEST[at + 1 :]
    try:
        scb = decode_scb(damaged)
    except ValueError:
        return
    assert encode_scb(scb) == damaged


def test_channel_id() -> None:
    for path in VECTORS.glob("cln-regtest/*.expected.json"):
        expected = load(path)
        if "channel_id" in expected:
            (scb,) = expected["recoverchannel"]["scb"]
            assert decode_scb(bytes.fromhex(scb)).channel_id.hex() == expected["channel_id"]
    assert channel_id_v1(bytes(32), 0x1234) == bytes(30) + b"\x12\x34"


WIREADDRS = load(VECTORS / "wireaddr.json")


@pytest.mark.parametrize("case", [case for case in WIREADDRS if case["type"] != 4], ids=lambda case: case["host"])
def test_wireaddr(case: Any) -> None:
    host = f"[{case['host']}]" if case["type"] == 2 else case["host"]
    wire = encode_wireaddr(f"{host}:{case['port']}")
    assert wire.hex() == case["hex"]
    assert wireaddr_size(wire + b"\1") == len(wire)


def test_onion() -> None:
    (case,) = [case for case in WIREADDRS if case["type"] == 4]
    with pytest.raises(ValueError, match="checksum"):  # lightningd stores it, but it names no service
        encode_wireaddr(f"{case['host']}:{case['port']}")
    # The same key under its right name: last 8 characters differ.
    key = bytes.fromhex(case["hex"])[1:33]
    name = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:9735"
    wire = encode_wireaddr(name)
    checksum = hashlib.sha3_256(b".onion checksum" + key + b"\3").digest()[:2]
    assert wire == b"\4" + key + checksum + b"\3" + (9735).to_bytes(2, "big")
    assert encode_wireaddr(name.upper()) == wire


@pytest.mark.parametrize(
    "address",
    [
        "localhost:1",
        "Node.Example.COM:9735",
        "node.example.com.:65535",
        "my_node.example.com:9735",
        "4u.example:9735",
        "x" * 63 + ".example:9735",
        "203.0.113.7:009735",
    ],
)
def test_good_address(address: str) -> None:
    wire = encode_wireaddr(address)
    assert wireaddr_size(wire) == len(wire)


@pytest.mark.parametrize(
    "address",
    [
        "",
        ":9735",
        "203.0.113.7",
        "203.0.113.7:",
        "203.0.113.7:0",
        "203.0.113.7:65536",
        "203.0.113.7:-1",
        "203.0.113.7: 9735",
        "203.0.113.7:9735\n",
        " 203.0.113.7:9735",
        "203.0.113.256:9735",
        "203.0.113.7.1:9735",
        "203.0.113.7:٣",
        "2001:db8::7",
        "[2001:db8::7]",
        "[2001:db8::7:9735",
        "2001:db8::7]:9735",
        "[2001:db8::xyz]:9735",
        "[fe80::7%eth0]:9735",
        "[fe80::7%3]:9735",
        "[]:9735",
        "node.example.com/x:9735",
        "my node.example.com:9735",
        "node\0.example.com:9735",
        "bücher.example:9735",
        "a..example:9735",
        ".example:9735",
        "-a.example:9735",
        "a-.example:9735",
        "a.b_c.example:9735",
        "x" * 64 + ".example:9735",
        ".".join(["x" * 60] * 5) + ":9735",
        ".onion:9735",
        "expyuzz4wqqyqhjn.onion:9735",
        "1g6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:9735",
        "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscry.onion:9735",
        "qg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:9735",
    ],
)
def test_bad_address(address: str) -> None:
    with pytest.raises(ValueError):
        encode_wireaddr(address)


@pytest.mark.parametrize(
    ("seed", "index", "secret"),
    [  # BOLT 3, appendix D, "Generation Tests"
        (bytes(32), 0xFFFFFFFFFFFF, "02a40c85b6f28da08dfdbe0926c53fab2de6d28c10301f8f7c4073d5e42e3148"),
        (b"\xff" * 32, 0xFFFFFFFFFFFF, "7cc854b54e3e0dcdb010d7a3fee464a9687be6e8db3be6854c475621e007a5dc"),
        (b"\xff" * 32, 0xAAAAAAAAAAA, "56f4008fb007ca9acf0e15b054d5c9fd12ee06cea347914ddbaed70d1c13a528"),
        (b"\xff" * 32, 0x555555555555, "9015daaeb06dba4ccc05b91b2f73bd54405f2be9f217fbacd3c5ac2e62327d31"),
        (b"\x01" * 32, 1, "915c75942a26bb3a433a8ce2cb0427c29ec6c1775cfc78328b57f6ba7bfeaa9c"),
    ],
)
def test_bolt3_generation(seed: bytes, index: int, secret: str) -> None:
    assert derive(seed, index).hex() == secret


def counted_down(seed: bytes, last: int) -> list[tuple[list[int], int]]:
    """Return what is stored after every index from 2^48-1 down to last was revealed, position by position."""
    items = []
    for position in range(49):
        step = 1 << position
        index = step * ((last + step - 1) // step | 1) % INDEX_END  # the next odd multiple; 0 at position 48
        if index < last:
            break
        items.append((list(derive(seed, index)), index))
    return items


seeds = st.binary(min_size=32, max_size=32)
lasts = st.integers(1, 300).map(lambda count: INDEX_END - count) | st.integers(0, INDEX_END - 1)


@given(seeds, lasts)
def test_a_chain_that_was_counted_down_is_good(seed: bytes, last: int) -> None:
    items = counted_down(seed, last)
    dummies = [([0] * 32, INDEX_END)] * (49 - len(items))
    secrets = known_secrets(items + dummies)
    assert secrets == b"".join(index.to_bytes(8, "big") + bytes(secret) for secret, index in items)
    indexes = indexes_of(secrets)
    assert indexes == tuple(index for _, index in items)
    assert is_complete(indexes)
    shorter = indexes[:-1]
    if shorter:  # the last one lost: complete only if it is the whole of an earlier time
        earlier = counted_down(seed, min(shorter))
        assert is_complete(shorter) == (list(shorter) == [index for _, index in earlier])


@given(seeds, st.integers(1, 300), st.data())
def test_every_secret_with_a_stored_relative_is_checked(seed: bytes, count: int, data: st.DataObject) -> None:
    items = counted_down(seed, INDEX_END - count)
    at = data.draw(st.integers(0, len(items) - 1))
    index = items[at][1]
    indexes = [other for _, other in items]
    above = any(index >> p == other >> p for p, other in enumerate(indexes) if p > at)
    below = any(index >> at == other >> at for p, other in enumerate(indexes) if p < at)
    items[at][0][data.draw(st.integers(0, 31))] ^= data.draw(st.integers(1, 255))
    if above or below:
        with pytest.raises(FieldError, match="does not derive"):
            known_secrets(items)
    else:
        assert indexes_of(known_secrets(items))[at] == index


def test_empty_and_only_dummies() -> None:
    assert known_secrets([]) == known_secrets([([0] * 32, INDEX_END)] * 49) == b""
    assert is_complete(())


def test_positions() -> None:
    check_positions((1, 2, 4))
    for index in (2, 0, -1, INDEX_END, INDEX_END + 1, 2**64):
        with pytest.raises(FieldError, match=r"\[0\]: index .* does not belong"):
            check_positions((index,))
