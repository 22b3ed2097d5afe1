"""Typing: told once in five seconds, and ended by the message of the user who typed."""

from __future__ import annotations

import pytest

from connectycube.chat.protocol.encoding import encode_chat_state
from connectycube.chat.protocol.outbox import Submission
from connectycube.models import DialogRef
from tests.support.simulation.simulated import ADDRESSES, ALICE, BOB, BOB_JID, text_message
from tests.support.simulation.world import World, ready

COMPOSING = encode_chat_state("composing", BOB_JID)
PAUSED = encode_chat_state("paused", BOB_JID)
STATES = "http://jabber.org/protocol/chatstates"


def type_to_bob(world: World, stop_after: float | None = None) -> None:
    ends = None if stop_after is None else world.now + stop_after
    world.core.open_session.send_typing(BOB_JID, COMPOSING, PAUSED, ends, world.now)
    world.after()
    world.settle()


def said(world: World) -> list[str]:
    """The chat states and messages that the server got, in order."""
    names = [stanza[0].tag.rpartition("}")[2] for stanza in world.server.named("message")]
    return ["message" if name == "body" else name for name in names]


def test_typing_is_sent_at_most_once_in_five_seconds() -> None:
    world = ready()
    for _ in range(12):
        type_to_bob(world)
        world.advance(0.9)
    assert said(world) == ["composing"] * 2 and world.core.counters.ephemeral_dropped == 0


def test_each_call_puts_the_end_of_typing_off() -> None:
    world = ready()
    for _ in range(6):
        type_to_bob(world, stop_after=2.0)
        world.advance(1.0)
    assert said(world) == ["composing", "composing"]
    world.advance(1.1)
    assert said(world) == ["composing", "composing", "paused"]
    type_to_bob(world)  # the others believe that it has stopped
    assert said(world)[3:] == ["composing"]


def test_typing_goes_on_at_once_after_a_stop_or_a_message() -> None:
    world = ready()
    type_to_bob(world)
    world.core.open_session.stop_typing(BOB_JID, PAUSED)
    type_to_bob(world)
    world.send(1)
    type_to_bob(world)
    assert said(world) == ["composing", "paused", "composing", "message", "composing"]


def test_a_message_takes_the_place_of_the_planned_end_of_typing() -> None:
    world = ready()
    type_to_bob(world, stop_after=0.5)
    world.send(1)
    world.advance(1.0)
    assert said(world) == ["composing", "message"]
    type_to_bob(world, stop_after=0.5)
    world.advance(1.0)
    assert said(world) == ["composing", "message", "composing", "paused"]


def test_an_edit_ends_no_typing() -> None:
    world = ready()
    type_to_bob(world, stop_after=0.5)
    edit = Submission("an-edit", BOB_JID, DialogRef.private(BOB))
    world.core.open_session.submit(
        edit, b'<message id="an-edit"><body>x</body></message>', world.now
    )
    world.after()
    type_to_bob(world, stop_after=0.5)
    world.advance(1.0)
    assert [name for name in said(world) if name != "message"] == ["composing", "paused"]


def test_typing_that_was_dropped_counts_for_nothing() -> None:
    world = ready()
    world.cut()
    world.core.open_session.send_typing(BOB_JID, COMPOSING, PAUSED, None, world.now)
    assert not world.core.session._sent_typing.is_known(BOB_JID, world.now)


def test_many_dialogs_are_no_leak() -> None:
    world = ready()
    session = world.core.open_session
    for number in range(3_000):
        session.send_typing(ADDRESSES.user(number), COMPOSING, PAUSED, None, world.now)
    assert len(session._sent_typing.told) == 1_000


# --- of others ------------------------------------------------------------------------------------


def typing(state: str, sender: int = BOB) -> str:
    jid = ADDRESSES.user(sender)
    return f"<message from='{jid}/x' type='chat'><{state} xmlns='{STATES}'/></message>"


def signals(world: World) -> list[str]:
    ours = ("typing_started", "typing_stopped", "message_received", "own_message_received")
    return [d.signal for d in world.deliveries if d.signal in ours]


@pytest.mark.parametrize("expires", [None, 30.0])
def test_a_message_ends_the_typing_of_its_sender_once(expires: float | None) -> None:
    world = ready(typing_expires=expires)
    for stanza in (typing("composing"), text_message(1), text_message(2)):
        world.server.send(stanza)
        world.settle()
    world.advance(100.0)
    assert signals(world) == [
        *("typing_started", "typing_stopped", "message_received", "message_received")
    ]
    stopped = world.events("typing_stopped")[0]
    assert stopped == world.events("typing_started")[0] and stopped.user_id == BOB


def test_a_message_of_another_ends_no_typing() -> None:
    world = ready()
    world.server.send(typing("composing"))
    world.server.send(text_message(1, sender=1003))
    world.server.send(text_message(2, sender=ALICE, to=BOB))
    world.settle()
    assert signals(world) == ["typing_started", "message_received", "own_message_received"]


@pytest.mark.parametrize("end", ["paused", "the timer"])
def test_typing_that_has_ended_is_not_ended_by_a_message(end: str) -> None:
    world = ready(typing_expires=10.0)
    world.server.send(typing("composing"))
    world.settle()
    if end == "paused":
        world.server.send(typing("paused"))
    world.advance(20.0)
    world.server.send(text_message(1))
    world.settle()
    assert signals(world) == ["typing_started", "typing_stopped", "message_received"]
