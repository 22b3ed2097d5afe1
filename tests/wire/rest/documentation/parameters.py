"""The values that the pages' tables of parameters give as examples, in the order of the pages.

These show a piece of a request: what else the request holds is not looked at, nor what is answered.
"""

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from connectycube import ConnectyCube
from connectycube.models import Attachment
from tests.wire.rest.documentation import STORAGE, unix

CLUB = "64d0a1b2c3d4e5f607182930"
HALL = "64d0a1b2c3d4e5f607182931"
FIRST = "64d0c1d2e3f405162738495a"
SECOND = "64d0c1d2e3f405162738495b"

ANYTHING = {
    "_id": CLUB,
    "messageId": FIRST,
    "items": [],
    "results": {"dialogs": []},
    "total": 0,
    "notifications": {"enabled": 1},
}
COUNTED = {"items": {"count": 3}}


@frozen
class Value:
    """A call, and the pairs of the query or the parts of the body that it must send."""

    section: str
    call: Callable[[ConnectyCube], Any]
    query: list = field(factory=list, kw_only=True)
    body: dict = field(factory=dict, kw_only=True)
    answers: Any = field(default=ANYTHING, kw_only=True)


def dialogs(expected, /, **options):
    section = "Retrieve chat dialogs"
    return Value(section, lambda cube: cube.dialogs.list(**options), query=[expected])


def dialog(body, /, **changes):
    return Value("Update a dialog", lambda cube: cube.dialogs.update(CLUB, **changes), body=body)


def messages(expected, /, **options):
    section = "Retrieve messages"
    return Value(section, lambda cube: cube.messages.list(CLUB, **options), query=[expected])


def message(body, /, to=CLUB, text="Hello", **options):
    section = "Create a message"
    return Value(section, lambda cube: cube.messages.create(to, text, **options), body=body)


def changed(body, /, **changes):
    section = "Update message"
    return Value(section, lambda cube: cube.messages.update(CLUB, FIRST, **changes), body=body)


def search(*expected, **options):
    section = "Global search"
    return Value(section, lambda cube: cube.search("gambit", **options), query=[*expected])


def users(*expected, **options):
    section = "Retrieve Users V2"
    return Value(section, lambda cube: cube.users.list(**options), query=[*expected])


def granted(permissions):
    return Value(
        "Create a record with permissions",
        lambda cube: cube.custom_objects.create("player", {"a": 1}, permissions=permissions),
        body={"permissions": permissions},
    )


def record(body):
    section = "Update record by ID"
    return Value(section, lambda cube: cube.custom_objects.update("player", FIRST, body), body=body)


VALUES = {
    "chat.md": [
        dialogs(("type", "4"), type=4),
        dialogs(("type[in]", "1,4"), type__in=[1, 4]),
        dialogs(("limit", "30"), limit=30),
        dialogs(("skip", "40"), skip=40),
        Value(
            "Retrieve chat dialogs",
            lambda cube: cube.dialogs.count(),
            query=[("count", "1")],
            answers=COUNTED,
        ),
        dialogs(("sort_desc", "last_message_date_sent"), sort="-last_message_date_sent"),
        Value(
            "Create a dialog",
            lambda cube: cube.dialogs.create_group("Chess club", [4102, 4103]),
            body={"occupants_ids": [4102, 4103]},
        ),
        Value(
            "Create a dialog",
            lambda cube: cube.dialogs.create_group("Chess club", 4102, admins=[4102, 4103]),
            body={"admins_ids": [4102, 4103]},
        ),
        dialog({"push_all": {"occupants_ids": [4102, 4103]}}, add_occupants=[4102, 4103]),
        dialog({"pull_all": {"occupants_ids": [4102, 4103]}}, remove_occupants=[4102, 4103]),
        dialog({"push_all": {"pinned_messages_ids": [FIRST, SECOND]}}, pin=[FIRST, SECOND]),
        dialog({"pull_all": {"pinned_messages_ids": [FIRST, SECOND]}}, unpin=[FIRST, SECOND]),
        dialog({"push_all": {"admins_ids": [4102]}}, add_admins=4102),
        dialog({"pull_all": {"admins_ids": [4102]}}, remove_admins=4102),
        dialog({"name": "Chess"}, name="Chess"),
        dialog({"photo": "board.png"}, photo="board.png"),
        dialog({"description": "For beginners"}, description="For beginners"),
        dialog({"extensions": {"mood": "Calm"}}, extensions={"mood": "Calm"}),
        dialog({"permissions": {"allow_preview": False}}, permissions={"allow_preview": False}),
        Value(
            "Add / Remove admins",
            lambda cube: cube.dialogs.update_admins(CLUB, add=4102),
            body={"push_all": {"admins_ids": [4102]}},
        ),
        Value(
            "Add / Remove admins",
            lambda cube: cube.dialogs.update_admins(CLUB, remove=4102),
            body={"pull_all": {"admins_ids": [4102]}},
        ),
        Value(
            "Retrieve public dialog occupants",
            lambda cube: cube.dialogs.occupants(CLUB, limit=30),
            query=[("limit", "30")],
        ),
        Value(
            "Retrieve public dialog occupants",
            lambda cube: cube.dialogs.occupants(CLUB, skip=40),
            query=[("skip", "40")],
        ),
        messages(("recipient_id", "4102"), recipient_id=4102),
        messages(("sender_id[lt]", "4102"), sender_id__lt=4102),
        messages(("limit", "30"), limit=30),
        messages(("skip", "40"), skip=40),
        messages(("sort_asc", "date_sent"), sort="date_sent"),
        messages(("mark_as_read", "0"), mark_as_read=False),
        messages(("preview", "1"), preview=True),
        Value(
            "Retrieve unread messages count",
            lambda cube: cube.messages.unread_count([CLUB, HALL]),
            query=[("chat_dialog_ids", f"{CLUB},{HALL}")],
        ),
        message({"chat_dialog_id": CLUB}),
        message({"message": "Your turn?"}, text="Your turn?"),
        message({"recipient_id": 4102}, to=4102),
        message(
            {
                "attachments": {
                    "0": {"type": "image", "id": "6001", "uid": "6001"},
                    "1": {"type": "video", "id": "6002", "uid": "6002"},
                }
            },
            attachments=[Attachment(type="image", id="6001"), Attachment(type="video", id="6002")],
        ),
        message({"opening": "Italian"}, opening="Italian"),
        message({"send_to_chat": 1}, send_to_chat=True),
        message({"markable": 1}, markable=True),
        changed({"chat_dialog_id": CLUB}, read=True),
        changed({"read": 1}, read=True),
        changed({"delivered": 1}, delivered=True),
        changed({"message": "Good evening"}, body="Good evening"),
        Value(
            "Send system message",
            lambda cube: cube.messages.create_system(4102, {"title": "Ace"}),
            body={"recipientId": 4102},
        ),
        Value(
            "Send system message",
            lambda cube: cube.messages.create_system(
                4102, {"player": {"name": "Ines"}, "title": "Ace"}
            ),
            body={"player": {"name": "Ines"}, "title": "Ace"},
        ),
        search(("search_text", "gambit")),
        search(("chat_dialog_ids", CLUB), dialogs=CLUB),
        search(
            ("start_date", "2023-08-07T09:20:00Z"),
            ("end_date", "2023-07-07T09:20:00Z"),
            start=unix(1688721600),
            end=unix(1691400000),
        ),
        search(("end_date", "2023-07-07T09:20:00Z"), end=unix(1688721600)),
        search(("limit", "7"), limit=7),
    ],
    "users.md": [
        users(("offset", "40"), id=4102, skip=40),
        users(("limit", "30"), id=4102, limit=30),
        users(("sort_asc", "id"), id=4102, sort="id"),
        users(("sort_desc", "created_at"), id=4102, sort="-created_at"),
        users(("id", "4102"), id=4102),
        users(("id[in][]", "4102"), ("id[in][]", "4103"), id__in=[4102, 4103]),
        users(("full_name[start_with]", "byron"), full_name__startswith="byron"),
        users(("user_tags[nin][]", "banned"), id=4102, tags__nin=["banned"]),
        users(("updated_at[gt]", "1691400000"), id=4102, updated_at__gt=unix(1691400000)),
        users(("created_at[lt]", "1691400000"), id=4102, created_at__lt=unix(1691400000)),
        users(("last_request_at[gte]", "1691400000"), id=1, last_request_at__gte=1691400000),
        users(("last_request_at[lte]", "1691400000"), id=1, last_request_at__lte=1691400000),
    ],
    "storage.md": [
        Value(
            "Create a file",
            lambda cube: cube.files.upload(b"knight c3.", name="board.png", public=True),
            body={"blob": {"content_type": "image/png", "name": "board.png", "public": True}},
            answers={"blob": {"id": 1, "blob_object_access": {"params": f"{STORAGE}/x?key=1"}}},
        ),
    ],
    "custom_objects.md": [
        Value(
            "Create multi records",
            lambda cube: cube.custom_objects.create_many(
                "player", [{"name": "Bo", "club": "x"}, {"name": "Ada", "club": "y"}]
            ),
            body={"record": {"0": {"name": "Bo", "club": "x"}, "1": {"name": "Ada", "club": "y"}}},
        ),
        granted({"read": {"access": "owner"}}),
        granted({"update": {"access": "open_for_users_ids", "ids": ["4102", "4103"]}}),
        granted({"delete": {"access": "open_for_groups", "groups": ["judges", "captains"]}}),
        record({"inc": {"rating": "-15"}}),
        record({"pull": {"openings": "Italian"}}),
        record({"pull": {"scores": {"lt": "10"}}}),
        record({"pull_all": {"openings": ["Italian", "Scotch"]}}),
        record({"pop": {"openings": "1"}}),
        record({"push": {"openings": ["Italian", "Scotch"]}}),
        record({"add_to_set": {"openings": ["Italian", "Scotch"]}}),
        record({"openings": {"0": "Italian", "2": "Scotch"}}),
        record({"club": None}),
    ],
}

EXEMPT = {
    "chat.md": {
        "sort_desc=date_sent": "dialogs have no date_sent; the same row names last_message_date_sent",
        "occupants_ids, admins_ids": "as forms have it, with commas; JSON has lists, as in the page's bodies",
        "ids as text": "push_all has texts in the table and numbers in the body; numbers are sent",
        "recipient_id, send_to_chat, markable, read, delivered": "texts in the tables; numbers are sent",
        "end_date": "the example says start_date again",
    },
    "users.md": {
        "dates": "texts in the table, which allows seconds as well; seconds are sent",
        "Retrieve Users V1": "deprecated filters and orders; V2 has both",
    },
    "storage.md": {
        "blob[new]": "contents are not replaced: upload another file",
    },
    "custom_objects.md": {
        "near, output": "no arguments: records are looked up and read whole",
        "limit=-1": "the last record is list(sort='-id', limit=1)",
        "Update multi records": "no call",
    },
}
