"""The import arrows between the project's rooms (docs: CONTRIBUTING.md), kept by reading every import."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 320
PURE = {"binascii", "hashlib", "micropython", "struct", "sys", "time"}
NODE_SIDE = ("feeder.py", "playback.py")
HARDWARE = {"machine", "os", "vfs", "rp2", "esp32"}
ROOMS = ("firmware", "boards", "host_tools", "tools")
PACKAGES = {"vls_backup", "vls_backup_sim", "tests", "conftest"}


def files(root: Path) -> list[Path]:
    """Return the project's Python files outside its tests."""
    return sorted(path for room in ROOMS for path in root.glob(f"{room}/**/*.py"))


def imports(tree: ast.Module) -> set[str]:
    """Return the top-level names of all modules that a file imports; a relative import beyond its package is `..`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.level > 1:
            found.add("..")
    return found


def ours(root: Path) -> set[str]:
    """Return the import names of everything that is ours."""
    device = {path.stem for path in [*root.glob("firmware/*.py"), *root.glob("boards/*/*.py")]}
    packages = {path.name for path in root.glob("firmware/*/")} | {path.stem for path in root.glob("tools/*.py")}
    return {*device, *packages, *PACKAGES, *ROOMS, ".."}


def may_import(path: Path, root: Path) -> set[str]:
    """Return which of our names the file at path may import."""
    room = path.relative_to(root).parts
    if room[0] == "firmware":
        by_room = {
            "backup_format": {"backup_format"},
            "signer_backup": {"signer_backup", "backup_format"},
            "signer": {"signer", "backup_format"},
        }
        return by_room.get(room[1], {"backup_format", "signer_backup", "signer", "board_def"})
    if room[0] == "boards":
        if room[2] == "host":
            # A node speaks to its board as a host program does.
            return {"vls_backup_sim", "backup_format"} | ({"vls_backup"} if room[-1] in NODE_SIDE else set())
        neighbours = {other.stem for folder in (room[1], "drivers") for other in root.glob(f"boards/{folder}/*.py")}
        # A board names its signing engine, and an engine speaks the loop's protocol; drivers know of neither.
        engine = {"signer"} if room[2] in ("board_def.py", "replay.py") else set()
        # CircuitPython starts code.py, not main.py: the driver behind it calls the firmware.
        start = {"main"} if room[-1] == "circuitpython_life.py" else set()
        return neighbours | {"backup_format"} | engine | start
    if room[0] == "host_tools":
        return {"vls_backup", "backup_format"} | ({"vls_backup_sim"} if room[-1] == "sim.py" else set())
    # The benches measure the device code itself, and share parts among each other.
    measured = {"signer", "signer_backup", "nor", "replay", "tools"} if room[1].startswith("bench") else set()
    return {"vls_backup", "vls_backup_sim", "backup_format"} | measured


def violations(root: Path) -> list[str]:
    """Return what breaks the arrows in the tree at root, one line for each."""
    found = []
    known = ours(root)
    for path in files(root):
        name = path.relative_to(root).as_posix()
        source = path.read_text(encoding="utf-8")
        imported = imports(ast.parse(source))
        bad = (imported & known) - may_import(path, root)
        if name.startswith("firmware/backup_format/"):
            bad |= imported - PURE - {"backup_format"}
            if name.endswith("/port.py"):
                bad -= {"gc"}
            if not name.endswith("/layout.py"):
                bad |= imported & {"struct"}
        if name.startswith("firmware/signer_backup/"):
            bad |= imported & HARDWARE
        if name != "host_tools/vls_backup/transport.py":
            bad |= imported & {"mpremote"}
        if name != "host_tools/vls_backup/recovery_rpc.py":
            bad |= imported & {"pyln"}
        found += [f"{name} imports {module}" for module in sorted(bad)]
        if (lines := len(source.splitlines())) > MAX_LINES:
            found.append(f"{name} has {lines} lines, more than {MAX_LINES}")
    return found


def test_rooms_keep_the_arrows() -> None:
    assert len(files(ROOT)) > 10
    assert violations(ROOT) == []


def test_test_files_are_short() -> None:
    long = [p for p in ROOT.glob("tests/**/*.py") if len(p.read_text(encoding="utf-8").splitlines()) > MAX_LINES]
    assert long == []


def test_backup_format_on_the_host_is_the_boards_own() -> None:
    """The host runs the same files as the board, not a copy of them."""
    import backup_format

    assert Path(backup_format.__file__).parent == ROOT / "firmware" / "backup_format"
    assert "backup_format" not in sys.builtin_module_names


ALLOWED = {
    "firmware/main.py": "import board_def\nfrom signer import loop\nfrom signer_backup import runtime\n",
    "firmware/backup_format/layout.py": "import struct\n",
    "firmware/backup_format/frames.py": "import binascii\nfrom backup_format import layout\nfrom . import layout\n",
    "firmware/signer_backup/journal.py": "from backup_format import layout\n",
    "firmware/signer/loop.py": "import select\nfrom backup_format import frames\n",
    "boards/sim/nor.py": "import os\n",
    "boards/sim/board_def.py": "import nor, replay\nimport signer.follower\n",
    "boards/sim/replay.py": "from signer import loop\n",
    "boards/sim/host/bridge.py": "import pty\nfrom vls_backup_sim import vm\n",
    "host_tools/vls_backup/sim.py": "import vls_backup_sim\n",
    "host_tools/vls_backup/transport.py": "import mpremote.transport_serial\n",
    "tools/demo.py": "import vls_backup, vls_backup_sim\n",
    "tools/bench_run.py": "import nor, signer.loop, signer_backup.build\nfrom tools import demo\n",
}

FORBIDDEN = [
    ("firmware/backup_format/frames.py", "import struct", "struct"),
    ("firmware/backup_format/frames.py", "import json", "json"),
    ("firmware/backup_format/frames.py", "def f():\n    import signer_backup", "signer_backup"),
    ("firmware/signer_backup/journal.py", "import os", "os"),
    ("firmware/signer_backup/journal.py", "from machine import Pin", "machine"),
    ("firmware/signer_backup/journal.py", "import nor", "nor"),
    ("firmware/signer_backup/journal.py", "import signer", "signer"),
    ("firmware/signer_backup/journal.py", "from ..signer import loop", ".."),
    ("firmware/signer/loop.py", "from signer_backup import runtime", "signer_backup"),
    ("firmware/signer/loop.py", "import board_def", "board_def"),
    ("boards/sim/nor.py", "import signer_backup.blockdev", "signer_backup"),
    ("boards/sim/nor.py", "import signer", "signer"),
    ("boards/sim/host/bridge.py", "import vls_backup", "vls_backup"),
    ("host_tools/vls_backup/pull.py", "import mpremote", "mpremote"),
    ("host_tools/vls_backup/pull.py", "import vls_backup_sim", "vls_backup_sim"),
    ("host_tools/vls_backup/pull.py", "from signer_backup import journal", "signer_backup"),
    ("tools/demo.py", "import tests.conftest", "tests"),
    ("tools/demo.py", "import signer.loop", "signer"),
    ("tools/bench_run.py", "import loop_rig, tests.both", "tests"),
    ("host_tools/vls_backup/pull.py", "from tools import demo", "tools"),
]


def fake_tree(root: Path, extra: dict[str, str]) -> Path:
    """Make a small tree of the project's shape, with extra files or other content for its files."""
    for name, source in {**ALLOWED, **extra}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source)
    return root


def test_allowed_imports_pass(tmp_path: Path) -> None:
    assert violations(fake_tree(tmp_path, {})) == []


@pytest.mark.parametrize(("name", "source", "module"), FORBIDDEN)
def test_forbidden_import_is_named(tmp_path: Path, name: str, source: str, module: str) -> None:
    assert violations(fake_tree(tmp_path, {name: source})) == [f"{name} imports {module}"]


def test_long_file_is_named(tmp_path: Path) -> None:
    tree = fake_tree(tmp_path, {"tools/long.py": "pass\n" * (MAX_LINES + 1)})
    assert violations(tree) == [f"tools/long.py has {MAX_LINES + 1} lines, more than {MAX_LINES}"]
