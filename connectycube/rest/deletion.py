"""Deleting one or several dialogs or messages, which the service answers in two ways."""

from __future__ import annotations

from .._checks import check_bool
from ..errors import NotFoundError, PermissionDeniedError
from ..models import DeleteResult
from .arguments import chunked
from .http import CallDeadline
from .transport import Transport

__all__ = ["delete"]


def delete(
    transport: Transport,
    path: tuple[str, ...],
    ids: list[str],
    *,
    alone: bool,
    force: bool,
    timeout: float | None,
) -> DeleteResult:
    """Delete what is below ``path``; a refusal of one that was given ``alone`` raises.

    The service answers one id with an empty body or an error, several with three lists.
    """
    query = [("force", 1)] if check_bool("force", force) else []
    deadline = transport.deadline(timeout)
    if len(ids) > 1:
        return _merged(
            [_of_several(transport, path, piece, query, deadline) for piece in chunked(ids)]
        )
    try:
        answer = transport.call("DELETE", (*path, ids[0]), query=query, timeout=deadline)
    except (NotFoundError, PermissionDeniedError) as error:
        if alone:
            raise
        if isinstance(error, NotFoundError):
            return DeleteResult(not_found=tuple(ids))
        return DeleteResult(not_permitted=tuple(ids))
    result = DeleteResult.from_json(answer.data if isinstance(answer.data, dict) else {})
    said = result.deleted or result.not_found or result.not_permitted
    return result if said else DeleteResult(deleted=tuple(ids))


def _of_several(
    transport: Transport,
    path: tuple[str, ...],
    ids: list[str],
    query: list[tuple[str, int]],
    deadline: CallDeadline,
) -> DeleteResult:
    answer = transport.call("DELETE", (*path, ",".join(ids)), query=query, timeout=deadline)
    return DeleteResult.from_json(answer.object())


def _merged(results: list[DeleteResult]) -> DeleteResult:
    return DeleteResult(
        deleted=tuple(each for result in results for each in result.deleted),
        not_found=tuple(each for result in results for each in result.not_found),
        not_permitted=tuple(each for result in results for each in result.not_permitted),
        extra={name: value for result in results for name, value in result.extra.items()},
    )
