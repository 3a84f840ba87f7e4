"""A host that asks the services of a board; for tests on any VM."""

import json

from backup_format.frames import MAX_TO_HOST, ServiceError
from runtime_rig import Board
from signer_backup.service import BackupService


class ServiceHost:
    """Asks the service of a board."""

    def __init__(self, flash, strategy="periodic:1"):
        self.board = Board(flash, strategy)
        self.handlers = BackupService(self.board.runtime, "test board", b"\x01\xab").handlers

    def ask(self, kind, payload=b""):
        answer = bytes(self.handlers[kind](payload))
        assert len(answer) <= MAX_TO_HOST
        return answer

    def json(self, kind, payload=b""):
        return json.loads(str(self.ask(kind, payload), "utf-8"))

    def error(self, kind, payload=b""):
        try:
            self.handlers[kind](payload)
        except ServiceError as error:
            return error.code, error.text
        return None
