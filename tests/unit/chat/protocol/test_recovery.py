"""Filling a gap: what is held, what history adds, and where the next gap would begin."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.events import Counters, FetchGap, UncommittedDelivery
from connectycube.chat.protocol.recovery import SHOWN, Recovery, key_in_history
from connectycube.chat.protocol.seen_messages import SeenMessages
from connectycube.config import Limits
from connectycube.models import (
    ChatState,
    DialogRef,
    DialogType,
    Message,
    MessageSent,
    RecoveryFailure,
    RecoveryFinished,
)
from connectycube.models._json import EPOCH
from tests.support.inside import session_of
from tests.support.simulation.service import Service
from tests.support.simulation.simulated import ADDRESSES, ALICE, BOB, config
from tests.support.simulation.world import World, reconnect

DAVE = 1004
PRIVATE = DialogRef.private(DAVE, f"p{ALICE}-{DAVE}")
FROM_DAVE = DialogRef.private(ALICE, PRIVATE.id)
ROOM = DialogRef.room("hikers")
SINCE = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Scene:
    """Alice's client, and a service that keeps no offline copies; history answers when the test says so."""

    def __init__(self, **settings: Any) -> None:
        self.service = Service([ALICE], lambda: self.world.now)
        self.service.rooms["hikers"] = {ALICE, BOB, DAVE}
        self.server = self.service.servers[ALICE]
        self.server.keeps_offline = False
        settings.setdefault("join_rooms", False)
        self.world = World(self.server, config(**settings), history=self.service)
        self.world.login()
        self.numbers = 0

    def say(self, *, sender: int = DAVE, to: DialogRef = FROM_DAVE, ago: float = 0.0) -> int:
        """A message arrives at the service; return its number."""
        self.numbers += 1
        self.service.say(self.numbers, sender, to, self.service.time() - ago)
        return self.numbers

    def lose(self) -> None:
        """The link is cut, the server forgets the session, and is out of reach."""
        self.world.settle()
        self.world.cut()
        self.server.forget_sessions()
        self.world.reachable = False

    def come_back(self) -> None:
        """The next attempt succeeds."""
        self.world.reachable = True
        reconnect(self.world)

    def settle(self) -> None:
        """Let everything travel and history answer all."""
        self.world.settle()
        self.world.fill_gaps()
        self.world.advance(0.01)

    @property
    def messages(self) -> list[Message]:
        """What was received."""
        return self.world.messages

    @property
    def received(self) -> list[int]:
        """The numbers of it."""
        return self.world.received

    @property
    def delivered(self) -> list[int]:
        """The numbers that Alice said 'delivered' for."""
        return [int(message_id, 16) for message_id in self.server.delivered()]

    def after_gap(self, *numbers: int) -> list[Message]:
        """Fill the gap, check what was received, return it."""
        self.settle()
        assert self.received == list(numbers)
        return self.messages


# --- what is recovered ----------------------------------------------------------------------------


def test_messages_of_a_lost_session_are_recovered_in_history_order():
    scene = Scene()
    first = scene.say()
    scene.lose()
    scene.world.advance(20)
    second = scene.say()
    third = scene.say(ago=10)
    fourth = scene.say(sender=BOB, to=ROOM)
    scene.come_back()
    before, *recovered = scene.after_gap(first, third, second, fourth)
    assert not before.recovered and all(message.recovered for message in recovered)
    assert [message.dialog for message in recovered] == [PRIVATE, PRIVATE, ROOM]
    assert [message.dialog_id for message in recovered] == [PRIVATE.id, PRIVATE.id, ROOM.id]
    assert [message.sender_id for message in recovered] == [DAVE, DAVE, BOB]
    assert not any(message.own for message in recovered)


def test_delivered_is_said_once_of_what_was_recovered():
    scene = Scene()
    scene.lose()
    scene.say()
    scene.say(to=ROOM)
    scene.come_back()
    scene.settle()
    scene.lose()
    scene.come_back()
    scene.settle()
    assert scene.delivered == [1, 2]


def test_recovery_sends_delivered_only_where_it_is_missing_and_wanted():
    recovery, said = alone()
    asked = opened(recovery, said)
    for changes in ({"delivered_ids": (ALICE,)}, {"read_ids": (BOB, ALICE)}, {"sender_id": ALICE}):
        recovery.page(asked, PRIVATE, [message(**changes)], 5.0)
    assert recovery.committed(rejected=False) == []
    recovery.page(asked, PRIVATE, [due := message(delivered_ids=(BOB,))], 5.0)
    (marked,) = recovery.committed(rejected=False)
    assert marked.id == due.id and recovery.committed(rejected=False) == []
    scene = Scene(auto_delivered=False)
    scene.lose()
    scene.say()
    scene.come_back()
    scene.settle()
    assert scene.received == [1] and scene.delivered == []


def test_recovery_skips_this_connections_messages_not_another_devices():
    scene = Scene()
    scene.world.send(100, dialog=PRIVATE)
    scene.world.send(101, dialog=ROOM)
    scene.lose()
    scene.service.say(102, ALICE, PRIVATE, scene.service.time())
    scene.come_back()
    (other,) = scene.after_gap(102)
    assert other.own and other.recovered and other.dialog == PRIVATE and scene.delivered == []


def test_what_was_received_before_or_is_only_changed_is_not_recovered():
    scene = Scene()
    old = scene.say()
    scene.world.settle()
    scene.world.advance(3600)
    recent = scene.say()
    scene.lose()
    for number in (old, recent):
        scene.service.touch(f"{number:024x}")
    deleted, edited = scene.say(), scene.say()
    scene.service.delete(f"{deleted:024x}")
    scene.service.touch(f"{edited:024x}")
    scene.come_back()
    scene.after_gap(old, recent, edited)
    assert scene.world.core.counters.repeated == 1  # the recent one


def test_clocks_of_senders_do_not_matter():
    scene = Scene()
    scene.lose()
    days = 86_400.0
    late, early, same = scene.say(ago=-3 * days), scene.say(ago=9 * days), scene.say(ago=-3 * days)
    scene.come_back()
    scene.after_gap(early, late, same)


def test_the_overlap_recovers_a_message_that_was_stored_but_not_sent():
    scene = Scene()
    scene.service.lag = lambda: 40.0
    number = scene.say()
    scene.world.advance(35)  # the server has answered since that it has no more
    assert scene.world.core.session.recovery.cursor == scene.world.now - 5
    scene.lose()
    scene.come_back()
    scene.after_gap(number)


def test_a_dialog_of_unknown_peer_is_recovered_under_the_other_user():
    recovery, said = alone()
    nameless = DialogRef(id="d", type=DialogType.PRIVATE)
    asked = FetchGap(0.0)
    recovery, said = alone()
    asked = opened(recovery, said, nameless)
    recovery.page(asked, nameless, [message(number=1), message(number=2, sender_id=ALICE)], 5.0)
    assert recovery.is_open and recovery.filled(asked, nameless) and not recovery.is_open
    assert [d.conversation for d in said] == [ADDRESSES.user(DAVE), ADDRESSES.user(DAVE), None]


# --- what arrives meanwhile -----------------------------------------------------------------------


def test_live_messages_wait_for_the_dialog_list_then_only_inside_a_gap():
    scene = Scene()
    scene.lose()
    in_gap = scene.say()
    scene.come_back()
    live, in_room = scene.say(), scene.say(to=ROOM)
    scene.world.settle()
    assert scene.received == []
    stored = scene.service.stored[f"{in_room:024x}"]
    stored.message = evolve(stored.message, updated_at=EPOCH)  # so its dialog has not changed
    scene.world.fill_gaps(2)
    assert scene.received == [in_room]
    scene.after_gap(in_room, in_gap, live)
    assert [entry.recovered for entry in scene.messages] == [False, True, False]


def test_live_messages_take_their_place_in_history_or_follow_it():
    recovery, said = alone()
    asked = opened(recovery, said)
    status = live(None, signal="message_read")
    held = [live(4, sender_id=BOB), status, live(2), live(9)]
    assert all(recovery.holds(delivery) and recovery.hold(delivery) for delivery in held)
    recovery.page(asked, PRIVATE, [message(number=n) for n in (1, 2)], 5.0)
    page = [message(number=3), message(number=4, sender_id=BOB), message(number=5)]
    recovery.page(asked, PRIVATE, page, 5.0)
    assert numbers(said) == [1, 2, 3, 4, 5] and said[1] is held[2] and said[3] is held[0]
    recovery.filled(asked, PRIVATE)
    assert said[5:-1] == [status, held[3]] and said[-1].signal == "recovery_finished"


def test_live_messages_of_one_sender_keep_their_order_despite_its_clock():
    recovery, said = alone()
    asked = opened(recovery, said)
    for delivery in (live(4), live(8, sender_id=BOB), live(2)):
        assert delivery.key is not None
        assert recovery._seen_messages.add(delivery.key) and recovery.hold(delivery)
    recovery.page(asked, PRIVATE, [message(number=n) for n in (1, 2, 3, 4)], 5.0)
    assert numbers(said) == [1, 4, 2, 3]
    recovery.filled(asked, PRIVATE)
    assert numbers(said) == [1, 4, 2, 3, 8]


def test_typing_is_not_held_nor_what_has_no_conversation():
    recovery, said = alone()
    opened(recovery, said)
    assert not recovery.holds(live(None, signal="typing_started", merge_key=("typing",)))
    assert not recovery.holds(Delivery(signal="last_activity_changed", event=None))


def test_more_than_can_be_held_is_fetched_again_once_the_gap_is_filled():
    scene = Scene(limits=Limits(queued_events=2))
    scene.lose()
    in_gap = scene.say()
    scene.come_back()
    scene.numbers = 10
    later = [scene.say() for _ in range(4)]
    scene.world.settle()
    assert scene.world.core.state is ChatState.READY
    # History has them all by now, which is no reason to read it: the session goes on.
    for number in later:
        scene.service.stored[f"{number:024x}"].saved = False
    scene.after_gap(in_gap, *later)
    assert scene.world.states[-1] is ChatState.RESUMED
    assert "held" in str(scene.world.events("state_changed")[-4].reason)
    assert sorted(scene.delivered) == [in_gap, *later]  # what is held has been delivered


def test_the_cursor_does_not_pass_what_could_not_be_held():
    scene = Scene(limits=Limits(queued_events=1))
    scene.lose()
    scene.say()
    scene.come_back()
    began = scene.world.now
    held, refused = scene.say(), scene.say()
    scene.world.settle()
    scene.world.advance(31)  # the server has been asked, and has answered
    recovery = scene.world.core.session.recovery
    assert recovery._cursor == began
    for _ in range(20):
        if not recovery.is_open:
            break
        scene.world.fill_gaps(1)
    assert recovery.cursor == began
    scene.settle()
    assert sorted(scene.received) == [1, held, refused]


def test_log_out_releases_what_was_held_in_order_of_arrival():
    scene = Scene()
    scene.lose()
    scene.come_back()
    live = [scene.say(), scene.say(to=ROOM), scene.say()]
    scene.world.settle()
    assert scene.received == []
    scene.world.close()
    assert scene.received == live and scene.world.core.state is ChatState.CLOSED
    scene.world.fill_gaps()
    assert scene.received == live


# --- which gaps there are -------------------------------------------------------------------------


def test_a_first_login_has_no_gap_nor_one_after_log_out():
    scene = Scene()
    scene.world.close()
    assert scene.world.core.session.recovery.cursor is None
    scene.say()
    scene.world.login()
    assert scene.world.recovers == [] and scene.received == []


def test_after_a_final_failure_the_next_login_fills_the_gap():
    scene = Scene()
    scene.world.settle()
    scene.server.write(
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
    )
    scene.world.settle()
    assert scene.world.core.state is ChatState.CLOSED
    scene.server.forget_sessions()
    scene.say()
    scene.world.login()
    scene.after_gap(1)


def test_a_login_that_is_given_up_is_no_log_out():
    scene = Scene()
    scene.lose()
    scene.world.core.close(scene.world.now, scene.world.now, logs_out=False)
    scene.world.after()
    scene.world.reachable = True
    scene.say()
    scene.world.login()
    scene.after_gap(1)


def test_a_resumed_session_has_no_gap_and_a_filling_goes_on_in_it():
    scene = Scene()
    scene.world.settle()
    scene.world.cut()
    scene.say()
    scene.come_back()
    assert scene.world.recovers == [] and scene.received == [1]
    scene.lose()
    scene.say()
    scene.come_back()
    scene.world.fill_gaps(2)
    scene.world.settle()
    scene.world.cut()
    scene.world.fill_gaps(1)
    scene.come_back()
    assert scene.world.states[-1] is ChatState.RESUMED and len(scene.world.recovers) == 1
    scene.after_gap(1, 2)


def test_a_gap_within_a_gap_begins_at_the_first_and_repeats_nothing():
    scene = Scene()
    cursor = scene.world.core.session.recovery.cursor
    scene.lose()
    first, second = scene.say(), scene.say(to=ROOM)
    scene.come_back()
    held = scene.say()
    scene.world.settle()
    scene.world.fill_gaps(4)
    assert scene.received == [first, held]
    scene.lose()
    scene.world.advance(300, settle=False)
    third = scene.say()
    scene.world.advance(300)
    scene.come_back()
    assert [asked.since for asked in scene.world.recovers] == [cursor, cursor]
    scene.after_gap(first, held, third, second)
    assert scene.world.core.session.recovery.cursor != cursor


def test_late_answers_to_an_earlier_question_change_nothing():
    recovery, said = alone()
    old = opened(recovery, said)
    recovery.begin()
    recovery.ask()
    new = said.pop()
    assert new is not old and recovery.is_about(new) and not recovery.is_about(old)
    for answer in (
        lambda: recovery.dialogs(old, [], SINCE),
        lambda: recovery.page(old, PRIVATE, [message()], 5.0),
        lambda: recovery.filled(old, PRIVATE),
        lambda: recovery.failed(old, None, OSError()),
    ):
        assert not answer() and recovery.is_open and said == []


def test_without_history_or_with_gaps_unfilled_by_choice_nothing_is_held():
    for history in (None, Service([ALICE], lambda: 0.0)):
        world = World(settings=config(fill_gaps=False), history=history)
        world.login()
        world.cut()
        world.server.forget_sessions()
        reconnect(world)
        assert world.recovers == [] and not world.core.session.recovery.is_open


def test_an_earlier_process_has_got_so_far():
    scene = Scene()
    scene.world.close()
    scene.world.core.session.recovery.start_at(scene.world.now - 100)
    scene.say()
    scene.world.login()
    assert [asked.since for asked in scene.world.recovers] == [scene.world.now - 100]
    scene.after_gap(1)


# --- failures -------------------------------------------------------------------------------------


def test_when_dialogs_cannot_be_listed_it_is_said_and_live_events_flow():
    scene = Scene()
    scene.lose()
    scene.say()
    scene.come_back()
    held = scene.say()
    scene.world.settle()
    scene.world.fails = lambda: True
    scene.world.fill_gaps()
    (failure,) = scene.world.events("recovery_failed")
    assert failure.dialog is None and failure.dialog_id is None
    assert isinstance(failure.error, OSError) and scene.received == [held]
    later = scene.say()
    scene.world.settle()
    assert scene.received == [held, later]


def test_when_one_dialog_cannot_be_read_the_others_are():
    scene = Scene()
    scene.lose()
    scene.say()
    in_room = scene.say(to=ROOM)
    scene.come_back()
    held = scene.say()
    scene.world.settle()
    answers = iter([False, True])
    scene.world.fails = lambda: next(answers, False)
    scene.world.fill_gaps()
    (failure,) = scene.world.events("recovery_failed")
    assert failure == RecoveryFailure(dialog=PRIVATE, error=failure.error)
    assert failure.dialog_id == PRIVATE.id and scene.received == [held, in_room]


def test_a_gap_that_is_whole_says_so_with_its_messages():
    scene = Scene()
    scene.lose()
    scene.say()
    scene.say(to=ROOM)
    scene.come_back()
    scene.after_gap(1, 2)
    assert scene.world.events("recovery_finished") == [RecoveryFinished(messages=2)]
    scene.world.fails = lambda: True
    scene.lose()
    scene.come_back()
    scene.settle()
    assert len(scene.world.events("recovery_finished")) == 1


def test_the_next_session_retries_a_failed_recovery_from_its_start():
    scene = Scene()
    cursor = scene.world.core.session.recovery.cursor
    scene.lose()
    lost = scene.say()
    scene.come_back()
    scene.world.fails = lambda: True
    scene.settle()
    scene.world.advance(1000)
    assert scene.world.core.session.recovery.cursor == cursor
    scene.world.fails = lambda: False
    scene.lose()
    scene.come_back()
    scene.after_gap(lost)
    scene.world.advance(100)
    assert scene.world.core.session.recovery.cursor > cursor + 1000


def test_what_failed_is_given_up_before_too_much_is_remembered_for_it(monkeypatch):
    monkeypatch.setattr("connectycube.chat.protocol.recovery._MOST_KEPT", 5)
    scene = Scene()
    scene.lose()
    scene.come_back()
    scene.world.fails = lambda: True
    scene.settle()
    for _ in range(6):
        scene.say()
    scene.world.advance(61)
    assert scene.world.core.session.recovery.cursor == scene.world.now - 1


def test_the_first_failure_for_the_moment_is_told_and_live_events_flow():
    recovery, said = alone()
    recovery.start_at(0.0)
    recovery.begin()
    recovery.ask()
    asked = said.pop()
    recovery.hold(live(1))
    first, second = OSError("first"), OSError("second")
    assert recovery.failing(asked, None, first) and recovery.failing(asked, PRIVATE, second)
    failure, released = said
    assert failure.event == RecoveryFailure(error=first, is_repeated=True)
    assert numbers([released]) == [1]
    assert recovery.is_open and not recovery.holds(live(2))
    assert recovery.cursor == 0.0


def hold_sent(recovery: Recovery, number: int) -> bool:
    own = message(number, sender_id=ALICE)
    event = MessageSent(message_id=own.id, dialog=PRIVATE, message=own)
    place = ADDRESSES.user(DAVE)
    delivery = Delivery(signal="message_sent", event=event, conversation=place)
    return recovery.hold_sent(delivery, (place, ALICE, own.id))


def shown(said: list[Any]) -> list[str | None]:
    """The bodies of messages in order, those of copies for views with a star."""
    return [
        f"{output.delivery.event.message.body}*"
        if isinstance(output, UncommittedDelivery)
        else output.event.body
        for output in said
        if isinstance(output, UncommittedDelivery) or isinstance(output.event, Message)
    ]


def test_copies_of_sent_messages_take_their_places_in_a_gap():
    recovery, said = alone()
    asked = opened(recovery, said)
    assert hold_sent(recovery, 2) and hold_sent(recovery, 4) and not said
    recovery.page(asked, PRIVATE, [message(1), message(2, sender_id=ALICE), message(3)], 5.0)
    assert shown(said) == ["1", "2*", "3"]
    recovery.filled(asked, PRIVATE)
    assert shown(said) == ["1", "2*", "3", "4*"]
    assert not hold_sent(recovery, 5), "the gap is filled"
    copies = [each.delivery for each in said if isinstance(each, UncommittedDelivery)]
    assert [copy.size for copy in copies] == [301, 301]
    assert not [each for each in said if isinstance(each, Delivery) and each.signal == SHOWN]


def test_a_copy_of_a_sent_message_without_a_text_waits_too():
    recovery, said = alone()
    opened(recovery, said)
    own = message(1, sender_id=ALICE, body=None)
    event = MessageSent(message_id=own.id, dialog=PRIVATE, message=own)
    delivery = Delivery(signal="message_sent", event=event, conversation=ADDRESSES.user(DAVE))
    assert recovery.hold_sent(delivery, (ADDRESSES.user(DAVE), ALICE, own.id))
    recovery.end()
    assert said[0].delivery.size == 300


def test_copies_of_sent_messages_wait_within_bounds_and_for_no_failure():
    recovery, said = alone(limits=Limits(queued_events=2))
    asked = opened(recovery, said)
    assert [hold_sent(recovery, number) for number in (1, 2, 3)] == [True, True, False]
    recovery.failing(asked, PRIVATE, OSError())
    assert shown(said) == ["1*", "2*"] and not hold_sent(recovery, 4)
    recovery.begin()
    assert hold_sent(recovery, 5)
    recovery.end()
    assert shown(said) == ["1*", "2*", "5*"]


def test_what_history_had_before_the_first_login_is_left_out_of_it_alone():
    recovery, said = alone()
    place = ADDRESSES.user(DAVE)
    recovery.leave_out([(place, DAVE, "m1"), (place, DAVE, "m2")])
    asked = opened(recovery, said)
    recovery.hold(live(2))
    recovery.page(asked, PRIVATE, [message(1), message(2), message(3)], 5.0)
    assert shown(said) == ["2", "3"]


def test_what_is_read_after_a_passing_failure_comes_once_and_ends_the_gap():
    recovery, said = alone()
    asked = opened(recovery, said)
    arrived = live(1)
    recovery._seen_messages.add(arrived.key, 0.0)
    recovery.hold(arrived)
    recovery.failing(asked, PRIVATE, OSError())
    assert recovery.page(asked, PRIVATE, [message(1), message(2)], 0.0)
    assert recovery.filled(asked, PRIVATE)
    _, released, recovered, finished = said
    assert numbers([released, recovered]) == [1, 2]
    assert finished.event == RecoveryFinished(messages=1)
    assert not recovery.is_open and not recovery.is_about(asked)


def test_a_failure_of_an_earlier_question_is_not_told():
    recovery, said = alone()
    asked = opened(recovery, said)
    recovery.begin()
    assert not recovery.failing(asked, None, OSError())
    assert said == []


def test_a_repetition_is_given_up_before_too_much_is_remembered_for_it(monkeypatch):
    monkeypatch.setattr("connectycube.chat.protocol.recovery._MOST_KEPT", 2)
    recovery, said = alone()
    asked = opened(recovery, said)
    recovery.failing(asked, None, OSError())
    for number in range(3):
        recovery._seen_messages.add(live(number).key, 0.0)
    recovery.received_until(5.0)
    recovery.committed(rejected=False)
    assert recovery.cursor == 5.0
    assert not recovery.is_open and not recovery.is_about(asked)


# --- the cursor -----------------------------------------------------------------------------------


def test_only_an_answer_says_what_has_arrived_and_only_up_to_the_question():
    scene = Scene(auto_delivered=False)
    recovery = scene.world.core.session.recovery
    assert recovery.cursor == 1000.0  # the login's own question
    scene.world.advance(10)
    scene.say()
    scene.world.settle()
    assert recovery.cursor == 1000.0
    scene.world.advance(20, settle=False)  # asked at 1030
    scene.world.advance(4, settle=False)
    scene.world.settle()
    assert recovery.cursor == 1030.0


def test_an_unasked_acknowledgement_on_a_resumed_link_moves_no_cursor():
    scene = Scene(auto_delivered=False)
    scene.world.advance(10)
    scene.world.cut()
    scene.say()
    scene.come_back()
    recovery = scene.world.core.session.recovery
    assert scene.world.states[-1] is ChatState.RESUMED and recovery.cursor == 1000.0
    scene.server.acknowledge()  # unasked, it proves nothing
    scene.world.settle()
    assert recovery.cursor == 1000.0


def test_history_is_asked_when_messages_reach_a_session_resumed_unready():
    scene = Scene()
    scene.lose()
    scene.say()
    world, server = scene.world, scene.server
    world.reachable = True
    world.core.relogin(world.now)
    world.after()
    while server.session is None or session_of(world.core).resumable is None:
        assert world.connect() or world.upstream() or world.downstream()
    world.cut()
    server.answers_questions = False
    reconnect(world)
    assert world.states[-1] is ChatState.AUTHENTICATED and not world.recovers[1:]
    scene.say()
    server.answers_questions = True
    server.acknowledge()
    world.settle()
    assert world.states[-1] is ChatState.READY
    scene.say()
    scene.after_gap(1, 2, 3)


def test_what_the_queue_refused_keeps_the_cursor_where_it_was():
    scene = Scene()
    scene.world.room = 1
    scene.world.core.hold_link(scene.world.now)  # which keeps the link
    scene.say()
    scene.say()
    scene.world.settle()
    scene.world.advance(31)
    assert scene.received == [1] and scene.world.core.session.recovery.cursor == 1000.0
    scene.lose()
    scene.world.room = None
    scene.come_back()
    scene.after_gap(1, 2)


# --- on its own -----------------------------------------------------------------------------------


def alone(
    *, enabled: bool = True, known: DialogRef | None = None, **settings: Any
) -> tuple[Recovery, list[Any]]:
    said: list[Any] = []
    recovery = Recovery(
        *(config(**settings), ADDRESSES, SeenMessages(), Counters(), said.append, lambda: ALICE),
        enabled=enabled,
        known_room=lambda jid: known,
    )
    return recovery, said


def opened(recovery: Recovery, said: list[Any], *dialogs: DialogRef) -> FetchGap:
    """Begin a gap in these dialogs."""
    recovery.start_at(0.0)
    recovery.begin()
    recovery.ask()
    asked: FetchGap = said.pop()
    assert recovery.dialogs(asked, dialogs or [PRIVATE], SINCE)
    return asked


def message(number: int = 0, **changes: Any) -> Message:
    values: dict[str, Any] = {
        "id": f"m{number}{changes}" if number == 0 else f"m{number}",
        "body": str(number),
        "sender_id": DAVE,
        "recipient_id": ALICE,
        "created_at": SINCE + timedelta(seconds=number),
        "updated_at": SINCE,
        "date_sent": SINCE,
    } | changes
    if values["sender_id"] == ALICE:
        values["recipient_id"] = DAVE
    return Message(**values)


def live(
    number: int | None, signal: str = "message_received", sender_id: int = DAVE, **changes: Any
) -> Delivery:
    conversation = ADDRESSES.user(DAVE)
    key = None if number is None else (conversation, sender_id, f"m{number}")
    event = None if number is None else message(number, sender_id=sender_id)
    return Delivery(
        signal=signal,
        event=event,
        conversation=conversation,
        size=1,
        key=key,
        sequence=7,
        **changes,
    )


def numbers(said: list[Any]) -> list[int]:
    messages = [delivery for delivery in said if delivery.signal != "recovery_finished"]
    return [int(delivery.event.body) for delivery in messages]


def test_bytes_bound_what_is_held_but_one_event_of_any_size_fits():
    recovery, said = alone(limits=Limits(queued_bytes=10))
    opened(recovery, said)
    large, small = live(1), live(2)
    large.size = 1_000
    assert recovery.hold(large) and not recovery.hold(small)


def test_what_is_released_makes_room_for_what_is_held():
    recovery, said = alone(limits=Limits(queued_bytes=10))
    asked = opened(recovery, said)
    for number, size, fits in ((1, 5, True), (2, 6, False), (3, 5, True), (4, 0, True)):
        delivery = live(number)
        delivery.size = size
        assert recovery.hold(delivery) is fits
    recovery.page(asked, PRIVATE, [message(1)], 5.0)
    assert numbers(said) == [1]
    large = live(5)
    large.size = 5
    assert recovery.hold(large) and not recovery.hold(live(6))


def test_events_without_a_key_of_their_own_are_all_held_in_order():
    recovery, said = alone()
    asked = opened(recovery, said)
    arrived = [live(None), live(1), live(None), live(1)]
    assert all(recovery.hold(delivery) for delivery in arrived)
    recovery.filled(asked, PRIVATE)
    assert said[:-1] == arrived


def test_before_the_dialogs_are_named_all_but_passing_events_wait():
    recovery, _ = alone()
    assert not recovery.holds(live(1))
    recovery.start_at(0.0)
    recovery.begin()
    assert recovery.holds(live(1))
    assert not recovery.holds(Delivery(signal="contact_updated", event=None))
    assert not recovery.holds(live(1, merge_key=("typing",)))


def test_a_gap_without_dialogs_is_filled_at_once():
    recovery, said = alone()
    asked = opened(recovery, said)
    recovery.page(asked, PRIVATE, [message(1)], 5.0)
    recovery.begin()
    recovery.ask()
    asked = said.pop()
    said.clear()
    assert recovery.dialogs(asked, [], SINCE)
    assert [each.event for each in said] == [RecoveryFinished(messages=0)]
    assert not recovery.is_open and not recovery.is_holding


def test_a_gap_begun_again_waits_for_no_dialog_of_the_first_question():
    recovery, said = alone()
    opened(recovery, said, DialogRef(id="p", type=DialogType.PRIVATE))
    recovery.begin()
    recovery.ask()
    assert recovery.dialogs(said.pop(), [], SINCE) and not recovery.is_open


def test_a_list_of_dialogs_that_breaks_off_ends_the_gap():
    recovery, said = alone()
    asked = opened(recovery, said, PRIVATE, DialogRef(id="p", type=DialogType.PRIVATE))
    assert recovery.failed(asked, None, OSError())
    assert not recovery.is_open and not recovery.is_about(asked)
    assert [each.signal for each in said] == ["recovery_failed"]


def test_a_failure_is_told_in_the_conversation_of_its_dialog():
    for dialog, conversation in ((PRIVATE, ADDRESSES.user(DAVE)), (None, None)):
        recovery, said = alone()
        recovery.failing(opened(recovery, said), dialog, OSError())
        assert [each.conversation for each in said] == [conversation]


def test_held_events_give_way_to_a_full_queue_while_the_gap_stays_open():
    recovery, said = alone()
    asked = opened(recovery, said)
    error = OSError("no room")
    recovery.give_way(error)
    assert said == [], "nothing was held"
    recovery.hold(live(1))
    recovery.give_way(error)
    failure, released = said
    assert failure.event == RecoveryFailure(error=error, is_repeated=True)
    assert numbers([released]) == [1]
    assert recovery.is_open and recovery.is_about(asked) and recovery.holds(live(2))


def test_after_the_end_nothing_is_held_and_no_answer_is_taken():
    recovery, said = alone()
    asked = opened(recovery, said)
    recovery.end()
    assert not recovery.is_open and not recovery.holds(live(1))
    assert not recovery.is_about(asked)
    assert not recovery.page(asked, PRIVATE, [message(1)], 5.0)


def test_without_a_gap_no_answer_is_taken():
    recovery, said = alone()
    asked = FetchGap(0.0)
    assert not recovery.is_about(asked)
    assert not recovery.dialogs(asked, [PRIVATE], SINCE)
    assert not recovery.page(asked, PRIVATE, [message(1)], 5.0)
    assert not recovery.filled(asked, PRIVATE)
    assert not recovery.failed(asked, None, OSError())
    assert said == []


# --- what a recovered message says ----------------------------------------------------------------


def test_a_recovered_message_takes_room_by_its_body():
    recovery, said = alone()
    asked = opened(recovery, said)
    recovery.page(asked, PRIVATE, [message(12), message(13, body=None)], 5.0)
    assert [(each.size, each.takes_room) for each in said] == [(302, True), (300, True)]


def test_a_message_that_says_too_little_for_a_key_is_recovered_each_time():
    recovery, said = alone()
    asked = opened(recovery, said)
    recovery.page(asked, PRIVATE, [message(1, id=None, created_at=None)] * 2, 5.0)
    assert [(each.key, each.conversation) for each in said] == [(None, ADDRESSES.user(DAVE))] * 2


def test_the_dialog_of_a_recovered_message_is_the_one_of_a_live_message():
    public = DialogRef.room("hikers", DialogType.PUBLIC)
    unplaced = DialogRef(id="p", type=DialogType.PRIVATE)
    recovery, said = alone(known=public)
    asked = opened(recovery, said, ROOM, unplaced)
    recovery.page(asked, ROOM, [message(1)], 5.0)
    recovery.page(asked, unplaced, [message(2), message(3, sender_id=ALICE)], 5.0)
    peer = DialogRef.private(DAVE, "p")
    assert [each.event.dialog for each in said] == [public, peer, peer]
    assert [each.event.own for each in said] == [False, False, True]


def test_a_message_without_a_sender_and_an_id_has_no_key_in_history():
    unplaced = DialogRef(id="p", type=DialogType.PRIVATE)
    place = ADDRESSES.user(DAVE)
    for dialog in (PRIVATE, unplaced):
        whole = key_in_history(dialog, message(1), ADDRESSES, ALICE)
        assert whole is not None and whole[:2] == (place, DAVE)
        for lack in ({"id": None}, {"sender_id": None}):
            found = message(1, **lack)
            assert key_in_history(dialog, found, ADDRESSES, ALICE) is None
    own = Message(id="m1", sender_id=ALICE)
    assert key_in_history(unplaced, own, ADDRESSES, ALICE) is None


def test_only_messages_that_ask_for_it_are_marked_unless_all_are():
    for wanted, expected in ((True, ["m1"]), ("all", ["m1", "m2"])):
        recovery, said = alone(auto_delivered=wanted)
        asked = opened(recovery, said)
        found = [message(1), message(2, markable=False)]
        found += [message(3, id=None), message(4, sender_id=None)]
        recovery.page(asked, PRIVATE, found, 5.0)
        assert recovery.awaits_commit
        assert [each.id for each in recovery.committed(rejected=False)] == expected
        assert not recovery.awaits_commit


# --- the cursor and what is remembered for it -----------------------------------------------------


def test_keys_are_remembered_for_twice_the_overlap_before_the_cursor():
    recovery, said = alone(gap_overlap=30.0)
    seen = recovery._seen_messages
    recovery.start_at(1000.0)
    assert seen.keep_since == 940.0
    recovery.begin()
    recovery.ask()
    recovery.received_until(2000.0)
    recovery.committed(rejected=False)
    assert (recovery.cursor, seen.keep_since) == (1000.0, 940.0)
    recovery.dialogs(said.pop(), [], SINCE)
    assert (recovery.cursor, seen.keep_since) == (2000.0, 1940.0)
    recovery.received_until(3000.0)
    recovery.committed(rejected=False)
    assert seen.keep_since == 2940.0
    recovery.forget()
    assert (recovery.cursor, seen.keep_since) == (None, math.inf)


def test_without_recovery_no_key_is_remembered_for_it():
    recovery, _ = alone(enabled=False)
    recovery.start_at(1000.0)
    assert recovery._seen_messages.keep_since == math.inf


def test_the_cursor_never_goes_back():
    recovery, _ = alone()
    recovery.start_at(1000.0)
    recovery.received_until(500.0)
    recovery.committed(rejected=False)
    assert recovery.cursor == 1000.0


def test_a_question_of_the_last_session_moves_no_cursor():
    recovery, said = alone()
    recovery.start_at(1000.0)
    recovery.received_until(2000.0)
    recovery.begin()
    recovery.ask()
    recovery.committed(rejected=False)
    recovery.dialogs(said.pop(), [], SINCE)
    assert recovery.cursor == 1000.0


def test_a_gap_is_given_up_only_beyond_the_bound_and_while_nothing_waits(monkeypatch):
    monkeypatch.setattr("connectycube.chat.protocol.recovery._MOST_KEPT", 2)
    for keys, waits, is_open in ((2, False, True), (3, True, True), (3, False, False)):
        recovery, said = alone()
        asked = opened(recovery, said)
        if not waits:
            recovery.failing(asked, None, OSError())
        for number in range(keys):
            recovery._seen_messages.add(live(number).key, 0.0)
        recovery.received_until(5.0)
        recovery.committed(rejected=False)
        assert recovery.is_open is is_open


def test_recovery_drops_only_held_events_that_the_next_link_repeats():
    recovery, said = alone()
    asked = opened(recovery, said)
    earlier = live(1)
    earlier.sequence = 9  # of the session before
    recovery.hold(earlier)
    recovery.begin()
    recovery.ask()
    asked = said.pop()
    before, after = live(2), live(3)
    before.sequence, after.sequence = 8, 9
    assert recovery.hold(before) and recovery.hold(after)
    assert recovery.discard(lambda sequence: sequence < 9) == [after]
    recovery.failed(asked, None, OSError())
    assert said[1:] == [earlier, before]
    assert all(delivery.sequence is None and delivery.takes_room for delivery in said[1:])


@given(
    history=st.lists(st.integers(1, 30), max_size=20),
    arrivals=st.lists(st.integers(1, 30), unique=True, max_size=20),
    page_size=st.integers(1, 5),
    when=st.integers(0, 6),
)
def test_whatever_history_and_the_server_bring_each_message_comes_once(
    history, arrivals, page_size, when
):
    """History repeats some, and some arrive while it is read: before page number ``when``."""
    recovery, said = alone()
    asked = opened(recovery, said)
    pages = [history[i : i + page_size] for i in range(0, len(history), page_size)]
    seen = recovery._seen_messages
    arrived: list[int] = []
    for place in range(max(len(pages), when + 1)):
        if place == when:
            for number in arrivals:
                delivery = live(number, sender_id=5_000 + number)
                assert delivery.key is not None
                if seen.add(delivery.key):
                    arrived.append(number)
                    assert recovery.hold(delivery)
        if place < len(pages):
            recovery.page(
                asked, PRIVATE, [message(n, sender_id=5_000 + n) for n in pages[place]], 5.0
            )
    recovery.filled(asked, PRIVATE)
    once = list(dict.fromkeys(history))
    behind = [number for number in arrived if number not in history or number not in once]
    assert sorted(numbers(said)) == sorted({*history, *arrivals})
    # What history has comes in its order, unless it was read before it arrived.
    in_history = [number for number in numbers(said) if number in once]
    assert [n for n in once if n in in_history] == in_history or when > 0
    assert numbers(said)[len(numbers(said)) - len(behind) :] == behind
