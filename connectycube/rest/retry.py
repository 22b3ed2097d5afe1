"""Which requests are sent again, and after how long: only where a second one can do no harm."""

from __future__ import annotations

import random

from .._backoff import delay_before
from ..config import RetryPolicy
from ..errors import ApiConnectError, ApiError
from .answers import retry_after
from .http import Reply

__all__ = ["pause_after_failure", "pause_after_reply"]

_REPEATABLE = ("GET", "DELETE")  # a PUT may increment, a POST makes things
_PASSING = (502, 503, 504)


def pause_after_failure(
    policy: RetryPolicy, method: str, error: ApiError, attempt: int
) -> float | None:
    """Return the seconds to wait after a request without an answer; None if it is not sent again."""
    lost = method in _REPEATABLE and not isinstance(error, TimeoutError)
    if attempt > policy.max_retries or not (isinstance(error, ApiConnectError) or lost):
        return None
    return delay_before(attempt, policy, random.random)


def pause_after_reply(policy: RetryPolicy, method: str, reply: Reply, attempt: int) -> float | None:
    """Return the seconds to wait after an answer; None if it is the answer."""
    passing = reply.status in _PASSING and method in _REPEATABLE
    if attempt > policy.max_retries or not (passing or reply.status == 429):
        return None
    asked = retry_after(reply.headers)
    return delay_before(attempt, policy, random.random) if asked is None else asked
