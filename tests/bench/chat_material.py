"""What both sides of the chat benchmarks read and write: one realistic message, in bursts of many.

Every message has an id of its own, as the client drops what it has seen before; there are more of them than
it remembers, so the bursts can be used again and again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

__all__ = [
    "ATTACHMENT",
    "BURST",
    "DIALOG",
    "HEADER",
    "HOST",
    "ME",
    "PEER",
    "TEXT",
    "TOPIC",
    "ack",
    "bursts",
    "jid",
    "message",
    "singles",
    "stanzas",
    "texts",
]

HOST = "chat.example"
APP, ME, PEER = 7, 1001, 1002
DIALOG = "5f3a1b2c3d4e5f6071829304"
TEXT = "We meet at six in front of the café; bring the map. Bis später! 🚀"
TOPIC = "outing"
ATTACHMENT = {
    "id": "0d1b8f04ba5c",
    "uid": "0d1b8f04ba5c",
    "type": "image",
    "url": "https://files.example/0d1b8f04",
    "content-type": "image/png",
    "size": "48213",
    "name": "map.png",
}
BURST = 100
"""Messages in a burst."""

_CHUNK = 16_384  # bytes: what one read of a TLS record can bring
_IDS = 12_000  # more than the 10,000 that the client remembers
_FIRST_SENT = 1_700_000_000
_STREAM = "http://etherx.jabber.org/streams"
_CLIENT = "jabber:client"
_MESSAGE = f"{{{_CLIENT}}}message"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='{_CLIENT}' xmlns:stream='{_STREAM}' id='s1'"
    f" version='1.0' from='{HOST}'>"
)


def jid(user_id: int, host: str = HOST) -> str:
    """The bare JID of a user."""
    return f"{user_id}-{APP}@{host}"


def bursts() -> Iterator[list[bytes]]:
    """Yield bursts for ever, each as chunks from a socket; a request for an acknowledgement ends each."""
    made = [
        _chunks(b"".join(map(message, range(first, first + BURST))) + b"<r xmlns='urn:xmpp:sm:3'/>")
        for first in range(0, _IDS, BURST)
    ]
    return itertools.cycle(made)


def singles() -> Iterator[list[bytes]]:
    """Yield the same bursts, each message a chunk of its own, as live traffic brings them."""
    made = [
        [*map(message, range(first, first + BURST)), b"<r xmlns='urn:xmpp:sm:3'/>"]
        for first in range(0, _IDS, BURST)
    ]
    return itertools.cycle(made)


def message(number: int, *, host: str = HOST, resource: str = "phone") -> bytes:
    """Return a message stanza with an id of its own."""
    attachment = "".join(f" {name}='{value}'" for name, value in ATTACHMENT.items())
    return (
        f"<message from='{jid(PEER, host)}/{resource}' to='{jid(ME, host)}' type='chat' id='{number:024x}'>"
        f"<body>{TEXT}</body><extraParams xmlns='{_CLIENT}'>"
        f"<date_sent>{_FIRST_SENT + number}</date_sent><save_to_history>1</save_to_history>"
        f"<topic>{TOPIC}</topic><dialog_id>{DIALOG}</dialog_id><attachment{attachment}/>"
        "</extraParams><markable xmlns='urn:xmpp:chat-markers:0'/></message>"
    ).encode()


def _chunks(data: bytes) -> list[bytes]:
    return [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]


def ack(handled: int) -> bytes:
    """The server's acknowledgement of so many stanzas. (XEP-0198.)"""
    return f"<a xmlns='urn:xmpp:sm:3' h='{handled}'/>".encode()


def texts(fields: Iterable[Any]) -> tuple[str, ...]:
    """What a receiver has read of a message, the sender first, as it would be on the wire."""
    sender, *others = fields
    return (str(sender).partition("-")[0], *map(_text, others))


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return str(int(value.timestamp()))
    return str(int(value)) if isinstance(value, (bool, float)) else str(value)


def stanzas(written: Iterable[bytes]) -> list[Any]:
    """The messages that a client wrote, without ids, times and the optional xml:lang."""
    data = b"".join((HEADER.encode(), *written, b"</stream:stream>"))
    return [_shape(stanza) for stanza in ElementTree.fromstring(data).findall(_MESSAGE)]


def _shape(element: ElementTree.Element) -> Any:
    left_out = {"id", _LANGUAGE} if element.tag == _MESSAGE else set()
    attributes = {key: value for key, value in element.items() if key not in left_out}
    text = None if element.tag == f"{{{_CLIENT}}}date_sent" else element.text
    return element.tag, attributes, text, [_shape(kid) for kid in element]
