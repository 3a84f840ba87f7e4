"""Every file that runs on a CircuitPython board uses only what CircuitPython, MicroPython and CPython have alike.

No CircuitPython runs here: this reads the sources. What it can't see (ranges before struct, masks before byte stores)
the tests of tests/both find on MicroPython.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CIRCUITPYTHON = sorted(path.parent for path in ROOT.glob("boards/*/code.py"))

# What our sources may take from each module: in all three Pythons, with the same meaning.
COMMON = {
    "binascii": "a2b_base64 b2a_base64 crc32 hexlify unhexlify",
    "errno": "EACCES EAGAIN EBADF EEXIST EINVAL EIO EISDIR ENODEV ENOENT ENOMEM EPERM ETIMEDOUT",
    "gc": "collect",
    "json": "dumps loads",
    "os": "getenv urandom",
    "struct": "calcsize pack pack_into unpack unpack_from",
    "sys": "implementation modules path",
    "time": "gmtime monotonic_ns sleep time",
}
# port.py asks which Python it runs on, and then takes what only that one has.
PORT = {"gc": "threshold", "hashlib": "new sha256", "micropython": "const", "time": "monotonic_ns ticks_ms"}
# Of CircuitPython's own modules, for its boards; board's names are the board's pins.
OWN = {
    "board": None,
    "busio": "SPI",
    "digitalio": "DigitalInOut",
    "microcontroller": "cpu reset",
    "sdcardio": "SDCard",
    "storage": "disable_usb_drive",
    "supervisor": "SafeModeReason reload runtime",
    "traceback": "format_exception",
    "usb_cdc": "console data enable",
    "usb_hid": "disable",
    "usb_midi": "disable",
}
# Methods that one of the three lacks.
METHODS = """bit_length casefold expandtabs hexdigest ljust maketrans removeprefix removesuffix rjust swapcase title
translate with_traceback zfill"""
SYNTAX = {
    ast.Match: "match",
    ast.TryStar: "except*",
    ast.AsyncFunctionDef: "async",
    ast.AnnAssign: "annotation",
}


def device_files() -> list[Path]:
    """Return the firmware, the CircuitPython boards' own files, and every driver that these import."""
    files = [*ROOT.glob("firmware/*/*.py"), ROOT / "firmware" / "main.py"]
    wanted = [path for folder in CIRCUITPYTHON for path in folder.glob("*.py")]
    while wanted:
        path = wanted.pop()
        if path not in files:
            files.append(path)
            names = imports(ast.parse(path.read_text(encoding="utf-8")))
            wanted += [d for name in names if (d := ROOT / "boards" / "drivers" / f"{name}.py").exists()]
    return sorted(files)


def imports(tree: ast.Module) -> dict[str, set[str]]:
    """Return {absolute top-level module: names taken from it}, by `from m import n` and by `m.n`."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.setdefault(alias.name.split(".")[0], set())
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.setdefault(node.module.split(".")[0], set()).update(alias.name for alias in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in found:
            found[node.value.id].add(node.attr)
    return found


def ours() -> set[str]:
    """Return the import names of the firmware and of what a CircuitPython board adds."""
    return {"backup_format", "signer", "signer_backup", "board_def", "main", *(path.stem for path in device_files())}


def violations(source: str, name: str = "firmware/signer/x.py") -> list[str]:
    """Return what in a device file breaks the rules, one line each."""
    tree = ast.parse(source)
    found = []
    allowed: dict[str, str | None] = {**COMMON, **({} if name.startswith("firmware") else OWN)}
    if name == "firmware/backup_format/port.py":
        allowed.update(PORT)
    if name == "firmware/main.py":
        allowed["micropython"] = "kbd_intr"  # before anything else, where it exists
    for module, taken in imports(tree).items():
        if module in allowed:
            names = allowed[module]
            found += [f"{module}.{n}" for n in sorted(taken - set((names or "").split())) if names is not None]
        elif module not in ours():
            found.append(f"import {module}")
    for node in ast.walk(tree):
        found += [word for kind, word in SYNTAX.items() if isinstance(node, kind)]
        found += of_node(node)
    return sorted(found)


def of_node(node: ast.AST) -> list[str]:
    """Return the words of what is wrong with one node, children not counted."""
    if isinstance(node, ast.FunctionDef | ast.Lambda) and node.args.posonlyargs:
        return ["positional-only"]
    if isinstance(node, ast.FunctionDef) and (node.returns or any(a.annotation for a in node.args.args)):
        return ["annotation"]
    if isinstance(node, ast.JoinedStr):
        inner = [n for n in ast.walk(node) if isinstance(n, ast.JoinedStr)][1:]
        computed = any(isinstance(value, ast.FormattedValue) for n in inner for value in n.values)
        return ["nested f-string"] if computed else []
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        return ["bare except"]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        sides = (node.left, node.right)
        if any(isinstance(s, ast.Call) and isinstance(s.func, ast.Name) and s.func.id == "bytearray" for s in sides):
            return ["bytearray * n"]
    return of_call(node) if isinstance(node, ast.Call) else []


def of_call(node: ast.Call) -> list[str]:
    """Return the words of what is wrong with a call."""
    if isinstance(node.func, ast.Name) and node.func.id == "OSError":
        return ["OSError without text"] if len(node.args) == 1 else []
    if not isinstance(node.func, ast.Attribute):
        return []
    method = node.func.attr
    if method in ("to_bytes", "from_bytes") and (node.keywords or len(node.args) != 2):
        return [f"{method}: two positional arguments"]
    if method in ("encode", "decode", "split", "rsplit") and node.keywords:
        return [f"{method}: positional arguments"]
    return [f".{method}()"] if method in METHODS.split() else []


@pytest.mark.parametrize("path", device_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_device_file_keeps_the_rules(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()) == []


def test_the_files_are_found() -> None:
    names = {path.name for path in device_files()}
    assert {"main.py", "port.py", "loop.py", "board_def.py", "code.py", "sdcardio_blocks.py", "medium.py"} <= names
    assert "micropython_board.py" not in names
    assert len(CIRCUITPYTHON) == 2


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("import functools", "import functools"),
        ("from micropython import const", "import micropython"),
        ("import machine", "import machine"),
        ("import sdcardio", "import sdcardio"),
        ("import struct\nstruct.error", "struct.error"),
        ("import time\ntime.ticks_ms()", "time.ticks_ms"),
        ("from time import sleep_ms", "time.sleep_ms"),
        ("import sys\nsys.stdin.buffer", "sys.stdin"),
        ("import errno\nerrno.EROFS", "errno.EROFS"),
        ("import os\nos.ilistdir()", "os.ilistdir"),
        ("n.to_bytes(4, byteorder='big')", "to_bytes: two positional arguments"),
        ("int.from_bytes(b, 'big', signed=True)", "from_bytes: two positional arguments"),
        ("f'{f\"{x}\"}'", "nested f-string"),
        ("f'{x:{width}}'", "nested f-string"),
        ("def f(a, /):\n    pass", "positional-only"),
        ("match x:\n    case 1:\n        pass", "match"),
        ("try:\n    f()\nexcept* OSError:\n    pass", "except*"),
        ("try:\n    f()\nexcept:\n    pass", "bare except"),
        ("def f(a: int):\n    pass", "annotation"),
        ("x: int = 1", "annotation"),
        ("async def f():\n    pass", "async"),
        ("s.zfill(4)", ".zfill()"),
        ("bytearray(1) * 5", "bytearray * n"),
        ("raise OSError(5)", "OSError without text"),
        ("b.decode(errors='ignore')", "decode: positional arguments"),
    ],
)
def test_each_rule_is_kept(source: str, word: str) -> None:
    assert violations(source) == [word]


def test_what_is_allowed_passes() -> None:
    source = "import errno, time\nfrom binascii import crc32\nfrom . import layout\nfrom backup_format import frames\n"
    source += "time.sleep(1)\nraise OSError(errno.EIO, f'{x:04x} {y!r}')\nn.to_bytes(4, 'big')\n"
    assert violations(source) == []
    assert violations("import hashlib\nhashlib.new('sha256')", "firmware/backup_format/port.py") == []
    assert violations("import board, sdcardio\nboard.SD_CS", "boards/feather/board_def.py") == []
