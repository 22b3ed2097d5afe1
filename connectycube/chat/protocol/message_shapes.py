"""Reads messages that are written like an earlier one, with one regular expression in place of a parser.

A client writes all its messages alike: the same tags and attributes in the same order, with other values and
texts. A *shape* is a message that expat has read, with these values and texts left open. There it takes
characters that XML passes on as they are, and the five entities that XML predefines, and nothing else. So
what fits a shape is as well-formed as the message that the shape is of, and has the same elements, attributes
and namespaces: a parser would find the same, with other values. What fits no shape is left to the parser.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element

from ...models.messages import KEYS_OF_ATTACHMENTS
from .message_trees import ATTACHMENT, BODY, CLIENT, MARKABLE, PARAMS, RESERVED

__all__ = ["VALUES", "Shape", "shape_of"]

_ATTRIBUTES = ("id", "type", "from", "to")
_PARAMS = ("date_sent", "dialog_id", "markable", "silent", "save_to_history")
VALUES = (*_ATTRIBUTES, "body", *[f"{CLIENT}{name}" for name in _PARAMS])
"""What the first values of a message are: attributes, the text, and parameters by their tags."""

_UNREAD = RESERVED - frozenset(VALUES)
_KEYS = frozenset(KEYS_OF_ATTACHMENTS)
_TAG = re.compile(r"""<[^<>"'!?]*(?:(?:"[^"]*"|'[^']*')[^<>"']*)*>""")
_ATTRIBUTE = re.compile(r"""(?<=\s)([^\s=<>"'/]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_ENTITIES = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "amp": "&"}
_ENTITY = re.compile(f"&({'|'.join(_ENTITIES)});")
_WITH_ENTITIES = f"({{}}(?:&(?:{'|'.join(_ENTITIES)});{{}})*)"
# Values and texts of a shape: each costs up to 250 µs to compile, and 1.7 kB while the shape is known.
_MOST_OPEN = 96

# XML makes a line feed of a carriage return, and in an attribute a space of each tab and line feed.
# So the classes name the other characters of XML, without "<", ">", "&" and the quote. A class that names
# the excluded characters takes half as long again for each character.
_OPEN_TEXT = r"[\t\n -%'-;=?-\ufffd\U00010000-\U0010ffff]*"
_OPEN_VALUES = {
    '"': r"[ !#-%'-;=?-\ufffd\U00010000-\U0010ffff]*",
    "'": r"[ -%(-;=?-\ufffd\U00010000-\U0010ffff]*",
}


class Shape:
    """What all messages of one shape have in common.

    ``entries`` is the number of elements in extraParams, and ``is_marked`` says whether there is the mark of
    XEP-0333. A message matches with its values and texts, from which ``first`` takes those of ``VALUES`` and
    each of ``attachments`` those of ``KEYS_OF_ATTACHMENTS``. ``custom`` are names and places of the others.
    """

    __slots__ = (
        "_match",
        "_match_entities",
        "_parts",
        "attachments",
        "custom",
        "entries",
        "first",
        "is_marked",
    )

    def __init__(self, parts: Sequence[str], slots: Sequence[_Slot], tree: Element) -> None:
        self._parts = parts
        self._match = _compiled(parts, "({})")
        self._match_entities: _Match | None = None
        places: dict[_Slot, int] = {slot: place for place, slot in enumerate(slots)}
        none = len(slots)  # the place of the group for values that the shape does not have
        self.first: _Getter = itemgetter(*[places.get(name, none) for name in VALUES])
        self.custom: list[tuple[str, int]] = [
            (slot.removeprefix(CLIENT), place)
            for slot, place in places.items()
            if isinstance(slot, str) and slot not in VALUES
        ]
        params = tree.findall(PARAMS)
        self.entries: int = sum(map(len, params))
        self.attachments: list[_Getter] = [
            itemgetter(*[places.get((number, key), none) for key in KEYS_OF_ATTACHMENTS])
            for number in range(sum(len(each.findall(ATTACHMENT)) for each in params))
        ]
        self.is_marked: bool = tree.find(MARKABLE) is not None

    def match(self, text: str) -> Sequence[Any] | None:
        """Return the values and texts of a message; None if it has another shape."""
        if "&" not in text:
            found = self._match(text)
            return found and found.groups()
        if self._match_entities is None:
            self._match_entities = _compiled(self._parts, _WITH_ENTITIES)
        found = self._match_entities(text)
        return found and [each and _ENTITY.sub(_character, each) for each in found.groups()]


_Match: TypeAlias = Callable[[str], "re.Match[str] | None"]
_Values: TypeAlias = Sequence[Any]  # texts, of which only some may be missing
_Getter: TypeAlias = Callable[[_Values], _Values]


def _compiled(parts: Sequence[str], group: str) -> _Match:
    """Compile a shape's parts, of which every second one is open, each to be a group of this form."""
    written = [group.replace("{}", part) if place % 2 else part for place, part in enumerate(parts)]
    # The last group never takes part in a match: it stands for the values that a shape does not have.
    return re.compile("".join(written) + "(\0a)?").fullmatch


def shape_of(text: str, tree: Element) -> Shape | None:
    """Return the shape of a plain message, given its text and its tree; None if it has none."""
    if "<!" in text or "<?" in text:
        return None
    try:
        slots = [*itertools.islice(_slots(tree), _MOST_OPEN + 1)]
    except _NoShape:
        return None
    if len(slots) > _MOST_OPEN:
        return None
    parts = _parts_of(text)
    return Shape(parts, slots, tree) if len(parts) == 2 * len(slots) + 1 else None


def _character(entity: re.Match[str]) -> str:
    return _ENTITIES[entity[1]]


def _parts_of(text: str) -> list[str]:
    """Return the parts of a shape's pattern, in turn: what is the same in all messages, and what is open."""
    parts: list[str] = []
    begins = position = 0
    for tag in _TAG.finditer(text):
        if tag.start() > position:
            parts += [re.escape(text[begins:position]), _OPEN_TEXT]
            begins = tag.start()
        for attribute in _ATTRIBUTE.finditer(text, tag.start(), tag.end()):
            if attribute[1].partition(":")[0] != "xmlns":
                start, end = attribute.span(2 if attribute[3] is None else 3)
                parts += [re.escape(text[begins:start]), _OPEN_VALUES[text[end]]]
                begins = end
        position = tag.end()
    return [*parts, re.escape(text[begins:position])]


_Slot: TypeAlias = str | tuple[int, str] | None
"""What a value or a text is: one of ``VALUES``, the tag of a custom parameter, the number of an attachment
and the key in it, or nothing that is read."""


class _NoShape(Exception):
    """A message that cannot have a shape."""


def _slots(tree: Element) -> Iterator[_Slot]:
    """Yield what each value and text is, in their order in the message."""
    yield from (name if name in _ATTRIBUTES else None for name in tree.attrib)
    yield from _ignored(tree.text)
    attachments = itertools.count()
    for part in tree:
        yield from (None for _ in part.attrib)
        if part.tag == PARAMS:
            yield from _ignored(part.text)
            for entry in part:
                yield from _slots_of_entry(entry, attachments)
        elif part.text:
            yield "body" if part.tag == BODY else None
        yield from _ignored(part.tail)


def _slots_of_entry(entry: Element, attachments: Iterator[int]) -> Iterator[_Slot]:
    if entry.tag == ATTACHMENT:
        if not _KEYS.issuperset(entry.attrib):
            raise _NoShape
        number = next(attachments)
        yield from ((number, key) for key in entry.attrib)
        yield from _ignored(entry.text)
    else:
        yield from (None for _ in entry.attrib)
        if entry.text:
            yield None if entry.tag in _UNREAD else entry.tag
        elif entry.tag not in _UNREAD:
            # It has no value in the shape, but an empty one for the reader, which takes the last of a name.
            raise _NoShape
    yield from _ignored(entry.tail)


def _ignored(text: str | None) -> Iterator[None]:
    if text:
        yield None
