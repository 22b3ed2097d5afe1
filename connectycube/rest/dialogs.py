"""Dialogs: create, list, change and delete them; occupants, admins, notifications. (Guide: Dialogs.)"""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

from attrs import evolve

from .._checks import check_bool, check_json_object, check_str
from .._containers import AnyDict
from .._not_copied import NotCopied
from ..errors import ArgumentTypeError, ArgumentValueError, NotFoundError
from ..models import DeleteResult, Dialog, DialogRef, DialogType, Message, Page, User
from ..models._json import as_bool, as_int
from ..models.values import JsonValue
from ._api import Api
from ._arguments import (
    check_dialog,
    check_dialog_id,
    check_each,
    check_message_id,
    check_user_id,
    hints_at_user,
    reference_to,
)
from ._deletion import delete
from ._lookups import DialogLookups
from ._paging import PAGE_SIZE, Items, PageReader, Row, Span, check_page_size, rows_of
from ._query import (
    QueryField,
    QuerySchema,
    check_id_filter,
    check_text_filter,
    check_time_filter,
    check_type_filter,
)
from ._response import read_count, read_object, read_page, read_record, unexpected
from .sessions import Sessions

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = ["DIALOGS", "Dialogs", "SomeMessages", "SomeUsers", "changes_of_dialog"]

_PATH = ("chat", "Dialog")

DIALOGS = QuerySchema(
    fields={
        "id": QueryField("_id", check_id_filter),
        "type": QueryField("type", check_type_filter),
        "name": QueryField("name", check_text_filter),
        "last_message_date_sent": QueryField("last_message_date_sent", check_time_filter),
        "created_at": QueryField("created_at", check_time_filter),
        "updated_at": QueryField("updated_at", check_time_filter),
    },
    nested=("extensions",),
    sortable=("last_message_date_sent", "created_at", "updated_at"),
)

_SENT_SINCE = ("last_message_date_sent__gte", "last_message_date_sent__gt")
_WRONG_CLOCKS = 86_400.0  # seconds: a sender's clock in a wrong time zone is off by less than a day

SomeUsers = int | User | Iterable[int | User]
SomeMessages = str | Message | Iterable[str | Message]


class Dialogs(NotCopied):
    """The dialogs of the session's user; every method may be called from any thread.

    A dialog is given as its id, as a Dialog (or DialogRef), or as one of its messages; a user as an id or a
    User. Where a list is expected, one alone will do.

    Example:
        >>> hikers = cube.dialogs.create_group("Hikers", [bob_id])
        >>> [dialog.name for dialog in cube.dialogs.list(name="Hikers")]
        ['Hikers']
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._sessions = Sessions(api)

    # --- making ---------------------------------------------------------------------------------

    def create_private(self, user: int | User, *, timeout: float | None = None) -> Dialog:
        """Return the private dialog with a user; the service creates it if there is none.

        (Server API: Create a dialog.)

        Args:
            user: The other user, as an id or a User.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialog.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ValidationError: The service refuses the user.
            ApiError: The call failed; a subclass says how.
        """
        peer = check_user_id("user", user)
        body: dict[str, object] = {"type": int(DialogType.PRIVATE), "occupants_ids": [peer]}
        return evolve(self._changed("POST", _PATH, body, timeout), peer_id=peer)

    def create_group(
        self,
        name: str,
        occupants: SomeUsers,
        *,
        description: str | None = None,
        photo: str | None = None,
        data: Mapping[str, JsonValue] | None = None,
        admins: SomeUsers = (),
        extensions: Mapping[str, JsonValue] | None = None,
        permissions: Mapping[str, bool] | None = None,
        timeout: float | None = None,
    ) -> Dialog:
        """Create a group dialog; the session's user owns it and is always in it.

        (Server API: Create a dialog.)

        Args:
            name: The name.
            occupants: The other users, as ids or Users.
            description: Free text.
            photo: The uid or URL of a picture.
            data: Custom data, with its ``class_name``.
            admins: Users who may change the dialog, at most five.
            extensions: Fields that the admin panel allows. The service makes texts of their values, and
                leaves out other fields.
            permissions: The permissions of the dialog, such as ``{"allow_preview": True}``.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialog.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ValidationError: The service refuses a value.
            ApiError: The call failed; a subclass says how.
        """
        users = check_each("occupants", occupants, check_user_id, empty=False)
        body: dict[str, object] = {"type": int(DialogType.GROUP), "occupants_ids": users}
        body |= _made_of(name, description, photo, data, extensions, permissions)
        return self._created(body, admins, timeout)

    def create_public(
        self,
        name: str,
        *,
        description: str | None = None,
        photo: str | None = None,
        data: Mapping[str, JsonValue] | None = None,
        admins: SomeUsers = (),
        extensions: Mapping[str, JsonValue] | None = None,
        permissions: Mapping[str, bool] | None = None,
        timeout: float | None = None,
    ) -> Dialog:
        """Create a public dialog, which any user of the application can subscribe to.

        (Server API: Create a dialog.)

        Args:
            name: The name.
            description: Free text.
            photo: The uid or URL of a picture.
            data: Custom data, with its ``class_name``.
            admins: Users who may change the dialog, at most five.
            extensions: Fields that the admin panel allows. The service makes texts of their values, and
                leaves out other fields.
            permissions: The permissions of the dialog, such as ``{"allow_preview": True}``.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialog; nobody but its owner is in it yet.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ValidationError: The service refuses a value.
            ApiError: The call failed; a subclass says how.
        """
        body: dict[str, object] = {"type": int(DialogType.PUBLIC)}
        body |= _made_of(name, description, photo, data, extensions, permissions)
        return self._created(body, admins, timeout)

    def create_broadcast(self, *_arguments: object, **_more: object) -> NoReturn:
        """Refuse: a broadcast dialog can be created only in the admin panel.

        (Guide: Create broadcast dialog.)

        Raises:
            ArgumentValueError: Always.
        """
        raise ArgumentValueError(
            "a broadcast dialog cannot be made here: it is made in the application's admin panel"
        )

    # --- listing --------------------------------------------------------------------------------

    @hints_at_user
    def get(self, dialog: str | DialogRef | Message, *, timeout: float | None = None) -> Dialog:
        """Return one of the user's dialogs. (Server API: Retrieve chat dialogs.)

        Args:
            dialog: The dialog, usually as its id.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialog.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: The user has no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        dialog_id = check_dialog_id("dialog", dialog)
        query = DIALOGS.query({"id": dialog_id}, limit=1)
        response = self._api.call("GET", _PATH, query=query, timeout=timeout)
        for found in read_page(response, self._read):
            return found
        raise unexpected(response, f"this user has no dialog {dialog_id}", NotFoundError)

    def list(
        self,
        *,
        limit: int | None = None,
        skip: int | None = None,
        sort: str | None = None,
        timeout: float | None = None,
        **lookups: Unpack[DialogLookups],
    ) -> Page[Dialog]:
        """Return one page of the user's dialogs. (Server API: Retrieve chat dialogs.)

        Args:
            limit: The number of dialogs on the page; by default the service takes 100.
            skip: The number of dialogs to leave out in front.
            sort: "last_message_date_sent", "created_at" or "updated_at", with a minus in front for the
                newest first.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words: id, type, name, last_message_date_sent, created_at,
                updated_at, each also with __lt, __lte, __gt, __gte, __ne, __in, __nin, __all, __contains;
                and ``extensions={"key": "value"}``, whose keys take these words too. Times are aware
                datetimes or unix seconds.

        Returns:
            The page.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; the error
                names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        query = DIALOGS.query(lookups, limit=limit, skip=skip, sort=sort)
        return read_page(self._api.call("GET", _PATH, query=query, timeout=timeout), self._read)

    def iter(
        self,
        *,
        sort: str = "-last_message_date_sent",
        page_size: int = PAGE_SIZE,
        timeout: float | None = None,
        **lookups: Unpack[DialogLookups],
    ) -> Iterator[Dialog]:
        """Yield all dialogs that match, each once; pages are requested as they are needed.

        Others may write while pages are read. Pages overlap, so no dialog is left out because others were
        created, deleted or moved in front of it. At the end the dialogs that had a message since the
        beginning are asked for once more, as they may have moved past the page that was read. After an error,
        the next step asks for the page again. (Server API: Retrieve chat dialogs.)

        Args:
            sort: "-last_message_date_sent" for the newest first, or "last_message_date_sent".
            page_size: The number of dialogs on a page, 1 to 100.
            timeout: Seconds for each page; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores, such as
                ``name__in=[…]``.

        Returns:
            An iterator over the dialogs; nothing is sent before its first step.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; raised at
                once.
            ArgumentValueError: An argument has a wrong value; raised at once.
            ApiError: A call failed; raised while iterating.
        """
        check_page_size(page_size)
        DIALOGS.query(lookups, sort=check_str("sort", sort))
        return Items(self._readers(lookups, sort, page_size, timeout))

    def _readers(
        self, lookups: Mapping[str, object], sort: str, page_size: int, timeout: float | None
    ) -> Iterator[PageReader[Dialog]]:
        """Make the reader of the list and, after more than one request, of the dialogs that have moved."""
        began = time.monotonic()
        dialogs = self._reader(lookups, sort, page_size, timeout)
        yield dialogs
        if dialogs.requests == 1:
            return
        # A new message moves a dialog to the newest ones. Sorted in ascending order, that is behind
        # everything that is still to be read.
        now = self._api.service_time()
        moved = dict(lookups)
        bound = next((name for name in _SENT_SINCE if name not in lookups), None)
        if now is not None and bound is not None:
            moved[bound] = max(0, now - (time.monotonic() - began) - _WRONG_CLOCKS)
        yield self._reader(moved, "last_message_date_sent", page_size, timeout, dialogs.known)

    def _reader(
        self,
        lookups: Mapping[str, object],
        sort: str,
        page_size: int,
        timeout: float | None,
        known: Iterable[Hashable] = (),
    ) -> PageReader[Dialog]:
        def fetch(span: Span) -> Page[Row[Dialog]]:
            skip = span.position or None
            query = DIALOGS.query(lookups, limit=span.limit, skip=skip, sort=sort)
            return read_page(self._api.call("GET", _PATH, query=query, timeout=timeout), self._row)

        return PageReader(fetch, page_size, url=self._api.url(_PATH), known=known)

    def _row(self, data: dict[str, object]) -> Row[Dialog]:
        dialog = self._read(data)
        return dialog.id, as_int(data.get("last_message_date_sent")), dialog

    def changed(self, since: datetime) -> Iterator[DialogRef]:
        """Return an iterator of the dialogs that have a newer message, or have changed, since a moment.

        Each comes once. ``last_message_date_sent`` is by the senders' clocks, which may be wrong;
        ``updated_at`` is by the service's. Both are asked for, because the documentation does not say that a
        message changes ``updated_at``. After an error, the next step asks for the page again.

        Args:
            since: The moment, an aware datetime.

        Returns:
            References to the dialogs.

        Raises:
            ApiError: A call failed; raised while iterating.
        """
        # Ascending: a dialog with a new message then moves behind what is still to be read.
        sort = "last_message_date_sent"
        seen: set[str | None] = set()

        def with_messages(page: tuple[Dialog, ...]) -> tuple[DialogRef, ...]:
            # The service compares numbers: a date in milliseconds is beyond all dates in seconds.
            recent = [dialog for dialog in page if _was_sent_since(dialog, since)]
            seen.update(dialog.id for dialog in recent)
            return tuple(map(reference_to, recent))

        def others(page: tuple[Dialog, ...]) -> tuple[DialogRef, ...]:
            return tuple(reference_to(dialog) for dialog in page if dialog.id not in seen)

        sent = self._reader({_SENT_SINCE[0]: since}, sort, PAGE_SIZE, None)
        updated = self._reader({"updated_at__gte": since}, sort, PAGE_SIZE, None)
        return Items([map(with_messages, sent), map(others, updated)])

    def count(self, *, timeout: float | None = None, **lookups: Unpack[DialogLookups]) -> int:
        """Return how many dialogs match. (Server API: Retrieve chat dialogs.)

        Args:
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores, such as
                ``name__in=[…]``.

        Returns:
            The number of dialogs.

        Raises:
            ArgumentTypeError: A look-up does not exist or has the wrong type; the error names it.
            ArgumentValueError: A look-up has a wrong value; the error names it.
            ApiError: The call failed; a subclass says how.
        """
        query = [*DIALOGS.query(lookups), ("count", 1)]
        return read_count(self._api.call("GET", _PATH, query=query, timeout=timeout))

    # --- changing -------------------------------------------------------------------------------

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
    ) -> Dialog:
        """Change a dialog; fields that are not given stay as they are. (Server API: Update a dialog.)

        The service decides by the user's role which changes are allowed: for instance, only the owner and
        admins remove occupants and pin messages.

        Args:
            dialog: The dialog.
            name: The new name.
            description: The new description; "" clears it.
            photo: The uid or URL of the new picture; "" clears it.
            data: Custom data to add or change; None as a value removes its key.
            extensions: New fields that the admin panel allows; ``{}`` clears them.
            permissions: The permissions of the dialog, such as ``{"allow_preview": True}``.
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
            ArgumentValueError: An argument has a wrong value, or there is nothing to change.
            PermissionDeniedError: The user may not do that.
            NotFoundError: There is no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        dialog_id = check_dialog_id("dialog", dialog)
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
        return self._changed("PUT", (*_PATH, dialog_id), body, timeout)

    @hints_at_user
    def update_admins(
        self,
        dialog: str | DialogRef | Message,
        *,
        add: SomeUsers = (),
        remove: SomeUsers = (),
        timeout: float | None = None,
    ) -> Dialog:
        """Add and remove admins of a group, public or broadcast dialog; only its owner may do that.

        (Server API: Add / Remove admins.)

        Args:
            dialog: The dialog, which may not be private.
            add: Users to make admins; a dialog has at most five.
            remove: Users who shall be admins no longer.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialog, as it is now.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: The dialog is private, or there is nothing to change.
            PermissionDeniedError: The user is not the owner.
            NotFoundError: There is no such dialog.
            ValidationError: The service refuses a user.
            ApiError: The call failed; a subclass says how.
        """
        dialog_id = check_dialog_id("dialog", dialog)
        if check_dialog("dialog", dialog).type is DialogType.PRIVATE:
            raise ArgumentValueError("dialog is private, and has no admins")
        body = _pushed_and_pulled({"admins_ids": _sides("", check_user_id, add=add, remove=remove)})
        if not body:
            raise ArgumentValueError("there is nothing to change: give add or remove")
        return self._changed("PUT", (*_PATH, dialog_id, "admins"), body, timeout)

    @hints_at_user
    def delete(
        self,
        dialogs: str | DialogRef | Iterable[str | DialogRef],
        *,
        force: bool = False,
        timeout: float | None = None,
    ) -> DeleteResult:
        """Delete dialogs for this user or, with ``force``, for everybody. (Server API: Delete dialog.)

        More than 50 dialogs are deleted in several calls; if one of them raises, the calls before it have
        taken effect.

        Args:
            dialogs: One dialog or a list of them.
            force: True deletes for everybody; only the owner may do that.
            timeout: Seconds for all calls together; by default those of ``Config.timeouts``.

        Returns:
            The outcome for each dialog of a list.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: One dialog is given alone, and the user may not delete it.
            NotFoundError: One dialog is given alone, and it does not exist.
            ApiError: The call failed; a subclass says how.
        """
        ids = check_each("dialogs", dialogs, _own_id, empty=False)
        alone = isinstance(dialogs, (str, DialogRef))
        return delete(self._api, _PATH, ids, alone=alone, force=force, timeout=timeout)

    @hints_at_user
    def clear_history(
        self,
        dialog: str | DialogRef | Message,
        *,
        force: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Delete all messages of a dialog for this user or, with ``force``, for everybody.

        (Server API: Clear dialog history.)

        Args:
            dialog: The dialog.
            force: True deletes for everybody; only the owner may do that.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not do that.
            NotFoundError: There is no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_PATH, "clearHistory", check_dialog_id("dialog", dialog))
        query = [("force", 1)] if check_bool("force", force) else []
        self._api.call("DELETE", path, query=query, timeout=timeout)

    # --- occupants ------------------------------------------------------------------------------

    @hints_at_user
    def subscribe(
        self, dialog: str | DialogRef | Message, *, timeout: float | None = None
    ) -> Dialog:
        """Become an occupant of a public dialog. (Server API: Subscribe to public dialog.)

        Args:
            dialog: The dialog.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The dialog, as it is now.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not do that.
            NotFoundError: There is no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_PATH, check_dialog_id("dialog", dialog), "subscribe")
        return self._changed("POST", path, None, timeout)

    @hints_at_user
    def unsubscribe(
        self, dialog: str | DialogRef | Message, *, timeout: float | None = None
    ) -> None:
        """Stop being an occupant of a public dialog. (Server API: Unsubscribe from public dialog.)

        Args:
            dialog: The dialog.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_PATH, check_dialog_id("dialog", dialog), "subscribe")
        self._api.call("DELETE", path, timeout=timeout)

    @hints_at_user
    def occupants(
        self,
        dialog: str | DialogRef | Message,
        *,
        limit: int | None = None,
        skip: int | None = None,
        timeout: float | None = None,
    ) -> Page[User]:
        """Return one page of a dialog's occupants. (Server API: Retrieve public dialog occupants.)

        Public dialogs need this call, because they do not list the ids of their occupants.

        Args:
            dialog: The dialog.
            limit: The number of users on the page; by default the service takes 100.
            skip: The number of users to leave out in front.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The users, as one page.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            PermissionDeniedError: The user may not do that.
            NotFoundError: There is no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_PATH, check_dialog_id("dialog", dialog), "occupants")
        query = _OCCUPANTS.query({}, limit=limit, skip=skip)
        return read_page(self._api.call("GET", path, query=query, timeout=timeout), User.from_json)

    def iter_occupants(
        self,
        dialog: str | DialogRef | Message,
        *,
        page_size: int = PAGE_SIZE,
        timeout: float | None = None,
    ) -> Iterator[User]:
        """Yield all occupants of a dialog, each once; pages are requested as they are needed.

        Pages overlap, so nobody is left out because others subscribe or leave while the list is read. After
        an error, the next step asks for the page again. (Server API: Retrieve public dialog occupants.)

        Args:
            dialog: The dialog.
            page_size: The number of users on a page, 1 to 100.
            timeout: Seconds for each page; by default those of ``Config.timeouts``.

        Returns:
            An iterator over the users; nothing is sent before its first step.

        Raises:
            ArgumentTypeError: An argument has the wrong type; raised at once.
            ArgumentValueError: An argument has a wrong value; raised at once.
            ApiError: A call failed; raised while iterating.
        """
        dialog_id = check_dialog_id("dialog", dialog)

        def fetch(span: Span) -> Page[Row[User]]:
            skip = span.position or None
            page = self.occupants(dialog_id, limit=span.limit, skip=skip, timeout=timeout)
            return rows_of(page, lambda user: user.id)

        url = self._api.url((*_PATH, dialog_id, "occupants"))
        return Items([PageReader(fetch, check_page_size(page_size), url=url)])

    # --- notifications --------------------------------------------------------------------------

    @hints_at_user
    def set_notifications(
        self, dialog: str | DialogRef | Message, enabled: bool, *, timeout: float | None = None
    ) -> bool:
        """Turn push notifications of a dialog on or off for this user.

        (Server API: Update notifications settings.)

        Args:
            dialog: The dialog.
            enabled: Whether this user gets push notifications.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The setting, as it is now.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        body = {"enabled": int(check_bool("enabled", enabled))}
        return self._notifications("PUT", dialog, body, timeout)

    @hints_at_user
    def notifications_enabled(
        self, dialog: str | DialogRef | Message, *, timeout: float | None = None
    ) -> bool:
        """Return whether this user gets push notifications of a dialog.

        In a new dialog they are on.

        (Server API: Get notifications settings.)

        Args:
            dialog: The dialog.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            Whether this user gets them.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such dialog.
            ApiError: The call failed; a subclass says how.
        """
        return self._notifications("GET", dialog, None, timeout)

    def _notifications(
        self, method: str, dialog: object, body: dict[str, int] | None, timeout: float | None
    ) -> bool:
        path = (*_PATH, check_dialog_id("dialog", dialog), "notifications")
        response = self._api.call(method, path, body=body, timeout=timeout)
        settings = read_object(response).get("notifications")
        enabled = as_bool(settings.get("enabled")) if isinstance(settings, AnyDict) else None
        if enabled is None:
            raise unexpected(response, "notification settings were expected")
        return enabled

    # --- responses ------------------------------------------------------------------------------

    def _created(self, body: dict[str, object], admins: object, timeout: float | None) -> Dialog:
        admins_ids = check_each("admins", admins, check_user_id)
        if admins_ids:
            body["admins_ids"] = admins_ids
        return self._changed("POST", _PATH, body, timeout)

    def _changed(
        self,
        method: str,
        path: tuple[str, ...],
        body: dict[str, object] | None,
        timeout: float | None,
    ) -> Dialog:
        response = self._api.call(method, path, body=body, timeout=timeout)
        return read_record(response, self._read)

    def _read(self, data: dict[str, object]) -> Dialog:
        dialog = Dialog.from_json(data, me=self._api.user_id)
        if dialog.type is DialogType.PRIVATE and self._api.user_id is None:
            return Dialog.from_json(data, me=self._sessions.user_id())  # one of the two users
        return dialog


_OCCUPANTS = QuerySchema()


def _was_sent_since(dialog: Dialog, since: datetime) -> bool:
    sent = dialog.last_message_date_sent
    return sent is not None and sent >= since


def _own_id(name: str, value: object) -> str:
    if isinstance(value, Message):  # the slip would delete much more than was meant
        raise ArgumentTypeError(f"{name} must be a dialog's id or a Dialog, not Message")
    return check_dialog_id(name, value)


def _made_of(
    name: object,
    description: str | None,
    photo: str | None,
    data: Mapping[str, JsonValue] | None,
    extensions: Mapping[str, JsonValue] | None,
    permissions: Mapping[str, bool] | None,
) -> dict[str, object]:
    body = _described(check_str("name", name), description, photo, data, permissions)
    if extensions is not None:
        body["extensions"] = check_json_object("extensions", extensions)
    return body


def changes_of_dialog(
    *,
    name: str | None,
    description: str | None,
    photo: str | None,
    data: Mapping[str, JsonValue] | None,
    extensions: Mapping[str, JsonValue] | None,
    permissions: Mapping[str, bool] | None,
    add_occupants: SomeUsers,
    remove_occupants: SomeUsers,
    add_admins: SomeUsers,
    remove_admins: SomeUsers,
    pin: SomeMessages,
    unpin: SomeMessages,
) -> dict[str, object]:
    """Return the body of a request that changes a dialog; it holds at least one change.

    Raises:
        ArgumentTypeError: An argument has the wrong type; the error names it.
        ArgumentValueError: An argument has a wrong value, or there is nothing to change.
    """
    if data is not None:
        data = check_json_object("data", data, empty=False)
    body = _described(name, description, photo, data, permissions)
    if extensions is not None:
        body["extensions"] = check_json_object("extensions", extensions) or None
    body |= _pushed_and_pulled(
        {
            "occupants_ids": _sides(
                "occupants", check_user_id, add=add_occupants, remove=remove_occupants
            ),
            "admins_ids": _sides("admins", check_user_id, add=add_admins, remove=remove_admins),
            "pinned_messages_ids": _sides("", check_message_id, pin=pin, unpin=unpin),
        }
    )
    if not body:
        raise ArgumentValueError("there is nothing to change: give name, description, photo, …")
    return body


def _described(
    name: str | None,
    description: str | None,
    photo: str | None,
    data: Mapping[str, JsonValue] | None,
    permissions: Mapping[str, bool] | None,
) -> dict[str, object]:
    body: dict[str, object] = {}
    if name is not None:
        body["name"] = check_str("name", name)
    if description is not None:
        body["description"] = check_str("description", description, empty=True)
    if photo is not None:
        body["photo"] = check_str("photo", photo, empty=True)
    if data is not None:
        body["data"] = check_json_object("data", data)
    if permissions is not None:
        body["permissions"] = {
            name: check_bool(f"permissions[{name!r}]", granted)
            for name, granted in check_json_object("permissions", permissions).items()
        }
    return body


def _sides(
    what: str, read: Callable[[str, object], int | str], **sides: object
) -> tuple[builtins.list[int | str], builtins.list[int | str]]:
    """Return what to add and what to remove; nothing may be both."""
    names = [f"{side}_{what}" if what else side for side in sides]
    added, removed = (
        check_each(name, value, read) for name, value in zip(names, sides.values(), strict=True)
    )
    both = set(added) & set(removed)
    if both:
        raise ArgumentValueError(f"{names[0]} and {names[1]} have in common: {sorted(both)}")
    return added, removed


def _pushed_and_pulled(
    changes: Mapping[str, tuple[builtins.list[int | str], builtins.list[int | str]]],
) -> dict[str, object]:
    pushed = {name: added for name, (added, _) in changes.items() if added}
    pulled = {name: removed for name, (_, removed) in changes.items() if removed}
    return {key: lists for key, lists in (("push_all", pushed), ("pull_all", pulled)) if lists}
