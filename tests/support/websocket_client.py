"""A chat client of a socket and ElementTree alone that speaks XMPP over WebSocket, and can misbehave."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
import struct
from collections.abc import Iterator
from xml.etree import ElementTree

from connectycube.emulator import Emulator
from tests.support.wire_client import CLIENT, SASL, SM, STREAM, STREAMS, TIMEOUT

FRAMING = "{urn:ietf:params:xml:ns:xmpp-framing}"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocketClient:
    """One connection. What waits raises TimeoutError after five seconds."""

    def __init__(self, emulator: Emulator, *, name: str = "localhost", headers: str = "") -> None:
        self._emulator = emulator
        self.socket = socket.create_connection((emulator.host, emulator.websocket_port), TIMEOUT)
        self._name = name
        self._headers = headers
        self._buffer = b""
        self.close_code: int | None = None
        self.jid = ""

    def __enter__(self) -> WebSocketClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # --- WebSocket --------------------------------------------------------------------------------

    def upgrade(self, protocol: str | None = "xmpp", path: str = "/") -> str:
        """Ask for a WebSocket; return the head of the answer."""
        wanted = "" if protocol is None else f"Sec-WebSocket-Protocol: {protocol}\r\n"
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {self._name}:{self._emulator.websocket_port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"{wanted}{self._headers}\r\n".encode()
        )
        return self.head()

    def head(self) -> str:
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head.decode()

    def _fill(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server has ended the connection")
        self._buffer += data

    def frame(self, data: bytes, opcode: int = TEXT, *, last: bool = True) -> None:
        """Send a frame, masked as those of clients must be."""
        first, mask = opcode | (0x80 if last else 0), os.urandom(4)
        if len(data) < 126:
            header = struct.pack("!BB", first, 0x80 | len(data))
        elif len(data) < 65536:
            header = struct.pack("!BBH", first, 0x80 | 126, len(data))
        else:
            header = struct.pack("!BBQ", first, 0x80 | 127, len(data))
        key = int.from_bytes((mask * (len(data) // 4 + 1))[: len(data)], "big")
        masked = (int.from_bytes(data, "big") ^ key).to_bytes(len(data), "big")
        self.socket.sendall(header + mask + masked)

    def receive(self) -> tuple[int, bytes]:
        """Return the opcode and payload of the next frame."""
        self._want(2)
        opcode, size, start = self._buffer[0] & 15, self._buffer[1], 2
        if size >= 126:
            start += 2 if size == 126 else 8
            self._want(start)
            size = int.from_bytes(self._buffer[2:start], "big")
        self._want(start + size)
        data, self._buffer = self._buffer[start : start + size], self._buffer[start + size :]
        return opcode, data

    def _want(self, size: int) -> None:
        while len(self._buffer) < size:
            self._fill()

    # --- XMPP -------------------------------------------------------------------------------------

    def send(self, text: str) -> None:
        self.frame(text.encode())

    def texts(self) -> Iterator[str]:
        """Give every message until the WebSocket closes, which is answered, or the connection is lost."""
        while True:
            try:
                opcode, data = self.receive()
            except ConnectionError:
                return
            if opcode == CLOSE:
                self.close_code = int.from_bytes(data[:2], "big")
                with contextlib.suppress(ConnectionError):  # it may have been reset already
                    self.frame(data, CLOSE)
                return
            assert opcode == TEXT
            yield data.decode()

    def next(self) -> ElementTree.Element | None:
        """Return the next element; None at the end."""
        text = next(self.texts(), None)
        return None if text is None else ElementTree.fromstring(text)

    def find(self, tag: str, **attributes: str) -> ElementTree.Element:
        """Return the next element with this tag and attributes, past all others."""
        while (element := self.next()) is not None:
            if element.tag == tag and attributes.items() <= element.attrib.items():
                return element
        raise AssertionError(f"the stream ended before {tag}")

    def open(self, to: str = "localhost") -> ElementTree.Element:
        """Open a stream; return its features."""
        self.send(f"<open xmlns='{FRAMING[1:-1]}' version='1.0' to='{to}'/>")
        opened = self.next()
        assert opened is not None and opened.tag == f"{FRAMING}open"
        assert (opened.get("from"), opened.get("version")) == ("localhost", "1.0")
        features = self.next()
        assert features is not None and features.tag == f"{STREAM}features"
        return features

    def authenticated(self, user: int) -> WebSocketClient:
        assert self.upgrade().startswith("HTTP/1.1 101 ")
        self.open()
        encoded = base64.b64encode(f"\0{user}-1\0secret".encode()).decode()
        self.send(f"<auth xmlns='{SASL[1:-1]}' mechanism='PLAIN'>{encoded}</auth>")
        self.find(f"{SASL}success")
        self.open()
        return self

    def log_in(self, user: int) -> WebSocketClient:
        self.authenticated(user)
        self.stanza(f"<iq type='set' id='bind'><bind xmlns='{BIND}'/></iq>")
        self.jid = self.find(f"{CLIENT}iq", id="bind")[0][0].text or ""
        self.stanza("<presence/>")
        self.find(f"{CLIENT}presence", **{"from": self.jid})
        return self

    def stanza(self, text: str) -> None:
        """Send a stanza, written as it would be in a stream over TCP."""
        self.send(re.sub(r"^<(\w+)", r"<\1 xmlns='jabber:client'", text))

    def enable(self) -> str:
        """Turn stream management on with resumption; return the session's id."""
        self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        return self.find(f"{SM}enabled").get("id") or ""

    def stream_error(self) -> str:
        """Return the condition of the stream error that comes, and check that it ends the stream."""
        error = self.find(f"{STREAM}error")
        closed = self.next()
        assert closed is not None and closed.tag == f"{FRAMING}close"
        assert self.next() is None
        return error[0].tag.removeprefix(STREAMS)
