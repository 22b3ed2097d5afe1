"""Fuzzes the emulator's ports over sockets: nothing is an error of its own, and everybody is still served."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
from collections.abc import Hashable, Iterator
from contextlib import ExitStack
from http.client import HTTPException, HTTPResponse
from random import Random
from types import TracebackType
from urllib.parse import quote_from_bytes
from zlib import crc32

from connectycube.chat.protocol.parser import StreamParser
from connectycube.errors import StreamProtocolError
from tests.fuzz.responses import damaged_json
from tests.fuzz.stanzas import HEADER, WORDS, stanza
from tests.fuzz.target import NASTY, Target
from tests.support.waiting import TIMEOUT
from tests.support.websocket_client import BINARY, TEXT, WebSocketClient
from tests.support.wire_client import Client, connect_tls
from tests.wire.emulator.unharmed import Unharmed, unharmed

__all__ = ["ChatPort", "HttpPorts", "RestCalls", "WebSocketPort"]

_CHECKED_EVERY = 200  # inputs
_NEW_EVERY = 4000  # inputs, after which a new emulator begins, without what they have stored
_PORTS = ("api_port", "https_port", "storage_port", "storage_https_port", "websocket_port")
_WITH_TLS = ("https_port", "storage_https_port", "chat_port")
_GONE = (ConnectionError, ssl.SSLError)
_HTTP_WORDS = (
    *NASTY,
    *(
        b"../",
        b"..%2f",
        b"%2e%2e/",
        b"%00",
        b"%zz",
        b"%ff",
        b"//",
        b"?",
        b"&",
        b"=",
        b"#",
        b"[in]",
        b"[]",
    ),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"[" * 3000,
        b'{"a":' * 1000,
        b"&".join([b"a[in][]=1"] * 500),
    ),
    *(
        b"\r\n\r\n",
        b"X: " + b"y" * 9000 + b"\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 7\r\n",
    ),
    *(
        b"Content-Length: -1\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Range: bytes=9-1\r\n",
    ),
    *(
        b"Content-Encoding: gzip\r\n",
        b"Content-Type: multipart/form-data; boundary=x\r\n",
        b"Host: \xff\r\n",
    ),
    *(
        b"Content-Type: application/json\r\n",
        b"Content-Type: application/x-www-form-urlencoded\r\n",
        b"CB-Token: ",
    ),
    *(
        b"limit=",
        b"skip=",
        b"sort_asc=",
        b"count=1",
        b"id[in]=",
        b"_id=",
        b"force=1",
        b"output[include]=",
        b"near=",
    ),
)


class _Emulated(Target):
    """A target that is an emulator; ``@TOKEN@`` and the like in an input are what that emulator calls so."""

    over_sockets = True
    share = 2.0

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._runs = 0
        self.place: Unharmed

    def __enter__(self) -> _Emulated:
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()
        self._stack.close()

    def _begin(self) -> None:
        self.place = self._stack.enter_context(unharmed())

    def run(self, data: bytes) -> Hashable:
        self._runs += 1
        if self._runs % _NEW_EVERY == 0:
            self.settle()
            self._stack.close()
            self._begin()
        elif self._runs % _CHECKED_EVERY == 0:
            self.settle()
        place = self.place
        names = {
            b"@TOKEN@": place.rest.token,
            b"@ID@": place.alice,
            b"@BLOB@": place.blob["id"],
            b"@UID@": place.blob["uid"],
            b"@JID@": f"{place.alice}-1@localhost",
        }
        for name, value in names.items():
            data = data.replace(name, str(value).encode())
        result = self.play(data)
        place.check_log()
        return result

    def play(self, data: bytes) -> Hashable:
        """Send ``data``; return what came back, in few words."""
        raise NotImplementedError

    def disconnect(self) -> None:
        """End the connection that was kept, if there is one."""

    def settle(self) -> None:
        self.disconnect()
        self.place.check()

    def connected(self, port: str) -> socket.socket:
        """Connect to a port, with TLS if it has it."""
        emulator = self.place.emulator
        address = (emulator.host, getattr(emulator, port))
        if port not in _WITH_TLS:
            return socket.create_connection(address, TIMEOUT)
        context = ssl.create_default_context(cafile=emulator.ca_file)
        return connect_tls(context, address, "localhost")


def _rest_of(connection: socket.socket) -> bytes:
    """Say that nothing more comes, and return everything until the other end has closed the connection."""
    received = b""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(*_GONE):
        while data := connection.recv(65536):
            received += data
    return received


def _check_status(status: int) -> int:
    assert status < 500 or status in (501, 505), f"the emulator answered {status}"
    return status


class RestCalls(_Emulated):
    """REST calls on kept connections, http and https: right HTTP, and anything as path, headers and body.

    An input is a method and a path, then headers, an empty line, and the body.
    """

    name = "rest_calls"
    words = _HTTP_WORDS

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, socket.socket] = {}
        self._parts: list[tuple[bytes, object]] = []

    def make(self, random: Random) -> bytes:
        if not self._parts:
            for seed in self.seeds():
                head, _, body = seed.partition(b"\n\n")
                with contextlib.suppress(ValueError):
                    self._parts.append((head, json.loads(body or b"{}")))
        head, value = random.choice(self._parts)
        if random.random() < 0.2:
            head = random.choice(self._parts)[0]
        return head + b"\n\n" + json.dumps(damaged_json(random, value)).encode()

    def play(self, data: bytes) -> Hashable:
        port = "https_port" if crc32(data) % 4 == 0 else "api_port"
        method, request = _framed(data, self.place.rest.token)
        for _ in range(2):
            connection = self._kept.get(port)
            if connection is None:
                connection = self._kept[port] = self.connected(port)
            try:
                connection.sendall(request)
                response = HTTPResponse(connection, method=method)
                response.begin()
                response.read()
            except (HTTPException, *_GONE):  # it had ended, as the request before it asked
                self._kept.pop(port).close()
                continue
            if response.will_close:
                self._kept.pop(port).close()
            return method, _check_status(response.status)
        return method, "ended"

    def disconnect(self) -> None:
        while self._kept:
            self._kept.popitem()[1].close()


def _framed(data: bytes, token: str) -> tuple[str, bytes]:
    """Write the input as one whole request of HTTP; return its method as well."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    name, _, path = first.partition(b" ")
    method = name.decode("latin-1").upper()
    if method not in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"):
        method = "GET"
    written = [
        f"{method} /{quote_from_bytes(path.lstrip(b'/'), safe=_SAFE)} HTTP/1.1".encode(),
        b"Host: localhost",
    ]
    for line in lines[:20]:
        key, _, value = line.partition(b":")
        if key.replace(b"-", b"").isalnum() and key.lower() not in _FRAMING:
            written.append(key + b": " + value.strip().replace(b"\r", b"").replace(b"\0", b""))
    if not any(line.lower().startswith(b"cb-token:") for line in lines):
        written.append(f"CB-Token: {token}".encode())
    written.append(f"Content-Length: {len(body)}".encode())
    return method, b"\r\n".join(written) + b"\r\n\r\n" + body


_PAUSE = 0.1  # seconds; a server that is silent for so long waits for more of a request
_LAST = b"GET /session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_SAFE = "!$&'()*+,;=:@/?%[]~"
_FRAMING = (b"transfer-encoding", b"content-length", b"expect", b"connection", b"upgrade", b"host")


class HttpPorts(_Emulated):
    """Any bytes on each port that speaks HTTP, and on the port of the WebSocket.

    The first byte of an input chooses the port, by its digit.
    """

    name = "http_ports"
    words = _HTTP_WORDS

    def run(self, data: bytes) -> Hashable:
        return super().run(data.replace(b"\n", b"\r\n") if b"\r\n" not in data else data)

    def play(self, data: bytes) -> Hashable:
        port = _PORTS[(data[0] - ord("0")) % len(_PORTS) if data else 0]
        with self.connected(port) as connection:
            received = b""
            connection.settimeout(_PAUSE)
            with contextlib.suppress(*_GONE, TimeoutError):
                connection.sendall(data[1:] + _LAST)
                while more := connection.recv(65536):
                    received += more
            connection.settimeout(TIMEOUT)
            received += _rest_of(connection)
        statuses = tuple(_statuses(received))
        return port, statuses[:3]


def _statuses(received: bytes) -> Iterator[int]:
    for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", received):
        yield _check_status(int(status))


class ChatPort(_Emulated):
    """Stanzas in a session over TLS, which lives until an input ends it."""

    name = "chat_port"
    words = WORDS
    mutations = 0.3

    def __init__(self) -> None:
        super().__init__()
        self._client: Client | None = None
        self._pings = 0

    def make(self, random: Random) -> bytes:
        written = stanza(random).encode()
        return written.replace(b"1002-7@chat.example", b"@JID@").replace(
            b"chat.example", b"localhost"
        )

    def play(self, data: bytes) -> Hashable:
        client = self._client
        if client is None:
            client = self._client = Client(self.place.emulator)
            client.log_in(self.place.alice, "fuzz")
        try:
            if not _is_whole(data):
                client.send(data)
                received = _rest_of(client.socket)
                self.disconnect()
            else:
                self._pings += 1
                ping = f"<iq type='get' id='ping{self._pings}'><ping xmlns='urn:xmpp:ping'/></iq>"
                client.send(data + ping.encode())
                received = self._until(client, f"ping{self._pings}".encode())
        except _GONE:
            self.disconnect()
            return "gone"
        return _kinds(received)

    def _until(self, client: Client, ping: bytes) -> bytes:
        received = b""
        while ping not in received:
            data = client.socket.recv(65536)
            if not data:
                self.disconnect()
                break
            received += data
        return received

    def disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.socket.close()


def _is_whole(data: bytes) -> bool:
    """Whether a stream goes on behind ``data``, so that a ping is answered."""
    items: list[object] = []
    try:
        StreamParser(stanza_bytes=10**6, stanza_depth=64, stanza_elements=10**5).feed(
            HEADER.encode() + data + b"<r/>", items
        )
    except StreamProtocolError:
        return False
    return getattr(items[-1], "name", "") == "r"


def _kinds(received: bytes) -> Hashable:
    known = (
        b"type='error'",
        b'type="error"',
        b"type='result'",
        b'type="result"',
        b"<message",
        b"<presence",
    )
    ends = (
        b"stream:error",
        b"</stream:stream>",
        b"<close",
        b"not-well-formed",
        b"policy-violation",
        b"service-una",
    )
    found = tuple(
        word
        for word in (*known, *ends, b"bad-request", b"forbidden", b"item-not-found")
        if word in received
    )
    assert b"internal-server-error" not in received, received[-500:]
    return found


class WebSocketPort(_Emulated):
    """Frames in a session over WebSocket, which lives until an input ends it.

    The first byte of an input chooses the opcode, by its digit; 9 sends bytes that are no frames.
    """

    name = "websocket"
    words = WORDS
    mutations = 0.3

    def __init__(self) -> None:
        super().__init__()
        self._client: WebSocketClient | None = None
        self._pings = 0

    def make(self, random: Random) -> bytes:
        written = stanza(random).encode()
        written = written.replace(b"1002-7@chat.example", b"@JID@").replace(
            b"chat.example", b"localhost"
        )
        return random.choice((b"1", b"1", b"1", b"1", b"1", b"1", b"2", b"0", b"3", b"8")) + written

    def play(self, data: bytes) -> Hashable:
        client = self._client
        if client is None:
            client = self._client = WebSocketClient(self.place.emulator)
            client.log_in(self.place.alice)
        opcode, content = data[:1], data[1:]
        try:
            if opcode == b"9":
                client.socket.sendall(content)
                received = _rest_of(client.socket)
                self.disconnect()
                return "raw", bool(received)
            self._pings += 1
            ping = f"ping{self._pings}"
            client.frame(
                content, {b"1": TEXT, b"2": BINARY, b"0": 0, b"3": 3, b"8": 8}.get(opcode, TEXT)
            )
            client.stanza(f"<iq type='get' id='{ping}'><ping xmlns='urn:xmpp:ping'/></iq>")
            received = b""
            for text in client.texts():
                received += text.encode()
                if f'id="{ping}"' in text or f"id='{ping}'" in text:
                    return opcode, _kinds(received)
        except _GONE:
            received = b""
        self.disconnect()
        return "ended", opcode, _kinds(received)

    def disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.socket.close()
