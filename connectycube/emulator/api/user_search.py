"""User search: the filters of the lists of users, versions 2 and 1, as SQL.

(Server documentation: Users API.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from attrs import frozen

from ..domain.accounts import USER_COLUMNS
from ..domain.api_error import ApiError
from ..domain.values import integer
from .fields import count_of
from .query import time

__all__ = ["UserSearch", "order_v1", "search_v1", "search_v2"]

_LIMIT = 100
_PREFIX_LEAST = 4
_PREFIX_LIMIT = 5
_NAME = re.compile(r"(\w+)(?:\[(\w+)\])?(?:\[\])?")

_TEXTS = ("login", "email", "full_name", "phone", "external_id", "facebook_id", "twitter_id")
_TIMES = ("last_request_at", "created_at", "updated_at")
_STAND_ALONE = ("id", *_TEXTS, "user_tags")
_PRIMARY = ("eq", "in", "start_with")
_COMPARE = {"gt": ">", "lt": "<", "gte": ">=", "lte": "<="}
_SORTABLE = ("id", *_TEXTS, *_TIMES)
_HAS_TAG = f"instr(',' || coalesce({USER_COLUMNS['user_tags']}, '') || ',', ',' || ? || ',') > 0"

_COMPARE_V1 = {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "=", "ne": "IS NOT"}
_TYPES_V1 = ("number", "integer", "float", "string", "date")


@frozen(kw_only=True)
class UserSearch:
    """The query of a list of users; ``where`` and ``order`` are SQL."""

    where: str
    values: list[Any]
    order: str
    limit: int
    skip: int


def search_v2(parameters: Sequence[tuple[str, str]]) -> UserSearch:
    """Read and check the query of GET /users/v2."""
    plain: dict[str, str] = {}
    filters: dict[tuple[str, str], list[str]] = {}
    for name, value in parameters:
        if name in ("limit", "offset", "sort_asc", "sort_desc"):
            plain[name] = value
        else:
            filters.setdefault(_filter(name), []).append(value)
    if not any(field in _STAND_ALONE and operator in _PRIMARY for field, operator in filters):
        raise ApiError(
            422,
            f"At least one of {', '.join(_STAND_ALONE)} is required, with an operator of "
            f"{', '.join(_PRIMARY)}",
        )
    where: list[str] = []
    values: list[Any] = []
    for (field, operator), given in filters.items():
        sql, read = _condition(field, operator, given)
        where.append(f"({sql})")
        values += read
    limit = count_of(plain, "limit", _LIMIT, least=1, most=_LIMIT)
    if any(operator == "start_with" for _, operator in filters):
        limit = min(limit, _PREFIX_LIMIT)
    return UserSearch(
        where=" AND ".join(where),
        values=values,
        order=_order(plain),
        limit=limit,
        skip=count_of(plain, "offset", 0),
    )


def _filter(name: str) -> tuple[str, str]:
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in (*_STAND_ALONE, *_TIMES):
        raise ApiError.invalid(name, "is not a field that users can be searched by")
    field, operator = found[1], found[2] or "eq"
    if operator not in (*_PRIMARY, "nin", *_COMPARE):
        raise ApiError.invalid(name, f"has an unknown operator: {operator}")
    if operator in _COMPARE and field not in _TIMES:
        raise ApiError.invalid(name, f"cannot be used with {operator}")
    if operator == "start_with" and field not in _TEXTS:
        raise ApiError.invalid(name, "cannot be used with start_with")
    return field, operator


def _condition(field: str, operator: str, given: Sequence[str]) -> tuple[str, list[Any]]:
    column = USER_COLUMNS[field]
    values = [_read(field, value) for value in given]
    if operator == "start_with":
        return _prefix(field, values)
    if field == "user_tags":
        found = " OR ".join([_HAS_TAG] * len(values))
        return (f"NOT ({found})" if operator == "nin" else found), values
    if operator in _COMPARE:
        return " AND ".join([f"{column} {_COMPARE[operator]} ?"] * len(values)), values
    if operator == "eq":
        return " AND ".join([f"{column} = ?"] * len(values)), values
    marks = ", ".join("?" * len(values))
    if operator == "in":
        return f"{column} IN ({marks})", values
    return f"{column} IS NULL OR {column} NOT IN ({marks})", values


def _prefix(field: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
    # Inferred: case does not matter. (In the sample of the documentation the cases differ.)
    if any(len(value) < _PREFIX_LEAST for value in values):
        raise ApiError.invalid(field, f"start_with needs at least {_PREFIX_LEAST} characters")
    column = USER_COLUMNS[field]
    sql = f"lower(substr({column}, 1, length(?))) = lower(?)"
    return " OR ".join([sql] * len(values)), [each for value in values for each in (value, value)]


def _read(field: str, value: str) -> Any:
    try:
        if field == "id":
            return integer(value)
        return time(value) if field in _TIMES else value
    except (ValueError, OverflowError):
        raise ApiError.invalid(field, f"has a wrong value: {value}") from None


def _order(plain: Mapping[str, str]) -> str:
    for name, direction in (("sort_asc", "ASC"), ("sort_desc", "DESC")):
        if name in plain:
            if plain[name] not in _SORTABLE:
                raise ApiError.invalid(name, f"must be {' or '.join(_SORTABLE)}")
            return f"{USER_COLUMNS[plain[name]]} {direction}, id {direction}"
    return "id ASC"


# --- version 1 ------------------------------------------------------------------------------------


def search_v1(filters: Sequence[str]) -> tuple[str, list[Any]]:
    """Read ``filter[]=number id in 1,2`` conditions; return SQL and its values."""
    where = ["1"]
    values: list[Any] = []
    for text in filters:
        sql, read = _condition_v1(text)
        where.append(sql)
        values += read
    return " AND ".join(where), values


def _condition_v1(text: str) -> tuple[str, list[Any]]:
    kind, field, operator, value = (*text.split(" ", 3), "", "", "", "")[:4]
    if kind not in _TYPES_V1 or field not in USER_COLUMNS or field == "custom_data":
        raise ApiError.invalid("filter", f"must be type, field, operator and value, not {text!r}")
    column = USER_COLUMNS[field]
    if operator in ("in", "between"):
        values = [_read_v1(kind, field, part.strip()) for part in value.split(",")]
        if operator == "in":
            return f"{column} IN ({', '.join('?' * len(values))})", values
        if len(values) != 2:
            raise ApiError.invalid("filter", "between needs two values")
        return f"{column} BETWEEN ? AND ?", values
    if operator not in _COMPARE_V1:
        raise ApiError.invalid("filter", f"has an unknown operator: {operator!r}")
    return f"{column} {_COMPARE_V1[operator]} ?", [_read_v1(kind, field, value)]


def _read_v1(kind: str, field: str, value: str) -> Any:
    try:
        if kind == "date" or field in _TIMES:
            return _date(value)
        if kind == "string":
            return value
        number = float(value) if kind == "float" else integer(value)
        # The ids of other systems are stored as text.
        return str(number) if field in _TEXTS else number
    except (ValueError, OverflowError):
        raise ApiError.invalid("filter", f"has a wrong value: {value!r}") from None


def _date(value: str) -> float:
    moment = datetime.strptime(value.replace(".", "-"), "%Y-%m-%d")
    return moment.replace(tzinfo=timezone.utc).timestamp()


def order_v1(text: str | None) -> str:
    """Read ``asc string login``; return SQL."""
    if text is None:
        return "id ASC"
    direction, kind, field = (*text.split(" "), "", "", "")[:3]
    if direction not in ("asc", "desc") or kind not in _TYPES_V1 or field not in USER_COLUMNS:
        raise ApiError.invalid("order", f"must be asc or desc, type and field, not {text!r}")
    return f"{USER_COLUMNS[field]} {direction}, id {direction}"
