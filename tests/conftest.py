"""What all tests share: the folder of the tests that run on every VM, and how many ran on each."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
CPYTHON, BITS_64, BITS_32 = "CPython", "MicroPython 64-bit", "MicroPython 32-bit"

# A slow machine is no failure: no example has a deadline.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --both-dir, with which a test of the test machinery points it at another folder."""
    parser.addoption("--both-dir", default=str(ROOT / "tests" / "both"), help="folder of the tests for every VM")


@pytest.fixture(scope="session", autouse=True)
def scratch_folder(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Give tests/both/scratch.py its folder on CPython; the VMs get one each from their runner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_SCRATCH", str(tmp_path_factory.mktemp("both")))
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that CPython runs from the folder for every VM; a VM's tests say themselves how many they ran."""
    both = Path(config.getoption("--both-dir")).resolve()
    for item in items:
        if both in item.path.resolve().parents:
            item.user_properties.append(("ran on VM", (CPYTHON, 1)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests of tests/both ran on each VM."""
    ran = Counter({CPYTHON: 0, BITS_64: 0, BITS_32: 0})
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    for name, value in [pair for report in reports if report.when == "call" for pair in report.user_properties]:
        if name == "ran on VM":
            vm, count = value
            ran[vm] += count
    if ran.total():
        terminalreporter.write_line("tests/both: " + ", ".join(f"{vm} {count}" for vm, count in ran.items()))
