"""Frames are built to the byte as LINK.md says, and found again among garbage and damage."""

from backup_format import frames
from backup_format.frames import FrameReader, encode


def read_all(reader, data, now=0):
    reader.feed(data, now)
    found = []
    while True:
        frame = reader.next()
        if frame is None:
            return found
        found.append(frame[:3])


def test_frame_bytes():
    assert encode(0x01, 0x0203, b"\x01") == bytes.fromhex("a55a0102030001017cf78f5f")
    assert len(encode(1, 2, b"")) == frames.OVERHEAD


def test_seal_in_a_larger_buffer():
    buf = bytearray(40)
    buf[frames.HEAD : frames.HEAD + 3] = b"abc"
    size = frames.seal(buf, 0x81, 65535, 3)
    assert bytes(buf[:size]) == encode(0x81, 65535, b"abc")


def test_every_byte_value_passes():
    payload = bytes(range(256)) * 4
    reader = FrameReader(1024)
    assert read_all(reader, encode(0x86, 7, payload)) == [(0x86, 7, payload)]
    assert not reader.interrupted and not reader.inside and reader.damaged == 0


def test_byte_by_byte():
    reader = FrameReader(240)
    frame = encode(2, 0xA55A, b"\xa5\x5a\x03\xa5\x5a")
    assert reader.wanted == 1
    for i in range(len(frame) - 1):
        assert read_all(reader, frame[i : i + 1]) == []
        assert reader.inside
        assert reader.wanted == (6 - i if i < 6 else len(frame) - 1 - i)
    assert read_all(reader, frame[-1:]) == [(2, 0xA55A, b"\xa5\x5a\x03\xa5\x5a")]
    assert not reader.inside


def test_frames_among_garbage():
    one = encode(4, 1, b"one")
    two = encode(5, 2, b"")
    reader = FrameReader(240)
    data = b"boot\r\n\xa5" + one + b"\xa5\xa5" + one + two + b"\xff\x5a"
    assert read_all(reader, data) == [(4, 1, b"one"), (4, 1, b"one"), (5, 2, b"")]
    assert not reader.inside


def test_a_damaged_frame_is_dropped_and_the_next_is_found():
    good = encode(4, 1, b"payload")
    for at in range(len(good)):
        for bit in (0, 3, 7):
            bad = bytearray(good)
            bad[at] ^= 1 << bit
            reader = FrameReader(240)
            # A larger length makes the reader wait: more frames must come, or time must pass.
            found = read_all(reader, bytes(bad) + good * 40)
            reader.expire(frames.FRAME_MS)
            found += read_all(reader, b"")
            assert found and all(frame == (4, 1, b"payload") for frame in found)
            assert not reader.interrupted


def test_a_length_beyond_the_limit_is_rejected_at_once():
    reader = FrameReader(240)
    assert read_all(reader, encode(2, 1, bytes(241)) + encode(2, 2, bytes(240))) == [(2, 2, bytes(240))]


def test_a_cut_off_frame_times_out_and_hides_nothing():
    good = encode(4, 1, b"payload")
    for cut in range(1, len(good)):
        reader = FrameReader(240)
        assert read_all(reader, good[:cut], 1000) == []
        reader.expire(1000 + frames.FRAME_MS - 1)
        assert reader.inside
        found = read_all(reader, good, 2500)
        reader.expire(1000 + frames.FRAME_MS)
        found += read_all(reader, b"")
        assert found == [(4, 1, b"payload")]
        assert not reader.inside


def test_a_frame_begins_when_its_first_byte_comes():
    good = encode(4, 1, b"payload")
    reader = FrameReader(240)
    read_all(reader, good[:5], 0)
    assert len(read_all(reader, good[5:] + good[:5], 1500)) == 1
    reader.expire(1500 + frames.FRAME_MS - 1)
    assert len(read_all(reader, good[5:], 1500 + frames.FRAME_MS)) == 1


def test_the_frame_clock_may_wrap():
    reader = FrameReader(240)
    read_all(reader, b"\xa5\x5a", 0x3FFFFFFF)
    reader.expire(frames.FRAME_MS - 2)
    assert reader.inside
    reader.expire(frames.FRAME_MS - 1)
    read_all(reader, b"")
    assert not reader.inside


def test_ctrl_c_outside_a_frame_ends_the_loop():
    for before in (b"", b"\r", b"\r\n", encode(4, 1, b"x"), b"noise" + encode(4, 1, b"x")):
        reader = FrameReader(240)
        read_all(reader, before + b"\x03")
        assert reader.interrupted


def test_ctrl_c_inside_a_frame_is_data():
    reader = FrameReader(240)
    frame = encode(2, 0x0303, b"\x03" * 240)
    for i in range(len(frame)):
        read_all(reader, frame[i : i + 1])
    assert not reader.interrupted
    read_all(reader, frame[:50])
    read_all(reader, b"\x03")
    assert not reader.interrupted


def test_ctrl_c_in_noise_doesnt_count_until_the_line_was_quiet():
    reader = FrameReader(240)
    read_all(reader, b"\x5a\x03", 1000)
    read_all(reader, b"\x03", 1000 + frames.QUIET_MS - 1)
    assert not reader.interrupted
    read_all(reader, b"\x03", 1000 + 2 * frames.QUIET_MS)
    assert reader.interrupted


def test_ctrl_c_in_a_rejected_frame_doesnt_count():
    reader = FrameReader(240)
    bad = bytearray(encode(3, 0x0303, b"\x03" * 20))
    bad[-1] ^= 1
    assert read_all(reader, bytes(bad)) == []
    assert reader.damaged == 1 and not reader.interrupted
    cut = FrameReader(240)
    read_all(cut, bytes(bad[:20]))
    cut.expire(frames.FRAME_MS)
    read_all(cut, b"")
    assert not cut.interrupted and not cut.inside


def test_service_error_has_code_and_text():
    error = frames.ServiceError(32, "no such snapshot")
    assert (error.code, error.text) == (32, "no such snapshot")


def test_the_rest_of_a_frame_that_began_before_the_loop_is_no_ctrl_c():
    reader = FrameReader(240, 1000)
    read_all(reader, b"\x03\x01\x02", 1000 + frames.QUIET_MS - 1)
    assert not reader.interrupted
    read_all(reader, b"\x03", 1000 + 3 * frames.QUIET_MS)
    assert reader.interrupted
    reader = FrameReader(240, 1000)
    assert read_all(reader, encode(1, 1, b"\0") + b"\x03", 1001) and reader.interrupted
