"""The other sides of the chat benchmarks, each as its own users run it, with no network under it.

slixmpp has its stream management plugin, as we count stanzas, too, and its send queue. xmpppy has nothing of
the kind. Neither knows ConnectyCube's elements: the handlers take them from the element tree, which is
the cheapest way. What they read stays text, while our receivers get numbers and times.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from xml.etree.ElementTree import SubElement
from xml.parsers import expat

import slixmpp
import xmpp
from xmpp.dispatcher import Dispatcher

from tests.bench import chat_material as material

__all__ = ["Expat", "Slixmpp", "Xmpppy", "make_message", "read_fields", "slixmpp_peer"]

_NAMES = ("id", "uid", "type", "url", "content-type", "size", "name")
_MARKERS = "urn:xmpp:chat-markers:0"


class Expat:
    """The parser alone, with handlers that do nothing."""

    def __init__(self) -> None:
        self._parser = parser = expat.ParserCreate("UTF-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = lambda name, attributes: None
        parser.EndElementHandler = lambda name: None
        parser.CharacterDataHandler = lambda data: None
        parser.Parse(material.HEADER.encode(), False)

    def receive_burst(self, chunks: Sequence[bytes]) -> None:
        for chunk in chunks:
            self._parser.Parse(chunk, False)


class Xmpppy:
    """Stock xmpppy: its dispatcher and a handler of messages."""

    def __init__(self) -> None:
        self.read: list[tuple[Any, ...]] = []
        self.written: list[bytes] = []
        self._client = client = xmpp.Client(material.HOST, debug=[])
        client.Connection = self
        client.send = self.send  # what the dispatcher finds there it takes for the transport's
        self._arriving: list[bytes] = []
        Dispatcher().PlugIn(client)
        client.RegisterHandler("message", self._receive)
        self._take(material.HEADER.encode())
        self.written.clear()

    # what its transport does, but for the socket

    def pending_data(self, timeout: float) -> bool:
        return bool(self._arriving)

    def receive(self) -> bytes:
        return self._arriving.pop(0)

    def send(self, data: Any) -> None:
        self.written.append(xmpp.simplexml.ustr(data).encode())

    def _take(self, chunk: bytes) -> None:
        self._arriving.append(chunk)
        self._client.Process()

    def receive_burst(self, chunks: Sequence[bytes]) -> None:
        self.read.clear()
        self.written.clear()
        for chunk in chunks:
            self._take(chunk)
        assert len(self.read) == material.BURST

    def _receive(self, dispatcher: Any, message: Any) -> None:
        params = message.getTag("extraParams")
        attachment = params.getTag("attachment")
        self.read.append(
            (
                message.getFrom().getStripped(),
                message.getID(),
                message.getBody(),
                params.getTagData("date_sent"),
                params.getTagData("dialog_id"),
                params.getTagData("save_to_history"),
                params.getTagData("topic"),
                *map(attachment.getAttr, _NAMES),
                message.getTag("markable", namespace=_MARKERS) is not None,
            )
        )

    def send_burst(self) -> None:
        self.written.clear()
        for _ in range(material.BURST):
            message = xmpp.Message(to=material.jid(material.PEER), body=material.TEXT, typ="chat")
            params = message.addChild("extraParams", namespace="jabber:client")
            params.setTagData("date_sent", str(int(time.time())))
            params.setTagData("save_to_history", "1")
            params.setTagData("topic", material.TOPIC)
            params.setTagData("dialog_id", material.DIALOG)
            params.addChild("attachment", material.ATTACHMENT)
            message.addChild("markable", namespace=_MARKERS)
            self._client.send(message)


class Slixmpp:
    """slixmpp: its stream, stanza objects and event handlers; ``marks``: answer with 'received'."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, marks: bool = False) -> None:
        self.read: list[tuple[Any, ...]] = []
        self.written: list[bytes] = []
        self._loop = loop
        self._marks = marks
        self._client = client = slixmpp.ClientXMPP(f"{material.jid(material.ME)}/bench", "secret")
        client.register_plugin("xep_0198")
        client.loop = loop
        client.connection_made(self)
        client.data_received(material.HEADER.encode())
        client._session_started = True
        self._management = client.plugin["xep_0198"]
        self._management.enabled_in = self._management.enabled_out = True
        client.add_event_handler("message", self._receive)
        self._sender = loop.create_task(client.run_filters())
        self._settle()
        self.written.clear()

    # what it takes for its transport

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def _settle(self) -> None:
        """Let the send queue empty itself."""
        self._loop.run_until_complete(self._client.waiting_queue.join())

    def close(self) -> None:
        self._sender.cancel()
        self._loop.run_until_complete(asyncio.wait([self._sender]))

    def receive_burst(self, chunks: Sequence[bytes]) -> None:
        self.read.clear()
        self.written.clear()
        for chunk in chunks:
            self._client.data_received(chunk)
            if self._marks:
                self._settle()
        assert len(self.read) == material.BURST
        if self._marks:
            self.acknowledge()

    def _receive(self, message: Any) -> None:
        self.read.append(read_fields(message))
        if self._marks:
            self._mark(message["from"].bare, message["id"])

    def _mark(self, sender: str, message_id: str) -> None:
        marker = self._client.make_message(mto=sender, mtype="chat")
        marker["id"] = self._client.new_id()
        SubElement(marker.xml, f"{{{_MARKERS}}}received", {"id": message_id})
        params = SubElement(marker.xml, "{jabber:client}extraParams")
        SubElement(params, "{jabber:client}dialog_id").text = material.DIALOG
        marker.send()

    def send_burst(self) -> None:
        self.written.clear()
        for _ in range(material.BURST):
            message = make_message(self._client)
            message.send()
        self._settle()
        self.acknowledge()

    def acknowledge(self) -> None:
        self._client.data_received(material.ack(self._management.seq))


def read_fields(message: Any) -> tuple[Any, ...]:
    """Read all fields of slixmpp's message, as our receivers do of ours."""
    params = message.xml.find("{jabber:client}extraParams")
    attachment = params.find("{jabber:client}attachment")
    return (
        message["from"].bare,
        message["id"],
        message["body"],
        params.findtext("{jabber:client}date_sent"),
        params.findtext("{jabber:client}dialog_id"),
        params.findtext("{jabber:client}save_to_history"),
        params.findtext("{jabber:client}topic"),
        *map(attachment.get, _NAMES),
        message.xml.find(f"{{{_MARKERS}}}markable") is not None,
    )


def make_message(client: Any) -> Any:
    """Make the message with slixmpp that ours sends."""
    message = client.make_message(
        mto=material.jid(material.PEER), mbody=material.TEXT, mtype="chat"
    )
    message["id"] = client.new_id()
    params = SubElement(message.xml, "{jabber:client}extraParams")
    for name, value in (
        ("date_sent", str(int(time.time()))),
        ("save_to_history", "1"),
        ("topic", material.TOPIC),
        ("dialog_id", material.DIALOG),
    ):
        SubElement(params, f"{{jabber:client}}{name}").text = value
    SubElement(params, "{jabber:client}attachment", material.ATTACHMENT)
    SubElement(message.xml, f"{{{_MARKERS}}}markable")
    return message


@contextmanager
def slixmpp_peer(*, marks: bool = False) -> Iterator[Slixmpp]:
    """Run slixmpp on an event loop of its own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        peer = Slixmpp(loop, marks=marks)
        yield peer
        peer.close()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
