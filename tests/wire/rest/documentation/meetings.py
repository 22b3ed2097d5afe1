"""meetings.md, and the one request of videochat.md."""

from connectycube.models import Attendee, Meeting, Page, Recording
from tests.wire.rest.documentation import ME, Example, Request, unix, utc

MEETING = "6a2f00aa11bb22cc33dd4401"
DIALOG = "6a2f00aa11bb22cc33dd4402"
GUEST, OTHER = 4102, 4103

_ATTENDEES = [
    {"id": GUEST, "email": "bo@example.org"},
    {"id": OTHER},
    {"email": "ines@example.org"},
]
_ATTENDEES_READ = (
    Attendee(id=GUEST, email="bo@example.org"),
    Attendee(id=OTHER),
    Attendee(email="ines@example.org"),
)
_MEETING = {
    "_id": MEETING,
    "name": "Choir practice",
    "start_date": 1714723200,
    "end_date": 1714726800,
    "attendees": _ATTENDEES,
    "record": False,
    "chat_dialog_id": DIALOG,
    "created_at": "2024-05-02T10:26:50.013Z",
    "updated_at": "2024-05-02T10:26:50.013Z",
    "host_id": ME,
    "scheduled": False,
    "notify": True,
    "notify_before": {"metric": "minutes", "value": 15},
    "timezone": {"offset": 60, "name": "Europe/Berlin"},
}
_READ = {
    "id": MEETING,
    "name": "Choir practice",
    "start_date": unix(1714723200),
    "end_date": unix(1714726800),
    "attendees": _ATTENDEES_READ,
    "record": False,
    "chat_dialog_id": DIALOG,
    "created_at": utc(2024, 5, 2, 10, 26, 50, 13000),
    "updated_at": utc(2024, 5, 2, 10, 26, 50, 13000),
    "host_id": ME,
    "scheduled": False,
    "notify": True,
    "notify_before": {"metric": "minutes", "value": 15},
    "timezone": {"offset": 60, "name": "Europe/Berlin"},
}
_RECORDING = {
    "_id": "6a2f00aa11bb22cc33dd4403",
    "room_id": MEETING,
    "participants_ids": [GUEST, OTHER],
    "updated_at": "2024-05-03T14:10:17Z",
    "created_at": "2024-05-03T14:10:16Z",
    "download_url": "https://recordings.example/videos/two?Expires=1&Signature=5ec4e7c0de",
    "participants_count": 2,
    "duration": 6.5,
    "size": 0.25,
}

EXAMPLES = (
    Example(
        name="Create meeting",
        call=lambda cube: cube.meetings.create(
            "Choir practice",
            1714723200,
            1714726800,
            [Attendee(id=GUEST, email="bo@example.org"), OTHER, "ines@example.org"],
            record=False,
            chat=True,
            notify=True,
            notify_before={"metric": "minutes", "value": 15},
            timezone={"offset": 60, "name": "Europe/Berlin"},
        ),
        sends=Request(
            method="POST",
            path="/meetings",
            body={
                "name": "Choir practice",
                "start_date": 1714723200,
                "end_date": 1714726800,
                "attendees": _ATTENDEES,
                "record": False,
                "notify": True,
                "chat": True,
                "notify_before": {"metric": "minutes", "value": 15},
                "timezone": {"offset": 60, "name": "Europe/Berlin"},
            },
        ),
        answers=_MEETING,
        reads=Meeting(**_READ),
        needs=(("_id",),),
    ),
    Example(
        name="Retrieve meetings",
        call=lambda cube: cube.meetings.list(
            start_date__gte=1714723200,
            scheduled=True,
            created_at__gt=utc(2024, 5, 2, 10, 26, 49, 13000),
        ),
        sends=Request(
            method="GET",
            path="/meetings",
            query=[
                ("start_date[gte]", "1714723200"),
                ("scheduled", "true"),
                ("created_at[gt]", "2024-05-02T10:26:49Z"),
            ],
        ),
        answers=[{**_MEETING, "record": None, "chat_dialog_id": None}],
        reads=Page(items=(Meeting(**{**_READ, "record": None, "chat_dialog_id": None}),)),
    ),
    Example(
        name="Update meeting",
        call=lambda cube: cube.meetings.update(
            MEETING,
            name="Another practice",
            start=1714809600,
            end=1714813200,
            attendees=[Attendee(id=GUEST, email="bo@example.org"), OTHER, "ines@example.org"],
            record=True,
            public=True,
            scheduled=True,
            notify_before={"metric": "hours", "value": 2},
            timezone={"offset": -240, "name": "America/Toronto"},
        ),
        sends=Request(
            method="PUT",
            path=f"/meetings/{MEETING}",
            body={
                "name": "Another practice",
                "start_date": 1714809600,
                "end_date": 1714813200,
                "attendees": _ATTENDEES,
                "record": True,
                "public": True,
                "scheduled": True,
                "notify_before": {"metric": "hours", "value": 2},
                "timezone": {"offset": -240, "name": "America/Toronto"},
            },
        ),
        answers={
            **_MEETING,
            "name": "Another practice",
            "start_date": 1714809600,
            "end_date": 1714813200,
            "record": True,
            "chat_dialog_id": None,
            "updated_at": "2024-05-02T10:28:50.142Z",
            "public": True,
            "scheduled": True,
            "notify_before": {"metric": "hours", "value": 2},
            "timezone": {"offset": -240, "name": "America/Toronto"},
        },
        reads=Meeting(
            **{
                **_READ,
                "name": "Another practice",
                "start_date": unix(1714809600),
                "end_date": unix(1714813200),
                "record": True,
                "chat_dialog_id": None,
                "updated_at": utc(2024, 5, 2, 10, 28, 50, 142000),
                "public": True,
                "scheduled": True,
                "notify_before": {"metric": "hours", "value": 2},
                "timezone": {"offset": -240, "name": "America/Toronto"},
            }
        ),
        needs=(("_id",),),
    ),
    Example(
        name="Delete meeting",
        call=lambda cube: cube.meetings.delete(MEETING),
        sends=Request(method="DELETE", path=f"/meetings/{MEETING}"),
        answers=None,
        reads=None,
    ),
    Example(
        name="Meeting recordings",
        call=lambda cube: cube.meetings.recordings(MEETING),
        sends=Request(method="GET", path=f"/meetings/recordings/{MEETING}"),
        answers=[_RECORDING],
        reads=(
            Recording(
                id="6a2f00aa11bb22cc33dd4403",
                meeting_id=MEETING,
                participants_ids=(GUEST, OTHER),
                participants_count=2,
                updated_at=utc(2024, 5, 3, 14, 10, 17),
                created_at=utc(2024, 5, 3, 14, 10, 16),
                download_url=_RECORDING["download_url"],
                duration=6.5,
                size=0.25,
            ),
        ),
    ),
)

EXEMPT = {
    "Update meeting": "the request is no JSON, for want of a comma, and has chat, which no table names",
    "Recording done webhook": "a request of the service to the application's server",
}

CALLS = (
    Example(
        name="Reject incoming call by HTTP",
        call=lambda cube: cube.calls.reject(
            GUEST,
            "7b0f2f1e-4c1b-4b69-9a57-2f1f6f0d7c11",
            platform="Web",
            user_info={"busy": True, "friend_id": 11},
        ),
        sends=Request(
            method="POST",
            path="/calls/reject",
            body={
                "recipientId": GUEST,
                "sessionID": "7b0f2f1e-4c1b-4b69-9a57-2f1f6f0d7c11",
                "platform": "Web",
                "userInfo": {"busy": True, "friend_id": 11},
            },
        ),
        answers={},
        reads=None,
    ),
)
