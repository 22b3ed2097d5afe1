"""Decodes message stanzas: each is classified once, decoded once, and makes one event for one signal.

Decoders are lenient: a field that cannot be read is left out, and a stanza that has no meaning here is
counted. (ConnectyCube's real-time documentation; XEP-0333 markers, XEP-0085 chat states, XEP-0203
delay, XEP-0280 carbons, XEP-0308 corrections, XEP-0045 rooms.)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, Literal

from attrs import define, field, frozen

from ..._redact import peer_text
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
from ...models._json import as_bool, as_int, as_time, maker_of
from ...models.messages import RESERVED_NAMES
from . import namespaces as ns
from .addresses import OBJECT_ID, Addresses, bare
from .encoding import SYSTEM_NOTIFICATIONS
from .nodes import Node, child, children
from .parser import MessageStanza, RefusedElement, StanzaItem, message_of
from .seen_messages import Content, Key, digest, digest_of_message, seconds, short_id

__all__ = [
    "MESSAGE_SIGNALS",
    "NO_CONVERSATION",
    "SIZE_OF_ENTRY",
    "TRUE",
    "Delivery",
    "Unreported",
    "decode",
    "decode_refused",
    "error_of",
    "new_delivery",
    "new_message",
    "origin_of",
    "summary",
    "typing_key",
]

MESSAGE_SIGNALS = ("message_received", "own_message_received")
"""The signals of messages that arrive, by whether they are this user's own: False, True."""

SIZE_OF_ENTRY = 150  # bytes of memory that a parameter needs beyond its own
_COMPACT_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)T")  # of XEP-0091
_ERROR = f"{ns.CLIENT} error"
_DESTROY = f"{ns.DESTROY_AFTER} destroy"
_MARKABLE = f"{ns.CHAT_MARKERS} markable"
_MARKED = {_MARKABLE}
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
    """The bytes that it counts for: those of its stanza, and what many small parts need beyond them."""
    merge_key: tuple[str, ...] | None = field(default=None)
    """Of events with the same key only the newest matters: slow receivers get only some of them."""
    sequence: int | None = field(default=None)
    """The number of its stanza in the session, which the server sends again if the queue rejects the event.

    None if it does not come again, so that even a full queue must take it.
    """
    key: Key | None = field(default=None)
    """The conversation, the sender and the id of a message, by which a repetition is recognised."""
    content: Content | None = field(default=None)
    """What a message is recognised by if its id is not of the service's form; it has no key yet."""
    is_carbon: bool = field(default=False)
    """Whether another device of this user sent or received the message (XEP-0280)."""
    is_delayed: bool = field(default=False)
    """Whether the server had stored the message (XEP-0203)."""
    stored_at: datetime | None = field(default=None)
    """When the server had stored the message, by the server's clock."""
    bypasses_gap: bool = field(default=False)
    """Whether it gets no sequence and waits for no gap: its stanza, decoded again, would make no event."""
    shown_later: bool = field(default=False)
    """Whether the views of its dialog get a copy of it, once the earlier messages of a gap are there."""
    takes_room: bool = field(default=False)
    """Whether it counts towards the bounds of the queue even without a sequence."""

    # What a task of the dispatcher has: most events wait in its queues without a task of their own.
    since: float | None = field(default=None)
    """When the event was queued (monotonic)."""
    counts: bool = field(default=True)
    """Whether it counts towards the bounds of the queue; the dispatcher decides it."""
    run: ClassVar[None] = None
    leave: ClassVar[None] = None
    stored: ClassVar[None] = None
    is_users: ClassVar[bool] = True


new_delivery: Callable[..., Delivery] = maker_of(
    Delivery,
    *("signal", "event", "conversation", "size", "key", "content", "is_delayed", "stored_at"),
)

Unreported = Literal[
    "calls", "forged", "not_understood", "outdated", "own_echoes", "refused", "repeated"
]
"""Why a stanza makes no event: the name of the counter for it."""


Decoder = Callable[[MessageStanza, Addresses, int], "Delivery | Unreported"]


def decode(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    """Classify and decode a message stanza to user ``me``; return the event, or why there is none."""
    if _is_plain(stanza):  # nearly all are
        return _message(stanza, addresses, me)
    for matches, decoder in KINDS:
        if matches(stanza):
            return decoder(stanza, addresses, me)
    return "not_understood"


@frozen
class _Origin:
    """The user who sent a stanza, and its dialog."""

    user_id: int
    own: bool
    recipient_id: int | None
    """The user whom a private message is to."""
    dialog: DialogRef
    conversation: str

    def content(self, own_id: str | None, digest: str, date: float | None) -> Content:
        """Return what a message from here is recognised by if its id may not be unique."""
        return Content(self.conversation, self.user_id, short_id(own_id or ""), digest, date)


_MOST_ORIGINS = 1_000
_LONGEST_NAMES = 512  # characters of the JIDs and the dialog's id of an origin that is remembered


def _origin(stanza: MessageStanza, addresses: Addresses, me: int) -> _Origin | None:
    get, dialog_id = stanza.attributes.get, stanza.params.get("dialog_id")
    # Unlike isinstance(), a comparison of classes is no call, and tells type checkers nothing.
    if dialog_id.__class__ is not str:
        dialog_id = None
    names = (get("from"), get("to"), get("type") == "groupchat", dialog_id, me)
    return addresses.origins.get(names) or origin_of(names, addresses)  # pyright: ignore[reportArgumentType]


_Names = tuple[str | None, str | None, bool, str | None, int]


def origin_of(names: _Names, addresses: Addresses) -> _Origin | None:
    """Return a stanza's sender and dialog; None if it is from no user, such as a room's own message.

    ``names`` are the addresses that it is from and to, whether it is of a room, its dialog's id, and the user
    who gets it. ``addresses.origins`` remembers the answer.
    """
    origin = _read_origin(*names, addresses)
    if (
        origin is None
        or sum([len(each) for each in names if isinstance(each, str)]) > _LONGEST_NAMES
    ):
        return origin
    known = addresses.origins
    if len(known) >= _MOST_ORIGINS:
        known.clear()
    known[names] = origin
    return origin


def _read_origin(
    sender: str | None,
    to: str | None,
    in_room: bool,
    dialog_id: str | None,
    me: int,
    addresses: Addresses,
) -> _Origin | None:
    sender = sender or addresses.user(me)
    if in_room:
        room_id, nick = addresses.dialog_id(sender), addresses.occupant(sender)
        if room_id is None or nick is None:
            return None
        room = DialogRef.room(room_id)
        return _Origin(nick, nick == me, None, room, addresses.room(room_id))
    user_id = addresses.user_id(sender)  # None for a private message of an occupant (XEP-0045, 7.5)
    own = user_id == me
    peer_id = addresses.user_id(to) if own else user_id
    if user_id is None or peer_id is None:
        return None
    dialog = DialogRef.private(peer_id, dialog_id or None)
    return _Origin(user_id, own, peer_id if own else me, dialog, addresses.user(peer_id))


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
        return _announcement(stanza, addresses, me)
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
        size=stanza.size + SIZE_OF_ENTRY * stanza.entries,
    )


def _announcement(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    """Decode a text of the server itself, such as that it will be restarted: no user has sent it."""
    if bare(stanza.attributes.get("from", "")).lower() != addresses.host or not stanza.body:
        return "not_understood"
    return Delivery(
        signal="system_message_received",
        event=SystemMessage(
            id=stanza.attributes.get("id"),
            recipient_id=me,
            body=stanza.body,
            custom=dict(stanza.params),
        ),
        conversation=addresses.host,
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


def typing_key(conversation: str | None, user_id: int | None) -> tuple[str, ...]:
    """Return the merge key of a user's typing in a conversation."""
    return ("typing", conversation or "", str(user_id))


def _typing(signal: str) -> Decoder:
    def decode_typing(
        stanza: MessageStanza, addresses: Addresses, me: int
    ) -> Delivery | Unreported:
        origin = _origin(stanza, addresses, me)
        if origin is None:
            return "not_understood"
        if origin.own:
            return "own_echoes"
        if _is_delayed(stanza):
            return "outdated"  # the user is not typing now
        in_room = origin.dialog.peer_id is None
        return Delivery(
            signal=signal,
            event=Typing(user_id=origin.user_id, dialog_id=origin.dialog.id if in_room else None),
            conversation=origin.conversation,
            size=stanza.size,
            merge_key=typing_key(origin.conversation, origin.user_id),
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
    return _change("message_edited", edit, stanza, origin, message_id, edit.body)


def _deletion(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    origin = _origin(stanza, addresses, me)
    message_id = stanza.others[f"{ns.DELETION} remove"].attrs.get("id")
    if origin is None or not message_id:
        return "not_understood"
    deletion = MessageDeletion(
        user_id=origin.user_id, message_id=message_id, dialog=origin.dialog, own=origin.own
    )
    return _change("message_deleted", deletion, stanza, origin, message_id)


def _change(
    signal: str, event: object, stanza: MessageStanza, origin: _Origin, *parts: str
) -> Delivery:
    own_id = stanza.attributes.get("id")
    is_unique = own_id is not None and OBJECT_ID.match(own_id) is not None
    date = None if is_unique else seconds(_stamp(stanza))
    return Delivery(
        signal=signal,
        event=event,
        conversation=origin.conversation,
        size=stanza.size,
        key=(origin.conversation, origin.user_id, own_id or "") if is_unique else None,
        content=None if is_unique else origin.content(own_id, digest(signal, *parts), date),
        is_delayed=_is_delayed(stanza),
    )


def _reactions(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    node = stanza.others[f"{ns.CLIENT} reactions"]
    user_id, message_id = as_int(node.attrs.get("user_id")), node.attrs.get("message_id")
    if user_id is None or not message_id:
        return "not_understood"
    sender = stanza.attributes.get("from", "")
    if not _may_speak_for(sender, user_id, addresses):
        return "forged"
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
            own=user_id == me,
        ),
        conversation=bare(sender) or None,
        size=stanza.size,
    )


def _may_speak_for(sender: str, user_id: int, addresses: Addresses) -> bool:
    """Whether a stanza may say what a user did: if the user sent it, directly or in a room, or the server."""
    if sender in ("", addresses.host) or (addresses.dialog_id(sender) and "/" not in sender):
        return True
    is_in_room = addresses.dialog_id(sender) is not None
    return user_id == (addresses.occupant(sender) if is_in_room else addresses.user_id(sender))


new_message: Callable[..., Message] = maker_of(
    Message,
    *("id", "dialog_id", "body", "sender_id", "recipient_id", "date_sent", "attachments", "custom"),
    *("silent", "markable", "save_to_history", "destroy_after", "delayed", "own", "dialog"),
)
TRUE = ("1", "true")


def _message(stanza: MessageStanza, addresses: Addresses, me: int) -> Delivery | Unreported:
    origin = _origin(stanza, addresses, me)
    if origin is None:
        return _announcement(stanza, addresses, me)
    params, others, dialog = stanza.params, stanza.others, origin.dialog
    get = params.get
    own_id = message_id = stanza.attributes.get("id")
    is_unique = own_id is not None and OBJECT_ID.match(own_id) is not None
    if not is_unique and (given_id := _text_param(stanza, "message_id")) is not None:
        # The service gives such a message an id of its own, which is its id in history.
        message_id, is_unique = given_id, OBJECT_ID.match(given_id) is not None
    markable = as_bool(params["markable"]) if "markable" in params else None
    date_sent = as_time(get("date_sent"))
    destroy_after = stored_at = None
    is_delayed = False
    if others and others.keys() != _MARKED:
        is_delayed = _is_delayed(stanza)
        stored_at = _stamp(stanza) if is_delayed else None
        if _DESTROY in others:
            destroy_after = as_int(others[_DESTROY].attrs.get("after"))
    if date_sent is None:
        date_sent = stored_at
    message = new_message(
        message_id,
        dialog.id,
        stanza.body or None,
        origin.user_id,
        origin.recipient_id,
        date_sent,
        tuple([Attachment.from_json(attributes) for attributes in stanza.attachments]),
        {key: value for key, value in params.items() if key not in RESERVED_NAMES},
        get("silent") in TRUE,
        _MARKABLE in others if markable is None else markable,
        get("save_to_history") in TRUE,
        destroy_after,
        is_delayed,
        origin.own,
        dialog,
    )
    content = None
    if not is_unique:
        content = origin.content(message_id, digest_of_message(message), seconds(date_sent))
    return new_delivery(
        MESSAGE_SIGNALS[origin.own],
        message,
        origin.conversation,
        stanza.size + SIZE_OF_ENTRY * stanza.entries,
        (origin.conversation, origin.user_id, message_id or "") if is_unique else None,
        content,
        is_delayed,
        stored_at,
    )


def _is_delayed(stanza: MessageStanza) -> bool:
    return not _DELAYS.isdisjoint(stanza.others)


def _stamp(stanza: MessageStanza) -> datetime | None:
    """Return when the server got a message that it has stored; None if it does not say. (XEP-0203.)"""
    for name in sorted(_DELAYS & stanza.others.keys(), reverse=True):  # the newer form first
        date = as_time(_COMPACT_DATE.sub(r"\1-\2-\3T", stanza.others[name].attrs.get("stamp", "")))
        if date is not None:
            return date
    return None


def _text_param(stanza: MessageStanza, name: str) -> str | None:
    value = stanza.params.get(name)
    return value if isinstance(value, str) and value else None


# --- the table --------------------------------------------------------------------------------------


def _has(name: str) -> Callable[[MessageStanza], bool]:
    return lambda stanza: name in stanza.others


def _is(kind: str) -> Callable[[MessageStanza], bool]:
    return lambda stanza: stanza.attributes.get("type") == kind


NO_CONVERSATION = ("error", "headline")


def _is_conversation(stanza: MessageStanza) -> bool:
    # A message without a type, or of an unknown one, is a normal message (RFC 6121, 5.2.2).
    return stanza.attributes.get("type") not in NO_CONVERSATION


def _has_content(stanza: MessageStanza) -> bool:
    return _is_conversation(stanza) and bool(stanza.body or stanza.attachments)


_INSIDE_CONTENT = _DELAYS | {_MARKABLE, _DESTROY}


def _is_plain(stanza: MessageStanza) -> bool:
    return (
        stanza.others.keys() <= _INSIDE_CONTENT
        and bool(stanza.body or stanza.attachments)
        and stanza.attributes.get("type") not in NO_CONVERSATION
    )


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


def summary(stanza: StanzaItem | Delivery) -> str:
    """Describe a stanza without the texts of users: its name, type, sender and the names of its children."""
    parts: list[str]
    if isinstance(stanza, Delivery):  # of a plain message
        message = stanza.event
        return f"message {message.id} of user {message.sender_id} in {stanza.conversation}"
    if isinstance(stanza, RefusedElement):
        parts, name, attributes = [stanza.reason], stanza.name, stanza.attributes
    elif isinstance(stanza, MessageStanza):
        parts = [*(["body"] if stanza.body is not None else []), *stanza.params, *stanza.others]
        name, attributes = "message", stanza.attributes
    else:
        parts = [f"{kid.namespace} {kid.name}" for kid in children(stanza)]
        name, attributes = stanza.name, stanza.attrs
    kind, sender = attributes.get("type"), attributes.get("from")
    text = f"{name} of type {kind} from {sender} with {', '.join(parts) or 'nothing'}"
    return peer_text(text)


def error_of(node: Node | None) -> StanzaError:
    """Read a stanza's error element, which may be missing or empty. (RFC 6120, 8.3.)"""
    if node is None:
        return StanzaError("refused without a reason", condition="undefined-condition")
    reason = next((kid for kid in node.kids if kid.name != "text"), None)
    condition = peer_text(reason.name) if reason is not None else "undefined-condition"
    words = next((kid for kid in node.kids if kid.name == "text"), None)
    text = peer_text(words.getData()) if words is not None and words.getData() else None
    code = node.attrs.get("code", "")
    return StanzaError(
        peer_text(f"refused: {condition}" + (f" ({text})" if text else "")),
        condition=condition,
        type=peer_text(node.attrs["type"]) if "type" in node.attrs else None,
        text=text,
        code=int(code) if code.isascii() and code.isdigit() and len(code) < 6 else None,
    )
