"""What is frozen into an image of our own: what ships on the board, and our _boot.py instead of MicroPython's.

Of the modules that MicroPython freezes only rp2 is left: include its other ones here if your signer wants them, but not
$(PORT_DIR)/boards/manifest.py as a whole, which brings the other _boot.py.
"""

include("manifest.py")  # noqa: F821
module("_boot.py")  # noqa: F821
freeze("$(PORT_DIR)/modules", ("rp2.py",))  # noqa: F821
