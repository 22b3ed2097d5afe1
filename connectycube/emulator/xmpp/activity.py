"""Activity: when a user was last there, who wants to be told, and whose application is in use.

(XEP-0012, XEP-0352; ConnectyCube's own: subscription to last activity, and marking a client inactive.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..clock import Clock
from ..database import Database
from . import namespaces as ns
from .element import Element
from .requests import request
from .session import Session
from .stanza import Jid, StanzaError, user_of
from .visibility import available

if TYPE_CHECKING:
    from .server import ChatServer

__all__ = ["LastActivity", "tell_watchers"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS last_activity (user_id INTEGER PRIMARY KEY, ended_at REAL NOT NULL);
"""
_SWITCH = {"true": True, "1": True, "false": False, "0": False}


class LastActivity:
    """When each user who is offline was last there."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock
        self._started_at = clock.time()
        database.create(_SCHEMA)

    @property
    def uptime(self) -> int:
        """The seconds since the service started."""
        return max(0, int(self._clock.time() - self._started_at))

    def ended(self, user_id: int) -> None:
        """Note that a user's last resource became unavailable."""
        values = {"user_id": user_id, "ended_at": self._clock.time()}
        self._db.insert("last_activity", values, verb="INSERT OR REPLACE")

    def seconds_since(self, user_id: int) -> int | None:
        """Return the seconds since a user was there; None if that was never.

        At least 1, because 0 says that a user is online. (Inferred.)
        """
        row = self._db.one("SELECT ended_at FROM last_activity WHERE user_id = ?", user_id)
        return None if row is None else max(1, int(self._clock.time() - row["ended_at"]))

    def forget_user(self, user_id: int) -> None:
        """Remove what is known of a user."""
        self._db.run("DELETE FROM last_activity WHERE user_id = ?", user_id)


def tell_watchers(server: ChatServer, user_id: int, seconds: int) -> None:
    """Tell the sessions that subscribed to a user's last activity that it changed.

    (Inferred: a result that nobody asked for, as the official SDKs read it like an answer.)
    """
    own = server.settings.user_jid(user_id)
    for session in server.sessions():
        if user_id not in session.watched_users:
            continue
        if server.privacy.allows(user_id, session.jid, "presence-out"):
            attributes = {"type": "result", "from": own, "to": session.jid}
            attributes["id"] = server.conversations.new_id()
            server.send(session, Element("iq", ns.CLIENT, attributes, _seconds(seconds)))


@request(
    "get",
    "query",
    ns.LAST_ACTIVITY,
    feature=ns.LAST_ACTIVITY,
    of_others=True,
    inferred="about the chat alone; at least 1 second for who is offline",
)
def _last_activity(
    server: ChatServer, session: Session, stanza: Element, query: Element
) -> Element:
    to = stanza.get("to") or session.bare_jid
    jid = Jid.parse(to)
    if jid is None or jid.local is None:
        return _seconds(server.activity.uptime)
    user_id = user_of(jid, server.settings)
    if user_id is None or server.store.user(user_id) is None:
        raise StanzaError("item-not-found", f"There is no user {to}")
    if available(server, user_id):
        return _seconds(0)
    seconds = server.activity.seconds_since(user_id)
    if seconds is None:
        raise StanzaError("item-not-found", f"{to} has never logged in to the chat")
    return _seconds(seconds)


def _seconds(seconds: int) -> Element:
    return Element("query", ns.LAST_ACTIVITY, {"seconds": str(seconds)})


@request(
    "set",
    "subscribe",
    ns.STATUS_STREAMING,
    feature=ns.STATUS_STREAMING,
    inferred="not in the server's documentation: the official SDKs' request",
)
def _watch(server: ChatServer, session: Session, stanza: Element, wanted: Element) -> None:
    text = wanted.get("user_jid") or ""
    jid = Jid.parse(text)
    if jid is None:
        raise StanzaError("jid-malformed", f"user_jid must be a user's JID, not {text!r}")
    user_id = user_of(jid, server.settings)
    if user_id is None or server.store.user(user_id) is None:
        raise StanzaError("item-not-found", f"There is no user {text}")
    if _switch(wanted):
        session.watched_users.add(user_id)
    else:
        session.watched_users.discard(user_id)


@request(
    "set",
    "mobile",
    ns.MOBILE,
    feature=ns.MOBILE,
    inferred="enable=true means inactive, as the official SDKs have it",
)
def _mark(server: ChatServer, session: Session, stanza: Element, mobile: Element) -> None:
    session.marked_inactive = _switch(mobile)


def _switch(element: Element) -> bool:
    value = _SWITCH.get(element.get("enable") or "")
    if value is None:
        raise StanzaError("bad-request", "enable must be true or false")
    return value
