"""Messages between two users: classified, completed, stored, relayed.

The hosted service's part in a 1-1 message: it makes the private dialog, adds ``dialog_id``,
``message_id`` and ``date_sent``, keeps it in history when asked to, keeps the statuses that markers
tell, and relays everything, repeated ids too. (Server documentation: Real-time API.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..conversations import Draft, seconds
from ..identifiers import is_object_id
from ..refusal import Refusal
from . import namespaces as ns
from .element import Element
from .notifications import notify
from .parser import parse
from .session import Session
from .stanza import Jid, Refused, extra_params, user_of

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["KINDS", "deliver_offline", "handle", "relay", "undelivered"]

# Parameters of a message that are the protocol's own, not the application's.
_RESERVED = frozenset(
    ("attachment", "date_sent", "dialog_id", "message_id", "moduleIdentifier", "save_to_history")
)

Treatment = Callable[["Exchange", Session, Element, int], Element]
"""From a user's message to another user, to the message that is relayed."""


def handle(exchange: Exchange, session: Session, stanza: Element) -> None:
    """Handle a message of a client."""
    try:
        _handle(exchange, session, stanza)
    except Refused as refused:
        exchange.refuse(session, stanza, refused.condition, refused.text)


def _handle(exchange: Exchange, session: Session, stanza: Element) -> None:
    jid = Jid.parse(stanza.get("to") or session.bare_jid)
    if jid is None:
        raise Refused("jid-malformed", f"{stanza.get('to')} is not a JID")
    settings = exchange.settings
    kind = stanza.get("type") or "normal"
    if jid.domain == settings.muc_domain.lower():
        raise Refused("feature-not-implemented", "The emulator does not implement group chat")
    if jid.domain != settings.domain.lower():
        raise Refused("remote-server-not-found", f"{jid.domain} is not here")
    recipient = user_of(jid, settings)
    if recipient is None or exchange.store.user(recipient) is None:
        raise Refused("service-unavailable", f"There is no user {jid.bare}")
    if kind == "groupchat":
        raise Refused("service-unavailable", "Group chat goes to a room, this is a user")
    if kind == "chat":
        stanza = _treatment(stanza)(exchange, session, stanza, recipient)
    relay(exchange, stanza, recipient, jid.resource)
    if kind == "chat" and recipient != session.user_id:
        _copy_to_own(exchange, session, stanza)


def relay(exchange: Exchange, stanza: Element, recipient: int, resource: str | None = None) -> None:
    """Send a message to a user's resource, or to all that receive messages."""
    kind = stanza.get("type") or "normal"
    if resource is not None:
        only = exchange.session(recipient, resource)
        if only is not None:
            exchange.send(only, stanza)
            return
        if kind not in ("chat", "normal"):  # RFC 6121, 8.5.3.2.1: these do not look for others
            return
    if kind == "error":
        return
    if not exchange.send_all(exchange.receivers(recipient), stanza):
        undelivered(exchange, recipient, stanza)


def _copy_to_own(exchange: Exchange, session: Session, stanza: Element) -> None:
    # XEP-0280. Never a "received" copy: messages to a bare JID go to every resource anyway.
    if stanza.child("private", ns.CARBONS) is not None:
        return
    if stanza.child("no-copy", ns.HINTS) is not None:
        return
    copy = Element("forwarded", ns.FORWARD, None, stanza)
    attributes = {"from": session.bare_jid, "type": stanza.get("type"), "id": stanza.get("id")}
    for other in exchange.sessions(session.user_id):
        if other is not session and other.carbons:
            outer = Element(
                "message", ns.CLIENT, attributes, Element("sent", ns.CARBONS, None, copy)
            )
            exchange.send(other, outer.replace(to=other.jid))


# --- what is done to a 1-1 message, by kind ---------------------------------------------------------


def _treatment(stanza: Element) -> Treatment:
    for namespace, names, treatment in KINDS:
        if any(child.namespace == namespace and child.name in names for child in stanza.elements()):
            return treatment
    return _unchanged


def _unchanged(exchange: Exchange, session: Session, stanza: Element, recipient: int) -> Element:
    return stanza


def _take_marker(exchange: Exchange, session: Session, stanza: Element, recipient: int) -> Element:
    for marker in stanza.elements():
        if marker.namespace != ns.CHAT_MARKERS or marker.name not in ("received", "displayed"):
            continue
        message_id = marker.get("id")
        message = exchange.conversations.store.message(message_id) if message_id else None
        if message is None:
            continue
        read = marker.name == "displayed"
        exchange.conversations.mark(session.user_id, [message["id"]], read=read)
        stanza = _with_params(stanza, {"dialog_id": message["dialog_id"]})
    return stanza


def _take_content(exchange: Exchange, session: Session, stanza: Element, recipient: int) -> Element:
    if recipient == session.user_id:
        return stanza
    conversations = exchange.conversations
    try:
        dialog = conversations.private_dialog(session.user_id, recipient)
    except Refusal as refusal:
        raise Refused("service-unavailable", refusal.sentence) from None
    params = extra_params(stanza)
    given = _values(params)
    given_id = stanza.get("id")
    message_id = given_id if given_id and is_object_id(given_id) else conversations.new_id()
    date_sent = seconds(given.get("date_sent"))
    if date_sent is None:
        date_sent = int(exchange.clock.time())
    destroyed = stanza.child("destroy", ns.SELF_DESTROY) is not None
    child = stanza.child("body")
    body = child.text if child is not None else None
    is_new = True
    if given.get("save_to_history") in ("1", "true") and not destroyed:
        draft = Draft(
            id=message_id,
            body=body,
            date_sent=date_sent,
            attachments=_attachments(params),
            custom={name: value for name, value in given.items() if name not in _RESERVED},
        )
        is_new = conversations.add_message(dialog, session.user_id, draft) is not None
    if is_new:
        notify(exchange, dialog, session.user_id, message_id, body, given)
    added = {"dialog_id": dialog["id"], "message_id": message_id}
    if not given.get("date_sent"):
        added["date_sent"] = str(date_sent)
    return _with_params(stanza, added)


KINDS: tuple[tuple[str, frozenset[str], Treatment], ...] = (
    (ns.CHAT_MARKERS, frozenset(("received", "displayed")), _take_marker),
    # An edit or a deletion names the message it is about; it is not a message of its own.
    (ns.CORRECTION, frozenset(("replace",)), _unchanged),
    (ns.DELETION, frozenset(("remove",)), _unchanged),
    (ns.CLIENT, frozenset(("body", "extraParams")), _take_content),
    (ns.CHAT_STATES, frozenset(("composing", "paused", "active", "inactive", "gone")), _unchanged),
)
"""What a 1-1 message can hold and what is done then; the first that fits counts."""


def _with_params(stanza: Element, added: Mapping[str, str]) -> Element:
    """Return the message with parameters set, in place of those of the same name."""
    params = extra_params(stanza)
    kept = [] if params is None else params.children
    kept = [child for child in kept if not (isinstance(child, Element) and child.name in added)]
    new = [Element(name, ns.CLIENT, None, value) for name, value in added.items()]
    whole = Element("extraParams", ns.CLIENT, None, *kept, *new)
    return stanza.replace(*(child for child in stanza.children if child is not params), whole)


def _values(params: Element | None) -> dict[str, Any]:
    if params is None:
        return {}
    return {child.name: _value(child) for child in params.elements() if child.name != "attachment"}


def _value(element: Element) -> Any:
    nested = {child.name: _value(child) for child in element.elements()}
    return nested or element.text


def _attachments(params: Element | None) -> list[dict[str, str]]:
    if params is None:
        return []
    return [dict(child.attributes) for child in params.elements() if child.name == "attachment"]


# --- users without a connection -----------------------------------------------------------------------


def undelivered(exchange: Exchange, user_id: int, stanza: Element) -> None:
    """Do with a message that reached nobody what the settings say: history is enough, or keep it."""
    if not exchange.settings.offline_messages or stanza.name != "message":
        return
    if stanza.get("type") in ("chat", "normal", None) and stanza.child("body") is not None:
        exchange.store.add_offline(user_id, stanza.to_xml(), exchange.clock.time())


def deliver_offline(exchange: Exchange, session: Session) -> None:
    """Deliver what was kept for a user whose first resource is available now. (XEP-0203.)"""
    for row in exchange.store.take_offline(session.user_id):
        stanza = parse(row["stanza"])
        moment = datetime.fromtimestamp(row["received_at"], timezone.utc)
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
        delay = Element("delay", ns.DELAY, {"from": exchange.settings.domain, "stamp": stamp})
        exchange.send(session, stanza.replace(*stanza.children, delay))
