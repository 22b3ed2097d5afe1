import threading

import pytest

from connectycube.client import ConnectyCube
from connectycube.config import Config, RetryPolicy, Timeouts
from connectycube.errors import (
    ApiConnectError,
    ApiNetworkError,
    ApiTimeoutError,
    ArgumentTypeError,
    ArgumentValueError,
    RateLimitError,
    ServerError,
)
from connectycube.rest._api import Api
from tests.support.observing import Requests
from tests.support.scripted_http import answer, reset
from tests.wire.rest.conftest import SESSION

PATH = ("chat", "Dialog")
QUICK = RetryPolicy(max_retries=2, delay=0.001)


@pytest.fixture
def told():
    return []


@pytest.fixture
def persistent(server, told):
    config = Config(
        app_id=7,
        auth_key="k-5ec4e7c0de",
        api_url=server.url,
        retry=QUICK,
        timeouts=Timeouts(rest_connect=5.0, rest_read=5.0),
        observer=Requests(told.append),
    )
    made = Api(config)
    made.adopt(SESSION)
    yield made
    made.close()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_can_be_repeated_is_until_it_succeeds(persistent, server, method, status):
    server.play(answer(status), answer(status), answer(200, {"a": 1}))
    assert persistent.call(method, PATH).json() == {"a": 1}
    assert len(server.requests) == 3


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_broken_connection_is_no_end_for_what_can_be_repeated(persistent, server, method):
    server.play(reset, answer(204))
    assert persistent.call(method, PATH).json() is None
    assert len(server.requests) == 2


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("step", [answer(503), answer(502), reset])
def test_what_changes_things_is_sent_once(persistent, server, method, step):
    server.play(step)
    with pytest.raises((ServerError, ApiNetworkError)):
        persistent.call(method, PATH, body={})
    assert len(server.requests) == 1


def test_a_request_that_was_refused_unread_is_repeated_whatever_it_is(persistent, server):
    server.play(answer(429), answer(201, {"a": 1}))
    assert persistent.call("POST", PATH, body={"b": 2}).json() == {"a": 1}
    assert [request.json for request in server.requests] == [{"b": 2}, {"b": 2}]


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500, 501])
def test_other_refusals_are_final(persistent, server, status):
    server.play(answer(status))
    with pytest.raises(Exception, match=str(status)):
        persistent.call("GET", PATH)
    assert len(server.requests) == 1


def test_after_the_last_try_the_error_is_the_callers(persistent, server, told):
    server.play(answer(503), answer(503), answer(503))
    with pytest.raises(ServerError):
        persistent.call("GET", PATH)
    assert [record.attempt for record in told] == [1, 2, 3]


def test_a_connection_that_was_never_made_is_tried_again_even_to_write(told, free_address):
    config = Config(
        app_id=7,
        auth_key="k-5ec4e7c0de",
        api_url=free_address,
        retry=QUICK,
        observer=Requests(told.append),
    )
    api = Api(config)
    with pytest.raises(ApiNetworkError) as caught:
        api.call("POST", PATH, body={}, session="none")
    api.close()
    assert isinstance(caught.value, ApiConnectError)
    assert [record.attempt for record in told] == [1, 2, 3]
    assert {record.status for record in told} == {None}
    assert {record.error for record in told} == {ApiConnectError}
    assert {record.path for record in told} == {"/chat/Dialog"}


def test_a_connection_that_was_made_and_lost_is_known_as_such(persistent, server):
    server.play(reset)
    with pytest.raises(ApiNetworkError) as caught:
        persistent.call("POST", PATH, body={})
    assert not isinstance(caught.value, ApiConnectError)


def test_a_late_answer_is_not_asked_for_twice(persistent, server):
    release = threading.Event()
    server.play(lambda conn, request: release.wait(10))
    with pytest.raises(ApiTimeoutError):
        persistent.call("GET", PATH, timeout=0.1)
    release.set()
    assert len(server.requests) == 1


@pytest.fixture
def pauses(monkeypatch):
    taken = []
    monkeypatch.setattr("connectycube.rest._api.time.sleep", taken.append)
    return taken


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_takes_the_place_of_the_wait(persistent, server, pauses, status):
    server.play(answer(status, headers=[("Retry-After", "3")]), answer(200, {}))
    persistent.call("GET", PATH)
    assert pauses == [3.0]


@pytest.mark.parametrize("status", [429, 503])
def test_who_cannot_wait_so_long_gets_the_error_at_once(persistent, server, pauses, status):
    server.play(answer(status, headers=[("Retry-After", "60")]))
    with pytest.raises((RateLimitError, ServerError)) as caught:
        persistent.call("GET", PATH, timeout=5)
    assert caught.value.retry_after == 60
    assert pauses == []


def test_it_can_be_turned_off(server):
    config = Config(
        app_id=7, auth_key="k-5ec4e7c0de", api_url=server.url, retry=RetryPolicy(max_retries=0)
    )
    server.play(answer(503))
    api = Api(config)
    with pytest.raises(ServerError):
        api.call("GET", PATH, session="none")
    api.close()
    assert len(server.requests) == 1


# --- the observer


def test_each_request_is_told_without_secrets(persistent, server, told):
    server.play(answer(200, {"a": 1}))
    persistent.call("GET", PATH, query=[("token", "S3CRET"), ("limit", 5)])
    (record,) = told
    assert (record.method, record.status, record.bytes_received) == ("GET", 200, 8)
    assert record.path == "/chat/Dialog"
    assert record.url == f"{server.url}/chat/Dialog?token=***&limit=5"
    assert record.error is None
    assert record.seconds > 0
    assert "S3CRET" not in repr(record)


class Broken:
    """A transport of an application, which fails in a way of its own."""

    def __init__(self, send):
        self.send = send


def interrupted(request):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("send", "error"),
    [
        (interrupted, KeyboardInterrupt),
        (lambda request: {}["key"], KeyError),
        (lambda request: None, ArgumentTypeError),
    ],
)
def test_a_request_that_ends_with_any_error_is_told(told, send, error):
    cube = ConnectyCube(
        app_id=7, auth_key="k-5ec4e7c0de", transport=Broken(send), observer=Requests(told.append)
    )
    with pytest.raises(error):
        cube.login(login="bob", password="a password")
    (record,) = told
    assert (record.error, record.status, record.path) == (error, None, "/session")


def test_an_observer_that_raises_is_logged_and_breaks_no_call(server, caplog):
    def broken(record):
        raise RuntimeError("metrics are down")

    server.play(answer(200, {"user": {"id": 9}}))
    with ConnectyCube(
        app_id=7, auth_key="k-5ec4e7c0de", api_url=server.url, observer=Requests(broken)
    ) as cube:
        assert cube.users.create(login="a", password="b").id == 9
    assert "metrics are down" in caplog.text


@pytest.mark.parametrize(
    "fields",
    [
        {"observer": 5},
        {"retry": 3},
    ],
)
def test_wrong_settings_are_named(fields):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=next(iter(fields))):
        Config(app_id=7, auth_key="k-5ec4e7c0de", **fields)


def test_a_proxys_password_is_shown_nowhere():
    with pytest.raises(ArgumentValueError) as caught:
        Config(app_id=7, auth_key="k-5ec4e7c0de", proxy="ftp://me:PASSW0RD@host:1")
    assert "PASSW0RD" not in str(caught.value)
    assert "PASSW0RD" not in repr(
        Config(app_id=7, auth_key="k-5ec4e7c0de", proxy="http://me:PASSW0RD@h:1")
    )


@pytest.mark.parametrize(
    "fields", [{"max_retries": -1}, {"max_retries": 1.0}, {"delay": 0}, {"max_delay": "1"}]
)
def test_wrong_policies_are_named(fields):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=next(iter(fields))):
        RetryPolicy(**fields)
