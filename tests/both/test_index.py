"""The index against a dict in lockstep."""

from faulty_flash import Dice, RamFlash
from journal_rig import Rig, channel, channel_key, peer_id
from signer_backup.index import CHANNEL, DELETED, KNOWN, LIVE, LOST, NOWHERE, OBSERVED, PEER, Index
from signer_backup.state import State


def test_keys_get_rows():
    index = Index(b"salt")
    assert len(index) == 0 and index.find("a") == -1
    row = index.add("a")
    assert index.find("a") == row == index.add("a") and len(index) == 1
    assert index.position(row) == NOWHERE and index.flags(row) == 0


def test_against_a_dict():
    index = Index(b"salt")
    model = {}
    dice = Dice(1)
    for number in range(1200):
        key = "key %d" % dice.roll(150)
        row = index.add(key)
        known = model.setdefault(key, [NOWHERE, NOWHERE, 0])
        what = dice.roll(4)
        if what == 0:
            index.set_position(row, number)
            known[index.slot] = number
        elif what == 1:
            index.set_position(row, number, True)
            known[1 - index.slot] = number
        elif what == 2:
            known[2] = dice.roll(64)
            index.set_flags(row, known[2])
        elif dice.roll(30) == 0:
            index.slot ^= 1
        if number % 40 == 0:
            check(index, model)
    check(index, model)
    assert len(model) > 140


def check(index, model):
    assert len(index) == len(model)
    for key, known in model.items():
        row = index.find(key)
        assert index.position(row) == known[index.slot] and index.flags(row) == known[2]
    assert index.find("nobody") == -1
    for count, flag in ((index.live, LIVE), (index.channels, CHANNEL), (index.lost, LOST)):
        assert count == len([1 for known in model.values() if known[2] & flag])


def test_flags_are_bits():
    assert sorted([LIVE, DELETED, CHANNEL, OBSERVED, PEER, LOST, KNOWN]) == [1, 2, 4, 8, 16, 32, 64]


def test_ram_per_key():
    index = Index(b"salt")
    for i in range(1000):
        index.add("channels/%0150d" % i)
    buckets = [len(rows) for rows in index._buckets if rows]
    assert sum(buckets) <= 24 * 1000 and len(index) == 1000
    assert max(buckets) < 1000  # and no piece of it is large


def test_rows_come_once_each_while_others_are_added():
    index = Index(b"salt")
    for i in range(200):
        index.add(str(i))
    found = []
    for n, row in enumerate(index.rows()):
        found.append(index.digest(row))
        index.add("more %d" % n)
        if len(found) > 1000:
            break
    for i in range(200):
        assert found.count(index.hash(str(i))) == 1
        assert index.digest(index.find(str(i))) == index.hash(str(i))
    assert found == sorted(found)


def test_the_salt_decides_the_order():
    def order(salt):
        index = Index(salt)
        for i in range(50):
            index.add(str(i))
        rows = list(index.rows())
        assert len(rows) == 50
        return [rows.index(index.find(str(i))) for i in range(50)]

    assert order(b"1") == order(b"1") != order(b"2") and sorted(order(b"1")) == list(range(50))


def test_no_ram_for_a_row_changes_nothing():
    """It may end when the bucket has grown already."""
    index = Index(b"salt")
    keys = [str(i) for i in range(600)]
    for key in keys[:-1]:
        index.set_flags(index.add(key), LIVE)
    while not index._buckets[index.hash(keys[-1])[0]]:
        keys[-1] += "x"
    bucket = index.hash(keys[-1])[0]
    rows = list(index.rows())
    index._buckets[bucket].extend(b"\xff" * 16 + b"\x00")
    assert list(index.rows()) == rows and len(index) == 599 and index.find(keys[-1]) == -1
    size = len(index._buckets[bucket])
    for n, key in enumerate(keys):
        index.set_flags(index.add(key), LIVE | (PEER if n % 2 else 0))
    assert len(index._buckets[bucket]) == size and len(index) == index.live == 600
    assert [index.flags(index.find(key)) for key in keys] == [LIVE | (PEER if n % 2 else 0) for n in range(600)]
    assert len(set(index.rows())) == 600


def test_a_key_in_the_very_first_row():
    rig = Rig(RamFlash())
    state, i = rig.state, 0
    while state.index.hash(channel_key(i))[0]:
        i += 1
    key = channel_key(i)
    state.put(key, 0, b"", channel(0))
    assert state.index.find(key) == 0 and state.is_channel(key) and not state.was_observed(key)
    state.observed(key)
    state.set_known(key)
    rig.save()
    assert state.was_observed(key) and state.is_known(key) and state.get(key).version == 0
    while state.index.hash("peers/" + peer_id(i))[0]:
        i += 1
    state = State(b"salt")
    state.mark_peer(channel_key(i))
    assert state.index.find("peers/" + peer_id(i)) == 0 and state.is_channel_peer("peers/" + peer_id(i))
