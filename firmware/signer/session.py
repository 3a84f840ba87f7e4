"""What a node and the signer say to each other: requests come in as chunks, answers go out as chunks."""

from binascii import hexlify, unhexlify

from backup_format.errors import FormatError
from backup_format.frames import E_ATTACH, E_NODE, E_ORDER, ServiceError
from backup_format.port import const

from .answer import Answer
from .changes import ChangeLog
from .engine import EngineError
from .merge import CONFLICT, KEPT, merge
from .protobuf import RequestDecoder

_MOST_CHANGES = const(16)  # of one request, before they are handed on: a whole state of them would fill the RAM
_OWNED = ("nodes", "nodestates", "channels", "allowlists", "trackers")  # their keys begin with the node id


class Session:
    """Takes requests, merges their entries into the store, asks the engine, and holds the answer.

    on_changes(changes): takes what take_changes returns, before the request is over, when a request changes much.
    node_id: 33 bytes, or None until a key that begins with it was seen. conflicts: entries refused by the merge so far.
    answer: the Answer to the last request, or None.
    """

    def __init__(self, store, engine, on_changes):
        self.node_id = None
        self.conflicts = 0
        self.answer = None
        self._store = store
        self._changes = ChangeLog(store)
        self._engine = engine
        self._on_changes = on_changes
        self._attached = False
        self._attaching = False
        self._decoder = None
        self._attach = False  # the request that is being received is an attach
        self._received = 0
        self._total = 0
        self._owed = set()  # keys of carried entries that differ from ours; not kept for an attach
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
                self.node_id = _owner(key)
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
        return self._changes.take()

    def _begin(self, total):
        self.answer = None
        self._attach = self._attaching
        self._attaching = False
        self._received = 0
        self._total = total
        self._owed = set()
        if self._attach:
            self._store.forget_known()
        return RequestDecoder(self._merge, self._store.writer)

    def _merge(self, version, key, value, signature):
        owner = _owner(key)
        self.node_id = self.node_id or owner
        if owner and owner != self.node_id:
            raise ServiceError(E_NODE, "this board holds the state of node %s" % hexlify(self.node_id).decode())
        outcome = merge(self._changes, key, version, signature, value)
        if outcome == CONFLICT:
            self.conflicts += 1
        if outcome != CONFLICT and outcome != KEPT:
            self._store.set_known(key)
        elif not self._attach:
            self._owed.add(key)
        if len(self._changes) >= _MOST_CHANGES:
            self._on_changes(self._changes.take())

    def _finish(self, request):
        request_id = request.request_id
        try:
            raw = self._engine.handle(request, self._changes)
        except EngineError as error:
            self.answer = Answer(self._store, request_id, error=str(error) or "refused")
            return
        touched = self._changes.touched()
        for key in touched:
            self.node_id = self.node_id or _owner(key)
        if self._attach:
            self.answer = Answer(self._store, request_id, raw, self._unknown)
        else:
            news = [key for key in self._owed.union(touched) if not self._store.is_known(key)]
            news.sort()
            self.answer = Answer(self._store, request_id, raw, lambda: news)

    def _unknown(self):
        """Yield the keys whose entries the node is not known to have: too many, maybe, to hold them in a list."""
        for key in self._store.keys():
            if not self._store.is_known(key):
                yield key


def _owner(key):
    """Return the node id (33 bytes) that a key begins with, or None: peers and keys of no known form have none."""
    prefix, _slash, rest = key.partition("/")
    if prefix not in _OWNED or len(rest) < 66:
        return None
    try:
        return unhexlify(rest[:66])
    except ValueError:
        return None
