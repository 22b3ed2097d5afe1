"""Deleting dialogs or messages; the service answers for one and for several in different ways."""

from __future__ import annotations

from .._checks import check_bool
from ..errors import NotFoundError, PermissionDeniedError
from ..models import DeleteResult
from ._api import Api
from ._query import chunked
from ._response import read_object

__all__ = ["delete"]


def delete(
    api: Api,
    path: tuple[str, ...],
    ids: list[str],
    *,
    alone: bool,
    force: bool,
    timeout: float | None,
) -> DeleteResult:
    """Delete dialogs or messages.

    The service answers one id with an empty body or an error, several with three lists.

    Args:
        api: The API.
        path: The path in front of the ids.
        ids: The ids.
        alone: Whether the caller named one thing rather than a list; then a refusal raises.
        force: Whether to delete for everybody.
        timeout: Seconds for all calls together, or None for the default.
    """
    query = [("force", 1)] if check_bool("force", force) else []
    deadline = api.deadline(timeout)
    if len(ids) > 1:
        results = []
        for chunk in chunked(ids):
            several = (*path, ",".join(chunk))
            response = api.call("DELETE", several, query=query, timeout=deadline)
            results.append(DeleteResult.from_json(read_object(response)))
        return _merged(results)
    try:
        response = api.call("DELETE", (*path, ids[0]), query=query, timeout=deadline)
    except (NotFoundError, PermissionDeniedError) as error:
        if alone:
            raise
        if isinstance(error, NotFoundError):
            return DeleteResult(not_found=tuple(ids))
        return DeleteResult(not_permitted=tuple(ids))
    data = response.json()
    result = DeleteResult.from_json(data if isinstance(data, dict) else {})
    says_it = result.deleted or result.not_found or result.not_permitted
    return result if says_it else DeleteResult(deleted=tuple(ids))


def _merged(results: list[DeleteResult]) -> DeleteResult:
    return DeleteResult(
        deleted=tuple(each for result in results for each in result.deleted),
        not_found=tuple(each for result in results for each in result.not_found),
        not_permitted=tuple(each for result in results for each in result.not_permitted),
        extra={name: value for result in results for name, value in result.extra.items()},
    )
