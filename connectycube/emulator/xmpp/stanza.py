"""Stanzas: JIDs, replies and errors. (RFC 6120, section 8.)"""

from __future__ import annotations

import re

from attrs import frozen

from ..settings import Settings
from . import namespaces as ns
from .element import Element

__all__ = [
    "Jid",
    "StanzaError",
    "dialog_of",
    "error_reply",
    "extra_params",
    "is_stanza",
    "message_id_of",
    "not_implemented",
    "result_reply",
    "user_of",
]

_STANZAS = frozenset(("message", "presence", "iq"))
_USER = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)

# The error type of each defined condition, and the code of it that old clients read.
_CONDITIONS = {
    "resource-constraint": ("wait", 500),
    "bad-request": ("modify", 400),
    "conflict": ("cancel", 409),
    "feature-not-implemented": ("cancel", 501),
    "forbidden": ("auth", 403),
    "internal-server-error": ("cancel", 500),
    "item-not-found": ("cancel", 404),
    "jid-malformed": ("modify", 400),
    "not-acceptable": ("modify", 406),
    "not-allowed": ("cancel", 405),
    "not-authorized": ("auth", 401),
    "registration-required": ("auth", 407),
    "remote-server-not-found": ("cancel", 404),
    "service-unavailable": ("cancel", 503),
}


class StanzaError(Exception):
    """The server refuses a stanza: its answer is an error with this defined condition and text."""

    def __init__(self, condition: str, text: str) -> None:
        super().__init__(text)
        self.condition = condition
        self.text = text


@frozen
class Jid:
    """A JID; ``resource`` is None for a bare one."""

    local: str | None
    domain: str
    resource: str | None

    @classmethod
    def parse(cls, text: str) -> Jid | None:
        """Read a JID; None if it is malformed. The domain becomes lower case."""
        bare, slash, resource = text.partition("/")
        local, at, domain = bare.rpartition("@")
        if not domain or (at and not local) or (slash and not resource) or len(text) > 3071:
            return None
        return cls(local if at else None, domain.lower(), resource if slash else None)

    @property
    def bare(self) -> str:
        """The JID without its resource."""
        return self.domain if self.local is None else f"{self.local}@{self.domain}"


def user_of(jid: Jid, settings: Settings) -> int | None:
    """Return the id of the user with a JID; None if the JID is not that of a user of the application."""
    found = _USER.fullmatch(jid.local or "")
    if found is None or int(found[2]) != settings.app_id or jid.domain != settings.domain.lower():
        return None
    return int(found[1])


def dialog_of(jid: Jid, settings: Settings) -> str | None:
    """Return the id of the dialog whose room has a JID; None if the JID is not that of a room here."""
    application, _, dialog_id = (jid.local or "").partition("_")
    if application != str(settings.app_id) or jid.domain != settings.muc_domain.lower():
        return None
    return dialog_id.lower()


def is_stanza(element: Element) -> bool:
    """Whether this is a message, a presence or an IQ."""
    return element.namespace == ns.CLIENT and element.name in _STANZAS


def result_reply(request: Element, *payload: Element) -> Element:
    """Return the result of an IQ; the caller adds the address of the session."""
    return Element(
        "iq",
        ns.CLIENT,
        {"type": "result", "id": request.get("id"), "from": request.get("to")},
        *payload,
    )


def error_reply(stanza: Element, condition: str, text: str) -> Element:
    """Return the error for a stanza; the caller adds the address of the session."""
    kind, code = _CONDITIONS[condition]
    error = Element(
        "error",
        ns.CLIENT,
        {"type": kind, "code": str(code)},
        Element(condition, ns.STANZA_ERRORS),
        Element("text", ns.STANZA_ERRORS, None, text),
    )
    attributes = {"type": "error", "id": stanza.get("id"), "from": stanza.get("to")}
    return Element(stanza.name, ns.CLIENT, attributes, error)


def not_implemented(stanza: Element, payload: Element) -> str:
    """Return the text that refuses an IQ which the emulator does not implement."""
    return (
        f"The emulator does not implement IQ {stanza.get('type')} of <{payload.name}/> in "
        f"{payload.namespace} to {stanza.get('to') or 'the server'}"
    )


def extra_params(stanza: Element) -> Element | None:
    """Return the element that holds ConnectyCube's parameters of a message."""
    return stanza.child("extraParams")


def message_id_of(stanza: Element) -> str | None:
    """Return the id in history, which the server has added to ConnectyCube's parameters of a message."""
    params = extra_params(stanza)
    element = None if params is None else params.child("message_id")
    return None if element is None else element.text
