"""The same answers as glcli's recorded ones, but for what docs/glcli-differences.md lists; nothing there is stale."""

import functools
import json
import os
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from backup_cases import VECTORS, Ran, load, run

from vls_backup.scb import decode_scb
from vls_backup.shachain import indexes_of

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "glcli-differences.md"
ANSWERS = load(VECTORS / "glcli" / "answers.json")
ON_FILES = [answer for answer in ANSWERS if not answer["case"].startswith("cli-")]
ON_THE_COMMAND_LINE = [answer for answer in ANSWERS if answer["case"].startswith("cli-")]
PADDED_TYPES = {"": "", "1000": "00001000", "101000": "00101000", "401000": "00501000"}
OUR_LINES = ("  peer_addr_source: ", "  our_to_self_delay: ", "  revocation_secrets: ", "    ")


class Row(NamedTuple):
    """One row of a table in the document: which cases, which runs or fields, and what the row says of them."""

    cases: list[str]
    of: list[str]
    here: str
    words: str


def table(title: str) -> list[Row]:
    """Return the rows of the table in the document's section of that title."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [
        Row(re.findall("`(.*?)`", cases), of.split(", "), here, words.strip("`-")) for cases, of, here, words, _ in rows
    ]


def by_case(rows: list[Row]) -> dict[tuple[str, str], Row]:
    """Return the row of each (case, run or field); each may stand in one row only."""
    pairs = [((case, of), row) for row in rows for case in row.cases for of in row.of]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


OUTCOMES = by_case(table("Accepted by one, refused by the other"))
FIELDS = by_case(table("Fields with another value"))
COMMAND_LINE = by_case(table("The command line"))


def name_of(answer: Any) -> str:
    """Return which of the five runs on a file it is."""
    args = answer["args"]
    if args[1] == "inspect-backup":
        return "text" if "text" in args else "inspect"
    return "skip" if "--skip-incomplete" in args else "output" if "--output" in args else "convert"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder like the one of the recording."""
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer_of_ours(answer: Any, folder: Path, capfd: pytest.CaptureFixture[str]) -> tuple[Ran, str | None]:
    """Run our command as glcli was run; return what it said, and what --output's file held afterwards."""
    if answer["input"]:
        source = VECTORS / answer["input"]
        (folder / source.name).write_bytes(source.read_bytes())
    output = folder / "out.json"
    if answer.get("output_before") is not None:
        output.write_text(answer["output_before"])
    ran = run(capfd, *[arg for arg in answer["args"] if arg != "signer"])
    return ran, output.read_text() if output.exists() else None


def in_glclis_form(scb: str, their_delay: int) -> str:
    """Return the SCB with the deviations of the document undone: glcli's channel type, TLV 1 and TLV 7."""
    ours = decode_scb(bytes.fromhex(scb))
    channel_type = bytes.fromhex(PADDED_TYPES[ours.channel_type.hex()])
    shachain = struct.pack(">QI", min(indexes_of(ours.secrets), default=0), len(ours.secrets) // 40) + ours.secrets
    size = len(shachain)
    head = bytes([1, size]) if size < 253 else struct.pack(">BBH", 1, 253, size)
    tlvs = head + shachain if ours.secrets else b""
    points = b"".join(ours.basepoints)
    tlvs += bytes([3, len(points)]) + points + bytes([5, 1, ours.opener]) + struct.pack(">BBH", 7, 2, their_delay)
    fixed = ours.dbid.to_bytes(8, "big") + ours.channel_id + ours.node_id + ours.wireaddr + ours.txid
    amounts = struct.pack(">IQH", ours.vout, ours.funding_sats, len(channel_type)) + channel_type
    return (fixed + amounts + len(tlvs).to_bytes(4, "big") + tlvs).hex()


def in_glclis_words(text: str) -> str:
    """Return inspect's text with the deviations of the document undone."""
    text = re.split(r"(?m)^(?:If the node is lost|No channel here can)", text)[0].rstrip("\n") + "\n"
    text = re.sub(r"(?m)^(created_at: .*) \(.*\)$", r"\1", text)
    text = re.sub(r"(?m)^(  remote_to_self_delay: \d+) blocks .*$", r"\1", text)
    text = re.sub(r"(?m)^(  status: complete), closed .*$", r"\1", text)
    text = re.sub(r"(?m)^  funding: (\w+)", lambda at: f"  funding: {bytes.fromhex(at[1])[::-1].hex()}", text)
    text = text.replace("  opener: us\n", "  opener: Local\n").replace("  opener: the peer\n", "  opener: Remote\n")
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(OUR_LINES))


@functools.cache
def their_delays(case: str) -> dict[str, int]:
    """Return peer id and dbid (as at the end of a key) -> the delay that glcli puts into TLV 7, out of the input."""
    found = {}
    answer = next(a for a in ON_FILES if a["case"] == case)
    for key, entry in load(VECTORS / answer["input"])["state"]["values"].items():
        if key.startswith("channels/") and isinstance(entry[1], dict) and entry[1].get("channel_setup"):
            found[key[-82:].lower()] = entry[1]["channel_setup"]["counterparty_selected_contest_delay"]
    return found


def compare_reports(case: str, theirs: Any, ours: Any) -> None:
    """Check inspect's JSON: the fields in their order, and each value but for those in the document."""
    assert list(ours) == [*theirs, "damaged"]
    assert ours["damaged"] == []
    different = {name for name in theirs if name != "channels" and ours[name] != theirs[name]}
    for their, our in zip(theirs["channels"], ours["channels"], strict=True):
        assert list(our)[: len(their)] == list(their)
        different |= {name for name in their if our[name] != their[name]}
        if added := [name for name in our["warnings"] if name not in their["warnings"]]:
            assert f"`{FIELDS[case, 'warnings'].words}`" == ", ".join(f"`{name}`" for name in added)
    assert different == {field for name, field in FIELDS if name == case} - {"text"}


def compare_refusal(answer: Any, ran: Ran) -> None:
    """Check that a refusal is one: a status, one line of words at the end, and on stdout at most what is sound."""
    assert ran.status in (1, 3)
    assert ran.err.splitlines()[-1].startswith(f"Error: {answer['case']}.backup.json: ")
    if name_of(answer) != "inspect" or not ran.out:
        assert not ran.out or name_of(answer) == "text"
        return
    ours = json.loads(ran.out)
    damaged = {item["key"] for item in ours["damaged"]}
    assert damaged
    if answer["accepted"]:
        theirs = [item for item in json.loads(answer["stdout"])["channels"] if item["channel_key"] not in damaged]
        assert [
            {name: our[name] for name in their} for our, their in zip(ours["channels"], theirs, strict=True)
        ] == theirs


def damaged_ones_skipped(ran: Ran) -> bool:
    """Tell whether the words on stderr name a channel that was left out for more than a missing address."""
    return any(line.startswith("Skipped ") and ": missing_peer_addr: " not in line for line in ran.err.splitlines())


def test_every_answer_on_a_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    different = set()
    for answer in ON_FILES:
        case, name = answer["case"], name_of(answer)
        ran, output = answer_of_ours(answer, folder, capfd)
        run_as_listed = {"text": "inspect", "output": "convert"}.get(name, name)
        accepted = ran.status == 0 if run_as_listed == "inspect" else bool(output or ran.out)
        if accepted != answer["accepted"]:
            row = OUTCOMES[case, run_as_listed]
            assert row.here == ("accepted" if accepted else "refused")
            assert row.words in ran.err
            different.add((case, run_as_listed))
        if not accepted:
            compare_refusal(answer, ran)
            assert output is None
        else:
            assert ran.status == (3 if damaged_ones_skipped(ran) else 0)
            assert name != "output" or ran.out == ""
        if accepted and answer["accepted"]:
            compare_accepted(case, name, answer, output if name == "output" else ran.out)
        if output is not None:
            os.unlink(folder / "out.json")
    assert different == set(OUTCOMES)


def compare_accepted(case: str, name: str, answer: Any, ours: Any) -> None:
    """Check what both answered to the same file."""
    theirs = answer["output"] if name == "output" else answer["stdout"]
    if name == "inspect":
        compare_reports(case, json.loads(theirs), json.loads(ours))
    elif name == "text":
        assert (in_glclis_words(ours) == theirs) != ((case, "text") in FIELDS)
    else:
        ours = json.loads(ours)["scb"]
        delays = their_delays(case)
        keys = [scb[80:146] + bytes.fromhex(scb[:16])[::-1].hex() for scb in ours]
        in_form = [in_glclis_form(scb, delays[key]) for scb, key in zip(ours, keys, strict=True)]
        assert json.dumps({"scb": in_form}, indent=2) + "\n" == theirs


def test_every_answer_on_the_command_line(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    different = set()
    for answer in ON_THE_COMMAND_LINE:
        with open(os.devnull) as nothing:
            monkeypatch.setattr("sys.stdin", nothing)
            ran, _ = answer_of_ours(answer, folder, capfd)
        usual = 2 if answer["status"] == 2 else 0 if answer["accepted"] else 1
        if ran.status != usual:
            different.add((answer["case"], str(ran.status)))
            assert COMMAND_LINE[answer["case"], str(ran.status)].words in ran.err
    assert different == set(COMMAND_LINE)


def test_all_is_there() -> None:
    cases = list((VECTORS / "glcli" / "cases").iterdir())
    assert (len(cases), len(ANSWERS)) == (320, 1747)
    assert {answer["input"] for answer in ON_FILES} >= {f"glcli/cases/{path.name}" for path in cases}
    assert {name_of(answer) for answer in ON_FILES} == {"inspect", "text", "convert", "skip", "output"}
