"""What a large request costs in RAM. Only where the VM's heap can be measured: CPython and WebAssembly can't."""

import gc

from backup_format.frames import HEAD, MAX_TO_HOST
from faulty_flash import RamFlash
from journal_rig import NODE, Rig
from loop_rig import entry, field
from medium_content import SMALL_HEAP
from signer.answer import Answer
from signer.protobuf import RequestDecoder
from signer.store import TextWriter

SIZE = 12000 if SMALL_HEAP else 40000  # bytes of JSON text, and of a raw message
CHUNK = 232  # bytes of a request in one frame
SLACK = 9000  # bytes for what doesn't grow with the request, on 64 bits


def allocated():
    """Return the bytes in use, or None where this VM can't tell."""
    if not hasattr(gc, "mem_alloc"):
        return None
    used = gc.mem_alloc()
    garbage = bytearray(20000)
    del garbage
    gc.collect()
    return gc.mem_alloc() if gc.mem_alloc() < used + 10000 else None  # WebAssembly collects only between programs


def chunks(message):
    """Yield message in chunks, made one by one."""
    for at in range(0, len(message), CHUNK):
        yield message[at : at + CHUNK]


def used(steps):
    """Return the bytes in use behind each of the steps; None: this VM can't tell."""
    found = [allocated() for _ in steps]
    return None if None in found else found


def big_value():
    """Return a value of SIZE bytes that gets about half as long in compact coding."""
    return b"[" + b",".join([b'"%064x"' % i for i in range(SIZE // 67)]) + b"]"


def fed(decoder, message):
    """Feed message to decoder; the first step is before."""
    yield
    for chunk in chunks(message):
        decoder.feed(chunk)
        yield
    decoder.finish()


def test_a_large_message_is_held_once():
    message = field(1, 7) + field(3, bytes(SIZE)) + field(2, field(2, 9))
    decoder = RequestDecoder(print, TextWriter)
    heap = used(fed(decoder, message))
    assert heap is None or SIZE <= max(heap) - heap[0] < SIZE + SLACK, heap
    assert len(decoder.finish().raw) == SIZE


def test_a_large_value_is_held_coded():
    rig = Rig(RamFlash())
    value = big_value()

    def put(version, key, coded, signature):
        rig.state.put(key, version, signature, coded)

    decoder = RequestDecoder(put, rig.state.writer)
    heap = used(fed(decoder, entry("trackers/aa", 1, value)))
    # Behind the second chunk the stack has forgotten what made the message: the collector is conservative.
    assert heap is None or SIZE // 2 < heap[-1] - heap[2] < SIZE * 0.6 + SLACK, heap
    assert rig.state.get("trackers/aa").value == value


def test_a_large_value_on_the_medium_is_never_held():
    rig = Rig(RamFlash())
    rig.put("trackers/aa", 1, big_value())
    rig.save()
    rig.expected = None
    answer = Answer(rig.state, 1, keys=lambda: ["trackers/aa"])
    frame = bytearray(HEAD + MAX_TO_HOST)

    def fetched():
        offset = 0
        while offset < answer.total:
            offset += answer.read(offset, frame, HEAD, MAX_TO_HOST)
            yield

    heap = used(fetched())
    assert heap is None or max(heap) - min(heap) < SLACK, heap
    assert answer.total > SIZE and rig.journal.node_id == NODE
