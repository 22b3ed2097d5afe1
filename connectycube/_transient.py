"""Which errors pass: those after which nothing was done, or after which a repetition does no harm."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from .errors import (
    ApiConnectError,
    ApiError,
    ApiNetworkError,
    ApiResponseError,
    ApiTimeoutError,
    ChatTimeoutError,
    ConnectionLostError,
    DurableStoreError,
    ForkedError,
    NotConnectedError,
    OutcomeUnknownError,
    RateLimitError,
    SendDeferredError,
    SendQueueFullError,
    StanzaError,
    TlsError,
)

__all__ = ["is_transient"]

_NOT_DONE = (
    *(ApiConnectError, RateLimitError, SendQueueFullError, NotConnectedError),
    *(ConnectionLostError, DurableStoreError, ConnectionRefusedError, socket.gaierror),
)
"""After these it is certain that nothing was done."""
_REPEATABLE = (ChatTimeoutError, OutcomeUnknownError, SendDeferredError)
"""After these a message may be on its way; the next attempt gives it the same id, so it is sent once."""
_PERMANENT = (ForkedError, TlsError)
"""Errors of the classes above that do not pass by themselves."""
_NEVER_CONNECTED = frozenset(
    {"ConnectError", "ConnectTimeout", "ConnectTimeoutError", "NameResolutionError"}
    | {"NewConnectionError"}
)
"""Names of classes of urllib3, requests and httpx."""
_TRY_LATER = frozenset({429, 503})
_MAYBE_DONE = frozenset({502, 504})
_SAFE_METHODS = frozenset({"GET", "DELETE"})
_DEEPEST = 8


def is_transient(error: BaseException) -> bool:
    """Return whether a receiver that raised ``error`` may run again: the default of ``Handling.transient``.

    It may if the work was certainly not done: a connection was refused or never made, a host name has no
    address, the service asked to wait (HTTP 429 and 503, a stanza error of type "wait"), or the chat had no
    connection. It may also if a message, a reading or a deletion timed out: a message keeps its id in the
    next attempt. SystemExit and KeyboardInterrupt are never transient.

    Args:
        error: The error that the receiver raised. Its explicit cause is looked at, too, and the reason inside
            errors of urllib3, requests and httpx.

    Returns:
        Whether the receiver may run again.

    Example:
        >>> is_transient(ConnectionRefusedError()), is_transient(ValueError())
        (True, False)
    """
    return isinstance(error, Exception) and any(_is_transient(each) for each in _with_causes(error))


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, _PERMANENT):
        return False
    if isinstance(error, (*_NOT_DONE, *_REPEATABLE)):
        return True
    if isinstance(error, ApiError):
        return _is_transient_answer(error)
    if isinstance(error, StanzaError):
        return error.type == "wait"
    return type(error).__name__ in _NEVER_CONNECTED or _status(error) in _TRY_LATER


def _is_transient_answer(error: ApiError) -> bool:
    if isinstance(error, ApiResponseError) and error.status in _TRY_LATER:
        return True
    if error.method not in _SAFE_METHODS:
        return False
    if isinstance(error, ApiResponseError):
        return error.status in _MAYBE_DONE
    return isinstance(error, (ApiNetworkError, ApiTimeoutError))


def _status(error: BaseException) -> int | None:
    """Return the HTTP status in an error of requests, httpx or urllib."""
    response = getattr(error, "response", None)
    found = (getattr(response, "status_code", None), getattr(error, "code", None))
    return next((status for status in found if isinstance(status, int)), None)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_DEEPEST):
        if error is None:
            return
        yield error
        inner = (error.__cause__, getattr(error, "reason", None), *error.args[:1])
        error = next((each for each in inner if isinstance(each, Exception)), None)
