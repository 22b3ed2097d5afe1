"""Requests: the table of IQ requests that the server answers, and the forwarding of others to users."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from . import namespaces as ns
from . import room_requests
from .discovery import Identity, information, items
from .element import Element
from .hub import Hub
from .session import Session
from .stanza import Jid, StanzaError, not_implemented, result_reply, user_of

__all__ = ["REQUESTS", "RequestKind", "handle"]

Handler = Callable[["Hub", Session, Element, Element], Element | None]


@frozen(kw_only=True)
class RequestKind:
    """One row of the table; ``feature`` is its feature in disco#info.

    ``of_others``: the request can also be sent to the bare JID of another user. ``inferred`` names the part
    that the documentation leaves open.
    """

    type: str
    name: str
    namespace: str
    handler: Handler
    feature: str | None
    of_others: bool
    inferred: str | None


REQUESTS: dict[tuple[str, str, str], RequestKind] = {}
"""Requests to the server, or to the user's own account, by type, name and namespace."""


def request(
    type: str,
    name: str,
    namespace: str,
    *,
    feature: str | None = None,
    of_others: bool = False,
    inferred: str | None = None,
) -> Callable[[Handler], Handler]:
    """Put a handler into the table; it returns the payload of the result, or raises StanzaError."""

    def register(handler: Handler) -> Handler:
        REQUESTS[type, name, namespace] = RequestKind(
            type=type,
            name=name,
            namespace=namespace,
            handler=handler,
            feature=feature,
            of_others=of_others,
            inferred=inferred,
        )
        return handler

    return register


def handle(hub: Hub, session: Session, stanza: Element) -> None:
    """Answer or forward an IQ. (RFC 6120, 8.2.3; RFC 6121, 8.5.)"""
    kind, payload = stanza.get("type"), list(stanza.elements())
    if kind not in ("get", "set", "result", "error") or not stanza.get("id"):
        hub.refuse(session, stanza, "bad-request", "An IQ needs an id and a type")
        return
    if kind in ("get", "set") and len(payload) != 1:
        hub.refuse(session, stanza, "bad-request", "A request holds exactly one element")
        return
    to = stanza.get("to")
    jid = Jid.parse(to) if to is not None else None
    if to is not None and jid is None:
        hub.refuse(session, stanza, "jid-malformed", f"{to} is not a JID")
    elif to in (None, hub.settings.domain, session.bare_jid):
        if kind in ("get", "set"):
            _answer(hub, session, stanza, payload[0])
    elif jid is not None and jid.domain == hub.settings.muc_domain.lower():
        room_requests.handle(hub, session, stanza, jid)
    elif jid is not None:
        _forward(hub, session, stanza, jid)


def _answer(hub: Hub, session: Session, stanza: Element, payload: Element) -> None:
    found = REQUESTS.get((stanza.get("type") or "", payload.name, payload.namespace))
    if found is None:
        text = not_implemented(stanza, payload)
        hub.refuse(session, stanza, "feature-not-implemented", text)
        return
    try:
        answer = found.handler(hub, session, stanza, payload)
    except StanzaError as refused:
        hub.refuse(session, stanza, refused.condition, refused.text)
        return
    hub.reply(session, result_reply(stanza, *(() if answer is None else (answer,))))


def _forward(hub: Hub, session: Session, stanza: Element, jid: Jid) -> None:
    settings = hub.settings
    if jid.domain != settings.domain.lower():
        hub.refuse(session, stanza, "remote-server-not-found", f"{jid.domain} is not here")
        return
    if not hub.privacy.allows(session.user_id, jid.bare, "other", session):
        hub.refuse(session, stanza, "not-acceptable", f"You have blocked {jid.bare}")
        return
    user_id = user_of(jid, settings)
    if jid.resource is None:
        _ask_account(hub, session, stanza, user_id)
        return
    other = None if user_id is None else hub.session(user_id, jid.resource)
    if other is not None and hub.privacy.allows(other.user_id, session.jid, "iq", other):
        hub.send(other, stanza)
    else:
        hub.refuse(session, stanza, "service-unavailable", "Nobody is connected there")


def _ask_account(hub: Hub, session: Session, stanza: Element, user_id: int | None) -> None:
    """Answer a request to the account of another user."""
    if stanza.get("type") not in ("get", "set"):
        return
    payload = next(stanza.elements())
    found = REQUESTS.get((stanza.get("type") or "", payload.name, payload.namespace))
    if found is None or not found.of_others:
        hub.refuse(session, stanza, "service-unavailable", not_implemented(stanza, payload))
    elif user_id is not None and not hub.privacy.admits(
        user_id, session.jid, "iq", hub.sessions(user_id)
    ):
        hub.refuse(session, stanza, "service-unavailable", "Nobody is connected there")
    else:
        _answer(hub, session, stanza, payload)


# --- the table --------------------------------------------------------------------------------------


@request("set", "session", ns.SESSION)
def _session(*_: object) -> None:
    return None


@request("get", "ping", ns.PING, feature=ns.PING)
def _ping(*_: object) -> None:
    return None


@request(
    "set",
    "enable",
    ns.CARBONS,
    feature=ns.CARBONS,
    inferred="copies of messages that other resources send; never of messages that they receive",
)
def _enable_carbons(_: Hub, session: Session, *__: object) -> None:
    session.carbons = True


@request("set", "disable", ns.CARBONS, feature=ns.CARBONS)
def _disable_carbons(_: Hub, session: Session, *__: object) -> None:
    session.carbons = False


@request("get", "query", ns.DISCO_INFO, feature=ns.DISCO_INFO)
def _information(hub: Hub, session: Session, stanza: Element, query: Element) -> Element:
    is_account = stanza.get("to") == session.bare_jid
    identity = Identity("account", "registered") if is_account else Identity("server", "im")
    features = sorted({kind.feature for kind in REQUESTS.values() if kind.feature is not None})
    return information(identity, features, query.get("node"))


@request("get", "query", ns.DISCO_ITEMS, feature=ns.DISCO_ITEMS)
def _items(hub: Hub, session: Session, stanza: Element, query: Element) -> Element:
    is_account = stanza.get("to") == session.bare_jid
    return items([] if is_account else [(hub.settings.muc_domain, None)], query.get("node"))


@request("set", "bind", ns.BIND)
def _bind_again(*_: object) -> Element:
    raise StanzaError("not-allowed", "This stream has its resource already")
