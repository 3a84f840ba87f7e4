"""The streaming protobuf codec: messages cut anywhere, unknown fields, malformed ones, and exact bytes."""

from backup_format.errors import FormatError
from loop_rig import answered, entry, field, varint
from medium_content import SMALL_HEAP
from signer import protobuf
from signer.protobuf import RequestDecoder, response_pieces, response_size
from signer.store import TOMBSTONE, Entry, TextWriter

SIGNATURE = bytes(range(64))
REQUEST = (
    field(1, 4000000000)
    + field(2, field(1, b"\x02" * 33) + field(2, 7) + field(3, 32767))
    + field(3, b"\x07\xd8raw")
    + entry("nodes/02", 0, b'{"a":1}', SIGNATURE)
    + entry("channels/02", TOMBSTONE, b"null")
    + field(5, b"first")
    + field(5, b"")
)
ENTRIES = [(0, "nodes/02", b'{"a":1}', SIGNATURE), (TOMBSTONE, "channels/02", b"null", b"")]
UNKNOWN = field(9, 1 << 63) + field(100, b"blob") + varint(11 << 3 | 1) + bytes(8) + varint(12 << 3 | 5) + bytes(4)


def decode(message, cuts=()):
    """Decode message in pieces; return (request, entries)."""
    entries = []
    decoder = RequestDecoder(lambda *fields: entries.append(fields), TextWriter)
    start = 0
    for cut in list(cuts) + [len(message)]:
        decoder.feed(memoryview(message)[start:cut])
        start = cut
    return decoder.finish(), entries


def check(request, entries):
    assert request.request_id == 4000000000
    assert request.context == (b"\x02" * 33, 7, 32767)
    assert request.raw == b"\x07\xd8raw"
    assert request.requests == [b"first", b""]
    assert entries == ENTRIES


def refused(message):
    try:
        decode(message)
    except FormatError as error:
        return str(error)
    return None


def test_whole():
    check(*decode(REQUEST))


def test_cut_at_every_byte():
    check(*decode(REQUEST, range(1, len(REQUEST))))
    for cut in range(len(REQUEST)):
        check(*decode(REQUEST, [cut]))


def test_empty_message_is_all_defaults():
    request, entries = decode(b"")
    assert (request.request_id, request.context, request.raw, request.requests) == (0, None, b"", [])
    assert entries == []


def test_empty_context_is_present():
    assert decode(field(2, b""))[0].context == (b"", 0, 0)


def test_entries_are_handed_on_before_the_message_ends():
    entries = []
    decoder = RequestDecoder(lambda *fields: entries.append(fields), TextWriter)
    decoder.feed(entry("a", 1, b"[]") + b"\x22\xff")
    assert entries == [(1, "a", b"[]", b"")]


def test_unknown_fields_are_skipped_everywhere():
    inner = field(2, b"k") + UNKNOWN + field(3, b"1")
    message = UNKNOWN + field(4, inner) + UNKNOWN + field(2, UNKNOWN + field(2, 5)) + UNKNOWN
    request, entries = decode(message, range(1, len(message)))
    assert entries == [(0, "k", b"1", b"")]
    assert request.context == (b"", 5, 0)


def test_request_id_is_cut_to_32_bits_as_prost_does():
    assert decode(field(1, (1 << 40) + 5))[0].request_id == 5


def test_the_last_of_a_repeated_single_field_counts():
    assert decode(field(3, b"a") + field(3, b"b"))[0].raw == b"b"


def test_cut_off_is_refused():
    # Only between the seven top-level fields is a shorter message a whole one.
    assert sum(refused(REQUEST[:cut]) is None for cut in range(1, len(REQUEST))) == 6


def test_malformed_is_refused():
    for message in (
        b"\x00",  # field 0
        b"\x0b",  # a group
        b"\x0c",
        b"\x0e",  # wire type 6
        b"\x0a\x01x",  # request_id as bytes
        b"\x18\x01",  # raw as a varint
        b"\x20\x01",  # an entry as a varint
        b"\x08" + b"\xff" * 9 + b"\x02",  # a varint of 65 bits
        b"\x08" + b"\xff" * 10 + b"\x01",
        field(4, field(1, 1) + field(3, b"1")),  # no key
        field(4, field(1, 1) + field(2, b"k")),  # no value
        field(4, field(2, b"\xff\xfe") + field(3, b"1")),  # key not UTF-8
        field(4, b"\x08"),  # inner message ends inside a varint
        field(4, b"\x12\x05abc"),  # inner field longer than its message
        field(4, b"\x12"),
        field(2, b"\x0d\x00\x00\x00"),
    ):
        assert refused(message) is not None, message


def test_limits():
    large = []
    if not SMALL_HEAP:  # which has no room for such messages
        assert decode(field(3, bytes(protobuf.MAX_RAW)))[0].raw == bytes(protobuf.MAX_RAW)
        large.append(field(5, bytes(40000)) + field(5, bytes(40000)))
    for message in [
        b"\x1a" + varint(protobuf.MAX_RAW + 1),
        b"\x2a" + varint(protobuf.MAX_PENDING + 1),
        b"\x22" + varint(100000) + b"\x1a" + varint(protobuf.MAX_VALUE + 1),
        b"\x22" + varint(100000) + b"\x12" + varint(protobuf.MAX_KEY + 1),
        b"\x22" + varint(100000) + b"\x22" + varint(protobuf.MAX_SIGNATURE + 1),
        b"\x22\x05\x12\x04",  # a field longer than the entry around it
    ] + large:
        # Refused as soon as the length is known, not when the message ends.
        try:
            RequestDecoder(print, TextWriter).feed(message)
        except FormatError:
            pass
        else:
            assert False, message[:20]


def test_tombstone_may_have_an_empty_value():
    assert decode(field(4, field(1, TOMBSTONE) + field(2, b"k")))[1] == [(TOMBSTONE, "k", None, b"")]


def test_a_value_goes_to_its_writer_as_it_comes():
    fed = []

    class Writer(TextWriter):
        def feed(self, data):
            fed.append(len(data))
            if bytes(data) == b"!":
                raise FormatError("no JSON")
            super().feed(data)

    entries = []
    decoder = RequestDecoder(lambda *fields: entries.append(fields), Writer)
    message = entry("k", 3, b"v" * 1000, b"s") + field(4, field(3, b"1") + field(3, b"2") + field(2, b"l"))
    for at in range(0, len(message), 100):
        decoder.feed(message[at : at + 100])
    assert max(fed) <= 100 and sum(fed) == 1002
    assert entries == [(3, "k", b"v" * 1000, b"s"), (0, "l", b"2", b"")]
    try:
        decoder.feed(entry("k", 1, b"!"))
    except FormatError as error:
        assert "the value of b'k': no JSON" in str(error)
        return
    assert False


def test_what_the_merge_raises_comes_through():
    def fail(*_):
        raise OSError(5)

    try:
        RequestDecoder(fail, TextWriter).feed(REQUEST)
    except OSError:
        return
    assert False


def test_response_bytes():
    entries = [
        ("a", Entry(0, b"", b"[]")),
        ("b", Entry(300, SIGNATURE, b'{"x":1}')),
        ("c", Entry(TOMBSTONE, b"", None)),
    ]
    expected = (
        field(1, 300)
        + field(2, b"\x00\x82")
        + answered("a", 0, b"[]")
        + answered("b", 300, b'{"x":1}', SIGNATURE)
        + answered("c", TOMBSTONE, b"null")
    )
    assert b"".join(response_pieces(300, b"\x00\x82", entries, "")) == expected
    assert response_size(300, b"\x00\x82", entries, "") == len(expected)
    assert bytes.fromhex("08ffffffffffffffffff01") in expected


def test_response_leaves_defaults_out():
    assert b"".join(response_pieces(0, b"", [], "")) == b""
    expected = field(1, 1) + field(6, "n\u00f6".encode())
    assert b"".join(response_pieces(1, b"", [], "n\u00f6")) == expected
    assert (response_size(0, b"", [], ""), response_size(1, b"", [], "n\u00f6")) == (0, len(expected))
