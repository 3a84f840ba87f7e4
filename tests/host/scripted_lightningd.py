"""A small lightningd for the tests of `recover`: its JSON-RPC on a real Unix socket, over a ScriptedNode.

As the real one, it dies of an SCB that it doesn't like.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scripted_node import RpcFailure, Script, ScriptedNode, recorded_error


class ScriptedLightningd:
    """Serves path until stop(). calls counts what was asked; node is what it acts."""

    def __init__(self, path: Path, script: Script) -> None:
        """Begin to listen."""
        self.path = path
        self.script = script
        self.node = ScriptedNode(script)
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.start()

    def start(self) -> None:
        """Listen, also again after it died or was stopped."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.settimeout(None)
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        self.alive = True
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Go away as if killed: the socket's file stays."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.alive = False
        self.node.connected.clear()

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Answer nothing meanwhile, but stay."""
        with self._lock:
            yield

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._client, args=(listener.accept()[0],), daemon=True).start()

    def _client(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        with connection, suppress(OSError):
            data = b""
            while part := connection.recv(65536):
                data += part
                try:
                    request = json.loads(data)
                except ValueError:
                    continue
                answer = self._answer(request)
                if answer is None:
                    return
                connection.sendall(answer)
                data = b""

    def _answer(self, request: dict[str, Any]) -> bytes | None:
        method, params = request["method"], request["params"]
        with self._lock:
            self.calls[method] += 1
            if (method, self.calls[method]) == self.script.dies_at:
                self.stop()
                return None
            if method in self.script.answers:
                return self.script.answers[method]
            answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
            try:
                handler = getattr(self.node, "do_" + method, None)
                if handler is None or method in self.script.lacks:
                    raise RpcFailure(recorded_error("unknown method/nosuchmethod"))
                if method in self.script.errors:
                    raise RpcFailure(self.script.errors[method])
                answer["result"] = self.script.results[method] if method in self.script.results else handler(**params)
            except RpcFailure as error:
                answer["error"] = error.args[0]
            except ValueError:  # SIGABRT
                self.stop()
                return None
        return json.dumps(answer).encode() + b"\n\n"


@contextmanager
def scripted(folder: Path, script: Script) -> Iterator[ScriptedLightningd]:
    """Run one at folder/lightning-rpc."""
    server = ScriptedLightningd(folder / "lightning-rpc", script)
    try:
        yield server
    finally:
        server.stop()
