"""`make demo`: a recorded signer run on the simulated board, a power cut, and the way to recoverchannel's input."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.feeder import Feeder, State
from vls_backup_sim.playback import Playback
from vls_backup_sim.vm import ROOT

OUT = ROOT / "build" / "demo"
NO_SNAPSHOT = 4  # exit statuses of vls-backup
INCOMPLETE = 3


class DemoFailed(Exception):
    """What the demo shows is not what it must be."""


def say(text: str = "") -> None:
    """Print a line at once."""
    print(text, flush=True)


def command(*args: str, show: bool = True) -> subprocess.CompletedProcess[bytes]:
    """Run vls-backup with args as a user would, show what it prints, and return the finished process."""
    say(f"\n$ vls-backup {' '.join(args)}")
    done = subprocess.run([sys.executable, "-m", "vls_backup", *args], capture_output=True, check=False)
    if show:
        say(done.stdout.decode())
    say(done.stderr.decode().rstrip())
    return done


def recovery_part(state: State) -> State:
    """Return the entries that a conversion depends on."""
    return {key: entry for key, entry in state.items() if key.startswith(("channels/", "peers/"))}


def fitting_golden(feeder: Feeder, run: Path, after_request: int) -> Path | None:
    """Return the golden conversion that the state after this request must give, if the run has one."""
    wanted = {k: e.value for k, e in recovery_part(feeder.state_after(after_request)).items()}
    for golden in feeder.header.get("snapshots", []):
        path = run.parent / golden["backup"].replace(".backup.json", ".expected.json")
        if path.exists() and {k: e.value for k, e in recovery_part(feeder.state_after(golden["i"])).items()} == wanted:
            return path
    return None


def check_pulled(backup: Path, recorded: State) -> None:
    """Hold the pulled file against the recorded state, entry by entry. Raises DemoFailed."""
    pulled = json.loads(backup.read_bytes())["state"]["values"]
    if pulled.keys() != recorded.keys():
        raise DemoFailed(f"other keys were pulled: {sorted(pulled.keys() ^ recorded.keys())}")
    for key, entry in recorded.items():
        wanted = [entry.version, json.loads(entry.value)] + ([list(entry.signature)] if entry.signature else [])
        if pulled[key] != wanted:
            raise DemoFailed(f"another entry was pulled for {key}")


def check_conversion(feeder: Feeder, run: Path, after_request: int, backup: Path) -> None:
    """Convert the pulled file, and hold the conversion against the golden one where one fits. Raises DemoFailed."""
    output = OUT / "cln-recoverchannel.json"
    args = ["convert-backup", "--path", str(backup), "--format", "cln", "--output", str(output)]
    done = command(*args)
    if done.returncode == INCOMPLETE and b"no complete channel" not in done.stderr:
        say("A channel is incomplete: on a bad day you would still save the others.")
        done = command(*args, "--skip-incomplete")
    golden = fitting_golden(feeder, run, after_request)
    if golden is None:
        if done.returncode not in (0, INCOMPLETE):
            raise DemoFailed(f"the conversion ended with status {done.returncode}")
        say("(No golden conversion fits the state of the last snapshot.)")
        return
    wanted = json.loads(golden.read_bytes())["recoverchannel"]
    if not wanted["scb"]:
        if done.returncode != INCOMPLETE:
            raise DemoFailed("there is no complete channel, and yet the conversion was not refused")
    elif done.returncode or output.read_text() != json.dumps(wanted, indent=2) + "\n":
        raise DemoFailed(f"the conversion is not what {golden.name} says")
    say(f"The conversion equals the golden file {golden.name}.")


def demo(run: Path, strategy: str) -> None:
    """Show everything. Raises DemoFailed."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    flash, backup = OUT / "flash.bin", OUT / "backup.json"
    feeder = Feeder(run)
    say("A simulated board (a real MicroPython behind a serial port) signs for a node:")
    say(f"{len(feeder.requests)} requests, recorded from a real VLS signer in {run.name}.")
    say(f"It keeps snapshots on its flash by strategy {strategy}.\n")
    environment = {
        "VLS_SIM_FLASH": str(flash),
        "VLS_SIM_RUN": str(run.resolve()),
        "VLS_SIM_STRATEGY": strategy,
        "VLS_SIM_LOG": str(OUT / "board.log"),
    }
    with SimulatedBoard(ROOT / "firmware" / "main.py", environment) as board:
        playback = Playback(board, flash, feeder)
        playback.run(None if strategy == "never" else len(feeder.requests) // 2, say)
        notes = playback.snapshots
        (OUT / "snapshots.json").write_text(json.dumps([asdict(note) for note in notes], indent=2) + "\n")
        total = sum(note.programmed_bytes for note in notes)
        say(f"\nThe run is over: {len(notes)} snapshots, {total:,} bytes programmed (snapshots.json lists them).")
        if strategy != "never" and playback.resumed_at is None:
            say("(The flash was not written after the middle of the run: the power was not cut.)")
        say("Now imagine that the node is lost, and the board is all you have.")
        done = command("pull", "--port", str(board.port), "--output", str(backup))
    if not notes:
        if done.returncode != NO_SNAPSHOT:
            raise DemoFailed(f"pull ended with status {done.returncode}, not with {NO_SNAPSHOT} for no snapshot")
        say("\nAs it should be: without a snapshot there is nothing to recover from. Try STRATEGY=new-channels-only.")
        return
    if done.returncode:
        raise DemoFailed(f"pull ended with status {done.returncode}")
    after = notes[-1].after_request
    check_pulled(backup, feeder.state_after(after))
    say(f"\nThe pulled state equals the recorded state after request {after}, that of the last snapshot.")
    if command("inspect-backup", "--path", str(backup), "--format", "text").returncode:
        raise DemoFailed("inspect-backup refused the pulled file")
    check_conversion(feeder, run, after, backup)
    say(f"\nBoth files are in {OUT.relative_to(ROOT)}: backup.json, cln-recoverchannel.json.")
    say("Next: docs/recovery.md says how lightningd gets the money back with them.")


def main() -> int:
    """Parse the arguments, show the demo, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=ROOT / "tests" / "vectors" / "signer-run" / "a.jsonl")
    parser.add_argument("--strategy", default="periodic:1", help="never, new-channels-only or periodic:N")
    args = parser.parse_args()
    try:
        demo(args.run, args.strategy)
    except (DemoFailed, OSError, ValueError) as error:
        say(f"\nThe demo FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
