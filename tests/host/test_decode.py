"""vls-backup decode: every SCB shown, every fault named, and never another verdict than the strict decoder's."""

import ipaddress
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from backup_cases import MIXED, VECTORS, Ran, load, run, run_process
from hypothesis import given
from hypothesis import strategies as st

from vls_backup.addresses import address_text, encode_wireaddr, split_wireaddr
from vls_backup.errors import FieldError
from vls_backup.explain import explain
from vls_backup.scb import Scb, decode_scb, encode_scb
from vls_backup.shachain import STORED_SIZE, indexes_of, known_secrets

FILES = sorted(VECTORS.glob("*/*.expected.json"))
OURS = [scb for path in FILES for scb in load(path)["recoverchannel"]["scb"]]
CLN_EXAMPLES = load(VECTORS / "cln-docs" / "example-scbs.json")["scb"]
LONGEST = max(OURS, key=len)
SCB = decode_scb(bytes.fromhex(LONGEST))
SECRETS = len(SCB.secrets) // STORED_SIZE
ABORTS = "lightningd aborts on it"
DROPS = "lightningd drops all TLVs"


def with_tlvs(*tlvs: bytes) -> str:
    """Return the longest of our SCBs with other TLVs."""
    data = bytes.fromhex(LONGEST)
    size = len(b"".join(TLVS))
    assert data.endswith(size.to_bytes(4, "big") + b"".join(TLVS))
    stream = b"".join(tlvs)
    return (data[: -size - 4] + len(stream).to_bytes(4, "big") + stream).hex()


def tlv(number: int, value: bytes) -> bytes:
    return (
        bytes([number]) + (bytes([len(value)]) if len(value) < 253 else b"\xfd" + struct.pack(">H", len(value))) + value
    )


TLVS = [
    tlv(1, struct.pack(">QI", 1, SECRETS) + SCB.secrets),
    tlv(3, b"".join(SCB.basepoints)),
    tlv(5, bytes([SCB.opener])),
    tlv(7, SCB.remote_to_self_delay.to_bytes(2, "big")),
]


def changed(**fields: Any) -> str:
    return encode_scb(SCB._replace(**fields)).hex()


@pytest.mark.parametrize("text", OURS)
def test_ours_are_good_and_shown_as_they_are(text: str) -> None:
    found = explain(text)
    assert (found.wrong, found.doubtful) == ([], [])
    fields, scb = found.fields, decode_scb(bytes.fromhex(text))
    secrets = b"".join(item["index"].to_bytes(8, "big") + bytes.fromhex(item["secret"]) for item in fields["secrets"])
    assert scb == Scb(
        dbid=fields["dbid"],
        channel_id=bytes.fromhex(fields["channel_id"]),
        node_id=bytes.fromhex(fields["node_id"]),
        wireaddr=encode_wireaddr(fields["address"]),
        txid=bytes.fromhex(fields["funding_txid_explorer"])[::-1],
        vout=fields["funding_vout"],
        funding_sats=fields["funding_sats"],
        channel_type=bytes.fromhex(fields["channel_type"]),
        min_index=fields["min_index"],
        secrets=secrets,
        basepoints=tuple(
            bytes.fromhex(fields["basepoints"][name]) for name in ("revocation", "payment", "htlc", "delayed_payment")
        ),
        opener=["us", "the peer"].index(fields["opener"]),
        remote_to_self_delay=fields["remote_to_self_delay"],
    )


def test_lightningds_own_are_doubtful() -> None:
    """The documentation's: dual-funded, and with the shachain that onchaind stumbles over."""
    for text in CLN_EXAMPLES:
        found = explain(text)
        assert found.wrong == [] and "dual-funded" in found.doubtful[0] and "min_index" in found.doubtful[1]


def test_glclis_form_is_named() -> None:
    """Its SCBs have no shachain where there are no secrets, and a padded channel type."""
    answers = load(VECTORS / "glcli" / "answers.json")
    printed = [json.loads(a["stdout"])["scb"] for a in answers if a["stdout"].startswith('{\n  "scb"')]
    found = [explain(scb) for scbs in printed for scb in scbs]
    assert len(found) > 300
    assert all("no type that this tool writes" in str(item.doubtful) for item in found if item.fields["channel_type"])
    for item in found:
        missing = "TLV 1 (shachain) is missing" in str(item.wrong)
        assert missing or item.fields["secrets_count"] > 0
    assert any("TLV 1 (shachain) is missing" in str(item.wrong) for item in found)


OFF_CURVE = b"\2" + b"\xff" * 32
BAD = {
    "empty": ("", f"it is empty: {ABORTS}"),
    "odd": (LONGEST[:-1], f"its number of hex digits is odd: {ABORTS}"),
    "not hex": (LONGEST[:-2] + "zz", f"it is not hex: {ABORTS}"),
    "blanks in it": (LONGEST[:-4] + "a  b", f"it is not hex: {ABORTS}"),
    "cut in the ids": (LONGEST[:100], f"cut off after 50 bytes, within the ids at its beginning: {ABORTS}"),
    "cut in the address": (LONGEST[:150], "no whole address"),
    "cut in the funding": (LONGEST[:190], "cut off after 95 bytes"),
    "cut in the TLVs": (LONGEST[:-2], "lightningd reads past its end"),
    "bytes behind it": (LONGEST + "0000", "2 bytes follow its end"),
    "dbid 0": ("00" * 8 + LONGEST[16:], f"dbid 0 is not 1 to 2147483647: {ABORTS}"),
    "dbid 2^31": ("0000000080000000" + LONGEST[16:], f"dbid 2147483648 is not 1 to 2147483647: {ABORTS}"),
    "node id off the curve": (LONGEST[:80] + OFF_CURVE.hex() + LONGEST[146:], "node_id is not a point on the curve"),
    "Tor v2": (changed(wireaddr=b"\3" + bytes(12)), "no whole address of a known type (type 3)"),
    "port 0": (changed(wireaddr=b"\1\1\2\3\4\0\0"), "the address cannot be used: port 0"),
    "a name that is none": (changed(wireaddr=b"\5\3\xff\x1b!\0\1"), "the address cannot be used: is neither"),
    "onion checksum": (changed(wireaddr=b"\4" + bytes(34) + b"\3\0\1"), "checksum is wrong"),
    "vout": (changed(vout=65536), "vout 65536 is more than 65535"),
    "no TLV": (with_tlvs(), "TLV 1 (shachain) is missing"),
    "TLV 1 missing": (with_tlvs(*TLVS[1:]), "TLV 1 (shachain) is missing: lightningd then brings home"),
    "TLV 3 missing": (with_tlvs(TLVS[0], *TLVS[2:]), "TLV 3 (basepoints) is missing"),
    "TLV 5 missing": (with_tlvs(*TLVS[:2], TLVS[3]), "TLV 5 (opener) is missing"),
    "TLV 7 missing": (with_tlvs(*TLVS[:3]), "TLV 7 (remote_to_self_delay) is missing"),
    "out of order": (with_tlvs(TLVS[0], TLVS[2], TLVS[1], TLVS[3]), f"TLV 3 stands behind TLV 5: {DROPS}"),
    "twice": (with_tlvs(*TLVS, TLVS[3]), f"TLV 7 stands twice: {DROPS}"),
    "unknown even": (with_tlvs(*TLVS, tlv(8, b"x")), f"TLV 8 is unknown: {DROPS}"),
    "unknown odd": (with_tlvs(*TLVS, tlv(9, b"x")), "TLV 9 is unknown: lightningd ignores it"),
    "long length": (with_tlvs(*TLVS[:2], b"\5\xfd\0\1\0", TLVS[3]), f"written longer than needed: {DROPS}"),
    "long number": (with_tlvs(*TLVS[:2], b"\xfd\0\5\1\0", TLVS[3]), f"written longer than needed: {DROPS}"),
    "cut-off TLV": (with_tlvs(*TLVS, b"\x09\x05x"), "cut off after"),
    "many TLVs": (with_tlvs(*TLVS, b"\x09\0" * 100_000), f"there are more than 16: {DROPS}"),
    "a point off the curve": (
        changed(basepoints=(OFF_CURVE,) * 4),
        f"not on the curve secp256k1: {DROPS}",
    ),
    "three points": (with_tlvs(TLVS[0], tlv(3, bytes(99)), *TLVS[2:]), f"has 99 bytes, not 132: {DROPS}"),
    "opener 2": (with_tlvs(*TLVS[:2], tlv(5, b"\2"), TLVS[3]), f"is 02, not 00 (us) or 01 (the peer): {DROPS}"),
    "opener empty": (with_tlvs(*TLVS[:2], tlv(5, b""), TLVS[3]), f"is empty, not 00 (us) or 01 (the peer): {DROPS}"),
    "delay of 3 bytes": (with_tlvs(*TLVS[:3], tlv(7, b"\0\0\1")), f"has 3 bytes, not 2: {DROPS}"),
    "50 secrets": (with_tlvs(tlv(1, struct.pack(">QI", 1, 50) + bytes(2000)), *TLVS[1:]), "50 secrets (at most 49)"),
    "count past the end": (with_tlvs(tlv(1, struct.pack(">QI", 1, 9)), *TLVS[1:]), "9 secrets (at most 49), in 0"),
    "min_index 0": (changed(min_index=0), "min_index 0 is not 1 to 2^48"),
    "secrets swapped": (changed(secrets=SCB.secrets[40:] + SCB.secrets[:40]), "does not belong at this position"),
    "a damaged secret": (changed(secrets=SCB.secrets[:-1] + bytes([SCB.secrets[-1] ^ 1])), "does not derive from"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named(name: str) -> None:
    text, words = BAD[name]
    found = explain(text)
    assert any(words in wrong for wrong in found.wrong), found.wrong
    if name != "a damaged secret":  # what the strict decoder leaves to whoever wrote it
        with pytest.raises(ValueError):
            decode_scb(bytes.fromhex(text))
    assert len(found.fields) >= (0 if text == "" or "hex" in words or "ids" in words else 3)


def derives(scb: Scb) -> bool:
    secrets = [(scb.secrets[40 * at + 8 : 40 * at + 40], index) for at, index in enumerate(indexes_of(scb.secrets))]
    try:
        known_secrets(secrets)
    except FieldError:
        return False
    return True


@given(
    st.sampled_from(OURS + CLN_EXAMPLES), st.lists(st.tuples(st.integers(0, 700), st.binary(max_size=3)), max_size=3)
)
def test_the_verdict_is_the_strict_decoders(text: str, edits: list[tuple[int, bytes]]) -> None:
    data = bytearray.fromhex(text)
    for at, new in edits:
        data[at : at + len(new) or None if new else at + 1] = new
    found = explain(data.hex())
    try:
        good = derives(decode_scb(bytes(data)))
    except ValueError:
        good = False
    assert good == (not found.wrong), (data.hex(), found.wrong)


@given(st.binary(max_size=400))
def test_any_bytes_are_judged(data: bytes) -> None:
    assert explain(data.hex()).wrong


@given(st.ip_addresses(), st.integers(1, 65535))
def test_addresses_as_text(address: Any, port: int) -> None:
    text = f"{address}:{port}" if isinstance(address, ipaddress.IPv4Address) else f"[{address}]:{port}"
    assert address_text(*split_wireaddr(encode_wireaddr(text))) == text


def test_names_as_text() -> None:
    for text in ("node.example:9735", "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:9735"):
        assert address_text(*split_wireaddr(encode_wireaddr(text))) == text


def converted(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Path:
    path = tmp_path / "scbs.json"
    assert run(capfd, "convert-backup", "--path", MIXED, "--skip-incomplete", "--output", path).status == 0
    return path


def test_a_file_and_standard_input(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = converted(capfd, tmp_path)
    scbs = load(path)["scb"]
    ran = run(capfd, "decode", path)
    assert (ran.status, ran.err) == (0, "") and ran.out.count(": good\n") == len(scbs) == 13
    assert ran.out.startswith("SCB 1 of 13: good\n  dbid: ") and "blocks: how long we make the peer wait" in ran.out
    lines = ("\n".join(scbs) + "\n\n").encode()
    for stdin in (path.read_bytes(), json.dumps(scbs).encode(), lines, lines.replace(b"\n", b"\r\n")):
        assert run_process("decode", "-", stdin=stdin) == ran
    as_json = json.loads(run(capfd, "decode", "--json", path).out)
    assert [item["good"] for item in as_json] == [True] * 13
    assert [item["fields"]["dbid"] for item in as_json] == [int(scb[:16], 16) for scb in scbs]


def test_one_scb_and_a_bad_one_among_good_ones(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, "decode", LONGEST.upper())
    assert (ran.status, ran.err) == (0, "") and ran.out.startswith("SCB: good\n")
    for scb in (LONGEST[:-1], LONGEST[:-1] + "z"):
        ran = run(capfd, "decode", scb)
        assert (
            ran.status == 1 and ran.out.startswith("SCB: bad\n  wrong: it") and "Error: SCB: the SCB is bad" in ran.err
        )
    path = tmp_path / "scbs"
    path.write_text("\n".join([OURS[0], "\x1b[2J", OURS[1], BAD["opener 2"][0]]))
    ran = run(capfd, "decode", path)
    assert ran.status == 1 and ran.out.count(": good\n") == 2 and "\x1b" not in ran.out + ran.err
    assert f"{path}: 2 of 4 SCBs are bad: number 2: it is not hex" in ran.err
    assert [item["good"] for item in json.loads(run(capfd, "decode", "--json", path).out)] == [True, False, True, False]


def refused(ran: Ran, words: str) -> None:
    assert (ran.status, ran.out) == (1, "") and words in ran.err and ran.err.count("\n") == 1, ran


def test_what_holds_no_scb(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused(run(capfd, "decode", tmp_path / "none"), "No such file or directory; nor is it an SCB in hex")
    refused(run(capfd, "decode", tmp_path), "Is a directory")
    path = tmp_path / "file"
    for data, words in (
        (b"\xff\xfe", "is no text"),
        (b" \n", "holds no SCB"),
        (b'{"scb": []}', "holds no SCB"),
        (b'{"scb": [1]}', "holds no SCBs"),
        (b'{"version": 1}', "holds no SCBs"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"scb": ', "is not JSON"),
    ):
        path.write_bytes(data)
        refused(run(capfd, "decode", path), words)
