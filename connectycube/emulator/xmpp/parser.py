"""StreamParser: bytes in; stream header, stanzas and stream end out. (RFC 6120, sections 4 and 11; expat.)

The parser is strict and bounded: XML that RFC 6120 forbids in a stream (11.1) and a stanza that is too
large or too deep become a StreamFault.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from attrs import frozen

from . import namespaces as ns
from .element import Element
from .markup import MarkupBuffer

__all__ = ["StreamClosed", "StreamEvent", "StreamFault", "StreamHeader", "StreamParser", "parse"]

_MOST_NAMES: Final = 20_000
_SEPARATOR: Final = " "  # between namespace and local name in the names that expat reports

# The stream error condition (RFC 6120, 4.9.3) of an expat error; every other one is not-well-formed.
_CONDITIONS = {
    expat.errors.codes[expat.errors.XML_ERROR_UNBOUND_PREFIX]: "bad-namespace-prefix",
    expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]: "restricted-xml",
    expat.errors.codes[expat.errors.XML_ERROR_UNKNOWN_ENCODING]: "unsupported-encoding",
    expat.errors.codes[expat.errors.XML_ERROR_INCORRECT_ENCODING]: "unsupported-encoding",
}


class StreamFault(Exception):
    """The stream must end: a defined condition of RFC 6120 (4.9.3) and a sentence.

    ``details`` is an application-specific condition beside the defined one.
    """

    def __init__(self, condition: str, text: str, details: Element | None = None) -> None:
        super().__init__(text)
        self.condition = condition
        self.text = text
        self.details = details


@frozen
class StreamHeader:
    """The opening tag; ``content_namespace`` is its default namespace."""

    element: Element
    content_namespace: str | None


@frozen
class StreamClosed:
    """The closing tag."""


StreamEvent = StreamHeader | Element | StreamClosed


class StreamParser:
    """Parses one stream; a restarted stream needs a new parser."""

    def __init__(self, *, max_bytes: int, max_depth: int) -> None:
        self._max_bytes = max_bytes
        self._max_depth = max_depth
        self._events: list[StreamEvent] = []
        self._open: list[Element] = []
        self._in_stream = False
        self._names: set[str] = set()
        self._default_namespace: str | None = None
        self._held = MarkupBuffer()
        self._fed = 0  # the number of bytes that expat was given
        self._boundary = 0  # the byte at which the stanza in progress begins
        self._expat = self._make_expat()

    def _make_expat(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("UTF-8", _SEPARATOR)
        parser.buffer_text = True
        parser.buffer_size = 65_536
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartNamespaceDeclHandler = self._namespace
        parser.XmlDeclHandler = self._declaration
        for restricted in (
            "StartDoctypeDeclHandler",
            "CommentHandler",
            "ProcessingInstructionHandler",
            "EntityDeclHandler",
        ):
            setattr(parser, restricted, _refuse_restricted)
        return parser

    def feed(self, data: bytes) -> tuple[list[StreamEvent], StreamFault | None]:
        """Return the events that ``data`` completes, and the fault that then ends the stream, if any."""
        # Expat from version 2.6 on may look at an incomplete token again only when twice as many bytes are
        # there, so a stanza could wait for bytes that follow it. Expat therefore never sees the beginning of
        # a token without its end.
        return self._parse(self._held.take(data), final=False)

    def feed_document(self, data: bytes) -> tuple[list[StreamEvent], StreamFault | None]:
        """Parse an element that has no stream around it; return it, or the fault that it has.

        A parser takes one document.
        """
        self._in_stream = True
        return self._parse(data, final=True)

    def _parse(self, data: bytes, *, final: bool) -> tuple[list[StreamEvent], StreamFault | None]:
        fault = None
        try:
            self._feed_expat(data, final)
            self._feed_text_outside_stanzas()
            if self._fed + len(self._held) - self._boundary > self._max_bytes:
                raise self._too_large()
        except StreamFault as found:
            fault = found
        except expat.ExpatError as error:
            condition = _CONDITIONS.get(error.code, "not-well-formed")
            fault = StreamFault(condition, f"Malformed XML: {expat.ErrorString(error.code)}")
        events, self._events = self._events, []
        return events, fault

    def _feed_expat(self, data: bytes, final: bool) -> None:
        self._fed += len(data)
        self._expat.Parse(data, final)

    def _feed_text_outside_stanzas(self) -> None:
        # White space keeps a connection alive, and would fill the buffer; other text is refused at once.
        if not self._open and self._held:
            self._feed_expat(self._held.take_text(), False)

    def _too_large(self) -> StreamFault:
        return StreamFault("policy-violation", f"A stanza is larger than {self._max_bytes} bytes")

    # --- handlers, called by expat --------------------------------------------------------------------

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._note_names(name, *attributes)
        element = _element(name, attributes)
        if not self._in_stream:
            self._in_stream = True
            self._events.append(StreamHeader(element, self._default_namespace))
            self._boundary = self._expat.CurrentByteIndex
            return
        if len(self._open) >= self._max_depth:
            raise StreamFault(
                "policy-violation", f"A stanza is nested deeper than {self._max_depth}"
            )
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._boundary = self._expat.CurrentByteIndex
        self._open.append(element)

    def _note_names(self, *names: str) -> None:
        # Expat keeps every name as long as the parser lives.
        self._names.update(names)
        if len(self._names) > _MOST_NAMES:
            raise StreamFault("policy-violation", f"A stream has more than {_MOST_NAMES} names")

    def _end(self, name: str) -> None:
        if not self._open:
            self._events.append(StreamClosed())
            return
        element = self._open.pop()
        if not self._open:
            position = self._expat.CurrentByteIndex
            if position - self._boundary > self._max_bytes:
                raise self._too_large()
            self._boundary = position
            self._events.append(element)

    def _characters(self, text: str) -> None:
        if self._open:
            self._open[-1].children.append(text)
        elif text.strip(" \t\r\n"):
            raise StreamFault("bad-format", "Text between stanzas")
        else:
            self._boundary = self._expat.CurrentByteIndex

    def _namespace(self, prefix: str | None, uri: str | None) -> None:
        self._note_names(f"{prefix} {uri}")
        if not self._in_stream and prefix is None:
            self._default_namespace = uri

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            raise StreamFault("unsupported-encoding", f"The encoding {encoding} is not UTF-8")


def _refuse_restricted(*_: object) -> None:
    raise StreamFault(
        "restricted-xml", "DTDs, entities, comments and processing instructions are not allowed"
    )


def _element(name: str, attributes: dict[str, str]) -> Element:
    namespace, _, local = name.rpartition(_SEPARATOR)
    element = Element(local, namespace)
    if attributes:
        element.attributes = {_key(key): value for key, value in attributes.items()}
    return element


def _key(name: str) -> str:
    namespace, separator, local = name.rpartition(_SEPARATOR)
    return f"{{{namespace}}}{local}" if separator else name


def parse(text: str) -> Element:
    """Return the element that ``text``, written by ``Element.to_xml()``, holds."""
    parser = StreamParser(max_bytes=2**62, max_depth=2**31)
    events, fault = parser.feed(f'<s xmlns="{ns.CLIENT}">{text}'.encode())
    if fault is not None or len(events) != 2 or not isinstance(events[1], Element):
        raise ValueError("not one well-formed element")
    return events[1]
