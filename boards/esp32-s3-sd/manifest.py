"""What ships on this board: the firmware, its board_def and the drivers that it names."""

include("../../firmware/manifest.py")  # noqa: F821
module("board_def.py")  # noqa: F821
for driver in ("medium.py", "micropython_board.py", "stdio_link.py", "sd_blocks.py", "sd_slot.py"):
    module(driver, base_path="../drivers")  # noqa: F821
