import socket
import ssl
import threading

import pytest

import connectycube.testing
from connectycube import (
    ApiAuthenticationError,
    ApiConnectError,
    ApiNetworkError,
    ApiTimeoutError,
    ArgumentTypeError,
    ArgumentValueError,
    ConnectyCube,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    ValidationError,
)
from connectycube.models import Session
from connectycube.testing import MockTransport, Request, Response, UnmatchedRequestError
from tests.support.inside import api_of

USER = {"user": {"id": 7, "login": "bob"}}


@pytest.fixture
def mock():
    return MockTransport()


@pytest.fixture
def cube(mock):
    retry = RetryPolicy(max_retries=2, delay=0.001)
    with ConnectyCube(app_id=1, auth_key="K3Y", retry=retry, transport=mock) as made:
        api_of(made).adopt(Session(token="t", user_id=1))
        yield made


# --- routes


def test_a_route_answers_its_method_and_path(cube, mock):
    mock.add("GET", "/users/7", Response(json=USER))
    assert cube.users.get(7).login == "bob"


def test_requests_are_recorded_with_their_json_and_headers(cube, mock):
    mock.add("POST", "/chat/Message", Response(201, json={"_id": "m1"}))
    cube.login(login="alice", password="secret")
    assert cube.messages.create("d1", "Hello").id == "m1"
    created, sent = mock.requests
    assert (created.method, created.path) == ("POST", "/session")
    assert sent.json() == {"chat_dialog_id": "d1", "message": "Hello", "markable": 1}
    assert sent.headers["cb-token"] == "mock-token-1"
    assert mock.requests_to("post", "/chat/*") == (sent,)
    assert mock.requests_to("GET", "/chat/Message") == ()


def test_answers_are_given_in_turn_and_the_last_again(cube, mock):
    first, second = ({"user": {"id": number}} for number in (1, 2))
    mock.add("GET", "/users/*", Response(json=first), Response(json=second))
    assert [cube.users.get(5).id for _ in range(3)] == [1, 2, 2]


def test_a_function_gets_the_request(cube, mock):
    mock.add(
        "GET",
        "/users/v2",
        lambda request: Response(json={"items": [{"id": request.params["login"]}]}),
    )
    assert cube.users.get_by(login="12").id == 12


def test_the_route_that_was_added_last_comes_first(cube, mock):
    mock.add("GET", "/users/*", Response(json={"user": {"id": 1}}))
    mock.add("GET", "/users/2", Response(json={"user": {"id": 2}}))
    assert [cube.users.get(number).id for number in (2, 3)] == [2, 1]


@pytest.mark.parametrize(
    "path", ["/users/5.", "/users/", "/users", "users/55", "https://other.example/*"]
)
def test_another_path_is_not_matched(cube, mock, path):
    mock.add("GET", path, Response(json=USER))
    with pytest.raises(UnmatchedRequestError):
        cube.users.get(55)


def test_a_route_may_name_the_host(cube, mock):
    mock.add("GET", "https://api.connectycube.com/users/*", Response(json=USER))
    assert cube.users.get(7).id == 7


def test_a_request_without_a_route_names_itself_and_the_routes(cube, mock):
    mock.add("GET", "/users/7", Response(json=USER))
    with pytest.raises(UnmatchedRequestError) as caught:
        cube.dialogs.list(limit=5)
    text = str(caught.value)
    assert (
        "no route for GET /chat/Dialog (https://api.connectycube.com/chat/Dialog?limit=5)" in text
    )
    assert text.endswith("there are: POST /session, DELETE /session, GET /users/7")


def test_a_handler_answers_what_no_route_matches():
    def handler(request):
        return Response(404) if request.path == "/users/9" else Response(json=USER)

    with ConnectyCube(app_id=1, auth_key="k", transport=MockTransport(handler)) as cube:
        cube.login(login="alice", password="secret")
        assert cube.users.get(7).id == 7
        with pytest.raises(NotFoundError):
            cube.users.get(9)


def test_a_client_of_the_environment_takes_a_transport(mock):
    with ConnectyCube.from_env(app_id=1, auth_key="k", transport=mock) as cube:
        assert cube.login(login="alice", password="secret").id == 1


def test_without_a_login_no_request_is_made(mock):
    with (
        ConnectyCube(app_id=1, auth_key="k", transport=mock) as cube,
        pytest.raises(ApiAuthenticationError, match=r"cube\.login\("),
    ):
        cube.users.get(7)
    assert mock.requests == ()


# --- sessions


def test_a_session_is_created_and_destroyed_without_a_route(cube, mock):
    user = cube.login(login="alice", password="secret")
    assert (user.id, user.login) == (1, "alice")
    assert cube.session.token == "mock-token-1"
    cube.logout()
    assert cube.session is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"email": "a@example.org", "password": "p"},
        {"guest": True, "full_name": "Ann"},
        {"provider": "facebook", "token": "t"},
        {"provider": "firebase_phone", "project_id": "p", "access_token": "t"},
        {"provider": "custom_identity", "token": "t"},
    ],
)
def test_every_way_to_log_in_has_a_session(arguments):
    with ConnectyCube(app_id=1, auth_key="k", transport=MockTransport(user_id=5)) as cube:
        assert cube.login(**arguments).id == 5


def test_a_session_without_a_user_has_none():
    mock = MockTransport()
    with ConnectyCube(app_id=1, auth_key="k", auth_secret="s", transport=mock) as cube:
        assert not cube.sessions.create().user_id


def test_session_creation_can_be_refused(cube, mock):
    mock.add("POST", "/session", Response(401, json={"errors": ["Wrong password"]}))
    with pytest.raises(ApiAuthenticationError) as caught:
        cube.login(login="alice", password="secret")
    assert caught.value.messages == ("Wrong password",)


def test_a_session_that_the_service_ended_is_renewed(cube, mock):
    mock.add("GET", "/users/7", Response(401), Response(json=USER))
    cube.login(login="alice", password="secret")
    assert cube.users.get(7).id == 7
    tokens = [request.headers["CB-Token"] for request in mock.requests_to("GET", "/users/7")]
    assert tokens == ["mock-token-1", "mock-token-2"]


def test_clients_of_one_mock_have_sessions_of_their_own(cube, mock):
    cube.login(login="alice", password="secret")
    with cube.for_user(login="bob", password="secret") as other:
        assert other.session.token == "mock-token-2"
    assert cube.session.token == "mock-token-1"


# --- errors and retries


@pytest.mark.parametrize(
    ("status", "error"), [(422, ValidationError), (404, NotFoundError), (500, ServerError)]
)
def test_a_status_is_its_error(cube, mock, status, error):
    mock.add("GET", "/users/7", Response(status, json={"errors": ["no"]}))
    with pytest.raises(error):
        cube.users.get(7)


def test_what_is_temporary_is_sent_again(cube, mock):
    mock.add("GET", "/users/7", Response(503), ConnectionResetError(), Response(json=USER))
    assert cube.users.get(7).id == 7
    assert len(mock.requests) == 3


def test_a_rate_limit_says_how_long(cube, mock):
    mock.add("POST", "/chat/Message", Response(429, headers={"retry-after": "600"}))
    with pytest.raises(RateLimitError) as caught:
        cube.messages.create("d", "Hello", timeout=5)
    assert caught.value.retry_after == 600


@pytest.mark.parametrize(
    ("raised", "error", "requests"),
    [
        (ConnectionResetError("reset by peer"), ApiNetworkError, 1),
        (ConnectionRefusedError(), ApiConnectError, 3),
        (socket.gaierror("no address"), ApiConnectError, 3),
        (ssl.SSLError("bad"), ApiConnectError, 3),
        (TimeoutError, ApiTimeoutError, 1),
        (ApiTimeoutError("late", method="POST", url="u"), ApiTimeoutError, 1),
    ],
)
def test_an_error_that_is_raised_is_that_of_the_network(cube, mock, raised, error, requests):
    mock.add("POST", "/chat/Message", raised)
    with pytest.raises(error) as caught:
        cube.messages.create("d", "Hello")
    assert type(caught.value) is error
    assert len(mock.requests) == requests


def test_any_other_error_reaches_the_test(cube, mock):
    mock.add("GET", "/users/7", ZeroDivisionError("a fault in the handler"))
    with pytest.raises(ZeroDivisionError, match="a fault"):
        cube.users.get(7)


def test_a_response_that_is_cut_off_is_unexpected(cube, mock):
    mock.add("GET", "/users/7", Response(body=b'{"user"', fault="cut off"))
    with pytest.raises(Exception, match="cut off"):
        cube.users.get(7)


# --- files


def test_an_upload_goes_through_the_transport_whole(cube, mock):
    access = {"params": "https://storage.example/bucket?key=uid-1"}
    blob = {"blob": {"id": 9, "uid": "uid-1", "blob_object_access": access}}
    mock.add("POST", "/blobs", Response(201, json=blob))
    mock.add("POST", "https://storage.example/bucket", Response(201, body=b"<PostResponse/>"))
    mock.add("PUT", "/blobs/9/complete", Response(200))
    assert cube.files.upload(b"the content", name="a.txt").size == 11
    (form,) = mock.requests_to("POST", "https://storage.example/*")
    assert b"the content" in form.body
    assert "cb-token" not in form.headers


def test_a_download_follows_its_redirect_and_tells_its_progress(cube, mock, tmp_path):
    target = "https://storage.example/content?signature=s"
    mock.add("GET", "/blobs/u/download", Response(302, headers={"Location": target}))
    mock.add("GET", "https://storage.example/content", Response(body=b"the content"))
    progress = []
    path = tmp_path / "file"
    assert cube.files.download("u", to=path, progress=lambda *args: progress.append(args)) == 11
    assert path.read_bytes() == b"the content"
    assert progress == [(11, 11)]


# --- threads


def test_threads_share_one_mock(cube, mock):
    mock.add("GET", "/users/*", lambda request: Response(json={"user": {"id": request.path[7:]}}))
    wrong = []

    def work(first):
        for number in range(first, first + 50):
            if cube.users.get(number).id != number:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(1 + 50 * place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert wrong == []
    assert len(mock.requests) == 400


# --- wrong arguments


@pytest.mark.parametrize(
    "transport", [5, "https://proxy.example", object(), MockTransport().requests]
)
def test_a_transport_without_send_is_named(transport):
    with pytest.raises(ArgumentTypeError, match=r"^transport must have a method send\(request\)"):
        ConnectyCube(app_id=1, auth_key="k", transport=transport)


def test_a_transport_that_returns_no_response_is_named():
    class Wrong:
        def send(self, request):
            return {"user": {}}

    with pytest.raises(
        ArgumentTypeError, match=r"transport\.send must return .*Response, not dict"
    ):
        ConnectyCube(app_id=1, auth_key="k", transport=Wrong()).login(login="a", password="b")


def test_a_function_that_returns_no_response_is_named(cube, mock):
    mock.add("GET", "/users/7", lambda request: {"user": {}})
    with pytest.raises(
        ArgumentTypeError, match="the function for GET /users/7 must return a Response"
    ):
        cube.users.get(7)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("GET", "/users"), ArgumentValueError, "answers must not be empty"),
        (("GET", "/users", {"a": 1}), ArgumentTypeError, "answers must be Responses"),
        ((5, "/users", Response()), ArgumentTypeError, "method must be a string"),
        (("GET", None, Response()), ArgumentTypeError, "path must be a string"),
    ],
)
def test_a_wrong_route_is_named(mock, arguments, error, words):
    with pytest.raises(error, match=words):
        mock.add(*arguments)


def test_a_handler_that_cannot_be_called_is_named():
    with pytest.raises(ArgumentTypeError, match="handler must be a function"):
        MockTransport(Response())


def test_the_names_are_those_of_the_package():
    assert (Request, Response) == (connectycube.Request, connectycube.Response)
    with pytest.raises(AttributeError, match="Nothing"):
        _ = connectycube.testing.Nothing
