import pytest

from connectycube import Config
from connectycube.errors import ServerError, UnexpectedResponseError
from connectycube.models import Session
from connectycube.rest import Request, Response
from connectycube.rest._api import Api
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
