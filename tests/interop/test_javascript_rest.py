"""Sessions, users, files, push and the address book, as the official JavaScript SDK finds them over REST."""

from __future__ import annotations

import pytest

from tests.interop.fixtures import PASSWORD
from tests.interop.javascript_people import NOBODY, TIME, fresh

pytestmark = pytest.mark.referee("javascript")

# --- sessions -----------------------------------------------------------------------------------


def test_a_session_of_the_application(service, nobody):
    session = nobody.call("createSession")
    assert session["token"]
    assert session["application_id"] == service.app_id
    assert session["user_id"] == 0
    assert session.get("user") is None
    assert TIME.fullmatch(session["created_at"])
    assert nobody.call("getSession")["token"] == session["token"]


@pytest.mark.parametrize("field", ["login", "email"])
def test_a_session_of_a_user_by_login_or_email(service, nobody, field):
    number = fresh()
    given = {"login": f"person-{number}", "email": f"person-{number}@example.com"}
    user_id = service.add_user(given["login"], PASSWORD, email=given["email"])
    session = nobody.call("createSession", {field: given[field], "password": PASSWORD})
    assert (session["user_id"], session["user"]["id"]) == (user_id, user_id)
    assert {name: session["user"][name] for name in given} == given
    assert "password" not in session["user"]
    described = nobody.call("getSession")
    assert (described["token"], described["user_id"]) == (session["token"], user_id)


def test_a_wrong_password_is_refused(alice):
    refusal = alice.refused("createSession", {"login": alice.login, "password": "not this one"})
    assert refusal[0] == 401
    assert refusal[1]["errors"]


def test_a_destroyed_session_does_not_exist_any_more(alice):
    token = alice.call("getSession")["token"]
    alice.call("destroySession")
    alice.call("setSession", {"token": token})
    gone = (401, {"errors": {"base": ["Required session does not exist"]}})
    assert alice.refused("getSession") == gone
    assert alice.refused("chat.dialog.list", {}) == gone


def test_log_in_to_a_session_of_the_application_and_out_again(bob, nobody):
    session = nobody.call("createSession")
    user = nobody.call("auth.login", {"login": bob.login, "password": PASSWORD})
    assert (user["id"], user["login"]) == (bob.id, bob.login)
    described = nobody.call("getSession")
    assert (described["token"], described["user_id"]) == (session["token"], bob.id)
    nobody.call("auth.logout")
    nobody.call("setSession", {"token": session["token"]})
    assert nobody.call("getSession")["user_id"] == 0


# --- users --------------------------------------------------------------------------------------


def test_sign_up_with_the_authorization_key_alone(nobody):
    login = f"person-{fresh()}"
    wanted = {
        "login": login,
        "email": f"{login}@example.com",
        "full_name": "Zoë Ångström",
        "phone": "441234567890",
        "website": "https://example.com/?a=1&b=2",
        "custom_data": '{"colour": "blue"}',
    }
    user = nobody.call("users.signup", {**wanted, "password": PASSWORD, "tag_list": ["dev", "qa"]})
    user = user["user"]
    assert {name: user[name] for name in wanted} == wanted
    assert TIME.fullmatch(user["created_at"])
    assert "password" not in user
    session = nobody.call("createSession", {"login": login, "password": PASSWORD})
    assert session["user_id"] == user["id"]


def test_a_login_that_is_taken_is_refused(alice, nobody):
    status, body = nobody.refused("users.signup", {"login": alice.login, "password": PASSWORD})
    assert status == 422
    assert list(body["errors"]) == ["login"]


def test_one_user_by_login_or_email(service, alice):
    login = f"person-{fresh()}"
    email = f"{login}+tag@example.com"
    user_id = service.add_user(login, PASSWORD, email=email)
    for key, value in (("login", login), ("email", email)):
        user = alice.call("users.get", {key: value})["user"]
        assert (user["id"], user["login"], user["email"]) == (user_id, login, email)
    assert alice.call("users.get", alice.id)["user"]["full_name"] == f"The {alice.login}"


def test_a_user_who_does_not_exist_is_not_found(alice):
    assert alice.refused("users.get", NOBODY)[0] == 404
    assert alice.refused("users.get", {"login": "nobody at all"})[0] == 404
