"""Custom objects: records of the application's own classes. Reports to moderators are such records."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve

from .._checks import (
    check_id,
    check_json_object,
    check_list,
    check_number,
    check_one_of,
    check_str,
    misspelt,
    repr_of,
)
from .._not_copied import NotCopied
from ..errors import ArgumentTypeError, ArgumentValueError, NotFoundError
from ..models import CustomObject, DeleteResult, Message, Page, User
from ..models._json import as_int
from ..models.values import JsonValue
from ._api import Api
from ._arguments import check_user_id
from ._deletion import read_deletion
from ._http import Response
from ._lookups import RecordLookup
from ._paging import PAGE_SIZE, Items, PageReader, Row, Span, rows_of
from ._query import (
    OPERATORS,
    Pairs,
    QueryField,
    QuerySchema,
    check_any_filter,
    check_text_filter,
    check_time_filter,
)
from ._response import read_count, read_object, read_page, read_record, unexpected

__all__ = ["CustomObjects"]

_PATH = ("data",)
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_CRITERIA = {**OPERATORS, "or": "or"}
_OPERATORS = {**_CRITERIA, "near": "near", "calc": "calc"}
_ARGUMENTS = ("limit", "skip", "sort", "include", "exclude", "group_by", "timeout")
_WORDS_OF_SERVICE = ("count", "sort_asc", "sort_desc")
_CALCULATIONS = ("avg", "min", "max", "sum")


def _check_operand(name: str, value: object, operator: str) -> str | int:
    """Return a value to compare with, a place (``near``) or a calculation (``calc``)."""
    if operator == "calc":
        return str(check_one_of(name, value, _CALCULATIONS))
    if operator != "near":
        return check_any_filter(name, value, operator)
    place = check_list(name, value, "longitude, latitude and metres")
    if len(place) != 3:
        raise ArgumentValueError(
            f"{name} must be (longitude, latitude, metres), not {repr_of(value)}"
        )
    longitude = check_number(name, place[0], least=-180, most=180)
    latitude = check_number(name, place[1], least=-90, most=90)
    return f"{longitude:.10g},{latitude:.10g};{check_number(name, place[2], least=0):.10g}"


def _field(wire: str) -> QueryField:
    return QueryField(wire, _check_operand, tuple(_OPERATORS))


def _check_moment(name: str, value: object, operator: str) -> str | int:
    return (
        check_text_filter(name, value, operator)
        if isinstance(value, str)
        else check_time_filter(name, value, operator)
    )


def _field_of_application(argument: str, name: str) -> QueryField:
    if not _NAME.fullmatch(name):
        raise ArgumentValueError(f"{argument} is not the name of a field: {name!r}")
    meant = None
    if argument == name:
        meant = name if name in _WORDS_OF_SERVICE else misspelt(name, _ARGUMENTS)
    if meant is not None:
        hint = "" if meant == name else f": did you mean {meant}?"
        raise ArgumentTypeError(
            f"{name} is no argument of this call{hint}; {name}__in=[…] looks up a field of that name"
        )
    return _field(name)


CUSTOM_OBJECTS = QuerySchema(
    fields={
        "id": _field("_id"),
        "parent_id": _field("_parent_id"),
        "created_at": QueryField("created_at", _check_moment, tuple(_OPERATORS)),
        "updated_at": QueryField("updated_at", _check_moment, tuple(_OPERATORS)),
    },
    open_field=_field_of_application,
    operators=_OPERATORS,
    most=PAGE_SIZE,
)
_BY_CRITERIA = evolve(CUSTOM_OBJECTS, operators=_CRITERIA)


class CustomObjects(NotCopied):
    """The records of the application's classes; every method may be called from any thread.

    Classes are created in the admin panel. A record is given as its id or as a CustomObject.

    Example:
        >>> record = cube.custom_objects.create("Book", {"title": "Emma", "year": 1815})
        >>> [found.fields["title"] for found in cube.custom_objects.list("Book", year__lt=1900)]
        ['Emma']
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(
        self,
        class_name: str,
        fields: Mapping[str, JsonValue],
        *,
        parent_id: str | None = None,
        permissions: Mapping[str, JsonValue] | None = None,
        timeout: float | None = None,
    ) -> CustomObject:
        """Create a record. (Server API: Create a new record.)

        Args:
            class_name: The name of the class.
            fields: The fields of the record.
            parent_id: The id of its parent record.
            permissions: The permissions in the service's form, such as ``{"read": {"access":
                "owner"}}``.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The record, as the service created it.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such class.
            PermissionDeniedError: The user may not do that.
            ApiError: The call failed; a subclass says how.
        """
        path = _class(class_name)
        body = check_json_object("fields", fields, empty=False)
        if parent_id is not None:
            body["_parent_id"] = check_id("parent_id", parent_id)
        if permissions is not None:
            body["permissions"] = check_json_object("permissions", permissions)
        response = self._api.call("POST", path, body=body, timeout=timeout)
        return self._record(response, class_name)

    def create_many(
        self,
        class_name: str,
        records: Iterable[Mapping[str, JsonValue]],
        *,
        timeout: float | None = None,
    ) -> Page[CustomObject]:
        """Create several records in one call. (Server API: Create multi records.)

        Args:
            class_name: The name of the class.
            records: The fields of each record.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The records, as the service created them.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such class.
            PermissionDeniedError: The user may not do that.
            ApiError: The call failed; a subclass says how.
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
        """Return one record. (Server API: Retrieve records by IDs.)

        Args:
            class_name: The name of the class.
            record: The record.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The record.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such class or record.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_class(class_name), _id("record", record))
        response = self._api.call("GET", path, timeout=timeout)
        if "items" not in read_object(response):
            return self._record(response, class_name)
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
        include: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        group_by: str | None = None,
        timeout: float | None = None,
        **lookups: RecordLookup,
    ) -> Page[CustomObject]:
        """Return one page of the records that match. (Server API: Retrieve records within a class.)

        Args:
            class_name: The name of the class.
            ids: Ids of records, to return only those.
            limit: The number of records on the page, at most 100, which is the default.
            skip: The number of records to leave out in front.
            sort: The field to sort by, with a minus in front for the other direction; "id" is the fast
                way to sort by age.
            include: The names of the fields to return; all by default.
            exclude: The names of fields to leave out.
            group_by: The name of a field; there is one item for each of its values, whose ``fields`` hold the
                results of the look-ups with __calc.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields of the class, or id, parent_id, user_id, created_at and updated_at, with
                Django's words: __gt, __lt, __gte, __lte, __ne, __in, __nin, __all, __or, __contains.
                Times are aware datetimes or unix seconds. For fields that are places, __near with
                (longitude, latitude, metres). With ``group_by``, __calc with "avg", "min", "max" or "sum".

        Returns:
            The page.

        Raises:
            ArgumentTypeError: A look-up does not exist, or an argument has the wrong type; the error
                names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such class.
            ApiError: The call failed; a subclass says how.
        """
        path: tuple[str, ...] = _class(class_name)
        query = CUSTOM_OBJECTS.query(lookups, limit=limit, skip=skip, sort=sort)
        query += _output(include, exclude)
        has_calculation = any(name.endswith("__calc") for name in lookups)
        if has_calculation is (group_by is None):
            raise ArgumentValueError("group_by and a look-up with __calc go together")
        if group_by is not None:
            query.append(("group_by", _wire_name("group_by", group_by)))
        if ids is not None:
            path = (*path, ",".join(_ids("ids", ids)))
        return self._page("GET", path, class_name, query=query, timeout=timeout)

    def iter(
        self, class_name: str, *, timeout: float | None = None, **lookups: RecordLookup
    ) -> Iterator[CustomObject]:
        """Yield all records that match, the oldest first, each once; pages are requested as they are needed.

        Records that are created while pages are read come at the end. Others may be deleted: pages overlap,
        so none of the rest is left out. After an error, the next step asks for the page again.

        Args:
            class_name: The name of the class.
            timeout: Seconds for each page; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores, such as
                ``year__lt=1980``.

        Returns:
            An iterator over the records; nothing is sent before its first step.

        Raises:
            ArgumentTypeError: A look-up does not exist or has the wrong type; raised at once.
            ArgumentValueError: A look-up has a wrong value; raised at once.
            ApiError: A call failed; raised while iterating.
        """
        path = _class(class_name)  # raise for wrong arguments now, not at the first step
        CUSTOM_OBJECTS.query(lookups)
        wanted: Any = lookups  # a type checker takes each name for one of the arguments, too

        def fetch(span: Span) -> Page[Row[CustomObject]]:
            page = self.list(
                class_name,
                skip=span.position,
                limit=span.limit,
                sort="id",
                timeout=timeout,
                **wanted,
            )
            return rows_of(page, lambda record: record.id)

        return Items([PageReader(fetch, PAGE_SIZE, url=self._api.url(path))])

    def count(
        self, class_name: str, *, timeout: float | None = None, **lookups: RecordLookup
    ) -> int:
        """Return how many records match. (Server API: Retrieve records within a class.)

        Args:
            class_name: The name of the class.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores, such as
                ``year__lt=1980``.

        Returns:
            The number of records.

        Raises:
            ArgumentTypeError: A look-up does not exist or has the wrong type; the error names it.
            ArgumentValueError: A look-up has a wrong value; the error names it.
            NotFoundError: There is no such class.
            ApiError: The call failed; a subclass says how.
        """
        path, query = _class(class_name), [*CUSTOM_OBJECTS.query(lookups), ("count", 1)]
        return read_count(self._api.call("GET", path, query=query, timeout=timeout))

    def update(
        self,
        class_name: str,
        record: str | CustomObject,
        fields: Mapping[str, JsonValue],
        *,
        timeout: float | None = None,
    ) -> CustomObject:
        """Change fields of a record. (Server API: Update record by ID.)

        Args:
            class_name: The name of the class.
            record: The record.
            fields: The fields to change; None empties one. The service's operators are fields as well:
                ``{"inc": {"age": 1}}``, ``push``, ``pull``, ``pull_all``, ``pop``, ``add_to_set``.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The record, as it is now.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such class or record.
            PermissionDeniedError: The user may not do that.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_class(class_name), _id("record", record))
        body = check_json_object("fields", fields, empty=False)
        response = self._api.call("PUT", path, body=body, timeout=timeout)
        return self._record(response, class_name)

    def update_by_criteria(
        self,
        class_name: str,
        fields: Mapping[str, JsonValue],
        *,
        timeout: float | None = None,
        **lookups: RecordLookup,
    ) -> Page[CustomObject]:
        """Change fields of all records that match. (Server API: Update records by criteria.)

        Args:
            class_name: The name of the class.
            fields: The fields to change; None empties one. The service's operators are fields as well:
                ``{"inc": {"age": 1}}``, ``push``, ``pull``, ``pull_all``, ``pop``, ``add_to_set``.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores, such as
                ``year__lt=1980``, but for __near and __calc; at least one.

        Returns:
            The records, as they are now.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value, or there is no look-up; the error names it.
            NotFoundError: There is no such class.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_class(class_name), "by_criteria")
        body = check_json_object("fields", fields, empty=False)
        if "search_criteria" in body:
            raise ArgumentValueError("fields must not have the key 'search_criteria'")
        body["search_criteria"] = _BY_CRITERIA.criteria(lookups)
        return self._page("PUT", path, class_name, body=body, timeout=timeout)

    def delete_by_criteria(
        self, class_name: str, *, timeout: float | None = None, **lookups: RecordLookup
    ) -> int:
        """Delete all records that match, and return how many. (Server API: Delete records by criteria.)

        Args:
            class_name: The name of the class.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.
            lookups: Fields with Django's words for operators behind two underscores, such as
                ``year__lt=1980``, but for __near and __calc; at least one.

        Returns:
            The number of records that were deleted.

        Raises:
            ArgumentTypeError: A look-up does not exist or has the wrong type; the error names it.
            ArgumentValueError: A look-up has a wrong value, or there is none; the error names it.
            NotFoundError: There is no such class.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_class(class_name), "by_criteria")
        _BY_CRITERIA.criteria(lookups)  # refuses to delete every record
        query = _BY_CRITERIA.query(lookups)
        response = self._api.call("DELETE", path, query=query, timeout=timeout)
        count = as_int(read_object(response).get("total_deleted"))
        if count is None:
            raise unexpected(response, "a count was expected")
        return count

    def delete(
        self,
        class_name: str,
        records: str | CustomObject | Iterable[str | CustomObject],
        *,
        timeout: float | None = None,
    ) -> DeleteResult:
        """Delete records. (Server API: Delete several records by their IDs.)

        Args:
            class_name: The name of the class.
            records: One record or a list of them.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The outcome for each record of a list.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: One record is given alone, and it does not exist.
            PermissionDeniedError: One record is given alone, and the user may not delete it.
            ApiError: The call failed; a subclass says how.
        """
        ids = _ids("records", records)
        path = (*_class(class_name), ",".join(ids))
        response = self._api.call("DELETE", path, timeout=timeout)
        alone = isinstance(records, (str, CustomObject))
        return read_deletion(response, ids, alone=alone)

    def permissions(
        self, class_name: str, record: str | CustomObject, *, timeout: float | None = None
    ) -> Mapping[str, Any]:
        """Return a record's permissions. (Server API: Retrieve record by ID to view its permissions.)

        Args:
            class_name: The name of the class.
            record: The record, whose owner this user must be.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The permissions, as the service has them: by the kind of access, the users who have it.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: There is no such class or record.
            ApiError: The call failed; a subclass says how.
        """
        path = (*_class(class_name), _id("record", record))
        response = self._api.call("GET", path, query=[("permissions", 1)], timeout=timeout)
        permissions = CustomObject.from_json(read_object(response)).permissions
        if permissions is None:
            raise unexpected(response, "permissions were expected")
        return permissions

    def report_user(
        self, user: int | User, reason: str, *, timeout: float | None = None
    ) -> CustomObject:
        """Report a user to the moderators, as a record of class UserReports. (Guide: Moderation.)

        Args:
            user: The user, as an id or a User.
            reason: The reason, as free text.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The record.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: The application has no class UserReports.
            ApiError: The call failed; a subclass says how.
        """
        body: dict[str, JsonValue] = {
            "reportedUserId": check_user_id("user", user),
            "reason": check_str("reason", reason),
        }
        return self.create("UserReports", body, timeout=timeout)

    def report_message(
        self, message: str | Message, reason: str, *, timeout: float | None = None
    ) -> CustomObject:
        """Report a message to the moderators, as a record of class MessageReports. (Guide: Moderation.)

        Args:
            message: The message, as an id or a Message.
            reason: The reason, as free text.
            timeout: Seconds for the whole call; by default those of ``Config.timeouts``.

        Returns:
            The record.

        Raises:
            ArgumentTypeError: An argument has the wrong type; the error names it.
            ArgumentValueError: An argument has a wrong value; the error names it.
            NotFoundError: The application has no class MessageReports.
            ApiError: The call failed; a subclass says how.
        """
        known = message.id if isinstance(message, Message) else message
        body = {
            "reportedMessageId": check_id("message", known),
            "reason": check_str("reason", reason),
        }
        return self.create("MessageReports", body, timeout=timeout)

    def _record(self, response: Response, class_name: str) -> CustomObject:
        return read_record(response, lambda data: CustomObject.from_json(data, class_name))

    def _page(
        self, method: str, path: tuple[str, ...], class_name: str, **options: Any
    ) -> Page[CustomObject]:
        response = self._api.call(method, path, **options)
        return read_page(response, lambda item: CustomObject.from_json(item, class_name))


def _output(include: object, exclude: object) -> Pairs:
    """Return the pairs that say which fields are returned."""
    return [
        (
            f"output[{word}]",
            ",".join(_wire_name(word, each) for each in check_list(word, names, "names")),
        )
        for word, names in (("include", include), ("exclude", exclude))
        if names is not None
    ]


def _wire_name(argument: str, name: object) -> str:
    """Return the service's name of a field."""
    text = check_str(argument, name)
    known = CUSTOM_OBJECTS.fields.get(text)
    return (known or _field_of_application(argument, text)).wire


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
