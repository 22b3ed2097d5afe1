"""Recording: notes the elements of a stream for the log of exchanges."""

from __future__ import annotations

from ..control.exchanges import Exchanges
from ..control.faults import CHAT
from ..control.masking import MASK, masked_text
from . import namespaces as ns
from .element import Element
from .stanza import is_stanza

__all__ = ["note_stanza"]


def note_stanza(
    exchanges: Exchanges,
    now: float,
    direction: str,
    user_id: int | None,
    resource: str | None,
    element: Element,
) -> None:
    """Put an element into the log: one that came from a client, "in", or one that is written, "out"."""
    exchanges.add(
        at=now,
        side=CHAT,
        user_id=user_id,
        connection=resource,
        what=element.name,
        about=" ".join(_about(child) for child in element.elements()),
        direction=direction,
        kind=element.get("type") if is_stanza(element) else None,
        request=masked_text(_without_secrets(element).to_xml(ns.CLIENT)),
    )


def _about(child: Element) -> str:
    """Return the name of an element inside a stanza; that of a query says little without its namespace."""
    return child.namespace if child.name == "query" else child.name


def _without_secrets(element: Element) -> Element:
    """Return the element without the password of an authentication, which is its text. (RFC 4616.)"""
    if element.namespace != ns.SASL or not element.text:
        return element
    children = [child if isinstance(child, Element) else MASK for child in element.children]
    return element.replace(*children)
