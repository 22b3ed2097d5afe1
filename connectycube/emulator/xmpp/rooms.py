"""Rooms: group chat, one room for each group, public and broadcast dialog. (XEP-0045.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .element import Element
from .session import Session
from .stanza import Jid

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["presence", "request"]

_NOT_IMPLEMENTED = "The emulator does not implement group chat"


def presence(exchange: Exchange, session: Session, stanza: Element, jid: Jid) -> None:
    """Handle a presence to the rooms' domain."""
    exchange.refuse(session, stanza, "feature-not-implemented", _NOT_IMPLEMENTED)


def request(exchange: Exchange, session: Session, stanza: Element, jid: Jid) -> None:
    """Answer an IQ to the rooms' domain."""
    exchange.refuse(session, stanza, "service-unavailable", _NOT_IMPLEMENTED)
