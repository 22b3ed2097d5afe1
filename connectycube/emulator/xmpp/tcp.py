"""TCP: XMPP over direct TLS on asyncio."""

from __future__ import annotations

import asyncio
import ssl

from ..control.faults import CHAT
from ..net.bounds import Bounds
from ..net.connections import OpenLinks, RefusedConnection, TlsHandshake, reset
from . import namespaces as ns
from .element import Element
from .parser import StreamParser
from .server import ChatServer
from .stream import Stream

__all__ = ["TcpServer"]

_CLOSE_SECONDS = 2.0
_STOP_SECONDS = 0.2
_FOOTER = "</stream:stream>"


class TcpServer:
    """Accepts connections for a chat server; for one event loop."""

    def __init__(self, server: ChatServer, context: ssl.SSLContext, bounds: Bounds) -> None:
        self._server = server
        self._context = context
        self._bounds = bounds
        self._listener: asyncio.Server | None = None
        self.handshakes: set[TlsHandshake] = set()
        self._links = OpenLinks[TcpLink]()

    async def start(self, host: str, port: int) -> int:
        """Start to listen; return the port, which is a free one if ``port`` is 0."""
        self._listener = await asyncio.get_running_loop().create_server(self._accept, host, port)
        return int(self._listener.sockets[0].getsockname()[1])

    def serve(self, server: ChatServer) -> None:
        """Pass new connections to another server; end those in their TLS handshake."""
        self._server = server
        for handshake in list(self.handshakes):
            handshake.drop()

    def _accept(self) -> asyncio.Protocol:
        faults = self._server.hub.faults
        if faults.active and faults.take("refuse", CHAT):
            return RefusedConnection()
        timers = self._server.hub.timers
        return TlsHandshake(self.handshakes, self._context, timers, self._bounds, self._make_link)

    def _make_link(self) -> TcpLink:
        return TcpLink(self._server, self._links, self._bounds)

    async def stop(self) -> None:
        """Stop listening; links get a moment to write the rest of their data, then they are aborted."""
        if self._listener is None:
            return
        self._listener.close()
        await self._links.emptied(_STOP_SECONDS)
        for handshake in list(self.handshakes):
            handshake.drop()
        for link in list(self._links):
            link.drop()
        await asyncio.sleep(0)
        await self._listener.wait_closed()


class TcpLink(asyncio.Protocol):
    """One connection: the framing of the stream, and writing within a bound. (Link.)"""

    def __init__(self, server: ChatServer, links: set[TcpLink], bounds: Bounds) -> None:
        self._server = server
        self._bounds = bounds
        self._links = links
        self._loop = asyncio.get_running_loop()
        self._outgoing: list[str] = []
        self._outgoing_size = 0
        self._flush_scheduled = False
        self._closing = False

    # --- asyncio ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a stream."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._links.add(self)
        self.restart()
        self._stream = Stream(self._server, self)
        if not self._bounds.add(self):
            self.drop()

    @property
    def waits_for_client(self) -> bool:
        """Whether the client has not logged in yet. (Connection.)"""
        return self._stream.session is None

    def data_received(self, data: bytes) -> None:
        """Parse data, and pass the events to the stream."""
        if not self._closing:
            self._stream.receive(*self._parser.feed(data))

    def eof_received(self) -> None:
        """End the connection: TLS cannot be half closed."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the stream that the link is lost."""
        self._closing = True
        self._links.discard(self)
        self._bounds.remove(self)
        self._transport.abort()  # Python 3.10 counts it as open until it is aborted
        self._stream.lost()

    def drop(self) -> None:
        """End the connection at once. (Connection.)"""
        self._transport.abort()

    # --- Link -------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Expect a new stream header from the peer."""
        settings = self._server.hub.settings
        self._parser = StreamParser(
            max_bytes=settings.stanza_bytes, max_depth=settings.stanza_depth
        )

    def open(self, attributes: dict[str, str]) -> None:
        """Write the stream header."""
        header = Element("stream:stream", ns.CLIENT, {"xmlns:stream": ns.STREAM, **attributes})
        self._write("<?xml version='1.0'?>" + header.to_xml()[:-2] + ">")

    def send(self, element: Element) -> None:
        """Write an element."""
        if element.namespace == ns.STREAM:  # the header declares the prefix, and clients expect it
            prefixed = Element(f"stream:{element.name}", ns.CLIENT, None, *element.children)
            self._write(prefixed.to_xml(ns.CLIENT))
        else:
            self._write(element.to_xml(ns.CLIENT))

    def close(self) -> None:
        """Write the end of the stream and close the connection once it is written."""
        if self._closing:
            return
        self._write(_FOOTER)
        self._flush()
        self._closing = True
        self._transport.close()
        self._loop.call_later(_CLOSE_SECONDS, self._transport.abort)

    def abort(self) -> None:
        """Reset the connection."""
        self._closing = True
        self._outgoing.clear()
        reset(self._transport)

    # --- writing: one write for each iteration of the loop ------------------------------------------

    def _write(self, text: str) -> None:
        if self._closing:
            return
        self._outgoing.append(text)
        self._outgoing_size += len(text)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)
        if self._outgoing_size > self._server.hub.settings.unsent_bytes:
            self._flush()

    def _flush(self) -> None:
        self._flush_scheduled = False
        if not self._outgoing or self._closing:
            return
        data = "".join(self._outgoing).encode()
        self._outgoing.clear()
        self._outgoing_size = 0
        self._transport.write(data)
        if self._unsent() > self._server.hub.settings.unsent_bytes:
            # The client does not read. If its session is resumable, the stanzas are replayed later.
            self.abort()

    def _unsent(self) -> int:
        try:
            return self._transport.get_write_buffer_size()
        except AttributeError:  # Python 3.10 raises it when the connection was lost a moment ago
            return 0
