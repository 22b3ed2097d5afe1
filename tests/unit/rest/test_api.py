import pytest

from connectycube import Config
from connectycube.errors import ServerError, UnexpectedResponseError
from connectycube.models import Session
from connectycube.rest import Request, Response
from connectycube.rest._api import Api, safe_url
from connectycube.testing import MockTransport

URL = "https://api.example/blobs"
RESPONSE = Response(201, request=Request(method="POST", url=URL))


@pytest.mark.parametrize(
    "url", ["https://s3.example/a?b=c", "http://127.0.0.1:5/x", "http://localhost/x"]
)
def test_tls_and_this_machine_are_safe(url):
    assert safe_url(url, RESPONSE) == url


def test_a_relative_url_is_of_the_base():
    base = "https://s3.example/a"
    assert safe_url("/b?c", RESPONSE, base=base) == "https://s3.example/b?c"


@pytest.mark.parametrize(
    "url",
    ["http://s3.example/a?token=S3CRET", "ftp://localhost/token=", "http://[/", "https://", "a"],
)
def test_everything_else_is_not_and_shows_no_secret(url):
    with pytest.raises(UnexpectedResponseError, match="not safe") as caught:
        safe_url(url, RESPONSE)
    assert "S3CRET" not in str(caught.value)


def test_without_retries_each_request_is_sent_once_with_the_same_session():
    transport = MockTransport(lambda request: Response(503))
    api = Api(Config(app_id=1, auth_key="k"), transport=transport)
    once = api.without_retries()
    api.adopt(Session(token="t", user_id=7))
    with pytest.raises(ServerError):
        once.call("GET", ("chat", "Dialog"))
    assert [request.headers["CB-Token"] for request in transport.requests] == ["t"]
    assert once.user_id == 7


def test_the_error_says_which_request_was_answered_with_the_url():
    with pytest.raises(UnexpectedResponseError) as caught:
        safe_url("ftp://s3.example/a", RESPONSE)
    error = caught.value
    assert (error.method, error.url, error.status) == ("POST", URL, 201)
