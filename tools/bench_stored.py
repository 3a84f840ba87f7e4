"""How many bytes the recorded run's values take on the medium, against their canonical JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tools.bench_channels import RUN
from tools.bench_table import Row, compare

from backup_format.compact import encode
from vls_backup_sim.feeder import TOMBSTONE, Feeder

GOALS = {"channels": 0.30, "nodestates": 0.36, "trackers": 0.48, "all": 0.40}


def rows() -> Iterator[Row]:
    """Code every value that the run changed."""
    plain: Counter[str] = Counter()
    coded: Counter[str] = Counter()
    for recorded in Feeder(RUN).requests:
        for key, entry in recorded.changed:
            if entry.version == TOMBSTONE:
                continue
            size = len(encode(entry.value))
            for kind in (key.partition("/")[0], "all"):
                plain[kind] += len(entry.value)
                coded[kind] += size
    for kind, goal in GOALS.items():
        yield compare(f"stored bytes over the recorded run, {kind}: canonical JSON", coded[kind], plain[kind], goal)
