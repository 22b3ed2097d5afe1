from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectycube.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    NotFoundError,
    UnexpectedResponseError,
    ValidationError,
)
from connectycube.models import User
from tests.support.scripted_http import answer, refusal
from tests.wire.rest.conftest import AUTH_KEY


def test_sign_up_needs_the_auth_key_and_no_session(visitor, server):
    server.play(answer(201, {"user": {"id": 5, "login": "bob"}}))
    assert visitor.users.create(login="bob", password="p-5ec4e7c0de") == User(id=5, login="bob")
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/users")
    assert request.headers["cb-authkey"] == AUTH_KEY
    assert "cb-token" not in request.headers
    assert request.json == {"user": {"login": "bob", "password": "p-5ec4e7c0de"}}
    assert visitor.session is None


def test_who_forgot_the_password_needs_no_session(visitor, server):
    server.play(answer(200))
    visitor.users.reset_password("b@example.org")
    assert server.requests[0].query == [("email", "b@example.org")]


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
    cube.users.create(password="p-5ec4e7c0de", tags=["a", "b"], **fields)
    assert server.requests[0].json == {
        "user": {**fields, "password": "p-5ec4e7c0de", "tag_list": "a,b"}
    }


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"password": "p-5ec4e7c0de"}, "login"),
        ({"login": "bob", "password": ""}, "password"),
        ({"login": "bob", "password": None}, "password"),
        ({"login": "", "password": "p-5ec4e7c0de"}, "login"),
        ({"email": 5, "password": "p-5ec4e7c0de"}, "email"),
        ({"login": "bob", "password": "p-5ec4e7c0de", "full_name": 5}, "full_name"),
        ({"login": "bob", "password": "p-5ec4e7c0de", "full_name": "\ud800"}, "full_name"),
        ({"login": "bob", "password": "p-5ec4e7c0de", "tags": "a,b"}, "tags"),
        ({"login": "bob", "password": "p-5ec4e7c0de", "tags": ["a,b"]}, "tags"),
        ({"login": "bob", "password": "p-5ec4e7c0de", "tags": [5]}, "tags"),
        ({"login": "bob", "password": "p-5ec4e7c0de", "tags": 5}, "tags"),
        ({"login": "bob", "password": "p-5ec4e7c0de", "timezone": "1"}, "timezone"),
    ],
)
def test_wrong_arguments_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.users.create(**arguments)
    assert server.connections == []


def test_a_login_that_is_taken_is_a_validation_error(cube, server):
    server.play(answer(422, {"errors": {"login": ["has already been taken"]}}))
    with pytest.raises(ValidationError) as caught:
        cube.users.create(login="bob", password="p-5ec4e7c0de")
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
    assert server.connections == []


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=25,
)
@given(name=st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_name_arrives(cube, server, name):
    server.respond(lambda request: answer(201, {"user": {"id": 5, **request.json["user"]}}))
    assert cube.users.create(login="bob", password="p-5ec4e7c0de", full_name=name).full_name == name


# --- change and delete


def test_a_user_changes_what_is_given(cube, server):
    server.play(answer(200, {"user": {"id": 5, "website": "w"}}))
    changes = {"email": "b@example.org", "website": "w", "custom_data": "", "timezone": 0}
    assert cube.users.update(User(id=5), tags=[], **changes) == User(id=5, website="w")
    assert (server.requests[0].method, server.requests[0].path) == ("PUT", "/users/5")
    assert server.requests[0].json == {"user": {**changes, "tag_list": ""}}


def test_a_new_password_goes_with_the_old_one(cube, server):
    server.play(answer(200, {"user": {"id": 5}}))
    cube.users.update(5, password="new", old_password="old")
    assert server.requests[0].json == {"user": {"password": "new", "old_password": "old"}}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({}, "nothing to update"),
        ({"password": "new"}, "old_password"),
        ({"old_password": "old"}, "password"),
        ({"password": "", "old_password": "old"}, "password"),
        ({"login": ""}, "login"),
        ({"email": ""}, "email"),
        ({"phone": 5}, "phone"),
        ({"timezone": True}, "timezone"),
        ({"tags": "a"}, "tags"),
    ],
)
def test_wrong_changes_send_nothing(cube, server, arguments, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.users.update(5, **arguments)
    assert server.connections == []


def test_a_user_is_deleted_by_id_or_by_external_id(cube, server):
    server.play(answer(200), answer(204))
    cube.users.delete(User(id=5))
    cube.users.delete(external_id="a/b")
    assert [request.raw_path for request in server.requests] == [
        "/users/5",
        "/users/external/a%2Fb",
    ]
    assert {request.method for request in server.requests} == {"DELETE"}


@pytest.mark.parametrize(
    "arguments", [{}, {"user": 5, "external_id": "x"}, {"user": 0}, {"external_id": ""}]
)
def test_who_is_to_be_deleted_must_be_clear(cube, server, arguments):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=r"user|external_id"):
        cube.users.delete(**arguments)
    assert server.connections == []


# --- look-ups


def test_a_user_is_looked_up_by_one_field(cube, server):
    server.play(answer(200, {"items": [{"id": 9}]}), answer(200, {"items": []}))
    assert cube.users.get_by(login="bob") == User(id=9)
    assert cube.users.get_by(external_id="x") is None
    assert server.requests[0].path == "/users/v2"
    assert server.requests[0].query == [("login", "bob"), ("limit", "1")]


@pytest.mark.parametrize(
    "arguments", [{}, {"login": "a", "email": "b"}, {"full_name": "a"}, {"login__in": ["a"]}]
)
def test_a_look_up_by_none_or_two_fields_sends_nothing(cube, server, arguments):
    with pytest.raises(ArgumentTypeError, match="give one of login"):
        cube.users.get_by(**arguments)
    assert server.connections == []


def test_users_are_listed_in_the_services_words(cube, server):
    server.play(answer(200, {"limit": 10, "skip": 5, "total_entries": 1, "items": [{"id": 9}]}))
    page = cube.users.list(
        limit=10,
        skip=5,
        sort="-created_at",
        id__in=[1, User(id=2)],
        full_name__startswith="diver",
        tags__nin=["vip", "a,b"],
        phone="15550100",
        updated_at__gt=datetime(2024, 1, 1, tzinfo=timezone.utc),
        created_at__lte=5.5,
    )
    assert (list(page), page.total_entries, page.skip) == ([User(id=9)], 1, 5)
    assert server.requests[0].query == [
        ("id[in][]", "1"),
        ("id[in][]", "2"),
        ("full_name[start_with]", "diver"),
        ("user_tags[nin][]", "vip"),
        ("user_tags[nin][]", "a,b"),
        ("phone", "15550100"),
        ("updated_at[gt]", "1704067200"),
        ("created_at[lte]", "6"),
        ("limit", "10"),
        ("offset", "5"),
        ("sort_desc", "created_at"),
    ]


@pytest.mark.parametrize(
    ("lookups", "name"),
    [
        ({"website": "x"}, "website"),
        ({"login__gt": "a"}, "login__gt"),
        ({"id__startswith": "1234"}, "id__startswith"),
        ({"created_at__in": [1]}, "created_at__in"),
        ({"login": 5}, "login"),
        ({"login": ""}, "login"),
        ({"id": "5"}, "id"),
        ({"id__in": 5}, "id__in"),
        ({"id__in": []}, "id__in"),
        ({"login__in": "abc"}, "login__in"),
        ({"created_at": 1.5}, "created_at"),
        ({"created_at__gt": datetime(2024, 1, 1)}, "created_at__gt"),
        ({"limit": 101}, "limit"),
        ({"skip": -1}, "skip"),
        ({"sort": "website"}, "sort"),
        ({}, "one look-up by id, login, .*: as it is, or with __in or __startswith$"),
        ({"created_at__gt": 5}, "at least one look-up"),
        ({"login__nin": ["a"]}, "at least one look-up"),
        ({"login__startswith": "abc"}, "login__startswith needs at least 4 characters"),
    ],
)
def test_wrong_look_ups_send_nothing(cube, server, lookups, name):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.users.list(**lookups)
    assert server.connections == []


def test_iter_yields_each_user_once_and_asks_for_no_page_too_many(cube, server):
    def respond(request):
        offset = int(dict(request.query)["offset"])
        items = [{"id": number} for number in (1, 2, 3)[offset : offset + 2]]
        return answer(200, {"total_entries": 3, "items": items})

    server.respond(respond)
    assert [user.id for user in cube.users.iter(tags="vip")] == [1, 2, 3]
    assert [dict(request.query)["offset"] for request in server.requests] == ["0", "1"]
    assert all(dict(request.query)["sort_asc"] == "id" for request in server.requests)


def test_iter_ends_with_an_empty_page_where_the_total_is_not_told(cube, server):
    server.play(answer(200, {"items": [{"id": 1}]}), answer(200, {"items": []}))
    assert [user.id for user in cube.users.iter(tags="vip")] == [1]


def test_iter_refuses_wrong_look_ups_before_its_first_step(cube):
    with pytest.raises(ArgumentTypeError, match="website"):
        cube.users.iter(website="x")


# --- online


def test_the_users_who_are_online_are_a_page(cube, server):
    server.play(answer(200, {"users": [{"id": 9}, None]}), answer(200, {"users": []}))
    assert list(cube.users.online(limit=10, skip=5)) == [User(id=9)]
    assert list(cube.users.online()) == []
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/users/online")
    assert server.requests[0].query == [("limit", "10"), ("offset", "5")]


def test_the_users_who_are_online_are_counted(cube, server):
    server.play(answer(200, {"count": 3}), answer(200, {"count": None}))
    assert cube.users.online_count() == 3
    assert server.requests[0].query == [("count", "true")]
    with pytest.raises(UnexpectedResponseError, match="count"):
        cube.users.online_count()


def test_a_page_of_users_who_are_online_has_its_bounds(cube, server):
    with pytest.raises(ArgumentValueError, match=r"^limit "):
        cube.users.online(limit=101)
    assert server.connections == []
