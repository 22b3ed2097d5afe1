"""The dialogs of all users, by the Administration API. (Administration API: Chat.)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .._not_copied import NotCopied
from ..errors import NotFoundError
from ..models import AdminDialog, DialogRef, Message, Page, User
from ..models.values import JsonValue
from ._admin_api import AdminApi, AdminList
from ._arguments import check_dialog_id, check_user_id, hints_at_user
from ._lookups import AdminDialogLookups
from ._paging import PAGE_SIZE
from ._query import (
    QueryField,
    QuerySchema,
    check_id_filter,
    check_text_filter,
    check_time_filter,
    check_type_filter,
)
from ._response import read_page, read_record, unexpected
from .dialogs import SomeMessages, SomeUsers, changes_of_dialog

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = ["ADMIN_DIALOGS", "AdminDialogs"]

_LIST = ("chat", "list")
_BOUNDS = ("lt", "lte", "gt", "gte")

ADMIN_DIALOGS = QuerySchema(
    fields={
        "id": QueryField("_id", check_id_filter, _BOUNDS),
        "type": QueryField("type", check_type_filter),
        "name": QueryField("name", check_text_filter),
        "last_message_date_sent": QueryField("last_message_date_sent", check_time_filter),
        "created_at": QueryField("created_at", check_time_filter, _BOUNDS),
        "updated_at": QueryField("updated_at", check_time_filter, _BOUNDS),
    },
    nested=("extensions",),
    sortable=("id", "created_at", "updated_at"),
    most=PAGE_SIZE,
)


class AdminDialogs(NotCopied):
    """The dialogs of all users of the application; every method may be called from any thread.

    A dialog is given as its id, as a Dialog (or DialogRef), or as one of its messages; a user as an id or a
    User. Where a list is expected, one alone will do. No session is needed. (Administration API: Chat.)

    Example:
        >>> cube.admin.dialogs.mute(group, bob_id).silent_ids == (bob_id,)
        True
        >>> cube.admin.dialogs.get(group).name
        'Climbers'
    """

    def __init__(self, api: AdminApi) -> None:
        self._api = api
        self._list = AdminList(api, _LIST, ADMIN_DIALOGS, AdminDialog.from_json)

    @hints_at_user
    def get(
        self, dialog: str | DialogRef | Message, *, timeout: float | None = None
    ) -> AdminDialog:
        """Return a dialog of any users. (Administration API: Dialogs List.)

        Args:
            dialog: The dialog, usually as its id.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialog.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            NotFoundError: The application has no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        dialog_id = check_dialog_id("dialog", dialog)
        # Of the filters by _id these operators are documented.
        lookups = {"id__gte": dialog_id, "id__lte": dialog_id}
        query = ADMIN_DIALOGS.query(lookups, limit=1)
        response = self._api.call("GET", _LIST, query=query, timeout=timeout)
        for found in read_page(response, AdminDialog.from_json):
            if found.id == dialog_id:
                return found
        raise unexpected(response, f"there is no dialog {dialog_id}", NotFoundError)

    def list(
        self,
        *,
        limit: int | None = None,
        skip: int | None = None,
        sort: str | None = None,
        timeout: float | None = None,
        **lookups: Unpack[AdminDialogLookups],
    ) -> Page[AdminDialog]:
        """Return one page of the dialogs of all users. (Administration API: Dialogs List.)

        Args:
            limit: The number of dialogs on the page, at most 100, which is the default.
            skip: The number of dialogs to leave out in front.
            sort: "id", "created_at" or "updated_at", with a minus in front for the greatest first.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words: id, created_at and updated_at, each also with __lt, __lte,
                __gt, __gte; type, name and last_message_date_sent, each also with these and __ne, __in,
                __nin, __all, __contains; and ``extensions={"key": "value"}``. Times are aware datetimes or
                unix seconds.

        Returns:
            The page; its ``total_entries`` is the number of all dialogs that match.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; the error
                names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            ApiError: The call failed; a subclass says how.
        """
        return self._list.page(lookups, timeout, limit=limit, skip=skip, sort=sort)

    def iter(
        self,
        *,
        after: str | DialogRef | None = None,
        sort: str = "id",
        page_size: int = PAGE_SIZE,
        timeout: float | None = None,
        **lookups: Unpack[AdminDialogLookups],
    ) -> Iterator[AdminDialog]:
        """Return an iterator over all dialogs that match, each once, in the order of their ids.

        Pages are requested as they are needed. Each begins behind the last id, so no dialog is left out or
        repeated because others create and delete some at the same time. New dialogs come at the end; with
        "-id" they are not yielded. After an error, the next step asks for the page again. (Administration
        API: Dialogs List.)

        Args:
            after: A dialog, usually as its id, to begin behind: that of an earlier iteration.
            sort: "id", or "-id" for the newest dialog first.
            page_size: The number of dialogs on a page, 1 to 100.
            timeout: Seconds for each page; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores: id, created_at and
                updated_at, also with __lt, __lte, __gt, __gte; type, name, last_message_date_sent and
                extensions.

        Returns:
            An iterator over the dialogs; nothing is sent before its first step.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; raised at
                once.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None; raised at
                once.
            UnexpectedResponseError: The service ignores the order or the bound; raised while iterating.
            ApiError: A call failed; raised while iterating.
        """
        return self._list.items(lookups, timeout, after=after, sort=sort, page_size=page_size)

    def count(self, *, timeout: float | None = None, **lookups: Unpack[AdminDialogLookups]) -> int:
        """Return how many dialogs of all users match. (Administration API: Dialogs List.)

        Args:
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores: id, created_at and
                updated_at, also with __lt, __lte, __gt, __gte; type, name, last_message_date_sent and
                extensions.

        Returns:
            The number of dialogs.

        Raises:
            ArgumentTypeError: A look-up does not exist or has the wrong type; the error names it.
            ArgumentValueError: A look-up has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            ApiError: The call failed; a subclass says how.
        """
        return self._list.count(lookups, timeout)

    @hints_at_user
    def update(
        self,
        dialog: str | DialogRef | Message,
        *,
        name: str | None = None,
        description: str | None = None,
        photo: str | None = None,
        data: Mapping[str, JsonValue] | None = None,
        extensions: Mapping[str, JsonValue] | None = None,
        permissions: Mapping[str, bool] | None = None,
        add_occupants: SomeUsers = (),
        remove_occupants: SomeUsers = (),
        add_admins: SomeUsers = (),
        remove_admins: SomeUsers = (),
        pin: SomeMessages = (),
        unpin: SomeMessages = (),
        timeout: float | None = None,
    ) -> AdminDialog:
        """Change a dialog of any users, without regard to their roles.

        Fields that are not given stay as they are. (Administration API: Dialog Update.)

        Args:
            dialog: The dialog.
            name: The new name.
            description: The new description; "" clears it.
            photo: The uid or URL of the new picture; "" clears it.
            data: Custom data to add or change; None as a value removes its key.
            extensions: New fields that the admin panel allows; ``{}`` clears them.
            permissions: Permissions of the dialog, such as ``{"allow_preview": True}``.
            add_occupants: Users to add.
            remove_occupants: Users to remove.
            add_admins: Users to make admins.
            remove_admins: Users who shall be admins no longer.
            pin: Messages to pin.
            unpin: Messages to unpin.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialog, as it is now.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, there is nothing to change, or
                ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            NotFoundError: There is no such dialog.
            ValidationError: The service refuses a value.
            ApiError: The call failed; a subclass says how.
        """
        body = changes_of_dialog(
            name=name,
            description=description,
            photo=photo,
            data=data,
            extensions=extensions,
            permissions=permissions,
            add_occupants=add_occupants,
            remove_occupants=remove_occupants,
            add_admins=add_admins,
            remove_admins=remove_admins,
            pin=pin,
            unpin=unpin,
        )
        return self._changed(dialog, body, timeout)

    @hints_at_user
    def mute(
        self,
        dialog: str | DialogRef | Message,
        user: int | User,
        *,
        timeout: float | None = None,
    ) -> AdminDialog:
        """Turn a user's push notifications of a dialog off. (Administration API: Dialog Update.)

        Args:
            dialog: The dialog.
            user: The user, as an id or a User.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialog; its ``silent_ids`` are the users without notifications.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            NotFoundError: There is no such dialog or user.
            ApiError: The call failed; a subclass says how.
        """
        body = {"user_id": check_user_id("user", user), "is_muted": True}
        return self._changed(dialog, body, timeout)

    @hints_at_user
    def unmute(
        self,
        dialog: str | DialogRef | Message,
        user: int | User,
        *,
        timeout: float | None = None,
    ) -> AdminDialog:
        """Turn a user's push notifications of a dialog on again. (Administration API: Dialog Update.)

        Args:
            dialog: The dialog.
            user: The user, as an id or a User.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialog; its ``silent_ids`` are the users without notifications.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or ``Config.admin_key`` is None.
            ApiAuthenticationError: The service does not take the key.
            NotFoundError: There is no such dialog or user.
            ApiError: The call failed; a subclass says how.
        """
        body = {"user_id": check_user_id("user", user), "is_muted": False}
        return self._changed(dialog, body, timeout)

    def _changed(
        self,
        dialog: str | DialogRef | Message,
        body: Mapping[str, object],
        timeout: float | None,
    ) -> AdminDialog:
        path = ("chat", check_dialog_id("dialog", dialog))
        response = self._api.call("PUT", path, body=body, timeout=timeout)
        return read_record(response, AdminDialog.from_json)
