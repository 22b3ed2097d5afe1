"""Service discovery: how the server, accounts and rooms describe themselves. (XEP-0030.)"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from . import namespaces as ns
from .element import Element

__all__ = ["Identity", "information", "items"]


@frozen
class Identity:
    """What an entity is: a category and a type of the registry, and a name for people."""

    category: str
    type: str
    name: str | None = None


def information(identity: Identity, features: Iterable[str], node: str | None = None) -> Element:
    """Write an identity and its features as the payload of disco#info."""
    attributes = {"category": identity.category, "type": identity.type, "name": identity.name}
    return Element(
        "query",
        ns.DISCO_INFO,
        {"node": node},
        Element("identity", ns.DISCO_INFO, attributes),
        *(Element("feature", ns.DISCO_INFO, {"var": feature}) for feature in features),
    )


def items(entries: Iterable[tuple[str, str | None]], node: str | None = None) -> Element:
    """Write JIDs with their names as the payload of disco#items."""
    return Element(
        "query",
        ns.DISCO_ITEMS,
        {"node": node},
        *(Element("item", ns.DISCO_ITEMS, {"jid": jid, "name": name}) for jid, name in entries),
    )
