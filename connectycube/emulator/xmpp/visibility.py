"""Visibility: the resources that get a resource's presence, by subscriptions and privacy lists."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from . import namespaces as ns
from .element import Element
from .hub import Hub
from .session import Session
from .stanza import Jid, user_of

__all__ = ["available", "changing", "may_see", "seen_by", "unavailable", "watchers"]

_Views = set[tuple[Session, Session]]
"""Pairs of a resource and a resource of another user that gets its presence."""


def available(hub: Hub, user_id: int) -> list[Session]:
    """Return the available resources of a user."""
    return [session for session in hub.sessions(user_id) if session.presence is not None]


def watchers(hub: Hub, session: Session) -> list[Session]:
    """Return the other users' resources that get a resource's presence."""
    return [
        other
        for jid in hub.rosters.subscribers(session.user_id)
        for other in _available_of(hub, jid)
        if may_see(hub, session, other)
    ]


def seen_by(hub: Hub, session: Session) -> list[Session]:
    """Return the other users' resources whose presence a resource gets."""
    return [
        other
        for user_id in hub.rosters.shown_to(session.bare_jid)
        for other in available(hub, user_id)
        if may_see(hub, other, session)
    ]


def may_see(hub: Hub, source: Session, target: Session) -> bool:
    """Whether the privacy lists of both users allow the presence of one resource to the other."""
    privacy = hub.privacy
    return privacy.allows(source.user_id, target.jid, "presence-out", source) and privacy.allows(
        target.user_id, source.jid, "presence-in", target
    )


@contextmanager
def changing(hub: Hub, user_id: int) -> Generator[None]:
    """Around a change of rosters or privacy lists: send presence where visibility begins or ends by it.

    (RFC 6121, 3.1.5, 3.2.2 and 3.3.3; XEP-0016, 2.10 and 2.11.)
    """
    before = _views(hub, user_id)
    yield
    after = _views(hub, user_id)
    for source, target in before - after:
        hub.send(target, unavailable(source).replace(to=target.bare_jid))
    for source, target in after - before:
        if source.presence is not None:
            hub.send(target, source.presence.replace(to=target.bare_jid))


def unavailable(session: Session) -> Element:
    """Return the unavailable presence of a resource."""
    return Element("presence", ns.CLIENT, {"type": "unavailable", "from": session.jid})


def _views(hub: Hub, user_id: int) -> _Views:
    own = available(hub, user_id)
    views = {(session, other) for session in own for other in watchers(hub, session)}
    return views | {(other, session) for session in own for other in seen_by(hub, session)}


def _available_of(hub: Hub, text: str) -> list[Session]:
    jid = Jid.parse(text)
    user_id = None if jid is None else user_of(jid, hub.settings)
    return [] if user_id is None else available(hub, user_id)
