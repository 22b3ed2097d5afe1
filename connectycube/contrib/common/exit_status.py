"""The exit status of a command for each error: one table for ``connectycube`` and ``flask connectycube``."""

from __future__ import annotations

from connectycube import is_transient
from connectycube.errors import (
    ApiNetworkError,
    ApiResponseError,
    ArgumentTypeError,
    ArgumentValueError,
    AuthenticationError,
    ConnectionLostError,
    ConnectyCubeError,
    DurableStoreError,
    NotFoundError,
)

__all__ = [
    "AUTHENTICATION",
    "FAILED",
    "MEANINGS",
    "NETWORK",
    "NOT_FOUND",
    "READER_GONE",
    "TRY_LATER",
    "USAGE",
    "sentence_of",
    "status_of",
]

FAILED, USAGE, AUTHENTICATION, NOT_FOUND, NETWORK, TRY_LATER = 1, 2, 4, 5, 6, 7
INTERRUPTED, READER_GONE = 130, 141

MEANINGS = {
    0: "Done.",
    FAILED: "It failed in another way.",
    USAGE: "An argument, a setting or a variable is wrong or missing.",
    AUTHENTICATION: "Nobody is logged in, or the service refused the credentials.",
    NOT_FOUND: "There is no such user, dialog, message or file.",
    NETWORK: "No connection, or no answer in time.",
    TRY_LATER: "The service limits the rate or is out of order: the same command may succeed later.",
    INTERRUPTED: "Ended by Ctrl-C.",
    READER_GONE: "The reader of the output is gone, as in `connectycube tail | head -1`.",
}
"""What each exit status means."""

_ARGUMENTS = (ArgumentTypeError, ArgumentValueError)
_STATUSES: dict[type[Exception] | tuple[type[Exception], ...], int] = {
    _ARGUMENTS: USAGE,
    AuthenticationError: AUTHENTICATION,
    NotFoundError: NOT_FOUND,
    (ApiNetworkError, ConnectionLostError, TimeoutError): NETWORK,
    DurableStoreError: FAILED,  # it is transient, but no word of the service
}


def status_of(error: ConnectyCubeError) -> int:
    """Return the exit status of a command that an error has ended."""
    for kinds, status in _STATUSES.items():
        if isinstance(error, kinds):
            return status
    is_of_server = isinstance(error, ApiResponseError) and error.status >= 500
    return TRY_LATER if is_of_server or is_transient(error) else FAILED


def sentence_of(error: ConnectyCubeError) -> str:
    """Return what a command says about an error: its class, unless the text names an argument."""
    return str(error) if isinstance(error, _ARGUMENTS) else f"{type(error).__name__}: {error}"
