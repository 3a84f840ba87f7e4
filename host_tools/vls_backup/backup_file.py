"""Greenlight's version-1 backup file: read and check it, and write it byte for byte as Greenlight does.

Format (read in gl-client, signer/backup.rs and persist.rs): one JSON object with `version` (1), `created_at`
(RFC 3339), `node_id` (hex), `strategy` and `state.values`, a map from key to [version, value] or [version, value,
signature]. Values stay unparsed text until someone asks for one, so that numbers keep every digit.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec

from vls_backup.errors import FieldError
from vls_backup.fields import laid_out, point_from_hex

VERSION = 1
U64_MAX = 2**64 - 1
TOMBSTONE_VERSION = U64_MAX
"""An entry with this version says that its key was deleted."""

Value = TypeVar("Value")


class Entry(msgspec.Struct, Generic[Value], array_like=True, forbid_unknown_fields=True, gc=False):
    """One entry of the state: its version (u64), its value, and its signature (bytes, often none)."""

    version: Annotated[int, msgspec.Meta(ge=0)]
    value: Value
    signature: list[Annotated[int, msgspec.Meta(ge=0, le=255)]] = []


@dataclass(frozen=True)
class Head:
    """What a backup file says before its entries. `name` is how to speak of the file; `strategy` is its JSON value."""

    name: str
    version: int
    created_at: str
    node_id: bytes
    strategy: object


@dataclass(frozen=True)
class Backup(Head):
    """A checked backup file. The values of its entries are JSON text."""

    values: Mapping[str, Entry[msgspec.Raw]]


class Key(str):
    """A name inside `state`. Each passes through the decoder's hook, which notes it: a plain dict hides duplicates."""

    __slots__ = ()


class _Field:
    """The value of a top-level field, which passes through the hook for the same reason."""

    def __init__(self, value: object) -> None:
        self.value = value


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: _Field
    created_at: _Field
    node_id: _Field
    strategy: _Field
    state: dict[Key, dict[Key, Entry[msgspec.Raw]]]


_PLAIN_FIELDS = len(_File.__struct_fields__) - 1


def parse_backup(data: bytes, name: str) -> Backup:
    """Check the JSON that data is. Raise FieldError."""
    keys: list[str] = []
    fields: list[_Field] = []

    def note(kind: type, value: Any) -> Any:
        made = kind(value)
        (keys if kind is Key else fields).append(made)
        return made

    if not data:
        raise FieldError("", "is empty (0 bytes): nothing can be recovered from it")
    try:
        if not data.isascii():
            data.decode()
        file = msgspec.json.decode(data, type=_File, dec_hook=note)
    except UnicodeDecodeError as error:
        raise FieldError("", f"is not a backup: not UTF-8 text at {_place(data, error.start)}") from error
    except RecursionError as error:
        raise FieldError("", "is not a backup: JSON nested too deeply") from error
    except msgspec.ValidationError as error:
        raise _explain(data, error) from error
    except msgspec.DecodeError as error:
        raise _not_json(data, str(error)) from error
    _check_version(file.version.value)
    if list(file.state) != ["values"]:
        raise FieldError("state", "must hold one field, values")
    values = cast(Mapping[str, Entry[msgspec.Raw]], file.state[Key("values")])
    if len(fields) != _PLAIN_FIELDS or len(keys) != 1 + len(values):
        raise FieldError("", f"the name {_first_duplicate(data, keys)} stands twice: the file was damaged or edited")
    for key, entry in values.items():
        if entry.version > U64_MAX:
            raise FieldError("", f"{key}: version {entry.version} is more than 2^64-1")
    return Backup(
        name=name,
        version=VERSION,
        created_at=_string("created_at", file.created_at.value),
        node_id=point_from_hex("node_id", _string("node_id", file.node_id.value)),
        strategy=_check_strategy(file.strategy.value),
        values=values,
    )


def _place(data: bytes, at: int) -> str:
    line, line_start = data.count(b"\n", 0, at) + 1, data.rfind(b"\n", 0, at)
    return f"line {line}, column {at - line_start}"


def _not_json(data: bytes, message: str) -> FieldError:
    found = re.search(r"(?:JSON is malformed: )?(.*) \(byte (\d+)\)$", message)
    if found is None:
        return FieldError("", f"is not a whole backup: it ends too early, after {len(data)} bytes (cut off?)")
    return FieldError("", f"is not JSON: {found[1]} at {_place(data, int(found[2]))}")


def _explain(data: bytes, error: msgspec.ValidationError) -> FieldError:
    """Say in which field or entry the decoder met something else than it needs; a foreign version explains all."""
    try:
        top = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        if "version" in top:
            _check_version(msgspec.json.decode(top["version"]))
        state = msgspec.json.decode(top.get("state", b"{}"), type=dict[str, dict[str, msgspec.Raw]])
    except FieldError as version_error:
        return version_error
    except RecursionError:
        return FieldError("", "is not a backup: JSON nested too deeply")
    except msgspec.MsgspecError:
        return FieldError("", f"is not a backup: {plain(error)}")
    for key, raw in state.get("values", {}).items():
        try:
            msgspec.json.decode(raw, type=Entry[msgspec.Raw])
        except RecursionError:
            return FieldError("", f"{key}: JSON nested too deeply")
        except msgspec.MsgspecError as entry_error:
            return FieldError(
                "", f"{key}: must be [version, value] or [version, value, signature], but {plain(entry_error)}"
            )
    return FieldError("", f"is not a backup: {plain(error)}")


def plain(error: Exception) -> str:
    """Return msgspec's message in the words of these tools: "field a.b: expected int, got str"."""
    message, _, path = str(error).partition(" - at `$")
    message = message.replace("`", "").replace("Object ", "")
    path = path.rstrip("`").lstrip(".").replace("state[...]", "state.values")
    message = message[:1].lower() + message[1:]
    return f"field {path}: {message}" if path else message


def _first_duplicate(data: bytes, keys: list[str]) -> str:
    top: list[str] = []

    def note(kind: type, value: Any) -> Any:
        top.append(value)
        return kind(value)

    msgspec.json.decode(data, type=dict[Key, msgspec.Raw], dec_hook=note)
    for names in (top, keys):
        name, times = Counter(names).most_common(1)[0]
        if times > 1:
            return str(name)
    raise AssertionError("no name stands twice")


def _check_version(value: object) -> None:
    if type(value) is not int or value != VERSION:
        raise FieldError("version", f"is {json.dumps(value)}, but only version {VERSION} can be read")


def _string(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise FieldError(field, "must be a string")
    return value


def _check_strategy(value: object) -> object:
    match value:
        case "never" | "new_channels_only":
            return value
        case {"periodic": {"updates": int(updates), **extra}, **more} if not extra and not more:
            if type(updates) is int and 1 <= updates < 2**32:
                return value
            raise FieldError("strategy.periodic.updates", "must be 1 to 4294967295")
    raise FieldError("strategy", 'must be "never", "new_channels_only" or {"periodic": {"updates": N}}')


def format_backup(
    created_at: str, node_id: str, strategy: object, entries: Iterable[tuple[str, int, bytes, bytes]]
) -> bytes:
    """Return a version-1 backup file, laid out as Greenlight writes it.

    entries are (key, version, canonical JSON text of the value, signature), tombstones left out, in any order; an
    empty signature is left out of the file. The text of a value is laid out anew, never parsed, so no digit is lost.
    Raises FieldError for a value that is no JSON.
    """
    lines = [
        "{",
        f'  "version": {VERSION},',
        f'  "created_at": {_json(created_at)},',
        f'  "node_id": {_json(node_id)},',
        f'  "strategy": {_indented(json.dumps(strategy).encode(), 2)},',
        '  "state": {',
    ]
    members = []
    for key, version, value, signature in sorted(entries, key=lambda entry: entry[0].encode()):
        try:
            items = [str(version), _indented(value, 8)]
        except FieldError as error:
            raise FieldError("", f"{key}: {error}") from error
        if signature:
            items.append(_indented(json.dumps(list(signature)).encode(), 8))
        members.append(f"      {_json(key)}: [\n        " + ",\n        ".join(items) + "\n      ]")
    lines.append('    "values": {\n' + ",\n".join(members) + "\n    }" if members else '    "values": {}')
    return "\n".join([*lines, "  }", "}", ""]).encode()


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _indented(value: bytes, columns: int) -> str:
    # A line feed inside a JSON string is always escaped, so each one here is layout.
    return laid_out(value, 2).decode().replace("\n", "\n" + " " * columns)
