"""Visibility: whose presence reaches whom, by subscriptions and privacy lists, and what follows a change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import namespaces as ns
from .element import Element
from .session import Session
from .stanza import Jid, user_of

if TYPE_CHECKING:
    from .server import ChatServer

__all__ = ["available", "changing", "may_see", "seen_by", "unavailable", "watchers"]

_Views = set[tuple[Session, Session]]
"""Pairs of a resource and another user's resource that gets its presence."""


def available(server: ChatServer, user_id: int) -> list[Session]:
    """Return the available resources of a user."""
    return [session for session in server.sessions(user_id) if session.presence is not None]


def watchers(server: ChatServer, session: Session) -> list[Session]:
    """Return the other users' resources that get a resource's presence."""
    return [
        other
        for jid in server.rosters.subscribers(session.user_id)
        for other in _available_of(server, jid)
        if may_see(server, session, other)
    ]


def seen_by(server: ChatServer, session: Session) -> list[Session]:
    """Return the other users' resources whose presence a resource gets."""
    return [
        other
        for user_id in server.rosters.shown_to(session.bare_jid)
        for other in available(server, user_id)
        if may_see(server, other, session)
    ]


def may_see(server: ChatServer, source: Session, target: Session) -> bool:
    """Whether the privacy lists of both sides let a resource's presence through."""
    privacy = server.privacy
    return privacy.allows(source.user_id, target.jid, "presence-out", source) and privacy.allows(
        target.user_id, source.jid, "presence-in", target
    )


@contextmanager
def changing(server: ChatServer, user_id: int) -> Iterator[None]:
    """Tell everybody who comes into, or loses, sight of somebody by what is changed inside.

    (RFC 6121, 3.1.5, 3.2.2 and 3.3.3; XEP-0016, 2.10 and 2.11.)
    """
    before = _views(server, user_id)
    yield
    after = _views(server, user_id)
    for source, target in before - after:
        server.send(target, unavailable(source).replace(to=target.bare_jid))
    for source, target in after - before:
        if source.presence is not None:
            server.send(target, source.presence.replace(to=target.bare_jid))


def unavailable(session: Session) -> Element:
    """Return the presence that says a resource is gone."""
    return Element("presence", ns.CLIENT, {"type": "unavailable", "from": session.jid})


def _views(server: ChatServer, user_id: int) -> _Views:
    own = available(server, user_id)
    views = {(session, other) for session in own for other in watchers(server, session)}
    return views | {(other, session) for session in own for other in seen_by(server, session)}


def _available_of(server: ChatServer, text: str) -> list[Session]:
    jid = Jid.parse(text)
    user_id = None if jid is None else user_of(jid, server.settings)
    return [] if user_id is None else available(server, user_id)
