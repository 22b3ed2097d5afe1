"""Messages: read and count history; create, change, delete messages, and react to them. (Guide: Messages.)"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from attrs import evolve, frozen

from .._checks import check_bool, check_id, check_number, check_str
from .._containers import AnyMapping
from .._not_copied import NotCopied
from .._xml import check_name, check_text
from .._xml import clean as cleaned
from ..errors import ArgumentTypeError, ArgumentValueError, NotFoundError
from ..models import (
    Attachment,
    DeleteResult,
    DialogRef,
    DialogType,
    File,
    Message,
    Page,
    SystemMessage,
    UnreadCount,
    User,
)
from ..models._json import as_int, as_ints, reader_of
from ..models.messages import (
    RESERVED_NAMES,
    as_attachments,
    check_content,
    check_more,
    complete,
)
from ..models.values import CustomValue
from ._api import Api, Query
from ._arguments import (
    check_dialog,
    check_dialog_id,
    check_each,
    check_message_id,
    check_user_id,
    hints_at_user,
    reference_to,
    user_hint,
)
from ._deletion import delete
from ._http import CallDeadline, Response
from ._lookups import MessageLookups
from ._paging import PAGE_SIZE, Items, PageReader, Row, Span, check_page_size
from ._query import (
    Pairs,
    QueryField,
    QuerySchema,
    check_id_filter,
    check_int_filter,
    check_text_filter,
    check_time_filter,
    chunked,
)
from ._response import read_count, read_object, read_page, read_record, unexpected
from .sessions import Sessions

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = ["MESSAGES", "Messages"]

_PATH = ("chat", "Message")

MESSAGES = QuerySchema(
    fields={
        "id": QueryField("_id", check_id_filter),
        "body": QueryField("message", check_text_filter),
        "date_sent": QueryField("date_sent", check_time_filter),
        "sender_id": QueryField("sender_id", check_int_filter),
        "recipient_id": QueryField("recipient_id", check_int_filter),
        "attachments_type": QueryField("attachments.type", check_text_filter),
        "updated_at": QueryField("updated_at", check_time_filter),
    },
    sortable=("date_sent",),
)

_OF_SYSTEM = frozenset({"attachment", "moduleIdentifier", "recipientId"})
_ARGUMENTS = {
    **dict.fromkeys(("save_to_history", "destroy_after"), "chat.send_message(…)"),
    **{
        name: name
        for name in (
            *("attachments", "custom", "send_to_chat", "markable", "silent", "clean", "timeout"),
        )
    },
}
_CLEAN = " (clean=True replaces such characters)"


class Messages(NotCopied):
    """The messages of the session user's dialogs; every method may be called from any thread.

    A dialog is given as its id, as a Dialog (or DialogRef), or as one of its messages; a message as its id
    or a Message. Where a list is expected, one alone will do.

    Example:
        >>> message = cube.messages.create(group, "Hello all")
        >>> [found.body for found in cube.messages.list(group, limit=10)]
        ['Hello all']
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._sessions = Sessions(api)

    @hints_at_user
    def get(
        self,
        dialog: str | DialogRef | Message,
        message: str | Message,
        *,
        timeout: float | None = None,
    ) -> Message:
        """Return one message of a dialog's history; it is not marked as read.

        (Server API: Retrieve messages.)

        Args:
            dialog: The dialog.
            message: The message, usually as its id.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The message.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not read the dialog.
            NotFoundError: There is no such dialog, or no such message in it.
            ApiError: The call failed; a subclass says how.
        """
        message_id = check_message_id("message", message)
        query = _history(dialog, False) + MESSAGES.query({"id": message_id}, limit=1)
        response = self._api.call("GET", _PATH, query=query, timeout=timeout)
        for found in self._read_page(dialog, response):
            return found
        raise unexpected(response, f"the dialog has no message {message_id}", NotFoundError)

    @hints_at_user
    def list(
        self,
        dialog: str | DialogRef | Message,
        *,
        limit: int | None = None,
        skip: int | None = None,
        mark_as_read: bool = True,
        preview: bool = False,
        sort: str | None = None,
        timeout: float | None = None,
        **lookups: Unpack[MessageLookups],
    ) -> Page[Message]:
        """Return one page of a dialog's history, by default the oldest messages first.

        The service marks the returned messages as read, unless ``mark_as_read`` is False.

        (Server API: Retrieve messages.)

        Args:
            dialog: The dialog.
            limit: The number of messages on the page; by default the service takes 100.
            skip: The number of messages to leave out in front.
            mark_as_read: False leaves the messages unread.
            preview: True returns the last 20 messages of a dialog that allows a preview to users who are
                not in it; limit, skip and sort are not for it.
            sort: "date_sent", or "-date_sent" for the newest first.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words: id, body, date_sent, sender_id, recipient_id,
                attachments_type and updated_at, each also with __lt, __lte, __gt, __gte, __ne, __in,
                __nin, __all, __contains. Times are aware datetimes or unix seconds.

        Returns:
            The page.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; the error
                names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not read the dialog.
            NotFoundError: There is no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        query = _history(dialog, mark_as_read)
        query += MESSAGES.query(lookups, limit=limit, skip=skip, sort=sort)
        if check_bool("preview", preview):
            for name, value in (("limit", limit), ("skip", skip), ("sort", sort)):
                if value is not None:
                    raise ArgumentValueError(f"{name} has no effect on a preview")
            query.append(("preview", 1))
        return self._page(dialog, query, timeout)

    def iter(
        self,
        dialog: str | DialogRef | Message,
        *,
        mark_as_read: bool = True,
        sort: str = "date_sent",
        page_size: int = PAGE_SIZE,
        timeout: float | None = None,
        **lookups: Unpack[MessageLookups],
    ) -> Iterator[Message]:
        """Yield all messages that match, each once; pages are requested as they are needed.

        Others may write and delete while pages are read. So each page begins at the ``date_sent`` at which
        the last one ended, and messages that were yielded before are left out by their ids, which are kept
        until the end. Only a message is missed that is stored later, with a date before that of the message
        yielded last. Messages that are sent while pages are read come at the end; with "-date_sent" they are
        not yielded. A page that is larger than the client reads is asked for in halves. After an error, the
        next step asks for the page again. (Server API: Retrieve messages.)

        Args:
            dialog: The dialog.
            mark_as_read: False leaves the messages unread.
            sort: "date_sent", or "-date_sent" for the newest first.
            page_size: The number of messages on a page, 1 to 100.
            timeout: Seconds for each page; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores, such as
                ``date_sent__gt=…``.

        Returns:
            An iterator over the messages; nothing is sent before its first step.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; raised at
                once.
            ArgumentValueError: An argument has a wrong value; raised at once.
            ApiError: A call failed; raised while iterating.
        """
        history = _History(
            api=self._api,
            sessions=self._sessions,
            dialog=reference_to(check_dialog("dialog", dialog)),
            start=_history(dialog, mark_as_read),
            sort=check_str("sort", sort),
            page_size=check_page_size(page_size),
            timeout=timeout,
            lookups=lookups,
        )
        MESSAGES.query(lookups, sort=sort)
        return Items(history.readers())

    @hints_at_user
    def count(
        self,
        dialog: str | DialogRef | Message,
        *,
        timeout: float | None = None,
        **lookups: Unpack[MessageLookups],
    ) -> int:
        """Return how many messages of a dialog match; none is marked as read.

        (Server API: Retrieve messages.)

        Args:
            dialog: The dialog.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores, such as
                ``date_sent__gt=…``.

        Returns:
            The number of messages.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; the error
                names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        query: Pairs = [("chat_dialog_id", check_dialog_id("dialog", dialog))]
        query += [*MESSAGES.query(lookups), ("count", 1), ("mark_as_read", 0)]
        return read_count(self._api.call("GET", _PATH, query=query, timeout=timeout))

    @hints_at_user
    def create(
        self,
        to: str | DialogRef | Message | int | User,
        body: str | Message = "",
        *,
        attachments: Attachment | File | Iterable[Attachment | File] | None = None,
        custom: Mapping[str, CustomValue] | None = None,
        send_to_chat: bool = False,
        markable: bool | None = None,
        silent: bool | None = None,
        clean: bool = False,
        timeout: float | None = None,
        **more: CustomValue,
    ) -> Message:
        """Store a message in a dialog's history and, with ``send_to_chat``, deliver it too.

        (Server API: Create a message.)

        Args:
            to: A dialog (its id, a Dialog, one of its messages), or a user (an id as an int, a User).
                The service creates the private dialog with a user if there is none.
            body: The text, which may be empty if there are attachments. Or a Message, whose body,
                attachments, custom parameters, ``markable`` and ``silent`` are sent; the arguments below
                take precedence.
            attachments: The attachments, or uploaded Files; one or a list of them.
            custom: The application's own parameters. Their names must be XML names; their values are
                strings, numbers, bools, or mappings of them.
            send_to_chat: True delivers the message to the occupants' chat connections.
            markable: Whether the recipients shall report 'delivered' and 'read'; True by default. False is
                sent as 0; it is not proven that the service keeps a 0 in history.
            silent: True suppresses the push notification.
            clean: Whether characters that XML forbids are replaced by U+FFFD in the body; otherwise they are
                an error.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            more: More custom parameters, where no argument has the same name or a similar one.

        Returns:
            The message, as the service stored it.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not write to the dialog.
            NotFoundError: There is no such dialog or user.
            ApiError: The call failed; a subclass says how.
        """
        check_more("messages.create", more, _ARGUMENTS)
        key, target, place = _target(to)
        message = (
            Message(body=check_str("body", body, empty=True)) if isinstance(body, str) else body
        )
        message = _storable(message)
        content: dict[str, object] = {key: target, **_body(message.body, clean)}
        given = message.attachments if attachments is None else attachments
        files = as_attachments("attachments", given)
        if not message.body and not files:
            raise ArgumentValueError("body must not be empty in a message without attachments")
        if files:
            content["attachments"] = {
                str(position): file.to_json(f"attachments[{position}]")
                for position, file in enumerate(files)
            }
        if check_bool("send_to_chat", send_to_chat):
            content["send_to_chat"] = 1
        is_markable = check_bool("markable", message.markable if markable is None else markable)
        content["markable"] = int(is_markable)
        if check_bool("silent", message.silent if silent is None else silent):
            content["silent"] = 1
        content |= _parameters("custom", message.custom, RESERVED_NAMES)
        content |= _parameters("custom", {} if custom is None else custom, RESERVED_NAMES)
        content |= _parameters("custom", more, RESERVED_NAMES)
        response = self._api.call("POST", _PATH, body=content, timeout=timeout)
        made = read_record(response, partial(Message.from_json, own=True))
        known = evolve(place, id=place.id or made.dialog_id)
        made = evolve(made, dialog=known)
        complete([made], known, made.sender_id)
        return made

    def create_system(
        self,
        user: int | User,
        custom: Mapping[str, CustomValue],
        body: str | None = None,
        *,
        timeout: float | None = None,
    ) -> SystemMessage:
        """Send a system message: a signal to a user's program, kept in no history.

        (Server API: Send system message.)

        Args:
            user: The recipient, as an id or a User.
            custom: The application's own parameters: strings, numbers, bools, or mappings of them under XML
                names.
            body: A text. The service sends it as one more parameter, which is named "body".
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The message, as the service sent it.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such user.
            ApiError: The call failed; a subclass says how.
        """
        content: dict[str, object] = {"recipientId": check_user_id("user", user)}
        content |= _parameters("custom", custom, _OF_SYSTEM)
        if body is not None:
            if "body" in content:
                raise ArgumentValueError("body is given, and custom has the key 'body' too")
            content["body"] = check_text("body", check_str("body", body))
        response = self._api.call("POST", (*_PATH, "system"), body=content, timeout=timeout)
        return read_record(response, SystemMessage.from_json)

    # --- changing -------------------------------------------------------------------------------

    @hints_at_user
    def update(
        self,
        dialog: str | DialogRef | Message,
        messages: str | Message | Iterable[str | Message],
        *,
        body: str | None = None,
        read: bool = False,
        delivered: bool = False,
        clean: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Change the body of messages of a dialog, or mark them as read or delivered.

        Nothing can be marked as unread again. More than 50 messages are updated in several calls.

        (Server API: Update message.)

        Args:
            dialog: The dialog.
            messages: One message or a list of them.
            body: The new text.
            read: True marks the messages as read by this user.
            delivered: True marks the messages as delivered to this user.
            clean: Whether characters that XML forbids are replaced by U+FFFD in the body; otherwise they are
                an error.
            timeout: Seconds for all calls together; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or there is nothing to change.
            PermissionDeniedError: The user may not do that.
            NotFoundError: There is no such dialog or message.
            ApiError: The call failed; a subclass says how.
        """
        change: dict[str, object] = {"chat_dialog_id": check_dialog_id("dialog", dialog)}
        ids = check_each("messages", messages, check_message_id, empty=False)
        if body is not None:
            change |= _body(check_str("body", body), clean)
        if check_bool("read", read):
            change["read"] = 1
        if check_bool("delivered", delivered):
            change["delivered"] = 1
        if len(change) == 1:
            raise ArgumentValueError("there is nothing to change: give body, read or delivered")
        deadline = self._api.deadline(timeout)
        for piece in chunked(ids):
            path = (*_PATH, ",".join(piece))
            self._api.call("PUT", path, body=change, timeout=deadline)

    @hints_at_user
    def mark_all_read(
        self, dialog: str | DialogRef | Message, *, timeout: float | None = None
    ) -> None:
        """Mark all messages of a dialog as read by this user. (Server API: Update message.)

        Args:
            dialog: The dialog.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not do that.
            NotFoundError: There is no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        body = {"chat_dialog_id": check_dialog_id("dialog", dialog), "read": 1}
        self._api.call("PUT", _PATH, body=body, timeout=timeout)

    @hints_at_user
    def mark_all_delivered(
        self, dialog: str | DialogRef | Message, *, timeout: float | None = None
    ) -> None:
        """Mark all messages of a dialog as delivered to this user. (Server API: Update message.)

        Args:
            dialog: The dialog.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not do that.
            NotFoundError: There is no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        body = {"chat_dialog_id": check_dialog_id("dialog", dialog), "delivered": 1}
        self._api.call("PUT", _PATH, body=body, timeout=timeout)

    def delete(
        self,
        messages: str | Message | Iterable[str | Message],
        *,
        force: bool = False,
        timeout: float | None = None,
    ) -> DeleteResult:
        """Delete messages for this user or, with ``force``, for everybody. (Server API: Delete message.)

        More than 50 messages are deleted in several calls; if one of them raises, the calls before it have
        taken effect.

        Args:
            messages: One message or a list of them.
            force: True deletes for everybody.
            timeout: Seconds for all calls together; by default those of ``Config.timeouts``.

        Returns:
            The outcome for each message of a list.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: One message is given alone, and the user may not delete it.
            NotFoundError: One message is given alone, and it does not exist.
            ApiError: The call failed; a subclass says how.
        """
        ids = check_each("messages", messages, check_message_id, empty=False)
        alone = isinstance(messages, (str, Message))
        return delete(self._api, _PATH, ids, alone=alone, force=force, timeout=timeout)

    # --- unread ---------------------------------------------------------------------------------

    def unread_count(
        self,
        dialog_ids: str | DialogRef | Message | Iterable[str | DialogRef | Message] | None = None,
        *,
        timeout: float | None = None,
    ) -> UnreadCount:
        """Return how many messages this user has not read. (Server API: Retrieve unread messages count.)

        Only messages of group and private dialogs count.

        Args:
            dialog_ids: One dialog or a list of them, as ids or dialogs; None for the total of all.
            timeout: Seconds for all calls together; by default those of ``Config.timeouts``.

        Returns:
            The total, and the number for each dialog that was asked for.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_PATH, "unread")
        if dialog_ids is None:
            response = self._api.call("GET", path, timeout=timeout)
            return _unread(response)
        deadline = self._api.deadline(timeout)
        counts: list[UnreadCount] = []
        for piece in chunked(check_each("dialog_ids", dialog_ids, check_dialog_id, empty=False)):
            query = [("chat_dialog_ids", ",".join(piece))]
            response = self._api.call("GET", path, query=query, timeout=deadline)
            counts.append(_unread(response))
        return UnreadCount(
            total=sum(count.total for count in counts),
            by_dialog={name: n for count in counts for name, n in count.by_dialog.items()},
        )

    # --- reactions ------------------------------------------------------------------------------

    def add_reaction(
        self,
        message: str | Message,
        reaction: str,
        *,
        remove: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Add this user's reaction to a message. (Server API: Add/Remove reactions.)

        Args:
            message: The message.
            reaction: Any text, usually one emoji.
            remove: Another reaction of this user, to remove in the same call.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not do that.
            NotFoundError: There is no such message.
            ApiError: The call failed; a subclass says how.
        """
        body = {"add": check_text("reaction", check_str("reaction", reaction))}
        if remove is not None:
            body["remove"] = check_text("remove", check_str("remove", remove))
        self._react(message, body, timeout)

    def remove_reaction(
        self, message: str | Message, reaction: str, *, timeout: float | None = None
    ) -> None:
        """Remove this user's reaction to a message. (Server API: Add/Remove reactions.)

        Args:
            message: The message.
            reaction: The reaction.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not do that.
            NotFoundError: There is no such message.
            ApiError: The call failed; a subclass says how.
        """
        body = {"remove": check_text("reaction", check_str("reaction", reaction))}
        self._react(message, body, timeout)

    def reactions(
        self, message: str | Message, *, timeout: float | None = None
    ) -> dict[str, tuple[int, ...]]:
        """Return the reactions to a message, each with the ids of its users. (Server API: List reactions.)

        Args:
            message: The message.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            By the reaction, the ids of its users.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not do that.
            NotFoundError: There is no such message.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_PATH, check_message_id("message", message), "reactions")
        response = self._api.call("GET", path, timeout=timeout)
        users = {reaction: as_ints(ids) for reaction, ids in read_object(response).items()}
        return {reaction: ids for reaction, ids in users.items() if ids is not None}

    def _react(self, message: str | Message, body: dict[str, str], timeout: float | None) -> None:
        path = (*_PATH, check_message_id("message", message), "reactions")
        self._api.call("PUT", path, body=body, timeout=timeout)

    # --- history for the chat -------------------------------------------------------------------

    def stored_ids(
        self, dialog_id: str, ids: Collection[str], *, timeout: float | None = None
    ) -> set[str]:
        """Return which of some message ids a dialog's history holds; nothing is marked as read.

        (Server API: Retrieve messages.)

        Args:
            dialog_id: The id of the dialog.
            ids: The ids of the messages.
            timeout: Seconds for all calls together; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        wanted = sorted({check_id("ids", message_id) for message_id in ids})
        check_id("dialog_id", dialog_id)
        deadline = self._api.deadline(timeout)
        found: set[str] = set()
        for piece in chunked(wanted):
            found |= self._stored(dialog_id, piece, deadline)
        return found

    def changed(self, dialog: DialogRef, since: datetime) -> Iterator[Sequence[Message]]:
        """Return an iterator of pages of a dialog's messages that were created or changed since a moment.

        The moment is by the service's clock. The messages are sorted by ``date_sent``, and none is marked as
        read. Pages are requested as they are needed. (Server API: Retrieve messages.)

        Args:
            dialog: The dialog.
            since: The moment, an aware datetime.

        Returns:
            Pages of messages. After an error, the next step asks for the page again.

        Raises:
            ApiError: A call failed; raised while iterating.
        """
        history = _History(
            api=self._api,
            sessions=self._sessions,
            dialog=dialog,
            start=_history(dialog, False),
            lookups={"updated_at__gte": since},
        )
        return history.reader()

    def _page(self, dialog: object, query: Query, timeout: float | None) -> Page[Message]:
        response = self._api.call("GET", _PATH, query=query, timeout=timeout)
        return self._read_page(dialog, response)

    def _read_page(self, dialog: object, response: Response) -> Page[Message]:
        place, me = reference_to(check_dialog("dialog", dialog)), self._sessions.user_id()
        page = read_page(response, partial(_read, dialog=place))
        complete(page, place, me)
        return page

    def _stored(self, dialog_id: str, ids: Collection[str], deadline: CallDeadline) -> set[str]:
        query: Pairs = [
            ("chat_dialog_id", dialog_id),
            ("_id[in]", ",".join(ids)),
            ("limit", len(ids)),
            ("mark_as_read", 0),
        ]
        response = self._api.call("GET", _PATH, query=query, timeout=deadline)
        return {
            message.id for message in read_page(response, Message.from_json) if message.id
        } & set(ids)


@frozen(kw_only=True)
class _History:
    """The messages of a dialog that match, as one list; ``start`` begins each query."""

    api: Api
    sessions: Sessions
    dialog: DialogRef
    start: Pairs
    lookups: Mapping[str, object]
    sort: str = "date_sent"
    page_size: int = PAGE_SIZE
    timeout: float | None = None

    def readers(self) -> Iterator[PageReader[Message]]:
        """Make the reader of the list and, if they may be missing in it, of the messages without a date."""
        messages = self.reader()
        yield messages
        if self.sort.startswith("-") and messages.requests > 1:
            # They are behind all dates, and where a page begins at a date they are left out. Sorted in
            # ascending order they come first.
            url = self.api.url(_PATH)
            yield PageReader(self._fetch_undated, self.page_size, url=url, known=messages.known)

    def reader(self) -> PageReader[Message]:
        windows: Literal["asc", "desc"] = "desc" if self.sort.startswith("-") else "asc"
        url = self.api.url(_PATH)
        return PageReader(self._fetch, self.page_size, url=url, windows=windows)

    def _fetch(self, span: Span) -> Page[Row[Message]]:
        return self._page(span, self.sort)

    def _fetch_undated(self, span: Span) -> Page[Row[Message]]:
        page = self._page(span, "date_sent")
        rows = itertools.takewhile(lambda row: row[2].date_sent is None, page)
        return evolve(page, items=tuple(rows), limit=span.limit)

    def _page(self, span: Span, sort: str) -> Page[Row[Message]]:
        bound = "lte" if sort.startswith("-") else "gte"
        lookups: Mapping[str, object] = self.lookups
        window: Pairs = []
        if span.start is not None and "date_sent" not in lookups:
            # The date as the service wrote it: seconds for the one message, milliseconds for the next.
            lookups = {
                name: value for name, value in lookups.items() if name != f"date_sent__{bound}"
            }
            window = [(f"date_sent[{bound}]", span.start)]
        query = MESSAGES.query(lookups, limit=span.limit, skip=span.position or None, sort=sort)
        query = [*self.start, *window, *query]
        with user_hint("dialog", self.dialog):
            response = self.api.call("GET", _PATH, query=query, timeout=self.timeout)
        rows = read_page(response, self._row)
        complete((message for _, _, message in rows), self.dialog, self.sessions.user_id())
        return rows

    def _row(self, data: dict[str, object]) -> Row[Message]:
        message = _read(data, dialog=self.dialog)
        return message.id, as_int(data.get("date_sent")), message


_read = reader_of(Message, "custom")


def _unread(response: Response) -> UnreadCount:
    count = UnreadCount.from_json(read_object(response))
    if not count.by_dialog and as_int(read_object(response).get("total")) is None:
        raise unexpected(response, "a count was expected")
    return count


def _history(dialog: object, mark_as_read: object) -> Pairs:
    query: Pairs = [("chat_dialog_id", check_dialog_id("dialog", dialog))]
    if not check_bool("mark_as_read", mark_as_read):
        query.append(("mark_as_read", 0))
    return query


def _target(to: object) -> tuple[str, str | int, DialogRef]:
    """Return the service's name for the target of a message, its id, and the dialog as far as it is known."""
    if isinstance(to, User) or (isinstance(to, int) and not isinstance(to, bool)):
        user_id = check_user_id("to", to)
        return "recipient_id", user_id, DialogRef.private(user_id)
    if not isinstance(to, (str, DialogRef, Message)):
        raise ArgumentTypeError(
            "to must be a dialog (its id, a Dialog, a Message) or a user (an int, a User),"
            f" not {type(to).__name__}"
        )
    dialog = reference_to(check_dialog("to", to))
    if dialog.id is None and dialog.type is DialogType.PRIVATE and dialog.peer_id is not None:
        return "recipient_id", dialog.peer_id, dialog
    return "chat_dialog_id", check_dialog_id("to", to), dialog


def _storable(value: object) -> Message:
    """Return a message whose content a call over REST can store."""
    message = check_content("body", value)
    if message.destroy_after is not None or not message.save_to_history:
        unfit = "save_to_history" if message.destroy_after is None else "destroy_after"
        raise ArgumentValueError(
            f"body.{unfit} has no effect over REST, which stores every message: use cube.chat"
        )
    if message.dialog is None and (message.id is not None or message.date_sent is not None):
        wrong = "id" if message.id is not None else "date_sent"
        raise ArgumentValueError(
            f"body.{wrong} has no effect over REST, where it is for the service to say"
        )
    return message


def _body(body: object, clean: object) -> dict[str, str]:
    """Return the service's field for a text that is delivered as XML; none for an empty one."""
    text = check_str("body", "" if body is None else body, empty=True)
    if check_bool("clean", clean):
        text = cleaned(text)
    return {"message": check_text("body", text, remedy=_CLEAN)} if text else {}


def _parameters(name: str, values: object, reserved: Collection[str] = ()) -> dict[str, object]:
    """Return custom parameters, which the service makes elements of, as JSON."""
    if not isinstance(values, AnyMapping):
        raise ArgumentTypeError(f"{name} must be a mapping, not {type(values).__name__}")
    return {
        _parameter_name(name, key, reserved): _parameter(f"{name}[{key!r}]", value)
        for key, value in values.items()
    }


def _parameter_name(name: str, key: object, reserved: Collection[str]) -> str:
    if check_name(name, key) in reserved:
        raise ArgumentValueError(f"{name} must not have the key {key!r}: it is reserved")
    return str(key)


def _parameter(name: str, value: object) -> object:
    if isinstance(value, AnyMapping):
        return _parameters(name, value)
    if isinstance(value, str):
        return check_text(name, check_str(name, value, empty=True))
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        check_number(name, value)
        return value
    raise ArgumentTypeError(
        f"{name} must be a string, a number, a bool or a mapping, not {type(value).__name__}"
    )
