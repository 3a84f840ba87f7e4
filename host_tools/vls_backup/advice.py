"""What convert-backup tells its user to do with each form that it makes."""

import shlex

from vls_backup.console import printable

SHELL_LOOP = r"""for scb in $(jq -r '.scb[]' {file}); do lightning-cli recoverchannel "[\"$scb\"]"; done"""
"""Gives lightningd the SCBs in {file}, one per call."""

_WARNING = """
This is a safety net for a node that is lost for good, never a way to move it: do not run the old node and the
recovered one side by side. Peers punish an old state by taking the whole channel.
"""
_LOOP = """
Give lightningd one SCB per call: of a call with a bad one in it, lightningd stores nothing. Either by
  vls-backup recover --path {backup} --rpc LIGHTNING_DIR/NETWORK/lightning-rpc
which also checks what lightningd stored, or by this shell loop:
  {loop}
"""
_SECOND_LOOP = """
This is for the second pass only. When the money of the first pass has been withdrawn, stop that lightningd for good.
Start another one in a fresh lightning-dir with the same hsm_secret, and give it one SCB per call (of a call with a bad
one in it, lightningd stores nothing):
  {loop}
Then restart it with --rescan=-HEIGHT, where HEIGHT is a block before the first channel was closed.
"""
_EMERGENCY = """
Into a fresh lightning-dir with this hsm_secret, put the file where lightningd looks for it, before the first start:
  cp {file} LIGHTNING_DIR/NETWORK/emergency.recover
Start lightningd with its plugin chanbackup (which other ways do without), wait until it is in sync, then:
  lightning-cli emergencyrecover
All SCBs go in one call there; each was checked by our own decoder. Keep your own copy: lightningd writes the file anew
later, in a form that loses money.
"""
_SECOND_EMERGENCY = """
This is for the second pass only. When the money of the first pass has been withdrawn, stop that lightningd for good;
take another fresh lightning-dir; and after emergencyrecover restart with --rescan=-HEIGHT, where HEIGHT is a block
before the first channel was closed.
"""
_LIMITS = """
Dual-funded (v2) channels are not supported: their channel ids cannot be told from a signer's state.
What comes before and after is in docs/recovery.md."""


def advice(form: str, second_pass: bool, backup: str, output: str | None) -> str:
    """Return what to do next with a form ("cln" or "emergency-recover") made of the file backup ("-": a pipe)."""
    if form == "cln":
        text = _SECOND_LOOP if second_pass else _LOOP
    else:
        text = (_SECOND_EMERGENCY if second_pass else "") + _EMERGENCY
    names = {"backup": "BACKUP" if backup == "-" else backup, "file": output or "FILE"}
    names = {name: shlex.quote(printable(value)) for name, value in names.items()}
    return _WARNING + text.format(**names, loop=SHELL_LOOP.format(**names)) + _LIMITS
