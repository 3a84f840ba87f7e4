"""The engine of a vault: it signs nothing and accepts the node's state as it is."""


class FollowerEngine:
    """Answers every request with empty bytes; the merge has done the work."""

    def handle(self, request, store):
        """Return b""."""
        return b""
