"""The core that goes on where another process ended, and what it says of messages that outlive it."""

from __future__ import annotations

import pytest

from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.encoding import encode_message
from connectycube.chat.protocol.outbox import Submission
from connectycube.errors import (
    DurableStoreError,
    NotConnectedError,
    OutcomeUnknownError,
    SendDeferredError,
)
from connectycube.models import ChatState, DialogRef, Message
from connectycube.models._json import EPOCH
from tests.support.inside import session_of
from tests.support.simulation.service import Service
from tests.support.simulation.simulated import ADDRESSES, ALICE, BOB, Server, text_message
from tests.support.simulation.world import World, closed_reason, ids, ready

TO = ADDRESSES.user(BOB)
FULL = DurableStoreError("the disk is full", path="bot.db")


def kept(number: int, *, durable: bool = True) -> tuple[Submission, bytes]:
    message = Message(id=f"{number:024x}", body=str(number), date_sent=EPOCH)
    submission = Submission(message.id, TO, DialogRef.private(BOB), message, durable=durable)
    return submission, encode_message(message, TO)


def restored(world: World, *numbers: int, seen: tuple = (), **options: bool) -> list[Submission]:
    """Log in with an outbox that another process left."""
    outbox = [kept(number, **options) for number in numbers]
    world.login(settle=False)
    world.core.begin_from(seen, outbox, None, world.now)
    world.after()
    return [submission for submission, _ in outbox]


def test_history_is_asked_at_once_which_of_them_had_arrived():
    world = World()
    submissions = restored(world, 1, 2)
    assert [s.id for lookup in world.lookups for s in lookup.submissions] == ids(1, 2)
    assert [world.outcome(s) for s in submissions] == [None, None]


@pytest.mark.parametrize("answered", ["before", "after"])
def test_what_history_lacks_is_sent_in_order_before_anything_newer(answered):
    world = World()
    restored(world, 1, 2, 3)
    world.looks_up = lambda lookup: frozenset(ids(2))
    if answered == "before":
        world.answer_lookups()
    world.send(4)
    world.settle()
    world.answer_lookups()
    world.settle()
    assert list(world.server.messages()) == ids(1, 3, 4)
    assert world.sent == ids(2, 1, 3, 4)


def test_what_cannot_be_looked_up_is_deferred_and_has_not_failed():
    world = World()
    submission = restored(world, 1)[0]
    world.looks_up = lambda lookup: None
    world.settle()
    world.answer_lookups()
    assert world.outcome(submission) is SendDeferredError
    assert world.events("message_failed") == []


def test_what_cannot_be_looked_up_and_is_not_kept_is_unknown():
    world = World()
    submission = restored(world, 1, durable=False)[0]
    world.looks_up = lambda lookup: None
    world.answer_lookups()
    assert world.outcome(submission) is OutcomeUnknownError
    assert [failure.message_id for failure in world.events("message_failed")] == ids(1)


def test_a_login_that_fails_defers_them():
    world = World()
    submission = restored(world, 1)[0]
    world.core.abort(None)
    world.after()
    assert world.outcome(submission) is SendDeferredError


@pytest.mark.parametrize("written", [True, False])
def test_a_logout_defers_what_is_kept_and_has_no_outcome(written):
    world = ready()
    if not written:
        world.cut()
    durable, other = kept(1)[0], world.send(2)
    world.core.open_session.submit(durable, kept(1)[1], world.now)
    world.after()
    world.core.abort(None)
    world.after()
    assert world.outcome(durable) is SendDeferredError
    assert world.outcome(other) is (OutcomeUnknownError if written else NotConnectedError)
    assert [failure.message_id for failure in world.events("message_failed")] == ids(2)


def test_messages_that_another_process_knew_are_no_news():
    world = World()
    restored(world, seen=((TO, BOB, ids(1)[0]),))
    world.settle()
    assert world.core.state is ChatState.READY
    for number in (1, 2):
        world.server.send(text_message(number))
    world.settle()
    assert world.received == [2]


def test_a_restored_group_message_enters_its_room_and_knows_its_echo():
    world = World()
    room = ADDRESSES.room("d")
    message = Message(id=ids(1)[0], body="1", date_sent=EPOCH)
    submission = Submission(message.id, room, DialogRef.room("d"), message, durable=True)
    world.login(settle=False)
    world.core.begin_from(
        (), [(submission, encode_message(message, room, "groupchat"))], None, world.now
    )
    world.after()
    world.settle()
    world.answer_lookups()
    world.settle()
    assert world.outcome(submission) == "sent"
    assert world.received == []
    assert session_of(world.core)._inbound._seen_messages.add((room, ALICE, ids(1)[0])) is False


def test_recovery_takes_the_cursor_of_another_process():
    world = World(Server())
    world.login(settle=False)
    world.core.begin_from((), (), world.now - 500, world.now)
    assert world.core.session.recovery.cursor == world.now - 500


def test_a_gap_repeats_no_message_of_the_many_another_process_had_seen():
    seen = [(TO, BOB, message_id) for message_id in ids(*range(1, 20_001))]
    world = World(Server(), history=Service([ALICE], lambda: 0.0))
    world.login(settle=False)
    world.core.begin_from(seen, (), world.now - 1, world.now)
    world.settle()
    for number in (1, 20_000, 20_001):
        world.server.send(text_message(number))
    world.settle()
    world.fill_gaps()
    assert world.received == [20_001]


def lose_what_arrives(world: World) -> None:
    """Let a message arrive which the driver cannot take over."""
    link = world.link
    assert link is not None
    world.server.send(text_message(1))
    world.core.receive(bytes(link.to_client), world.now)
    link.to_client.clear()
    lost = [
        o
        for o in world.core.session.take_outputs()
        if isinstance(o, Delivery) and o.key is not None
    ]
    assert len(lost) == 1
    world.core.fail(lost, FULL)
    world.after()


def test_a_message_not_taken_over_closes_the_connection_unacknowledged():
    world = ready()
    session = world.server.session
    lose_what_arrives(world)
    assert closed_reason(world) is FULL
    assert any("<body>1</body>" in stanza for stanza in session.unacknowledged)
    assert world.received == []


def test_it_is_news_when_it_comes_again_and_delivered_is_said_then():
    world = ready()
    lose_what_arrives(world)
    world.login()
    assert world.received == [1]
    assert world.server.delivered() == ids(1)
