"""JSON values for property tests, and their canonical text."""

import json
import math
from typing import Any

from hypothesis import strategies as st

from backup_format.names import NAMES


def canonical(value: Any) -> bytes:
    """Return value as serde_json prints it: compact, keys sorted bytewise, UTF-8. Floats as ryu writes them."""
    if isinstance(value, dict):
        items = sorted((key.encode("utf-8", "surrogatepass"), key, item) for key, item in value.items())
        return b"{" + b",".join(canonical(key) + b":" + canonical(item) for _bytes, key, item in items) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(canonical, value)) + b"]"
    if isinstance(value, float):
        return ryu(value).encode()
    return json.dumps(value, ensure_ascii=False).encode()


def ryu(value: float) -> str:
    """Return a float as Rust's ryu, and so serde_json, prints it: 1.0, 1e16, 5e-324, -0.0."""
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    digits, exponent = next(f"{value:.{n}e}" for n in range(18) if float(f"{value:.{n}e}") == value).split("e")
    sign, digits, point = "-" * (value < 0), digits.lstrip("-").replace(".", ""), int(exponent) + 1
    if 0 < point <= 16:
        text = digits.ljust(point, "0")
        return sign + text[:point] + "." + (text[point:] or "0")
    if -5 < point <= 0:
        return sign + "0." + "0" * -point + digits
    return sign + digits[0] + ("." + digits[1:] if digits[1:] else "") + f"e{point - 1}"


text = st.text(st.characters(exclude_categories=["Cs"]))
hexes = st.binary(max_size=40).map(bytes.hex)
integers = st.integers(-(2**63), 2**64 - 1) | st.sampled_from([0, 23, 24, 255, 256, 2**32, 2**63, -(2**63), 2**64 - 1])
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | integers | floats | text | hexes
secrets = st.tuples(st.lists(st.integers(0, 255), min_size=32, max_size=32), st.integers(0, 2**48)).map(list)
byte_lists = st.lists(st.integers(0, 300), max_size=40)
repeats = st.tuples(scalars | byte_lists, st.integers(1, 60)).map(lambda pair: [pair[0]] * pair[1])
names = text | hexes | st.sampled_from([name.decode() for name in NAMES])
values = st.recursive(
    scalars | secrets | byte_lists | repeats,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(names, inner, max_size=6)
        | st.tuples(inner, inner, st.integers(1, 9)).map(lambda t: [t[0], *[t[1]] * t[2], t[0]])
    ),
    max_leaves=40,
)
