"""The recorded run in bytes: its values in the compact coding, and what gl-client's signer answered."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tools.bench_greenlight import greenlight_answers

from backup_format.compact import encode
from backup_format.expand import decode
from test_recorded_run import GREENLIGHT_ANSWERED
from vls_backup.hsm import MESSAGES

RUN = Path(__file__).parents[1] / "vectors" / "signer-run"
BUDGET = {"channels": 0.30, "nodestates": 0.36, "trackers": 0.48, "all": 0.40}


def canonical(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


@pytest.fixture(scope="module")
def sizes() -> tuple[Counter[str], Counter[str]]:
    """The bytes of all values that the run's requests changed, by the kind of their key: as JSON, and coded."""
    plain: Counter[str] = Counter()
    coded: Counter[str] = Counter()
    with (RUN / "a.jsonl").open() as lines:
        next(lines)
        for line in lines:
            for key, _before, _after, value, *_signature in json.loads(line)["changed"]:
                if value is None:
                    continue
                text = canonical(value)
                small = encode(text)
                assert decode(small) == text
                for kind in (key.split("/")[0], "all"):
                    plain[kind] += len(text)
                    coded[kind] += len(small)
    return plain, coded


@pytest.mark.parametrize("kind", BUDGET)
def test_share_of_the_json(kind: str, sizes: tuple[Counter[str], Counter[str]]) -> None:
    plain, coded = sizes
    assert plain[kind] > 300_000
    assert coded[kind] / plain[kind] <= BUDGET[kind]


def test_an_old_channel() -> None:
    """An idle channel with a secret at each of the 49 positions: none is longer."""
    values = json.loads((RUN / "a-last.backup.json").read_bytes())["state"]["values"]
    tried = 0
    for key, (_version, value, _signature) in values.items():
        if not key.startswith("channels/") or not value["channel_setup"]:
            continue
        if b"payment_hash" in canonical(value):
            continue  # not idle: an HTLC in flight costs some 95 bytes
        value["enforcement_state"]["counterparty_secrets"]["old_secrets"] = [
            [[(k * 37 + i * 101 + k * i) & 0xFF for i in range(32)], 2**48 - 2**k] for k in range(49)
        ]
        text = canonical(value)
        assert len(text) > 6_000 and len(encode(text)) <= 2_500, len(encode(text))
        tried += 1
    assert tried >= 3


def test_what_gl_client_answered() -> None:
    """The yardstick of tests/both/test_recorded_run.py, from the rule that explains every recorded answer."""
    answers = greenlight_answers(RUN / "a.jsonl")
    assert sum(len(entries) for entries in answers) == GREENLIGHT_ANSWERED
    samples = json.loads((RUN / "a-protobuf.json").read_bytes())["samples"]
    seen = [(s["i"], bytes.fromhex(s["response"]["hex"])) for s in samples if s["i"] is not None]
    assert len(seen) == 10
    for i, response in seen:
        entries = MESSAGES["HsmResponse"].FromString(response).signer_state
        assert answers[i] == MESSAGES["HsmResponse"](signer_state=entries).SerializeToString(), i
