"""What the XML parsers of client and emulator find in a stream, as plain values that can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unittest import mock

from attrs import asdict

from connectycube.chat.protocol import parser as client
from connectycube.chat.protocol.decoding import Delivery
from connectycube.emulator.xmpp import parser as emulator
from connectycube.emulator.xmpp.element import Element
from connectycube.errors import StreamProtocolError

CLIENT = "jabber:client"
STREAM = "http://etherx.jabber.org/streams"
HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='i'"
    b" xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
)
END = b"</stream:stream>"
BYTES, DEPTH = 10**6, 6


def read_by_client(pieces: list[bytes]) -> tuple[list[Any], bool, bool]:
    """The items that the client's parser found, whether it refused, and whether it waits for more.

    An element that it skips counts as refused: there the emulator ends the stream.
    """
    parser = client.StreamParser(stanza_bytes=BYTES, stanza_depth=DEPTH, stanza_elements=BYTES)
    items: list[client.Item] = []
    refused = False
    try:
        for piece in pieces:
            parser.feed(piece, items)
    except StreamProtocolError:
        refused = True
    skipped = [place for place, item in enumerate(items) if isinstance(item, client.RefusedElement)]
    read = items[: skipped[0]] if skipped else items
    refused = refused or bool(skipped) or bool(parser.skips)
    return [plain_item(item) for item in read], refused, bool(parser._tags.held)


def check_both_ways(pieces: list[bytes], **limits: int) -> None:
    """Assert that the client's parser finds the same with runs of messages read as trees, and without that.

    That is each item with its size and the piece that brings it, the reason of one that was refused, what the
    parser skips and holds back, and the fault that ended the stream. A fault in what is held back, because
    its tag has no end yet, may be seen later, as it may where the pieces end elsewhere.
    """
    chosen = {"stanza_bytes": BYTES, "stanza_depth": DEPTH, "stanza_elements": BYTES, **limits}
    as_trees = _all_of(client.StreamParser(**chosen), pieces)
    with mock.patch.object(client, "_SHALLOWEST", 10**9):
        from_events = _all_of(client.StreamParser(**chosen), pieces)
    assert as_trees[0] == from_events[0]
    (fault, rest, waits), (other, other_rest, other_waits) = as_trees[1:], from_events[1:]
    if fault == other:
        assert rest == other_rest
    else:
        assert (not fault and waits) or (not other and other_waits), (fault, other)


def _all_of(
    parser: client.StreamParser, pieces: list[bytes]
) -> tuple[list[Any], str, tuple[Any, ...], bool]:
    """Return the items, the fault, what the parser says then, and whether it holds bytes back."""
    items: list[client.Item] = []
    brought_by: list[int] = []
    fault, waits = "", False
    try:
        for number, piece in enumerate(pieces):
            try:
                parser.feed(piece, items)
            finally:
                brought_by += [number] * (len(items) - len(brought_by))
    except StreamProtocolError as error:
        fault = _POSITION.sub("", str(error))
        broken = parser.broken("why")
        rest: tuple[Any, ...] = () if broken is None else (broken.namespace, broken.name)
    else:
        waits = bool(parser._held or parser._tags.held)
        # Whether it is endless first: this lets expat read the beginning of a message that is held back.
        endless = parser.is_endless
        rest = (parser.skips, bytes(parser._tags.held), endless)
    read = [
        (_refused_item(item), number)
        if isinstance(item, client.RefusedElement)
        else (getattr(item, "size", None), getattr(item, "entries", None), plain_item(item), number)
        for item, number in zip(items, brought_by, strict=True)
    ]
    return read, fault, rest, waits


_POSITION = re.compile(r": line \d+, column \d+")


def _refused_item(item: client.RefusedElement) -> Any:
    return item.namespace, item.name, item.attributes, item.reason, item.size


def read_by_emulator(pieces: list[bytes]) -> tuple[list[Any], bool, bool]:
    """The same of the emulator's parser; a wrong root, which its stream refuses, counts as refused."""
    parser = emulator.StreamParser(max_bytes=BYTES, max_depth=DEPTH)
    found = []
    for piece in pieces:
        events, fault = parser.feed(piece)
        for event in events:
            if isinstance(event, emulator.StreamHeader):
                if (event.element.namespace, event.element.name) != (STREAM, "stream"):
                    return found, True, False
                found.append(("start", event.element.attributes))
            elif isinstance(event, emulator.StreamClosed):
                found.append("end")
            else:
                found.append(plain_element(event))
        if fault is not None:
            return found, True, False
    held = parser._held._data
    assert parser._open or not held or b"<" in held or b"&" in held
    return found, False, bool(parser._held)


def shown(item: Any) -> Any:
    """An item of any kind, also the event of a plain message, with all its fields and sizes."""
    if isinstance(item, Delivery):
        values = {name: getattr(item, name) for name in Delivery.__slots__ if name[0] != "_"}
        return {**values, "event": asdict(item.event), "type": type(item.event)}
    if isinstance(item, client.RefusedElement):
        return _refused_item(item)
    return plain_item(item), getattr(item, "size", None)


def plain_item(item: client.Item) -> Any:
    if isinstance(item, client.StreamStart):
        return "start", keyed(item.attributes)
    if isinstance(item, client.StreamEnd):
        return "end"
    if isinstance(item, client.MessageStanza):
        others = {name: plain_node(node) for name, node in item.others.items()}
        attachments = [keyed(attributes) for attributes in item.attachments]
        return (
            "a message stanza",
            keyed(item.attributes),
            item.body,
            item.params,
            attachments,
            others,
        )
    return plain_node(item)


def plain_node(node: Any) -> Any:
    content: list[Any] = []
    for place in range(max(len(node.data), len(node.kids))):
        content += [text for text in node.data[place : place + 1] if text]
        content += [plain_node(kid) for kid in node.kids[place : place + 1]]
    return node.name, node.namespace, keyed(node.attrs), content


def keyed(attributes: dict[str, str]) -> dict[str, str]:
    """Attributes by ``{namespace}name``, as the emulator has them."""
    split = {key: key.rpartition(" ") for key in attributes}
    return {
        f"{{{split[key][0]}}}{split[key][2]}" if split[key][0] else key: value
        for key, value in attributes.items()
    }


def plain_element(element: Element) -> Any:
    if (element.namespace, element.name) != (CLIENT, "message"):
        return plain_tree(element)
    body: str | None = None
    params: dict[str, Any] = {}
    attachments: list[dict[str, str]] = []
    others: dict[str, Any] = {}
    for child in element.elements():
        if child.name == "extraParams":
            for entry in child.elements():
                if entry.name == "attachment":
                    attachments.append(entry.attributes)
                else:
                    params[entry.name] = value_of(entry)
        elif (child.namespace, child.name) == (CLIENT, "body") and body is None:
            body = "".join(texts_of(child))
        else:
            others.setdefault(f"{child.namespace} {child.name}".lstrip(), plain_tree(child))
    return "a message stanza", element.attributes, body, params, attachments, others


def plain_tree(element: Element) -> Any:
    content: list[Any] = []
    for child in element.children:
        if isinstance(child, str) and content and isinstance(content[-1], str):
            content[-1] += child
        else:
            content.append(child if isinstance(child, str) else plain_tree(child))
    return element.name, element.namespace, element.attributes, content


def value_of(entry: Element) -> Any:
    return {child.name: value_of(child) for child in entry.elements()} or entry.text


def texts_of(element: Element) -> Iterator[str]:
    for child in element.children:
        if isinstance(child, str):
            yield child
        else:
            yield from texts_of(child)
