import hashlib
import hmac
import json
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube._secrets import Secret
from connectycube.client import ConnectyCube
from connectycube.errors import (
    ApiAuthenticationError,
    ArgumentTypeError,
    ArgumentValueError,
    ServerError,
    UnexpectedResponseError,
    ValidationError,
)
from connectycube.models import Session, User
from connectycube.rest.sessions import signature_of
from tests.support.scripted_http import answer, refusal
from tests.wire.rest.conftest import AUTH_KEY

CREATED = {"session": {"id": 1, "token": "t", "user_id": 5, "user": {"id": 5, "login": "bob"}}}
REFUSED = [
    {"login": "bob"},
    {"email": "b@example.org"},
    {"password": "p-5ec4e7c0de"},
    {"login": "bob", "email": "b@example.org", "password": "p-5ec4e7c0de"},
    {"login": "", "password": "p-5ec4e7c0de"},
    {"login": "bob", "password": ""},
    {"login": 5, "password": "p-5ec4e7c0de"},
    {"login": "bob", "password": b"p"},
]


@pytest.fixture
def cube(visitor):
    return visitor


def test_a_session_of_the_application(cube, server):
    server.play(answer(201, {"session": {"token": "t", "user_id": 0}}))
    session = cube.sessions.create()
    assert session.token == "t"
    assert cube.session is session
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/session")
    assert request.json == {"application_id": "7", "auth_key": AUTH_KEY}


@pytest.mark.parametrize("name", ["login", "email"])
def test_a_session_of_a_user(cube, server, name):
    server.play(answer(201, CREATED))
    session = cube.sessions.create(**{name: "böb"}, password="p ä=&")
    assert (session.user_id, session.user) == (5, User(id=5, login="bob"))
    assert server.requests[0].json == {
        "application_id": "7",
        "auth_key": AUTH_KEY,
        "user": {name: "böb", "password": "p ä=&"},
    }


def test_the_users_id_is_read_from_the_user_where_the_session_lacks_it(cube, server):
    server.play(answer(201, {"session": {"token": "t", "user": {"id": 5}}}))
    assert cube.sessions.create(login="bob", password="p-5ec4e7c0de").user_id == 5


@pytest.mark.parametrize("arguments", REFUSED)
def test_wrong_arguments_send_nothing(cube, server, arguments):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=r"login|email|password"):
        cube.sessions.create(**arguments)
    assert server.connections == []


@pytest.mark.parametrize(
    "data", [{"session": {}}, {}, {"session": {"token": None}}, {"session": {"token": ""}}]
)
def test_a_session_without_a_token_is_none(cube, server, data):
    server.play(answer(201, data))
    with pytest.raises(UnexpectedResponseError, match="token"):
        cube.sessions.create()
    assert cube.session is None


def test_a_wrong_password_leaves_the_session_that_was(cube, server):
    server.play(answer(201, CREATED), refusal(401, "Unauthorized"))
    before = cube.sessions.create(login="bob", password="p-5ec4e7c0de")
    with pytest.raises(ApiAuthenticationError, match="Unauthorized"):
        cube.sessions.create(login="bob", password="wrong-one")
    assert cube.session is before
    assert "cb-token" not in server.requests[1].headers


def test_info_is_what_the_service_knows(cube, server):
    server.play(
        answer(201, CREATED), answer(200, {"session": {"token": "t", "user_id": 5, "ts": 9}})
    )
    cube.sessions.create()
    assert cube.sessions.info().extra == {"ts": 9}
    assert (server.requests[1].method, server.requests[1].headers["cb-token"]) == ("GET", "t")


def test_destroy_ends_the_session_here_and_there(cube, server):
    server.play(answer(201, CREATED), answer(200))
    cube.sessions.create()
    cube.sessions.destroy()
    assert cube.session is None
    assert (server.requests[1].method, server.requests[1].path) == ("DELETE", "/session")
    cube.sessions.destroy()
    assert len(server.requests) == 2


def test_destroying_a_session_that_is_gone_makes_no_new_one(cube, server):
    server.play(answer(201, CREATED), refusal(401, "Required session does not exist"))
    cube.sessions.create(login="bob", password="p-5ec4e7c0de")
    cube.sessions.destroy()
    assert cube.session is None
    assert len(server.requests) == 2


def test_a_session_that_could_not_be_destroyed_stays(cube, server):
    server.play(answer(201, CREATED), answer(503))
    cube.sessions.create()
    with pytest.raises(ServerError):
        cube.sessions.destroy()
    assert cube.session is not None


def test_a_session_that_ended_is_made_again_with_the_same_credentials(cube, server):
    renewed = {"session": {"token": "t2", "user_id": 5}}
    server.play(
        answer(201, CREATED),
        refusal(401, "Required session does not exist"),
        answer(201, renewed),
        answer(200, {"user": {"id": 9}}),
    )
    cube.sessions.create(login="bob", password="p-5ec4e7c0de")
    assert cube.users.get(9).id == 9
    assert [request.path for request in server.requests] == [
        "/session",
        "/users/9",
        "/session",
        "/users/9",
    ]
    assert server.requests[2].json == server.requests[0].json
    assert server.requests[3].headers["cb-token"] == "t2"


# --- providers and guests


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"provider": "facebook", "token": "T"}, {"provider": "facebook", "keys": {"token": "T"}}),
        (
            {"provider": "twitter", "token": "T", "secret": "S"},
            {"provider": "twitter", "keys": {"token": "T", "secret": "S"}},
        ),
        (
            {"provider": "firebase_phone", "project_id": "P", "access_token": "T"},
            {
                "provider": "firebase_phone",
                "firebase_phone": {"project_id": "P", "access_token": "T"},
            },
        ),
        (
            {"provider": "firebase_email", "project_id": "P", "access_token": "T"},
            {
                "provider": "firebase_email",
                "firebase_email": {"project_id": "P", "access_token": "T"},
            },
        ),
        ({"provider": "custom_identity", "token": "T"}, {"user": {"login": "T"}}),
        (
            {"provider": "custom_identity", "token": "T", "password": "p-5ec4e7c0de"},
            {"user": {"login": "T", "password": "p-5ec4e7c0de"}},
        ),
        ({"guest": True}, {"user": {"guest": "1"}}),
        ({"guest": True, "full_name": "Olof"}, {"user": {"guest": "1", "full_name": "Olof"}}),
    ],
)
def test_a_session_of_a_user_that_somebody_vouches_for(cube, server, arguments, sent):
    server.play(answer(201, CREATED))
    assert cube.login(**arguments) == User(id=5, login="bob")
    assert server.requests[0].json == {
        "application_id": "7",
        "auth_key": AUTH_KEY,
        **sent,
    }


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"provider": "myspace", "token": "T"}, "provider"),
        ({"provider": 5}, "provider"),
        ({"provider": "facebook"}, "token"),
        ({"provider": "facebook", "token": ""}, "token"),
        ({"provider": "facebook", "token": 5}, "token"),
        ({"provider": "facebook", "token": "T", "secret": "S"}, "secret"),
        ({"provider": "facebook", "token": "T", "password": "p-5ec4e7c0de"}, "password"),
        ({"provider": "twitter", "token": "T"}, "secret"),
        ({"provider": "firebase_phone", "token": "T"}, "project_id"),
        ({"provider": "facebook", "token": "T", "login": "bob"}, "login"),
        ({"token": "T", "login": "bob", "password": "p-5ec4e7c0de"}, "token"),
        ({"guest": 1}, "guest"),
        ({"guest": True, "login": "bob"}, "login"),
        ({"guest": True, "password": "p-5ec4e7c0de"}, "password"),
        ({"guest": True, "provider": "facebook"}, "provider"),
        ({"guest": True, "full_name": ""}, "full_name"),
        ({"login": "bob", "password": "p-5ec4e7c0de", "full_name": "Bob"}, "full_name"),
        ({}, "login"),
    ],
)
def test_wrong_ways_to_name_a_user_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.login(**arguments)
    assert server.connections == []


def test_keys_of_providers_are_signed_by_their_flat_names(server, config):
    server.play(answer(201, CREATED))
    with ConnectyCube(config=config.replace(auth_secret="s3cret")) as cube:
        cube.login(provider="twitter", token="T", secret="S")
    body = server.requests[0].json
    signed = (
        f"application_id=7&auth_key={AUTH_KEY}&keys[secret]=S&keys[token]=T"
        f"&nonce={body['nonce']}&provider=twitter&timestamp={body['timestamp']}"
    )
    assert body["signature"] == hmac.new(b"s3cret", signed.encode(), "sha1").hexdigest()


def test_a_token_that_is_sent_as_a_login_is_masked_in_errors(cube, server):
    server.play(refusal(401, "unknown: EXT3RNAL"))
    with pytest.raises(ApiAuthenticationError) as caught:
        cube.login(provider="custom_identity", token="EXT3RNAL")
    assert "EXT3RNAL" not in str(caught.value) + repr(caught.value.messages)


def test_a_guest_is_not_made_again(cube, server):
    server.play(answer(201, CREATED), refusal(401, "Required session does not exist"))
    cube.login(guest=True)
    with pytest.raises(ApiAuthenticationError):
        cube.users.get(9)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [200, 201])
def test_errors_in_a_success_are_a_refused_login(cube, server, status):
    words = "Bad Authentication data. Unauthorized on remote side. Status: 401."
    server.play(answer(status, {"errors": [words]}))
    with pytest.raises(ApiAuthenticationError, match=r"Status: 401\.$") as caught:
        cube.login(provider="custom_identity", token="t")
    assert (caught.value.status, caught.value.messages) == (status, (words,))
    assert cube.session is None


def signed_client(config):
    return ConnectyCube(config=config.replace(auth_secret="the-secret"))


def by_clock_of_service(ahead, refuse):
    """Answer session requests like a service whose clock is ``ahead`` of ours, and which compares."""

    def respond(request):
        now = time.time() + ahead
        date = ("Date", formatdate(now, usegmt=True))
        if abs(int(request.json["timestamp"]) - now) > 60:
            return answer(422, refuse, headers=[date])
        return answer(201, CREATED, headers=[date])

    return respond


@pytest.mark.parametrize("ahead", [3600, -3600, 90_000])
@pytest.mark.parametrize(
    "refuse",
    [{"errors": {"timestamp": ["invalid timestamp"]}}, {"errors": ["Unexpected signature"]}],
)
def test_a_clock_that_is_wrong_is_corrected_by_the_services(config, server, ahead, refuse):
    server.respond(by_clock_of_service(ahead, refuse))
    with signed_client(config) as cube:
        assert cube.login(login="bob", password="p-5ec4e7c0de").id == 5
        assert len(server.requests) == 2
        cube.login(login="bob", password="p-5ec4e7c0de")
    assert len(server.requests) == 3, "the first timestamp is right from now on"
    body = server.requests[1].json
    signature = body.pop("signature")
    assert signature == signature_of(body, Secret("the-secret")).open()


@pytest.mark.parametrize(
    ("ahead", "words"), [(0, "invalid timestamp"), (3600, "password is too short")]
)
def test_other_refusals_are_not_signed_again(config, server, ahead, words):
    date = ("Date", formatdate(time.time() + ahead, usegmt=True))
    data = json.dumps({"errors": [words]}).encode()
    server.respond(lambda request: answer(422, content=data, headers=[date]))
    with signed_client(config) as cube, pytest.raises(ValidationError, match=words):
        cube.login(login="bob", password="p-5ec4e7c0de")
    assert len(server.requests) == 1


def test_without_a_secret_no_timestamp_can_be_wrong(cube, server):
    date = ("Date", formatdate(time.time() + 3600, usegmt=True))
    data = json.dumps({"errors": ["invalid timestamp"]}).encode()
    server.respond(lambda request: answer(422, content=data, headers=[date]))
    with pytest.raises(ValidationError):
        cube.login(login="bob", password="p-5ec4e7c0de")
    assert len(server.requests) == 1


@pytest.mark.parametrize("fresh", ["new", Session(token="new", user_id=5), Session(token="new")])
def test_a_session_known_by_its_token_alone_is_renewed(cube, server, fresh):
    def respond(request):
        if request.headers["cb-token"] != "new":
            return refusal(401, "Required session does not exist")
        return answer(200, {"id": 9})

    server.respond(respond)
    other = cube.with_token("old", renew_session=lambda stale: fresh)
    assert other.users.get(9).id == 9
    assert len(server.requests) == 2


# --- renewal by the application


@pytest.fixture
def client_of(config):
    made = []

    def make(**arguments):
        made.append(ConnectyCube(config=config, **arguments))
        return made[-1]

    yield make
    for cube in made:
        cube.close()


def by_token(live):
    def respond(request):
        if request.path == "/session":
            return answer(201, CREATED)
        if request.headers["cb-token"] == live:
            return answer(200, {"user": {"id": 9}})
        return refusal(401, "Required session does not exist")

    return respond


@pytest.mark.parametrize("fresh", ["new", Session(token="new", user_id=5)])
def test_the_application_renews_in_its_own_way(client_of, server, fresh):
    ended = []
    cube = client_of(renew_session=lambda session: ended.append(session) or fresh)
    server.respond(by_token("new"))
    cube.login(login="bob", password="p-5ec4e7c0de")
    assert cube.users.get(9).id == 9
    assert [session.token for session in ended] == ["t"]
    assert (cube.session.token, cube.user.id) == ("new", 5)
    assert [request.path for request in server.requests] == ["/session", "/users/9", "/users/9"]


def test_the_application_may_log_in_to_renew(client_of, server):
    def renew(session):
        cube.sessions.create(login="bob", password="p2")

    cube = client_of(renew_session=renew)
    tokens = iter(["t", "new"])

    def respond(request):
        if request.path == "/session":
            return answer(201, {"session": {"token": next(tokens), "user_id": 5}})
        return by_token("new")(request)

    server.respond(respond)
    cube.login(login="bob", password="p-5ec4e7c0de")
    assert cube.users.get(9).id == 9


@pytest.mark.parametrize("fresh", [None, "t"])
def test_an_application_that_cannot_renew_leaves_the_401(client_of, server, fresh):
    asked = []
    cube = client_of(renew_session=lambda session: asked.append(session) or fresh)
    server.respond(by_token("new"))
    cube.login(login="bob", password="p-5ec4e7c0de")
    for number in (1, 2):
        with pytest.raises(ApiAuthenticationError):
            cube.users.get(9)
        assert len(asked) == number


def test_what_the_application_raises_reaches_the_caller(client_of, server):
    def renew(session):
        raise KeyError("no backend")

    cube = client_of(renew_session=renew)
    server.respond(by_token("new"))
    cube.login(login="bob", password="p-5ec4e7c0de")
    with pytest.raises(KeyError, match="no backend"):
        cube.users.get(9)


def test_a_renewal_that_calls_with_the_old_token_does_not_block_itself(client_of, server):
    def renew(session):
        with pytest.raises(ApiAuthenticationError):
            cube.users.get(9)
        return "new"

    cube = client_of(renew_session=renew)
    server.respond(by_token("new"))
    cube.login(login="bob", password="p-5ec4e7c0de")
    assert cube.users.get(9).id == 9


@pytest.mark.parametrize(
    ("fresh", "error"),
    [("", ArgumentValueError), (5, ArgumentTypeError), (Session(), ArgumentValueError)],
)
def test_a_renewal_that_returns_something_else_is_told(client_of, server, fresh, error):
    cube = client_of(renew_session=lambda session: fresh)
    server.respond(by_token("new"))
    cube.login(login="bob", password="p-5ec4e7c0de")
    with pytest.raises(error, match="renew_session"):
        cube.users.get(9)


def test_a_renewal_with_another_users_session_is_refused_each_time(client_of, server):
    cube = client_of(renew_session=lambda session: Session(token="new", user_id=99))
    server.respond(by_token("new"))
    cube.login(login="bob", password="p-5ec4e7c0de")
    before = cube.session
    for _ in range(2):
        with pytest.raises(ArgumentValueError, match=r"renew_session .* user 99.* of user 5"):
            cube.users.get(9)
        assert cube.session == before


def test_a_renewal_with_the_token_alone_keeps_the_user(client_of, server):
    cube = client_of(renew_session=lambda session: Session(token="new"))
    server.respond(by_token("new"))
    cube.login(login="bob", password="p-5ec4e7c0de")
    user = cube.user
    assert cube.users.get(9).id == 9
    assert (cube.session.token, cube.user) == ("new", user)


def test_a_renewal_must_be_callable(config):
    with pytest.raises(ArgumentTypeError, match="renew_session"):
        ConnectyCube(config=config, renew_session=5)


# --- signatures


def test_the_signature_of_an_application_session():
    body = {"timestamp": "1700000000", "nonce": "42", "auth_key": "key", "application_id": "7"}
    message = b"application_id=7&auth_key=key&nonce=42&timestamp=1700000000"
    assert (
        signature_of(body, Secret("secret")).open()
        == hmac.new(b"secret", message, hashlib.sha1).hexdigest()
    )
    assert signature_of(body, Secret("secret")).open() == "ca143a5ff0637de15611f59e9349eef8160d56d1"


def test_the_signature_of_a_user_session_is_over_flat_names_and_raw_values():
    body = {
        "application_id": "7",
        "auth_key": "key",
        "user": {"password": "p=&ä", "login": "bob"},
        "nonce": "42",
        "timestamp": "1700000000",
    }
    message = (
        "application_id=7&auth_key=key&nonce=42&timestamp=1700000000"
        "&user[login]=bob&user[password]=p=&ä"
    )
    assert (
        signature_of(body, Secret("sécret")).open()
        == hmac.new("sécret".encode(), message.encode(), "sha1").hexdigest()
    )
    assert signature_of(body, Secret("sécret")).open() == "2a62dd2952610da676f55f288ba164e20c23080d"


NAMES = st.text("abcdefgh_", min_size=1, max_size=6)
VALUES = st.text(st.characters(codec="utf-8"), max_size=8)


@given(
    st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES, max_size=3), max_size=6), VALUES
)
def test_the_signature_is_the_digest_of_the_sorted_pairs(body, secret):
    pairs = []
    for name, value in body.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        pairs += [f"{name}[{key}]={text}" if key else f"{name}={text}" for key, text in inner]
    expected = hmac.new(secret.encode(), "&".join(sorted(pairs)).encode(), "sha1")
    assert signature_of(body, Secret(secret)).open() == expected.hexdigest()


def test_with_a_secret_each_request_is_signed_anew(server, config):
    server.play(answer(201, CREATED), answer(201, CREATED))
    with ConnectyCube(config=config.replace(auth_secret="s3cret")) as cube:
        for _ in range(2):
            cube.sessions.create(login="bob", password="p-5ec4e7c0de")
    first, second = (json.loads(request.content) for request in server.requests)
    for body in (first, second):
        assert abs(time.time() - int(body["timestamp"])) < 60
        signed = (
            f"application_id=7&auth_key={AUTH_KEY}&nonce={body['nonce']}"
            f"&timestamp={body['timestamp']}&user[login]=bob&user[password]=p-5ec4e7c0de"
        )
        assert body["signature"] == hmac.new(b"s3cret", signed.encode(), "sha1").hexdigest()
        assert "s3cret" not in json.dumps(body)
    assert first["nonce"] != second["nonce"]


def test_without_a_secret_nothing_is_signed(cube, server):
    server.play(answer(201, CREATED))
    cube.sessions.create()
    assert not {"nonce", "timestamp", "signature"} & set(server.requests[0].json)
