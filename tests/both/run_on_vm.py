"""Runs one test module of tests/both on the MicroPython VM that executes this file.

Arguments: the path of the module. Prints `ok NAME` or `FAIL NAME` with a traceback for each test function, in the
order of the source, and last `ran N failed M`.
"""

import sys

from backup_format.port import collect_early


def test_names(path):
    """Return the names of the test functions in the source file at path, in order."""
    with open(path) as source:
        return [line[4 : line.index("(")] for line in source if line.startswith("def test_")]


def run(path):
    """Run the tests of the module at path and print what came of each."""
    module = __import__(path.rsplit("/", 1)[-1][: -len(".py")])
    names = test_names(path)
    failed = 0
    for name in names:
        try:
            getattr(module, name)()
        except Exception as error:  # noqa: BLE001 - a test may fail in any way
            failed += 1
            print("FAIL", name)
            sys.print_exception(error, sys.stdout)
        else:
            print("ok", name)
    print("ran", len(names), "failed", failed)


if __name__ == "__main__":
    collect_early()  # as main.py does
    run(sys.argv[1])
