"""Reads runs of whole messages with ElementTree's tree builder, which is in C and calls no Python.

Nearly all that arrives are messages, each of them whole. Their ends are found by the text of the end tag, and
the tree builder proves them: if one were not real, such as one inside a CDATA section, fewer messages would
come out than went in. What is not well-formed, has a comment, a processing instruction or an unusual
namespace, or is beyond a limit is left to the parser that reads everything (``parser``): only that one says
what is wrong. What both can read they read alike.
"""

from __future__ import annotations

import re
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder, XMLParser

from ..._expat import LONGEST_NAMESPACE
from ...models.messages import RESERVED_NAMES
from . import namespaces as ns
from .nodes import Node, add_text, attach, new_node

__all__ = [
    "ATTACHMENT",
    "BODY",
    "CLIENT",
    "END",
    "MARKABLE",
    "PARAMS",
    "RESERVED",
    "START",
    "BeyondLimits",
    "MessageTrees",
    "renamed",
    "tree_as_node",
]

START, END = b"<message", b"</message>"
CLIENT = f"{{{ns.CLIENT}}}"
"""What each tag of the client namespace begins with, in a tree."""
BODY, PARAMS = f"{CLIENT}body", f"{CLIENT}extraParams"
ATTACHMENT = f"{CLIENT}attachment"
MARKABLE = f"{{{ns.CHAT_MARKERS}}}markable"
RESERVED = frozenset([f"{CLIENT}{name}" for name in RESERVED_NAMES])
"""The tags in extraParams that are no custom parameters."""
_MESSAGES = {f"{CLIENT}message"}
_MARK = b"<mark/>"
# ElementTree's parser keeps each name that it has read, so a new one follows after so many bytes.
_BYTES_OF_A_PARSER = 65_536
# Long namespaces cost memory: see _expat. Where another character than these is in one, expat's answer may
# depend on how it is asked to write names. The search is linear: see _expat.
_ODD_NAMESPACE = re.compile(
    rb"xmlns(?<=\sxmlns)[^\s=]*\s*=\s*(?!\"[!#-%%(-;=?-|~]{0,%(n)d}\"|'[!#-%%(-;=?-|~]{0,%(n)d}')"
    % {b"n": LONGEST_NAMESPACE}
)


class BeyondLimits(Exception):
    """A message is nested too deep or has too many elements."""


class _Refused(Exception):
    """A message holds what XMPP forbids."""


def _refuse(*_: object) -> NoReturn:
    raise _Refused


class MessageTrees:
    """Makes the trees of whole messages inside a stream that was opened with the tag ``header``.

    The parser is made for the first message: a connection that is idle does not hold its 15 kB.
    """

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._parser: XMLParser | None = None

    def _begin(self) -> XMLParser:
        builder = TreeBuilder(comment_factory=_refuse)
        parser = self._parser = XMLParser(target=builder, encoding="UTF-8")
        parser.feed(self._header)
        self._stream: Element = builder.close()  # it goes on to build this element
        self._bytes = 0
        return parser

    def read(self, data: bytes, count: int) -> list[Element] | None:
        """Return the trees of ``count`` messages, which ``data`` seems to be; None if it is anything else.

        Each message begins with START, directly behind the one before; it holds no other START, and ends
        with the first END.
        """
        if _ODD_NAMESPACE.search(data):
            return None
        # The tree builder passes over processing instructions. Few texts have a "?", which is found at once.
        if b"?" in data and b"<?" in data:
            return None
        parser = self._parser
        if parser is None or self._bytes > _BYTES_OF_A_PARSER:
            parser = self._begin()
        self._bytes += len(data)
        try:
            # An element behind the messages: it is no child of the stream while a comment is open.
            parser.feed(data + _MARK)
        except Exception:  # noqa: BLE001 - the other parser says what is wrong
            self._parser = None
            return None
        trees = self._stream[:]
        self._stream.clear()
        trees.pop()
        # An END that is not real hides the START behind it. Only a real END ends that message, as no other
        # may be open, and then the messages are too few; without a real END the mark is missing.
        if len(trees) == count and {tree.tag for tree in trees} == _MESSAGES:
            return trees
        self._parser = None
        return None


def renamed(attributes: dict[str, str]) -> dict[str, str]:
    """Return attributes with names as the other parser writes them: "namespace name"."""
    return {_name(name): value for name, value in attributes.items()}


def _name(tag: str) -> str:
    return tag[1:].replace("}", " ") if tag[0] == "{" else tag


def tree_as_node(tree: Element, depth: int) -> Node:
    """Return an element as a Node, in which elements may be nested ``depth`` deep."""
    if depth < 0:
        raise BeyondLimits
    namespace, _, local = tree.tag.rpartition("}")
    attributes = tree.attrib
    node = new_node(
        local, namespace[1:], renamed(attributes) if "{" in "".join(attributes) else attributes
    )
    if tree.text:
        add_text(node, tree.text)
    for kid in tree:
        attach(node, tree_as_node(kid, depth - 1))
        if kid.tail:
            add_text(node, kid.tail)
    return node
