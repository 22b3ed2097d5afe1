"""Fuzzes the XML parsers: in pieces and whole they read the same, and so do those of others."""

from __future__ import annotations

import re
from collections.abc import Hashable
from random import Random
from typing import Any
from zlib import crc32

from lxml import etree

from connectycube._expat import LONGEST_NAMESPACE
from connectycube.chat.protocol import parser as client
from connectycube.chat.protocol.addresses import Addresses
from connectycube.chat.protocol.decoding import summary
from connectycube.chat.protocol.plain_messages import PlainMessages
from connectycube.emulator.xmpp.element import Element
from connectycube.errors import StreamProtocolError
from tests.fuzz.mutation import pieces_of
from tests.fuzz.stanzas import HEADER, WORDS, stanzas
from tests.fuzz.target import Target
from tests.support import parsers

__all__ = ["Parsers", "Shapes", "Stream"]

_BYTES, _DEPTH = 600, 6
_DIGITS = re.compile(r"\d+|'.*'|: line.*", re.DOTALL)
_END = b"</stream:stream>"
# The client cuts such a namespace, so no names of ours are in it.
_VALUE = re.compile(rb"'[^']*'|\"[^\"]*\"|>[^<]+<")
_IN_VALUES = (
    *(
        b"a",
        b"1",
        b" ",
        b"\n",
        b"\t",
        b"\r",
        b"'",
        b'"',
        b">",
        b"]]>",
        b"<b/>",
        b"<",
        b"&",
        b"&amp;",
    ),
    *(b"&lt;", b"&apos;", b"&#10;", b"&#0;", b"&a;", b"\x01", b"\x7f", b"\xff", b"\xef\xbf\xbe"),
    *(
        b"\xed\xa0\x80",
        b"\xc2\x85",
        "🚀".encode(),
        b"<!-- -->",
        b"<?a?>",
        b"<![CDATA[a]]>",
        b"chat",
    ),
    *(b"groupchat", b"error", b"f" * 24, b"1002-7@chat.example/b", b"1633780800"),
)
_LONG_NAMESPACE = re.compile(
    rb"xmlns[^=]*=\s*(\"[^\"]{%(n)d}|'[^']{%(n)d})" % {b"n": LONGEST_NAMESPACE}
)


class Stream(Target):
    """The client's parser: pieces of any size, and trees, change nothing; only its own error ends it."""

    name = "stream"
    words = WORDS

    def make(self, random: Random) -> bytes:
        return (HEADER + stanzas(random)).encode()

    def run(self, data: bytes) -> Hashable:
        random = Random(crc32(data))
        whole, fault, holds = _read([data])
        items, other, other_holds = _read(pieces_of(data, random))
        parsers.check_both_ways(
            pieces_of(data, random), stanza_bytes=_BYTES, stanza_depth=_DEPTH, stanza_elements=40
        )
        assert items == whole
        # A fault in what is held back, because its markup has no end yet, may not be seen yet.
        assert bool(other) == bool(fault) or (other_holds if fault else holds), (fault, other)
        return tuple(item[0] for item in whole[:5]), _DIGITS.sub("", fault)


def _read(pieces: list[bytes]) -> tuple[list[Any], str, bool]:
    """Return the items as plain values, the fault that ended the stream, and whether bytes are held back."""
    parser = client.StreamParser(stanza_bytes=_BYTES, stanza_depth=_DEPTH, stanza_elements=_BYTES)
    items: list[client.Item] = []
    fault = ""
    try:
        for piece in pieces:
            parser.feed(piece, items)
    except StreamProtocolError as error:
        fault = str(error)
        broken = parser.broken("why")
        assert broken is None or broken.size >= 0
    return [_plain(item) for item in items], fault, bool(parser._tags.held or parser._held)


def _plain(item: client.Item) -> Any:
    assert summary(item) if not isinstance(item, client.StreamStart | client.StreamEnd) else True
    if isinstance(item, client.RefusedElement):
        return "refused", item.namespace, item.name, item.attributes
    return parsers.plain_item(item)


class Shapes(Target):
    """Messages that are nearly like earlier ones: by their shape they are read as the parser reads them."""

    name = "shapes"
    mutations = 0.3

    def __init__(self) -> None:
        self._known = _plain_messages()
        for seed in self.seeds():
            learning = _plain_messages()
            _read_with(learning, [seed] * 9)
            self._known.shapes += learning.shapes
        self._shapes = self._known.shapes
        assert len(self._shapes) == len(self.seeds())
        self._known.learn = lambda *_: None  # type: ignore[method-assign]

    def make(self, random: Random) -> bytes:
        """Return a message in which something else stands for some of its values and texts."""

        def other(found: re.Match[bytes]) -> bytes:
            if random.random() < 0.8:
                return found[0]
            words = [random.choice(_IN_VALUES) for _ in range(random.randrange(4))]
            return found[0][:1] + b"".join(words) + found[0][-1:]

        return _VALUE.sub(other, random.choice(self.seeds()))

    def run(self, data: bytes) -> Hashable:
        # As if none had failed to fit: shapes that do not fit rest.
        self._known._misses, self._known.shapes = 0, [*self._shapes]
        found = _read_with(self._known, [data])
        assert found == _read_with(_plain_messages(), [data])
        shown, fault = found
        return fault, len(shown), [shape.is_marked for shape in self._known.shapes[:1]] == [True]


def _plain_messages() -> PlainMessages:
    return PlainMessages(Addresses(7, "chat.example"), 1001, 40)


def _read_with(plain: PlainMessages, pieces: list[bytes]) -> tuple[list[Any], str]:
    parser = client.StreamParser(stanza_bytes=4_000, stanza_depth=_DEPTH, stanza_elements=40)
    items: list[Any] = []
    parser.feed(HEADER.encode(), items)
    parser.plain = plain
    try:
        for piece in pieces:
            parser.feed(piece, items)
    except StreamProtocolError as error:
        return list(map(parsers.shown, items)), _DIGITS.sub("", str(error))
    return list(map(parsers.shown, items)), ""


class Parsers(Target):
    """The parsers of client, emulator and libxml2: a document that two accept means the same to both."""

    name = "parsers"
    words = WORDS

    def make(self, random: Random) -> bytes:
        return (HEADER + stanzas(random)).encode() + _END

    def run(self, data: bytes) -> Hashable:
        if _names_another_encoding(data):
            return "another encoding"
        if _LONG_NAMESPACE.search(data):
            return "a long namespace"
        found = {
            "client": _accepted(parsers.read_by_client([data])),
            "emulator": _accepted(parsers.read_by_emulator([data])),
            "libxml2": _read_by_libxml2(data),
        }
        accepted = {name: meaning for name, meaning in found.items() if meaning is not None}
        meanings = list(accepted.values())
        assert all(meaning == meanings[0] for meaning in meanings), accepted
        return tuple(accepted), len(meanings[0]) if meanings else 0


def _accepted(found: tuple[list[Any], bool, bool]) -> list[Any] | None:
    """Return the items of a whole document; None if it was refused, or is incomplete."""
    items, refused, _ = found
    return None if refused or not items or items[-1] != "end" else items


def _names_another_encoding(data: bytes) -> bool:
    # The client reads a stream as UTF-8, whatever encoding it declares.
    return re.search(rb"encoding", data) is not None or data[:2] in (b"\xff\xfe", b"\xfe\xff")


def _read_by_libxml2(data: bytes) -> list[Any] | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if root.getroottree().docinfo.doctype or parser.error_log:
        return None
    if any(not isinstance(node.tag, str) for node in root.iter()):
        return None  # a comment, a processing instruction or an entity
    if root.tag != f"{{{parsers.STREAM}}}stream" or (root.text or "").strip():
        return None
    if any((child.tail or "").strip() for child in root):
        return None
    attributes = {str(key): str(value) for key, value in root.attrib.items()}
    return [
        ("start", attributes),
        *(parsers.plain_element(_element(child)) for child in root),
        "end",
    ]


def _element(node: Any) -> Element:
    name = etree.QName(node)
    element = Element(name.localname, name.namespace or "")
    element.attributes = {str(key): str(value) for key, value in node.attrib.items()}
    element.children = [node.text] if node.text else []
    for child in node:
        element.children.append(_element(child))
        if child.tail:
            element.children.append(child.tail)
    return element
