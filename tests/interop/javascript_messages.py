"""A message with all that a message can carry: as our client has it, and as the JavaScript SDK has it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from connectycube import Attachment, Message

TEXT = "Grüße, <you> & 'me' \"👩‍🚀\"\tשלום\nnext line"
SENT_AT = datetime(2024, 2, 29, 12, 30, 15, tzinfo=timezone.utc)

_PICTURE = {
    "id": "f1",
    "uid": "f1",
    "type": "image",
    "url": "https://example.com/?a=1&b=<2>",
    "content-type": "image/png",
    "name": 'a "big" <ü>.png',
    "width": "640",
    "height": "480",
}
_PLACE = {"id": "f2", "uid": "f2", "type": "location", "data": '{"lat": 53.9, "city": "Минск"}'}
_SOUND = {"id": "f3", "uid": "f3", "type": "audio", "duration": "7"}

_SAID = {
    "colour": "blue",
    "count": 5,
    "yes": True,
    "nested": {"x": "ü & <y>", "deep": {"er": 1, "est": "👋"}},
}
CUSTOM = {
    "colour": "blue",
    "count": "5",
    "yes": "true",
    "nested": {"x": "ü & <y>", "deep": {"er": "1", "est": "👋"}},
}
"""The application's own parameters as they arrive: everything is text."""

ATTACHMENTS = (
    Attachment(
        type="image",
        id="f1",
        uid="f1",
        url=_PICTURE["url"],
        content_type="image/png",
        name=_PICTURE["name"],
        size=12_345.0,
        width=640,
        height=480,
    ),
    Attachment(type="location", id="f2", uid="f2", data=_PLACE["data"]),
    Attachment(type="audio", id="f3", uid="f3", duration=7),
)
THEIR_ATTACHMENTS = [{**_PICTURE, "size": 12_345}, _PLACE, _SOUND]


def our_message(**more: Any) -> Message:
    """What our client sends; ``more`` are fields of the message."""
    return Message(body=TEXT, date_sent=SENT_AT, attachments=ATTACHMENTS, custom=_SAID, **more)


def their_message(kind: str, **more: Any) -> dict[str, Any]:
    """What the JavaScript SDK is told to send; ``kind`` is "chat" or "groupchat"."""
    extension = {
        **_SAID,
        "save_to_history": 1,
        "date_sent": int(SENT_AT.timestamp()),
        "attachments": THEIR_ATTACHMENTS,
        **more,
    }
    return {"type": kind, "body": TEXT, "extension": extension}


def seen_by_them(
    kind: str, message_id: str, dialog_id: str, recipient_id: int | None, **more: Any
) -> dict[str, Any]:
    """What ``onMessageListener`` is told of ``our_message``; ``more`` are further parameters."""
    return {
        "id": message_id,
        "dialog_id": dialog_id,
        "recipient_id": recipient_id,
        "is_forwarded": False,
        "type": kind,
        "body": TEXT,
        "delay": None,
        "extension": {
            **CUSTOM,
            "date_sent": str(int(SENT_AT.timestamp())),
            "save_to_history": "1",
            "dialog_id": dialog_id,
            "message_id": message_id,
            "attachments": THEIR_ATTACHMENTS,
            **more,
        },
    }
