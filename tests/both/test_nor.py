"""The NOR model keeps the rules of the chip, on every VM."""

import errno

from nor import NorFlash
from scratch import scratch, write_file

SIZE = 16384


def flash(name):
    return NorFlash(scratch(name), SIZE)


def content(nor, offset, length):
    buf = bytearray(length)
    nor.read_into(offset, buf)
    return bytes(buf)


def refuses(call, *args):
    try:
        call(*args)
    except ValueError:
        return True
    return False


class Survivor(NorFlash):
    """A flash whose power cut is noted instead of carried out."""

    cuts = 0

    def power_off(self):
        self.cuts += 1


def test_new_flash_is_erased():
    nor = flash("new")
    assert (nor.size, nor.erase_size, nor.program_size) == (SIZE, 4096, 256)
    assert content(nor, 0, SIZE) == b"\xff" * SIZE


def test_program_only_clears_bits():
    nor = flash("bits")
    nor.program(256, b"\xf0" * 256)
    nor.program(256, b"\x3c" * 256)
    assert content(nor, 0, 768) == b"\xff" * 256 + b"\x30" * 256 + b"\xff" * 256


def test_program_takes_any_buffer():
    nor = flash("buffers")
    data = bytearray(bytes(range(256)) * 3)
    nor.program(0, memoryview(data)[256:512])
    nor.program(256, data[:512])
    assert content(nor, 0, 768) == bytes(data)


def test_erase_sets_one_unit_only():
    nor = flash("erase")
    for unit in range(4):
        nor.program(unit * 4096, bytes(4096))
    nor.erase(8192)
    assert content(nor, 0, SIZE) == bytes(8192) + b"\xff" * 4096 + bytes(4096)


def test_misaligned_calls_are_refused():
    nor = flash("aligned")
    assert refuses(nor.program, 1, bytes(256))
    assert refuses(nor.program, 128, bytes(256))
    assert refuses(nor.program, 0, bytes(255))
    assert refuses(nor.program, 0, b"")
    assert refuses(nor.erase, 256)
    assert content(nor, 0, SIZE) == b"\xff" * SIZE
    assert (nor.programs, nor.erases, nor.programmed_bytes) == (0, 0, 0)


def test_calls_out_of_range_are_refused():
    nor = flash("range")
    assert refuses(nor.program, SIZE, bytes(256))
    assert refuses(nor.program, SIZE - 256, bytes(512))
    assert refuses(nor.program, -256, bytes(256))
    assert refuses(nor.erase, SIZE)
    assert refuses(nor.erase, -4096)
    assert refuses(nor.read_into, SIZE - 1, bytearray(2))
    assert refuses(nor.read_into, -1, bytearray(1))


def test_sizes_that_do_not_fit_are_refused():
    assert refuses(NorFlash, scratch("sizes"), 4096 + 256)
    assert refuses(NorFlash, scratch("sizes"), 8192, 4096, 300)
    assert refuses(NorFlash, scratch("sizes"), 0)


def test_content_and_counters_persist():
    nor = flash("persist")
    nor.program(512, bytes(512))
    nor.erase(4096)
    nor.close()
    again = flash("persist")
    assert content(again, 0, 1280) == b"\xff" * 512 + bytes(512) + b"\xff" * 256
    again.program(0, bytes(256))
    assert (again.programmed_bytes, again.programs, again.erases) == (768, 2, 1)


def test_file_of_another_size_is_refused_and_kept():
    write_file(scratch("foreign"), b"not a flash")
    assert refuses(flash, "foreign")
    with open(scratch("foreign"), "rb") as f:
        assert f.read() == b"not a flash"


def test_closed_flash_raises_oserror():
    nor = flash("closed")
    nor.close()
    for call in (lambda: nor.read_into(0, bytearray(1)), lambda: nor.program(0, bytes(256)), lambda: nor.erase(0)):
        try:
            call()
        except OSError as error:
            assert error.errno == errno.ENODEV
        else:
            raise AssertionError("a closed flash answered")


def test_cut_tears_the_nth_call():
    differing = 0
    for n in range(1, 9):
        nor = Survivor(scratch("cut%d" % n), SIZE)
        write_file(scratch("cut%d.cut" % n), b"%d" % n)
        for i in range(n - 1):
            nor.program(i * 256, bytes(256))
            assert content(nor, i * 256, 256) == bytes(256)
        assert nor.cuts == 0
        nor.program(4096, bytes(512))
        assert nor.cuts == 1
        torn = content(nor, 4096, 512)
        assert set(torn) <= {0, 255}
        differing += 0 < sum(torn) < 512 * 255
        nor.program(8192, bytes(256))  # the control file is gone: the next calls are whole again
        assert content(nor, 8192, 256) == bytes(256) and nor.cuts == 1
    assert differing >= 4


def test_cut_leaves_an_erase_undone():
    torn = set()
    for n in range(1, 9):
        nor = Survivor(scratch("torn%d" % n), SIZE)
        for _ in range(n - 1):
            nor.program(0, bytes(256))
        nor.program(4096, bytes(4096))
        write_file(scratch("torn%d.cut" % n), b"1")
        nor.erase(4096)
        assert nor.cuts == 1 and nor.erases == 1
        torn.add(content(nor, 4096, 4096))
        assert content(nor, 8192, 4096) == b"\xff" * 4096
    assert torn != {b"\xff" * 4096}
