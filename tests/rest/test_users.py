import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectycube.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    NotFoundError,
    ValidationError,
)
from connectycube.models import User

from .conftest import AUTH_KEY
from .server import answer, refusal


def test_sign_up_needs_the_auth_key_and_no_session(cube, server):
    server.play(answer(201, {"user": {"id": 5, "login": "bob"}}))
    assert cube.users.create(login="bob", password="p") == User(id=5, login="bob")
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/users")
    assert request.headers["cb-authkey"] == AUTH_KEY
    assert "cb-token" not in request.headers
    assert request.json == {"user": {"login": "bob", "password": "p"}}
    assert cube.session is None


def test_sign_up_sends_every_field_in_the_services_words(cube, server):
    server.play(answer(201, {"user": {"id": 5}}))
    fields = {
        "email": "b@example.org",
        "full_name": "Bob",
        "phone": "+15550100",
        "website": "https://example.org",
        "avatar": "uid",
        "custom_data": '{"a": 1}',
        "external_id": "x",
        "timezone": -300,
    }
    cube.users.create(password="p", tags=["a", "b"], **fields)
    assert server.requests[0].json == {"user": {**fields, "password": "p", "tag_list": "a,b"}}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"password": "p"}, "login"),
        ({"login": "bob", "password": ""}, "password"),
        ({"login": "bob", "password": None}, "password"),
        ({"login": "", "password": "p"}, "login"),
        ({"email": 5, "password": "p"}, "email"),
        ({"login": "bob", "password": "p", "full_name": 5}, "full_name"),
        ({"login": "bob", "password": "p", "full_name": "\ud800"}, "full_name"),
        ({"login": "bob", "password": "p", "tags": "a,b"}, "tags"),
        ({"login": "bob", "password": "p", "tags": ["a,b"]}, "tags"),
        ({"login": "bob", "password": "p", "tags": [5]}, "tags"),
        ({"login": "bob", "password": "p", "tags": 5}, "tags"),
        ({"login": "bob", "password": "p", "timezone": "1"}, "timezone"),
    ],
)
def test_wrong_arguments_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.users.create(**arguments)
    assert server.connections == 0


def test_a_login_that_is_taken_is_a_validation_error(cube, server):
    server.play(answer(422, {"errors": {"login": ["has already been taken"]}}))
    with pytest.raises(ValidationError) as caught:
        cube.users.create(login="bob", password="p")
    assert caught.value.messages == ("login: has already been taken",)


@pytest.mark.parametrize("user", [9, User(id=9)])
def test_a_user_is_looked_up_by_id(cube, server, user):
    server.play(answer(200, {"user": {"id": 9, "full_name": "Ana"}}))
    assert cube.users.get(user) == User(id=9, full_name="Ana")
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/users/9")


def test_a_user_that_does_not_exist_is_not_found(cube, server):
    server.play(refusal(404, "Not found"))
    with pytest.raises(NotFoundError):
        cube.users.get(9)


@pytest.mark.parametrize("user", ["9", 0, None, User()])
def test_what_is_no_user_sends_nothing(cube, server, user):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match="user"):
        cube.users.get(user)
    assert server.connections == 0


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
@given(name=st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_name_arrives(cube, server, name):
    server.respond(lambda request: answer(201, {"user": request.json["user"]}))
    assert cube.users.create(login="bob", password="p", full_name=name).full_name == name
