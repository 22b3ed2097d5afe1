"""From REST: changes made over REST, as stanzas to the connected users.

In a private dialog the other user gets the stanza. In other dialogs all users in the room get it, from the
nick of the user that made the change.
(Server documentation: Chat API, Create a message, Delete message, Message reactions; Real-time API.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectycube._containers import AnyDict

from ..db.store import Row
from ..domain.conversations import PRIVATE
from . import namespaces as ns
from . import room_messages
from .element import Element, clean_text, is_name
from .hub import Hub
from .messages import relay
from .notifications import notify

__all__ = ["call_signal", "deletion", "edit", "message", "reaction", "system_message"]


def message(hub: Hub, dialog: Row, stored: Row, *, markable: bool) -> None:
    """Deliver a stored message."""
    sender = stored["sender_id"]
    body = Element("body", ns.CLIENT, None, clean_text(stored["message"] or ""))
    marks = [Element("markable", ns.CHAT_MARKERS)] if markable else []
    _show(hub, dialog, sender, stored["id"], body, _stored_params(stored), *marks)
    notify(hub, dialog, sender, stored["id"], stored["message"], stored["custom"])


def edit(hub: Hub, dialog: Row, stored: Row, body: str) -> None:
    """Send the new body of a message, as the client of the sender would. (Inferred.)"""
    is_last = dialog["last_message_id"] == stored["id"]
    attributes = {"id": stored["id"], "last": "true" if is_last else "false"}
    _show(
        hub,
        dialog,
        stored["sender_id"],
        hub.conversations.new_id(),
        Element("body", ns.CLIENT, None, clean_text(body)),
        Element("replace", ns.CORRECTION, attributes),
        _dialog_param(dialog),
    )


def deletion(hub: Hub, dialog: Row, stored: Row, user_id: int) -> None:
    """Tell clients to remove a message that was deleted for everybody."""
    remove = Element("remove", ns.DELETION, {"id": stored["id"]})
    new_id = hub.conversations.new_id()
    _show(hub, dialog, user_id, new_id, remove, _dialog_param(dialog))


def reaction(
    hub: Hub,
    dialog: Row,
    stored: Row,
    user_id: int,
    *,
    add: str | None,
    remove: str | None,
) -> None:
    """Send a change of a reaction to all users of the dialog, the user's other devices included."""
    changes = [
        Element("reaction", ns.CLIENT, {name: "true", "type": clean_text(value)})
        for name, value in (("add", add), ("remove", remove))
        if value is not None
    ]
    attributes = {"user_id": str(user_id), "message_id": stored["id"]}
    reactions = Element("reactions", ns.CLIENT, attributes, *changes)
    new_id = hub.conversations.new_id()
    children = (_dialog_param(dialog), reactions)
    if dialog["type"] != PRIVATE:
        _to_room(hub, dialog, user_id, new_id, *children)
        return
    for member in hub.conversations.members(dialog):
        _send(hub, user_id, member, "chat", new_id, *children)


def system_message(
    hub: Hub, sender: int, recipient: int, message_id: str, params: Mapping[str, Any]
) -> None:
    """Deliver a system message to a user."""
    _send_headline(hub, sender, recipient, message_id, "SystemNotifications", params)


def call_signal(
    hub: Hub, sender: int, recipient: int, message_id: str, params: Mapping[str, Any]
) -> None:
    """Deliver a signal of a call to a user. (Server documentation: Video Chat, Signaling v1.0.)"""
    _send_headline(hub, sender, recipient, message_id, "WebRTCVideoChat", params)


def _send_headline(
    hub: Hub, sender: int, recipient: int, message_id: str, module: str, params: Mapping[str, Any]
) -> None:
    values = {**params, "moduleIdentifier": module}
    written = [_param(name, value) for name, value in values.items()]
    extra = Element("extraParams", ns.CLIENT, None, *(param for param in written if param))
    _send(hub, sender, recipient, "headline", message_id, extra)


def _show(hub: Hub, dialog: Row, sender: int, stanza_id: str, *children: Element) -> None:
    if dialog["type"] != PRIVATE:
        _to_room(hub, dialog, sender, stanza_id, *children)
        return
    for recipient in hub.conversations.others(dialog, sender):
        _send(hub, sender, recipient, "chat", stanza_id, *children)


def _to_room(hub: Hub, dialog: Row, sender: int, stanza_id: str, *children: Element) -> None:
    attributes = {"type": "groupchat", "id": stanza_id}
    stanza = Element("message", ns.CLIENT, attributes, *children)
    room_messages.send(hub, dialog, sender, stanza)


def _send(
    hub: Hub, sender: int, recipient: int, kind: str, stanza_id: str, *children: Element
) -> None:
    settings = hub.settings
    attributes = {
        "from": settings.user_jid(sender),
        "to": settings.user_jid(recipient),
        "type": kind,
        "id": stanza_id,
    }
    relay(hub, Element("message", ns.CLIENT, attributes, *children), recipient)


def _dialog_param(dialog: Row) -> Element:
    return Element(
        "extraParams", ns.CLIENT, None, Element("dialog_id", ns.CLIENT, None, dialog["id"])
    )


def _stored_params(message: Row) -> Element:
    own = {
        "save_to_history": "1",
        "date_sent": message["date_sent"],
        "dialog_id": message["dialog_id"],
        "message_id": message["id"],
    }
    params = [_param(name, value) for name, value in {**message["custom"], **own}.items()]
    attachments = [
        Element(
            "attachment",
            ns.CLIENT,
            {
                name: _text(value)
                for name, value in attachment.items()
                if is_name(name) and value is not None
            },
        )
        for attachment in message["attachments"]
    ]
    return Element(
        "extraParams", ns.CLIENT, None, *(param for param in params if param), *attachments
    )


def _param(name: str, value: Any) -> Element | None:
    # JSON allows names that no element can have; such parameters stay in history.
    if not is_name(name) or value is None:
        return None
    if isinstance(value, AnyDict):
        inner = [_param(key, entry) for key, entry in value.items()]
        return Element(name, ns.CLIENT, None, *(entry for entry in inner if entry is not None))
    return Element(name, ns.CLIENT, None, _text(value))


def _text(value: Any) -> str:
    """Write a value of JSON as text: a string as it is, true, 1.5 and [1, 2] as JSON has them."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return clean_text(text)
