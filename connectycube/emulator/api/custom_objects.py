"""REST: custom objects. (Server documentation: Custom objects API.)"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectycube._containers import AnyDict

from ..domain.api_error import ApiError
from ..domain.deletions import delete_each
from ..domain.record_filters import Condition, conditions_of
from ..domain.records import allows
from ..domain.values import flag, words
from .fields import object_of
from .record_query import MOST_ITEMS, RecordQuery, criteria_of, filters_of
from .request import Response
from .routing import Auth, Call, route

_CLASS = re.compile(r"[A-Za-z]\w*", re.ASCII)

Record = dict[str, Any]

# --- create and find --------------------------------------------------------------------------------


@route("POST", "data/{class}/multi", Auth.USER)
def create_records(call: Call) -> Response:
    """Create several records."""
    given = object_of(call.request.json(), "record").values()
    if not all(isinstance(fields, dict) for fields in given):
        raise ApiError.invalid("record", "must hold objects")
    name, records = _class(call), call.api.records
    items = [records.create(name, call.user_id, fields) for fields in given]
    return Response(status=201, content={"class_name": name, "items": items})


@route("POST", "data/{class}", Auth.USER, inferred="every class exists, with every field")
def create_record(call: Call) -> Response:
    """Create a record."""
    record = call.api.records.create(_class(call), call.user_id, call.request.json())
    return Response(status=201, content=record)


@route(
    "GET",
    "data/{class}",
    Auth.USER,
    inferred="the total is not told, as on the service; the form of groups",
)
def list_records(call: Call) -> Response:
    """Search the records of a class."""
    query = RecordQuery.parse(call.request.parameters())
    found = query.find(_all_permitted(call, "read"))
    if query.count:
        return Response(content={"items": {"count": len(found)}})
    items = [query.output(_without_permissions(record)) for record in query.page(found)]
    content = {"class_name": _class(call), "skip": query.skip, "limit": query.limit, "items": items}
    return Response(content=content)


@route("GET", "data/{class}/{ids}", Auth.USER, inferred="one id that does not exist: 404")
def get_records(call: Call) -> Response:
    """Return records by id; with permissions=1, one record's permissions to its owner."""
    ids = words(call.arguments["ids"])
    found = _by_id(call, ids)
    if len(ids) == 1:
        _require(call, "read", found, ids[0])
    records = _permitted(call, "read", found.values())
    if records and flag(dict(call.request.parameters()).get("permissions")):
        record = records[0]
        if record["user_id"] != call.user_id:
            raise _forbidden(record["_id"])
        return Response(content={"permissions": record["permissions"], "record_id": record["_id"]})
    return Response(content={"class_name": _class(call), "items": records})


# --- change -----------------------------------------------------------------------------------------


@route(
    "PUT", "data/{class}/by_criteria", Auth.USER, inferred="records without permission are skipped"
)
def update_records_by_criteria(call: Call) -> Response:
    """Change the records that fulfil search_criteria."""
    body = call.request.json()
    condition = conditions_of(criteria_of(object_of(body, "search_criteria")))
    items = [call.api.records.update(each, body) for each in _matching(call, "update", condition)]
    content = {"class_name": _class(call), "skip": 0, "limit": MOST_ITEMS}
    return Response(content={**content, "total_found": len(items), "items": items})


@route("PUT", "data/{class}/multi", Auth.USER, inferred="one record of another user: 403 for all")
def update_records(call: Call) -> Response:
    """Change several records, each by its id."""
    changes = list(object_of(call.request.json(), "record").values())
    if not all(isinstance(change, AnyDict) and change.get("id") for change in changes):
        raise ApiError.invalid("record", "must hold objects with an id")
    ids = [str(change["id"]) for change in changes]
    found = _by_id(call, ids)
    for record_id in found:
        _require(call, "update", found, record_id)
    items = [
        call.api.records.update(found[record_id], _without(change, "id"))
        for record_id, change in zip(ids, changes, strict=True)
        if record_id in found
    ]
    missing = [record_id for record_id in ids if record_id not in found]
    content = {"class_name": _class(call), "not_found": {"ids": missing}, "items": items}
    return Response(content=content)


@route("PUT", "data/{class}/{id}", Auth.USER)
def update_record(call: Call) -> Response:
    """Change a record."""
    record_id = call.arguments["id"]
    record = _require(call, "update", _by_id(call, [record_id]), record_id)
    return Response(content=call.api.records.update(record, call.request.json()))


# --- delete -----------------------------------------------------------------------------------------


@route("DELETE", "data/{class}/by_criteria", Auth.USER, inferred="no criteria: 422")
def delete_records_by_criteria(call: Call) -> Response:
    """Delete the records that fulfil criteria, which are in the query or in the body."""
    parameters = call.request.parameters()
    filters = filters_of(parameters) if parameters else criteria_of(call.request.json())
    if not parameters and not filters:
        raise ApiError(422, "A criterion is required")
    records = _matching(call, "delete", conditions_of(filters))
    for record in records:
        call.api.records.delete(record["_id"])
    return Response(content={"total_deleted": len(records)})


@route("DELETE", "data/{class}/{ids}", Auth.USER, inferred="one id: an empty answer, or its error")
def delete_records(call: Call) -> Response:
    """Delete records."""
    ids = words(call.arguments["ids"])
    found = _by_id(call, ids)  # read first: with a record its children are deleted, too

    def delete(record_id: str) -> None:
        call.api.records.delete(_require(call, "delete", found, record_id)["_id"])

    if len(ids) != 1:
        return Response(content=delete_each(ids, delete))
    delete(ids[0])
    return Response()


# --- records and permissions ------------------------------------------------------------------------


def _class(call: Call) -> str:
    name = call.arguments["class"]
    if not _CLASS.fullmatch(name):
        raise ApiError(404, f"Class {name} does not exist")
    return name


def _by_id(call: Call, ids: Sequence[str]) -> dict[str, Record]:
    return {record["_id"]: record for record in call.api.records.with_ids(_class(call), ids)}


def _permitted(call: Call, action: str, records: Iterable[Record]) -> list[Record]:
    """Return the records for which the user has the permission."""
    tags = set(words(call.api.accounts.user(call.user_id)["fields"].get("user_tags")))
    return [record for record in records if allows(record, action, call.user_id, tags)]


def _all_permitted(call: Call, action: str) -> list[Record]:
    return _permitted(call, action, call.api.records.of_class(_class(call)))


def _matching(call: Call, action: str, condition: Condition) -> list[Record]:
    """Return the records that fulfil a condition and that the user may read and change or delete."""
    readable = [record for record in _all_permitted(call, "read") if condition(record)]
    return _permitted(call, action, readable)


def _require(call: Call, action: str, found: Mapping[str, Record], record_id: str) -> Record:
    """Return a found record; refuse an id that was not found, and a record without the permission."""
    if record_id not in found:
        raise ApiError(404, f"Record {record_id} does not exist")
    if not _permitted(call, action, [found[record_id]]):
        raise _forbidden(record_id)
    return found[record_id]


def _forbidden(record_id: str) -> ApiError:
    return ApiError(403, f"Forbidden. Record {record_id} does not let you.")


def _without(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def _without_permissions(record: Record) -> Record:
    # As in the lists of the documentation.
    return _without(record, "permissions")
