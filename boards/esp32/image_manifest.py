"""What is frozen into an image of our own: what MicroPython's image has, and what ships on the board."""

include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
include("manifest.py")  # noqa: F821
