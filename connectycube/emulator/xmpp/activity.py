"""Activity: requests about last activity, and for marking a client as inactive.

(XEP-0012; ConnectyCube's own: the subscription to last activity, and the mark of an inactive client.)
"""

from __future__ import annotations

from . import namespaces as ns
from .element import Element
from .hub import Hub
from .requests import request
from .session import Session
from .stanza import Jid, StanzaError, user_of
from .visibility import available

__all__ = ["send_activity"]

_SWITCH = {"true": True, "1": True, "false": False, "0": False}


def send_activity(hub: Hub, user_id: int, seconds: int) -> None:
    """Send a user's last activity to the sessions that have subscribed to it.

    (Inferred: an IQ result without a request, as the official SDKs read it like an answer.)
    """
    own = hub.settings.user_jid(user_id)
    for session in hub.sessions():
        if user_id not in session.activity_subscriptions:
            continue
        if hub.privacy.allows(user_id, session.jid, "presence-out"):
            attributes = {"type": "result", "from": own, "to": session.jid}
            attributes["id"] = hub.conversations.new_id()
            hub.send(session, Element("iq", ns.CLIENT, attributes, _seconds(seconds)))


@request(
    "get",
    "query",
    ns.LAST_ACTIVITY,
    feature=ns.LAST_ACTIVITY,
    of_others=True,
    inferred="about the chat alone; at least 1 second for a user who is offline",
)
def _last_activity(hub: Hub, session: Session, stanza: Element, query: Element) -> Element:
    to = stanza.get("to") or session.bare_jid
    jid = Jid.parse(to)
    if jid is None or jid.local is None:
        return _seconds(hub.activity.uptime)
    user_id = user_of(jid, hub.settings)
    if user_id is None or hub.store.user(user_id) is None:
        raise StanzaError("item-not-found", f"There is no user {to}")
    if available(hub, user_id):
        return _seconds(0)
    seconds = hub.activity.seconds_since(user_id)
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
def _subscribe(hub: Hub, session: Session, stanza: Element, wanted: Element) -> None:
    text = wanted.get("user_jid") or ""
    jid = Jid.parse(text)
    if jid is None:
        raise StanzaError("jid-malformed", f"user_jid must be a user's JID, not {text!r}")
    user_id = user_of(jid, hub.settings)
    if user_id is None or hub.store.user(user_id) is None:
        raise StanzaError("item-not-found", f"There is no user {text}")
    if _switch(wanted):
        session.activity_subscriptions.add(user_id)
    else:
        session.activity_subscriptions.discard(user_id)


@request(
    "set",
    "mobile",
    ns.MOBILE,
    feature=ns.MOBILE,
    inferred="enable=true means inactive, as the official SDKs have it",
)
def _mark_inactive(hub: Hub, session: Session, stanza: Element, mobile: Element) -> None:
    session.marked_inactive = _switch(mobile)


def _switch(element: Element) -> bool:
    value = _SWITCH.get(element.get("enable") or "")
    if value is None:
        raise StanzaError("bad-request", "enable must be true or false")
    return value
