"""Element: an XML element in memory, and its serialization."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from . import namespaces as ns

__all__ = ["Element", "clean_text", "is_name"]

# The characters that XML 1.0 forbids. JSON allows them, so they can arrive over REST.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"[^\W\d][\w.\-]*")


class Element:
    """One element: local name, namespace, attributes, and children that are elements or strings.

    The key of an attribute with a namespace is ``{namespace}name``. Connections and queues share elements, so
    an element that was sent must not change; ``replace`` returns a changed copy.
    """

    __slots__ = ("attributes", "children", "name", "namespace")

    def __init__(
        self,
        name: str,
        namespace: str,
        attributes: Mapping[str, str | None] | None = None,
        *children: Element | str,
    ) -> None:
        self.name: str = name
        self.namespace: str = namespace
        self.attributes: dict[str, str] = {
            key: value for key, value in (attributes or {}).items() if value is not None
        }
        self.children: list[Element | str] = list(children)

    def __repr__(self) -> str:
        return f"<Element {self.name} in {self.namespace!r}>"

    def get(self, attribute: str) -> str | None:
        """Return an attribute's value."""
        return self.attributes.get(attribute)

    def elements(self) -> Iterator[Element]:
        """Iterate over the children that are elements."""
        return (child for child in self.children if isinstance(child, Element))

    def child(self, name: str, namespace: str | None = None) -> Element | None:
        """Return the first child of this name, in this element's namespace unless another is named."""
        wanted = self.namespace if namespace is None else namespace
        for child in self.children:
            if isinstance(child, Element) and child.name == name and child.namespace == wanted:
                return child
        return None

    @property
    def text(self) -> str:
        """The text directly inside this element."""
        return "".join(child for child in self.children if isinstance(child, str))

    @property
    def size(self) -> int:
        """The characters of attributes and text, here and below: about the memory that it takes."""
        return sum(map(len, self.attributes.values())) + sum(
            len(child) if isinstance(child, str) else child.size for child in self.children
        )

    def replace(self, *children: Element | str, **attributes: str | None) -> Element:
        """Return a copy with attributes changed (None removes one) and, if given, other children."""
        return Element(
            self.name,
            self.namespace,
            {**self.attributes, **attributes},
            *(children or self.children),
        )

    def to_xml(self, inherited: str = "") -> str:
        """Write the element; ``inherited`` is the default namespace of the surrounding XML."""
        parts: list[str] = []
        self._write(parts, inherited)
        return "".join(parts)

    def _write(self, parts: list[str], inherited: str) -> None:
        parts.append(f"<{self.name}")
        if self.namespace != inherited:
            parts.append(f' xmlns="{_attribute(self.namespace)}"')
        for index, (key, value) in enumerate(self.attributes.items()):
            parts.append(f' {_attribute_name(key, index)}="{_attribute(value)}"')
        if not self.children:
            parts.append("/>")
            return
        parts.append(">")
        for child in self.children:
            if isinstance(child, str):
                parts.append(_text(child))
            else:
                child._write(parts, self.namespace)
        parts.append(f"</{self.name}>")


def _text(value: str) -> str:
    if "&" in value:
        value = value.replace("&", "&amp;")
    if "<" in value:
        value = value.replace("<", "&lt;")
    if ">" in value:
        value = value.replace(">", "&gt;")
    if "\r" in value:  # a parser would read it as a line feed
        value = value.replace("\r", "&#13;")
    return value


def _attribute(value: str) -> str:
    value = _text(value)
    for character, reference in (('"', "&quot;"), ("\n", "&#10;"), ("\t", "&#9;")):
        if character in value:
            value = value.replace(character, reference)
    return value


def _attribute_name(key: str, index: int) -> str:
    if not key.startswith("{"):
        return key
    namespace, _, name = key[1:].partition("}")
    if namespace == ns.XML:
        return f"xml:{name}"
    return f'xmlns:a{index}="{_attribute(namespace)}" a{index}:{name}'


def clean_text(value: str) -> str:
    """Return ``value`` with U+FFFD in place of the characters that XML forbids."""
    return _FORBIDDEN.sub("\ufffd", value)


def is_name(value: str) -> bool:
    """Whether ``value`` can name an element (a cautious reading of NCName)."""
    return _NAME.fullmatch(value) is not None
