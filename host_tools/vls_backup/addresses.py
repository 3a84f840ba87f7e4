"""A peer's address as text ("HOST:PORT") and as Core Lightning's wireaddr.

wireaddr (BOLT 7's address descriptors; read in CLN's common/wireaddr.c): a type byte, the host, the port as u16 BE:
1 IPv4 4 bytes, 2 IPv6 16 bytes, 4 Tor v3 35 bytes, 5 DNS name with a length byte before it.
"""

import base64
import hashlib
import ipaddress
import re

IPV4, IPV6, TOR_V3, DNS = 1, 2, 4, 5

_FIXED_SIZES = {IPV4: 4, IPV6: 16, TOR_V3: 35}
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII)


def encode_wireaddr(address: str) -> bytes:
    """Return the wireaddr of "1.2.3.4:9735", "[2001:db8::7]:9735", "….onion:9735" or "name.example:9735".

    Raise ValueError with the reason, for text that names no place that lightningd could connect to.
    """
    host, colon, port_text = address.rpartition(":")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("an IPv6 address must be written [address]:port")
    if not colon:
        raise ValueError("has no port: it must be host:port")
    port = int(port_text) if re.fullmatch(r"[0-9]{1,10}", port_text, re.ASCII) else 0
    if not 1 <= port <= 65535:
        raise ValueError("the port must be 1 to 65535")
    return _encode_host(host) + port.to_bytes(2, "big")


def _encode_host(host: str) -> bytes:
    if host.startswith("["):
        if "%" in host:
            raise ValueError("an IPv6 scope means nothing on another machine")
        try:
            return bytes([IPV6]) + ipaddress.IPv6Address(host[1:-1]).packed
        except ValueError:
            raise ValueError("is not a valid IPv6 address") from None
    if host.lower().endswith(".onion"):
        return bytes([TOR_V3]) + _onion_bytes(host[: -len(".onion")])
    try:
        return bytes([IPV4]) + ipaddress.IPv4Address(host).packed
    except ValueError:
        _check_dns_name(host)
        return bytes([DNS, len(host)]) + host.encode()


def _onion_bytes(name: str) -> bytes:
    """Decode and check a Tor v3 name: base32 of key 32, checksum 2, version 3 (Tor's rend-spec-v3, section 6)."""
    try:
        data = base64.b32decode(name.upper().encode())
    except ValueError:
        data = b""
    if len(name) != 56 or len(data) != 35:
        raise ValueError("is no Tor v3 name: 56 letters a-z or digits 2-7 before .onion")
    _check_onion(data)
    return data


def _check_onion(data: bytes) -> None:
    if data[34] != 3:
        raise ValueError(f"the Tor name has version {data[34]}, not 3")
    if hashlib.sha3_256(b".onion checksum" + data[:32] + data[34:]).digest()[:2] != data[32:34]:
        raise ValueError("the Tor name's checksum is wrong: a letter is damaged")


def _check_dns_name(host: str) -> None:
    """Check a host name as CLN does (hostname(7), and "_" in the first label), and that it is no damaged IPv4."""
    labels = host.removesuffix(".").split(".")
    labels[0] = labels[0].replace("_", "0")
    if len(host) > 254 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("is neither an IP address nor a valid host name")
    if labels[-1].isdigit():
        raise ValueError("looks like an IPv4 address, but is none")


def wireaddr_size(data: bytes) -> int:
    """Return how many bytes the wireaddr at the start of data has. Raise ValueError if it is not a valid one."""
    kind, host, port = split_wireaddr(data)
    if kind == TOR_V3:
        _check_onion(host)
    if kind == DNS:
        _check_dns_name(host.decode("ascii", "replace"))
    if port == 0:
        raise ValueError("port 0")
    return split_size(kind, host)


def split_wireaddr(data: bytes) -> tuple[int, bytes, int]:
    """Return (type, host, port) of the wireaddr at the start of data, good or not. Raise ValueError if it has no end.

    host: as in the wireaddr, but a DNS name without its length.
    """
    kind = data[0] if data else -1
    at = 2 if kind == DNS else 1
    size = data[1] if kind == DNS and len(data) > 1 else _FIXED_SIZES.get(kind)
    if size is None or len(data) < at + size + 2:
        raise ValueError(f"no whole address of a known type (type {kind})")
    return kind, data[at : at + size], int.from_bytes(data[at + size : at + size + 2], "big")


def split_size(kind: int, host: bytes) -> int:
    """Return how many bytes the wireaddr has of which split_wireaddr gave this."""
    return (4 if kind == DNS else 3) + len(host)


def address_text(kind: int, host: bytes, port: int) -> str:
    """Return what split_wireaddr gave as HOST:PORT; encode_wireaddr gives the same back if it is a good one."""
    if kind == IPV4:
        name = str(ipaddress.IPv4Address(host))
    elif kind == IPV6:
        name = f"[{ipaddress.IPv6Address(host)}]"
    elif kind == TOR_V3:
        name = base64.b32encode(host).decode().lower() + ".onion"
    else:
        name = host.decode("ascii", "replace")
    return f"{name}:{port}"
