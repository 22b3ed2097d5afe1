"""push_notifications.md."""

from attrs import evolve

from connectycube.models import PushEvent, PushSubscription
from tests.wire.rest.documentation import Example, Request, utc

DEVICE_TOKEN = "d0d0cafe" * 4
CHESS = (
    "payload=eyJhcHMiOnsiYWxlcnQiOnsidGl0bGUiOiJDaGVzcyIsImJvZHkiOiJBZGEgaW52aXRlcyB5b3UgdG8gYSBnYW1l"
    "In0sImJhZGdlIjozfSwicm9vbSI6ImJsdWUifQ=="
)
LAKE = (
    "eyJtZXNzYWdlIjoiUm93aW5nIG9uIGEgcXVpZXQgbGFrZSIsImlvc19iYWRnZSI6NCwiaW9zX3NvdW5kIjoiYmVsbC53YXYi"
    "LCJwbGFjZV9pZCI6NzMsImlvc19sb2NfZGF0YSI6eyJ0aXRsZV9sb2Nfa2V5IjoiSEVMTE9fVElUTEUiLCJ0aXRsZV9sb2Nf"
    "YXJncyI6WyJBZGEgS2luZyJdfX0="
)
HELLO = (
    "eyJtZXNzYWdlIjoiSGVsbG8iLCJpb3NfbG9jX2RhdGEiOnsidGl0bGVfbG9jX2tleSI6IkhFTExPX1RJVExFIiwidGl0bGVf"
    "bG9jX2FyZ3MiOlsiYWRhIl0sImJvZHlfbG9jX2tleSI6IkhFTExPX0JPRFkiLCJib2R5X2xvY19hcmdzIjpbImdvb2QgZGF5"
    "IiwidmlzaXRvciJdfX0="
)

SUBSCRIPTION = {
    "id": 71,
    "notification_channel": {"name": "apns"},
    "device": {"udid": "PHONE-1", "platform": {"name": "ios"}},
}
READ = PushSubscription(
    id=71,
    channel="apns",
    device={"udid": "PHONE-1", "platform": {"name": "ios"}},
    extra={},
)
EVENT = {
    "id": 9001,
    "event_type": "one_shot",
    "message": CHESS,
    "date": None,
    "period": None,
    "name": None,
    "occured_count": 0,
    "created_at": "2023-08-07T09:20:01Z",
    "updated_at": "2023-08-07T09:20:02Z",
    "end_date": None,
    "active": True,
    "application_id": 7,
    "user_id": 4101,
    "kind": "API",
    "environment": "development",
    "tag_query": None,
    "notification_channel": {"name": "apns"},
}
EVENT_READ = PushEvent(
    id=9001,
    event_type="one_shot",
    message=CHESS,
    name=None,
    created_at=utc(2023, 8, 7, 9, 20, 1),
    updated_at=utc(2023, 8, 7, 9, 20, 2),
    active=True,
    user_id=4101,
    environment="development",
    channel="apns",
    extra={
        "date": None,
        "period": None,
        "occured_count": 0,
        "end_date": None,
        "application_id": 7,
        "kind": "API",
        "tag_query": None,
    },
)


def universal(name, message, payload):
    """A payload for every platform; the page shows no answer to it."""
    return Example(
        name=name,
        call=lambda cube: cube.push.send_event(payload, environment="production", users=[4102]),
        sends=Request(
            method="POST",
            path="/events",
            body={
                "event": {
                    "notification_type": "push",
                    "environment": "production",
                    "user": {"ids": "4102"},
                    "message": message,
                }
            },
        ),
        answers=[{"event": {**EVENT, "message": message, "environment": "production"}}],
        reads=(evolve(EVENT_READ, message=message, environment="production"),),
    )


EXAMPLES = (
    Example(
        name="Create subscription",
        call=lambda cube: cube.push.subscribe(
            channel="apns",
            environment="development",
            token=DEVICE_TOKEN,
            platform="ios",
            udid="PHONE-1",
        ),
        sends=Request(
            method="POST",
            path="/subscriptions",
            body={
                "notification_channel": "apns",
                "push_token": {
                    "environment": "development",
                    "client_identification_sequence": DEVICE_TOKEN,
                },
                "device": {"platform": "ios", "udid": "PHONE-1"},
            },
        ),
        answers=[{"subscription": SUBSCRIPTION}],
        reads=(READ,),
        shows={"udid": "PHONE-1", "platform": "ios"},
    ),
    Example(
        name="Retrieve subscriptions",
        call=lambda cube: cube.push.subscriptions(),
        sends=Request(method="GET", path="/subscriptions"),
        answers=[{"subscription": SUBSCRIPTION}, {"subscription": {**SUBSCRIPTION, "id": 72}}],
        reads=(READ, evolve(READ, id=72)),
        shows={"udid": "PHONE-1", "platform": "ios"},
    ),
    Example(
        name="Remove subscription",
        call=lambda cube: cube.push.unsubscribe(72),
        sends=Request(method="DELETE", path="/subscriptions/72"),
        answers=None,
        reads=None,
    ),
    Example(
        name="Create event",
        call=lambda cube: cube.push.send_event(
            {
                "aps": {
                    "alert": {"title": "Chess", "body": "Ada invites you to a game"},
                    "badge": 3,
                },
                "room": "blue",
            },
            environment="development",
            users=[4101],
            push_type="apns",
        ),
        sends=Request(
            method="POST",
            path="/events",
            body={
                "event": {
                    "notification_type": "push",
                    "environment": "development",
                    "user": {"ids": "4101"},
                    "message": CHESS,
                    "push_type": "apns",
                }
            },
        ),
        answers=[{"event": EVENT}],
        reads=(EVENT_READ,),
    ),
    universal(
        "Universal Push Notifications: localization",
        HELLO,
        {
            "message": "Hello",
            "ios_loc_data": {
                "title_loc_key": "HELLO_TITLE",
                "title_loc_args": ["ada"],
                "body_loc_key": "HELLO_BODY",
                "body_loc_args": ["good day", "visitor"],
            },
        },
    ),
    universal(
        "Universal Push Notifications: from JSON to message",
        LAKE,
        {
            "message": "Rowing on a quiet lake",
            "ios_badge": 4,
            "ios_sound": "bell.wav",
            "place_id": 73,
            "ios_loc_data": {"title_loc_key": "HELLO_TITLE", "title_loc_args": ["Ada King"]},
        },
    ),
)

EXEMPT = {
    "Universal Push Notifications: localization": "the object alone is shown, without its request",
    "Universal Push Notifications: from JSON to message": (
        "the final message is shown as a form's field, event[message]; JSON is sent, as for the other events"
    ),
}
