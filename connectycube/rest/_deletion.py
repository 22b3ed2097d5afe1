"""Deleting dialogs or messages; the service answers for one and for several in different ways."""

from __future__ import annotations

from .._checks import check_bool
from ..errors import NotFoundError, PermissionDeniedError
from ..models import DeleteResult
from ..models._json import as_mapping
from ._api import Api
from ._http import Response
from ._query import chunked
from ._response import read_object, unexpected

__all__ = ["delete", "read_deletion"]

_LISTS = {"SuccessfullyDeleted", "NotFound", "WrongPermissions"}


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
        results: list[DeleteResult] = []
        for chunk in chunked(ids):
            several = (*path, ",".join(chunk))
            response = api.call("DELETE", several, query=query, timeout=deadline)
            if _LISTS.isdisjoint(read_object(response)):
                raise unexpected(response, "lists of ids were expected")
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
    return read_deletion(response, ids, alone=alone)


def read_deletion(response: Response, ids: list[str], *, alone: bool) -> DeleteResult:
    """Return what became of the things to delete; a body without lists says that all of them are deleted.

    Args:
        response: A success.
        ids: The ids that were sent.
        alone: Whether the caller named one thing rather than a list.

    Raises:
        NotFoundError: The thing that was named alone does not exist.
        PermissionDeniedError: This user may not delete the thing that was named alone.
    """
    data = as_mapping(response.json()) or {}
    if _LISTS.isdisjoint(data):
        return DeleteResult(deleted=tuple(ids))
    result = DeleteResult.from_json(data)
    if alone and not result.deleted:
        if result.not_found:
            raise unexpected(response, f"{ids[0]} does not exist", NotFoundError)
        if result.not_permitted:
            raise unexpected(response, f"this user may not delete {ids[0]}", PermissionDeniedError)
    return result


def _merged(results: list[DeleteResult]) -> DeleteResult:
    return DeleteResult(
        deleted=tuple(each for result in results for each in result.deleted),
        not_found=tuple(each for result in results for each in result.not_found),
        not_permitted=tuple(each for result in results for each in result.not_permitted),
        extra={name: value for result in results for name, value in result.extra.items()},
    )
