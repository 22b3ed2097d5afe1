"""Push subscriptions and events, and the pushes they make."""

from __future__ import annotations

import base64
import json

import pytest

DEVICE = {
    "notification_channel": "gcm",
    "device": {"platform": "android", "udid": "device-1"},
    "push_token": {"environment": "development", "client_identification_sequence": "token-1"},
}
WEB = {
    "notification_channel": "web",
    "device": {"platform": "web", "udid": "browser"},
    "push_token": {
        "environment": "development",
        "web_endpoint": "https://push.example/1",
        "web_auth": "a",
        "web_p256dh": "p",
    },
}


def encoded(payload):
    return base64.b64encode(json.dumps(payload).encode()).decode()


def event(**fields):
    base = {
        "notification_type": "push",
        "environment": "development",
        "message": encoded({"message": "hi"}),
    }
    return {"event": {**base, **fields}}


def device(**changes):
    return {
        name: {**value, **changes.get(name, {})}
        if isinstance(value, dict)
        else changes.get(name, value)
        for name, value in DEVICE.items()
    }


@pytest.fixture
def people(emulator):
    return {
        "alice": emulator.add_user("alice", "secret", external_id="ext-a", tag_list="vip,dev"),
        "bob": emulator.add_user("bob", "secret", external_id="ext-b", tag_list="dev"),
        "carol": emulator.add_user("carol", "secret"),
    }


@pytest.fixture
def subscribed(rest, people):
    """Sessions of everybody, each with a device of that name."""
    sessions = {}
    for name in people:
        sessions[name] = rest(name)
        body = device(
            device={"udid": name}, push_token={"client_identification_sequence": f"token of {name}"}
        )
        assert sessions[name]("POST", "subscriptions", json=body).status_code == 201
    return sessions


class TestSubscriptions:
    @pytest.mark.parametrize("channel", ["apns", "apns_voip", "gcm"])
    def test_every_channel_with_a_device_token(self, rest, alice, channel):
        body = device(notification_channel=channel)
        answer = rest("alice")("POST", "subscriptions", json=body)
        assert answer.status_code == 201
        (item,) = answer.json()
        assert item["subscription"]["notification_channel"] == {"name": channel}
        assert item["subscription"]["device"] == {
            "udid": "device-1",
            "platform": {"name": "android"},
        }

    def test_web_has_fields_of_its_own(self, emulator, rest, alice):
        hers = rest("alice")
        assert hers("POST", "subscriptions", json=WEB).status_code == 201
        hers("POST", "events", json=event(user={"ids": str(alice)}))
        assert emulator.pushes[0].token == "https://push.example/1"

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, "notification_channel"),
            (device(notification_channel="sms"), "notification_channel"),
            ({**DEVICE, "device": None}, "device"),
            ({**DEVICE, "push_token": "x"}, "push_token"),
            (device(device={"platform": "symbian"}), "platform"),
            (device(device={"udid": ""}), "udid"),
            (device(push_token={"environment": "staging"}), "environment"),
            (
                device(push_token={"client_identification_sequence": None}),
                "client_identification_sequence",
            ),
            (device(push_token={"bundle_identifier": 5}), "bundle_identifier"),
            (device(notification_channel="web"), "web_auth"),
            ({**WEB, "push_token": {**WEB["push_token"], "web_endpoint": ""}}, "web_endpoint"),
            ({**WEB, "push_token": {**WEB["push_token"], "web_p256dh": None}}, "web_p256dh"),
        ],
    )
    def test_a_wrong_field_is_named(self, rest, alice, body, wrong):
        hers = rest("alice")
        answer = hers("POST", "subscriptions", json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [wrong])
        assert hers("GET", "subscriptions").json() == []

    def test_a_known_device_gets_its_new_token(self, emulator, rest, alice):
        hers = rest("alice")
        hers("POST", "subscriptions", json=DEVICE)
        new = device(push_token={"client_identification_sequence": "token-2"})
        hers("POST", "subscriptions", json=new)
        assert len(hers("GET", "subscriptions").json()) == 1
        hers("POST", "events", json=event(user={"ids": [alice]}))
        assert [push.token for push in emulator.pushes] == ["token-2"]

    def test_a_token_follows_the_user_who_has_the_device_now(self, rest, alice, bob):
        hers, his = rest("alice"), rest("bob")
        hers("POST", "subscriptions", json=DEVICE)
        his("POST", "subscriptions", json=DEVICE)
        assert hers("GET", "subscriptions").json() == []
        assert len(his("GET", "subscriptions").json()) == 1

    def test_only_ones_own_are_listed_and_removed(self, rest, alice, bob):
        hers, his = rest("alice"), rest("bob")
        subscription = hers("POST", "subscriptions", json=DEVICE).json()[0]["subscription"]
        path = f"subscriptions/{subscription['id']}"
        assert his("GET", "subscriptions").json() == []
        assert his("DELETE", path).status_code == 404
        assert hers("DELETE", path).status_code == 200
        assert hers("DELETE", path).status_code == 404
        assert hers("DELETE", "subscriptions/word").status_code == 404


class TestEvents:
    @pytest.mark.parametrize(
        ("recipients", "reached"),
        [
            (lambda ids: {"user": {"ids": f"{ids['alice']}, {ids['carol']}"}}, ["alice", "carol"]),
            (lambda ids: {"user": {"ids": [ids["bob"], 999]}}, ["bob"]),
            (lambda ids: {"external_user": {"ids": "ext-b,ext-a"}}, ["alice", "bob"]),
            (lambda ids: {"user": {"tags": {"any": "vip,nobody"}}}, ["alice"]),
            (lambda ids: {"user": {"tags": {"any": ["dev"]}}}, ["alice", "bob"]),
            (lambda ids: {"user": {"tags": {"all": "dev,vip"}}}, ["alice"]),
            (lambda ids: {"user": {"tags": {"exclude": "vip"}}}, ["bob", "carol"]),
            (lambda ids: {"user": {"tags": {"any": "dev", "exclude": "vip"}}}, ["bob"]),
        ],
    )
    def test_reach_ids_external_ids_and_tags(
        self, emulator, people, subscribed, recipients, reached
    ):
        answer = subscribed["carol"]("POST", "events", json=event(**recipients(people)))
        assert answer.status_code == 201
        assert [push.udid for push in emulator.pushes] == reached
        assert {push.cause for push in emulator.pushes} == {"event"}
        assert emulator.pushes[0].payload == {"message": "hi"}

    def test_reach_only_the_environment_and_the_channel_they_name(self, emulator, people, rest):
        hers = rest("alice")
        for channel, environment in (
            ("gcm", "development"),
            ("gcm", "production"),
            ("apns", "development"),
        ):
            body = device(notification_channel=channel, push_token={"environment": environment})
            hers("POST", "subscriptions", json=body)
        user = {"ids": str(people["alice"])}
        raw = f"payload={encoded({'aps': {'alert': '>>>???'}})}"
        hers("POST", "events", json=event(user=user, environment="production"))
        hers("POST", "events", json=event(user=user, push_type="apns", message=raw))
        seen = [(push.channel, push.environment, push.payload) for push in emulator.pushes]
        assert seen == [
            ("gcm", "production", {"message": "hi"}),
            ("apns", "development", {"aps": {"alert": ">>>???"}}),
        ]

    @pytest.mark.parametrize(
        ("tags", "query"),
        [
            ({"any": "vip,dev", "exclude": 'a"b'}, {"any": ["dev", "vip"], "exclude": ['a"b']}),
            ({"all": ["ü"]}, {"all": ["ü"]}),
        ],
    )
    def test_the_tag_query_is_json_text(self, subscribed, tags, query):
        answer = subscribed["alice"]("POST", "events", json=event(user={"tags": tags}))
        assert json.loads(answer.json()[0]["event"]["tag_query"]) == query

    def test_plain_text_is_a_payload_too(self, emulator, people, subscribed):
        text = base64.b64encode("grüezi".encode()).decode()
        user = {"ids": str(people["bob"])}
        subscribed["alice"]("POST", "events", json=event(user=user, message=text))
        assert emulator.pushes[0].payload == "grüezi"

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"notification_type": None}, "notification_type"),
            ({"notification_type": "email"}, "notification_type"),
            ({"environment": "staging"}, "environment"),
            ({"push_type": "sms"}, "push_type"),
            ({"event_type": "daily"}, "event_type"),
            ({"message": ""}, "message"),
            ({"message": "not base64!"}, "message"),
            ({"message": "/w=="}, "message"),
            ({"message": "aGk=", "push_type": "apns"}, "message"),
            ({"user": None}, "base"),
            ({"user": {"ids": "1,x"}}, "user"),
            ({"user": {"ids": str(10**30)}}, "user"),
            ({"user": "1"}, "user"),
            ({"user": {"tags": "x"}}, "base"),
        ],
    )
    def test_a_wrong_field_is_named_and_nothing_is_sent(
        self, emulator, people, subscribed, fields, wrong
    ):
        body = event(**{"user": {"ids": "1"}, **fields})
        answer = subscribed["alice"]("POST", "events", json=body)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [wrong])
        assert emulator.pushes == []
        assert subscribed["alice"]("GET", "events").json() == []

    def test_the_answer_has_the_documented_fields(self, rest, people):
        hers = rest("alice")
        (item,) = hers("POST", "events", json=event(user={"ids": "1"})).json()
        created = item["event"]
        assert created["event_type"] == "one_shot"
        assert created["message"] == encoded({"message": "hi"})
        assert (created["user_id"], created["application_id"]) == (people["alice"], 1)
        assert created["notification_channel"] is None
        assert hers("GET", "events").json() == [item]

    def test_a_deleted_user_gets_none(self, emulator, people, subscribed):
        subscribed["bob"]("DELETE", f"users/{people['bob']}")
        user = {"ids": str(people["bob"])}
        subscribed["alice"]("POST", "events", json=event(user=user))
        assert emulator.pushes == []
