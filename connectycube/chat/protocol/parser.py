"""Bytes of an XMPP stream in, its first-level elements out: one parser, one set of limits.

A ``<message/>`` of the client namespace becomes a :class:`MessageStanza`; every other first-level element
becomes an xmpppy Node. Whole messages, which is nearly everything, are read by their shapes, or as trees
(``message_trees``), and all else straight from expat's events: all ways read the same. Once stanzas flow, a
plain message becomes what ``StreamParser.plain`` makes of it. An element beyond the limits, or with a comment
or a processing instruction in it, is skipped and becomes a :class:`RefusedElement`. Bad XML ends the stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias
from xml.etree.ElementTree import Element
from xml.parsers import expat

from ..._expat import WHOLE_TAG, TagBuffer, first_tag
from ...errors import StreamProtocolError
from . import namespaces as ns
from .message_trees import (
    BODY,
    END,
    MARKABLE,
    PARAMS,
    START,
    BeyondLimits,
    MessageTrees,
    renamed,
    tree_as_node,
)
from .nodes import Node, add_text, attach, children, new_node

__all__ = [
    "Item",
    "MessageStanza",
    "Params",
    "RefusedElement",
    "StanzaItem",
    "StreamEnd",
    "StreamParser",
    "StreamStart",
    "message_of",
]

_STREAM = f"{ns.STREAM} stream"
_MESSAGE = f"{ns.CLIENT} message"
_BODY = f"{ns.CLIENT} body"
_MARKABLE = f"{ns.CHAT_MARKERS} markable"
_MARKABLE_NODE = new_node("markable", ns.CHAT_MARKERS, {})
"""The Node of most markable messages: no Node of the server is ever changed."""
_SHALLOWEST = 3  # levels of a message with parameters; below them no message is read as a tree
_LONGEST_RUN = 4_096  # bytes; all trees of a run are in memory at once
_END_OF_MESSAGE = b"</message"  # also of one with a space behind the name
_MOST_CUTS = 64  # places in a piece of data at which a run of messages may begin
_PIECE = 65_536  # bytes given to expat at once; the limits are checked after each piece
_MOST_SKIPPED = 16_777_216  # bytes of one element; a longer one ends the stream
_END_TAG = 256  # bytes
# Bytes of a text that expat tells of at once. Each connection has such a buffer, of 8,192 bytes by default.
_TEXT_BUFFER = 1_024
_DEEPEST_SKIPPED = 10_000  # expat needs memory for each open element
# Expat keeps each name and each prefix that it has read as long as it lives. After so many bytes or names a
# new parser takes its place, between two elements.
_BYTES_OF_AN_EXPAT = 262_144
_NAMES_OF_AN_EXPAT = 1_000
_MOST_NAMES = 200_000  # different names in one element; more of them end the stream
# The first bytes of an incomplete element that are kept. They tell which stanza has a broken start tag.
_HEAD = 512

# A stanza's start tag that is incomplete or broken, perhaps behind the end tag of the element before: expat's
# position is the start of an end tag, and the end of an empty element.
_START_OF_STANZA = re.compile(rb"(?:</[^<>]*>)?\s*<(message|presence|iq)(?=[\s/>])")
# An element of stream management, which no stanza contains: its place is between stanzas. (XEP-0198.)
_BETWEEN_STANZAS = re.compile(
    rb"<(?:[^<>\s:]+:)?[ar]\s[^<>]*" + re.escape(ns.STREAM_MANAGEMENT.encode())
)


Params: TypeAlias = "dict[str, str | Params]"
"""The names of extraParams, with text or, nested, with dicts."""


class StreamStart:
    """The peer's stream header."""

    __slots__ = ("attributes",)

    def __init__(self, attributes: dict[str, str]) -> None:
        self.attributes: dict[str, str] = attributes


class StreamEnd:
    """The peer's end of the stream."""

    __slots__ = ()


class MessageStanza:
    """A message stanza as it was read: attributes, body, extraParams, and the other children as Nodes.

    ``params`` maps the names of extraParams to text or, nested, to dicts. ``attachments`` are the attributes
    of the attachment elements. ``others`` maps "namespace name" to the first child Node of that kind.
    ``size`` is in bytes; ``entries`` is the number of elements in extraParams.
    """

    __slots__ = ("attachments", "attributes", "body", "entries", "others", "params", "size")

    def __init__(self, attributes: dict[str, str]) -> None:
        self.attributes: dict[str, str] = attributes
        self.body: str | None = None
        self.params: Params = {}
        self.attachments: list[dict[str, str]] = []
        self.others: dict[str, Node] = {}
        self.size: int = 0
        self.entries: int = 0


class RefusedElement:
    """A first-level element that was not read, for ``reason``; ``size`` is the bytes that have arrived of it.

    ``attributes`` are empty if the start tag itself could not be read.
    """

    __slots__ = ("attributes", "name", "namespace", "reason", "size")

    def __init__(self, name: str, attributes: dict[str, str], reason: str, size: int) -> None:
        self.namespace: str
        self.name: str
        self.namespace, _, self.name = name.rpartition(" ")
        self.attributes: dict[str, str] = attributes
        self.reason: str = reason
        self.size: int = size


StanzaItem: TypeAlias = "MessageStanza | RefusedElement | Node"
Item: TypeAlias = "StreamStart | StreamEnd | StanzaItem"


class _ExpatIsFull(Exception):
    """Expat has read enough: a new parser continues at ``position`` of the stream."""

    def __init__(self, position: int) -> None:
        self.position = position


class PlainReader(Protocol):
    """What makes the items of plain messages for the parser."""

    @property
    def shapes(self) -> Sequence[object]:
        """What ``read_alike`` knows; without these it finds nothing."""
        ...

    def read_alike(self, data: bytes, size: int) -> Any:
        """Return the item of a message that is written like an earlier one, None if it is not."""

    def read(self, tree: Element, size: int) -> Any:
        """Return the item of a message that is plain, None if it is not."""

    def learn(self, data: bytes, tree: Element, delivery: Any) -> None:
        """Note how a message is written that ``read`` has made an item of."""


class StreamParser:
    """An incremental parser of one stream; a restarted stream needs a new one.

    ``stanza_bytes``, ``stanza_depth`` and ``stanza_elements`` bound each first-level element. ``skips`` is
    the reason for skipping the current element, or empty.
    """

    def __init__(self, *, stanza_bytes: int, stanza_depth: int, stanza_elements: int) -> None:
        self._stanza_bytes = stanza_bytes
        self._stanza_elements = stanza_elements
        self._stanza_depth = stanza_depth
        self._deepest = stanza_depth + 1  # the stream itself is one level
        self._items: list[Item] = []
        self._fed = 0  # bytes
        self._began: int = 0  # the position at which the incomplete element begins, in bytes
        self._depth = 0  # open elements, the stream itself included
        self._elements = 0  # inside the current first-level element
        self.skips: str = ""
        self._first: tuple[str, dict[str, str]] = ("", {})  # the newest first-level element
        self._head = b""  # the first bytes of the incomplete element
        self._head_at: int = 0  # the position of these bytes
        self._recent = b""  # the last bytes of the data, in which the next element may begin
        # The position of the newest element that contained an element whose place is behind it.
        self._endless_at = -1
        self._message = MessageStanza({})
        self._open: list[Node] = []  # Nodes under construction, outermost first
        self._text: list[str] = []  # always the same list, because expat calls its append()
        self._params: list[Params] = []  # dicts under construction inside extraParams
        self._tags = TagBuffer()
        self._held = b""  # the beginning of a message, not fed yet
        self._is_between = False  # whether the next byte may be the first one of a message in a run
        self._header = b""  # the stream's start tag, with which a new parser begins
        self._parsed = self._began_expat = self._offset = 0
        self._trees: MessageTrees | None = None  # from the header on
        self.plain: PlainReader | None = None
        """Makes the items of plain messages, once stanzas flow; other messages become a MessageStanza."""
        self._begin_expat(0)

    def feed(self, data: bytes, items: list[Item]) -> None:
        """Parse ``data`` and append the elements that it completes to ``items``.

        Raises StreamProtocolError for XML that may not be in a stream; ``items`` then holds the elements
        before it, and :meth:`broken` the element with the fault. The parser cannot be used afterwards.
        """
        if len(data) > _PIECE:
            for start in range(0, len(data), _PIECE):
                self.feed(data[start : start + _PIECE], items)
            return
        self._items = items
        held, piece = self._held, data
        if held:
            piece, self._held = held + data, b""
        self._fed += len(piece)
        try:
            position = self._take(piece, bool(held))
        except StreamProtocolError:
            self._keep_head(piece)
            raise
        except expat.ExpatError as error:
            self._keep_head(piece)
            raise StreamProtocolError(f"the server sent bad XML: {error}") from None
        if position < len(piece):
            self._held, piece = piece[position:], piece[:position]
            self._fed -= len(self._held)
        if self._fed - self._began == len(END) and piece.endswith(END):
            # Nothing follows a message that has just been read: this is what the rest would come to.
            self._head_at, self._head, self._recent = self._began, END, END
            return
        if self._depth > 1:
            self._look_inside(piece)
        # The size of an element ends where its end tag begins, a part of which may be here already.
        if self._fed - self._began > self._stanza_bytes + _END_TAG:
            self._bound_size()
        self._keep_head(piece)

    def _take(self, piece: bytes, was_held: bool) -> int:
        """Read a piece of data: each run of whole messages as such, and the rest from expat's events.

        Return the position behind what was read. The beginning of a message at the end is left to the next
        piece, unless this piece has been held back for that before (``was_held``).
        """
        position, size = 0, len(piece)
        for _ in range(_MOST_CUTS):
            # Where the next run may begin: at the next message, or behind the end of this one.
            if self._is_between:
                position = self._take_run(piece, position)
                if position == size:
                    return size
                if (position or not was_held) and self._may_wait(piece, position):
                    return position
                cut = piece.find(START, position + 1)
            else:
                cut = piece.find(END, position) if self._trees is not None else -1
                cut += len(END) if cut >= 0 else 0
            if cut < 0 or cut == size:
                break
            self._take_events(piece[position:cut])
            position = cut
        self._take_events(piece[position:] if position else piece)
        return size

    def _may_wait(self, piece: bytes, position: int) -> bool:
        """Whether the rest of a piece is the beginning of a message, of which nothing is an item yet."""
        if not piece.startswith(START, position):
            return False
        if len(piece) - position > min(_LONGEST_RUN, self._stanza_bytes):
            return False
        # What may be beyond a limit, or forbidden, expat reads at once. No more are nested than begin here.
        count, find = piece.count, piece.find
        begun = count(b"<", position) - count(b"</", position)
        if begun > min(self._stanza_depth, self._stanza_elements):
            return False
        if find(b"<!", position) >= 0 or find(b"<?", position) >= 0:
            return False
        tag = WHOLE_TAG.match(piece, position)
        if tag is None:  # not even the start tag is whole, unless it is bad XML
            return find(b">", position) < 0 and find(b"<", position + 1) < 0
        return not tag[0].endswith(b"/>") and find(_END_OF_MESSAGE, position) < 0

    def _take_events(self, data: bytes) -> None:
        self._parse(self._tags.take(data))
        if self._tags.held and (self._depth <= 1 or self.skips):
            # Text is not held back here: white space that keeps a connection alive may never end.
            self._parse(self._tags.take_text())
        self._is_between = (
            self._depth == 1
            and not self.skips
            and self._trees is not None
            and self._tags.is_between_tags
        )

    def _take_held(self) -> None:
        """Let expat read the beginning of a message that was held back."""
        held, self._held = self._held, b""
        if not held:
            return
        self._fed += len(held)
        try:
            self._take_events(held)
        except (expat.ExpatError, StreamProtocolError):
            pass  # the link ends for another reason
        if self._depth > 1:
            self._look_inside(held)
        self._keep_head(held)

    def _take_run(self, piece: bytes, position: int) -> int:
        """Read the whole messages that begin at ``position``; return the position behind them."""
        while self._is_between and piece.startswith(START, position):
            begins, plain = position, self.plain
            if plain is not None and plain.shapes:
                position = self._take_alike(plain, piece, position)
                if not piece.startswith(START, position):
                    break
            position = self._take_trees(piece, position)
            if position == begins:
                break
        return position

    def _take_alike(self, plain: PlainReader, piece: bytes, position: int) -> int:
        """Read the messages that are written like earlier ones; return the position behind them."""
        start = self._fed - len(piece)  # of the piece, in the stream
        begins, began, append = position, self._began - start, self._items.append
        while piece.startswith(START, position):
            end = piece.find(END, position, position + _LONGEST_RUN)
            if end < 0 or end - began > self._stanza_bytes:
                break
            behind = end + len(END)
            item = plain.read_alike(piece[position:behind], end - began)
            if item is None:
                break
            append(item)
            # As for expat, an element ends where its end tag begins, and the next one begins there.
            began, position = end, behind
        if position > begins:
            self._pass_over(start + position, start + began)
        return position

    def _take_trees(self, piece: bytes, position: int) -> int:
        """Read the messages that begin at ``position`` as trees; return the position behind them."""
        find, size, most = piece.find, len(piece), self._stanza_bytes
        # Once shapes are known, the next message may have one.
        longest = 0 if self.plain is not None and self.plain.shapes else _LONGEST_RUN
        first = position
        ends: list[int] = []
        start = self._fed - size
        before = began = self._began - start
        while piece.startswith(START, position):
            following = find(START, position + len(START))
            end = find(END, position, following if following >= 0 else size)
            if end < 0 or end - began > most:
                break
            began = end
            position = end + len(END)
            ends.append(position)
            if position - first > longest:
                break
        if not ends:
            return first
        run = piece[first:position] if first or position < size else piece
        assert self._trees is not None
        trees = self._trees.read(run, len(ends))
        if trees is None:
            self._take_events(run)
            return position
        for tree, end in zip(trees, ends, strict=True):
            if self._append_tree(tree, piece[first:end], end - len(END) - before):
                before = end - len(END)
            else:
                self._pass_over(start + first, start + before)
                self._take_events(piece[first:end])
                before = self._began - start
            first = end
        self._pass_over(start + position, start + before)
        return position

    def _append_tree(self, tree: Element, data: bytes, size: int) -> bool:
        """Append the item of a message to the items; return False if it is beyond the limits."""
        item: Any = None
        if self.plain is not None and (item := self.plain.read(tree, size)) is not None:
            self.plain.learn(data, tree, item)
        if item is None:
            try:
                item = self._stanza_of(tree)
            except BeyondLimits:
                return False
            item.size = size
        self._items.append(item)
        return True

    def _pass_over(self, position: int, began: int) -> None:
        """Note that all up to a position was read in another way, so expat does not see it."""
        size = position - self._parsed
        self._parsed = position
        self._offset += size
        self._began_expat += size
        self._began = began

    def _stanza_of(self, tree: Element) -> MessageStanza:
        """Read a message that is a tree, as the methods below read one from expat's events."""
        attributes = tree.attrib
        stanza = MessageStanza(renamed(attributes) if "{" in "".join(attributes) else attributes)
        deep = False
        for kid in tree:
            tag = kid.tag
            if tag == BODY and stanza.body is None:
                stanza.body = kid.text or ""
                if len(kid):
                    stanza.body, deep = "".join(kid.itertext()), True
            elif tag == PARAMS or tag.rpartition("}")[2] == "extraParams":
                deep = self._read_params(kid, stanza) or deep
            elif tag == MARKABLE and not (kid.attrib or kid.text or len(kid)):
                stanza.others.setdefault(_MARKABLE, _MARKABLE_NODE)
            else:
                node = tree_as_node(kid, self._stanza_depth - 2)
                deep = deep or len(kid) > 0
                name = f"{node.namespace} {node.name}".lstrip()
                stanza.others.setdefault(name, node)
        elements = len(tree) + stanza.entries
        if deep:
            elements = _check_depth(tree, self._stanza_depth)
        if elements > self._stanza_elements:
            raise BeyondLimits
        return stanza

    def _read_params(self, tree: Element, stanza: MessageStanza) -> bool:
        """Read extraParams; return whether elements are nested in them."""
        params, deep = stanza.params, False
        for entry in tree:
            tag = entry.tag
            name = tag.rpartition("}")[2]
            if name == "attachment":
                attributes = entry.attrib
                stanza.attachments.append(
                    renamed(attributes) if "{" in "".join(attributes) else attributes
                )
            else:
                params[name] = entry.text or ""
            if len(entry):
                deep = True
                stanza.entries += sum(1 for _ in entry.iter()) - 1
                if name != "attachment":
                    params[name] = _tree_param(entry, self._stanza_depth - 3)
        stanza.entries += len(tree)
        return deep

    def broken(self, reason: str) -> RefusedElement | None:
        """Return the incomplete element, whose reading ends for ``reason``; None if none has begun."""
        self._take_held()
        size = self._fed - self._began
        if self._depth > 1:
            return RefusedElement(*self._first, reason, size)
        found = _START_OF_STANZA.match(self._head)
        return found and RefusedElement(f"{ns.CLIENT} {found[1].decode()}", {}, reason, size)

    @property
    def is_endless(self) -> bool:
        """Whether the incomplete element contains an element that the server writes between stanzas.

        Then the server will not end it: all that follows would be read as its content.
        """
        self._take_held()
        return self._depth > 1 and self._endless_at == self._began

    def _look_inside(self, piece: bytes) -> None:
        begins = max(0, len(piece) - (self._fed - self._began))
        if _BETWEEN_STANZAS.search(piece, begins):
            self._endless_at = self._began

    def _keep_head(self, piece: bytes) -> None:
        """Keep the first bytes of the incomplete element; ``piece`` has just been parsed."""
        begins = len(piece) - (
            self._fed - self._began
        )  # in this piece; negative: in an earlier one
        if self._began != self._head_at:
            self._head_at = self._began
            self._head = (piece[begins:] if begins >= 0 else self._recent[begins:] + piece)[:_HEAD]
        elif len(self._head) < _HEAD:
            self._head += piece[: _HEAD - len(self._head)]
        self._recent = (self._recent + piece if len(piece) < _HEAD else piece)[-_HEAD:]

    def _bound_size(self) -> None:
        """Skip the incomplete element, which is too large, or end the stream if it is still larger."""
        if self._depth == 0 or self._fed - self._began > _MOST_SKIPPED:
            raise StreamProtocolError(f"the server sent {self._too_large(_MOST_SKIPPED)}")
        if self._depth > 1 and not self.skips:
            self._skip(self._too_large(self._stanza_bytes))

    def _too_large(self, most: int) -> str:
        return f"a stanza of more than {most} bytes"

    # The expat parser, which is replaced after many bytes or names

    def _begin_expat(self, position: int) -> None:
        """Begin a new expat parser, which continues at ``position`` of the stream."""
        self._names: dict[str, str] = {}  # the names that it has read
        self._expat = parser = expat.ParserCreate("UTF-8", " ", self._names)
        parser.buffer_size = _TEXT_BUFFER
        parser.buffer_text = True
        parser.Parse(self._header, False)  # without handlers: for its namespaces alone
        self._began_expat = self._parsed = position
        self._offset = position - len(self._header)  # from expat's positions to those in the stream
        parser.StartDoctypeDeclHandler = self._forbid("a document type declaration")
        parser.CommentHandler = self._skip_around("a comment")
        parser.ProcessingInstructionHandler = self._skip_around("a processing instruction")
        self._use(self._stream_start, self._stream_end, self._stream_text)

    def _parse(self, data: bytes) -> None:
        """Parse whole tags."""
        while data:
            try:
                self._expat.Parse(data, False)
                self._parsed += len(data)
                return
            except _ExpatIsFull as full:
                data = data[full.position - self._parsed :]
                self._begin_expat(full.position)

    # Expat calls the methods below. They raise only to end the stream or the parser.

    def _use(
        self,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None],
        text: Callable[[str], None] | None,
    ) -> None:
        self._expat.StartElementHandler = start
        self._expat.EndElementHandler = end
        self._expat.CharacterDataHandler = text

    def _forbid(self, what: str) -> Callable[..., None]:
        """Return a handler that ends the stream because of ``what``."""

        def end_stream(*_: object) -> None:
            raise StreamProtocolError(f"the server sent {what}, which XMPP forbids")

        return end_stream

    def _skip_around(self, what: str) -> Callable[..., None]:
        """Return a handler that skips the element around ``what``; between elements it ends the stream."""
        end_stream = self._forbid(what)

        def skip(*_: object) -> None:
            if self._depth < 2:
                end_stream()
            elif not self.skips:
                self._skip(f"{what}, which XMPP forbids")

        return skip

    def _enter(self) -> bool:
        """Note that an element inside a first-level element begins; False if that is now skipped."""
        self._depth += 1
        self._elements += 1
        if self._depth <= self._deepest and self._elements <= self._stanza_elements:
            return True
        if self._depth > self._deepest:
            self._skip(f"elements nested deeper than {self._stanza_depth}")
        else:
            self._skip(f"more than {self._stanza_elements} elements")
        return False

    # In an element that is skipped

    def _skip(self, reason: str) -> None:
        """Read the rest of the current first-level element without keeping anything of it."""
        self.skips = reason
        self._message, self._open, self._params = MessageStanza({}), [], []
        self._text.clear()
        self._use(self._skipped_start, self._skipped_end, None)

    def _skipped_start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST_SKIPPED:
            raise StreamProtocolError(
                f"the server sent elements nested deeper than {_DEEPEST_SKIPPED}"
            )
        if len(self._names) > _MOST_NAMES:
            raise StreamProtocolError(
                f"the server sent an element with more than {_MOST_NAMES} names"
            )

    def _skipped_end(self, name: str) -> None:
        self._depth -= 1
        if self._depth == 1:
            self._complete(None)

    # Outside of stanzas

    def _stream_start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            if name != _STREAM:
                raise StreamProtocolError(f"the server opened {name!r} instead of an XMPP stream")
            context = self._expat.GetInputContext()
            assert context is not None
            self._header = first_tag(context)
            if self._stanza_depth >= _SHALLOWEST:
                self._trees = MessageTrees(self._header)
            self._items.append(StreamStart(attributes))
            return
        if (
            len(self._names) > _NAMES_OF_AN_EXPAT
            or self._began - self._began_expat > _BYTES_OF_AN_EXPAT
        ):
            position = self._expat.CurrentByteIndex + self._offset
            # The names of this tag are counted already: a new parser that begins with it must read it.
            if position > self._began_expat:
                self._depth -= 1
                raise _ExpatIsFull(position)
        self._elements = 0
        self._first = (name, attributes)
        if name == _MESSAGE:
            self._message = MessageStanza(attributes)
            self._use(self._message_start, self._message_end, None)
        else:
            self._begin_node(name, attributes)

    def _stream_end(self, name: str) -> None:
        self._depth -= 1
        self._items.append(StreamEnd())

    def _stream_text(self, data: str) -> None:
        if data.strip():
            raise StreamProtocolError("the server sent text between stanzas, which XMPP forbids")
        self._began = self._expat.CurrentByteIndex + self._offset

    def _complete(self, item: MessageStanza | Node | None) -> None:
        """Append a first-level element, None if it was skipped, with its size in bytes."""
        began, self._began = self._began, self._expat.CurrentByteIndex + self._offset
        size = self._began - began
        if size > self._stanza_bytes and not self.skips:  # all of it was in one piece
            self.skips = self._too_large(self._stanza_bytes)
        if item is None or self.skips:
            self._items.append(RefusedElement(*self._first, self.skips, size))
            self.skips = ""
        else:
            item.size = size
            self._items.append(item)
        self._use(self._stream_start, self._stream_end, self._stream_text)

    # In a message

    def _message_start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._enter():
            return
        if name == _BODY and self._message.body is None:
            self._text.clear()
            self._use(self._body_start, self._body_end, self._text.append)
        elif name.rpartition(" ")[2] == "extraParams":
            self._params = [self._message.params]
            self._text.clear()
            self._use(self._param_start, self._param_end, self._text.append)
        else:
            self._begin_node(name, attributes)

    def _message_end(self, name: str) -> None:
        self._depth -= 1
        self._complete(self._message)

    def _back_to_message(self) -> None:
        self._use(self._message_start, self._message_end, None)

    def _body_start(self, name: str, attributes: dict[str, str]) -> None:
        self._enter()  # an element in a body means nothing, but its depth is bounded

    def _body_end(self, name: str) -> None:
        self._depth -= 1
        if self._depth == 2:
            self._message.body = "".join(self._text)
            self._back_to_message()

    def _param_start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._enter():
            return
        self._message.entries += 1
        if len(self._params) == 1 and name.rpartition(" ")[2] == "attachment":
            self._message.attachments.append(attributes)
        self._params.append({})
        self._text.clear()

    def _param_end(self, name: str) -> None:
        self._depth -= 1
        inner = self._params.pop()
        if not self._params:  # extraParams itself
            self._back_to_message()
        elif len(self._params) > 1 or name.rpartition(" ")[2] != "attachment":
            self._params[-1][name.rpartition(" ")[2]] = inner or "".join(self._text)
        self._text.clear()

    # In a Node, first-level or inside a message

    def _begin_node(self, name: str, attributes: dict[str, str]) -> None:
        self._open = [_node(name, attributes)]
        self._text.clear()
        self._use(self._node_start, self._node_end, self._text.append)

    def _node_start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._enter():
            return
        if self._text:
            self._end_text()
        node = _node(name, attributes)
        attach(self._open[-1], node)
        self._open.append(node)

    def _end_text(self) -> None:
        """Add the text before a tag as a whole: to append each piece would cost quadratic time."""
        add_text(self._open[-1], "".join(self._text))
        self._text.clear()

    def _node_end(self, name: str) -> None:
        self._depth -= 1
        if self._text:
            self._end_text()
        node = self._open.pop()
        if self._open:
            return
        if self._depth == 1:
            self._complete(node)
        else:
            self._message.others.setdefault(name, node)
            self._back_to_message()


def message_of(node: Node, size: int) -> MessageStanza:
    """Read a message that is a Node inside another stanza, as the parser reads a message stanza."""
    stanza = MessageStanza(node.attrs)
    stanza.size = size
    for kid in children(node):
        if kid.name == "body" and kid.namespace == ns.CLIENT and stanza.body is None:
            stanza.body = _all_text(kid)
        elif kid.name == "extraParams":
            stanza.entries += _count(kid)
            for entry in children(kid):
                if entry.name == "attachment":
                    stanza.attachments.append(entry.attrs)
                else:
                    stanza.params[entry.name] = _param(entry)
        else:
            stanza.others.setdefault(f"{kid.namespace} {kid.name}".lstrip(), kid)
    return stanza


def _all_text(node: Node) -> str:
    parts: list[str] = []
    for position, text in enumerate(node.data):
        parts.append(text)
        parts += [_all_text(kid) for kid in node.kids[position : position + 1]]
    return "".join(parts)


def _count(node: Node) -> int:
    """Count the elements inside ``node``."""
    return sum(1 + _count(kid) for kid in children(node))


def _param(node: Node) -> Params | str:
    return {kid.name: _param(kid) for kid in children(node)} or "".join(node.data)


def _tree_param(tree: Element, depth: int) -> Params | str:
    if depth < 0:
        raise BeyondLimits
    inner = {kid.tag.rpartition("}")[2]: _tree_param(kid, depth - 1) for kid in tree}
    return inner or tree.text or ""


def _check_depth(tree: Element, depth: int) -> int:
    """Return the number of elements inside a tree; raise BeyondLimits if one is more than ``depth`` deep."""
    count, level = 0, list(tree)
    while level:
        depth -= 1
        if depth < 1:
            raise BeyondLimits
        count += len(level)
        level = [kid for parent in level for kid in parent]
    return count


def _node(name: str, attributes: dict[str, str]) -> Node:
    namespace, _, local = name.rpartition(" ")
    return new_node(local, namespace, attributes)
