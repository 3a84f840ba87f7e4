"""What a node and the signer say to each other: requests come in as chunks, answers go out as chunks."""

from binascii import hexlify, unhexlify

from backup_format.errors import FormatError
from backup_format.frames import E_ATTACH, E_NODE, E_ORDER, ServiceError
from backup_format.port import sha256

from .answer import Answer
from .changes import ChangeLog
from .engine import EngineError
from .merge import CONFLICT, KEPT, merge
from .protobuf import RequestDecoder

_OWNED = ("nodes", "nodestates", "channels", "allowlists", "trackers")  # their keys begin with the node id


class Session:
    """Takes requests, merges their entries into the store, asks the engine, and holds the answer.

    node_id: 33 bytes, or None until a `nodes/<hex>` key was seen. conflicts: entries refused by the merge so far.
    answer: the Answer to the last request, or None.
    """

    def __init__(self, store, engine):
        self.node_id = None
        self.conflicts = 0
        self.answer = None
        self._store = ChangeLog(store)
        self._engine = engine
        self._attached = False
        self._attaching = False
        self._decoder = None
        self._attach = False  # the request that is being received is an attach
        self._received = 0
        self._total = 0
        self._sent = set()  # marks of the entries that this request carried
        self._owed = set()  # keys of carried entries that differ from ours
        self._find_node()

    def attach(self):
        """A node attaches: its next request carries its whole state. Drops a half-received request."""
        self._attached = self._attaching = True
        self._decoder = None
        self._find_node()

    def _find_node(self):
        """Learn whose state the store holds: nobody's any more if it was emptied meanwhile."""
        known, self.node_id = self.node_id, None
        try:
            for key in self._store.keys():
                self._note_node(key)
                if self.node_id:
                    return
        except OSError:
            self.node_id = known  # a dead medium: the node tells its key when it attaches

    def take(self, offset, total, data):
        """Take one chunk (data, at offset of total) of a request; return whether answer now holds the answer to it.

        Entries are merged as they come: that is monotone, so a request that stops half-way does no harm. Raises
        ServiceError for a chunk out of order, before a node attached or of another node, FormatError for a malformed
        request, and what store and engine raise; the request is then dropped.
        """
        if not self._attached:
            raise ServiceError(E_ATTACH, "the board started anew: attach, and send the whole state")
        decoder = self._decoder
        self._decoder = None
        if offset == 0:
            decoder = self._begin(total)
        elif decoder is None or offset != self._received or total != self._total:
            raise ServiceError(E_ORDER, "chunk at %d of %d doesn't follow; begin the request again" % (offset, total))
        self._received += len(data)
        if self._received > total or (total and not data):
            raise FormatError("chunk of %d bytes at %d of %d" % (len(data), offset, total))
        decoder.feed(data)
        if self._received < total:
            self._decoder = decoder
            return False
        self._finish(decoder.finish())
        return True

    def take_changes(self):
        """Return what the store went through since the last call, as ChangeLog.take. Raises OSError."""
        return self._store.take()

    def _begin(self, total):
        self.answer = None
        self._attach = self._attaching
        self._attaching = False
        self._received = 0
        self._total = total
        self._sent = set()
        self._owed = set()
        return RequestDecoder(self._merge)

    def _merge(self, version, key, value, signature):
        self._note_node(key)
        owner = _owner(key)
        if owner and self.node_id and owner != self.node_id:
            raise ServiceError(E_NODE, "this board holds the state of node %s" % hexlify(self.node_id).decode())
        outcome = merge(self._store, key, version, signature, value)
        if outcome == CONFLICT:
            self.conflicts += 1
        if outcome == CONFLICT or outcome == KEPT:
            self._owed.add(key)
        self._sent.add(_mark(key, version, signature))

    def _finish(self, request):
        request_id = request.request_id
        try:
            raw = self._engine.handle(request, self._store)
        except EngineError as error:
            self.answer = Answer(self._store, request_id, error=str(error) or "refused")
            return
        keys = self._store.keys() if self._attach else self._owed.union(self._store.touched())
        news = []
        for key in keys:
            entry = self._store.get(key)
            if entry is not None and _mark(key, entry.version, entry.signature) not in self._sent:
                news.append(key)
        news.sort()
        if self.node_id is None:
            for key in news:
                self._note_node(key)
        self.answer = Answer(self._store, request_id, raw, news)

    def _note_node(self, key):
        if self.node_id is None and key.startswith("nodes/"):
            self.node_id = _owner(key)


def _owner(key):
    """Return the node id (33 bytes) that a key begins with, or None: peers and keys of no known form have none."""
    prefix, _slash, rest = key.partition("/")
    if prefix not in _OWNED or len(rest) < 66:
        return None
    try:
        return unhexlify(rest[:66])
    except ValueError:
        return None


def _mark(key, version, signature):
    """Return 8 bytes that stand for this version of the entry: a whole state of keys would be too long to hold."""
    digest = sha256()
    digest.update(key.encode())
    digest.update(version.to_bytes(8, "big"))
    digest.update(signature)
    return digest.digest()[:8]
