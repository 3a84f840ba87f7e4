"""What reads bytes from elsewhere, each as a function of bytes that may raise our own exceptions alone; and seeds.

test_fuzz.py gives them what hypothesis makes up, fuzz_atheris.py what libFuzzer finds by its way through the code.
"""

from __future__ import annotations

import io
import json
import tempfile
from base64 import b64encode
from binascii import crc32
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
from backup_cases import MIXED, ONE_CHANNEL, VECTORS, load

from backup_format import frames
from backup_format.errors import FormatError
from backup_format.frames import FrameReader
from backup_format.records import (
    COMMIT,
    ENTRY,
    SETTINGS,
    SUM_MASK,
    TOMBSTONE,
    Commit,
    entry_head,
    entry_value,
    expand_value,
    fingerprint,
    pack_record_header,
    parse_commit,
    parse_entry_head,
    parse_key,
    parse_record_header,
    parse_settings,
    parse_tombstone,
    record_crc,
    record_hash,
    settings_body,
    tombstone_body,
)
from backup_format.units import UNIT_HEADER, UnitHeader, parse_unit_header
from vls_backup import decode, explain, given, journals, snapshots
from vls_backup.backup_file import parse_backup
from vls_backup.channels import channels_of, read_channels
from vls_backup.convert import convert
from vls_backup.errors import BackupError
from vls_backup.hsm import decode_response
from vls_backup.image import Image
from vls_backup.inspect import as_text, report
from vls_backup.reading import read_backup
from vls_backup.scb import decode_scb, encode_scb
from vls_backup.verify import check

OURS = (BackupError, FormatError, ValueError)
"""What may be raised; FieldError and FormatError are ValueErrors, and so is what the caller turns into one of ours."""

NODE = bytes.fromhex(load(ONE_CHANNEL)["node_id"])
MEDIA = [path.read_bytes() for path in sorted((VECTORS / "media").glob("*.bin"))]
_folder = tempfile.TemporaryDirectory(prefix="vls-fuzz-")


class Target(NamedTuple):
    """run: the function; seeds: good input; tokens: what its syntax has."""

    run: Callable[[bytes], None]
    seeds: list[bytes]
    tokens: list[bytes]


def only_ours(run: Callable[[bytes], None], data: bytes) -> None:
    """Run, and let every exception out that is none of ours."""
    try:
        run(data)
    except (UnicodeError, msgspec.MsgspecError):
        raise  # ValueErrors, but not ours
    except OURS:
        pass


def _in_file(data: bytes) -> str:
    path = Path(_folder.name) / "input"
    path.write_bytes(data)
    return str(path)


def backup_file(data: bytes) -> None:
    """Everything that is done with a backup file: it is scanned, read whole, verified, converted."""
    path = _in_file(data)
    scanned: Any = None
    with suppress(BackupError):
        head, found = read_channels(path)
        scanned = list(found)
        as_text(report(head, scanned), path)
        for scb in convert(scanned).scbs:
            assert not explain.explain(scb.hex()).wrong
    try:
        backup = read_backup(path)
    except BackupError:
        assert scanned is None  # both ways of reading take the same files
        raise
    assert scanned == list(channels_of(backup))
    check(backup, None)


def scb(data: bytes) -> None:
    """The strict decoder gives back what it read, or refuses; the other one explains why."""
    found = explain.explain(data.hex())
    try:
        decoded = decode_scb(data)
    except ValueError:
        assert found.wrong
        raise
    assert encode_scb(decoded) == data


def scb_file(data: bytes) -> None:
    """What `vls-backup decode FILE` reads."""
    for text in decode._read(_in_file(data))[1]:
        decode._as_text(1, 1, explain.explain(text))


def peers(data: bytes) -> None:
    """What --peers reads."""
    given.given_addresses([], [_in_file(data)])


def link_frames(data: bytes) -> None:
    """A board's and a host's end of a link, fed in pieces of a size that the data choose."""
    size = 1 + (data[0] if data else 0)
    for most in (frames.MAX_TO_BOARD, frames.MAX_TO_HOST):
        reader = FrameReader(most)
        for at in range(0, len(data), size):
            reader.feed(data[at : at + size], at)
            while (frame := reader.next()) is not None:
                assert len(frame[2]) <= most
            assert len(reader._held) <= frames.OVERHEAD + most


def answers(data: bytes) -> None:
    """What a board answers to a pull: one answer after the other, cut at zero bytes; then nothing more."""
    parts = iter(data.split(b"\0\0\0"))

    def exchange(_kind: int, _payload: bytes) -> bytes:
        try:
            return next(parts)
        except StopIteration:
            raise BackupError("no answer") from None

    link: Any = SimpleNamespace(exchange=exchange)
    snapshots.list_snapshots(link)
    snapshots.read_snapshot(link, 0, lambda done, total: None)


def response(data: bytes) -> None:
    """A signer's answer, protobuf."""
    decode_response(data)


def records(data: bytes) -> None:
    """Each of the parsers of a unit and its records alone."""
    for parse in (
        lambda: parse_unit_header(data.ljust(UNIT_HEADER, b"\0")),
        lambda: parse_record_header(data),
        lambda: parse_commit(data),
        lambda: parse_settings(data),
        lambda: parse_tombstone(data, NODE),
        lambda: parse_key(ENTRY, data, NODE),
    ):
        with suppress(FormatError):
            parse()
    flags, _key, _version, _signature, size, at = parse_entry_head(data, NODE)
    value = entry_value(flags, data[at:])
    assert value == b"".join(bytes(piece) for piece in expand_value(flags, [data[at:]]))
    assert len(value) <= max(size, 1 << 20, len(data))


def image(data: bytes) -> None:
    """An image of a medium: searched, and every snapshot of every journal in it read."""
    medium = Image(io.BytesIO(data), len(data))
    for journal in journals.Search(medium, lambda done, total: None).journals:
        for listed in journal.snapshots(lambda done, total: None):
            for item in listed:
                if item.whole:
                    parse_backup(snapshots.to_backup_file(journal.read(item)), "it")
        list(journal.damage())


def journal(data: bytes) -> None:
    """A journal whose CRCs and sums are right, with records of the data's choice: kind, length u16, body, again."""
    parts, at = [], 0
    while at + 3 <= len(data):
        length = int.from_bytes(data[at + 1 : at + 3], "big")
        parts.append((data[at], data[at + 3 : at + 3 + length]))
        at += 3 + length
    image(medium_of(parts))


def medium_of(parts: list[tuple[int, bytes]]) -> bytes:
    """Return an arena in units of 4096 bytes that holds records of these kinds and bodies, and a commit behind them."""
    log, live, number = bytearray(), {}, 0
    for kind, body in [*parts, (COMMIT, b"")]:
        if kind == COMMIT and not body:
            number += 1
            total = sum(live.values()) & SUM_MASK
            body = Commit(number, 1_700_000_000, "periodic", "periodic", 1, len(live), 0, total).body()
        crc = crc32(body, record_crc(1, len(log), kind, len(body)))
        header = bytearray(8)
        pack_record_header(header, kind, len(body), crc)
        if kind in (ENTRY, TOMBSTONE):
            with suppress(FormatError):
                running = record_hash(1, len(log), kind, len(body), crc)
                running.update(body)
                live[parse_key(kind, body, NODE)] = fingerprint(running)
        log += header + body
        if kind == COMMIT:
            log += bytes(-(UNIT_HEADER + len(log)) % 256)  # units do not divide this: padding may be short
    return units_of(bytes(log))


def units_of(log: bytes) -> bytes:
    """Return the erase units of arena 1 whose log this is."""
    medium = bytearray()
    payload = 4096 - UNIT_HEADER
    for unit, start in enumerate(range(0, len(log), payload)):
        header = bytearray(UNIT_HEADER)
        UnitHeader(4096, 256, 1, unit + 1, start, max(0, start - payload), unit, 1, NODE).pack_into(header)
        medium += header + log[start : start + payload].ljust(payload, b"\xff")
    return bytes(medium)


def _armoured() -> bytes:
    body = entry_head(0, "nodes/" + NODE.hex(), 1, b"", 2, NODE) + b"\xa0"
    data = medium_of([(ENTRY, body)])
    lines = b"\n".join(b64encode(data[at : at + 48]) for at in range(0, len(data), 48))
    end = len(data.rstrip(b"\xff").rstrip(b"\0")) - UNIT_HEADER
    for log_end in range(end, end + 24):  # zeros may end a commit
        text = b"-----BEGIN VLS BACKUP-----\nSnapshot: 1\nLog-End: %d\n\n%s\n=%s\n-----END VLS BACKUP-----\n" % (
            log_end,
            lines,
            sha256(data).hexdigest().encode(),
        )
        with suppress(BackupError):
            read_backup(_in_file(text))
            return text
    raise AssertionError("no such text is read")


def _plain() -> bytes:
    values = load(ONE_CHANNEL)["state"]["values"]
    channels = {key[9:]: entry for key, entry in values.items() if key.startswith("channels/")}
    return json.dumps({f"channel/{key[:66]}/{key[66:]}": entry for key, entry in channels.items()}).encode()


def _answers() -> bytes:
    data = medium_of([(ENTRY, entry_head(0, "nodes/" + NODE.hex(), 1, b"", 2, NODE) + b"\xa0")])
    item = {"number": 1, "time": 1, "trigger": "first", "channels": 0, "entries": 1, "arena": 1, "whole": True}
    place = {"number": 1, "arena": 1, "end": 200, "erase_size": 4096, "program_size": 256, "units": [[0, 1]]}
    page = json.dumps({"snapshots": [item], "more": False}).encode()
    return b"\0\0\0".join([page, json.dumps(place).encode(), *(data[at : at + 1024] for at in range(0, 4096, 1024))])


_ENTRY = entry_head(1, "nodes/" + NODE.hex(), 3, bytes(64), 9, NODE)
_BODIES = [
    (ENTRY, _ENTRY + b"\xbf\x00\xf6\xff"),
    (ENTRY, entry_head(2, "k", 0, b"", 2, NODE) + b"\x42{}"),
    (TOMBSTONE, tombstone_body("peers/00", bytes(64), NODE)),
    (SETTINGS, settings_body("periodic", 9)),
    (COMMIT, b""),
    (COMMIT, Commit(9, None, "first", "never", 0, 1, 1, 1).body()),
]
_JSON = [
    b"null",
    b"[]",
    b"{}",
    b"[" * 600,
    b'"',
    b"-1",
    b"1e999",
    b"9" * 5000,
    b"\\ud800",
    b"\xff",
    b"18446744073709551616",
]
_SCBS = [bytes.fromhex(text) for text in load(VECTORS / "cln-docs" / "example-scbs.json")["scb"]]
_MIXED = load(VECTORS / "cln-regtest" / "mixed.expected.json")["recoverchannel"]["scb"]
_SCBS += [bytes.fromhex(text) for text in _MIXED[:4]]
_PEER = f"{NODE.hex()} 203.0.113.7:9735\n".encode()
_LISTS = {"peers": [{"id": NODE.hex(), "netaddr": ["203.0.113.7:9735"]}], "nodes": [{"nodeid": NODE.hex()}]}

TARGETS = {
    "backup_file": Target(
        backup_file, [ONE_CHANNEL.read_bytes(), MIXED.read_bytes(), _plain(), _armoured()], [*_JSON, b"\n      ],\n"]
    ),
    "scb": Target(scb, _SCBS, [b"\xfd\xff\xff", b"\xff" * 9, b"\1\0", b"\3\x84"]),
    "scb_file": Target(scb_file, [json.dumps({"scb": _MIXED[:3]}).encode(), "\n".join(_MIXED).encode()], _JSON),
    "peers": Target(peers, [_PEER, json.dumps(_LISTS).encode()], [*_JSON, b"@", b"[::1]:1", b".onion:1"]),
    "link_frames": Target(
        link_frames, [frames.encode(1, 7, b"x" * 50) * 3], [frames.SYNC, b"\xa5", b"\3", b"\xff\xff"]
    ),
    "answers": Target(answers, [_answers()], [*_JSON, b"\0\0\0", b"4294967295", b"true"]),
    "response": Target(response, [b"\x08\x01\x12\x02hi"], [b"\xff" * 10, b"\x2a\x06\x08\x01\x12\x02hi"]),
    "records": Target(
        records, [body for _, body in _BODIES if body], [b"\x9f", b"\xbf", b"\xff", b"\x1b" + b"\xff" * 8]
    ),
    "image": Target(image, [*MEDIA[:2], medium_of(_BODIES)], [b"VLSb\1", bytes(70), b"\xff" * 4096, b"E\0\xff\xff"]),
    "journal": Target(
        journal,
        [b"".join(bytes([kind]) + len(body).to_bytes(2, "big") + body for kind, body in _BODIES)],
        [b"E\0\x09", b"C\0\0", b"\x42{}", b"\x1b" + b"\xff" * 8, b"\xc6\x1a\0\1\0\0"],
    ),
}
