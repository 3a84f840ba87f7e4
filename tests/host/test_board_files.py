"""What the board folders say to MicroPython's build: manifests, out-of-tree board definitions, partition table."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOARDS = sorted(path.parent for path in ROOT.glob("boards/*/manifest.py"))
IMAGES = sorted(path.parent for path in ROOT.glob("boards/*/VLS_*/mpconfigboard.cmake"))
VENDOR = {
    "gc",
    "array",
    "binascii",
    "errno",
    "esp32",
    "hashlib",
    "json",
    "machine",
    "micropython",
    "os",
    "rp2",
    "sdcard",
}
VENDOR |= {"select", "struct", "sys", "time", "vfs"}


def frozen(manifest: Path) -> dict[str, Path]:
    """Return {path on the board: source} of a manifest, as MicroPython's manifestfile.py reads it; its own files left
    out."""
    files: dict[str, Path] = {}

    def add(name: str, source: Path) -> None:
        assert name not in files, f"{name} would be frozen twice"
        assert source.is_file(), f"{manifest} names {source}, which isn't there"
        files[name] = source

    def run(path: Path) -> None:
        options = SimpleNamespace()
        options.defaults = lambda **values: options.__dict__.update(values)

        def include(name: str) -> None:
            if "$(" not in name:
                run((path.parent / name).resolve())

        def module(name: str, base_path: str = ".") -> None:
            add(name, path.parent / base_path / name)

        def package(name: str) -> None:
            for source in (path.parent / name).rglob("*.py"):
                add(source.relative_to(path.parent).as_posix(), source)

        verbs = {"include": include, "module": module, "package": package, "options": options}
        verbs |= {"require": lambda name: None, "freeze": lambda folder, names: None}
        exec(compile(path.read_text(), str(path), "exec"), verbs)

    run(manifest)
    return files


def imported(source: Path) -> set[str]:
    """Return the top-level names that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_manifest_ships_what_the_board_imports(board: Path) -> None:
    files = frozen(board / "manifest.py")
    there = {name.split("/")[0].removesuffix(".py") for name in files}
    assert {"main", "board_def", "signer", "signer_backup", "backup_format"} <= there
    wanted = set().union(*(imported(source) for source in files.values())) - VENDOR
    assert wanted <= there, f"{board.name}: imported, but not shipped: {sorted(wanted - there)}"
    drivers = {name for name, source in files.items() if source.parent.name == "drivers"}
    assert {name.removesuffix(".py") for name in drivers} <= wanted, f"{board.name} ships a driver that nobody imports"


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_image_freezes_its_board(image: Path) -> None:
    cmake = (image / "mpconfigboard.cmake").read_text()
    assert "set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/../image_manifest.py)" in cmake
    assert "MICROPY_HW_BOARD_NAME" in (image / "mpconfigboard.h").read_text()
    files = frozen(image.parent / "image_manifest.py")
    assert files["board_def.py"] == image.parent / "board_def.py"
    assert ("_boot.py" in files) == (image.parent / "_boot.py").exists()


def test_there_are_images() -> None:
    assert [image.name for image in IMAGES] == ["VLS_ESP32", "VLS_ESP32_S3", "VLS_PICO", "VLS_PICO2", "VLS_PICO_W"]


def test_own_boot_is_the_only_one() -> None:
    """The port's manifest brings the stock _boot.py, which formats the backup away."""
    manifest = (ROOT / "boards/rp2/image_manifest.py").read_text()
    code = [line for line in manifest.splitlines() if line.endswith("# noqa: F821")]
    assert not any(
        "boards/manifest.py" in line or "_boot.py" in line.replace('module("_boot.py")', "") for line in code
    )


def test_partitions_fit_and_do_not_overlap() -> None:
    rows = [
        [field.strip() for field in line.split(",")]
        for line in (ROOT / "boards/esp32/partitions.csv").read_text().splitlines()
        if not line.startswith("#")
    ]
    free = 0x9000  # past the bootloader and the partition table itself
    for name, kind, _subtype, offset, size, *_flags in rows:
        start, length = int(offset, 16), int(size, 16)
        assert start >= free and start % (0x10000 if kind == "app" else 0x1000) == 0 and length % 0x1000 == 0, name
        free = start + length
    assert free <= 4 << 20
    by_name = {row[0]: row for row in rows}
    # main.c makes a "vfs" that takes all the rest, unless the table has one: the backup would lie in it.
    assert by_name["vfs"][1] == by_name["backup"][1] == "data"
    assert (by_name["factory"][3], by_name["factory"][4]) == ("0x10000", "0x1F0000"), "as MicroPython's own table"
