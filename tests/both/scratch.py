"""Where a test of tests/both may write files, on any VM."""

import os


def scratch(name):
    """Return the path of a file called name in the test run's own folder (env TEST_SCRATCH).

    The WebAssembly VM has no environment, and its /tmp belongs to it alone. Names must differ between tests.
    """
    folder = os.getenv("TEST_SCRATCH") if hasattr(os, "getenv") else "/tmp"
    return folder + "/" + name


def write_file(path, data):
    """Write the bytes data to path."""
    with open(path, "wb") as f:
        f.write(data)
