"""Custom objects: records of the application's own classes; reports to moderators are such records."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._checks import check_id, check_json_object, check_list, check_str
from ..errors import ArgumentValueError, NotFoundError
from ..models import CustomObject, DeleteResult, Message, Page, User
from ._api import Api
from ._arguments import check_user_id
from ._paging import by_id
from ._query import OPERATORS, QueryField, QuerySchema, check_any_filter
from ._response import read_count, read_object, read_page, unexpected

__all__ = ["CustomObjects"]

_PATH = ("data",)
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_PAGE = 100
_OPERATORS = {**OPERATORS, "or": "or"}


def _field(wire: str) -> QueryField:
    return QueryField(wire, check_any_filter, tuple(_OPERATORS))


def _field_of_application(argument: str, name: str) -> QueryField:
    if not _NAME.fullmatch(name):
        raise ArgumentValueError(f"{argument} is not the name of a field: {name!r}")
    return _field(name)


CUSTOM_OBJECTS = QuerySchema(
    fields={"id": _field("_id"), "parent_id": _field("_parent_id")},
    open_field=_field_of_application,
    operators=_OPERATORS,
    most=_PAGE,
)


class CustomObjects:
    """The records of the application's classes; every method may be called from any thread.

    Classes are made in the admin panel. Look-ups are fields of the class, or ``id``, ``parent_id``,
    ``user_id``, ``created_at``, ``updated_at``, with Django's words: __gt, __lt, __gte, __lte, __ne, __in,
    __nin, __all, __or, __contains. Times are aware datetimes or unix seconds.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(
        self,
        class_name: str,
        fields: Mapping[str, Any],
        *,
        parent_id: str | None = None,
        permissions: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> CustomObject:
        """Create a record.

        ``permissions`` are the service's, such as ``{"read": {"access": "owner"}}``; ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, NotFoundError, PermissionDeniedError, ApiError.
        Source: server API, "Create a new record", "Create a record with permissions".
        """
        path = _class(class_name)
        body = check_json_object("fields", fields, empty=False)
        if parent_id is not None:
            body["_parent_id"] = check_id("parent_id", parent_id)
        if permissions is not None:
            body["permissions"] = check_json_object("permissions", permissions)
        response = self._api.call("POST", path, body=body, timeout=timeout)
        return CustomObject.from_json(read_object(response), class_name)

    def create_many(
        self,
        class_name: str,
        records: Iterable[Mapping[str, Any]],
        *,
        timeout: float | None = None,
    ) -> Page[CustomObject]:
        """Create several records in one call.

        ``timeout`` is seconds. Raises as :meth:`create`. Source: server API, "Create multi records".
        """
        path = (*_class(class_name), "multi")
        bodies = [
            check_json_object("records", entry, empty=False)
            for entry in check_list("records", records, "mappings", empty=False)
        ]
        body = {"record": {str(number): entry for number, entry in enumerate(bodies)}}
        return self._page("POST", path, class_name, body=body, timeout=timeout)

    def get(
        self, class_name: str, record: str | CustomObject, *, timeout: float | None = None
    ) -> CustomObject:
        """Return one record.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Retrieve records by IDs".
        """
        path = (*_class(class_name), _id("record", record))
        response = self._api.call("GET", path, timeout=timeout)
        data = read_object(response)
        if "items" not in data:
            return CustomObject.from_json(data, class_name)
        for found in read_page(response, lambda item: CustomObject.from_json(item, class_name)):
            return found
        raise unexpected(response, "there is no record in it", NotFoundError)

    def list(
        self,
        class_name: str,
        *,
        ids: Iterable[str] | None = None,
        limit: int | None = None,
        skip: int | None = None,
        sort: str | None = None,
        timeout: float | None = None,
        **lookups: Any,
    ) -> Page[CustomObject]:
        """Return one page of the records, or those with these ``ids``.

        ``limit`` (at most 100, the default) and ``skip`` are numbers of records; ``sort`` is a field, with a
        minus for the other direction; "id" is the fast way to sort by age. ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Retrieve records within a class", "Retrieve records by IDs".
        """
        path: tuple[str, ...] = _class(class_name)
        query = CUSTOM_OBJECTS.query(lookups, limit=limit, skip=skip, sort=sort)
        if ids is not None:
            path = (*path, ",".join(_ids("ids", ids)))
        return self._page("GET", path, class_name, query=query, timeout=timeout)

    def iter(
        self, class_name: str, *, timeout: float | None = None, **lookups: Any
    ) -> Iterator[CustomObject]:
        """Yield all records that match, the oldest first, a page at a time, none of them twice.

        What is made meanwhile comes at the end. Where records are deleted meanwhile, as many may be left
        out: the service counts from the beginning. ``timeout`` is seconds for each page.

        Raises as :meth:`list`.
        """
        _class(class_name)  # wrong arguments are told now, and not at the first step
        CUSTOM_OBJECTS.query(lookups)

        def fetch(position: int) -> Page[CustomObject]:
            place: dict[str, Any] = {"skip": position, "limit": _PAGE, "sort": "id"}
            return self.list(class_name, timeout=timeout, **place, **lookups)

        return by_id(fetch, lambda record: record.id)

    def count(self, class_name: str, *, timeout: float | None = None, **lookups: Any) -> int:
        """Return how many records match.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Retrieve records within a class".
        """
        path, query = _class(class_name), [*CUSTOM_OBJECTS.query(lookups), ("count", 1)]
        return read_count(self._api.call("GET", path, query=query, timeout=timeout))

    def update(
        self,
        class_name: str,
        record: str | CustomObject,
        fields: Mapping[str, Any],
        *,
        timeout: float | None = None,
    ) -> CustomObject:
        """Change fields of a record; None empties one.

        The service's operators are fields as well: ``{"inc": {"age": 1}}``, ``push``, ``pull``, ``pull_all``,
        ``pop``, ``add_to_set``. ``timeout`` is seconds.

        Raises ArgumentTypeError, ArgumentValueError, NotFoundError, PermissionDeniedError, ApiError.
        Source: server API, "Update record by ID".
        """
        path = (*_class(class_name), _id("record", record))
        body = check_json_object("fields", fields, empty=False)
        response = self._api.call("PUT", path, body=body, timeout=timeout)
        return CustomObject.from_json(read_object(response), class_name)

    def delete(
        self,
        class_name: str,
        records: str | CustomObject | Iterable[str | CustomObject],
        *,
        timeout: float | None = None,
    ) -> DeleteResult:
        """Delete one record or several, and return what became of each.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError for a single one,
        ApiError. Source: server API, "Delete record by ID", "Delete several records by their IDs".
        """
        ids = _ids("records", records)
        path = (*_class(class_name), ",".join(ids))
        response = self._api.call("DELETE", path, timeout=timeout)
        data = response.json()
        if isinstance(data, dict):
            return DeleteResult.from_json(data)
        return DeleteResult(deleted=tuple(ids))  # one id is answered with an empty body

    def permissions(
        self, class_name: str, record: str | CustomObject, *, timeout: float | None = None
    ) -> Mapping[str, Any]:
        """Return a record's permissions, which its owner may see.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Retrieve record by ID to view its permissions".
        """
        path = (*_class(class_name), _id("record", record))
        response = self._api.call("GET", path, query=[("permissions", 1)], timeout=timeout)
        return CustomObject.from_json(read_object(response)).permissions or {}

    def report_user(
        self, user: int | User, reason: str, *, timeout: float | None = None
    ) -> CustomObject:
        """Create a record of class UserReports; see ``ConnectyCube.report_user``."""
        body = {
            "reportedUserId": check_user_id("user", user),
            "reason": check_str("reason", reason),
        }
        return self.create("UserReports", body, timeout=timeout)

    def report_message(
        self, message: str | Message, reason: str, *, timeout: float | None = None
    ) -> CustomObject:
        """Create a record of class MessageReports; see ``ConnectyCube.report_message``."""
        known = message.id if isinstance(message, Message) else message
        body = {
            "reportedMessageId": check_id("message", known),
            "reason": check_str("reason", reason),
        }
        return self.create("MessageReports", body, timeout=timeout)

    def _page(
        self, method: str, path: tuple[str, ...], class_name: str, **options: Any
    ) -> Page[CustomObject]:
        response = self._api.call(method, path, **options)
        return read_page(response, lambda item: CustomObject.from_json(item, class_name))


def _class(class_name: object) -> tuple[str, str]:
    text = check_str("class_name", class_name)
    if not _NAME.fullmatch(text):
        raise ArgumentValueError(f"class_name is not the name of a class: {text!r}")
    return (*_PATH, text)


def _id(name: str, record: object) -> str:
    return check_id(name, record.id if isinstance(record, CustomObject) else record)


def _ids(name: str, records: object) -> builtins.list[str]:
    if isinstance(records, (str, CustomObject)):
        return [_id(name, records)]
    return [_id(name, record) for record in check_list(name, records, "records", empty=False)]
