"""Decodes message stanzas: each is classified once, decoded once, and makes one event for one signal.

Decoders are lenient: a field that cannot be read is left out, and a stanza that has no meaning here is
counted. (ConnectyCube's real-time documentation; XEP-0333 markers, XEP-0085 chat states, XEP-0203
delay, XEP-0280 carbons, XEP-0308 corrections, XEP-0045 rooms.)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import unquote

from attrs import define, evolve, field, frozen

from ...errors import StanzaError
from ...models import (
    Attachment,
    DialogRef,
    Message,
    MessageDeletion,
    MessageEdit,
    MessageFailure,
    MessageStatus,
    ReactionChange,
    RefusedStanza,
    SystemMessage,
    Typing,
)
from ...models._json import as_int, as_time
from ...models.messages import RESERVED_NAMES
from . import namespaces as ns
from .addresses import OBJECT_ID, Addresses, bare
from .encoding import SYSTEM_NOTIFICATIONS
from .nodes import child, children
from .parser import MessageStanza, RefusedElement, message_of

__all__ = ["Delivery", "Unreported", "decode", "decode_refused", "error_of"]

_PERCENT_ENCODED = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()]|%[0-9A-Fa-f]{2})*\Z")
_ERROR = f"{ns.CLIENT} error"
_DESTROY = f"{ns.DESTROY_AFTER} destroy"
_MARKABLE = f"{ns.CHAT_MARKERS} markable"
_DELAYS = frozenset({f"{ns.DELAY} delay", f"{ns.DELAY_LEGACY} x"})
_CARBONS = (f"{ns.CARBONS} sent", f"{ns.CARBONS} received")


@define(kw_only=True, eq=False)
class Delivery:
    """One event on its way to the receivers of one signal; the session completes it."""

    signal: str
    """The name of the signal."""
    event: Any
    conversation: str | None = field(default=None)
    """The key of the queue that keeps the order; events without a conversation share a queue (None)."""
    size: int = field(default=0)
    """The number of its bytes on the wire."""
    merge_key: tuple[str, ...] | None = field(default=None)
    """Of events with the same key only the newest matters: slow receivers get only some of them."""
    sequence: int | None = field(default=None)
    """The number of its stanza in the session, which the server sends again if the queue rejects the event.

    None if it does not come again, so that even a full queue must take it.
    """
    key: tuple[str, int, str] | None = field(default=None)
    """The conversation, the sender and the id of a message, by which a repetition is recognised."""
    is_carbon: bool = field(default=False)
    """Whether another device of this user sent or received the message (XEP-0280)."""
    bypasses_gap: bool = field(default=False)
    """Whether it gets no sequence and waits for no gap: its stanza, decoded again, would make no event."""
    takes_room: bool = field(default=False)
    """Whether it counts towards the bounds of the queue even without a sequence."""


Unreported = Literal["calls", "forged", "not_understood", "own_echoes", "refused", "repeated"]
"""Why a stanza makes no event: the name of the counter for it."""

Decoder = Callable[[MessageStanza, Addresses, int], "Delivery | Unreported"]


def decode(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    """Classify and decode a message stanza to user ``me``; return the event, or why there is none."""
    for matches, decoder in KINDS:
        if matches(stanza):
            return decoder(stanza, addresses, me)
    return "not_understood"


@frozen
class _Origin:
    """The user who sent a stanza, and its dialog."""

    user_id: int
    own: bool
    dialog: DialogRef
    conversation: str


def _origin(stanza: MessageStanza, addresses: Addresses, me: int) -> _Origin | None:
    """Return the sender and dialog of a stanza; None if it is from no user, such as a room's own message."""
    sender = stanza.attributes.get("from") or addresses.user(me)
    if stanza.attributes.get("type") == "groupchat":
        room_id, nick = addresses.dialog_id(sender), addresses.occupant(sender)
        if room_id is None or nick is None:
            return None
        return _Origin(nick, nick == me, DialogRef.room(room_id), addresses.room(room_id))
    user_id = addresses.user_id(sender)  # None for a private message of an occupant (XEP-0045, 7.5)
    peer_id = user_id
    if user_id == me:
        peer_id = addresses.user_id(stanza.attributes.get("to"))
    if user_id is None or peer_id is None:
        return None
    dialog = DialogRef.private(peer_id, _text_param(stanza, "dialog_id"))
    return _Origin(user_id, user_id == me, dialog, addresses.user(peer_id))


# --- by kind --------------------------------------------------------------------------------------


def _failure(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    message_id = stanza.attributes.get("id")
    if not message_id:
        return "refused"  # of our stanzas only typing has no id, and its failure is not reported
    error = error_of(stanza.others.get(_ERROR))
    sender = stanza.attributes.get("from")
    return Delivery(
        signal="message_failed",
        event=MessageFailure(
            message_id=message_id,
            dialog_id=addresses.dialog_id(sender) or _text_param(stanza, "dialog_id"),
            user_id=addresses.user_id(sender),
            error=error,
            condition=error.condition,
            text=error.text,
        ),
        conversation=bare(sender) if sender else None,
        size=stanza.size,
    )


def _carbon(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    """Decode a message that another device of this user sent or received; only our account may forward it."""
    sender = stanza.attributes.get("from")
    if sender is not None and sender.lower() != addresses.user(me):
        return "forged"
    wrapper = next(stanza.others[name] for name in _CARBONS if name in stanza.others)
    forwarded = child(wrapper, "forwarded", ns.FORWARD)
    inner = child(forwarded, "message", ns.CLIENT) if forwarded is not None else None
    if inner is None:
        return "not_understood"
    copy = message_of(inner, stanza.size)
    if any(name in copy.others for name in _CARBONS):  # servers make no carbon of a carbon
        return "not_understood"
    decoded = decode(copy, addresses, me)
    if not isinstance(decoded, Delivery):
        return decoded
    if decoded.signal == "message_failed":  # another device, not this connection, sent the message
        return "own_echoes"
    decoded.is_carbon = True
    return decoded


def _system_message(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    module = stanza.params.get("moduleIdentifier")
    if module == "WebRTCVideoChat":
        return "calls"
    sender_id = addresses.user_id(stanza.attributes.get("from"))
    if module != SYSTEM_NOTIFICATIONS or sender_id is None:
        return "not_understood"
    recipient_id = addresses.user_id(stanza.attributes.get("to")) or me
    if sender_id == me != recipient_id:
        return "own_echoes"
    return Delivery(
        signal="system_message_received",
        event=SystemMessage(
            id=stanza.attributes.get("id"),
            sender_id=sender_id,
            recipient_id=recipient_id,
            body=stanza.body or None,
            custom={
                name: value for name, value in stanza.params.items() if name != "moduleIdentifier"
            },
        ),
        conversation=addresses.user(sender_id),
        size=stanza.size,
    )


def _status(signal: str, name: str) -> Decoder:
    marker = f"{ns.CHAT_MARKERS} {name}"

    def decode_status(
        stanza: MessageStanza, addresses: Addresses, me: int
    ) -> Delivery | Unreported:
        origin = _origin(stanza, addresses, me)
        message_id = stanza.others[marker].attrs.get("id")
        if origin is None or not message_id:
            return "not_understood"
        if origin.own:
            return "own_echoes"
        return Delivery(
            signal=signal,
            event=MessageStatus(
                user_id=origin.user_id,
                message_id=message_id,
                dialog_id=origin.dialog.id,
            ),
            conversation=origin.conversation,
            size=stanza.size,
        )

    return decode_status


def _typing(signal: str) -> Decoder:
    def decode_typing(
        stanza: MessageStanza, addresses: Addresses, me: int
    ) -> Delivery | Unreported:
        origin = _origin(stanza, addresses, me)
        if origin is None:
            return "not_understood"
        if origin.own:
            return "own_echoes"
        in_room = origin.dialog.peer_id is None
        return Delivery(
            signal=signal,
            event=Typing(user_id=origin.user_id, dialog_id=origin.dialog.id if in_room else None),
            conversation=origin.conversation,
            size=stanza.size,
            merge_key=("typing", origin.conversation, str(origin.user_id)),
        )

    return decode_typing


def _edit(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    origin = _origin(stanza, addresses, me)
    replace = stanza.others[f"{ns.CORRECTION} replace"].attrs
    message_id = replace.get("id")
    if origin is None or not message_id:
        return "not_understood"
    edit = MessageEdit(
        user_id=origin.user_id,
        message_id=message_id,
        body=stanza.body or "",
        dialog=origin.dialog,
        is_last={"true": True, "1": True, "false": False, "0": False}.get(replace.get("last", "")),
        own=origin.own,
    )
    return _change("message_edited", edit, stanza, origin)


def _deletion(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    origin = _origin(stanza, addresses, me)
    message_id = stanza.others[f"{ns.DELETION} remove"].attrs.get("id")
    if origin is None or not message_id:
        return "not_understood"
    deletion = MessageDeletion(
        user_id=origin.user_id, message_id=message_id, dialog=origin.dialog, own=origin.own
    )
    return _change("message_deleted", deletion, stanza, origin)


def _change(signal: str, event: Any, stanza: MessageStanza, origin: _Origin) -> Delivery:
    own_id = stanza.attributes.get("id")
    return Delivery(
        signal=signal,
        event=event,
        conversation=origin.conversation,
        size=stanza.size,
        key=(origin.conversation, origin.user_id, own_id) if own_id else None,
    )


def _reactions(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    node = stanza.others[f"{ns.CLIENT} reactions"]
    user_id, message_id = as_int(node.attrs.get("user_id")), node.attrs.get("message_id")
    if user_id is None or not message_id:
        return "not_understood"
    sender = stanza.attributes.get("from", "")
    changed = {
        side: tuple(
            kid.attrs["type"]
            for kid in children(node)
            if kid.attrs.get(side) == "true" and kid.attrs.get("type")
        )
        for side in ("add", "remove")
    }
    return Delivery(
        signal="reaction_changed",
        event=ReactionChange(
            user_id=user_id,
            message_id=message_id,
            dialog_id=_text_param(stanza, "dialog_id") or addresses.dialog_id(sender),
            added=changed["add"],
            removed=changed["remove"],
        ),
        conversation=bare(sender) or None,
        size=stanza.size,
    )


def _message(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    origin = _origin(stanza, addresses, me)
    if origin is None:
        return "not_understood"
    in_room = origin.dialog.peer_id is None
    params = stanza.params
    message_id = stanza.attributes.get("id")
    if message_id is None or not OBJECT_ID.match(message_id):
        # The service gives such a message an id of its own, which is its id in history.
        message_id = _text_param(stanza, "message_id") or message_id
    destroy = stanza.others.get(_DESTROY)
    message = Message(
        id=message_id,
        dialog_id=origin.dialog.id,
        body=stanza.body,
        sender_id=origin.user_id,
        recipient_id=None if in_room else origin.dialog.peer_id if origin.own else me,
        date_sent=as_time(params.get("date_sent")),
        attachments=tuple(map(_read_attachment, stanza.attachments)),
        custom={key: value for key, value in params.items() if key not in RESERVED_NAMES},
        markable=_MARKABLE in stanza.others,
        save_to_history=params.get("save_to_history") in ("1", "true"),
        silent=params.get("silent") in ("1", "true"),
        destroy_after=as_int(destroy.attrs.get("after")) if destroy is not None else None,
        delayed=not _DELAYS.isdisjoint(stanza.others),
        own=origin.own,
        dialog=origin.dialog,
    )
    return Delivery(
        signal="message_received",
        event=message,
        conversation=origin.conversation,
        size=stanza.size,
        key=(origin.conversation, origin.user_id, message_id) if message_id else None,
    )


def _read_attachment(attributes: dict[str, str]) -> Attachment:
    attachment = Attachment.from_json(attributes)
    data = attachment.data
    if data and "%" in data and _PERCENT_ENCODED.match(data):
        attachment = evolve(attachment, data=unquote(data, errors="replace"))
    if attachment.id and attachment.uid:
        return attachment
    return evolve(
        attachment, id=attachment.id or attachment.uid, uid=attachment.uid or attachment.id
    )


def _text_param(stanza: MessageStanza, name: str) -> str | None:
    value = stanza.params.get(name)
    return value if isinstance(value, str) and value else None


# --- the table --------------------------------------------------------------------------------------


def _has(name: str) -> Callable[[MessageStanza], bool]:
    return lambda stanza: name in stanza.others


def _is(kind: str) -> Callable[[MessageStanza], bool]:
    return lambda stanza: stanza.attributes.get("type") == kind


def _is_conversation(stanza: MessageStanza) -> bool:
    return stanza.attributes.get("type") in ("chat", "groupchat")


def _has_content(stanza: MessageStanza) -> bool:
    return _is_conversation(stanza) and bool(stanza.body or stanza.attachments)


_INSIDE_CONTENT = _DELAYS | {_MARKABLE, _DESTROY}


def _is_plain(stanza: MessageStanza) -> bool:
    return _has_content(stanza) and stanza.others.keys() <= _INSIDE_CONTENT


def _has_params(stanza: MessageStanza) -> bool:
    return _is_conversation(stanza) and bool(stanza.params)


KINDS: tuple[tuple[Callable[[MessageStanza], bool], Decoder], ...] = (
    # The first row that matches decides. Most stanzas are plain messages, so that row is the first. Content
    # comes before chat states and markers, because other XMPP clients send them in one stanza.
    (_is_plain, _message),
    (_is("error"), _failure),
    (_has(f"{ns.CARBONS} sent"), _carbon),
    (_has(f"{ns.CARBONS} received"), _carbon),
    (_is("headline"), _system_message),
    (_has(f"{ns.CORRECTION} replace"), _edit),
    (_has(f"{ns.DELETION} remove"), _deletion),
    (_has(f"{ns.CLIENT} reactions"), _reactions),
    (_has_content, _message),
    (_has(f"{ns.CHAT_MARKERS} received"), _status("message_delivered", "received")),
    (_has(f"{ns.CHAT_MARKERS} displayed"), _status("message_read", "displayed")),
    (_has(f"{ns.CHAT_STATES} composing"), _typing("typing_started")),
    (_has(f"{ns.CHAT_STATES} paused"), _typing("typing_stopped")),
    (_has_params, _message),
)
"""The kinds of message stanzas, each with its decoder; read from top to bottom."""


def decode_refused(element: RefusedElement, addresses: Addresses) -> Delivery:
    """Report a stanza that the parser has refused, as far as its start tag was read."""
    sender = element.attributes.get("from")
    dialog_id = addresses.dialog_id(sender)
    user_id = addresses.user_id(sender)
    if dialog_id is not None and sender is not None:
        user_id = addresses.occupant(sender)
    event = RefusedStanza(
        kind=element.name,
        id=element.attributes.get("id"),
        sender=sender,
        user_id=user_id,
        dialog_id=dialog_id,
        size=element.size,
        reason=element.reason,
    )
    return Delivery(
        signal="stanza_refused",
        event=event,
        conversation=bare(sender) if sender else None,
        merge_key=("stanza_refused", bare(sender) if sender else ""),
    )


def error_of(node: Any | None) -> StanzaError:
    """Read a stanza's error element, which may be missing or empty. (RFC 6120, 8.3.)"""
    if node is None:
        return StanzaError("refused without a reason", condition="undefined-condition")
    reason = next((kid for kid in node.kids if kid is not None and kid.name != "text"), None)
    condition = reason.name if reason is not None else "undefined-condition"
    words = next((kid for kid in node.kids if kid is not None and kid.name == "text"), None)
    text = words.getData() if words is not None and words.getData() else None
    code = node.attrs.get("code", "")
    return StanzaError(
        f"refused: {condition}" + (f" ({text[:200]})" if text else ""),
        condition=condition,
        type=node.attrs.get("type"),
        text=text,
        code=int(code) if code.isascii() and code.isdigit() and len(code) < 6 else None,
    )
