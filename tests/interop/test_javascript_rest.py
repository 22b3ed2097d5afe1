"""The official JavaScript SDK as a client of the REST API: it says whether this is ConnectyCube.

Two processes of the SDK serve the whole module; each test has users of its own.
"""

from __future__ import annotations

import itertools
import re

import pytest
from attrs import frozen

from connectycube.emulator import Emulator
from tests.interop.fixtures import PASSWORD
from tests.interop.javascript_peer import JavaScriptError, JavaScriptPeer

pytestmark = pytest.mark.referee("javascript")

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
OBJECT_ID = re.compile(r"[0-9a-f]{24}")
NOBODY = 999_999_999
NO_SUCH_ID = "f" * 24

_numbers = itertools.count(1)


@frozen
class Person:
    """A user of the service and the SDK that acts for it."""

    peer: JavaScriptPeer
    id: int
    login: str

    def call(self, path, *args):
        return self.peer.call(path, *args)

    def refused(self, path, *args):
        """The status and the body with which the service refuses a call."""
        with pytest.raises(JavaScriptError) as error:
            self.peer.call(path, *args)
        return error.value.code, error.value.info


@pytest.fixture(scope="module")
def service():
    with Emulator() as running:
        yield running


def peer_on(emulator):
    return JavaScriptPeer(
        app_id=emulator.app_id,
        auth_key=emulator.auth_key,
        api_url=emulator.api_url,
        chat_port=emulator.chat_port,
        ca_file=emulator.ca_file,
    )


@pytest.fixture(scope="module")
def peers(service):
    with peer_on(service) as one, peer_on(service) as other:
        yield one, other


def person_at(service, peer):
    """A new user with a session of its own in the process of ``peer``."""
    login = f"person-{next(_numbers)}"
    user_id = service.add_user(login, PASSWORD, full_name=f"The {login}")
    peer.call("createSession", {"login": login, "password": PASSWORD})
    return Person(peer, user_id, login)


@pytest.fixture
def alice(service, peers):
    return person_at(service, peers[0])


@pytest.fixture
def bob(service, peers):
    return person_at(service, peers[1])


@pytest.fixture
def nobody(peers):
    """The SDK without a session."""
    peers[0].call("setSession", None)
    return Person(peers[0], 0, "")


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
    number = next(_numbers)
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
    login = f"person-{next(_numbers)}"
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
    login = f"person-{next(_numbers)}"
    email = f"{login}+tag@example.com"
    user_id = service.add_user(login, PASSWORD, email=email)
    for key, value in (("login", login), ("email", email)):
        user = alice.call("users.get", {key: value})["user"]
        assert (user["id"], user["login"], user["email"]) == (user_id, login, email)
    assert alice.call("users.get", alice.id)["user"]["full_name"] == f"The {alice.login}"


def test_a_user_who_does_not_exist_is_not_found(alice):
    assert alice.refused("users.get", NOBODY)[0] == 404
    assert alice.refused("users.get", {"login": "nobody at all"})[0] == 404


# --- dialogs ------------------------------------------------------------------------------------


def private(person, other):
    return person.call("chat.dialog.create", {"type": 3, "occupants_ids": [other.id]})


def listed(person, **query):
    return person.call("chat.dialog.list", query)


def test_a_private_dialog_is_one_for_both(service, alice, bob):
    made = private(alice, bob)
    assert OBJECT_ID.fullmatch(made["_id"])
    assert (made["type"], made["user_id"]) == (3, alice.id)
    assert sorted(made["occupants_ids"]) == sorted([alice.id, bob.id])
    assert made["xmpp_room_jid"] is None
    assert (made["last_message"], made["unread_messages_count"]) == (None, 0)
    assert private(bob, alice)["_id"] == made["_id"]
    assert service.private_dialog(alice.id, bob.id) == made["_id"]


def test_a_page_of_dialogs_and_its_filters(service, alice, bob):
    other = person_at(service, bob.peer)
    first, second = private(alice, bob), private(alice, other)
    page = listed(alice)
    assert (page["total_entries"], page["skip"], page["limit"]) == (2, 0, 100)
    assert {item["_id"] for item in page["items"]} == {first["_id"], second["_id"]}
    assert [item["_id"] for item in listed(alice, _id=first["_id"])["items"]] == [first["_id"]]
    chosen = listed(alice, _id={"in": [second["_id"], NO_SUCH_ID]})
    assert [item["_id"] for item in chosen["items"]] == [second["_id"]]
    assert len(listed(alice, type={"in": [2, 3]})["items"]) == 2
    assert listed(alice, type=2)["items"] == []
    assert listed(alice, updated_at={"gt": 4_000_000_000})["total_entries"] == 0
    assert listed(alice, count=1)["items"]["count"] == 2
    skipped = listed(alice, limit=1, skip=1, sort_desc="last_message_date_sent")
    assert (len(skipped["items"]), skipped["skip"], skipped["limit"]) == (1, 1, 1)


# --- messages -----------------------------------------------------------------------------------


def say(person, dialog, text, **more):
    return person.call(
        "chat.message.create", {"chat_dialog_id": dialog["_id"], "message": text, **more}
    )


def history(person, dialog, **query):
    return person.call("chat.message.list", {"chat_dialog_id": dialog["_id"], **query})


def test_a_message_over_rest_and_both_see_it_in_the_history(alice, bob):
    dialog = private(alice, bob)
    picture = {"type": "image", "uid": "a uid", "size": 123, "url": "https://example.com/?a=1&b=2"}
    made = say(alice, dialog, "Grüße & 👋", attachments=[picture], colour="blue")
    assert OBJECT_ID.fullmatch(made["_id"])
    assert (made["chat_dialog_id"], made["message"]) == (dialog["_id"], "Grüße & 👋")
    assert (made["sender_id"], made["recipient_id"]) == (alice.id, bob.id)
    assert made["attachments"] == [picture]
    assert made["colour"] == "blue"
    assert isinstance(made["date_sent"], int)
    page = history(bob, dialog)
    assert [item["_id"] for item in page["items"]] == [made["_id"]]
    assert page["items"][0]["message"] == made["message"]
    assert page["skip"] == 0
    shown = listed(bob)["items"][0]
    assert (shown["last_message"], shown["last_message_id"]) == (made["message"], made["_id"])
    assert shown["last_message_user_id"] == alice.id
    assert shown["last_message_date_sent"] == made["date_sent"]


def test_a_message_to_a_user_makes_the_dialog(service, alice, bob):
    made = alice.call("chat.message.create", {"recipient_id": bob.id, "message": "first words"})
    assert made["chat_dialog_id"] == service.private_dialog(alice.id, bob.id)
    assert made["recipient_id"] == bob.id


def test_history_is_read_by_filter_page_and_order(alice, bob):
    dialog = private(alice, bob)
    made = [say(alice, dialog, f"number {n}", date_sent=1_700_000_000 + n) for n in range(5)]
    ids = [message["_id"] for message in made]

    def found(**query):
        return [item["_id"] for item in history(bob, dialog, mark_as_read=0, **query)["items"]]

    assert found() == found(sort_asc="date_sent") == ids
    assert found(sort_desc="date_sent") == ids[::-1]
    assert found(limit=2, skip=1) == ids[1:3]
    assert found(date_sent={"gt": 1_700_000_002}) == ids[3:]
    assert found(date_sent={"gte": 1_700_000_002, "lt": 1_700_000_004}) == ids[2:4]
    assert found(sender_id=bob.id) == []
    assert history(bob, dialog, count=1)["items"]["count"] == 5


def test_reading_marks_as_read_unless_it_is_told_not_to(alice, bob):
    dialog = private(alice, bob)
    say(alice, dialog, "look at me")
    history(bob, dialog, mark_as_read=0)
    assert listed(bob)["items"][0]["unread_messages_count"] == 1
    assert history(alice, dialog)["items"][0]["read_ids"] == [alice.id]
    history(bob, dialog)
    assert listed(bob)["items"][0]["unread_messages_count"] == 0
    assert history(alice, dialog)["items"][0]["read_ids"] == sorted([alice.id, bob.id])
    assert listed(alice)["items"][0]["last_message_status"] == "read"


def test_a_stranger_reads_nothing_of_a_dialog(service, alice, bob):
    dialog = private(alice, bob)
    stranger = person_at(service, bob.peer)
    query = {"chat_dialog_id": dialog["_id"]}
    assert stranger.refused("chat.message.list", query)[0] == 403
    assert stranger.refused("chat.message.create", {**query, "message": "hello"})[0] == 403
    assert alice.refused("chat.message.list", {"chat_dialog_id": NO_SUCH_ID})[0] == 404
