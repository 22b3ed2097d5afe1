"""What the service answers to calls that are not about one thing: counts, a system message, a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from .dialog import Dialog, DialogRef
from .fields import as_int, as_mapping, as_string, read, wire
from .message import Message
from .user import User

__all__ = ["SearchResult", "SystemMessage", "UnreadCount"]


@frozen(kw_only=True, slots=True)
class UnreadCount:
    """How many messages are unread: in ``total``, and by the id of each dialog that was asked for."""

    total: int = field(default=0)
    by_dialog: Mapping[str, int] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UnreadCount:
        """Decode the service's object, which has the total beside the dialogs."""
        counts = {key: as_int(value) for key, value in data.items() if key != "total"}
        by_dialog = {key: count for key, count in counts.items() if count is not None}
        total = as_int(data.get("total"))
        return cls(total=sum(by_dialog.values()) if total is None else total, by_dialog=by_dialog)


@frozen(kw_only=True, slots=True)
class SystemMessage:
    """A system message: a signal from program to program, which no history keeps. (Guide: System messages.)

    ``custom`` holds the application's own parameters. ``sender_id`` and ``body`` are those of a message
    that was received.
    """

    id: str | None = wire("messageId", as_string)
    recipient_id: int | None = wire("recipientId", as_int)
    sender_id: int | None = field(default=None)
    body: str | None = field(default=None)
    custom: Mapping[str, Any] = field(factory=dict)
    extra: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SystemMessage:
        """Decode the service's answer to a system message."""
        others = {name: value for name, value in data.items() if name != "extensionParams"}
        return read(cls, others, custom=as_mapping(data.get("extensionParams")) or {})


@frozen(kw_only=True, slots=True)
class SearchResult:
    """What a search found; each message knows the id of its dialog."""

    dialogs: tuple[Dialog, ...] = field(default=())
    messages: tuple[Message, ...] = field(default=())
    users: tuple[User, ...] = field(default=())

    @classmethod
    def from_json(cls, data: Mapping[str, Any], me: int | None = None) -> SearchResult:
        """Decode the service's three lists, bare or wrapped in ``{"results": …}``."""
        found = as_mapping(data.get("results")) or data
        return cls(
            dialogs=tuple(Dialog.from_json(entry, me=me) for entry in _objects(found, "dialogs")),
            messages=tuple(map(_message, _objects(found, "messages"))),
            users=tuple(map(User.from_json, _objects(found, "users"))),
        )


def _objects(found: Mapping[str, Any], name: str) -> Iterable[dict[str, Any]]:
    entries = found.get(name)
    return (
        [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )


def _message(data: dict[str, Any]) -> Message:
    return Message.from_json(data, dialog=DialogRef(id=as_string(data.get("chat_dialog_id"))))
