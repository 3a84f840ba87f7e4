"""What every command keeps to (docs/command.md). They come from click's own tree, so that no new one is forgotten."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from backup_cases import MIXED, ONE_CHANNEL, Ran, load, run
from click.shell_completion import BashComplete

from vls_backup.cli import group
from vls_backup.errors import EXIT_STATUS_HELP
from vls_backup.options import PORT

ROOT = Path(__file__).resolve().parents[2]
MANNERS = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")


def walk(command: click.Command, names: list[str]) -> Iterator[tuple[list[str], click.Command]]:
    """Yield (names on the command line, command) of everything that can be run."""
    if not isinstance(command, click.Group):
        yield names, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from walk(found, [*names, name])


TREE = dict((" ".join(names), command) for names, command in walk(group, []))
ALL = pytest.mark.parametrize("name", TREE)


def takes_a_place(param: click.Parameter) -> bool:
    """Tell whether a parameter names a file or a port, which can be a bad one."""
    return isinstance(param.type, click.Path) or param.type is PORT


VALUES = {"board": "rp2", "strategy": "never"}
"""For what else a command requires; a new one is to be added here."""

COMPANIONS: dict[tuple[str, str | None], list[object]] = {
    ("pull", "output"): ["--port", "/nowhere"],
    ("convert-backup", "hsm_secret"): ["--format", "emergency-recover", "--output", "never-written"],
    ("recover", "rpc"): ["--watch"],
    ("recover", "peers"): ["--watch"],
}
"""What goes with an option that can't stand alone."""

OTHERS_FIRST = {("deploy", "port")}
"""Where another fault is found before this one: here, that no firmware was built."""

WITHOUT_PLACES = {"devices"}
"""Commands to which nothing can be handed that isn't there."""


def arguments(name: str, bad: click.Parameter, value: object) -> list[object]:
    """Return a command line in which bad has this value, and every other required parameter a plausible one."""
    line: list[object] = [*name.split(), *COMPANIONS.get((name, bad.name), [])]
    for param in TREE[name].params:
        if param is bad:
            given = value
        elif not param.required:
            continue
        elif takes_a_place(param):
            given = "/nowhere" if param.type is PORT else ONE_CHANNEL
        else:
            assert param.name in VALUES, f"{name} requires {param.name}: say in VALUES what to hand to it"
            given = VALUES[param.name]
        line += [param.opts[0], given] if isinstance(param, click.Option) else [given]
    return line


NO_FAULTS = {
    ("sim", "flash", "garbage"): "a flash that was never erased",
    ("convert-backup", "output", "garbage"): "replaced",
    ("pull", "output", "garbage"): "replaced, if the board is there",
    ("follow", "path", "a folder"): "waited for",
    ("follow", "path", "garbage"): "waited for: it may be half-written",
    ("follow", "port", "missing"): "waited for: the cable may be pulled",
    ("follow", "port", "a folder"): "waited for",
    ("follow", "port", "garbage"): "waited for",
}
"""What is no bad place after all, and why."""

BAD = [
    (name, param, kind)
    for name, command in TREE.items()
    for param in command.params
    if takes_a_place(param)
    for kind in ("missing", "a folder", "garbage")
    if (name, param.name, kind) not in NO_FAULTS
]


def refused(ran: Ran) -> str:
    """Return the message of a refusal, after checking its style."""
    assert (ran.out, ran.status not in (0, 130)) == ("", True), ran
    assert "Traceback" not in ran.err and "internal:" not in ran.err
    *before, last = ran.err.split("Error: ")
    assert len(before) == 1, "one message, and no second one"
    assert before[0] == "" or before[0].endswith("\n")
    assert last.endswith("\n") and last[0].strip() and not last.endswith("\n\n")
    assert "\x1b" not in ran.err
    return last


@ALL
def test_help(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, *name.split(), "--help")
    assert (ran.status, ran.err) == (0, "")
    assert f"\n    vls-backup {name} " in ran.out, "no example"
    assert ran.out.startswith(f"Usage: vls-backup {name} ")
    assert all(param.help for param in TREE[name].params if isinstance(param, click.Option))


@ALL
def test_wrong_usage(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    ran = run(capfd, *name.split(), "--no-such-option")
    assert ran.status == 2
    assert "--no-such-option" in refused(ran)
    assert f"vls-backup {name} --help" in ran.err


def test_the_table_is_whole() -> None:
    assert {name for name, _, _ in BAD} == set(TREE) - WITHOUT_PLACES


@pytest.mark.parametrize(("name", "param", "kind"), BAD, ids=[f"{n} {param.name} {kind}" for n, param, kind in BAD])
def test_a_bad_place(
    name: str, param: click.Parameter, kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "none" / "there"
    if kind == "a folder":
        place = tmp_path
    elif kind == "garbage":
        place = tmp_path / "garbage"
        place.write_bytes(b"\xff\x00 not what you think\n")
    message = refused(run(capfd, *arguments(name, param, place)))
    assert str(place) in message or (name, param.name) in OTHERS_FIRST
    assert sorted(tmp_path.iterdir()) == ([place] if kind == "garbage" else [])


@pytest.mark.parametrize("words", ["cannot be read: No such file or directory. Check its name", "internal: KeyError"])
def test_debug_lets_the_traceback_through(
    words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "internal" in words:
        monkeypatch.setattr("vls_backup.diff.read_backup", {}.__getitem__)
    line = ["diff", tmp_path / "none", tmp_path / "none"]
    ran = run(capfd, *line)
    assert (ran.status, ran.out, "Traceback" in ran.err) == (1, "", False)
    assert words in ran.err
    assert ("vls-backup --debug" in ran.err) == ("internal" in words)
    ran = run(capfd, "--debug", *line)
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1].startswith("Error: ")


def test_exit_statuses_are_documented() -> None:
    of_help = re.findall(r"^  (\d+) +(.*)$", EXIT_STATUS_HELP, re.MULTILINE)
    of_docs = re.findall(r"^\| (\d+) \| (.*) \|$", MANNERS, re.MULTILINE)
    assert len(of_help) > 8
    assert of_docs == of_help
    named = {error.exit_status for error in all_errors()}
    assert {str(status) for status in named} <= {status for status, _ in of_help}


def all_errors() -> list[type]:
    from vls_backup.errors import BackupError

    found: list[type] = [BackupError]
    for error in found:
        found += error.__subclasses__()
    return found


def complete(line: str) -> list[str]:
    """Return what click offers to bash for the last word of a line."""
    *words, last = line.split(" ")[1:]
    offered = BashComplete(group, {}, "vls-backup", "_VLS_BACKUP_COMPLETE").get_completions(words, last)
    return [f"{item.type},{item.value}" for item in offered]


def test_completion() -> None:
    assert [f"plain,{name}" for name in TREE] == complete("vls-backup ")
    assert complete("vls-backup conv") == ["plain,convert-backup"]
    assert "plain,emergency-recover" in complete("vls-backup convert-backup --format ")
    assert complete("vls-backup configure --strategy p") == ["plain,periodic"]
    for line in ("convert-backup --path ", "verify --hsm-secret ", "pull --output ", "diff "):
        assert complete(f"vls-backup {line}") == ["file,"], line


def test_documented_completion_lines(tmp_path: Path) -> None:
    """Bash takes its line, and completes; the others' scripts are at least what click makes for these shells."""
    program = tmp_path / "vls-backup"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m vls_backup "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def in_bash(script: str) -> str:
        command = ["bash", "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
        assert done.stderr == ""
        return done.stdout

    lines = dict(re.findall(r"^\| (bash|zsh|fish)\b.* \| `(.*)` \|$", MANNERS, re.MULTILINE))
    assert set(lines) == {"bash", "zsh", "fish"}
    for shell in ("zsh", "fish"):
        source = lines[shell].removeprefix('eval "$(').removesuffix(')"').partition(" \\|")[0]
        assert "_vls_backup_completion" in in_bash(source)
    press_tab = 'COMP_WORDS=(vls-backup conv) COMP_CWORD=1; _vls_backup_completion vls-backup; echo "${COMPREPLY[@]}"'
    assert in_bash(f"{lines['bash']}\n{press_tab}") == "convert-backup\n"


def test_no_colours_but_on_a_terminal(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for line in (["inspect-backup", "--format", "text"], ["verify"], ["convert-backup", "--skip-incomplete"]):
        ran = run(capfd, line[0], "--path", MIXED, *line[1:])
        assert "\x1b" not in ran.out + ran.err


def test_json_alone_on_stdout(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines: list[list[object]] = [
        ["inspect-backup", "--path", MIXED],
        ["verify", "--path", MIXED, "--json"],
        ["diff", MIXED, MIXED, "--json"],
        ["convert-backup", "--path", MIXED, "--skip-incomplete"],
        ["devices", "--json"],
    ]
    for line in lines:
        out = tmp_path / "out"
        out.write_text(run(capfd, *line).out)
        assert load(out) is not None
