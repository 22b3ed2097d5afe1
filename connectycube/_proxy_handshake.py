"""The handshakes with proxies, without I/O: HTTP CONNECT (RFC 9110, 9.3.6) and SOCKS5 (RFC 1928, 1929).

A handshake is a generator. It yields the bytes to send and the largest number of bytes to read next. It is
sent the bytes that arrived, empty at the end of the connection. It returns once the proxy has connected to
the server, and raises ProxyFailure if the proxy will not. It never asks for a byte of the server.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Generator

from ._proxy import Proxy

__all__ = ["Handshake", "ProxyFailure", "handshake"]

Handshake = Generator[tuple[bytes, int], bytes, None]
_Reading = Generator[tuple[bytes, int], bytes, bytes]

_MOST_HEAD_BYTES = 16_384
_PIECE = 1_024  # bytes to read at once
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHALLENGE = re.compile(rb"^proxy-authenticate:[ \t]*([\w-]+)", re.IGNORECASE | re.MULTILINE)
_TEMPORARY = (429, 500, 502, 503, 504)

# The replies of RFC 1928, section 6: the reason in words, and whether another attempt may help.
_SOCKS_REPLIES = {
    1: ("it failed", True),
    2: ("its rules forbid the connection", False),
    3: ("the server's network cannot be reached from it", True),
    4: ("the server cannot be reached from it, or has no address", True),
    5: ("the server refused its connection", True),
    6: ("its connection to the server took too long", True),
    7: ("it does not know the command CONNECT", False),
    8: ("it does not know this type of address", False),
}
_NOT_SOCKS = "its answer is not SOCKS5"
_WANTS_CREDENTIALS = "it wants a user and a password"
_WRONG_CREDENTIALS = "it refused the user and password"


class ProxyFailure(Exception):
    """A proxy did not make the connection.

    Args:
        words: Why, in words that hold no password.
        is_temporary: Whether trying again may help.
    """

    def __init__(self, words: str, *, is_temporary: bool = False) -> None:
        super().__init__(words)
        self.is_temporary = is_temporary


def handshake(proxy: Proxy, host: str, port: int) -> Handshake:
    """Return the handshake that asks a proxy for a connection to a host."""
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise ProxyFailure("the server's name is not a host name") from None
    if proxy.scheme.startswith("socks5"):
        return _socks5(proxy, host, port)
    return _connect(proxy, host, port)


def _connect(proxy: Proxy, host: str, port: int) -> Handshake:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if proxy.user is not None:
        credentials = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        request += f"Proxy-Authorization: Basic {credentials}\r\n"
    outgoing, head = f"{request}\r\n".encode(), b""
    while not (end := _HEAD_END.search(head)):
        piece = yield outgoing, _PIECE
        outgoing, head = b"", head + piece
        if not piece:
            raise _closed()
        if not b"HTTP/1.".startswith(head[:7]):  # at once: another protocol may never end a head
            raise ProxyFailure("its answer is not HTTP")
        if len(head) > _MOST_HEAD_BYTES:
            raise ProxyFailure(f"its answer has more than {_MOST_HEAD_BYTES} bytes of headers")
    status_line = _STATUS_LINE.match(head)
    if status_line is None:
        raise ProxyFailure("its answer is not HTTP")
    status = int(status_line[1])
    if status in (401, 407):  # tinyproxy answers 401 to a wrong password
        raise ProxyFailure(f"{_why_unauthorized(proxy, head)} ({status})")
    if not 200 <= status < 300:
        raise ProxyFailure(f"it answered {status}", is_temporary=status in _TEMPORARY)
    if end.end() < len(head):
        raise ProxyFailure("it sent data before the server was asked for any")


def _why_unauthorized(proxy: Proxy, head: bytes) -> str:
    schemes = {found.decode().lower(): found.decode() for found in _CHALLENGE.findall(head)}
    if schemes and "basic" not in schemes:
        return f"it wants authentication by {' or '.join(schemes.values())}, and not Basic"
    if proxy.user is None:
        return _WANTS_CREDENTIALS
    return _WRONG_CREDENTIALS


def _socks5(proxy: Proxy, host: str, port: int) -> Handshake:
    methods = b"\x00" if proxy.user is None else b"\x00\x02"
    version, method = yield from _read(2, b"\x05" + bytes([len(methods)]) + methods)
    if version != 5:
        raise ProxyFailure(_NOT_SOCKS)
    if method == 2 and proxy.user is not None:
        user, password = proxy.user.encode(), proxy.password.encode()
        message = b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password
        version, status = yield from _read(2, message)
        if version != 1:
            raise ProxyFailure(_NOT_SOCKS)
        if status:
            raise ProxyFailure(_WRONG_CREDENTIALS)
    elif method == 0xFF and proxy.user is None:
        raise ProxyFailure(_WANTS_CREDENTIALS)
    elif method == 0xFF:
        raise ProxyFailure("it accepts neither a user and password nor none")
    elif method != 0:
        raise ProxyFailure(_NOT_SOCKS)
    request = b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big")
    version, reply, _, kind = yield from _read(4, request)
    if version != 5:
        raise ProxyFailure(_NOT_SOCKS)
    if reply:
        words, is_temporary = _SOCKS_REPLIES.get(reply, (f"it answered {reply}", False))
        raise ProxyFailure(words, is_temporary=is_temporary)
    # The address that the proxy connected from is not used, but read: the server's first byte follows it.
    size = {1: 4, 4: 16}.get(kind)  # IPv4 and IPv6
    if kind == 3:  # a name, behind the number of its bytes
        size = (yield from _read(1))[0]
    if size is None:
        raise ProxyFailure(_NOT_SOCKS)
    yield from _read(size + 2)  # with the port


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host.encode()
        if len(name) > 255:
            raise ProxyFailure("the server's name has more than 255 bytes") from None
        return b"\x03" + bytes([len(name)]) + name
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


def _read(count: int, outgoing: bytes = b"") -> _Reading:
    """Send ``outgoing``, then read exactly ``count`` bytes."""
    data = b""
    while len(data) < count:
        piece = yield outgoing, count - len(data)
        if not piece:
            raise _closed()
        outgoing, data = b"", data + piece
    return data


def _closed() -> ProxyFailure:
    return ProxyFailure("it closed the connection", is_temporary=True)
