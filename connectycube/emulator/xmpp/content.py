"""Content: how the server processes a message by its child elements, in private dialogs and rooms.

The server adds ``dialog_id``, ``message_id`` and ``date_sent``, stores messages with ``save_to_history``, and
notes the statuses of chat markers. A repeated id is stored once; settings say whether the message is relayed
again. (Server documentation: Real-time API.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from ..db.store import Row
from ..domain.conversations import NewMessage
from ..domain.deletions import delete_for_all
from ..domain.identifiers import is_object_id
from ..domain.times import date_sent_of
from ..domain.values import flag
from . import namespaces as ns
from .element import Element
from .hub import Hub
from .notifications import notify
from .session import Session
from .stanza import StanzaError, extra_params

__all__ = ["KINDS", "MessageKind", "process"]

# Parameters of the protocol; all others are the application's.
_RESERVED = frozenset(
    ("attachment", "date_sent", "dialog_id", "message_id", "moduleIdentifier", "save_to_history")
)

DialogOf = Callable[[bool], "Row | None"]
"""Returns the dialog of a message; None if there is none. With True it is created if it is missing."""

Handler = Callable[["Hub", Session, Element, DialogOf], "Element | None"]
"""Takes the message of a user; returns the message to relay, or None to relay none."""


@frozen
class MessageKind:
    """One row of the table: the elements that identify a kind of message, and its handler."""

    namespace: str
    names: tuple[str, ...]
    handler: Handler
    inferred: str | None = None

    def fits(self, element: Element) -> bool:
        """Whether an element of a message identifies this kind."""
        return element.namespace == self.namespace and element.name in self.names


def process(hub: Hub, session: Session, stanza: Element, dialog_of: DialogOf) -> Element | None:
    """Store a message or note its statuses; return the message to relay, or None to relay none."""
    for kind in KINDS:
        if any(map(kind.fits, stanza.elements())):
            return kind.handler(hub, session, stanza, dialog_of)
    return stanza


def _unchanged(hub: Hub, session: Session, stanza: Element, dialog_of: DialogOf) -> Element:
    return stanza


def _take_marker(hub: Hub, session: Session, stanza: Element, dialog_of: DialogOf) -> Element:
    for marker in stanza.elements():
        if marker.namespace != ns.CHAT_MARKERS or marker.name not in ("received", "displayed"):
            continue
        message_id = marker.get("id")
        message = hub.conversations.store.message(message_id) if message_id else None
        if message is None:
            continue
        read = marker.name == "displayed"
        hub.conversations.mark(session.user_id, [message["id"]], read=read)
        stanza = _with_params(stanza, {"dialog_id": message["dialog_id"]})
    return stanza


def _take_edit(hub: Hub, session: Session, stanza: Element, dialog_of: DialogOf) -> Element:
    body, edited = stanza.child("body"), stanza.child("replace", ns.CORRECTION)
    found = _own_message(hub, session, edited, dialog_of)
    if hub.settings.edits_change_history and body is not None and found is not None:
        hub.conversations.change_body(found[1], body.text)
    return stanza


def _take_deletion(hub: Hub, session: Session, stanza: Element, dialog_of: DialogOf) -> Element:
    found = _own_message(hub, session, stanza.child("remove", ns.DELETION), dialog_of)
    if hub.settings.deletions_change_history and found is not None:
        delete_for_all(hub.conversations, *found)
    return stanza


def _own_message(
    hub: Hub, session: Session, named: Element | None, dialog_of: DialogOf
) -> tuple[Row, Row] | None:
    """Return the dialog and the message that an element names, if it is the sender's own message there."""
    message_id = None if named is None else named.get("id")
    dialog = dialog_of(False)
    if message_id is None or dialog is None:
        return None
    message = hub.conversations.own_message(session.user_id, dialog, message_id)
    return None if message is None else (dialog, message)


@frozen(kw_only=True)
class _Content:
    """The content of a message as the server reads it; ``params`` are its parameters by name."""

    message_id: str
    body: str | None
    date_sent: int
    params: Mapping[str, Any]
    attachments: Sequence[Mapping[str, str]]
    wants_history: bool


def _take_content(
    hub: Hub, session: Session, stanza: Element, dialog_of: DialogOf
) -> Element | None:
    dialog = dialog_of(True)
    if dialog is None:
        return stanza
    content = _read_content(hub, stanza)
    sender, message_id = session.user_id, content.message_id
    if not _store_if_new(hub, dialog, sender, content):
        if hub.settings.repeated_message == "refuse":
            raise StanzaError("conflict", f"There is a message {message_id}")
        if hub.settings.repeated_message == "drop":
            return None
    else:
        notify(hub, dialog, sender, message_id, content.body, content.params)
    added = {"dialog_id": dialog["id"], "message_id": message_id}
    if not content.params.get("date_sent"):
        added["date_sent"] = str(content.date_sent)
    return _with_params(stanza, added)


def _read_content(hub: Hub, stanza: Element) -> _Content:
    element = extra_params(stanza)
    params, body, given_id = _values(element), stanza.child("body"), stanza.get("id")
    date_sent = date_sent_of(params.get("date_sent"))
    destroys_itself = stanza.child("destroy", ns.SELF_DESTROY) is not None
    return _Content(
        # A client may choose the id if it has the form of the service's ids.
        message_id=given_id if given_id and is_object_id(given_id) else hub.conversations.new_id(),
        body=None if body is None else body.text,
        date_sent=hub.conversations.now() if date_sent is None else date_sent,
        params=params,
        attachments=_attachments(element),
        wants_history=flag(params.get("save_to_history")) and not destroys_itself,
    )


def _store_if_new(hub: Hub, dialog: Row, sender: int, content: _Content) -> bool:
    """Store a message, if it wants that; return False if one with its id is stored already."""
    if not content.wants_history:
        return True
    custom = {name: value for name, value in content.params.items() if name not in _RESERVED}
    draft = NewMessage(
        id=content.message_id,
        body=content.body,
        date_sent=content.date_sent,
        attachments=content.attachments,
        custom=custom,
    )
    return hub.conversations.add_message(dialog, sender, draft) is not None


KINDS = (
    MessageKind(
        ns.CHAT_MARKERS,
        ("received", "displayed"),
        _take_marker,
        "in groups as well, which a page of the documentation denies",
    ),
    # An edit or a deletion has the id of another message, so it is not stored.
    MessageKind(
        ns.CORRECTION, ("replace",), _take_edit, "changes the sender's own message; relayed"
    ),
    MessageKind(
        ns.DELETION, ("remove",), _take_deletion, "deletes the sender's own message; relayed"
    ),
    MessageKind(
        ns.CLIENT,
        ("body", "extraParams"),
        _take_content,
        "a repeated id is relayed again and stored once; the payload of the push",
    ),
    MessageKind(ns.CHAT_STATES, ("composing", "paused", "active", "inactive", "gone"), _unchanged),
)
"""The kinds of message; the first kind that fits a message counts."""


def _with_params(stanza: Element, added: Mapping[str, str]) -> Element:
    """Return the message with these parameters, in place of others of the same name."""
    params = extra_params(stanza)
    children = [] if params is None else params.children
    kept = [child for child in children if not (isinstance(child, Element) and child.name in added)]
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
