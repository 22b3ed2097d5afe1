"""Results of calls that are no single record: pages, deletions, counts, a search, the end of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from attrs import asdict, field, frozen

from .._containers import AnyDict, AnyList
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

    Args:
        items: The items of the page.
        total_entries: The number of items of the whole list; None if the service does not say it.
        skip: The number of items before the page; None if the service does not say it.
        limit: The largest number of items that a page of this request has; None if the service does not say
            it.

    Example:
        >>> page = cube.messages.list(group, limit=10)
        >>> len(page), [message.body for message in page]
        (0, [])
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
    """The outcome of a deletion, for each id that was given.

    Args:
        deleted: The ids that were deleted.
        not_found: The ids that do not exist.
        not_permitted: The ids that this user may not delete.
        extra: Other keys of the service, and values that could not be read.

    Example:
        >>> message = cube.messages.create(group, "soon gone")
        >>> result = cube.messages.delete([message, "5f" * 12])
        >>> len(result.deleted), result.not_found
        (1, ('5f5f5f5f5f5f5f5f5f5f5f5f',))
    """

    deleted: tuple[str, ...] = wire("SuccessfullyDeleted", _ids, default=())
    not_found: tuple[str, ...] = wire("NotFound", _ids, default=())
    not_permitted: tuple[str, ...] = wire("WrongPermissions", _ids, default=())
    extra: Mapping[str, Any] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DeleteResult:
        """Decode the service's response to the deletion of several things.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The result; lists that the service left out are empty.
        """
        return read(cls, data)


@frozen(kw_only=True, slots=True)
class UnreadCount:
    """How many messages this user has not read. (Guide: Unread messages count.)

    Args:
        total: The number of unread messages of all dialogs.
        by_dialog: The number of unread messages of each dialog, by its id.

    Example:
        >>> cube.messages.unread_count([group]).by_dialog.get(group.id, 0)
        0
    """

    total: int = field(default=0)
    by_dialog: Mapping[str, int] = field(factory=AnyDict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UnreadCount:
        """Decode the service's object, which has the total beside the dialogs.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The counts; without a total of the service it is the sum.
        """
        counts = {key: as_int(value) for key, value in data.items() if key != "total"}
        by_dialog = {key: count for key, count in counts.items() if count is not None}
        total = as_int(data.get("total"))
        return cls(total=sum(by_dialog.values()) if total is None else total, by_dialog=by_dialog)


@frozen(kw_only=True, slots=True, repr=False)
class SystemMessage(Serializable):
    """A system message: a signal from program to program, kept in no history. (Guide: System messages.)

    Args:
        id: The id of the message.
        recipient_id: The id of the user who gets it.
        sender_id: The id of the user who sent a received message; None for an announcement of the chat server
            itself.
        body: A text.
        custom: The application's own parameters.
        extra: Other keys of the service, and values that could not be read.

    Example:
        >>> @chat.system_message_received.connect
        ... def reload(chat, message):
        ...     print("reload", message.custom["reload"])
        >>> reload(chat, SystemMessage(custom={"reload": "albums"}))
        reload albums
    """

    id: str | None = wire("messageId", as_string)
    recipient_id: int | None = wire("recipientId", as_int)
    sender_id: int | None = field(default=None)
    body: str | None = field(default=None, repr=False)
    custom: Mapping[str, Any] = field(factory=AnyDict, repr=False)
    extra: Mapping[str, Any] = field(factory=AnyDict, repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SystemMessage:
        """Decode the service's answer to a system message.

        Args:
            data: The service's object, as JSON decodes it.

        Returns:
            The message; an attribute that cannot be read is None or empty.
        """
        others = {name: value for name, value in data.items() if name != "extensionParams"}
        return read(cls, others, custom=as_mapping(data.get("extensionParams")) or {})


@frozen(kw_only=True, slots=True)
class SearchResult:
    """The dialogs, messages and users that a search found. (Guide: Global search.)

    Args:
        dialogs: The dialogs whose names hold the text.
        messages: The messages whose bodies hold the text; each knows the id of its dialog.
        users: The users of these dialogs and messages.

    Example:
        >>> cube.search("nowhere to be found")
        <SearchResult: 0 dialogs, 0 messages, 0 users>
    """

    dialogs: tuple[Dialog, ...] = field(default=())
    messages: tuple[Message, ...] = field(default=())
    users: tuple[User, ...] = field(default=())

    def __repr__(self) -> str:
        dialogs, messages, users = map(len, (self.dialogs, self.messages, self.users))
        return f"<SearchResult: {dialogs} dialogs, {messages} messages, {users} users>"

    @classmethod
    def from_json(cls, data: Mapping[str, Any], me: int | None = None) -> SearchResult:
        """Decode the service's three lists, bare or wrapped in ``{"results": …}``.

        Args:
            data: The service's object, as JSON decodes it.
            me: The id of this user, which tells the peers of private dialogs and the user's own messages;
                None: nothing is known of them.

        Returns:
            The result; lists that the service left out are empty.
        """
        found = as_mapping(data.get("results")) or data
        return cls(
            dialogs=tuple(Dialog.from_json(entry, me=me) for entry in _objects(found, "dialogs")),
            messages=tuple(_message(entry, me) for entry in _objects(found, "messages")),
            users=tuple(map(User.from_json, _objects(found, "users"))),
        )


def _objects(found: Mapping[str, Any], name: str) -> Iterable[dict[str, Any]]:
    entries = found.get(name)
    return (
        [entry for entry in entries if isinstance(entry, AnyDict)]
        if isinstance(entries, AnyList)
        else []
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

    Example:
        >>> abandoned = Abandoned(queued=3, unsent=1)
        >>> if abandoned:
        ...     print("not finished:", abandoned)
        not finished: 3 queued events, 1 unsent message
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
