"""WebSocket: XMPP over plain WebSocket, for browsers and Node.js. (RFC 7395.)"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from ..control.faults import CHAT
from ..net.access import Access
from ..net.bounds import Bounds
from ..net.connections import OpenLinks, reset
from ..net.listener import Listener
from . import namespaces as ns
from .element import Element
from .parser import StreamClosed, StreamEvent, StreamFault, StreamHeader, StreamParser
from .server import ChatServer
from .stream import Stream

__all__ = ["WebSocketServer"]

_SUBPROTOCOL = "xmpp"
_PORT = re.compile(r":\d*$")
_CLOSE_SECONDS = 2.0
_STOP_SECONDS = 0.2


class WebSocketServer(Listener):
    """Accepts WebSockets with any path for a chat server; for one event loop."""

    def __init__(self, server: ChatServer, access: Access, bounds: Bounds) -> None:
        super().__init__(server.hub.faults, CHAT, server.hub.timers, access, bounds)
        self.server = server
        self._links = OpenLinks[WebSocketLink]()

    async def finish(self) -> None:
        """Give links a moment to write the rest of their data, then abort them."""
        await self._links.emptied(_STOP_SECONDS)
        for link in list(self._links):
            link.abort()

    def _make_protocol(self) -> asyncio.Protocol:
        protocol = super()._make_protocol()
        assert isinstance(protocol, web.RequestHandler)
        self.server.hub.schedule(
            self.server.hub.settings.handshake_seconds, lambda: self._drop_if_silent(protocol)
        )
        return protocol

    def _drop_if_silent(self, protocol: web.RequestHandler) -> None:
        transport = protocol.transport
        if transport is not None and all(link.transport is not transport for link in self._links):
            transport.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one WebSocket from its handshake to its end."""
        # Twice the bound of a stanza, so that the stream can refuse one that is too large.
        most = 2 * self.server.hub.settings.stanza_bytes
        response = web.WebSocketResponse(
            protocols=(_SUBPROTOCOL,), compress=False, max_msg_size=most, timeout=_CLOSE_SECONDS
        )
        try:
            ready = response.can_prepare(request)
        except (
            ValueError
        ):  # aiohttp raises it for a header that is no text, and for a key that is not ASCII
            return _refusal(400, "A header of the WebSocket handshake is malformed (RFC 6455)")
        if not ready:
            return _refusal(426, "This port speaks XMPP over WebSocket (RFC 7395)")
        if ready.protocol != _SUBPROTOCOL:
            return _refusal(400, f"Ask for the WebSocket subprotocol {_SUBPROTOCOL} (RFC 7395)")
        await response.prepare(request)
        transport = request.transport
        if transport is not None:
            host = _PORT.sub("", request.host)
            link = WebSocketLink(self.server, response, transport, host)
            self._links.add(link)
            try:
                await link.run()
            finally:
                self._links.discard(link)
        return response

    def refuse(self, status: int, text: str) -> web.Response:
        """Return the answer to a request that is not HTTP, or is not accepted."""
        return _refusal(status, text)


def _refusal(status: int, text: str) -> web.Response:
    headers = {"Upgrade": "websocket"} if status == 426 else {}
    response = web.Response(status=status, text=text, headers=headers)
    response.force_close()
    return response


class WebSocketLink:
    """One connection: each WebSocket message is one element of the stream. (Link.)

    ``host`` is the server's name in the address that the client connected to.
    """

    def __init__(
        self,
        server: ChatServer,
        websocket: web.WebSocketResponse,
        transport: asyncio.Transport,
        host: str,
    ) -> None:
        self.transport = transport
        self._server = server
        self._websocket = websocket
        self._host = host
        self._outgoing: asyncio.Queue[str | None] = asyncio.Queue()
        self._unsent = 0
        self._check_scheduled = False
        self._closing = False
        self._expects_header = True
        self._stream = Stream(server, self)

    async def run(self) -> None:
        """Read and write until the connection has ended."""
        writer = asyncio.get_running_loop().create_task(self._write())
        try:
            async for message in self._websocket:
                # A violation of RFC 6455: aiohttp has closed the WebSocket.
                if message.type is WSMsgType.ERROR:
                    break
                if not self._closing:
                    self._stream.receive(*self._parse(message.type, message.data))
        finally:
            self._stream.lost()
            if not self._closing:
                self._closing = True
                writer.cancel()
            await asyncio.wait((writer,))

    # --- reading ------------------------------------------------------------------------------------

    def _parse(
        self, kind: WSMsgType, data: str | bytes
    ) -> tuple[Sequence[StreamEvent], StreamFault | None]:
        if not isinstance(data, str):
            return (), StreamFault("bad-format", f"A message is {kind.name.lower()}, not text")
        if not data.startswith("<"):
            return (), StreamFault("bad-format", "A message does not begin with <")
        settings = self._server.hub.settings
        parser = StreamParser(max_bytes=settings.stanza_bytes, max_depth=settings.stanza_depth)
        events, fault = parser.feed_document(data.encode())
        if fault is not None:
            return (), fault
        (element,) = events
        assert isinstance(element, Element)
        return self._event(element)

    def _event(self, element: Element) -> tuple[Sequence[StreamEvent], StreamFault | None]:
        if element.namespace == ns.FRAMING and element.name == "close":
            return (StreamClosed(),), None
        if not self._expects_header:
            return (element,), None
        if element.namespace != ns.FRAMING:
            return (), StreamFault("invalid-namespace", f"Expected <open/> of {ns.FRAMING}")
        if element.name != "open":
            return (), StreamFault("bad-format", "Expected <open/>")
        self._expects_header = False
        return (StreamHeader(self._header(element), ns.CLIENT),), None

    def _header(self, opening: Element) -> Element:
        attributes = dict(opening.attributes)
        # The JavaScript SDK sends the host of the address in place of the domain.
        if attributes.get("to", "").lower() == self._host.lower():
            del attributes["to"]
        return Element("stream", ns.STREAM, attributes)

    # --- Link -----------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Expect a new <open/> from the peer."""
        self._expects_header = True

    def open(self, attributes: dict[str, str]) -> None:
        """Write the server's <open/>."""
        self._put(Element("open", ns.FRAMING, attributes).to_xml())

    def send(self, element: Element) -> None:
        """Write an element."""
        if element.namespace == ns.STREAM:  # clients expect this prefix
            name, declared = f"stream:{element.name}", {"xmlns:stream": ns.STREAM}
            self._put(Element(name, ns.CLIENT, declared, *element.children).to_xml(ns.CLIENT))
        else:
            self._put(element.to_xml())

    def close(self) -> None:
        """Write <close/> and close the connection once it is written."""
        if self._closing:
            return
        self._put(Element("close", ns.FRAMING).to_xml())
        self._closing = True
        self._outgoing.put_nowait(None)
        asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self.transport.abort)

    def abort(self) -> None:
        """Reset the connection."""
        self._closing = True
        reset(self.transport)
        self._outgoing.put_nowait(None)

    # --- writing --------------------------------------------------------------------------------------

    def _put(self, text: str) -> None:
        if self._closing:
            return
        self._outgoing.put_nowait(text)
        self._unsent += len(text)
        if self._unsent > self._server.hub.settings.unsent_bytes and not self._check_scheduled:
            self._check_scheduled = True  # not checked now, so that the writer runs first
            asyncio.get_running_loop().call_soon(self._check_unsent)

    def _check_unsent(self) -> None:
        self._check_scheduled = False
        if self._unsent > self._server.hub.settings.unsent_bytes and not self._closing:
            # The client does not read. If its session is resumable, the stanzas are replayed later.
            self.abort()

    async def _write(self) -> None:
        try:
            while (text := await self._outgoing.get()) is not None:
                await self._websocket.send_str(text)
                self._unsent -= len(text)
        except ConnectionError:  # the reader gets it, too
            return
        await self._websocket.close()
