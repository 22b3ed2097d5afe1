import itertools
from datetime import datetime, timezone

import pytest

from connectycube import Config
from connectycube._secrets import Secret
from connectycube.config import RetryPolicy, Timeouts
from connectycube.errors import (
    ApiAuthenticationError,
    ApiNetworkError,
    ArgumentTypeError,
    ArgumentValueError,
    ClientClosedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
)
from connectycube.models import Session
from connectycube.rest import Request, Response
from connectycube.rest._api import Api
from connectycube.rest._http import CallDeadline
from connectycube.testing import MockTransport

URL = "https://api.example/blobs"
RESPONSE = Response(201, request=Request(method="POST", url=URL))


def api_at(url):
    return Api(Config(app_id=1, auth_key="k", api_url=url), transport=MockTransport())


HOSTED = ["https://api.example", "https://10.0.0.1:8/base", "https://a.localhost"]
LOCAL = ["http://127.0.0.1:4", "http://localhost", "https://localhost:4", "https://[::1]:4"]
ANYWHERE = ["https://s3.example/a?b=c", "https://10.0.0.1:5/x"]
HERE = ["http://127.0.0.1:5/x", "http://localhost/x", "https://127.0.0.1:5/x", "http://[::1]:5/x"]
PERHAPS_HERE = [
    *("https://evil.localhost/x", "https://localhost./x", "https://127.1:5/x", "https://0.0.0.0/x"),
    *("https://[::ffff:127.0.0.1]:5/x", "https://[::]/x", "https://2130706433/x"),
]
NOWHERE = [
    *("http://s3.example/a?token=S3CRET", "http://evil.localhost/token=", "http://127.1/x"),
    *("ftp://localhost/token=", "http://[/", "https://", "a", "http://0.0.0.0/", "//s3.example"),
]


@pytest.mark.parametrize("api", HOSTED)
@pytest.mark.parametrize("url", ANYWHERE)
def test_a_hosted_api_may_name_other_machines_with_tls(api, url):
    assert api_at(api).safe_url(url, RESPONSE) == url


@pytest.mark.parametrize("api", HOSTED)
@pytest.mark.parametrize("url", [*HERE, *PERHAPS_HERE, *NOWHERE])
def test_a_hosted_api_may_not_name_this_machine_or_plain_http(api, url):
    with pytest.raises(UnexpectedResponseError, match="not safe") as caught:
        api_at(api).safe_url(url, RESPONSE)
    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("api", LOCAL)
@pytest.mark.parametrize("url", [*ANYWHERE, *HERE, *PERHAPS_HERE])
def test_a_local_api_may_name_this_machine(api, url):
    assert api_at(api).safe_url(url, RESPONSE) == url


@pytest.mark.parametrize("api", LOCAL)
@pytest.mark.parametrize("url", NOWHERE)
def test_a_local_api_may_not_name_plain_http_elsewhere(api, url):
    with pytest.raises(UnexpectedResponseError, match="not safe"):
        api_at(api).safe_url(url, RESPONSE)


@pytest.mark.parametrize("location", ["//127.0.0.1:5/x", "//localhost/x"])
def test_a_relative_url_is_checked_after_it_was_joined(location):
    api = api_at(HOSTED[0])
    base = "https://s3.example/a"
    assert api.safe_url("/b?c", RESPONSE, base=base) == "https://s3.example/b?c"
    with pytest.raises(UnexpectedResponseError, match="not safe"):
        api.safe_url(location, RESPONSE, base=base)


def test_without_retries_each_request_is_sent_once_with_the_same_session():
    transport = MockTransport(lambda request: Response(503))
    api = Api(Config(app_id=1, auth_key="k-5ec4e7c0de"), transport=transport)
    once = api.without_retries()
    api.adopt(Session(token="t", user_id=7))
    with pytest.raises(ServerError):
        once.call("GET", ("chat", "Dialog"))
    assert [request.headers["CB-Token"] for request in transport.requests] == ["t"]
    assert once.user_id == 7


def test_the_error_says_which_request_was_answered_with_the_url():
    with pytest.raises(UnexpectedResponseError) as caught:
        api_at(HOSTED[0]).safe_url("ftp://s3.example/a", RESPONSE)
    error = caught.value
    assert (error.method, error.url, error.status) == ("POST", URL, 201)


# --- the steps of a call, without a socket --------------------------------------------------------

PATH = ("chat", "Dialog")
BASE = "https://api.example"
EXPIRED = datetime(2001, 1, 1, tzinfo=timezone.utc)


def api_over(handler, **options):
    """An API with a session of user 7, and the transport that answers its requests."""
    transport = MockTransport(handler)
    api = Api(
        Config(app_id=1, auth_key="k-5ec4e7c0de", api_url=BASE, **options), transport=transport
    )
    api.adopt(Session(token="t0k3n-0", user_id=7))
    return api, transport


class File:
    """What a download is written to."""

    def __init__(self):
        self.data = b""

    def begin(self, headers):
        self.data = b""

    def write(self, piece):
        self.data += piece


def downloaded(*answers):
    """Download over these answers; return the file's data and the requests."""
    left = iter(answers)
    api, transport = api_over(lambda request: next(left))
    target = File()
    api.download(("blobs", "1"), target, api.deadline(5))
    return target.data, transport.requests


def moved(location, status=302):
    return Response(status, headers={"Location": location} if location else {})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_download_follows_a_redirect_without_the_token(status):
    data, (first, second) = downloaded(
        moved("https://s3.example/a?b=c", status), Response(body=b"file")
    )
    assert data == b"file"
    assert (first.url, second.url) == (f"{BASE}/blobs/1", "https://s3.example/a?b=c")
    assert first.headers["CB-Token"] == "t0k3n-0" and "CB-Token" not in second.headers
    for request in (first, second):
        assert request.method == "GET" and request.headers["Accept-Encoding"] == "identity"
    assert "CB-SDK" in first.headers and "CB-SDK" not in second.headers


def test_a_redirect_may_be_relative_to_the_one_before():
    _, requests = downloaded(moved("https://s3.example/a/b"), moved("c"), Response(body=b""))
    assert requests[-1].url == "https://s3.example/a/c"


def test_a_download_follows_five_redirects_and_no_more():
    hops = [moved(f"/{number}") for number in range(6)]
    data, requests = downloaded(*hops[:5], Response(body=b"file"))
    assert data == b"file" and len(requests) == 6
    with pytest.raises(UnexpectedResponseError, match="302"):
        downloaded(*hops)


def test_a_redirect_to_nowhere_is_an_error():
    with pytest.raises(UnexpectedResponseError, match="302"):
        downloaded(moved(None))
    with pytest.raises(NotFoundError):
        downloaded(Response(404, headers={"Location": "/1"}))


def test_a_form_goes_to_the_storage_once_and_without_the_token():
    api, transport = api_over(lambda request: Response(503))
    url = "https://s3.example/"
    with pytest.raises(ServerError):
        api.post_form(url, "multipart/form-data", b"form", api.deadline(5), Secret({}))
    (request,) = transport.requests
    assert (request.method, request.url, request.body) == ("POST", url, b"form")
    assert request.headers["Content-Type"] == "multipart/form-data"
    assert "CB-Token" not in request.headers


def test_what_the_storage_answers_to_a_form_is_not_read():
    api, _ = api_over(lambda request: Response(201, body=b"<xml>"))
    api.post_form("https://s3.example/", "text/plain", b"", api.deadline(5), Secret({}))


def test_errors_of_the_storage_repeat_no_secret_of_the_form():
    api, _ = api_over(lambda request: Response(403, body=b"S1GNATURE-5ec4 is wrong"))
    fields = Secret({"signature": Secret("S1GNATURE-5ec4")})
    with pytest.raises(PermissionDeniedError) as caught:
        api.post_form("https://s3.example/", "text/plain", b"", api.deadline(5), fields)
    assert "S1GNATURE" not in str(caught.value)


def renewing(*live, shared=None):
    """An API whose renewals make t0k3n-1, t0k3n-2 and so on; only these tokens are live."""

    def answer(request):
        return Response(200 if request.headers.get("CB-Token") in live else 401)

    api, transport = api_over(answer)
    numbers = itertools.count(1)
    made = lambda deadline: Session(token=f"t0k3n-{next(numbers)}", user_id=7)  # noqa: E731
    api.adopt(Session(token="t0k3n-0", user_id=7), made, shared)
    return api, lambda: [request.headers.get("CB-Token") for request in transport.requests]


class Shared:
    """A place for a session that other processes renew as well."""

    def obtain(self, stale, deadline, create):
        return create(deadline)


def test_a_session_that_another_process_made_may_have_ended_as_well():
    api, tokens = renewing("t0k3n-2", shared=Shared())
    assert api.call("GET", PATH).status == 200
    assert tokens() == ["t0k3n-0", "t0k3n-1", "t0k3n-2"]
    assert api.shared_session is not None


@pytest.mark.parametrize(("shared", "requests"), [(None, 2), (Shared(), 3)])
def test_a_call_renews_once_and_a_shared_session_twice(shared, requests):
    api, tokens = renewing(shared=shared)
    with pytest.raises(ApiAuthenticationError):
        api.call("GET", PATH)
    assert len(tokens()) == requests


def test_a_shared_session_that_nobody_renews_is_what_there_is():
    nobody = Shared()
    nobody.obtain = lambda stale, deadline, create: None
    api, tokens = renewing(shared=nobody)
    assert api.live_session(refused=Secret("t0k3n-0")).token == "t0k3n-0"
    assert tokens() == []


def test_a_download_renews_the_session_as_a_call_does():
    api, tokens = renewing("t0k3n-1")
    api.download(("blobs", "1"), File(), api.deadline(5))
    assert tokens() == ["t0k3n-0", "t0k3n-1"]


def test_without_a_session_there_is_no_user():
    api, _ = api_over(lambda request: Response(200))
    api.identify(Session(token="t0k3n-0", user_id=7, id="9"))
    assert (api.user_id, api.session.id) == (7, "9")
    api.forget(api.session)
    assert api.user_id is None


def test_a_live_session_of_another_process_is_tried_first():
    api, tokens = renewing("t0k3n-2", shared=Shared())
    assert api.live_session(refused=Secret("t0k3n-0")).token == "t0k3n-2"
    assert tokens() == ["t0k3n-1", "t0k3n-2"]


def test_an_own_new_session_is_not_tried():
    api, tokens = renewing()
    assert api.live_session(refused=Secret("t0k3n-0")).token == "t0k3n-1"
    assert tokens() == []


def test_an_expired_session_without_a_renewal_is_sent_all_the_same():
    api, transport = api_over(lambda request: Response(200))
    api._state.expires(api.session, EXPIRED)
    assert api.live_session().token == "t0k3n-0"
    api.call("GET", PATH)
    assert [request.headers["CB-Token"] for request in transport.requests] == ["t0k3n-0"]


def test_a_call_that_renews_nothing_sends_an_expired_token():
    api, tokens = renewing("t0k3n-0")
    api._state.expires(api.session, EXPIRED)
    api.call("GET", PATH, renew=False)
    assert tokens() == ["t0k3n-0"]


def test_no_live_session_is_found_once_the_client_is_closed():
    api, transport = api_over(lambda request: Response(200))
    api.close()
    with pytest.raises(ClientClosedError):
        api.live_session()
    with pytest.raises(ClientClosedError):
        api.call("GET", PATH)
    assert transport.requests == ()


def test_a_session_without_a_token_sends_none():
    api, transport = api_over(lambda request: Response(200))
    api.adopt(Session(user_id=7))
    api.call("GET", PATH)
    assert "CB-Token" not in transport.requests[0].headers


def test_a_call_has_the_configured_time_or_its_own():
    times = Timeouts(rest_connect=2.0, rest_read=3.0)
    api, transport = api_over(lambda request: Response(200), timeouts=times)
    assert (api.deadline(None).seconds, api.deadline(7).seconds) == (5.0, 7.0)
    given = CallDeadline(9)
    assert api.deadline(given) is given
    assert api.deadline(0.001).seconds == 0.001
    with pytest.raises(ArgumentValueError, match="timeout"):
        api.deadline(0.0009)
    api.call("GET", PATH)
    assert transport.requests[0].connect_timeout == 2.0


def test_the_services_time_is_that_of_the_api_alone():
    dates = iter(["", "Mon, 01 Jan 2001 10:00:00 GMT", "Mon, 01 Jan 2035 10:00:00 GMT"])
    api, _ = api_over(lambda request: Response(200, headers={"Date": next(dates)}))
    api.call("GET", PATH)
    assert api.service_time() is None
    api.call("GET", PATH)
    at = datetime(2001, 1, 1, 10, tzinfo=timezone.utc).timestamp()
    assert at <= api.service_time() < at + 60
    api.post_form("https://s3.example/", "text/plain", b"", api.deadline(5), Secret({}))
    assert api.service_time() < at + 60


def test_only_a_body_has_a_content_type():
    api, transport = api_over(lambda request: Response(200))
    api.call("GET", PATH)
    api.call("POST", PATH, body={})
    without, with_body = transport.requests
    accepted = [without.headers[name] for name in ("Accept", "Accept-Encoding")]
    assert accepted == ["application/json", "gzip"]
    assert "Content-Type" not in without.headers
    assert (with_body.headers["Content-Type"], with_body.body) == ("application/json", b"{}")
    assert with_body.headers["User-Agent"].startswith("connectycube-python/")


def test_a_header_that_none_can_hold_is_refused_by_its_name():
    api, transport = api_over(lambda request: Response(200))
    for value in ("a\nb", Secret("a\nb")):
        with pytest.raises(ArgumentValueError, match="CB-AuthKey holds characters"):
            api.call("GET", PATH, headers={"CB-AuthKey": value})
    assert transport.requests == ()


@pytest.mark.parametrize(
    ("transport", "words"), [(object(), "must have a method send"), (File(), "none")]
)
def test_a_transport_without_send_is_refused(transport, words):
    with pytest.raises(ArgumentTypeError, match=words):
        Api(Config(app_id=1, auth_key="k"), transport=transport)


def test_a_transport_whose_send_takes_no_request_is_refused():
    class Wrong:
        def send(self):
            """Send nothing."""

    with pytest.raises(ArgumentTypeError, match=r"transport\.send"):
        Api(Config(app_id=1, auth_key="k"), transport=Wrong())


def test_a_transport_may_return_one_response_many_times():
    response = Response(200, json={})
    api, transport = api_over(lambda request: response)
    for path in (PATH, ("users",)):
        assert api.call("GET", path).request.url == api.url(path)
    assert response.request is None
    assert api.transport is transport
    assert repr(api) == f"<Api {BASE}>"


def test_a_request_is_repeated_as_often_as_the_policy_says(monkeypatch):
    monkeypatch.setattr("connectycube.rest._api.time.sleep", lambda seconds: None)
    api, transport = api_over(lambda request: Response(503), retry=RetryPolicy(max_retries=2))
    with pytest.raises(ServerError):
        api.call("GET", PATH)
    assert len(transport.requests) == 3


def test_a_retry_waits_only_if_the_deadline_leaves_time(monkeypatch):
    pauses = []
    monkeypatch.setattr("connectycube.rest._api.time.sleep", pauses.append)
    for failure in (ConnectionRefusedError(), Response(429, headers={"Retry-After": "6"})):
        api, _ = api_over(None, retry=RetryPolicy(max_retries=1, delay=40.0, max_delay=40.0))
        api.transport.add("GET", "/chat/Dialog", failure)
        with pytest.raises((ApiNetworkError, RateLimitError)):
            api.call("GET", PATH, timeout=5)
    assert pauses == []
