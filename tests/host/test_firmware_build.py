"""`make firmware`: what it builds runs on a real VM, and what grows past its budget is refused."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from firmware_copy import ROOT, copy_sources, make_firmware, manifest_files

from vls_backup_sim.vm import micropython_command

BUDGET = "sim = {{ files = {}, heap = {} }}\n"
PLENTY = 1 << 30


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources with the simulated board alone."""
    copy = copy_sources(tmp_path)
    for board in copy.glob("boards/*/board_def.py"):
        if board.parent.name != "sim":
            board.unlink()
    return copy


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """(A copy of the sources with every board built, what the build said)."""
    copy = copy_sources(tmp_path_factory.mktemp("everything") / "tree")
    return copy, make_firmware(copy)


def on_vm(folder: Path, program: str) -> str:
    """Return what the 64-bit VM prints that has only the files in folder."""
    environment = {**os.environ, "MICROPYPATH": f"{folder}:.frozen"}
    done = subprocess.run(
        [micropython_command(), "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_every_board_builds_within_its_budget(everything: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, built = everything
    assert (built.returncode, built.stderr) == (0, "")
    boards = {path.parent.name for path in ROOT.glob("boards/*/board_def.py")} - {"_template"}
    assert {line.split()[0] for line in built.stdout.splitlines()[1:]} == boards


def test_a_boards_own_image_freezes_the_same(everything: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """What is deployed to a board is what its manifest freezes: neither forgets a driver."""
    tree, _ = everything
    manifests = [path for path in tree.glob("boards/*/manifest.py") if not path.parent.name.startswith("_")]
    assert manifests
    for manifest in manifests:
        out = tree / "build" / "firmware" / manifest.parent.name
        built = [path.relative_to(out).with_suffix(".py").as_posix() for path in out.rglob("*") if path.is_file()]
        assert sorted(built) == manifest_files(manifest), manifest


def test_what_is_built_runs(tree: Path) -> None:
    assert make_firmware(tree).returncode == 0
    out = tree / "build" / "firmware" / "sim"
    assert [path.name for path in out.rglob("*.py")] == ["main.py"]
    assert not list(out.rglob("*/host/*"))
    program = """
import main, signer_backup.journal, backup_format.log
print(main.main.__name__, main.Board.name, signer_backup.journal.__file__, backup_format.log.__file__)
from signer_backup.build import build_backup
store, hook, services = build_backup(main.Board())
print(len(services), store.get("nodes/00"))
"""
    said = on_vm(out, program)
    assert re.fullmatch(r"main sim \S*/journal\.mpy \S*/log\.mpy\n\d+ .*\n", said), said
    assert int(said.splitlines()[1].split()[0]) >= 4


def test_a_traceback_names_the_file(tree: Path) -> None:
    make_firmware(tree)
    said = on_vm(tree / "build/firmware/sim", "from backup_format.units import _log2\n_log2(3)")
    assert re.search(r'File "backup_format/units.py", line \d+, in _log2', said), said


@pytest.mark.parametrize("what", ["files", "heap"])
def test_growth_past_the_budget_fails(tree: Path, what: str) -> None:
    budget = tree / "tools" / "budget.toml"
    budget.write_text(BUDGET.format(*(100 if what == name else PLENTY for name in ("files", "heap"))))
    built = make_firmware(tree)
    assert built.returncode == 1
    found = re.fullmatch(rf"sim: {what} (\d+) bytes: (\d+) over the budget of 100\n", built.stderr)
    assert found, built.stderr
    size = int(found[1])
    assert int(found[2]) == size - 100

    budget.write_text(BUDGET.format(*(size if what == name else PLENTY for name in ("files", "heap"))))
    assert make_firmware(tree).returncode == 0  # to the byte: both sizes are the same in every run
    budget.write_text(BUDGET.format(*(size - 1 if what == name else PLENTY for name in ("files", "heap"))))
    assert make_firmware(tree).stderr == f"sim: {what} {size} bytes: 1 over the budget of {size - 1}\n"


def test_a_board_without_a_budget_fails(tree: Path) -> None:
    (tree / "tools" / "budget.toml").write_text("")
    built = make_firmware(tree)
    assert built.returncode == 1
    assert re.fullmatch(
        r"sim: no budget: add the line sim = { files = \d+, heap = \d+ } to tools/budget.toml\n",
        built.stderr,
    )


def test_a_file_that_does_not_compile_is_named(tree: Path) -> None:
    (tree / "firmware" / "signer" / "broken.py").write_text("def f(:\n")
    built = make_firmware(tree)
    assert built.returncode == 1
    assert built.stderr.startswith(f"{tree / 'firmware/signer/broken.py'}: does not compile: ")


def test_a_module_that_does_not_import_is_named(tree: Path) -> None:
    (tree / "firmware" / "signer" / "broken.py").write_text("from signer.loop import no_such_name\n")
    built = make_firmware(tree)
    assert built.returncode == 1
    assert "cannot be imported on the 32-bit VM" in built.stderr
    assert "no_such_name" in built.stderr


def test_a_circuitpython_board_gets_sources_and_what_it_imports(tree: Path) -> None:
    """Its .mpy differ from MicroPython's; modules that only the board has are no obstacle; drivers come along."""
    board = tree / "boards" / "feather"
    board.mkdir()
    (tree / "boards" / "drivers").mkdir(exist_ok=True)
    (tree / "boards" / "drivers" / "card.py").write_text("import sdcardio\nfrom card_errors import CardError\n")
    (tree / "boards" / "drivers" / "card_errors.py").write_text("class CardError(OSError):\n    pass\n")
    (tree / "boards" / "drivers" / "unused.py").write_text("")
    (board / "board_def.py").write_text(
        "import card\nfrom board import SD_CS\n\nclass Board:\n    name = 'feather'\n    pin = SD_CS\n"
    )
    (board / "code.py").write_text("import main\nmain.main()\n")
    (board / "boot.py").write_text("import usb_cdc\nusb_cdc.enable(console=True, data=True)\n")
    (board / "settings.toml").write_text("CIRCUITPY_PYSTACK_SIZE = 4096\n")
    (board / "manifest.py").write_text("")
    with (tree / "tools" / "budget.toml").open("a") as budget:
        budget.write(BUDGET.format(PLENTY, PLENTY).replace("sim", "feather"))
    built = make_firmware(tree)
    assert built.returncode == 0, built.stderr
    out = tree / "build" / "firmware" / "feather"
    assert not list(out.rglob("*.mpy"))
    own = {path.name for path in out.iterdir() if path.is_file()}
    assert own == {"main.py", "board_def.py", "card.py", "card_errors.py", "code.py", "boot.py", "settings.toml"}
    assert (out / "signer" / "loop.py").read_bytes() == (tree / "firmware" / "signer" / "loop.py").read_bytes()
