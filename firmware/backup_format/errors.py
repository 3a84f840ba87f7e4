"""The one exception that the shared formats raise."""


class FormatError(ValueError):
    """Bytes that are not what FORMAT.md or LINK.md says they must be: damaged, foreign, or from a newer version."""
