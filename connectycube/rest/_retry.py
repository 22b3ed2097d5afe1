"""Which requests are sent again, and after how long: only those whose repetition can do no harm."""

from __future__ import annotations

import random

from .._backoff import delay_before
from ..config import RetryPolicy
from ..errors import ApiConnectError, ApiError, ApiProxyError
from ._http import Response
from ._response import retry_after

__all__ = ["pause_after_failure", "pause_after_response"]

_REPEATABLE = ("GET", "DELETE")  # a PUT may increment, a POST makes things
_TEMPORARY = (502, 503, 504)


def pause_after_failure(
    policy: RetryPolicy, method: str, error: ApiError, attempt: int
) -> float | None:
    """Return the seconds to wait after a request without a response; None if it is not sent again."""
    if isinstance(error, ApiProxyError) and not error.is_temporary:
        return None  # to repeat a password that was refused may lock the account
    lost = method in _REPEATABLE and not isinstance(error, TimeoutError)
    if attempt > policy.max_retries or not (isinstance(error, ApiConnectError) or lost):
        return None
    return delay_before(attempt, policy, random.random)


def pause_after_response(
    policy: RetryPolicy, method: str, response: Response, attempt: int
) -> float | None:
    """Return the seconds to wait after a response; None if the request is not sent again."""
    temporary = response.status in _TEMPORARY and method in _REPEATABLE
    if attempt > policy.max_retries or not (temporary or response.status == 429):
        return None
    asked = retry_after(response.headers)
    return delay_before(attempt, policy, random.random) if asked is None else asked
