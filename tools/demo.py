"""`make demo`: a recorded signer run on the simulated board, a power cut, and the way to recoverchannel's input."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from vls_backup.errors import BackupError
from vls_backup_sim.bridge import SimulatedBoard
from vls_backup_sim.feeder import Feeder, State
from vls_backup_sim.playback import Playback
from vls_backup_sim.settings import board_settings
from vls_backup_sim.vm import ROOT

FILES = ("flash.bin", "board.log", "backup.json", "cln-recoverchannel.json", "snapshots.json", "flash.bin.cut")
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
        path: Path = run.parent / golden["backup"].replace(".backup.json", ".expected.json")
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


def check_conversion(golden: Path | None, backup: Path, output: Path) -> None:
    """Convert the pulled file, and hold the conversion against the golden one. Raises DemoFailed.

    golden None: no recorded conversion fits; the tool must then still convert, or refuse what is incomplete.
    """
    args = ["convert-backup", "--path", str(backup), "--format", "cln", "--output", str(output)]
    done = command(*args)
    if done.returncode == INCOMPLETE and b"no complete channel" not in done.stderr:
        say("A channel is incomplete: on a bad day you would still save the others.")
        done = command(*args, "--skip-incomplete")
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


def demo(feeder: Feeder, run: Path, strategy: str, out: Path) -> None:
    """Show everything; the files go to the folder out. Raises DemoFailed."""
    flash, log, backup, output = (out / name for name in FILES[:4])
    settings = board_settings(flash, strategy, run, log)
    out.mkdir(parents=True, exist_ok=True)
    for old in FILES:
        (out / old).unlink(missing_ok=True)
    say("A simulated board (a real MicroPython behind a serial port) signs for a node: the")
    say(f"{len(feeder.requests)} requests recorded from a real VLS signer in {run.name}.")
    say(f"It keeps snapshots on its flash by strategy {strategy}.\n")
    with SimulatedBoard(ROOT / "firmware" / "main.py", settings) as board:
        playback = Playback(board, flash, feeder)
        playback.run(None if strategy == "never" else len(feeder.requests) // 2, say)
        notes = playback.snapshots
        (out / "snapshots.json").write_text(json.dumps([asdict(note) for note in notes], indent=2) + "\n")
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
    check_conversion(fitting_golden(feeder, run, after), backup, output)
    say(f"\nThe files are in {out}: {', '.join(p.name for p in (backup, output) if p.exists())}.")
    say("Next: docs/recovery.md says how lightningd gets the money back with them.")


def main() -> int:
    """Parse the arguments, show the demo, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=ROOT / "tests" / "vectors" / "signer-run" / "a.jsonl")
    parser.add_argument("--strategy", default="periodic:1", help="never, new-channels-only or periodic:N")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "demo", help="the folder for its files")
    args = parser.parse_args()
    try:
        demo(Feeder(args.run), args.run, args.strategy, args.out)
    except OSError as error:
        return failed(f"{error.filename or 'the system'}: {error.strerror or error}")
    except (DemoFailed, BackupError, ValueError) as error:
        return failed(str(error))
    except KeyboardInterrupt:
        say("\nStopped by Ctrl-C.")
        return 130
    return 0


def failed(reason: str) -> int:
    """Say why the demo failed, in one line, and return the exit status."""
    print(f"\nThe demo FAILED: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
