"""Which requests are sent again, by themselves: the rule for each method, error, status and attempt."""

import pytest

from connectycube.config import RetryPolicy
from connectycube.errors import (
    ApiConnectError,
    ApiConnectTimeoutError,
    ApiNetworkError,
    ApiProxyError,
    ApiTimeoutError,
)
from connectycube.rest import Request, Response
from connectycube.rest._retry import pause_after_failure, pause_after_response

URL = "https://api.example/chat"
POLICY = RetryPolicy(max_retries=2, delay=1.0, max_delay=8.0)
METHODS = ["GET", "DELETE", "POST", "PUT"]


def after_failure(method, cls, attempt=1, **options):
    error = cls("lost", method=method, url=URL, **options)
    return pause_after_failure(POLICY, method, error, attempt)


def after_response(method, status, attempt=1, headers=None):
    response = Response(status, headers=headers or {}, request=Request(method=method, url=URL))
    return pause_after_response(POLICY, method, response, attempt)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cls", [ApiConnectError, ApiConnectTimeoutError])
def test_a_request_that_was_never_sent_is_repeated(method, cls):
    assert after_failure(method, cls) is not None


@pytest.mark.parametrize("method", METHODS)
def test_a_request_whose_response_was_lost_is_repeated_if_it_is_harmless(method):
    assert (after_failure(method, ApiNetworkError) is not None) is (method in ("GET", "DELETE"))


@pytest.mark.parametrize("method", METHODS)
def test_a_request_that_ran_out_of_time_is_not_repeated(method):
    assert after_failure(method, ApiTimeoutError) is None


@pytest.mark.parametrize("method", METHODS)
def test_only_what_a_proxy_may_do_later_is_asked_of_it_again(method):
    assert after_failure(method, ApiProxyError, is_temporary=True) is not None
    assert after_failure(method, ApiProxyError, is_temporary=False) is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [200, 401, 429, 500, 501, 502, 503, 504, 505])
def test_a_response_is_asked_for_again_if_it_may_do_no_harm(method, status):
    repeated = status == 429 or (status in (502, 503, 504) and method in ("GET", "DELETE"))
    assert (after_response(method, status) is not None) is repeated


def test_the_pause_grows_with_each_attempt_until_the_last_one():
    for pause in (after_failure, after_response):
        given = ApiConnectError if pause is after_failure else 503
        assert 0.5 <= pause("GET", given, 1) < 1.5
        assert 1.0 <= pause("GET", given, 2) < 3.0
        assert pause("GET", given, 3) is None


def test_the_pause_is_the_one_that_the_service_asks_for():
    assert after_response("GET", 503, headers={"Retry-After": "20"}) == 20.0
    assert after_response("GET", 503, headers={"Retry-After": "0"}) == 0.0
    assert 0.5 <= after_response("GET", 503, headers={"Retry-After": "soon"}) < 1.5
