"""The simulated board's settings, as board_def.py reads them from its environment."""

from __future__ import annotations

import re
from pathlib import Path

_STRATEGY = re.compile(r"never|new-channels-only|periodic:[1-9][0-9]{0,8}")


def board_settings(flash: Path, strategy: str, run: Path | None = None, log: Path | None = None) -> dict[str, str]:
    """Return the environment of a board whose flash is the file flash and that takes snapshots by strategy.

    run: a recorded run whose signer it plays; None: it accepts what the node sends. log: a file for its log. Raises
    ValueError if there is no such strategy: the board could only fail to start.
    """
    if not _STRATEGY.fullmatch(strategy):
        raise ValueError(f"strategy {strategy!r}: use never, new-channels-only or periodic:N, N from 1 to 999999999")
    settings = {"VLS_SIM_FLASH": str(flash.resolve()), "VLS_SIM_STRATEGY": strategy}
    if run is not None:
        settings["VLS_SIM_RUN"] = str(run.resolve())
    if log is not None:
        settings["VLS_SIM_LOG"] = str(log.resolve())
    return settings
