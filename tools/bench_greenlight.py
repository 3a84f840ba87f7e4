"""What Greenlight's signer answers in a recorded run (format: tests/vectors/signer-run/README.md): our yardstick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vls_backup.hsm import MESSAGES, StateEntry
from vls_backup_sim.feeder import Feeder


def greenlight_answers(run: Path) -> list[bytes]:
    """Return the entries of gl-client's answer to each request of the run, as protobuf; request_id and raw left out.

    It answers with every entry that was not in this very request, tombstones too; after an error with none. Raises
    ValueError if a count that the run has recorded says otherwise.
    """
    feeder = Feeder(run)
    state: dict[str, StateEntry] = {}
    answers = []
    for i, recorded in enumerate(feeder.requests):
        if feeder.attaches_before(i):
            feeder.attach()
        request = MESSAGES["HsmRequest"].FromString(feeder.request(i))
        sent = {e.key: StateEntry(e.version, e.value, e.signature) for e in request.signer_state}
        state.update(recorded.node_wrote)
        state.update(recorded.changed)
        returned = {} if "error" in recorded.line else {k: e for k, e in state.items() if sent.get(k) != e}
        counts = len(sent), len(returned)
        if counts != (recorded.line["sent"], recorded.line["returned"]):
            raise ValueError(f"{run}: request {i} carried and brought {counts} entries by our rule, not as recorded")
        response: Any = MESSAGES["HsmResponse"]()
        for key, entry in sorted(returned.items()):
            response.signer_state.add(key=key, version=entry.version, value=entry.value, signature=entry.signature)
        answers.append(bytes(response.SerializeToString()))
        feeder.answer(answers[-1])
    return answers
