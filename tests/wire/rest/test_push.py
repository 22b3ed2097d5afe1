import base64
import json

import pytest

from connectycube.errors import ArgumentTypeError, ArgumentValueError, UnexpectedResponseError
from connectycube.models import PushEvent, PushSubscription, User
from tests.support.scripted_http import answer, refusal

SUBSCRIPTION = {
    "subscription": {
        "id": 50,
        "notification_channel": {"name": "apns"},
        "device": {"udid": "device-1", "platform": {"name": "ios"}},
    }
}
DEVICE = {"platform": "ios", "udid": "device-1", "environment": "development"}
EVENT = {
    "event": {
        "id": 8429,
        "event_type": "one_shot",
        "message": "payload=e30=",
        "occured_count": 0,
        "created_at": "2018-12-06T11:31:23Z",
        "active": True,
        "user_id": 271,
        "environment": "development",
        "notification_channel": {"name": "apns"},
    }
}


def test_a_browser_is_subscribed_with_keys_of_its_own(cube, server):
    server.play(answer(201, [SUBSCRIPTION]))
    keys = {"web_endpoint": "https://push.example", "web_auth": "a", "web_p256dh": "p"}
    cube.push.subscribe(
        channel="web", platform="web", udid="d", environment="production", bundle_id="b", **keys
    )
    assert server.requests[0].json["push_token"] == {
        "environment": "production",
        **keys,
        "bundle_identifier": "b",
    }


def test_subscriptions_are_listed_and_removed(cube, server):
    server.play(answer(200, [SUBSCRIPTION, SUBSCRIPTION, None]), answer(200), answer(204))
    first, _ = cube.push.subscriptions()
    cube.push.unsubscribe(first)
    cube.push.unsubscribe(56)
    assert [request.path for request in server.requests[1:]] == [
        "/subscriptions/50",
        "/subscriptions/56",
    ]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"channel": "sms"}, "channel"),
        ({"channel": None}, "channel"),
        ({"platform": "windows"}, "platform"),
        ({"environment": "test"}, "environment"),
        ({"environment": 5}, "environment"),
        ({"udid": ""}, "udid"),
        ({"token": None}, "token"),
        ({"token": b"x"}, "token"),
        ({"bundle_id": ""}, "bundle_id"),
        ({"web_auth": "a"}, "web_auth"),
        ({"channel": "web"}, "token is not for channel web"),
        ({"channel": "web", "token": None}, "web_endpoint"),
    ],
)
def test_wrong_arguments_of_subscribe_send_nothing(cube, server, arguments, name):
    right = {"channel": "apns", "token": "t", **DEVICE}
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.push.subscribe(**{**right, **arguments})
    assert server.connections == []


def test_a_devices_token_is_masked_in_errors(cube, server):
    server.play(refusal(422, "bad token D3V1CE"))
    with pytest.raises(Exception, match="bad token") as caught:
        cube.push.subscribe(channel="gcm", token="D3V1CE", **DEVICE)
    assert "D3V1CE" not in str(caught.value)


# --- events


def sent(server):
    return server.requests[-1].json["event"]


def payload_of(event):
    return json.loads(base64.b64decode(event["message"].removeprefix("payload=")))


def test_an_event_notifies_users(cube, server):
    server.play(answer(201, [EVENT]))
    (event,) = cube.push.send_event(
        {"message": "grüße 👋", "ios_badge": 2}, environment="development", users=[271, User(id=5)]
    )
    assert event == PushEvent.from_json(EVENT)
    assert (event.id, event.channel, event.user_id, event.active) == (8429, "apns", 271, True)
    assert server.requests[0].path == "/events"
    assert payload_of(sent(server)) == {"message": "grüße 👋", "ios_badge": 2}
    assert {key: value for key, value in sent(server).items() if key != "message"} == {
        "notification_type": "push",
        "environment": "development",
        "user": {"ids": "271,5"},
    }


def test_a_text_is_the_message_of_a_universal_notification(cube, server):
    server.play(answer(201, [EVENT]))
    cube.push.send_event("Dinner", environment="production", external_ids=["a", "b"])
    assert payload_of(sent(server)) == {"message": "Dinner"}
    assert sent(server)["external_user"] == {"ids": "a,b"}


def test_recipients_are_found_by_tags(cube, server):
    server.play(answer(201, [EVENT]))
    cube.push.send_event(
        "x", environment="production", tags_any=["a", "b"], tags_all=["c"], tags_exclude=["d"]
    )
    assert sent(server)["user"] == {"tags": {"any": "a,b", "all": "c", "exclude": "d"}}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"payload": ""}, "payload"),
        ({"payload": {}}, "payload"),
        ({"payload": 5}, "payload"),
        ({"payload": {"a": object()}}, "payload is not JSON"),
        ({"payload": {"a": float("nan")}}, "payload is not JSON"),
        ({"environment": "test"}, "environment"),
        ({"push_type": "web"}, "push_type"),
        ({"users": None}, "recipients"),
        ({"external_ids": ["a"]}, "recipients"),
        ({"tags_any": ["a"]}, "recipients"),
        ({"users": []}, "users"),
        ({"users": 5}, "users"),
        ({"users": ["5"]}, "users"),
        ({"users": [0]}, "users"),
        ({"users": None, "external_ids": "abc"}, "external_ids"),
        ({"users": None, "external_ids": ["a,b"]}, "external_ids"),
        ({"users": None, "tags_all": [""]}, "tags_all"),
    ],
)
def test_wrong_arguments_of_an_event_send_nothing(cube, server, arguments, name):
    right = {"payload": "x", "environment": "development", "users": [5]}
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=name):
        cube.push.send_event(**{**right, **arguments})
    assert server.connections == []


@pytest.mark.parametrize("data", [{}, None, {"subscription": {}}])
def test_an_answer_that_is_no_list_is_unexpected(cube, server, data):
    server.play(answer(200, data))
    with pytest.raises(UnexpectedResponseError, match="a list was expected"):
        cube.push.subscriptions()


@pytest.mark.parametrize("subscription", ["50", 0, None, PushSubscription()])
def test_what_is_no_subscription_sends_nothing(cube, server, subscription):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match="subscription"):
        cube.push.unsubscribe(subscription)
    assert server.connections == []
