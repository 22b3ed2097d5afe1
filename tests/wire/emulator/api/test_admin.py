"""The Administration API, as a client without our SDK sees it."""

from __future__ import annotations

import pytest
import requests

from connectycube.emulator import Emulator
from connectycube.emulator.api import ROUTES
from tests.wire.emulator.api.people import answered, dialogs, listed, make_private, write
from tests.wire.emulator.conftest import ManualClock

PATHS = [
    (route.method, route.pattern.replace("{id}", "6a1f00aa11bb22cc33dd4401"))
    for route in ROUTES
    if route.pattern.startswith("admin/")
]
DAY = 86_400


@pytest.fixture
def admin(emulator):
    """Calls with the key, and without a session."""
    with requests.Session() as http:
        http.trust_env = False
        http.headers["CB-Administration-API-Key"] = emulator.admin_key

        def call(method, path, status=200, **more):
            answer = http.request(method, f"{emulator.api_url}/{path}", timeout=5, **more)
            return answered(answer, status)

        yield call


def call(emulator, method, path, headers):
    return requests.request(method, f"{emulator.api_url}/{path}", headers=headers, timeout=5)


# --- the key --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("given", [None, "", "another key", "schlüssel"])
def test_each_call_needs_the_key(emulator, people, method, path, given):
    headers = {"CB-Token": people.alice.token}
    if given is not None:
        headers["CB-Administration-API-Key"] = given.encode("utf-8")
    answer = call(emulator, method, path, headers)
    assert answer.status_code == (403 if given else 401)
    assert answer.json()["errors"]["base"][0].startswith("CB-Administration-API-Key")
    assert emulator.admin_key not in answer.text


def test_the_key_is_no_session(emulator, admin):
    for path in ("chat/Dialog", "users/online", "session"):
        admin("GET", path, 401)


def test_the_key_is_random_unless_it_is_given():
    first, second = Emulator(), Emulator()
    assert len(first.admin_key) == 32
    assert first.admin_key != second.admin_key
    assert Emulator(admin_key="of the tests").admin_key == "of the tests"


def test_the_variables_of_an_emulator_have_the_key(emulator):
    assert emulator.environment()["CONNECTYCUBE_ADMIN_KEY"] == emulator.admin_key
    assert emulator.admin_key not in repr(emulator)


# --- dialogs --------------------------------------------------------------------------------------

FIELDS = {
    *("_id", "user_id", "created_at", "updated_at", "type", "occupants_ids", "last_message"),
    *("last_message_date_sent", "last_message_id", "last_message_user_id"),
    *("last_message_status", "name", "description", "photo", "occupants_count"),
    *("xmpp_room_jid", "is_e2ee", "admins_ids", "is_muted", "unread_messages_count"),
    *("pinned_messages_ids", "deleted_ids", "silent_ids"),
}


def test_a_dialog_has_the_documented_fields(people, admin):
    dialog = make_private(people)
    write(people.alice, dialog["_id"], "hello")
    page = admin("GET", "admin/chat/list")
    assert page.keys() == {"total_entries", "skip", "limit", "items"}
    assert (page["total_entries"], page["skip"], page["limit"]) == (1, 0, 100)
    (found,) = page["items"]
    assert found.keys() >= FIELDS
    assert set(found["occupants_ids"]) == {people.alice.id, people.bob.id}
    assert (found["last_message"], found["last_message_status"]) == ("hello", "sent")
    assert (found["name"], found["silent_ids"], found["deleted_ids"]) == (None, [], [])


def test_dialogs_are_read_by_the_loop_of_the_documentation(people, admin):
    made = [
        answered(people.alice("POST", "chat/Dialog", json={"type": 4, "name": f"D{n}"}), 201)["_id"]
        for n in range(7)
    ]
    first = admin("GET", "admin/chat/list?limit=3")
    found = [item["_id"] for item in first["items"]]
    for _ in range(1, -(-first["total_entries"] // 3)):
        page = admin("GET", f"admin/chat/list?limit=3&_id[lt]={found[-1]}")
        found += [item["_id"] for item in page["items"]]
    assert found == made[::-1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort_asc=_id", ["A", "B", "C"]),
        ("sort_desc=created_at", ["C", "B", "A"]),
        ("updated_at[gt]=1700000500&sort_asc=_id", ["B", "C"]),
        ("created_at[lte]=1700001000&sort_asc=_id", ["A", "B"]),
        ("name=B", ["B"]),
        ("sort_asc=_id&skip=1&limit=1", ["B"]),
    ],
)
def test_dialogs_are_filtered_and_sorted(query, expected):
    clock = ManualClock()
    with Emulator(clock=clock) as emulator:
        user = emulator.add_user("alice", "secret")
        for name in "ABC":
            emulator.add_dialog("public", user, name=name)
            clock.now += 1000
        headers = {"CB-Administration-API-Key": emulator.admin_key}
        page = answered(call(emulator, "GET", f"admin/chat/list?{query}", headers))
    assert [item["name"] for item in page["items"]] == expected


@pytest.mark.parametrize(
    "query", ["sort_asc=name", "_id[near]=5", "limit=-1", "created_at[gt]=x", "color=red"]
)
@pytest.mark.parametrize("path", ["admin/chat/list", "admin/chat/messages/list"])
def test_a_wrong_parameter_is_refused(admin, path, query):
    admin("GET", f"{path}?{query}", 422)


def test_a_limit_above_a_hundred_is_a_hundred(admin):
    for path in ("admin/chat/list", "admin/chat/messages/list"):
        assert admin("GET", f"{path}?limit=5000")["limit"] == 100


def test_any_dialog_is_changed_by_its_own_rules_and_no_roles(people, group, admin):
    body = {"name": "Renamed", "push_all": {"admins_ids": [people.carol.id]}}
    changed = admin("PUT", f"admin/chat/{group}", json=body)
    assert (changed["name"], changed["admins_ids"]) == ("Renamed", [people.bob.id, people.carol.id])
    assert dialogs(people.dave)[0]["name"] == "Renamed"
    admin("PUT", f"admin/chat/{group}", 422, json={"color": "red"})
    admin("PUT", f"admin/chat/{group}", 422, json={})
    admin("PUT", "admin/chat/6a1f00aa11bb22cc33dd4401", 404, json={"name": "x"})


def test_a_dialog_is_muted_for_one_of_its_users(people, group, admin):
    bob = people.bob
    body = {"user_id": bob.id, "is_muted": True}
    assert admin("PUT", f"admin/chat/{group}", json=body)["silent_ids"] == [bob.id]
    settings = answered(bob("GET", f"chat/Dialog/{group}/notifications"))
    assert settings == {"notifications": {"enabled": 0}}
    changed = admin("PUT", f"admin/chat/{group}", json={**body, "is_muted": False, "name": "N"})
    assert (changed["silent_ids"], changed["name"]) == ([], "N")
    admin("PUT", f"admin/chat/{group}", 422, json={"is_muted": True})
    admin("PUT", f"admin/chat/{group}", 404, json={"is_muted": True, "user_id": 9999})
    eve = people.eve.id
    admin("PUT", f"admin/chat/{group}", 422, json={"is_muted": True, "user_id": eve})


# --- messages -------------------------------------------------------------------------------------


def test_a_message_has_the_documented_fields(people, admin):
    dialog = make_private(people)
    files = {"attachments": [{"type": "image", "id": "3"}]}
    sent = write(people.alice, dialog["_id"], "hello", mission="none", **files)
    answered(people.bob("DELETE", f"chat/Message/{sent['_id']}"))
    (found,) = admin("GET", "admin/chat/messages/list")["items"]
    assert found.keys() >= {
        *("_id", "chat_dialog_id", "message", "date_sent", "sender_id", "recipient_id"),
        *("created_at", "updated_at", "read_ids", "delivered_ids", "userExtraData", "mission"),
        *("attachments", "reactions", "views_count", "edited_at", "read", "deleted_for_ids"),
    }
    assert (found["mission"], found["attachments"]) == ("none", files["attachments"])
    assert (found["deleted_for_ids"], found["edited_at"]) == ([people.bob.id], None)


def test_messages_of_all_dialogs_are_read_by_the_loop_of_the_documentation(people, group, admin):
    private = make_private(people)["_id"]
    made = [write(people.alice, group if n % 2 else private, f"m{n}")["_id"] for n in range(7)]
    first = admin("GET", "admin/chat/messages/list?limit=2")
    found = [item["_id"] for item in first["items"]]
    for _ in range(1, -(-first["total_entries"] // 2)):
        page = admin("GET", f"admin/chat/messages/list?limit=2&_id[lt]={found[-1]}")
        found += [item["_id"] for item in page["items"]]
    assert found == made[::-1]
    page = admin("GET", f"admin/chat/messages/list?chat_dialog_id={private}&sort_asc=_id")
    assert [item["_id"] for item in page["items"]] == made[::2]
    assert listed(people.bob, private)[0]["read_ids"] == [people.alice.id], "nothing is read by it"


# --- users and statistics -------------------------------------------------------------------------


def test_any_user_is_deleted(people, group, admin):
    token = people.bob.token
    assert admin("DELETE", f"admin/user/{people.bob.id}") == {"success": True}
    assert people.bob("GET", "session", headers={"CB-Token": token}).status_code == 401
    assert people.bob.id not in dialogs(people.alice)[0]["occupants_ids"]
    admin("DELETE", f"admin/user/{people.bob.id}", 404)
    admin("DELETE", "admin/user/bob", 404)


def test_statistics_are_by_day_in_utc():
    clock = ManualClock()
    clock.now = 1_714_521_600  # 2024-05-01 00:00 UTC
    with Emulator(clock=clock) as emulator, requests.Session() as http:
        http.headers["CB-Administration-API-Key"] = emulator.admin_key

        def stats(path):
            return answered(http.get(f"{emulator.api_url}/admin/stats/{path}", timeout=5))

        user = emulator.add_user("alice", "secret")
        for count, kind in enumerate(("public", "group", "public"), start=1):
            dialog = emulator.add_dialog(kind, user, [user], name="x")
            emulator.add_messages(
                dialog, [{"sender_id": user, "date_sent": int(clock.now) + n} for n in range(count)]
            )
            clock.now += DAY
        days = ["2024-05-01", "2024-05-02", "2024-05-03"]
        assert stats("messages/sent-per-day") == dict(zip(days, (1, 2, 3), strict=True))
        assert stats("messages/sent-per-day?limit=1&offset=1") == {days[1]: 2}
        assert stats("messages/sent-total") == {"total": 6}
        span = f"start_date={1_714_521_600 + DAY}&end_date={1_714_521_600 + 2 * DAY - 1}"
        assert stats(f"messages/sent-total?{span}") == {"total": 2}
        assert stats("dialogs/created-per-day?types[]=4") == {days[0]: 1, days[2]: 1}
        assert stats("dialogs/created-total?types[]=2&types[]=4") == {"total": 3}
        assert stats("dialogs/created-total?types[]=3") == {"total": 0}
