"""Decodes presences of users: their availability and subscriptions. (RFC 6121, sections 3 and 4.)"""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from ...models import ContactEvent, Presence
from . import namespaces as ns
from .addresses import Addresses
from .decoding import Delivery, Unreported
from .nodes import Node, child

__all__ = ["decode_presence"]

_SHOWN = frozenset({"away", "chat", "dnd", "xa"})


def decode_presence(node: Node, addresses: Addresses, me: int) -> list[Delivery] | Unreported:
    """Decode a presence that did not come from a room."""
    sender = node.attrs.get("from", "")
    user_id = addresses.user_id(sender)
    decoder = KINDS.get(node.attrs.get("type"))
    if user_id is None or decoder is None:
        return "not_understood"
    if user_id == me:
        return "own_echoes"
    return [evolve(decoder(node, sender, user_id), conversation=addresses.user(user_id))]


def _contact(signal: str) -> Callable[[Node, str, int], Delivery]:
    def decode(node: Node, sender: str, user_id: int) -> Delivery:
        return Delivery(signal=signal, event=ContactEvent(user_id=user_id))

    return decode


def _availability(available: bool) -> Callable[[Node, str, int], Delivery]:
    def decode(node: Node, sender: str, user_id: int) -> Delivery:
        resource = sender.partition("/")[2]
        show = _text(node, "show")
        return Delivery(
            signal="presence_changed",
            event=Presence(
                user_id=user_id,
                available=available,
                resource=resource or None,
                show=show if show in _SHOWN else None,
                status=_text(node, "status"),
            ),
            merge_key=("presence", sender),
        )

    return decode


def _text(node: Node, name: str) -> str | None:
    found = child(node, name, ns.CLIENT)
    return (found.getData() or None) if found is not None else None


KINDS: dict[str | None, Callable[[Node, str, int], Delivery]] = {
    None: _availability(True),
    "unavailable": _availability(False),
    "subscribe": _contact("contact_requested"),
    "subscribed": _contact("contact_confirmed"),
    "unsubscribed": _contact("contact_rejected"),
    "unsubscribe": _contact("contact_cancelled"),
}
"""The decoders of a user's presence, by its type."""
