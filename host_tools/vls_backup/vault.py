"""A board as a vault: gives it the state that a backup file holds, as a node gives its signer what changed."""

from __future__ import annotations

from vls_backup.backup_file import Backup
from vls_backup.errors import BackupError, BoardError, FieldError
from vls_backup.fields import laid_out
from vls_backup.hsm import HsmResponse, StateEntry, decode_response, encode_request
from vls_backup.link import Link

_HEARTBEAT = (2008).to_bytes(2, "big")  # hsmd message GetHeartbeat: what greets a signer that attaches

State = dict[str, StateEntry]


def state_of(backup: Backup) -> State:
    """Return a backup's entries as a node sends them: values compact, tombstones as `null`. Raise BackupError."""
    state = {}
    for key, entry in backup.values.items():
        try:
            state[key] = StateEntry(entry.version, laid_out(bytes(entry.value), -1), bytes(entry.signature))
        except FieldError as error:
            raise BackupError(f"{backup.name}: {key}: {error}") from error
    return state


class Vault:
    """One board that is fed. newer: the keys that the board turned out to hold in a newer version than we sent."""

    def __init__(self, link: Link) -> None:
        """link: to a board whose engine is the follower."""
        self._link = link
        self._sent: State = {}
        self.newer: set[str] = set()

    def attach(self, state: State) -> None:
        """Give the board the whole state. Raises BoardError."""
        self._link.hello(attach=True)
        self._sent = {}
        self.newer = set()
        self.send(state)

    def send(self, state: State) -> int:
        """Give the board what changed since the last time; return how many entries. Raises BoardError.

        A key that is gone from state stays on the board: a tombstone can't be taken back, and the file may be an older
        one. What the board holds in a newer version stays too.
        """
        news = {key: entry for key, entry in state.items() if self._sent.get(key) != entry}
        if news:
            answer = self._request(news)
            self._sent |= news
            for key, theirs in answer.signer_state.items():
                ours = state.get(key)
                if ours is not None and theirs.version > ours.version:
                    self.newer.add(key)
        return len(news)

    def _request(self, news: State) -> HsmResponse:
        answer = decode_response(self._link.request(encode_request(0, _HEARTBEAT, sorted(news.items()))))
        if answer.error:
            raise BoardError(f"The board refused the state: {answer.error}.")
        return answer
