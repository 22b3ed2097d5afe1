"""Custom objects: records of the application's own classes; reports to moderators are such records."""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from .._checks import check_id, check_int, check_number, check_str
from ..errors import ArgumentTypeError, ArgumentValueError, NotFoundError
from ..models import CustomObject, DeleteResult, Message, Page, User
from .arguments import check_time, check_user_id
from .paging import by_id
from .transport import Transport

__all__ = ["CustomObjects"]

_PATH = ("data",)
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_OWN = {"id": "_id", "parent_id": "_parent_id"}  # the other fields keep their names
_OPERATORS = {
    **{word: word for word in ("gt", "lt", "gte", "lte", "ne", "in", "nin", "all", "or")},
    "contains": "ctn",
}
_LISTS = ("in", "nin", "all", "or")
_PAGE = 100


class CustomObjects:
    """The records of the application's classes; every method may be called from any thread.

    Classes are made in the admin panel. Look-ups are fields of the class, or ``id``, ``parent_id``,
    ``user_id``, ``created_at``, ``updated_at``, with Django's words: __gt, __lt, __gte, __lte, __ne, __in,
    __nin, __all, __or, __contains. Times are aware datetimes or unix seconds.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

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
        body = _record("fields", fields)
        if parent_id is not None:
            body["_parent_id"] = check_id("parent_id", parent_id)
        if permissions is not None:
            body["permissions"] = _json_object("permissions", permissions)
        answer = self._transport.call("POST", path, body=body, timeout=timeout)
        return CustomObject.from_json(answer.object(), class_name)

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
        bodies = [_record("records", entry) for entry in _several("records", records)]
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
        answer = self._transport.call("GET", path, timeout=timeout)
        data = answer.object()
        if "items" not in data:
            return CustomObject.from_json(data, class_name)
        for found in answer.page(lambda item: CustomObject.from_json(item, class_name)):
            return found
        raise NotFoundError(
            f"{answer.method} {answer.url} answered {answer.status}, without a record",
            method=answer.method,
            url=answer.url,
            status=answer.status,
        )

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
        query = _query(lookups)
        if ids is not None:
            path = (*path, ",".join(_ids("ids", ids)))
        if limit is not None:
            query.append(("limit", check_int("limit", limit, least=1, most=_PAGE)))
        if skip is not None:
            query.append(("skip", check_int("skip", skip, least=0)))
        if sort is not None:
            text = check_str("sort", sort)
            order = "sort_desc" if text.startswith("-") else "sort_asc"
            query.append((order, _field("sort", text.removeprefix("-"))))
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
        _query(lookups)

        def fetch(position: int) -> Page[CustomObject]:
            place: dict[str, Any] = {"skip": position, "limit": _PAGE, "sort": "id"}
            return self.list(class_name, timeout=timeout, **place, **lookups)

        return by_id(fetch, lambda record: record.id)

    def count(self, class_name: str, *, timeout: float | None = None, **lookups: Any) -> int:
        """Return how many records match.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Retrieve records within a class".
        """
        path, query = _class(class_name), [*_query(lookups), ("count", 1)]
        return self._transport.call("GET", path, query=query, timeout=timeout).count()

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
        body = _record("fields", fields)
        answer = self._transport.call("PUT", path, body=body, timeout=timeout)
        return CustomObject.from_json(answer.object(), class_name)

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
        answer = self._transport.call("DELETE", path, timeout=timeout)
        if isinstance(answer.data, dict):
            return DeleteResult.from_json(answer.data)
        return DeleteResult(deleted=tuple(ids))  # one id is answered with an empty body

    def permissions(
        self, class_name: str, record: str | CustomObject, *, timeout: float | None = None
    ) -> Mapping[str, Any]:
        """Return a record's permissions, which its owner may see.

        ``timeout`` is seconds. Raises ArgumentTypeError, ArgumentValueError, NotFoundError, ApiError.
        Source: server API, "Retrieve record by ID to view its permissions".
        """
        path = (*_class(class_name), _id("record", record))
        answer = self._transport.call("GET", path, query=[("permissions", 1)], timeout=timeout)
        return CustomObject.from_json(answer.object()).permissions or {}

    def report_user(
        self, user: int | User, reason: str, *, timeout: float | None = None
    ) -> CustomObject:
        """Create a record of class UserReports; see ``ConnectyCube.report_user``."""
        body = {"reportedUserId": check_user_id("user", user), "reason": _reason(reason)}
        return self.create("UserReports", body, timeout=timeout)

    def report_message(
        self, message: str | Message, reason: str, *, timeout: float | None = None
    ) -> CustomObject:
        """Create a record of class MessageReports; see ``ConnectyCube.report_message``."""
        known = message.id if isinstance(message, Message) else message
        body = {"reportedMessageId": check_id("message", known), "reason": _reason(reason)}
        return self.create("MessageReports", body, timeout=timeout)

    def _page(
        self, method: str, path: tuple[str, ...], class_name: str, **options: Any
    ) -> Page[CustomObject]:
        answer = self._transport.call(method, path, **options)
        return answer.page(lambda item: CustomObject.from_json(item, class_name))


def _reason(value: object) -> str:
    return check_str("reason", value)


def _class(class_name: object) -> tuple[str, str]:
    text = check_str("class_name", class_name)
    if not _NAME.fullmatch(text):
        raise ArgumentValueError(f"class_name is not the name of a class: {text!r}")
    return (*_PATH, text)


def _field(argument: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ArgumentValueError(f"{argument} is not the name of a field: {name!r}")
    return _OWN.get(name, name)


def _json_object(name: str, value: object) -> dict[str, Any]:
    """Return a copy of a mapping that JSON can hold."""
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(f"{name} must be a mapping, not {type(value).__name__}")
    for key in value:
        check_str(f"a key of {name}", key)
    try:
        json.dumps(dict(value), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentValueError(f"{name} is not JSON: {error}") from None
    return dict(value)


def _record(name: str, value: object) -> dict[str, Any]:
    fields = _json_object(name, value)
    if not fields:
        raise ArgumentValueError(f"{name} must not be empty")
    return fields


def _id(name: str, record: object) -> str:
    return check_id(name, record.id if isinstance(record, CustomObject) else record)


def _ids(name: str, records: object) -> builtins.list[str]:
    if isinstance(records, (str, CustomObject)):
        return [_id(name, records)]
    return [_id(name, record) for record in _several(name, records)]


def _several(name: str, values: object) -> Collection[Any]:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name} must be a list, not {type(values).__name__}")
    found = tuple(values)
    if not found:
        raise ArgumentValueError(f"{name} must not be empty")
    return found


def _query(lookups: Mapping[str, object]) -> builtins.list[tuple[str, str | int]]:
    """Return the query's pairs for fields whose types only the application knows."""
    pairs: builtins.list[tuple[str, str | int]] = []
    for argument, value in lookups.items():
        name, _, word = argument.rpartition("__")
        if not name:
            name, word = argument, ""
        elif word not in _OPERATORS:
            known = ", ".join(_OPERATORS)
            raise ArgumentTypeError(f"{argument} has no such look-up; there are: {known}")
        field = _field(argument, name)
        if word in _LISTS:
            texts = [str(_scalar(argument, entry)) for entry in _several(argument, value)]
            if any("," in text for text in texts):
                raise ArgumentValueError(f"{argument} must not hold a comma")
            pairs.append((f"{field}[{_OPERATORS[word]}]", ",".join(texts)))
        else:
            key = f"{field}[{_OPERATORS[word]}]" if word else field
            pairs.append((key, _scalar(argument, value)))
    return pairs


def _scalar(name: str, value: object) -> str | int:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return str(check_number(name, value))
    if isinstance(value, datetime):
        return check_time(name, value)
    return check_str(name, value)
