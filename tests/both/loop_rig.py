"""A signer loop on an in-memory pipe, and a host that speaks to it frame by frame; for any VM."""

from backup_format import frames
from signer.follower import FollowerEngine
from signer.loop import SignerLoop
from signer.store import PlainStore


class Pipe:
    """The board's link object: what was put into to_board is read, what is written gathers in to_host."""

    def __init__(self):
        self.to_board = b""
        self.to_host = b""
        self.write_errors = 0  # so many writes fail

    def read(self, timeout_ms, limit):
        """Return up to limit waiting bytes."""
        data = self.to_board[:limit]
        self.to_board = self.to_board[limit:]
        return data

    def write(self, data):
        """Take data for the host, or raise OSError."""
        if self.write_errors:
            self.write_errors -= 1
            raise OSError(5)
        self.to_host += bytes(data)


class Rig:
    """A loop with its pipe, and a node attached. hooked: the calls of the hook; logged: the lines of the log."""

    def __init__(self, store, engine, attached=True, **options):
        self.pipe = Pipe()
        self.hooked = []
        self.logged = []
        options.setdefault("hook", lambda node_id, changes: self.hooked.append((node_id, changes)))
        self.loop = SignerLoop(self.pipe, store, engine, log=self.logged.append, **options)
        self.seq = 100
        if attached:
            self.ask(frames.HELLO, bytes((frames.ATTACH,)))

    def push(self, data):
        """Hand bytes to the loop; return the frames that it answers, as (kind, seq, payload, crc)."""
        self.pipe.to_board += data
        running = True
        while self.pipe.to_board and running:
            running = self.loop.step(0)
        reader = frames.FrameReader(frames.MAX_TO_HOST)
        reader.feed(self.pipe.to_host, 0)
        self.pipe.to_host = b""
        answers = []
        while True:
            frame = reader.next()
            if frame is None:
                assert not reader.inside and not reader.damaged
                return answers
            answers.append(frame)

    def ask(self, kind, payload=b""):
        """Send one frame with a new sequence number; return (kind, payload) of its one answer."""
        self.seq += 1
        answers = self.push(frames.encode(kind, self.seq, payload))
        assert len(answers) == 1 and answers[0][1] == self.seq
        return answers[0][0], answers[0][2]

    def request(self, message, chunk=232):
        """Send an HsmRequest; return the HsmResponse as bytes, or (code, text) of an ERROR frame."""
        at = 0
        while True:
            part = message[at : at + chunk]
            kind, payload = self.ask(frames.REQUEST, u32(at) + u32(len(message)) + part)
            at += len(part)
            if kind != frames.ACK:
                break
            assert payload == u32(at) and at < len(message)
        response = b""
        while kind == frames.RESPONSE:
            assert payload[4:8] == u32(len(response))
            response += payload[8:]
            if payload[:4] == u32(len(response)):
                return response
            kind, payload = self.ask(frames.FETCH, u32(len(response)))
        assert kind == frames.ERROR
        return payload[0], str(payload[1:], "utf-8")


class ScriptedEngine:
    """Does what it is told: called(request, store) for each request; the last request is kept."""

    def __init__(self, called):
        self.called = called
        self.request = None

    def handle(self, request, store):
        self.request = request
        return self.called(request, store)


def follower(store=None, **options):
    """Return a Rig with the follower engine."""
    return Rig(store or PlainStore(), FollowerEngine(), **options)


def brief(changes):
    """Return changes with versions in place of entries."""
    return [(key, before and before.version, after.version) for key, before, after in changes]


def u32(n):
    """Return n as 4 bytes, big-endian."""
    return n.to_bytes(4, "big")


def varint(n):
    """Return n as a protobuf varint."""
    out = b""
    while n > 127:
        out += bytes((n & 127 | 128,))
        n >>= 7
    return out + bytes((n,))


def field(number, value):
    """Return a protobuf field: an integer as varint, bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def entry(key, version, value, signature=b""):
    """Return an encoded SignerStateEntry as field 4 of an HsmRequest."""
    body = field(1, version) if version else b""
    body += field(2, key.encode()) + field(3, value)
    if signature:
        body += field(4, signature)
    return field(4, body)


def answered(key, version, value, signature=b""):
    """Return an encoded SignerStateEntry as field 5 of an HsmResponse."""
    return b"\x2a" + entry(key, version, value, signature)[1:]
