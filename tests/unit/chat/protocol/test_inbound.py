"""The receiving half of a session by itself: what it counts, rejects, recognises and completes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectycube import Config
from connectycube.chat.protocol import inbound as inbound_module
from connectycube.chat.protocol.decoding import Delivery, decode
from connectycube.chat.protocol.events import Counters, Dropped, EchoReceived, UncommittedDelivery
from connectycube.chat.protocol.inbound import Inbound
from connectycube.chat.protocol.outbox import Submission
from connectycube.chat.protocol.recovery import Recovery
from connectycube.chat.protocol.rooms import Rooms
from connectycube.chat.protocol.seen_messages import SeenMessages
from connectycube.chat.protocol.timers import Timers
from connectycube.config import Limits
from connectycube.models import DialogRef, DialogType, Message, MessageFailure
from tests.unit.chat.protocol.stanzas import (
    ADDRESSES,
    ALICE,
    BOB,
    FROM,
    ROOM,
    ROOM_ID,
    TO,
    carbon,
    item,
    stanza,
)

MARKABLE = "<body>hi</body><markable xmlns='urn:xmpp:chat-markers:0'/>"
DELAY = "<delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:00Z'/>"
ERROR = "<error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
BOBS = "1002-7@chat.example"
LAST = 2**32 - 1


class Scene:
    """The receiving half of Alice's session, with all that it says."""

    def __init__(self, new_id: Callable[[], str] = lambda: "session", **settings: Any) -> None:
        config = Config(app_id=7, auth_key="k", **settings)
        self.said: list[Any] = []
        self.refused: list[MessageFailure] = []
        self.timers, self.counters, self.seen = Timers(), Counters(), SeenMessages()
        self.rooms = Rooms(ADDRESSES, lambda: "id", lambda data: None)
        self.recovery = Recovery(
            *(config, ADDRESSES, self.seen, self.counters, self.said.append, lambda: ALICE),
            enabled=True,
            known_room=self.rooms.dialog,
        )
        self.inbound = Inbound(
            *(config, ADDRESSES, self.rooms, self.timers, self.counters, self.seen, self.recovery),
            *(new_id, self.said.append, self.refused.append),
        )
        self.inbound.begin()

    def receive(self, xml: str | bytes, now: float = 0.0) -> list[Any]:
        """Take a message stanza; return what was said of it."""
        self.said.clear()
        found = stanza(xml)
        self.inbound.count(found.size)
        self.inbound.receive_message(found, ALICE, now)
        return list(self.said)

    def plain(self, xml: str, now: float = 0.0) -> list[Any]:
        """Take a plain message, which the parser has decoded."""
        self.said.clear()
        delivery = decode(stanza(xml), ADDRESSES, ALICE)
        assert isinstance(delivery, Delivery)
        self.inbound.receive_plain(delivery, now)
        return list(self.said)

    def presence(self, xml: str) -> list[Any]:
        self.said.clear()
        self.inbound.count(77)
        self.inbound.receive_presence(item(xml), ALICE)  # type: ignore[arg-type]
        return list(self.said)

    def reasons(self) -> list[str]:
        return [output.reason for output in self.said if isinstance(output, Dropped)]


def private(number: int, content: str = "<body>hi</body>", sender: str = FROM) -> str:
    return f"<message from='{sender}' to='{TO}' type='chat' id='{number:024x}'>{content}</message>"


def in_room(number: int, content: str = "<body>hi</body>", nick: int = BOB) -> str:
    return (
        f"<message from='{ROOM}/{nick}' to='{TO}' type='groupchat' id='{number:024x}'>"
        f"{content}</message>"
    )


def composing(state: str = "composing", sender: str = FROM) -> str:
    inner = f"<{state} xmlns='http://jabber.org/protocol/chatstates'/>"
    return f"<message from='{sender}' to='{TO}' type='chat'>{inner}</message>"


def sent(number: int, to: str = BOBS, dialog: DialogRef | None = None, **fields: Any) -> Submission:
    dialog = dialog or DialogRef.private(BOB)
    return Submission(f"{number:024x}", to, dialog, **{"message": Message()} | fields)


@pytest.fixture
def scene() -> Scene:
    return Scene()


BOTH = pytest.mark.parametrize("take", [Scene.receive, Scene.plain], ids=["parsed", "plain"])

# --- counting -------------------------------------------------------------------------------------


def test_a_committed_stanza_is_handled(scene):
    for number in (1, 2):
        scene.receive(private(number))
    assert scene.inbound.handled == 0
    scene.inbound.committed()
    assert scene.inbound.handled == 2
    scene.inbound.begin()
    assert scene.inbound.handled == 0


@BOTH
def test_the_number_of_a_stanza_starts_again_at_zero(scene, take):
    scene.inbound.handled = LAST
    scene.inbound.resume()
    (delivery,) = take(scene, private(1))
    assert delivery.sequence == 0
    scene.inbound.committed()
    assert scene.inbound.handled == 0


def test_the_last_handled_stanza_is_the_one_before_the_rejected_one(scene):
    scene.inbound.handled = LAST
    scene.inbound.resume()
    deliveries = [scene.receive(private(number))[0] for number in (1, 2)]
    scene.inbound.reject(deliveries)
    scene.inbound.committed()
    assert scene.inbound.handled == LAST
    scene.inbound.resume()
    assert scene.receive(private(1))[0].sequence == 0


def test_the_earliest_rejected_stanza_counts(scene):
    first, second, third = (scene.receive(private(number))[0] for number in (1, 2, 3))
    for rejected, expected in ((second, 2), (third, 2), (first, 1)):
        scene.inbound.reject([rejected])
        assert scene.inbound.first_rejected == expected
    scene.inbound.begin()
    assert scene.inbound.first_rejected is None


@BOTH
def test_behind_a_rejected_stanza_nothing_is_delivered_until_the_next_link(scene, take):
    scene.receive(private(1))
    rejected = scene.receive(private(2))
    scene.inbound.reject(rejected)
    assert take(scene, private(1)) == [], "it was delivered before"
    for number in (2, 3):
        (uncommitted,) = take(scene, private(number))
        assert isinstance(uncommitted, UncommittedDelivery)
    scene.inbound.committed()
    scene.inbound.resume()
    assert [take(scene, private(number))[0].sequence for number in (2, 3)] == [2, 3]


def test_lost_messages_may_come_again(scene):
    lost = scene.receive(private(1, MARKABLE))
    scene.inbound.lose(lost)
    assert scene.inbound.committed() == []
    assert len(scene.receive(private(1))) == 1 and scene.reasons() == []


def test_what_an_earlier_process_has_got_is_not_delivered_again(scene):
    scene.inbound.remember([(BOBS, BOB, f"{1:024x}")], 0.0)
    scene.receive(private(1))
    assert scene.reasons() == ["repeated"]


# --- each message once ----------------------------------------------------------------------------


@BOTH
def test_a_repetition_is_dropped_and_counted(scene, take):
    assert len(take(scene, private(1))) == 1
    take(scene, private(1))
    assert scene.reasons() == ["repeated"] and scene.counters.repeated == 1


@BOTH
def test_an_own_message_that_comes_again_is_an_echo(scene, take):
    own = in_room(1, nick=ALICE)
    assert len(take(scene, own)) == 1
    take(scene, own)
    assert scene.reasons() == ["own_echoes"]


@BOTH
def test_a_room_echoes_what_was_sent_to_it_once(scene, take):
    submission = sent(1, ROOM, DialogRef.room(ROOM_ID))
    scene.inbound.expect(submission)
    dropped, echo = take(scene, in_room(1, nick=ALICE))
    assert dropped.reason == "own_echoes" and isinstance(echo, EchoReceived)
    assert echo.submission is submission and echo.message.id == f"{1:024x}"
    take(scene, in_room(1, nick=ALICE))
    assert len(scene.said) == 1 and scene.reasons() == ["own_echoes"]


@BOTH
def test_a_message_of_another_occupant_is_no_echo(scene, take):
    scene.inbound.expect(sent(1, ROOM, DialogRef.room(ROOM_ID)))
    (delivery,) = take(scene, in_room(1))
    assert delivery.event.sender_id == BOB


def test_an_own_message_with_an_id_of_another_form_is_recognised(scene):
    scene.seen.add((ROOM, ALICE, "x1"), 0.0)
    foreign = in_room(1, nick=ALICE).replace(f"{1:024x}", "x1")
    assert len(scene.receive(foreign.replace(f"/{ALICE}", f"/{BOB}"))) == 1
    scene.receive(foreign)
    assert scene.reasons() == ["own_echoes"]
    (other,) = scene.receive(foreign.replace("x1", "x2"))
    assert other.key is not None


def test_messages_with_ids_of_another_form_have_keys_of_their_session():
    names = iter("ab")
    scene, keys = Scene(new_id=lambda: next(names)), []
    for _ in range(2):
        for number in (1, 2):
            (delivery,) = scene.receive(private(number).replace(f"{number:024x}", f"x{number}"))
            keys.append(delivery.key)
        scene.inbound.begin()
        scene.inbound.caught_up()
    assert len(set(keys)) == 4 and next(names, None) is None


@BOTH
def test_only_messages_to_rooms_have_an_echo(scene, take):
    scene.inbound.expect(sent(1))
    scene.inbound.expect(sent(2, ROOM, DialogRef.room(ROOM_ID), message=None))
    to_bob = private(1, sender=f"{TO}/x").replace(f"to='{TO}'", f"to='{BOBS}'")
    for xml in (to_bob, in_room(2, nick=ALICE)):
        assert not [each for each in take(scene, xml) if isinstance(each, EchoReceived)]


@pytest.mark.parametrize("change", ["replace", "remove"])
def test_a_change_says_whether_the_author_of_the_message_made_it(scene, change):
    space = {"replace": "urn:xmpp:message-correct:0", "remove": "urn:xmpp:message-delete:0"}[change]
    inside = f"<body>new</body><{change} xmlns='{space}' id='{1:024x}'/>"
    scene.receive(in_room(1))
    found = [scene.receive(in_room(number, inside, nick))[0] for number, nick in ((2, BOB), (3, 9))]
    assert [delivery.event.by_author for delivery in found] == [True, False]


def test_a_copy_of_what_another_device_got_is_recognised_by_its_content(scene):
    foreign = private(1).replace(f"{1:024x}", "x1")
    scene.receive(foreign)
    assert scene.receive(carbon(foreign))[0].reason == "repeated"
    assert len(scene.receive(carbon(foreign.replace("hi", "ho")))) == 1
    assert scene.reasons() == []


def test_a_stanza_without_meaning_is_dropped_with_its_reason(scene):
    scene.receive(private(1, ""))
    assert scene.reasons() == ["not_understood"]


# --- refusals -------------------------------------------------------------------------------------


def refusal(number: int, sender: str = FROM) -> str:
    return f"<message type='error' id='{number:024x}' from='{sender}'>{ERROR}</message>"


def test_a_refusal_has_the_signal_and_the_dialog_of_what_was_sent(scene):
    dialog = DialogRef.private(BOB, "d1")
    scene.inbound.expect(sent(1, dialog=dialog, failed="edit_failed"))
    (delivery,) = scene.receive(refusal(1))
    assert (delivery.signal, delivery.event.dialog_id) == ("edit_failed", "d1")
    assert [each.message_id for each in scene.refused] == [f"{1:024x}"]


def test_the_dialog_of_a_refusal_that_names_one_stays(scene):
    scene.inbound.expect(sent(1, ROOM, DialogRef.room("another")))
    (delivery,) = scene.receive(refusal(1, sender=ROOM))
    assert delivery.event.dialog_id == ROOM_ID


def test_a_refusal_of_the_server_needs_no_memory_of_what_was_sent(scene):
    (delivery,) = scene.receive(refusal(1, sender="chat.example"))
    assert (delivery.signal, len(scene.refused)) == ("message_failed", 1)


def test_a_refusal_of_anybody_else_is_forged(scene):
    scene.inbound.expect(sent(1))
    scene.receive(refusal(1, sender="1003-7@chat.example"))
    scene.receive(refusal(2))
    assert scene.counters.forged == 2 and scene.refused == []


def test_the_refusal_of_a_marker_is_counted_alone(scene):
    scene.inbound.expect_marker(f"{1:024x}")
    scene.receive(refusal(1))
    assert scene.reasons() == ["refused"] and scene.refused == []


def test_a_refusal_is_recognised_among_the_newest_stanzas(scene, monkeypatch):
    monkeypatch.setattr(inbound_module, "_MOST_REMEMBERED", 2)
    for number in (1, 2, 3):
        scene.inbound.expect(sent(number, ROOM, DialogRef.room(ROOM_ID)))
        scene.inbound.expect_marker(f"{number + 10:024x}")
    for number in (1, 2, 3, 11, 12, 13):
        scene.receive(refusal(number, sender=ROOM))
    assert [each.message_id for each in scene.refused] == [f"{2:024x}", f"{3:024x}"]
    assert (scene.counters.forged, scene.counters.refused) == (2, 2)
    echoes = [scene.receive(in_room(number, nick=ALICE)) for number in (1, 2, 3)]
    assert [any(isinstance(one, EchoReceived) for one in each) for each in echoes] == [
        False,
        True,
        True,
    ]


def test_a_refusal_counts_behind_a_rejected_stanza_too(scene):
    scene.inbound.expect(sent(1))
    scene.inbound.reject(scene.receive(private(5)))
    scene.receive(refusal(1))
    assert len(scene.refused) == 1


# --- 'delivered' and the dialog -------------------------------------------------------------------


def marked(scene: Scene) -> list[int]:
    return [int(message.id or "0", 16) for message in scene.inbound.committed()]


@BOTH
@pytest.mark.parametrize(
    ("setting", "expected"), [(True, [1, 3]), ("all", [1, 2, 3, 4]), (False, [])]
)
def test_delivered_is_due_of_what_asks_for_it(take, setting, expected):
    scene = Scene(auto_delivered=setting)
    take(scene, private(1, MARKABLE))
    take(scene, private(2))
    take(scene, in_room(3, MARKABLE))
    take(scene, in_room(4))
    assert marked(scene) == expected
    assert marked(scene) == [], "it is said once"


def test_delivered_is_not_due_of_own_messages_copies_and_room_history():
    scene = Scene(auto_delivered="all")
    scene.receive(in_room(1, nick=ALICE))
    scene.receive(carbon(private(2)))
    scene.receive(in_room(3, f"<body>hi</body>{DELAY}"))
    assert marked(scene) == []
    scene.receive(private(4, f"<body>hi</body>{DELAY}"))
    assert marked(scene) == [4]


def test_delivered_is_not_due_from_a_rejected_message_on():
    scene = Scene(auto_delivered="all")
    scene.receive(private(1))
    scene.inbound.reject(scene.receive(private(2)))
    assert marked(scene) == [1]


def test_delivered_is_not_due_of_a_message_without_an_id(scene):
    scene.receive(private(1, MARKABLE).replace(f" id='{1:024x}'", ""))
    assert marked(scene) == []


@BOTH
def test_a_message_of_a_joined_room_has_the_dialog_that_was_joined(take):
    scene = Scene(auto_delivered=False)
    public = DialogRef.room(ROOM_ID, DialogType.PUBLIC)
    (before,) = take(scene, in_room(1))
    scene.rooms.want(public)
    (after,) = take(scene, in_room(2))
    assert before.event.dialog == DialogRef.room(ROOM_ID)
    assert after.event.dialog == public


# --- typing ---------------------------------------------------------------------------------------


def signals(outputs: list[Any]) -> list[str]:
    return [output.signal for output in outputs]


def test_typing_ends_by_itself_unless_it_goes_on():
    scene = Scene(typing_expires=10.0)
    assert signals(scene.receive(composing(), 0.0)) == ["typing_started"]
    scene.receive(composing(), 5.0)
    assert scene.timers.deadline == 15.0
    stopped = scene.timers.take_next(15.0)
    assert (stopped.signal, stopped.event.user_id) == ("typing_stopped", BOB)


def test_typing_that_is_stopped_has_no_timer():
    scene = Scene(typing_expires=10.0)
    scene.receive(composing())
    assert signals(scene.receive(composing("paused"))) == ["typing_stopped"]
    assert len(scene.timers) == 0
    assert signals(scene.receive(private(1))) == ["message_received"]


@BOTH
@pytest.mark.parametrize("expires", [10.0, None])
def test_a_message_ends_the_typing_of_its_sender(take, expires):
    scene = Scene(typing_expires=expires, auto_delivered=False)
    scene.receive(composing())
    other = composing(sender="1003-7@chat.example/x")
    scene.receive(other)
    assert signals(take(scene, private(1), 9.9)) == ["typing_stopped", "message_received"]
    assert len(scene.timers) == (0 if expires is None else 1)
    assert signals(take(scene, private(2), 9.9)) == ["message_received"]


@BOTH
def test_typing_that_has_expired_is_not_ended_again(take):
    scene = Scene(typing_expires=10.0)
    scene.receive(composing())
    scene.timers.take_next(10.0)
    assert signals(take(scene, private(1), 10.0)) == ["message_received"]


def test_of_too_many_users_only_the_first_ones_have_an_end_of_typing(monkeypatch):
    monkeypatch.setattr(inbound_module, "_MOST_TYPING", 1)
    scene = Scene(typing_expires=10.0)
    for user in (BOB, 1003):
        sender = f"{user}-7@chat.example/x"
        assert signals(scene.receive(composing(sender=sender))) == ["typing_started"]
    assert len(scene.timers) == 1
    assert scene.timers.take_next(10.0).event.user_id == BOB


# --- what is reported -----------------------------------------------------------------------------


def test_an_event_takes_room_by_the_bytes_of_its_stanza(scene):
    xml = private(1, "<body>hello</body>")
    (delivery,) = scene.receive(xml)
    assert delivery.size == stanza(xml).size


def test_the_events_of_a_presence_take_room_by_its_bytes(scene):
    scene.rooms.join(DialogRef.room(ROOM_ID), "waiter", ALICE)
    answer, *_ = scene.presence(f"<presence from='{ROOM}/{ALICE}'/>")
    assert answer.waiter == "waiter"
    (joined,) = scene.presence(f"<presence from='{ROOM}/{BOB}'/>")
    assert (joined.signal, joined.size, joined.sequence) == ("occupant_joined", 77, 2)
    (left,) = scene.presence(f"<presence from='{ROOM}/{ALICE}' type='unavailable'/>")
    assert (left.signal, left.size, left.sequence) == ("room_left", 77, None)
    scene.presence(f"<presence from='{ROOM}/{ALICE}' type='unavailable'/>")
    assert scene.reasons() == ["not_understood"] and len(scene.said) == 1


def test_the_presence_of_a_contact_is_reported(scene):
    (delivery,) = scene.presence(f"<presence from='{FROM}'/>")
    assert (delivery.event.user_id, delivery.size) == (BOB, 77)


def test_an_event_of_another_stanza_takes_room_by_its_bytes(scene):
    scene.receive(private(1))
    scene.inbound.count(500)
    delivery = Delivery(signal="contact_updated", event=None)
    scene.inbound.report(delivery)
    assert (delivery.size, delivery.sequence) == (500, 2)


@BOTH
def test_in_a_gap_events_wait_until_there_is_no_room(take):
    scene = Scene(limits=Limits(queued_events=1))
    scene.recovery.start_at(0.0)
    scene.recovery.begin()
    assert take(scene, private(1)) == []
    (uncommitted,) = take(scene, private(2))
    assert isinstance(uncommitted, UncommittedDelivery)
    assert scene.inbound.first_rejected == 2
    scene.recovery.end()
    assert [each.event.id for each in scene.said[1:]] == [f"{1:024x}"]


@BOTH
def test_a_held_event_takes_room_by_its_own_bytes(scene, take):
    scene.receive(private(1, f"<body>{'x' * 1000}</body>"))
    scene.recovery.start_at(0.0)
    scene.recovery.begin()
    assert take(scene, private(2)) == []
    assert signals(scene.receive(composing())) == ["typing_started"], "it waits for no gap"
    scene.recovery.end()
    assert [each.size for each in scene.said[1:]] == [stanza(private(2)).size]


def test_held_events_behind_a_rejected_stanza_are_dropped_with_it(scene):
    scene.recovery.start_at(0.0)
    passing = scene.receive(composing())
    scene.recovery.begin()
    scene.receive(private(1))
    scene.inbound.reject(passing)
    scene.inbound.committed()
    scene.inbound.resume()
    assert scene.receive(private(1)) == [], "it is held, and no repetition"
    scene.recovery.end()
    assert [each.event.id for each in scene.said] == [f"{1:024x}"]
