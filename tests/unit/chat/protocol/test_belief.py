"""Whom to believe: what a user, an occupant of a room or another device claims, and cannot vouch for."""

from __future__ import annotations

import pytest

from connectycube.models import DialogRef
from tests.support.simulation.simulated import ADDRESSES, ALICE, BOB, BOB_JID, HOST
from tests.support.simulation.world import World, ids, ready

ROOM_ID = "5f3a1b2c3d4e5f6071829304"
ROOM = ADDRESSES.room(ROOM_ID)
ERROR = "<error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
MUC_USER = "http://jabber.org/protocol/muc#user"
ME = ADDRESSES.user(ALICE)


def in_room() -> World:
    """Alice in a room, who has sent message 1 into it."""
    world = ready()
    world.server.answers_questions = False
    world.send(1, dialog=DialogRef.room(ROOM_ID))
    world.server.send(
        f"<presence from='{ROOM}/{ALICE}'><x xmlns='{MUC_USER}'><status code='110'/></x></presence>"
    )
    world.settle()
    return world


@pytest.mark.parametrize(
    ("sender", "is_believed"),
    [
        (f" from='{ROOM}'", True),
        (f" from='{ROOM.upper()}'", True),
        (f" from='{HOST}'", True),
        (f" from='{ME}'", True),
        ("", True),
        (f" from='{ROOM}/666'", False),
        (f" from='{ROOM}/{ALICE}'", False),
        (f" from='{ROOM}/'", False),
        (f" from='{ME}/phone'", False),
        (f" from='{HOST}/x'", False),
        (f" from='muc.{HOST}'", False),
        (f" from='{ADDRESSES.user(666)}/x'", False),
        (f" from='{ADDRESSES.room('5f3a1b2c3d4e5f6071829305')}'", False),
        (" from='evil.example'", False),
    ],
)
def test_an_error_settles_a_message_only_from_who_may_refuse_it(
    sender: str, is_believed: bool
) -> None:
    world = in_room()
    world.server.send(f"<message type='error' id='{ids(1)[0]}'{sender}>{ERROR}</message>")
    world.settle()
    (submission,) = world.submissions
    assert (world.outcome(submission) is not None) is is_believed
    assert [event.message_id for event in world.events("message_failed")] == ids(1) * is_believed
    assert world.core.counters.forged == (not is_believed)
    world.server.acknowledge()
    world.settle()
    assert len(world.sent) == (not is_believed)


@pytest.mark.parametrize("sender", [BOB_JID, f"{BOB_JID}/phone"])
def test_a_recipient_may_refuse_what_was_sent_to_them_and_nothing_else(sender: str) -> None:
    world = ready()
    world.send(1)
    world.send(2, dialog=DialogRef.private(BOB + 1))
    world.settle()
    for number in (1, 2, 3):
        world.server.send(
            f"<message type='error' id='{number:024x}' from='{sender}'>{ERROR}</message>"
        )
    world.settle()
    assert [event.message_id for event in world.events("message_failed")] == ids(1)
    assert world.core.counters.forged == 2


def edit(number: int, sender: str, own: int) -> str:
    return (
        f"<message from='{sender}' type='{'groupchat' if '/' in sender else 'chat'}' id='{own:024x}'>"
        f"<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='{number:024x}'/></message>"
    )


def deletion(number: int, sender: str, own: int) -> str:
    kind = "groupchat" if "/" in sender else "chat"
    remove = f"<remove xmlns='urn:xmpp:message-delete:0' id='{number:024x}'/>"
    return f"<message from='{sender}' type='{kind}' id='{own:024x}'>{remove}</message>"


def said(number: int, sender: str) -> str:
    kind = "groupchat" if "/" in sender else "chat"
    return (
        f"<message from='{sender}' type='{kind}' id='{number:024x}'><body>{number}</body></message>"
    )


@pytest.mark.parametrize(
    ("number", "sender", "by_author"),
    [
        (7, f"{ROOM}/{BOB}", True),
        (7, f"{ROOM}/666", False),
        (1, f"{ROOM}/666", False),  # Alice's own
        (1, f"{ROOM}/{ALICE}", True),
        (8, BOB_JID, True),
        (8, ADDRESSES.user(666), None),  # there is no such message in that dialog
        (9, f"{ROOM}/666", None),
    ],
)
def test_a_change_tells_whether_its_sender_is_the_author(
    number: int, sender: str, by_author: bool | None
) -> None:
    world = in_room()
    world.server.send(said(7, f"{ROOM}/{BOB}"))
    world.server.send(said(8, BOB_JID))
    world.server.send(edit(number, sender, 100))
    world.server.send(deletion(number, sender, 101))
    world.settle()
    assert [event.by_author for event in world.events("message_edited")] == [by_author]
    assert [event.by_author for event in world.events("message_deleted")] == [by_author]


def test_the_author_of_an_id_is_the_first_who_used_it() -> None:
    world = in_room()
    for sender in (f"{ROOM}/{BOB}", f"{ROOM}/666"):
        world.server.send(said(7, sender))
    world.server.send(edit(7, f"{ROOM}/666", 100))
    world.server.send(edit(7, f"{ROOM}/{BOB}", 101))
    world.settle()
    assert [event.by_author for event in world.events("message_edited")] == [False, True]


@pytest.mark.parametrize(
    "own_id", ["1", "x" * 5_000, "https://example/1"], ids=lambda own_id: own_id[:8]
)
def test_authors_are_known_by_ids_of_any_form(own_id: str) -> None:
    world = in_room()
    world.server.send(
        f"<message from='{ROOM}/{BOB}' type='groupchat' id='{own_id}'><body>7</body></message>"
    )
    for nick in (BOB, 666):
        world.server.send(edit(7, f"{ROOM}/{nick}", nick).replace(f"{7:024x}", own_id))
    world.settle()
    assert [event.by_author for event in world.events("message_edited")] == [True, False]


@pytest.mark.parametrize("nick", ["666", "mallory"])
def test_an_occupant_cannot_make_us_leave_or_enter_a_room(nick: str) -> None:
    world = in_room()
    world.server.send(
        f"<presence from='{ROOM}/{nick}' type='unavailable'><x xmlns='{MUC_USER}'>"
        "<status code='110'/><status code='307'/></x></presence>"
    )
    world.server.send(f"<presence from='{ROOM}/{nick}' type='error'>{ERROR}</presence>")
    world.settle()
    assert world.events("room_left") == []
    assert world.core.session._rooms.dialog(ROOM) is not None


def test_an_occupant_cannot_refuse_our_join() -> None:
    world = ready()
    waiter = object()
    world.core.session.join(DialogRef.room(ROOM_ID), waiter)
    world.after()
    world.server.send(f"<presence from='{ROOM}/666' type='error'>{ERROR}</presence>")
    world.settle()
    assert world.answers == [] and world.core.counters.forged == 1
    world.server.send(f"<presence from='{ROOM}/{ALICE}' type='error'>{ERROR}</presence>")
    world.settle()
    assert [answer.waiter for answer in world.answers] == [waiter]
