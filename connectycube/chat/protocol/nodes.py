"""xmpppy's Node, built without reference cycles and written with checks.

Every stanza that is no message travels through the package as an ``xmpp.simplexml.Node``. Only this module
builds and serialises Nodes: xmpppy's own output escapes too little and checks no name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from . import markup

if TYPE_CHECKING:

    class Node:
        """What the package uses of xmpppy's Node, which has no types."""

        name: str
        namespace: str
        attrs: dict[str, str]
        data: list[str]
        kids: list[Node]
        parent: Node | None
        nsd: dict[str, str]
        nsp_cache: dict[str, str]
        size: int
        """The bytes of a first-level element, which the parser notes."""

        def getData(self) -> str:
            """Return the text in it."""
            ...

else:
    from xmpp.simplexml import Node

__all__ = ["Node", "add_text", "attach", "child", "children", "element", "new_node", "serialise"]


def new_node(name: str, namespace: str, attributes: dict[str, str]) -> Node:
    """Return a Node without parent and children; ``attributes`` becomes its own."""
    # Not with Node.__init__: it copies the attributes, and splits names that the parser has split already.
    node = Node.__new__(Node)
    node.name, node.namespace, node.attrs = name, namespace, attributes
    node.data, node.kids, node.parent, node.nsd, node.nsp_cache = [], [], None, {}, {}
    return node


def attach(parent: Node, node: Node) -> None:
    """Append ``node`` to ``parent``, without a reference back, which would be a cycle for the collector."""
    # data[i] is the text before kids[i].
    if len(parent.data) == len(parent.kids):
        parent.data.append("")
    parent.kids.append(node)


def add_text(node: Node, text: str) -> None:
    """Append text to ``node``, behind the children that it has so far."""
    if len(node.data) > len(node.kids):
        node.data[-1] += text
    else:
        node.data.append(text)


def element(
    name: str,
    namespace: str,
    attributes: Mapping[str, str] | None = None,
    *content: Node | str,
) -> Node:
    """Return a Node with the given attributes and content (Nodes and strings)."""
    node = new_node(name, namespace, dict(attributes or {}))
    for part in content:
        if isinstance(part, str):
            add_text(node, part)
        else:
            attach(node, part)
    return node


def children(node: Node) -> Iterator[Node]:
    """Yield the child Nodes of ``node``."""
    return iter(node.kids)


def child(node: Node, name: str | None, namespace: str) -> Node | None:
    """Return the first child of that name (None: any) and namespace, or None."""
    for kid in children(node):
        if kid.namespace == namespace and name in (None, kid.name):
            return kid
    return None


def serialise(node: Node, inherited: str = "") -> str:
    """Write ``node`` as XML inside an element of the namespace ``inherited``.

    Raises ArgumentValueError for a name or a character that XML does not allow.
    """
    name = markup.check_name("element", node.name)
    parts = [f"<{name}"]
    if node.namespace != inherited:
        parts.append(f' xmlns="{markup.attribute(markup.check_text("namespace", node.namespace))}"')
    for key, value in node.attrs.items():
        checked = markup.check_text(f"attribute {key}", str(value))
        parts.append(f' {markup.check_name("attribute", key)}="{markup.attribute(checked)}"')
    content: list[str] = []
    for position in range(max(len(node.data), len(node.kids))):
        if position < len(node.data):
            content.append(markup.text(markup.check_text(name, node.data[position])))
        if position < len(node.kids):
            content.append(serialise(node.kids[position], node.namespace))
    inner = "".join(content)
    parts.append(f">{inner}</{name}>" if inner else "/>")
    return "".join(parts)
