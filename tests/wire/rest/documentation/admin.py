"""The pages of the Administration API: admin_api/chat.md, user.md, statistics.md and meeting.md."""

from datetime import date

from connectycube.models import (
    AdminDialog,
    AdminMessage,
    Attachment,
    Attendee,
    DailyCount,
    DialogType,
    Meeting,
    Page,
    Recording,
)
from tests.wire.rest.documentation import Example, Request, unix, utc

KEY = "CB-Administration-API-Key"
DIALOG = "6a1f00aa11bb22cc33dd4401"
MESSAGE = "6a1f00aa11bb22cc33dd4402"
MEETING = "6a1f00aa11bb22cc33dd4403"
HOST, GUEST = 4101, 4102

_DIALOG = {
    "_id": DIALOG,
    "user_id": HOST,
    "created_at": "2024-05-02T08:01:40Z",
    "updated_at": "2024-05-02T08:01:49Z",
    "type": 3,
    "occupants_ids": [HOST, GUEST],
    "last_message": None,
    "last_message_date_sent": None,
    "last_message_id": None,
    "last_message_user_id": None,
    "last_message_status": None,
    "name": None,
    "description": None,
    "photo": None,
    "occupants_count": None,
    "xmpp_room_jid": None,
    "is_e2ee": None,
    "admins_ids": [],
    "is_muted": None,
    "unread_messages_count": None,
    "pinned_messages_ids": None,
    "deleted_ids": [],
    "silent_ids": [GUEST],
}
_READ = {
    "id": DIALOG,
    "type": DialogType.PRIVATE,
    "user_id": HOST,
    "occupants_ids": (HOST, GUEST),
    "created_at": utc(2024, 5, 2, 8, 1, 40),
    "updated_at": utc(2024, 5, 2, 8, 1, 49),
    "extra": {"is_e2ee": None},
}

CHAT = (
    Example(
        name="Dialog Update",
        call=lambda cube: cube.admin.dialogs.mute(DIALOG, GUEST),
        sends=Request(
            method="PUT",
            path=f"/admin/chat/{DIALOG}",
            body={"user_id": GUEST, "is_muted": True},
            authorization=KEY,
        ),
        answers=_DIALOG,
        reads=AdminDialog(**_READ, silent_ids=(GUEST,)),
        needs=(("_id",),),
    ),
    Example(
        name="Dialogs List",
        call=lambda cube: cube.admin.dialogs.list(updated_at__lt=1714636800),
        sends=Request(
            method="GET",
            path="/admin/chat/list",
            query=[("updated_at[lt]", "1714636800")],
            authorization=KEY,
        ),
        answers={
            "total_entries": 1541,
            "skip": 0,
            "limit": 100,
            "items": [
                {
                    **_DIALOG,
                    "last_message": "The ferry is late",
                    "last_message_date_sent": 1714636909,
                    "last_message_id": MESSAGE,
                    "last_message_user_id": HOST,
                    "last_message_status": "sent",
                    "silent_ids": [],
                    "deleted_ids": [GUEST],
                }
            ],
        },
        reads=Page(
            items=(
                AdminDialog(
                    **_READ,
                    last_message="The ferry is late",
                    last_message_date_sent=unix(1714636909),
                    last_message_id=MESSAGE,
                    last_message_user_id=HOST,
                    last_message_status="sent",
                    deleted_ids=(GUEST,),
                ),
            ),
            total_entries=1541,
            skip=0,
            limit=100,
        ),
        needs=(("items",),),
    ),
    Example(
        name="Messages List",
        call=lambda cube: cube.admin.messages.list(id__lte=MESSAGE),
        sends=Request(
            method="GET",
            path="/admin/chat/messages/list",
            query=[("_id[lte]", MESSAGE)],
            authorization=KEY,
        ),
        answers={
            "total_entries": 702,
            "skip": 0,
            "limit": 100,
            "items": [
                {
                    "_id": MESSAGE,
                    "chat_dialog_id": DIALOG,
                    "message": "The ferry is late, by the noon post",
                    "date_sent": 1714636990,
                    "sender_id": HOST,
                    "recipient_id": GUEST,
                    "created_at": "2024-05-02T08:03:10Z",
                    "updated_at": "2024-05-02T08:04:10Z",
                    "read_ids": [HOST],
                    "delivered_ids": [HOST],
                    "userExtraData": None,
                    "harbour": "north quay",
                    "name": "pilot",
                    "attachments": [{"type": "image", "id": "5006"}],
                    "reactions": None,
                    "views_count": 0,
                    "edited_at": "2024-05-02T08:04:10Z",
                    "deleted_for_ids": [GUEST],
                    "read": 0,
                }
            ],
        },
        reads=Page(
            items=(
                AdminMessage(
                    id=MESSAGE,
                    dialog_id=DIALOG,
                    body="The ferry is late, by the noon post",
                    date_sent=unix(1714636990),
                    sender_id=HOST,
                    recipient_id=GUEST,
                    created_at=utc(2024, 5, 2, 8, 3, 10),
                    updated_at=utc(2024, 5, 2, 8, 4, 10),
                    read_ids=(HOST,),
                    delivered_ids=(HOST,),
                    custom={"harbour": "north quay", "name": "pilot"},
                    attachments=(Attachment(type="image", id="5006", uid="5006"),),
                    views_count=0,
                    edited_at=utc(2024, 5, 2, 8, 4, 10),
                    deleted_for_ids=(GUEST,),
                    read=False,
                ),
            ),
            total_entries=702,
            skip=0,
            limit=100,
        ),
        needs=(("items",),),
    ),
)

USER = (
    Example(
        name="Delete User",
        call=lambda cube: cube.admin.users.delete(GUEST),
        sends=Request(method="DELETE", path=f"/admin/user/{GUEST}", authorization=KEY),
        answers={"success": True},
        reads=None,
        needs=(("success",),),
    ),
)


def _statistics(name, call, path, query, answers, reads):
    return Example(
        name=name,
        call=call,
        sends=Request(method="GET", path=path, query=query, authorization=KEY),
        answers=answers,
        reads=reads,
        needs=(("total",),) if "total" in answers else (),
        is_strict="total" not in answers,
    )


_SPAN = [("start_date", "1714521600"), ("end_date", "1714780800")]
STATISTICS = (
    _statistics(
        "Messages sent total",
        lambda cube: cube.admin.statistics.messages_sent(1714521600, 1714780800),
        "/admin/stats/messages/sent-total",
        _SPAN,
        {"total": 181},
        181,
    ),
    _statistics(
        "Messages sent per day",
        lambda cube: cube.admin.statistics.messages_sent_per_day(1714521600, 1714780800),
        "/admin/stats/messages/sent-per-day",
        _SPAN,
        {"2024-05-01": 61, "2024-05-02": 74, "2024-05-03": 46},
        Page(
            items=(
                DailyCount(day=date(2024, 5, 1), count=61),
                DailyCount(day=date(2024, 5, 2), count=74),
                DailyCount(day=date(2024, 5, 3), count=46),
            )
        ),
    ),
    _statistics(
        "Dialogs created total",
        lambda cube: cube.admin.statistics.dialogs_created(
            1714521600, 1714780800, types=[2, DialogType.PRIVATE]
        ),
        "/admin/stats/dialogs/created-total",
        [*_SPAN, ("types[]", "2"), ("types[]", "3")],
        {"total": 37},
        37,
    ),
    _statistics(
        "Dialogs created per day",
        lambda cube: cube.admin.statistics.dialogs_created_per_day(
            1714521600, 1714780800, types=(DialogType.GROUP, DialogType.PUBLIC)
        ),
        "/admin/stats/dialogs/created-per-day",
        [*_SPAN, ("types[]", "2"), ("types[]", "4")],
        {"2024-05-01": 22, "2024-05-02": 15},
        Page(
            items=(
                DailyCount(day=date(2024, 5, 1), count=22),
                DailyCount(day=date(2024, 5, 2), count=15),
            )
        ),
    ),
)

_RECORDING = {
    "_id": "6a1f00aa11bb22cc33dd4404",
    "room_id": MEETING,
    "participants_count": 1,
    "participants_ids": [HOST],
    "file_uid": "qW3zr-8aLbHFsB9DOAL6fX0",
    "duration": 61000,
    "size": 1200000,
    "updated_at": "2024-05-03T09:00:42Z",
    "created_at": "2024-05-03T09:00:41Z",
    "download_url": "https://recordings.example/videos/one?X-Amz-Signature=0a1b2c5ec4e7c0de",
}
_RECORDING_READ = {
    "id": "6a1f00aa11bb22cc33dd4404",
    "meeting_id": MEETING,
    "participants_count": 1,
    "participants_ids": (HOST,),
    "file_uid": "qW3zr-8aLbHFsB9DOAL6fX0",
    "duration": 61000.0,
    "size": 1200000.0,
    "updated_at": utc(2024, 5, 3, 9, 0, 42),
    "created_at": utc(2024, 5, 3, 9, 0, 41),
    "download_url": "https://recordings.example/videos/one?X-Amz-Signature=0a1b2c5ec4e7c0de",
}
_OTHER = "6a1f00aa11bb22cc33dd4405"
_ATTENDEES = [{"id": GUEST, "email": "bo@example.org"}, {"email": "ines@example.org"}]
MEETINGS = (
    Example(
        name="Create Meeting",
        call=lambda cube: cube.admin.meetings.create(
            HOST,
            "Harbour round",
            1714723200,
            1714726800,
            [Attendee(id=GUEST, email="bo@example.org"), "ines@example.org"],
            record=False,
            chat=False,
        ),
        sends=Request(
            method="POST",
            path="/admin/meetings",
            body={
                "user_id": HOST,
                "name": "Harbour round",
                "start_date": 1714723200,
                "end_date": 1714726800,
                "attendees": _ATTENDEES,
                "record": False,
                "chat": False,
            },
            authorization=KEY,
        ),
        answers={
            "_id": MEETING,
            "name": "Harbour round",
            "start_date": 1714723200,
            "end_date": 1714726800,
            "attendees": _ATTENDEES,
            "public": False,
            "scheduled": False,
            "record": False,
            "created_at": "2024-05-02T10:41:12Z",
            "updated_at": "2024-05-02T10:41:12Z",
            "host_id": HOST,
            "notify": False,
            "chat_dialog_id": None,
            "notify_before": None,
            "timezone": None,
        },
        reads=Meeting(
            id=MEETING,
            name="Harbour round",
            start_date=unix(1714723200),
            end_date=unix(1714726800),
            attendees=(
                Attendee(id=GUEST, email="bo@example.org"),
                Attendee(email="ines@example.org"),
            ),
            public=False,
            scheduled=False,
            record=False,
            created_at=utc(2024, 5, 2, 10, 41, 12),
            updated_at=utc(2024, 5, 2, 10, 41, 12),
            host_id=HOST,
            notify=False,
        ),
        needs=(("_id",),),
    ),
    Example(
        name="Retrieve Meeting Recordings",
        call=lambda cube: cube.admin.meetings.recordings(MEETING),
        sends=Request(
            method="GET", path=f"/admin/meetings/recordings/{MEETING}", authorization=KEY
        ),
        answers=[_RECORDING, {**_RECORDING, "_id": _OTHER}],
        reads=(Recording(**_RECORDING_READ), Recording(**{**_RECORDING_READ, "id": _OTHER})),
    ),
    Example(
        name="Delete Meeting Recordings",
        call=lambda cube: cube.admin.meetings.delete_recordings(MEETING),
        sends=Request(
            method="DELETE", path=f"/admin/meetings/recordings/{MEETING}", authorization=KEY
        ),
        answers={},
        reads=None,
    ),
)
