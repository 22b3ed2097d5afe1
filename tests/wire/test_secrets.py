"""Ways in which a call fails: none shows a secret. ``Canaries`` looks through each error."""

import contextlib
import http.client
import json
import logging
import pickle

import pytest

from connectycube import Config, ConnectyCube, MemoryTokenStore, RetryPolicy, Timeouts, _dial
from connectycube.emulator import Emulator
from connectycube.errors import ConnectyCubeError
from connectycube.rest import _deadline_adapter
from tests.support.canaries import MARK, Canaries
from tests.support.inside import api_of
from tests.support.observing import Requests
from tests.support.people import Person
from tests.support.ports import free_port
from tests.support.scripted_http import ScriptedHttpServer, answer, refusal, reset, silent

KEY, SECRET = f"an auth key {MARK}".replace(" ", "-"), f"an auth secret {MARK}"
ADMIN_KEY = f"an-admin-key-{MARK}"
PASSWORD, TOKEN = f"a password {MARK}", f"token-{MARK}"
SESSION = {"session": {"token": TOKEN, "user_id": 5, "user": {"id": 5, "login": "bob"}}}


@pytest.fixture
def server():
    with ScriptedHttpServer() as scripted:
        yield scripted


@pytest.fixture
def cube(server):
    with ConnectyCube(
        app_id=7,
        auth_key=KEY,
        auth_secret=SECRET,
        admin_key=ADMIN_KEY,
        api_url=server.url,
        retry=RetryPolicy(max_retries=0),
        timeouts=Timeouts(rest_connect=0.5, rest_read=0.5),
    ) as made:
        yield made


@contextlib.contextmanager
def fails_without_a_secret(kind=Exception, match=None):
    with pytest.raises(kind, match=match) as caught:
        yield caught
    seen = Canaries()
    seen.look_at_error(caught.value)
    assert seen.hits == []


def repeat_request(request):
    return refusal(422, request.content.decode(), repr(request.headers), request.raw_path)


def repeat_as(body):
    """Answer with what the client sent, in another shape than it expects."""

    def respond(request):
        return answer(200, [request.content.decode(), request.headers] if body is None else body)

    return respond


FOUND = json.dumps({"token": TOKEN, "user_id": 5})


class Tokens(MemoryTokenStore):
    """A store that has this value for every key, and repeats the values that it is given in errors."""

    def __init__(self, found=None):
        super().__init__()
        self.found = found

    def get(self, key):
        return self.found

    def set(self, key, value, seconds):
        raise OSError(f"cannot keep {value}")


def sharing(cube, found=None):
    """Return the client of another process, with a token store; it shares the connections."""
    config = cube.config.replace(token_store=Tokens(found))
    return ConnectyCube(config=config, transport=api_of(cube).transport)


CALLS = {
    "login": lambda cube: cube.login(login="bob", password=PASSWORD),
    "login at a provider": lambda cube: cube.login(provider="twitter", token=TOKEN, secret=SECRET),
    "own provider": lambda cube: cube.login(provider="custom_identity", token=TOKEN),
    "firebase": lambda cube: cube.login(
        provider="firebase_email", project_id="p", access_token=TOKEN
    ),
    "other user": lambda cube: cube.for_user(email="bob@example.org", password=PASSWORD),
    "shared session": lambda cube: sharing(cube).for_user(login="bob", password=PASSWORD),
    "shared session that ended": lambda cube: (
        sharing(cube, FOUND).for_user(email="bob@example.org", password=PASSWORD).dialogs.list()
    ),
    "sign-up": lambda cube: cube.users.create(login="bob", password=PASSWORD),
    "new password": lambda cube: cube.with_token(TOKEN).users.update(
        5, password=PASSWORD, old_password=f"{PASSWORD} of old"
    ),
    "push": lambda cube: cube.with_token(TOKEN).push.subscribe(
        channel="gcm", platform="android", udid="u", environment="production", token=f"of {MARK}"
    ),
    "web push": lambda cube: cube.with_token(TOKEN).push.subscribe(
        channel="web",
        platform="web",
        udid="u",
        environment="production",
        web_endpoint=f"https://push.example/{MARK}",
        web_auth=f"auth-{MARK}",
        web_p256dh=f"key-{MARK}",
    ),
    "session": lambda cube: cube.with_token(TOKEN).sessions.info(),
    "list": lambda cube: cube.with_token(TOKEN, user_id=5).dialogs.list(),
    "all messages": lambda cube: next(cube.admin.messages.iter()),
    "any dialog": lambda cube: cube.admin.dialogs.update("6a1f00aa11bb22cc33dd4401", name="x"),
    "any user": lambda cube: cube.admin.users.delete(5),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "respond",
    [
        repeat_request,
        repeat_as(None),
        lambda request: answer(201, {"session": {"echo": request.content.decode()}, "items": 5}),
        lambda request: answer(200, content=request.content + b"not JSON"),
        lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + request.content[:9],
        lambda request: f"NOT HTTP {request.content.decode()}\r\n\r\n".encode(),
        lambda request: f"HTTP/1.1 302 F\r\nLocation: http://x/?token={TOKEN}\r\n\r\n".encode(),
        lambda request: reset,
        lambda request: silent,
    ],
    ids=["echo", "list", "object", "garbage", "cut", "no HTTP", "redirect", "reset", "silence"],
)
def test_a_call_that_fails_shows_no_secret(cube, server, call, respond):
    server.respond(respond)
    with contextlib.suppress(ConnectyCubeError):  # some read what they can of an odd answer
        call(cube)
    server.respond(repeat_request)
    with fails_without_a_secret(ConnectyCubeError):
        call(cube)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_interrupted_call_shows_no_secret(cube, server, call, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    server.respond(repeat_request)
    for owner, name in (
        (_deadline_adapter._Reader, "readinto"),
        (_deadline_adapter._DeadlineSocket, "sendall"),
        (_dial.Attempt, "_connect"),
    ):
        with monkeypatch.context() as patch, fails_without_a_secret(KeyboardInterrupt):
            patch.setattr(owner, name, interrupted)
            call(cube)


WRONG = {
    "misspelt": lambda cube: cube.login(login="bob", pasword=PASSWORD),
    "another's word": lambda cube: cube.login(login="bob", passwd=PASSWORD),
    "positional": lambda cube: cube.login("bob", PASSWORD),
    "bytes": lambda cube: cube.login(login="bob", password=PASSWORD.encode()),
    "half a character": lambda cube: cube.login(login="bob", password=f"{PASSWORD}\ud800"),
    "together": lambda cube: cube.login(login="bob", password=PASSWORD, provider="twitter"),
    "guest": lambda cube: cube.login(guest=True, token=TOKEN),
    "for_user": lambda cube: cube.for_user(login="bob", pasword=PASSWORD),
    "token": lambda cube: cube.with_token([TOKEN]),
    "token of a header": lambda cube: cube.with_token(f"{TOKEN}\r\nX: y").dialogs.list(),
    "user id": lambda cube: cube.with_token(TOKEN, user_id="5"),
    "no old one": lambda cube: cube.users.update(5, password=PASSWORD),
    "push": lambda cube: cube.push.subscribe(token=TOKEN, pasword=PASSWORD),
    "chat": lambda cube: cube.chat.login(5, PASSWORD.encode()),
    "chat without user": lambda cube: cube.chat.login(password=PASSWORD),
    "chat, NUL": lambda cube: cube.chat.login(5, f"{PASSWORD}\0"),
    "replace": lambda cube: cube.config.replace(auth_secret=SECRET, app_id=-1),
    "app id": lambda cube: ConnectyCube(app_id=SECRET, auth_key=KEY),
    "config": lambda cube: Config(app_id=1, auth_key=KEY.encode(), auth_secret=[SECRET]),
    "proxy": lambda cube: Config(app_id=1, auth_key=KEY, proxy=f"ftp://me:{PASSWORD}@h:1"),
    "URL": lambda cube: Config(app_id=1, auth_key=KEY, api_url=f"https://me:pa/{MARK}@h:x"),
    "URL's port": lambda cube: Config(app_id=1, auth_key=KEY, api_url=f"https://me:{MARK}/x"),
    "admin key": lambda cube: Config(app_id=1, auth_key=KEY, admin_key=ADMIN_KEY.encode()),
    "admin key of a header": lambda cube: ConnectyCube(
        app_id=1, auth_key=KEY, admin_key=f"{ADMIN_KEY}\n"
    ).admin.messages.list(),
    "admin key, misspelt": lambda cube: ConnectyCube(app_id=1, auth_key=KEY, adminkey=ADMIN_KEY),
    "no field": lambda cube: ConnectyCube(app_id=1, auth_key=KEY, auth_secrt=SECRET),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_a_wrong_argument_shows_no_secret(cube, call):
    with fails_without_a_secret():
        call(cube)


@pytest.mark.parametrize(
    "variable",
    ["APP_ID", "API_URL", "CHAT_HOST", "CHAT_PORT", "CA_FILE", "AUTH_SECRET", "ADMIN_KEY"],
)
def test_a_secret_in_the_wrong_variable_is_not_repeated(variable):
    known = {"CONNECTYCUBE_AUTH_KEY": KEY, "CONNECTYCUBE_AUTH_SECRET": SECRET}
    wrong = {f"CONNECTYCUBE_{variable}": f"{SECRET}\ud800"}
    with fails_without_a_secret(ConnectyCubeError):
        Config.from_env({"CONNECTYCUBE_APP_ID": "1", **known, **wrong})


def test_a_proxy_that_is_out_of_reach_shows_no_password():
    proxy = f"http://me:{MARK}@127.0.0.1:{free_port()}"
    retry = RetryPolicy(max_retries=0)
    with (
        ConnectyCube(
            app_id=1, auth_key=KEY, proxy=proxy, api_url="https://elsewhere.example", retry=retry
        ) as cube,
        fails_without_a_secret(ConnectyCubeError),
    ):
        cube.login(login="bob", password=PASSWORD)


def test_a_renewal_that_fails_shows_no_secret(server, cube):
    class Odd(Exception):
        pass

    def renew(session):
        raise Odd("no")

    other = cube.with_token(TOKEN, renew_session=renew)
    server.respond(lambda request: refusal(401, f"gone: {TOKEN}"))
    with fails_without_a_secret(Odd) as caught:
        other.dialogs.list()
    assert "renew" in [frame.name for frame in caught.traceback]
    with fails_without_a_secret(ConnectyCubeError):
        cube.with_token(TOKEN, renew_session=lambda session: TOKEN.encode()).dialogs.list()


def test_a_token_store_that_repeats_its_values_shows_no_secret(cube, server):
    server.respond(lambda request: answer(201, SESSION))
    sharing(cube).for_user(login="bob", password=PASSWORD)  # Canaries look through the warnings
    sharing(cube, f"{TOKEN} is no JSON").for_user(login="bob", password=PASSWORD)


def test_the_observer_and_the_log_get_no_secret(server):
    told = []
    observer = Requests(told.append)
    with ConnectyCube(app_id=1, auth_key=KEY, api_url=server.url, observer=observer) as cube:
        server.respond(lambda request: reset)
        with fails_without_a_secret(ConnectyCubeError):
            cube.login(login="bob", password=PASSWORD)
    seen = Canaries()
    seen.look_at("records", repr(told))
    assert seen.hits == [] and told


def test_the_debug_switch_of_http_client_prints_nothing(cube, server, capsys, monkeypatch):
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 5)
    server.respond(repeat_request)
    with fails_without_a_secret(ConnectyCubeError):
        cube.login(login="bob", password=PASSWORD)
    assert capsys.readouterr().out == ""


def test_urllib3_logs_no_signature_of_a_download(cube, server, caplog):
    caplog.set_level(logging.DEBUG)
    signed = f"{server.url}/bucket/file?X-Amz-Signature={MARK}&X-Amz-Date=1"
    server.play(
        answer(302, headers=[("Location", signed)]),
        answer(200, content=b"content"),
    )
    assert cube.with_token(TOKEN).files.download("a" * 32) == b"content"
    assert "X-Amz-Signature=***&X-Amz-Date=1" in caplog.text
    assert MARK not in caplog.text


def test_what_shows_itself_shows_no_secret(cube, server):
    server.respond(lambda request: answer(201, SESSION))
    cube.login(login="bob", password=PASSWORD)
    parts = (cube.admin, cube.admin.messages, cube.admin.users)
    for shown in (cube, cube.config, cube.session, cube.user, cube.chat, cube.sessions, *parts):
        assert MARK not in repr(shown)
    for part in (cube.chat, cube.admin, cube.admin.messages):
        with pytest.raises(Exception) as caught:
            pickle.dumps(part)
        assert MARK not in str(caught.value)


# --- chat -------------------------------------------------------------------------------------


def test_a_refused_chat_login_shows_no_password(emulator):
    person = Person.new(emulator)
    with fails_without_a_secret(ConnectyCubeError, match="refused"):
        person.chat.login(person.id, f"not {PASSWORD}")


def test_a_user_of_the_emulator_that_is_refused_shows_no_password(emulator):
    emulator.add_user("alice", PASSWORD)
    with fails_without_a_secret(ConnectyCubeError):
        emulator.add_user("alice", PASSWORD)
    with fails_without_a_secret(ConnectyCubeError):
        Emulator(auth_secret=SECRET, auth_key=KEY, control_token="")
