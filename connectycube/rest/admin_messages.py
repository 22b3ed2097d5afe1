"""The messages of all dialogs, by the Administration API. (Administration API: Chat.)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .._not_copied import NotCopied
from ..models import AdminMessage, Message, Page
from ._admin_api import AdminApi, AdminList
from ._arguments import check_dialog_id
from ._lookups import AdminMessageLookups
from ._paging import PAGE_SIZE
from ._query import QueryField, QuerySchema, check_id_filter, check_time_filter

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = ["ADMIN_MESSAGES", "AdminMessages"]

_LIST = ("chat", "messages", "list")
_BOUNDS = ("lt", "lte", "gt", "gte")


def _check_dialog_filter(name: str, value: object, operator: str) -> str:
    return check_dialog_id(name, value)


ADMIN_MESSAGES = QuerySchema(
    fields={
        "id": QueryField("_id", check_id_filter, _BOUNDS),
        "dialog": QueryField("chat_dialog_id", _check_dialog_filter, ()),
        "created_at": QueryField("created_at", check_time_filter, _BOUNDS),
        "updated_at": QueryField("updated_at", check_time_filter, _BOUNDS),
    },
    sortable=("id", "created_at", "updated_at"),
    most=PAGE_SIZE,
)


class AdminMessages(NotCopied):
    """The messages of all dialogs of the application; every method may be called from any thread.

    Nothing is marked as read. No session is needed. (Administration API: Chat.)

    Example:
        >>> cube.messages.create(group, "Hello").body
        'Hello'
        >>> [message.body for message in cube.admin.messages.iter(dialog=group)]
        ['Hello']
    """

    def __init__(self, api: AdminApi) -> None:
        self._list = AdminList(api, _LIST, ADMIN_MESSAGES, AdminMessage.from_json)

    def list(
        self,
        *,
        limit: int | None = None,
        sort: str | None = None,
        timeout: float | None = None,
        **lookups: Unpack[AdminMessageLookups],
    ) -> Page[AdminMessage]:
        """Return one page of the messages of all dialogs. (Administration API: Messages List.)

        Args:
            limit: The number of messages on the page, at most 100, which is the default.
            sort: "id", "created_at" or "updated_at", with a minus in front for the greatest first.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words: id, created_at and updated_at, each also with __lt, __lte,
                __gt, __gte; and dialog, as a dialog's id, a Dialog or a Message. Times are aware datetimes or
                unix seconds.

        Returns:
            The page; its ``total_entries`` is the number of all messages that match.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; the error
                names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            ApiError: The call failed; a subclass says how.
        """
        return self._list.page(lookups, timeout, limit=limit, sort=sort)

    def iter(
        self,
        *,
        after: str | Message | None = None,
        sort: str = "id",
        page_size: int = PAGE_SIZE,
        timeout: float | None = None,
        **lookups: Unpack[AdminMessageLookups],
    ) -> Iterator[AdminMessage]:
        """Return an iterator over all messages that match, each once, in the order of their ids.

        Pages are requested as they are needed. Each begins behind the last id, so no message is left out or
        repeated because others write and delete at the same time, and ``after`` goes on where an earlier
        iteration has ended, in another process as well. After an error, the next step asks for the page
        again.

        Clients of the chat make the ids of their messages, by their own clocks. So a message that is sent
        later may have a smaller id: ``after`` continues a copy, and ``updated_at__gte`` finds the messages
        that are new or have changed since. (Administration API: Messages List.)

        Args:
            after: A message, usually as its id, to begin behind: that of an earlier iteration.
            sort: "id", or "-id" for the greatest id first.
            page_size: The number of messages on a page, 1 to 100.
            timeout: Seconds for each page; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores: dialog, id, created_at
                and updated_at, the last three also with __lt, __lte, __gt, __gte.

        Returns:
            An iterator over the messages; nothing is sent before its first step.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; raised at
                once.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None; raised at
                once.
            UnexpectedResponseError: The service ignores the order or the bound; raised while iterating.
            ApiError: A call failed; raised while iterating.
        """
        return self._list.items(lookups, timeout, after=after, sort=sort, page_size=page_size)

    def count(self, *, timeout: float | None = None, **lookups: Unpack[AdminMessageLookups]) -> int:
        """Return how many messages of all dialogs match. (Administration API: Messages List.)

        Args:
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores: dialog, id, created_at
                and updated_at, the last three also with __lt, __lte, __gt, __gte.

        Returns:
            The number of messages.

        Raises:
            ArgumentTypeError: A look-up does not exist or has the wrong type; the error names it.
            ArgumentValueError: A look-up has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            ApiError: The call failed; a subclass says how.
        """
        return self._list.count(lookups, timeout)
