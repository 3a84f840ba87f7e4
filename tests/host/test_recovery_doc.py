"""docs/recovery.md: every command in it is run as it stands, in its order, as far as there is something to run it on.

The board is the simulated one, whose vault holds a backup of four channels of a recorded recovery. lightningd is not
there: in place of lightning-cli stands a program that notes its arguments and gives a recorded answer.
"""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from backup_cases import VECTORS, load
from board_rig import vault, vls_backup

from vls_backup import emergency
from vls_backup.cli import COMMANDS
from vls_backup.scb import Scb, decode_scb
from vls_backup.seed import Seed

DOC = (Path(__file__).resolve().parents[2] / "docs" / "recovery.md").read_text(encoding="utf-8")
SET2 = [VECTORS / "cln-regtest" / f"set2-{name}.backup.json" for name in ("v6L", "dsL", "dR60", "t46L")]
RPC = VECTORS / "cln-rpc" / "recover-session.json"
SEED = bytes.fromhex("a5" * 16 + "3c" * 16)

COMMAND = re.compile(r"^(?: {4}| {6}| {7})(\S.*)$", re.MULTILINE)  # prose stands at 0, 2, 3 and 5

ELSEWHERE = {
    "vls-backup recover ": "the tests of recover run it",
    "vls-backup pull --image ": "the tests of pull --image run it",
    "sudo dd ": "needs a card",
}
"""How commands begin that are not run here, and why."""

LIGHTNING_CLI = """#!{python}
import json, sys
method, *params = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps([method, params]) + "\\n")
calls = json.load(open({rpc!r}))["calls"]
answers = [call["result"] for call in calls if call["method"] == method and "result" in call]
if not answers and method != "emergencyrecover":
    sys.exit(f"no recorded answer to {{method}}")
print(json.dumps(answers[0] if answers else {{"stubs": []}}))
"""


def commands() -> list[str]:
    return [line for line in COMMAND.findall(DOC) if not line.startswith(tuple(ELSEWHERE))]


def merged() -> Any:
    """Return one backup with the channels of four, all of the same node and seed."""
    backup = load(SET2[0])
    for path in SET2[1:]:
        backup["state"]["values"] |= load(path)["state"]["values"]
    return backup


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run all commands in a folder of their own; return the folder, what each printed, and lightning-cli's calls."""
    folder = tmp_path_factory.mktemp("recovery")
    programs = folder / "programs"
    programs.mkdir()
    log = folder / "calls"
    fake = programs / "lightning-cli"
    fake.write_text(LIGHTNING_CLI.format(python=sys.executable, log=str(log), rpc=str(RPC)))
    ours = programs / "vls-backup"
    ours.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m vls_backup "$@"\n')
    for program in (fake, ours):
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    (folder / "hsm_secret").write_bytes(SEED)
    (folder / "LIGHTNING_DIR" / "NETWORK").mkdir(parents=True)
    source = folder / "on-the-board.json"
    source.write_text(json.dumps(merged()))
    ran = {}
    with vault(folder / "flash.bin") as board:
        assert vls_backup("push", "--path", source, "--port", board.port).returncode == 0
        for line in commands():
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", line.replace("/dev/ttyACM0", str(board.port))],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr
            ran[line] = done
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    return {"folder": folder, "ran": ran, "calls": calls}


def test_every_indented_line_is_a_command() -> None:
    assert len(commands()) >= 8
    assert {line.split()[0] for line in commands()} == {"vls-backup", "for", "cp", "lightning-cli"}


def test_what_is_named_in_the_text_exists() -> None:
    """Each command and option that the prose names, by the command's own help."""
    named = set(re.findall(r"`vls-backup ([a-z-]+)", DOC)) | {line.split()[1] for line in commands() if "vls-b" in line}
    assert {"pull", "inspect-backup", "verify", "convert-backup", "diff", "devices"} <= named
    assert named <= set(COMMANDS)
    helps = "".join(vls_backup(name, "--help").stdout for name in ("pull", "verify", "convert-backup"))
    for option in ("--mnemonic", "--peer-addr", "--peers", "--skip-incomplete", "--generation", "--second-pass"):
        assert f"`{option}" in DOC or f" {option} " in DOC
        assert option in helps


def test_what_the_reader_sees(walked: dict[str, Any]) -> None:
    lines = iter(walked["ran"].values())
    pulled, inspected, verified, converted = (next(lines) for _ in range(4))
    assert re.search(
        r"Snapshot \d+ of node 03b08df4\w+: 4 recoverable channels, .*\((just now|.* ago)\)", pulled.stderr
    )
    assert "channels: total=4 complete=4" in inspected.stdout
    assert "\nseed: fits\n" in verified.stdout
    assert "Converted 4 channels" in converted.stderr


def scbs_in(path: Path) -> list[Scb]:
    return [decode_scb(bytes.fromhex(scb)) for scb in load(path)["scb"]]


def test_one_scb_per_call(walked: dict[str, Any]) -> None:
    sent = [json.loads(params[0]) for method, params in walked["calls"] if method == "recoverchannel"]
    assert [len(scbs) for scbs in sent] == [1, 1, 1, 1]
    assert [scb for scbs in sent for scb in scbs] == load(walked["folder"] / "cln-recoverchannel.json")["scb"]
    expected = [load(path.with_name(path.name.replace("backup", "expected"))) for path in SET2]
    assert {scb for scbs in sent for scb in scbs} == {scb for one in expected for scb in one["recoverchannel"]["scb"]}


def test_the_second_pass(walked: dict[str, Any]) -> None:
    """Just the channel of which 235,000 sat were left behind."""
    (second,) = scbs_in(walked["folder"] / "second-pass.json")
    (first,) = [scb for scb in scbs_in(walked["folder"] / "cln-recoverchannel.json") if scb.dbid == second.dbid]
    assert first.secrets and second == first._replace(secrets=b"")
    assert load(SET2[2].with_name("set2-dR60.expected.json"))["channel_id"] == second.channel_id.hex()


def test_emergency_recover(walked: dict[str, Any]) -> None:
    file = walked["folder"] / "LIGHTNING_DIR" / "NETWORK" / "emergency.recover"
    message = emergency.unseal(file.read_bytes(), Seed(SEED).scb_key())
    scbs = load(walked["folder"] / "cln-recoverchannel.json")["scb"]
    assert message[emergency.MESSAGE.size :].hex() == "".join(scbs)
    assert ["emergencyrecover", []] in walked["calls"]


def test_files_are_the_owners_alone(walked: dict[str, Any]) -> None:
    for name in ("backup.json", "cln-recoverchannel.json", "second-pass.json", "scb.recover"):
        assert stat.S_IMODE((walked["folder"] / name).stat().st_mode) == 0o600, name
