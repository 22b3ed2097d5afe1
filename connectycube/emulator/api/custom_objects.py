"""REST: custom objects. (Server documentation: Custom objects API.)"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.api_error import ApiError
from ..domain.records import Condition, conditions_of, may
from ..domain.values import flag, words
from .fields import object_of
from .request import Reply
from .routing import Auth, Call, route

_LIMIT = 100
_CLASS = re.compile(r"[A-Za-z]\w*", re.ASCII)
_FILTER = re.compile(r"(\w+)(?:\[(\w+)\])?(?:\[\])?", re.ASCII)
_OPTIONS = ("limit", "skip", "count", "sort_asc", "sort_desc", "permissions")
_NO_FILTER = ("output", "near", "calc", "group_by")

Record = dict[str, Any]


@route("POST", "data/{class}/multi", Auth.USER)
def create_records(call: Call) -> Reply:
    """Make several records."""
    given = object_of(call.request.json(), "record").values()
    if not all(isinstance(fields, dict) for fields in given):
        raise ApiError.invalid("record", "must hold objects")
    name, records = _class(call), call.api.records
    items = [records.create(name, call.user_id, fields) for fields in given]
    return Reply(status=201, content={"class_name": name, "items": items})


@route("POST", "data/{class}", Auth.USER, inferred="every class exists, with every field")
def create_record(call: Call) -> Reply:
    """Make a record."""
    record = call.api.records.create(_class(call), call.user_id, call.request.json())
    return Reply(status=201, content=record)


@route(
    "GET", "data/{class}", Auth.USER, inferred="the total is not told; the service leaves it out"
)
def list_records(call: Call) -> Reply:
    """Search the records of a class."""
    parameters = call.request.parameters()
    options = {name: value for name, value in parameters if name in _OPTIONS}
    wanted = conditions_of(_filters(parameters))
    found = [record for record in _readable(call) if wanted(record)]
    if flag(options.get("count")):
        return Reply(content={"items": {"count": len(found)}})
    limit, skip = _number(options, "limit", _LIMIT), _number(options, "skip", 0)
    items = _sorted(found, options)[skip:]
    items = items[-1:] if limit == -1 else items[: min(limit, _LIMIT)]
    shown = [_without_permissions(record) for record in items]
    return Reply(content={"class_name": _class(call), "skip": skip, "limit": limit, "items": shown})


@route("GET", "data/{class}/{ids}", Auth.USER, inferred="one id that does not exist: 404")
def get_records(call: Call) -> Reply:
    """Return records by id; with permissions=1, one record's permissions to its owner."""
    ids = words(call.arguments["ids"])
    found = call.api.records.with_ids(_class(call), ids)
    records = [record for record in found if _may(call, "read", record)]
    if len(ids) == 1 and not records:
        raise _missing(ids[0]) if not found else _forbidden(ids[0])
    if records and flag(dict(call.request.parameters()).get("permissions")):
        if records[0]["user_id"] != call.user_id:
            raise _forbidden(records[0]["_id"])
        content = {"permissions": records[0]["permissions"], "record_id": records[0]["_id"]}
        return Reply(content=content)
    return Reply(content={"class_name": _class(call), "items": records})


@route("PUT", "data/{class}/by_criteria", Auth.USER, inferred="records of others are passed over")
def update_records_by_criteria(call: Call) -> Reply:
    """Change the records that fulfil search_criteria."""
    body = call.request.json()
    wanted = conditions_of(_criteria(object_of(body, "search_criteria")))
    records = call.api.records
    items = [records.update(record, body) for record in _matching(call, "update", wanted)]
    content = {"class_name": _class(call), "skip": 0, "limit": _LIMIT, "total_found": len(items)}
    return Reply(content={**content, "items": items})


@route("PUT", "data/{class}/multi", Auth.USER, inferred="one record of another user: 403 for all")
def update_records(call: Call) -> Reply:
    """Change several records, each by its id."""
    changes = list(object_of(call.request.json(), "record").values())
    if not all(isinstance(change, dict) and change.get("id") for change in changes):
        raise ApiError.invalid("record", "must hold objects with an id")
    name, records = _class(call), call.api.records
    found = {record["_id"]: record for record in records.with_ids(name, _ids(changes))}
    for record in found.values():
        if not _may(call, "update", record):
            raise _forbidden(record["_id"])
    items = [
        records.update(found[str(change["id"])], {k: v for k, v in change.items() if k != "id"})
        for change in changes
        if str(change["id"]) in found
    ]
    missing = [record_id for record_id in _ids(changes) if record_id not in found]
    return Reply(content={"class_name": name, "not_found": {"ids": missing}, "items": items})


@route("PUT", "data/{class}/{id}", Auth.USER)
def update_record(call: Call) -> Reply:
    """Change a record."""
    record_id = call.arguments["id"]
    found = call.api.records.with_ids(_class(call), [record_id])
    if not found:
        raise _missing(record_id)
    if not _may(call, "update", found[0]):
        raise _forbidden(record_id)
    return Reply(content=call.api.records.update(found[0], call.request.json()))


@route("DELETE", "data/{class}/by_criteria", Auth.USER, inferred="no criteria: 422")
def delete_records_by_criteria(call: Call) -> Reply:
    """Delete the records that fulfil criteria."""
    parameters = call.request.parameters() or [
        (f"{name}[{operator}]", str(value))
        for name, operator, value in _criteria(call.request.json())
    ]
    if not parameters:
        raise ApiError(422, "A criterion is required")
    gone = _matching(call, "delete", conditions_of(_filters(parameters)))
    for record in gone:
        call.api.records.delete(record["_id"])
    return Reply(content={"total_deleted": len(gone)})


@route("DELETE", "data/{class}/{ids}", Auth.USER, inferred="one id: an empty answer, or its error")
def delete_records(call: Call) -> Reply:
    """Delete records."""
    ids = words(call.arguments["ids"])
    found = {record["_id"]: record for record in call.api.records.with_ids(_class(call), ids)}
    done = [each for each in ids if each in found and _may(call, "delete", found[each])]
    missing = [each for each in ids if each not in found]
    wrong = [each for each in ids if each in found and each not in done]
    if len(ids) == 1 and not done:
        raise _missing(ids[0]) if missing else _forbidden(ids[0])
    for record_id in done:
        call.api.records.delete(record_id)
    if len(ids) == 1:
        return Reply()
    return Reply(
        content={
            "SuccessfullyDeleted": {"ids": done},
            "WrongPermissions": {"ids": wrong},
            "NotFound": {"ids": missing},
        }
    )


def _class(call: Call) -> str:
    name = call.arguments["class"]
    if not _CLASS.fullmatch(name):
        raise ApiError(404, f"Class {name} does not exist")
    return name


def _may(call: Call, action: str, record: Record) -> bool:
    tags = call.api.accounts.user(call.user_id)["fields"].get("user_tags")
    return may(action, record, call.user_id, set(words(tags or "")))


def _readable(call: Call) -> list[Record]:
    records = call.api.records.of_class(_class(call))
    return [record for record in records if _may(call, "read", record)]


def _matching(call: Call, action: str, wanted: Condition) -> list[Record]:
    return [record for record in _readable(call) if wanted(record) and _may(call, action, record)]


def _missing(record_id: str) -> ApiError:
    return ApiError(404, f"Record {record_id} does not exist")


def _forbidden(record_id: str) -> ApiError:
    return ApiError(403, f"Forbidden. Record {record_id} does not let you.")


def _ids(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(change["id"]) for change in changes]


def _without_permissions(record: Record) -> Record:
    # as the documentation's lists have it
    return {name: value for name, value in record.items() if name != "permissions"}


def _filters(parameters: Sequence[tuple[str, str]]) -> list[tuple[str, str, Any]]:
    filters: dict[tuple[str, str], list[str]] = {}
    for name, value in parameters:
        if name in _OPTIONS:
            continue
        found = _FILTER.fullmatch(name)
        if found is None or found[1] in _NO_FILTER or found[2] in _NO_FILTER:
            raise ApiError.invalid(name, "is not a filter that the emulator knows")
        filters.setdefault((found[1], found[2] or "eq"), []).append(value)
    return [(field, operator, ",".join(given)) for (field, operator), given in filters.items()]


def _criteria(criteria: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    return [
        (field, operator, value)
        for field, conditions in criteria.items()
        for operator, value in (
            conditions if isinstance(conditions, dict) else {"eq": conditions}
        ).items()
    ]


def _sorted(records: list[Record], options: Mapping[str, str]) -> list[Record]:
    for name in ("sort_asc", "sort_desc"):
        if name in options:
            field = options[name]
            return sorted(
                records, key=lambda record: _order(record.get(field)), reverse=name == "sort_desc"
            )
    return records


def _order(value: Any) -> tuple[int, float, str]:
    # nothing first, then numbers, then text
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, value, ""
    return 2, 0.0, str(value)


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    value = options.get(name, str(default))
    if value == "-1" and name == "limit":
        return -1
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise ApiError.invalid(name, "must be a whole number, 0 or more")
    return int(value)
