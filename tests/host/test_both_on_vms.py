"""Every module of tests/both, found by glob, runs on real MicroPython VMs: 64-bit unix, 32-bit WebAssembly.

CPython runs the same modules by pytest's own collection. MICROPYTHON=path adds a further VM, a unix build, which gets
the heap of a Pico and all modules as .mpy, as a board: with a 32-bit build, objects are as large as on the chip, too.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tools.firmware import build

from vls_backup_sim.vm import micropython_command

ROOT = Path(__file__).resolve().parents[2]
BOTH = ROOT / "tests" / "both"
DEVICE_CODE = ("firmware", "boards/sim", "boards/drivers")
WASM = ROOT / "build/node/node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs"
TIMEOUT = 300  # seconds for one module on one VM
COMPILED = tempfile.TemporaryDirectory()
BOARD_HEAP = ("-X", "heapsize=233k")  # what MicroPython has on a Pico


def run_on_process(command: str, module: Path, scratch: Path) -> str:
    """Run module on a MicroPython executable from the repository's root; return what it printed."""
    return _run([command], [module.parent, BOTH, *(ROOT / name for name in DEVICE_CODE)], module, scratch)


def run_as_on_board(command: str, module: Path, scratch: Path) -> str:
    """Do the same in the heap of a board, with everything compiled."""
    sources = [module.parent, BOTH, *(ROOT / name for name in DEVICE_CODE)]
    return _run([command, *BOARD_HEAP], [_compiled(source) for source in sources], module, scratch)


@cache
def _compiled(source: Path) -> Path:
    """Return a folder with the modules of the folder source and its packages as .mpy."""
    folder = Path(COMPILED.name) / source.relative_to(source.anchor)
    paths = [path for path in source.glob("**/*.py") if "host" not in path.relative_to(source).parts]
    build({path.relative_to(source).as_posix(): path for path in paths}, folder, as_source=False)
    return folder


def _run(command: list[str], folders: list[Path], module: Path, scratch: Path) -> str:
    path = ":".join([*map(str, folders), ".frozen"])
    environment = {**os.environ, "MICROPYPATH": path, "TEST_SCRATCH": str(scratch)}
    return output_of([*command, str(BOTH / "run_on_vm.py"), str(module)], cwd=ROOT, env=environment)


def run_on_wasm(module: Path) -> str:
    """Run module on MicroPython in WebAssembly with copies of the device code and of what the module needs."""
    assert WASM.exists(), f"{WASM} is missing: run `make setup`"
    files = [
        *ROOT.glob("firmware/**/*.py"),
        *ROOT.glob("boards/*/*.py"),
        *BOTH.glob("*.py"),
        *module.parent.glob("*.py"),
        *needs_of(module),
    ]
    job = {
        "vm": str(WASM),
        "files": {path_on_wasm(file): str(file) for file in files},
        "path": [path_on_wasm(module.parent), "tests/both", *DEVICE_CODE],
        "programs": [f"import run_on_vm\nrun_on_vm.run({path_on_wasm(module)!r})\n"],
    }
    node = shutil.which("node", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert node, "node is missing: run `make setup`"
    return output_of([node, str(ROOT / "tests/vm/run_on_wasm.mjs")], input=json.dumps(job))


def path_on_wasm(path: Path) -> str:
    """Return where a file of the repository, or of a folder that stands in for tests/both, lies on that VM."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else "outside" + str(path)


def output_of(command: list[str], **options: object) -> str:
    """Return what the command printed, errors included."""
    options.setdefault("input", "")
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT, check=False, **options
    )
    return done.stdout


def needs_of(module: Path) -> list[Path]:
    """Return the files that the module's NEEDS names: files, or folders whose files are meant, from the root."""
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "NEEDS" for t in node.targets):
            wanted = [ROOT / name for name in ast.literal_eval(node.value)]
            return [file for name in wanted for file in ([name] if name.is_file() else sorted(name.iterdir()))]
    return []


def vms() -> dict[str, Callable[[Path, Path], str]]:
    """Return the VMs by name, each a function (module, scratch folder) -> output."""
    found: dict[str, Callable[[Path, Path], str]] = {
        "MicroPython 64-bit": lambda module, scratch: run_on_process(micropython_command(), module, scratch),
        "MicroPython 32-bit": lambda module, scratch: run_on_wasm(module),
    }
    if extra := os.environ.get("MICROPYTHON"):
        found[extra] = lambda module, scratch: run_as_on_board(extra, module, scratch)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each module and VM."""
    if {"module", "vm"} <= set(metafunc.fixturenames):
        folder = Path(metafunc.config.getoption("--both-dir")).resolve()
        pairs = [(module, vm) for module in sorted(folder.glob("test_*.py")) for vm in vms()]
        metafunc.parametrize(("module", "vm"), pairs, ids=[f"{module.stem}-{vm}" for module, vm in pairs])


def test_on_vm(module: Path, vm: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """All test functions of the module run on the VM, and none fails."""
    functions = [n.name for n in ast.parse(module.read_text()).body if isinstance(n, ast.FunctionDef)]
    expected = sum(name.startswith("test_") for name in functions)
    output = vms()[vm](module, tmp_path)
    last = re.search(r"^ran (\d+) failed (\d+)\s*\Z", output, re.MULTILINE)
    if last is None:
        pytest.fail(f"{module.name} did not finish on {vm}:\n{output}", pytrace=False)
    ran, failed = int(last[1]), int(last[2])
    record_property("ran on VM", (vm, ran))
    if failed:
        pytest.fail(f"{failed} of {ran} tests of {module.name} failed on {vm}:\n{output}", pytrace=False)
    assert ran == expected > 0, f"{module.name} defines {expected} tests, {vm} ran {ran}"


DROPPED = """
def test_passes():
    assert 1 + 1 == 2


def test_fails():
    assert 1 + 1 == 3
"""


def test_new_module_is_found_on_every_vm(tmp_path: Path) -> None:
    """A file dropped into the folder runs on all three VMs, and its failing function is named on each."""
    (tmp_path / "test_dropped.py").write_text(DROPPED)
    report = pytest_on(tmp_path)
    assert "tests/both: CPython 2, MicroPython 64-bit 2, MicroPython 32-bit 2" in report
    for vm in ("MicroPython 64-bit", "MicroPython 32-bit"):
        assert f"1 of 2 tests of test_dropped.py failed on {vm}" in report
    assert report.count("ok test_passes") == report.count("FAIL test_fails") == 2
    assert "3 failed, 1 passed" in report


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def helper():\n    pass\n", "test_dropped.py defines 0 tests"),
        ("import no_such_module\n\n\ndef test_a():\n    pass\n", "test_dropped.py did not finish on MicroPython"),
        ("if True:\n    pass\nasync def test_a():\n    pass\ndef test_b(): assert 0\n", "1 of 1 tests"),
    ],
)
def test_module_that_tests_nothing_fails(tmp_path: Path, source: str, said: str) -> None:
    """A module without tests, or one that a VM can't even load, is a failure on each VM."""
    (tmp_path / "test_dropped.py").write_text(source)
    report = pytest_on(tmp_path)
    assert report.count("FAILED tests/host/test_both_on_vms.py") == 2
    assert said in report


def pytest_on(folder: Path) -> str:
    """Return what pytest prints for a folder that stands in for tests/both."""
    # Without CI, which makes pytest repeat each failure's text in its summary.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MICROPYTHON", "CI", "BUILD_NUMBER")
    }
    suite = ["tests/host/test_both_on_vms.py::test_on_vm", str(folder)]
    options = ["-q", "-rf", "-c", "pyproject.toml", "-p", "no:cacheprovider", f"--both-dir={folder}"]
    options.append("--continue-on-collection-errors")
    return output_of([sys.executable, "-m", "pytest", *options, *suite], cwd=ROOT, env=environment)
