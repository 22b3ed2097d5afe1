"""Meetings and calls, as a client without our SDK sees them."""

from __future__ import annotations

import pytest
import requests

from tests.wire.emulator.api.people import answered, dialogs

BODY = {"name": "Sync", "start_date": 1_800_000_000, "end_date": 1_800_003_600}


@pytest.fixture
def meeting(people):
    """A meeting of alice, to which bob is invited."""
    return made(people)


def made(people, **more):
    body = {**BODY, "attendees": [{"id": people.bob.id}, {"email": "x@y.example"}], **more}
    return answered(people.alice("POST", "meetings", json=body), 201)


def test_a_meeting_has_the_documented_fields(people, meeting):
    assert meeting.keys() == {
        *("_id", "name", "start_date", "end_date", "attendees", "record", "chat_dialog_id"),
        *("created_at", "updated_at", "host_id", "scheduled", "public", "notify"),
        *("notify_before", "timezone"),
    }
    assert (meeting["host_id"], meeting["chat_dialog_id"]) == (people.alice.id, None)


def test_a_meeting_with_a_chat_has_a_dialog_of_its_users(people):
    dialog_id = made(people, chat=True)["chat_dialog_id"]
    (dialog,) = dialogs(people.bob)
    assert (dialog["_id"], dialog["type"], dialog["name"]) == (dialog_id, 5, "Sync")
    assert set(dialog["occupants_ids"]) == {people.alice.id, people.bob.id}


def test_host_and_attendees_see_a_meeting_and_others_a_public_one(people, meeting):
    public = made(people, public=True, attendees=[])
    for person, expected in ((people.alice, [meeting, public]), (people.bob, [meeting])):
        assert answered(person("GET", "meetings")) == expected
    for each, expected in ((meeting, []), (public, [public])):
        assert answered(people.carol("GET", f"meetings?_id={each['_id']}")) == expected


def test_the_host_alone_changes_and_deletes_a_meeting(people, meeting):
    path = f"meetings/{meeting['_id']}"
    body = {
        **BODY,
        "name": "Later",
        "attendees": [],
        "notify_before": {"metric": "hours", "value": 1},
    }
    answered(people.bob("PUT", path, json=body), 403)
    changed = answered(people.alice("PUT", path, json={**body, "chat": True}))
    assert (changed["name"], changed["notify_before"]["value"]) == ("Later", 1)
    answered(people.alice("PUT", path, json={"name": "Only"}), 422)
    answered(people.bob("DELETE", path), 403)
    assert answered(people.alice("DELETE", path)) is None
    answered(people.alice("DELETE", path), 404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"start_date": "soon"},
        {"end_date": None},
        {"attendees": {}},
        {"attendees": [{}]},
        {"attendees": [{"id": "5"}]},
        {"attendees": [{"phone": "1"}]},
        {"notify_before": {"metric": "years", "value": 1}},
        {"notify_before": {"metric": "minutes", "value": 56}},
        {"timezone": {"name": "Europe/Riga"}},
        {"color": "red"},
    ],
)
def test_a_wrong_field_of_a_meeting_is_refused(people, wrong):
    body = {**BODY, "attendees": [], **wrong}
    answer = answered(people.alice("POST", "meetings", json=body), 422)
    assert next(iter(wrong)) in answer["errors"]


def test_meetings_are_filtered_and_paged(people):
    for number in range(5):
        made(people, name=f"M{number}", start_date=1000 + number, scheduled=number == 3)

    def names(query):
        return [each["name"] for each in answered(people.bob("GET", f"meetings?{query}"))]

    assert names("start_date[gte]=1003") == ["M3", "M4"]
    assert names("scheduled=true&created_at[gt]=2021-02-19T10:26:49.013Z") == ["M3"]
    assert names("limit=2&offset=1") == ["M1", "M2"]
    answered(people.bob("GET", "meetings?scheduled=perhaps"), 422)


def test_recordings_are_for_those_in_the_meeting(people, meeting):
    path = f"meetings/{meeting['_id']}"
    for is_on in (True, False):
        assert answered(people.bob("GET", f"meetings/recordings/{meeting['_id']}")) == []
        body = {**BODY, "attendees": meeting["attendees"], "record": is_on}
        answered(people.alice("PUT", path, json=body))
    (found,) = answered(people.bob("GET", f"meetings/recordings/{meeting['_id']}"))
    assert (found["room_id"], found["participants_ids"]) == (meeting["_id"], [people.alice.id])
    assert found["participants_count"] == 1
    assert requests.get(found["download_url"], timeout=5).status_code == 404
    answered(people.carol("GET", f"meetings/recordings/{meeting['_id']}"), 403)
    answered(people.alice("GET", "meetings/recordings/6a1f00aa11bb22cc33dd4401"), 404)


def test_a_rejected_call_is_a_signal_to_the_caller(people, connect):
    client = connect().log_in(people.bob.id)
    body = {
        "recipientId": people.bob.id,
        "sessionID": "s-1",
        "platform": "Web",
        "userInfo": {"busy": True, "friend_id": 10},
    }
    assert answered(people.alice("POST", "calls/reject", json=body)) == {}
    stanza = client.message()
    params = {each.tag.rpartition("}")[2]: each for each in stanza[0]}
    assert stanza.get("type") == "headline"
    assert params["moduleIdentifier"].text == "WebRTCVideoChat"
    assert (params["signalType"].text, params["sessionID"].text) == ("reject", "s-1")
    assert [each.text for each in params["userInfo"]] == ["true", "10"]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"recipientId": None}, 422),
        ({"recipientId": 9999}, 404),
        ({"sessionID": ""}, 422),
        ({"platform": "Amiga"}, 422),
        ({"userInfo": "busy"}, 422),
    ],
)
def test_a_wrong_rejection_of_a_call_is_refused(people, wrong, status):
    body = {"recipientId": people.bob.id, "sessionID": "s", "platform": "iOS", **wrong}
    answered(people.alice("POST", "calls/reject", json=body), status)
