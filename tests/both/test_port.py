"""What the port module promises is the same on every VM."""

import time

from backup_format.port import const, sha256, ticks_ms, ticks_since

SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_const_is_its_value():
    assert const(4096) == 4096


def test_sha256_of_parts():
    digest = sha256()
    digest.update(b"a")
    digest.update(memoryview(b"xbc")[1:])
    assert digest.digest() == bytes.fromhex(SHA256_OF_ABC)


def test_ticks_run_forward():
    then = ticks_ms()
    assert 0 <= then < 1 << 30
    time.sleep(0.03)
    assert 25 <= ticks_since(then) < 5000


def test_ticks_survive_the_wrap():
    assert ticks_since((ticks_ms() + 1) & 0x3FFFFFFF) >= (1 << 30) - 5000
    assert ticks_since((ticks_ms() - 1000) & 0x3FFFFFFF) >= 1000
