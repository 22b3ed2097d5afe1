import threading
from contextlib import nullcontext
from datetime import datetime, timezone

import pytest

from connectycube._secrets import Secret
from connectycube.client import ConnectyCube
from connectycube.config import Config, Timeouts
from connectycube.errors import (
    ApiAuthenticationError,
    ArgumentTypeError,
    ArgumentValueError,
    ClientClosedError,
)
from connectycube.models import ChatState, DialogRef, Message, User
from tests.support.inside import api_of
from tests.support.scripted_http import ScriptedHttpServer, answer, refusal

SESSION = {
    "session": {"token": "T0KEN-5ec4e7c0de", "user_id": 5, "user": {"id": 5, "login": "bob"}}
}


@pytest.fixture
def server():
    with ScriptedHttpServer() as scripted:
        yield scripted


@pytest.fixture
def cube(server):
    with ConnectyCube(app_id=7, auth_key="K3Y", auth_secret="S3CRET", api_url=server.url) as made:
        yield made


# --- made


def test_it_is_made_from_fields_of_config():
    cube = ConnectyCube(
        app_id=7, auth_key="k-5ec4e7c0de", timeouts=Timeouts(rest_read=1), workers=2
    )
    assert (cube.config.app_id, cube.config.timeouts.rest_read, cube.config.workers) == (7, 1, 2)


def test_it_is_made_from_a_config():
    config = Config(app_id=7, auth_key="k-5ec4e7c0de")
    assert ConnectyCube(config=config).config is config


def test_it_is_made_from_the_environment(monkeypatch):
    monkeypatch.setenv("CONNECTYCUBE_APP_ID", "7")
    monkeypatch.setenv("CONNECTYCUBE_AUTH_KEY", "from-env")
    cube = ConnectyCube.from_env(app_id=8)
    assert (cube.config.app_id, cube.config.auth_key) == (8, "from-env")


@pytest.mark.parametrize(
    ("arguments", "cls", "name"),
    [
        ({}, ArgumentTypeError, "app_id"),
        ({"app_id": 7}, ArgumentTypeError, "auth_key"),
        ({"app_id": "7", "auth_key": "k"}, ArgumentTypeError, "app_id"),
        ({"app_id": 7, "auth_key": "k", "api_key": "x"}, ArgumentTypeError, "api_key"),
        ({"appId": 7, "authKey": "k"}, ArgumentTypeError, "did you mean app_id"),
        ({"config": "x"}, ArgumentTypeError, "config"),
        (
            {"config": Config(app_id=7, auth_key="k-5ec4e7c0de"), "app_id": 7},
            ArgumentTypeError,
            "app_id",
        ),
        (
            {"app_id": 7, "auth_key": "k", "api_url": "http://example.org"},
            ArgumentValueError,
            "api_url",
        ),
    ],
)
def test_wrong_arguments_are_refused_by_name(arguments, cls, name):
    with pytest.raises(cls, match=name):
        ConnectyCube(**arguments)


def test_making_one_starts_no_thread_and_sends_nothing(server):
    before = threading.active_count()
    ConnectyCube(app_id=7, auth_key="k-5ec4e7c0de", api_url=server.url)
    assert threading.active_count() == before
    assert server.connections == []


# --- the session


@pytest.mark.parametrize("name", ["login", "email"])
def test_login_makes_a_session_of_the_user(cube, server, name):
    server.play(answer(201, SESSION))
    assert cube.login(**{name: "bob", "password": "p-5ec4e7c0de"}) == User(id=5, login="bob")
    assert cube.user == User(id=5, login="bob")
    assert cube.session.token == "T0KEN-5ec4e7c0de"
    assert server.requests[0].json["user"] == {name: "bob", "password": "p-5ec4e7c0de"}


def test_login_returns_the_user_also_where_the_session_names_only_its_id(cube, server):
    server.play(answer(201, {"session": {"token": "t", "user_id": 5}}))
    assert cube.login(login="bob", password="p-5ec4e7c0de") == User(id=5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"password": "p-5ec4e7c0de"},
        {"login": "a", "email": "b", "password": "p-5ec4e7c0de"},
        {"login": "a", "password": None},
        {"login": "a", "password": "p-5ec4e7c0de", "timeout": 0},
    ],
)
def test_wrong_arguments_of_login_send_nothing(cube, server, arguments):
    with pytest.raises((ArgumentTypeError, ArgumentValueError)):
        cube.login(**arguments)
    assert server.connections == []


@pytest.mark.parametrize(
    ("arguments", "keywords", "words"),
    [
        (["alice", "a password"], {}, r"keywords: cube\.login\(login=…, password=…\)"),
        ([], {"username": "alice", "password": "p-5ec4e7c0de"}, "did you mean login"),
        ([], {"login": "alice", "passwd": "p"}, "did you mean password"),
        ([], {"login": "alice"}, "password is missing: login and password go together"),
        ([], {"email": "a@example.org"}, "password is missing: email and password go together"),
    ],
)
def test_a_wrong_login_says_what_to_do(cube, server, arguments, keywords, words):
    with pytest.raises(ArgumentTypeError, match=words):
        cube.login(*arguments, **keywords)
    if not arguments:
        with pytest.raises(ArgumentTypeError, match=words):
            cube.for_user(**keywords)
    assert server.connections == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: ConnectyCube(7, "k"),
        lambda: ConnectyCube.from_env(appId=7),
        lambda: Config(app_id=7, auth_key="k-5ec4e7c0de").replace(apiUrl="https://a.example"),
    ],
)
def test_a_wrong_field_of_the_configuration_says_what_to_do(call):
    with pytest.raises(ArgumentTypeError, match=r"app_id|api_url"):
        call()


def test_a_failed_login_leaves_no_session(cube, server):
    server.play(refusal(401, "Unauthorized"))
    with pytest.raises(ApiAuthenticationError):
        cube.login(login="bob", password="p-5ec4e7c0de")
    assert (cube.session, cube.user) == (None, None)


def test_logout_ends_the_session_and_twice_is_once(cube, server):
    server.play(answer(201, SESSION), answer(200))
    cube.login(login="bob", password="p-5ec4e7c0de")
    cube.logout()
    cube.logout()
    assert (cube.session, cube.user) == (None, None)
    assert [request.method for request in server.requests] == ["POST", "DELETE"]


def test_a_session_of_the_application_is_nobodys(cube, server):
    server.play(answer(201, {"session": {"token": "t", "user_id": 0}}))
    cube.sessions.create()
    assert cube.user is None


def test_its_repr_tells_who_it_is_and_no_secret(cube, server):
    assert repr(cube) == f"<ConnectyCube app 7 at {server.url}, no user>"
    server.play(answer(201, SESSION))
    cube.login(login="bob", password="PASSW0RD-5ec4e7c0de")
    assert repr(cube) == f"<ConnectyCube app 7 at {server.url}, user 5>"
    for secret in ("T0KEN-5ec4e7c0de", "K3Y", "S3CRET", "PASSW0RD-5ec4e7c0de"):
        assert secret not in repr(vars(cube)) + repr(cube.config) + repr(cube.session)


# --- other users


def test_another_users_client_shares_the_connections(cube, server):
    server.play(answer(201, SESSION), answer(200, {"user": {"id": 9}}), answer(200, {"user": {}}))
    other = cube.for_user(login="bob", password="p-5ec4e7c0de")
    assert (other.user.id, cube.session) == (5, None)
    assert other.users.get(9).id == 9
    other.close()
    cube.users.reset_password("b@example.org")
    assert len(server.connections) == 1
    assert "cb-token" not in server.requests[2].headers


def test_a_session_that_exists_already_is_used(cube, server):
    server.play(answer(200, {"user": {"id": 9}}), refusal(401, "gone"))
    other = cube.with_token("theirs")
    assert server.connections == []
    other.users.get(9)
    assert server.requests[0].headers["cb-token"] == "theirs"
    with pytest.raises(ApiAuthenticationError):
        other.users.get(9)
    other.close()


def test_a_session_by_token_can_be_renewed_by_the_application(cube, server):
    server.play(refusal(401, "gone"), answer(200, {"user": {"id": 9}}))
    other = cube.with_token("old", user_id=5, renew_session=lambda session: "new")
    assert other.users.get(9).id == 9
    assert (other.session.token, other.user) == ("new", User(id=5))


def test_the_chat_asks_whose_token_it_is_once(cube, server):
    server.play(answer(200, SESSION))
    other = cube.with_token("theirs")
    for _ in range(2):
        assert other._chat_credentials() == (User(id=5, login="bob"), Secret("theirs"))
    assert [request.path for request in server.requests] == ["/session"]
    assert cube.with_token("theirs", user_id=5)._chat_credentials() == (
        User(id=5),
        Secret("theirs"),
    )


@pytest.mark.parametrize("arguments", [{"token": ""}, {"token": 5}, {"token": "t", "user_id": 0}])
def test_wrong_tokens_are_refused(cube, server, arguments):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=next(reversed(arguments))):
        cube.with_token(**arguments)


# --- what the chat needs


def test_chat_credentials_are_the_user_and_the_token(cube, server):
    server.play(answer(201, SESSION))
    cube.login(login="bob", password="p-5ec4e7c0de")
    assert cube._chat_credentials() == (User(id=5, login="bob"), Secret("T0KEN-5ec4e7c0de"))


def test_chat_credentials_of_an_expired_session_are_renewed(cube, server):
    expired = [("CB-Token-ExpirationDate", "2001-01-01 00:00:00 UTC")]
    server.play(
        answer(201, SESSION, headers=expired),
        answer(201, {"session": {"token": "new", "user_id": 5}}),
    )
    cube.login(login="bob", password="p-5ec4e7c0de")
    assert cube._chat_credentials() == (User(id=5), Secret("new"))


def test_without_a_users_session_there_are_no_chat_credentials(cube, server):
    with pytest.raises(ArgumentValueError, match="login"):
        cube._chat_credentials()


def test_stored_ids_of_a_dialog_are_looked_up(cube, server):
    server.play(answer(201, SESSION), answer(200, {"items": [{"_id": "a"}]}))
    cube.login(login="bob", password="p-5ec4e7c0de")
    assert cube._stored_ids(DialogRef(id="d"), ["a", "b"]) == {"a"}


def test_the_chat_asks_history_of_this_session(cube, server):
    date = [("Date", "Mon, 01 Jan 2001 10:00:00 GMT")]
    item = {"_id": "d", "type": 3, "occupants_ids": [5, 6], "last_message_date_sent": 2_000_000_000}
    server.play(
        answer(201, SESSION, headers=date),
        answer(200, {"items": []}, headers=date),
        answer(200, {"items": [item], "limit": 100}),
        answer(200, {"items": [], "limit": 100}),
        answer(200, {"items": [{"_id": "m"}], "limit": 100}),
    )
    history = cube._history()
    assert history.service_time() is None
    cube.login(login="bob", password="p-5ec4e7c0de")
    history.ask_time()
    since = datetime.fromtimestamp(1_000_000_000, timezone.utc)
    assert history.service_time() >= 978_343_200
    (dialog,) = history.changed_dialogs(since)
    assert dialog == DialogRef.private(6, "d")
    ((message,),) = history.messages(dialog, since)
    assert (message.id, message.dialog) == ("m", dialog)


# --- the end


@pytest.mark.parametrize(
    "call",
    [
        lambda cube: cube.users.get(9),
        lambda cube: cube.login(login="bob", password="p-5ec4e7c0de"),
        lambda cube: cube.logout(),
        lambda cube: cube.files.upload(b"x", name="a"),
        lambda cube: cube.files.download("u"),
        lambda cube: next(cube.messages.iter("d")),
        lambda cube: cube.with_token("t"),
        lambda cube: cube.for_user(login="ann", password="p-5ec4e7c0de"),
        lambda cube: cube.__enter__(),
    ],
)
def test_close_closes_the_connections_and_refuses_later_calls(cube, server, call):
    server.play(answer(201, SESSION))
    cube.login(login="bob", password="p-5ec4e7c0de")
    cube.close()
    assert cube.session is not None
    with pytest.raises(ClientClosedError):
        call(cube)
    assert len(server.requests) == 1


def test_a_closed_client_says_so_also_without_a_session(cube, server):
    cube.close()
    with pytest.raises(ClientClosedError):
        cube.dialogs.list()
    assert server.requests == []


def test_a_closed_client_opens_no_chat(cube, server):
    server.play(answer(201, SESSION))
    cube.login(login="bob", password="p-5ec4e7c0de")
    chat = cube.chat
    cube.close()
    with pytest.raises(ClientClosedError):
        chat.login()
    cube.close()


CHAT_CALLS = {
    "connect": lambda chat: chat.message_received.connect(lambda chat, message: None),
    "connect as a decorator": lambda chat: chat.typing_started.connect()(lambda chat, event: None),
    "connect_via": lambda chat: chat.message_received.connect_via(chat)(lambda chat, event: None),
    "around": lambda chat: chat.around(lambda chat, signal, event, receiver: nullcontext()),
    "login": lambda chat: chat.login(9, "p"),
    "login of a User": lambda chat: chat.login(User(id=9), "p", timeout=1.0),
    "login with the session": lambda chat: chat.login(),
    "relogin": lambda chat: chat.relogin(),
    "with": lambda chat: chat.__enter__(),
    "wait": lambda chat: chat.wait(),
    "wait_until_ready": lambda chat: chat.wait_until_ready(),
    "wait_for": lambda chat: chat.wait_for(chat.message_received),
    "events": lambda chat: chat.events(chat.message_received),
    "send_private": lambda chat: chat.send_private(5, "x"),
    "send_message": lambda chat: chat.send_message(DialogRef.room("d"), "x"),
    "send_message by id": lambda chat: chat.send_message("5c094c0ce588ce6856f87422", "x"),
    "send_typing": lambda chat: chat.send_typing(DialogRef.private(5)),
    "mark_read": lambda chat: chat.mark_read(Message(id="m", sender_id=5)),
    "ping": lambda chat: chat.ping(),
    "join": lambda chat: chat.join("d"),
    "contacts": lambda chat: chat.contacts.list(),
    "privacy": lambda chat: chat.privacy.blocked(),
}


@pytest.mark.parametrize("is_used", [True, False], ids=["used before", "first used now"])
@pytest.mark.parametrize("call", CHAT_CALLS)
def test_the_chat_of_a_closed_client_refuses_every_call(cube, server, call, is_used):
    server.play(answer(201, SESSION))
    cube.login(login="bob", password="p")
    if is_used:
        assert cube.chat.state is ChatState.IDLE
    cube.close()
    with pytest.raises(ClientClosedError):
        CHAT_CALLS[call](cube.chat)
    assert not cube.chat.logout()
    assert not cube.chat.destroy()
    assert cube.chat.state is ChatState.IDLE


def test_a_client_that_shares_the_connections_outlives_the_first(cube, server):
    server.play(answer(201, SESSION), answer(200, {"user": {"id": 9}}))
    other = cube.for_user(login="bob", password="p-5ec4e7c0de")
    cube.close()
    assert other.users.get(9).id == 9
    other.close()


def test_as_a_context_manager_it_closes(server):
    server.play(answer(201, SESSION))
    with ConnectyCube(app_id=7, auth_key="k-5ec4e7c0de", api_url=server.url) as cube:
        cube.login(login="bob", password="p-5ec4e7c0de")
        adapter = api_of(cube).transport._adapter
        assert adapter.poolmanager.pools.keys()
    assert not adapter.poolmanager.pools.keys()
