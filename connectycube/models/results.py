"""Results of calls that are no single record: pages, deletions, counts, a search, the end of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from attrs import asdict, field, frozen

from ._dicts import Serializable
from ._html import html_table
from ._json import as_int, as_mapping, as_string, as_strings, read, wire
from .dialogs import Dialog, DialogRef
from .messages import Message, complete
from .users import User

__all__ = [
    "Abandoned",
    "DeleteResult",
    "Page",
    "SearchResult",
    "SystemMessage",
    "UnreadCount",
]

Item = TypeVar("Item")


@frozen(kw_only=True, slots=True)
class Page(Generic[Item]):
    """One page of a list; iterating over it yields its items.

    ``total_entries``, ``skip`` and ``limit`` are None if the service does not say them.
    """

    items: tuple[Item, ...] = field(default=())
    total_entries: int | None = field(default=None)
    skip: int | None = field(default=None)
    limit: int | None = field(default=None)

    def __repr__(self) -> str:
        parts = [f"{len(self.items)} item{'s' if len(self.items) != 1 else ''}"]
        for name in ("total_entries", "skip", "limit"):
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name}={value}")
        return f"<Page: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks, with escaped text."""
        return html_table(self.items, repr(self))

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index]


def _ids(value: Any) -> tuple[str, ...] | None:
    """Read ``{"ids": […]}``, or the bare list."""
    return as_strings(value.get("ids") if as_mapping(value) is not None else value)


@frozen(kw_only=True, slots=True)
class DeleteResult:
    """The ids that were ``deleted``, those that do not exist, and those that this user may not delete."""

    deleted: tuple[str, ...] = wire("SuccessfullyDeleted", _ids, default=())
    not_found: tuple[str, ...] = wire("NotFound", _ids, default=())
    not_permitted: tuple[str, ...] = wire("WrongPermissions", _ids, default=())
    extra: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DeleteResult:
        """Decode the service's response to the deletion of several things."""
        return read(cls, data)


@frozen(kw_only=True, slots=True)
class UnreadCount:
    """How many messages are unread: the ``total``, and the number for each dialog (by its id)."""

    total: int = field(default=0)
    by_dialog: Mapping[str, int] = field(factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UnreadCount:
        """Decode the service's object, which has the total beside the dialogs."""
        counts = {key: as_int(value) for key, value in data.items() if key != "total"}
        by_dialog = {key: count for key, count in counts.items() if count is not None}
        total = as_int(data.get("total"))
        return cls(total=sum(by_dialog.values()) if total is None else total, by_dialog=by_dialog)


@frozen(kw_only=True, slots=True, repr=False)
class SystemMessage(Serializable):
    """A system message: a signal from program to program, kept in no history. (Guide: System messages.)

    ``custom`` holds the application's own parameters. ``sender_id`` belongs to a received message; it is None
    for an announcement of the chat server itself.
    """

    id: str | None = wire("messageId", as_string)
    recipient_id: int | None = wire("recipientId", as_int)
    sender_id: int | None = field(default=None)
    body: str | None = field(default=None, repr=False)
    custom: Mapping[str, Any] = field(factory=dict, repr=False)
    extra: Mapping[str, Any] = field(factory=dict, repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SystemMessage:
        """Decode the service's answer to a system message."""
        others = {name: value for name, value in data.items() if name != "extensionParams"}
        return read(cls, others, custom=as_mapping(data.get("extensionParams")) or {})


@frozen(kw_only=True, slots=True)
class SearchResult:
    """The dialogs, messages and users that a search found; each message knows the id of its dialog."""

    dialogs: tuple[Dialog, ...] = field(default=())
    messages: tuple[Message, ...] = field(default=())
    users: tuple[User, ...] = field(default=())

    def __repr__(self) -> str:
        dialogs, messages, users = map(len, (self.dialogs, self.messages, self.users))
        return f"<SearchResult: {dialogs} dialogs, {messages} messages, {users} users>"

    @classmethod
    def from_json(cls, data: Mapping[str, Any], me: int | None = None) -> SearchResult:
        """Decode the service's three lists, bare or wrapped in ``{"results": …}``."""
        found = as_mapping(data.get("results")) or data
        return cls(
            dialogs=tuple(Dialog.from_json(entry, me=me) for entry in _objects(found, "dialogs")),
            messages=tuple(_message(entry, me) for entry in _objects(found, "messages")),
            users=tuple(map(User.from_json, _objects(found, "users"))),
        )


def _objects(found: Mapping[str, Any], name: str) -> Iterable[dict[str, Any]]:
    entries = found.get(name)
    return (
        [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )


def _message(data: dict[str, Any], me: int | None) -> Message:
    dialog = DialogRef(id=as_string(data.get("chat_dialog_id")))
    message = Message.from_json(data, dialog=dialog)
    complete([message], dialog, me)
    return message


@frozen(kw_only=True)
class Abandoned:
    """The work that was not finished when a chat connection ended, or its time to end was over; all counts.

    It is true if there is any such work, and ``str()`` names it.
    """

    queued: int = 0
    """Events of the server whose receivers have not run yet, or are to run again."""
    running: int = 0
    """Receivers, and callbacks of messages, that had not returned."""
    unsent: int = 0
    """Messages that have certainly not reached the server: their outcome is *failed*."""
    unacknowledged: int = 0
    """Messages that the server has not acknowledged: their outcome is *unknown*."""
    unsaved: int = 0
    """1 if ``Config.cursor_store`` has not saved the last value: the next process begins earlier."""

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def __str__(self) -> str:
        counts = (
            (self.queued, "queued event"),
            (self.running, "running receiver"),
            (self.unsent, "unsent message"),
            (self.unacknowledged, "unacknowledged message"),
            (self.unsaved, "unsaved cursor"),
        )
        words = [f"{count} {what}{'s' if count > 1 else ''}" for count, what in counts if count]
        return ", ".join(words) or "nothing"
