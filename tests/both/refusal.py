"""Whether our formats refuse something; for tests on any VM."""

from backup_format.errors import FormatError


def refuses(call, *args):
    """Return whether call raises FormatError."""
    try:
        call(*args)
    except FormatError:
        return True
    return False
