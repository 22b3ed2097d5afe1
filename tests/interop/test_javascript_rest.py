"""What the official JavaScript SDK finds over REST: everything but dialogs and messages."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.interop.javascript_people import NO_SUCH_ID, NOBODY, OBJECT_ID, TIME, fresh
from tests.support.people import PASSWORD

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


def test_a_guest_session_makes_a_user(nobody):
    session = nobody.call("createSession", {"guest": "1", "full_name": "Wandering Soul"})
    assert session["user_id"] == session["user"]["id"] > 0
    assert session["user"]["full_name"] == "Wandering Soul"
    assert session["user"]["is_guest"] is True


@pytest.mark.parametrize(
    "given",
    [
        {"provider": "facebook", "keys": {"token": "facebook's token"}},
        {
            "provider": "firebase_phone",
            "firebase_phone": {"project_id": "a-project", "access_token": "firebase's token"},
        },
        {
            "provider": "firebase_email",
            "firebase_email": {"project_id": "a-project", "access_token": "firebase's token"},
        },
    ],
    ids=lambda given: given["provider"],
)
def test_an_identity_of_another_provider_is_one_user(nobody, given):
    session = nobody.call("createSession", given)
    assert session["user_id"] == session["user"]["id"] > 0
    assert nobody.call("createSession", given)["user_id"] == session["user_id"]


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


def test_a_user_changes_fields_and_the_password(alice):
    wanted = {"full_name": "Alice Cooper", "website": "https://example.com", "phone": "4412345678"}
    user = alice.call("users.update", {**wanted, "custom_data": "free text"})["user"]
    assert user["id"] == alice.id
    assert {name: user[name] for name in wanted} == wanted
    assert user["custom_data"] == "free text"
    new = {"password": "another password", "old_password": PASSWORD}
    alice.call("users.update", new)
    assert alice.refused("createSession", {"login": alice.login, "password": PASSWORD})[0] == 401
    session = alice.call("createSession", {"login": alice.login, "password": new["password"]})
    assert session["user_id"] == alice.id


def test_a_user_who_deletes_itself_is_gone(alice, bob):
    alice.call("users.delete")
    assert bob.refused("users.get", alice.id)[0] == 404


def test_users_by_the_filters_of_version_2(alice, bob):
    def found(**query):
        page = alice.call("users.getV2", query)
        return [user["id"] for user in page["items"]]

    page = alice.call("users.getV2", {"id": alice.id})
    assert (page["total_entries"], len(page["items"])) == (1, 1)
    assert page["items"][0]["login"] == alice.login
    assert {"limit", "skip"} <= page.keys()
    assert sorted(found(id={"in": [alice.id, bob.id]})) == sorted([alice.id, bob.id])
    both = {"in": [alice.id, bob.id]}
    by_login = sorted([alice, bob], key=lambda person: person.login)
    assert found(id=both, sort_asc="login") == [person.id for person in by_login]
    assert found(id=both, sort_desc="login") == [person.id for person in by_login[::-1]]
    assert found(id=both, sort_asc="id", limit=1, offset=1) == [max(alice.id, bob.id)]
    assert found(login=bob.login) == [bob.id]
    assert found(id=both, created_at={"gt": "2001-01-01T00:00:00Z"}) != []
    assert alice.id in found(full_name={"start_with": f"The {alice.login}"})


def test_a_search_without_a_field_of_its_own_is_refused(alice):
    assert alice.refused("users.getV2", {"limit": 3})[0] in (400, 422)


def test_users_by_tag(service, alice):
    tag = f"tag{fresh()}"
    tagged = service.add_user(f"person-{tag}", PASSWORD, tag_list=[tag, "others"])
    page = alice.call("users.getV2", {"user_tags": {"in": [tag]}})
    assert [user["id"] for user in page["items"]] == [tagged]
    assert tag in page["items"][0]["user_tags"]
    page = alice.call("users.get", {"tags": tag})
    assert [item["user"]["id"] for item in page["items"]] == [tagged]


def test_users_by_the_calls_of_version_1(service, alice, bob):
    number = fresh()
    known = {
        "full_name": f"Unusual Name {number}",
        "facebook_id": f"facebook-{number}",
        "twitter_id": f"twitter-{number}",
        "phone": f"44123456{number:04d}",
        "external_id": f"external-{number}",
    }
    user_id = service.add_user(f"person-known-{number}", PASSWORD, **known)
    for key in ("facebook_id", "twitter_id", "phone"):
        assert alice.call("users.get", {key: known[key]})["user"]["id"] == user_id, key
    external = alice.call("users.get", {"external": known["external_id"]})
    assert external["user"]["id"] == user_id
    page = alice.call("users.get", {"full_name": known["full_name"]})
    assert [item["user"]["id"] for item in page["items"]] == [user_id]
    wanted = {"field": "id", "param": "in", "value": [alice.id, bob.id]}
    page = alice.call("users.get", {"filter": wanted, "page": 1, "per_page": 10})
    assert {item["user"]["id"] for item in page["items"]} == {alice.id, bob.id}
    assert (page["current_page"], page["per_page"], page["total_entries"]) == (1, 10, 2)


def test_a_reset_of_the_password_is_taken(service, nobody):
    email = f"person-{fresh()}@example.com"
    service.add_user(email, PASSWORD, email=email)
    nobody.call("createSession")
    nobody.call("users.resetPassword", email)


def test_nobody_is_online_without_the_chat(alice):
    assert alice.call("users.getOnlineCount") == {"count": 0}
    assert alice.call("users.listOnline", {"limit": 5})["users"] == []


# --- files --------------------------------------------------------------------------------------

CONTENT = bytes(range(256)) * 40


def upload(person, **more):
    file = {"$base64": base64.b64encode(CONTENT).decode()}
    wanted = {"name": "a cat.png", "file": file, "type": "image/png", "size": len(CONTENT)}
    return person.call("storage.createAndUpload", {**wanted, **more})


def downloaded(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def test_an_uploaded_file_is_described_and_downloaded(alice, bob):
    blob = upload(alice, public=False)
    assert (blob["name"], blob["content_type"], blob["public"]) == ("a cat.png", "image/png", False)
    assert blob["uid"]
    described = alice.call("storage.getInfo", blob["id"])["blob"]
    assert (described["id"], described["uid"]) == (blob["id"], blob["uid"])
    assert (described["name"], described["size"]) == ("a cat.png", len(CONTENT))
    assert downloaded(alice.call("storage.privateUrl", blob["uid"])) == CONTENT
    found = bob.call("storage.getFileObject", blob["uid"], {"download_url": 1})["blob"]
    assert (found["id"], found["size"]) == (blob["id"], len(CONTENT))


def test_a_public_file_needs_no_session_and_a_private_one_does(alice):
    shown, hidden = upload(alice, public=True), upload(alice, public=False)
    assert downloaded(alice.call("storage.publicUrl", shown["uid"])) == CONTENT
    with pytest.raises(urllib.error.HTTPError) as refusal:
        downloaded(alice.call("storage.publicUrl", hidden["uid"]))
    refusal.value.close()
    assert refusal.value.code in (401, 403)


def test_own_files_are_listed_and_deleted(alice, bob):
    blobs = [upload(alice) for _ in range(2)]
    upload(bob)
    page = alice.call("storage.list", {"page": 1, "per_page": 10})
    assert {item["blob"]["id"] for item in page["items"]} == {blob["id"] for blob in blobs}
    assert (page["current_page"], page["per_page"], page["total_entries"]) == (1, 10, 2)
    alice.call("storage.delete", blobs[0]["id"])
    assert alice.refused("storage.getInfo", blobs[0]["id"])[0] == 404
    page = alice.call("storage.list")
    assert [item["blob"]["id"] for item in page["items"]] == [blobs[1]["id"]]


def test_a_file_is_uploaded_step_by_step(alice):
    wanted = {"name": "a cat.png", "content_type": "image/png", "public": True}
    blob = alice.call("storage.create", wanted)["blob"]
    assert blob["blob_status"] != "complete"
    form = urlsplit(blob["blob_object_access"]["params"])
    fields = dict(parse_qsl(form.query, keep_blank_values=True, strict_parsing=True))
    file = {"$base64": base64.b64encode(CONTENT).decode()}
    address = f"{form.scheme}://{form.netloc}{form.path}"
    alice.call("storage.upload", {"url": address, "data": {**fields, "file": file}})
    alice.call("storage.markUploaded", {"id": blob["id"], "size": len(CONTENT)})
    described = alice.call("storage.getInfo", blob["id"])["blob"]
    assert (described["size"], described["blob_status"]) == (len(CONTENT), "complete")
    assert downloaded(alice.call("storage.publicUrl", blob["uid"])) == CONTENT


def test_storage_update_of_the_javascript_sdk_does_not_rename_a_file(alice):
    blob = upload(alice)
    renamed = alice.call("storage.update", {"id": blob["id"], "name": "a dog.png"})["blob"]
    assert (renamed["id"], renamed["name"]) == (blob["id"], "a cat.png")


def test_the_javascript_sdk_cannot_read_the_bytes_of_a_file_by_its_uid(alice):
    blob = upload(alice, public=True)
    assert alice.refused("storage.getFile", blob["uid"])[0] == 200


def test_a_file_without_a_name_or_a_type_is_refused(alice):
    assert alice.refused("storage.create", {"name": "", "content_type": "image/png"})[0] == 422
    assert alice.refused("storage.create", {"name": "a cat.png"})[0] == 422


# --- push notifications -------------------------------------------------------------------------


def subscribe(person, udid, channel="gcm", platform="android"):
    wanted = {
        "notification_channel": channel,
        "device": {"platform": platform, "udid": udid},
        "push_token": {
            "environment": "development",
            "client_identification_sequence": f"token of {udid} of {person.login}",
            "bundle_identifier": "com.example.app",
        },
    }
    return person.call("pushnotifications.subscriptions.create", wanted)


def test_a_device_is_subscribed_listed_and_unsubscribed(alice, bob):
    made = subscribe(alice, "phone")
    assert len(made) == 1
    subscription = made[0]["subscription"]
    assert subscription["notification_channel"] == {"name": "gcm"}
    assert subscription["device"] == {"udid": "phone", "platform": {"name": "android"}}
    subscribe(alice, "tablet", "apns", "ios")
    subscribe(bob, "watch")
    found = alice.call("pushnotifications.subscriptions.list")
    assert [item["subscription"]["device"]["udid"] for item in found] == ["phone", "tablet"]
    alice.call("pushnotifications.subscriptions.delete", subscription["id"])
    found = alice.call("pushnotifications.subscriptions.list")
    assert [item["subscription"]["device"]["udid"] for item in found] == ["tablet"]


def test_an_event_is_pushed_to_the_devices_of_its_users(service, alice, bob):
    subscribe(bob, "watch")
    payload = {"message": "Grüße 👋", "ios_badge": 2}
    encoded = alice.call("pushnotifications.base64Encode", json.dumps(payload))
    wanted = {
        "notification_type": "push",
        "user": {"ids": [bob.id]},
        "environment": "development",
        "message": encoded,
    }
    made = alice.call("pushnotifications.events.create", wanted)
    event = made[0]["event"]
    assert (event["user_id"], event["application_id"]) == (alice.id, service.app_id)
    assert (event["environment"], event["message"]) == ("development", encoded)
    sent = [push for push in service.pushes if push.user_id == bob.id]
    assert [(push.udid, push.channel, push.payload) for push in sent] == [("watch", "gcm", payload)]


def test_a_message_for_a_user_who_is_offline_is_pushed_unless_it_is_silent(service, alice, bob):
    subscribe(bob, "watch")
    message = {"recipient_id": bob.id, "send_to_chat": 1}
    alice.call("chat.message.create", {**message, "message": "are you there?"})
    alice.call("chat.message.create", {**message, "message": "never mind", "silent": 1})
    sent = [push for push in service.pushes if push.user_id == bob.id]
    assert [(push.cause, push.udid) for push in sent] == [("message", "watch")]
    assert "are you there?" in json.dumps(sent[0].payload)


def test_an_event_for_nobody_or_without_a_message_is_refused(alice):
    event = {"notification_type": "push", "environment": "development", "message": "e30="}
    assert alice.refused("pushnotifications.events.create", event)[0] == 422
    event = {**event, "user": {"ids": str(alice.id)}, "message": ""}
    assert alice.refused("pushnotifications.events.create", event)[0] == 422


# --- the address book ---------------------------------------------------------------------------


def contacts(person, *udid):
    found = person.call("addressbook.get", *udid)
    return {contact["phone"]: contact["name"] for contact in found}


def test_contacts_are_uploaded_changed_and_removed(alice):
    book = [{"name": "Ann", "phone": "4412345601"}, {"name": "Ben", "phone": "4412345602"}]
    answer = alice.call("addressbook.uploadAddressBook", book)
    assert answer == {"created": 2, "updated": 0, "deleted": 0, "rejected": {}}
    assert contacts(alice) == {"4412345601": "Ann", "4412345602": "Ben"}
    change = [
        {"name": "Anna", "phone": "4412345601"},
        {"phone": "4412345602", "destroy": 1},
        {"name": "Short", "phone": "12"},
    ]
    answer = alice.call("addressbook.uploadAddressBook", change)
    assert (answer["created"], answer["updated"], answer["deleted"]) == (0, 1, 1)
    assert list(answer["rejected"]) == ["2"]
    assert contacts(alice) == {"4412345601": "Anna"}
    alice.call("addressbook.uploadAddressBook", book[1:], {"force": 1})
    assert contacts(alice) == {"4412345602": "Ben"}


def test_a_device_has_an_address_book_of_its_own(alice):
    book = [{"name": "Ann", "phone": "4412345601"}]
    alice.call("addressbook.uploadAddressBook", book, {"udid": "phone"})
    assert contacts(alice, "phone") == {"4412345601": "Ann"}
    assert contacts(alice, "tablet") == {}


def test_contacts_who_are_users_are_found(service, alice):
    number = f"44987654{fresh():04d}"
    user_id = service.add_user(f"person-{number}", PASSWORD, phone=number, full_name="Carol C.")
    book = [{"name": "My Carol", "phone": number}, {"name": "Nobody", "phone": "4400000000"}]
    alice.call("addressbook.uploadAddressBook", book)
    compact = alice.call("addressbook.getRegisteredUsers", True)["items"]
    short = {"id": user_id, "phone": number, "address_book_name": "My Carol"}
    assert compact == [{"user": short}]
    full = alice.call("addressbook.getRegisteredUsers", {"compact": 0})["items"][0]["user"]
    assert {name: full[name] for name in short} == short
    assert full["full_name"] == "Carol C."


# --- custom objects -----------------------------------------------------------------------------


@pytest.fixture
def profiles():
    """The name of a class that no other test has records of."""
    return f"Profile{fresh()}"


def names(page):
    return [item["name"] for item in page["items"]]


def test_records_are_made_found_and_ordered(alice, bob, profiles):
    ann = alice.call("data.create", profiles, {"name": "Ann", "age": 41, "tags": ["a", "b"]})
    assert OBJECT_ID.fullmatch(ann["_id"])
    assert (ann["user_id"], ann["name"], ann["age"]) == (alice.id, "Ann", 41)
    assert ann["tags"] == ["a", "b"]
    several = [{"name": "Ben", "age": 29}, {"name": "Cay", "age": 35}]
    assert names(alice.call("data.create", profiles, several)) == ["Ben", "Cay"]
    page = bob.call("data.list", profiles)
    assert page["class_name"] == profiles
    assert sorted(names(page)) == ["Ann", "Ben", "Cay"]
    older = {"age": {"gt": 30}, "sort_desc": "age"}
    assert names(bob.call("data.list", profiles, older)) == ["Ann", "Cay"]
    assert names(bob.call("data.list", profiles, {"name": {"in": ["Ben", "Dan"]}})) == ["Ben"]
    assert names(bob.call("data.list", profiles, {"sort_asc": "age", "limit": 1})) == ["Ben"]
    assert names(bob.call("data.list", profiles, ann["_id"])) == ["Ann"]


def test_records_are_changed_one_by_one_many_at_once_and_by_criteria(alice, profiles):
    people = [{"name": "Ann", "age": 41}, {"name": "Ben", "age": 29}]
    ann, ben = alice.call("data.create", profiles, people)["items"]
    changed = alice.call("data.update", profiles, {"id": ann["_id"], "age": 42})
    assert (changed["_id"], changed["name"], changed["age"]) == (ann["_id"], "Ann", 42)
    changes = [{"id": ben["_id"], "age": 30}, {"id": NO_SUCH_ID, "age": 1}]
    answer = alice.call("data.update", profiles, changes)
    assert [(item["_id"], item["age"]) for item in answer["items"]] == [(ben["_id"], 30)]
    assert answer["not_found"]["ids"] == [NO_SUCH_ID]
    criteria = {"search_criteria": {"age": {"lt": 40}}, "name": "Benjamin"}
    answer = alice.call("data.update", profiles, criteria)
    assert (answer["total_found"], names(answer)) == (1, ["Benjamin"])


def test_records_belong_to_their_owner(alice, bob, profiles):
    record = alice.call("data.create", profiles, {"name": "Ann"})
    assert bob.refused("data.update", profiles, {"id": record["_id"], "name": "Bea"})[0] == 403
    assert bob.refused("data.delete", profiles, record["_id"])[0] == 403
    shown = alice.call("data.readPermissions", profiles, record["_id"])
    access = {action: rule["access"] for action, rule in shown["permissions"].items()}
    assert access == {"read": "open", "update": "owner", "delete": "owner"}
    hidden = {"name": "Cay", "permissions": {"read": {"access": "owner"}}}
    alice.call("data.create", profiles, hidden)
    assert names(bob.call("data.list", profiles)) == ["Ann"]
    assert sorted(names(alice.call("data.list", profiles))) == ["Ann", "Cay"]


def test_records_are_deleted_one_by_one_many_at_once_and_by_criteria(alice, bob, profiles):
    people = [{"name": f"person {age}", "age": age} for age in (20, 30, 40, 50)]
    records = alice.call("data.create", profiles, people)["items"]
    ids = [record["_id"] for record in records]
    foreign = bob.call("data.create", profiles, {"name": "Bob"})["_id"]
    alice.call("data.delete", profiles, ids[0])
    answer = alice.call("data.delete", profiles, [ids[1], foreign, NO_SUCH_ID])
    assert answer["SuccessfullyDeleted"]["ids"] == [ids[1]]
    assert answer["WrongPermissions"]["ids"] == [foreign]
    assert answer["NotFound"]["ids"] == [NO_SUCH_ID]
    assert alice.call("data.delete", profiles, {"age": {"gte": 41}}) == {"total_deleted": 1}
    assert sorted(names(alice.call("data.list", profiles))) == ["Bob", "person 40"]
