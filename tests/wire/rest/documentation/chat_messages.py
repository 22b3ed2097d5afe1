"""chat.md, from "Retrieve messages" on."""

from attrs import evolve

from connectycube.models import (
    Attachment,
    DeleteResult,
    Dialog,
    DialogRef,
    DialogType,
    Message,
    Page,
    SearchResult,
    SystemMessage,
    UnreadCount,
)
from tests.wire.rest.documentation import Example, Request, unix, utc, without

CLUB = "64d0a1b2c3d4e5f607182930"
HALL = "64d0a1b2c3d4e5f607182931"
FIRST = "64d0c1d2e3f405162738495a"
SECOND = "64d0c1d2e3f405162738495b"
THIRD = "64d0c1d2e3f405162738495c"

MESSAGE = {
    "_id": FIRST,
    "attachments": [],
    "chat_dialog_id": CLUB,
    "created_at": "2023-08-07T09:30:31Z",
    "date_sent": 1691400631,
    "delivered_ids": [4101, 4102],
    "message": "Who has the white pieces?",
    "read_ids": [4101, 4103],
    "recipient_id": 0,
    "sender_id": 4101,
    "updated_at": "2023-08-07T09:40:41Z",
    "reactions": None,
    "views_count": 0,
    "read": 0,
}
READ = Message(
    id="64d0c1d2e3f405162738495a",
    attachments=(),
    dialog_id="64d0a1b2c3d4e5f607182930",
    created_at=utc(2023, 8, 7, 9, 30, 31),
    date_sent=unix(1691400631),
    delivered_ids=(4101, 4102),
    body="Who has the white pieces?",
    read_ids=(4101, 4103),
    recipient_id=None,
    sender_id=4101,
    own=True,
    updated_at=utc(2023, 8, 7, 9, 40, 41),
    reactions=None,
    views_count=0,
    read=False,
    custom={},
    dialog=DialogRef(id="64d0a1b2c3d4e5f607182930", type=None, peer_id=None),
)

EXAMPLES = (
    Example(
        name="Retrieve messages",
        call=lambda cube: cube.messages.list(CLUB),
        sends=Request(method="GET", path="/chat/Message", query=[("chat_dialog_id", CLUB)]),
        answers={
            "skip": 0,
            "limit": 500,
            "items": [
                MESSAGE,
                {
                    **MESSAGE,
                    "_id": SECOND,
                    "reactions": {"own": ["♟", "🎉"], "total": {"♟": 3, "🎉": 1, "🍀": 4}},
                },
            ],
        },
        reads=Page(
            items=(
                READ,
                evolve(
                    READ,
                    id=SECOND,
                    reactions={"own": ["♟", "🎉"], "total": {"♟": 3, "🎉": 1, "🍀": 4}},
                ),
            ),
            total_entries=None,
            skip=0,
            limit=500,
        ),
        needs=(("items",),),
    ),
    Example(
        name="Retrieve unread messages count",
        call=lambda cube: cube.messages.unread_count([CLUB, HALL]),
        sends=Request(
            method="GET",
            path="/chat/Message/unread",
            query=[("chat_dialog_ids", f"{CLUB},{HALL}")],
        ),
        answers={"total": 7, CLUB: 4, HALL: 3},
        reads=UnreadCount(total=7, by_dialog={CLUB: 4, HALL: 3}),
        needs=(("total",),),
    ),
    Example(
        name="Create a message",
        call=lambda cube: cube.messages.create(
            CLUB,
            "Your turn",
            attachments=[Attachment(type="image", id="6001"), Attachment(type="image", id="6002")],
        ),
        sends=Request(
            method="POST",
            path="/chat/Message",
            body={
                "chat_dialog_id": CLUB,
                "message": "Your turn",
                "attachments": {
                    "0": {"type": "image", "id": "6001", "uid": "6001"},
                    "1": {"type": "image", "id": "6002", "uid": "6002"},
                },
                "markable": 1,
            },
        ),
        answers={
            **without(MESSAGE, "reactions"),
            "attachments": [{"type": "image", "id": "6001"}, {"type": "image", "id": "6002"}],
            "message": "Your turn",
            "recipient_id": 4102,
        },
        reads=evolve(
            READ,
            attachments=(
                Attachment(type="image", id="6001", uid="6001", extra={}),
                Attachment(type="image", id="6002", uid="6002", extra={}),
            ),
            body="Your turn",
            recipient_id=4102,
            dialog=DialogRef.private(4102, CLUB),
        ),
        needs=(("_id",),),
    ),
    Example(
        name="Update message",
        call=lambda cube: cube.messages.update(CLUB, FIRST, read=True),
        sends=Request(
            method="PUT",
            path=f"/chat/Message/{FIRST}",
            body={"read": 1, "chat_dialog_id": CLUB},
        ),
        answers=None,
        reads=None,
    ),
    Example(
        name="Delete message",
        call=lambda cube: cube.messages.delete([FIRST, SECOND]),
        sends=Request(method="DELETE", path=f"/chat/Message/{FIRST},{SECOND}"),
        answers={
            "SuccessfullyDeleted": {"ids": [FIRST]},
            "NotFound": {"ids": [SECOND]},
            "WrongPermissions": {"ids": [THIRD]},
        },
        reads=DeleteResult(deleted=(FIRST,), not_found=(SECOND,), not_permitted=(THIRD,), extra={}),
        needs=(("SuccessfullyDeleted",),),
    ),
    Example(
        name="Send system message",
        call=lambda cube: cube.messages.create_system(
            4102, {"refreshBoard": "1", "gameId": "31", "player": {"name": "Ines"}, "title": "Ace"}
        ),
        sends=Request(
            method="POST",
            path="/chat/Message/system",
            body={
                "recipientId": 4102,
                "refreshBoard": "1",
                "gameId": "31",
                "player": {"name": "Ines"},
                "title": "Ace",
            },
        ),
        answers={
            "messageId": "64d0d1e2f3a4b5c6d7e8f901",
            "recipientId": 4102,
            "extensionParams": {
                "refreshBoard": "1",
                "gameId": "31",
                "player": {"name": "Ines"},
                "title": "Ace",
            },
        },
        reads=SystemMessage(
            id="64d0d1e2f3a4b5c6d7e8f901",
            recipient_id=4102,
            custom={
                "refreshBoard": "1",
                "gameId": "31",
                "player": {"name": "Ines"},
                "title": "Ace",
            },
            extra={},
        ),
        needs=(("messageId",),),
    ),
    Example(
        name="Add/Remove reactions",
        call=lambda cube: cube.messages.add_reaction(FIRST, "🎉", remove="♟"),
        sends=Request(
            method="PUT",
            path=f"/chat/Message/{FIRST}/reactions",
            body={"add": "🎉", "remove": "♟"},
        ),
        answers=None,
        reads=None,
    ),
    Example(
        name="List reactions",
        call=lambda cube: cube.messages.reactions(FIRST),
        sends=Request(method="GET", path=f"/chat/Message/{FIRST}/reactions"),
        answers={"🎉": [4101, 4102], "♟": [4101, 4102, 4103], "🍀": [4103]},
        reads={"🎉": (4101, 4102), "♟": (4101, 4102, 4103), "🍀": (4103,)},
    ),
    Example(
        name="Global search",
        call=lambda cube: cube.search("gambit", limit=5),
        sends=Request(
            method="GET",
            path="/chat/search",
            query=[("search_text", "gambit"), ("limit", "5")],
        ),
        answers={
            "results": {
                "dialogs": [
                    {
                        "_id": HALL,
                        "admins_ids": [],
                        "created_at": "2023-08-07T10:50:51Z",
                        "description": None,
                        "last_message": None,
                        "last_message_date_sent": None,
                        "last_message_id": None,
                        "last_message_user_id": None,
                        "name": "The queen's gambit",
                        "occupants_ids": [4101, 4105],
                        "photo": None,
                        "pinned_messages_ids": [],
                        "type": 3,
                        "updated_at": "2023-08-07T10:55:56Z",
                        "user_id": 4105,
                        "unread_messages_count": None,
                        "xmpp_room_jid": None,
                    }
                ],
                "messages": [
                    {**without(MESSAGE, "reactions"), "message": "A gambit?"},
                    {**without(MESSAGE, "reactions"), "_id": SECOND},
                ],
                "users": [],
            }
        },
        reads=SearchResult(
            dialogs=(
                Dialog(
                    id=HALL,
                    admins_ids=(),
                    created_at=utc(2023, 8, 7, 10, 50, 51),
                    description=None,
                    last_message=None,
                    last_message_date_sent=None,
                    last_message_id=None,
                    last_message_user_id=None,
                    name="The queen's gambit",
                    occupants_ids=(4101, 4105),
                    photo=None,
                    pinned_messages_ids=(),
                    type=DialogType.PRIVATE,
                    peer_id=4105,
                    updated_at=utc(2023, 8, 7, 10, 55, 56),
                    user_id=4105,
                    unread_messages_count=None,
                    xmpp_room_jid=None,
                    extra={},
                ),
            ),
            messages=(evolve(READ, body="A gambit?"), evolve(READ, id=SECOND)),
            users=(),
        ),
        needs=(("results", "dialogs"),),
    ),
)

EXEMPT = {
    "Create a message": (
        "the body has dialog and recipient, the table one or the other, which is what is sent; attachments "
        'are numbered "3" and "7" in the body, from "0" in the table and by us; uid stands beside id and '
        "markable is on, as the chat's messages have them"
    ),
    "Update message": 'the body has "1" as text; a number is sent, as for send_to_chat and markable',
    "Message reactions": 'a part of a message; "Retrieve messages" reads it',
    "Add/Remove reactions: XMPP": "what the chat receives, and no request or answer of REST",
}
