"""Which errors pass by themselves, so that a receiver may run again."""

from __future__ import annotations

import socket
import urllib.error

import pytest
import requests
import urllib3

from connectycube import (
    ApiAuthenticationError,
    ApiConnectError,
    ApiConnectTimeoutError,
    ApiNetworkError,
    ApiTimeoutError,
    CertificateError,
    ChatTimeoutError,
    ClientClosedError,
    DurableStoreError,
    ForkedError,
    HostUnknownError,
    HostUnreachableError,
    NotConnectedError,
    OutcomeUnknownError,
    RateLimitError,
    SendQueueFullError,
    ServerError,
    StanzaError,
    ValidationError,
    is_transient,
)


def rest(kind, method="POST", status=None):
    """An error of a REST call."""
    more = {} if status is None else {"status": status}
    return kind("x", method=method, url="https://localhost/", **more)


def caused(cause):
    """A library's own error around another one."""
    try:
        raise RuntimeError("of a library") from cause
    except RuntimeError as error:
        return error


def with_status(status):
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(response=response)


@pytest.mark.parametrize(
    "error",
    [
        *(ConnectionRefusedError(), socket.gaierror(), caused(ConnectionRefusedError())),
        *(rest(ApiConnectError), rest(ApiConnectTimeoutError), rest(RateLimitError, status=429)),
        *(rest(ServerError, status=503), rest(ServerError, "GET", 502)),
        *(rest(ApiTimeoutError, "GET"), rest(ApiNetworkError, "DELETE")),
        *(NotConnectedError("x"), HostUnknownError("x"), HostUnreachableError("x")),
        *(SendQueueFullError("x"), ChatTimeoutError("x"), OutcomeUnknownError("x")),
        *(DurableStoreError("x", path="p"), StanzaError("x", condition="c", type="wait")),
        *(with_status(429), with_status(503)),
        urllib.error.HTTPError("u", 503, "x", None, None),
        urllib.error.URLError(ConnectionRefusedError()),
        requests.ConnectTimeout(),
        requests.ConnectionError(
            urllib3.exceptions.MaxRetryError(
                None, "/", urllib3.exceptions.NewConnectionError(None, "refused")
            )
        ),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_was_certainly_not_done_passes(error):
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError(), TimeoutError(), OSError(5, "x"), ConnectionResetError(), ForkedError("x")),
        *(rest(ServerError, status=500), rest(ServerError, "POST", 502), rest(ApiTimeoutError)),
        *(rest(ApiNetworkError), rest(ValidationError, status=422)),
        *(rest(ApiAuthenticationError, "GET", 401), ClientClosedError("x"), CertificateError("x")),
        *(StanzaError("x", condition="c", type="cancel"), SystemExit(503), KeyboardInterrupt()),
        *(requests.ReadTimeout(), requests.ConnectionError(), with_status(500), with_status(404)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_have_been_done_or_will_not_change_does_not_pass(error):
    assert not is_transient(error)


def test_an_error_that_was_raised_while_another_was_handled_is_its_own():
    try:
        try:
            raise ConnectionRefusedError
        except ConnectionRefusedError:
            raise ValueError("wrong")  # noqa: B904
    except ValueError as error:
        assert not is_transient(error)


def test_a_circle_of_causes_ends():
    error = ValueError()
    error.__cause__ = KeyError(error)
    assert not is_transient(error)
