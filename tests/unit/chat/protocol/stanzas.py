"""Stanzas as text, and what our codec makes of them: what the tests of encoding and decoding share."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree

from connectycube.chat.protocol.addresses import Addresses
from connectycube.chat.protocol.decoding import Delivery, decode
from connectycube.chat.protocol.parser import Item, MessageStanza, StreamParser
from connectycube.models import Message

ADDRESSES = Addresses(7, "chat.example")
ALICE, BOB = 1001, 1002
FROM, TO = "1002-7@chat.example/phone", "1001-7@chat.example"
ID = "5f1e0a0b0c0d0e0f10111213"
NOON = datetime(2021, 10, 9, 12, 0, tzinfo=timezone.utc)
CLIENT = "{jabber:client}"
ROOM_ID = "5f1e0a0b0c0d0e0f1011ffff"
ROOM = f"7_{ROOM_ID}@muc.chat.example"
HEADER = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"


def item(xml: str | bytes) -> Item:
    """What the stream's parser makes of one first-level element."""
    items: list[Item] = []
    data = xml.encode() if isinstance(xml, str) else xml
    StreamParser(stanza_bytes=1_000_000, stanza_depth=64, stanza_elements=1_000).feed(
        HEADER + data, items
    )
    assert len(items) == 2
    return items[1]


def stanza(xml: str | bytes) -> MessageStanza:
    found = item(xml)
    assert isinstance(found, MessageStanza)
    return found


def read(xml: str | bytes, me: int = ALICE) -> Any:
    return decode(stanza(xml), ADDRESSES, me)


def event(xml: str | bytes, me: int = ALICE) -> Any:
    delivery = read(xml, me)
    assert isinstance(delivery, Delivery)
    return delivery.event


def relayed(data: bytes, sender: str = FROM) -> bytes:
    """What was sent, as the server hands it to Alice: by Bob, or by whoever ``sender`` names."""
    assert data.startswith(b"<message ")
    return data.replace(b"<message ", f'<message from="{sender}" '.encode(), 1)


def carbon(data: str | bytes, kind: str = "received", sender: str | None = TO) -> bytes:
    """A copy of what another device of Alice's received or sent. (XEP-0280.)"""
    inner = data.encode() if isinstance(data, str) else data
    assert inner.startswith(b"<message")
    inner = inner.replace(b"<message", b"<message xmlns='jabber:client'", 1)
    said = f" from='{sender}'" if sender is not None else ""
    head = (
        f"<message{said} to='{TO}/python' type='chat'><{kind} xmlns='urn:xmpp:carbons:2'>"
        "<forwarded xmlns='urn:xmpp:forward:0'>"
    )
    return head.encode() + inner + f"</forwarded></{kind}></message>".encode()


def group(content: str, sender: object = BOB, attributes: str = "") -> str:
    """A message of the room, or of one of its occupants."""
    jid = f"{ROOM}/{sender}" if sender is not None else ROOM
    head = f"<message from='{jid}' to='{TO}/python' type='groupchat' id='{ID}'{attributes}>"
    return f"{head}{content}</message>"


def chat(content: str, attributes: str = "") -> str:
    return f"<message from='{FROM}' to='{TO}' type='chat' id='{ID}'{attributes}>{content}</message>"


def sendable(**changes: Any) -> Message:
    return Message(**{"id": ID, "body": "hi", "date_sent": NOON} | changes)


def element_of(data: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(data.replace(b"<message ", b'<message xmlns="jabber:client" ', 1))
