"""A workload whose steps are done once: each case then begins at a copy of the board before its step."""

import pickle
from collections.abc import Callable

from fault_workload import Ledger, Workload, new_flash
from faulty_flash import RamFlash


class FrozenWorkload(Workload):
    """As Workload."""

    def __init__(self, kind: type, steps: list[list[tuple]], make_flash: Callable[[], RamFlash] = new_flash) -> None:
        self._kept: list[bytes] = []
        super().__init__(kind, steps, make_flash)

    def begin(self) -> tuple[object, Ledger]:
        return self.done(*super().begin())

    def done(self, board: object, ledger: Ledger) -> tuple[object, Ledger]:
        self._kept.append(pickle.dumps((board, ledger)))
        return self.reach(len(self._kept) - 1)

    def reach(self, step: int) -> tuple[object, Ledger]:
        return pickle.loads(self._kept[step])
