"""Power-fail-safe snapshots of a signer's state on raw flash or an SD card. No filesystem, no machine module."""
