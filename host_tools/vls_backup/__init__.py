"""Host side of vls-backup: from a signer's backup on a board to Core Lightning's recovery input."""

__version__ = "0.1.0"
