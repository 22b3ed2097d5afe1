"""Relogin and close in every state, and full queues, against a simulated server."""

from __future__ import annotations

import pytest

from connectycube.chat.protocol.core import Core
from connectycube.chat.protocol.encoding import encode_chat_state
from connectycube.config import ReconnectPolicy, Timeouts
from connectycube.errors import (
    ForkedError,
    NotConnectedError,
    OutcomeUnknownError,
    QueueOverflowError,
    StanzaError,
)
from connectycube.models import ChatState, Message
from tests.support.simulation.simulated import (
    ANSWERED,
    BOB,
    BOB_JID,
    SM,
    Server,
    config,
    refusal,
    text_message,
)
from tests.support.simulation.world import World, closed_reason, ids, ready

S = ChatState


def world_in(state: ChatState) -> World:
    """A world whose core is in that state."""
    if state is S.IDLE:
        return World()
    if state in (S.CONNECTING, S.AUTHENTICATED):
        server = Server()
        server.replies["auth" if state is S.CONNECTING else "bind"] = ""
        world = World(server)
        world.login()
    else:
        world = ready()
        if state is S.CLOSED:
            world.close()
        elif state is S.CLOSING:
            world.server.answers_questions = False
            world.send(1)
            world.close()
        elif state is not S.READY:
            world.cut()
            if state is S.RECONNECTING:
                world.server.replies["auth"] = ""
            if state in (S.RECONNECTING, S.RESUMED):
                world.advance(5)
    assert world.core.state is state
    return world


LASTING = [state for state in S if state is not S.AUTHENTICATION_FAILURE]


# --- relogin --------------------


@pytest.mark.parametrize("state", LASTING, ids=lambda state: state.value)
def test_relogin_attempts_at_once_in_closed_and_force_closed_alone(
    state: ChatState,
) -> None:
    world = world_in(state)
    before = len(world.states)
    world.core.relogin(world.now)
    world.after()
    world.settle()
    new = world.states[before:]
    if state is S.CLOSED:
        assert new == [S.RECONNECTING, S.AUTHENTICATED, S.READY]
    elif state is S.FORCE_CLOSED:
        assert new == [S.RECONNECTING, S.AUTHENTICATED, S.RESUMED]
    else:
        assert new == []


def test_relogin_after_the_last_attempt_begins_the_count_anew() -> None:
    world = ready(reconnect=ReconnectPolicy(max_attempts=2))
    world.reachable = False
    world.cut()
    world.advance(1000)
    assert closed_reason(world) is not None
    world.core.relogin(world.now)
    world.after()
    assert world.core.closed_reason is None
    world.settle()
    assert world.core.state is S.FORCE_CLOSED, "a failed relogin goes on by the policy"
    world.advance(1000)
    assert world.states.count(S.RECONNECTING) == 2 + 1 + 2


# --- close ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", LASTING, ids=lambda state: state.value)
def test_close_ends_closed_in_every_state_within_its_deadline(state: ChatState) -> None:
    world = world_in(state)
    world.close(timeout=5)
    if state is S.IDLE:
        assert world.core.state is S.IDLE
        return
    world.advance(5)
    assert closed_reason(world) is None
    assert world.states[-2:] == [S.CLOSING, S.CLOSED]
    world.advance(1000)
    assert world.states[-1] is S.CLOSED


def test_close_waits_for_acknowledgements_and_then_ends_the_stream() -> None:
    world = ready()
    world.server.answers_questions = False
    submission = world.send(1)
    world.close()
    assert world.core.state is S.CLOSING and world.outcome(submission) is None
    world.server.acknowledge()
    world.settle()
    assert world.outcome(submission) == "sent"
    assert world.core.state is S.CLOSED
    assert world.server.session is None, "the server was told"


def test_close_stops_waiting_before_its_deadline_and_ends_the_stream() -> None:
    world = ready()
    world.server.answers_questions = False
    submission = world.send(1)
    world.close(timeout=5)
    world.advance(3.9)
    assert world.core.state is S.CLOSING
    world.advance(0.1)
    assert world.core.state is S.CLOSED
    assert world.server.session is None
    assert world.outcome(submission) is OutcomeUnknownError


def test_close_does_not_wait_for_a_server_that_does_not_answer_the_end() -> None:
    world = ready()
    world.close(settle=False)
    world.advance(0.9, settle=False)
    assert world.core.state is S.CLOSING
    world.advance(0.1, settle=False)
    assert world.core.state is S.CLOSED


def test_nothing_is_written_behind_the_end_of_the_stream() -> None:
    timeouts = Timeouts(liveness_interval=0.5, liveness_answer=0.3)
    world = ready(timeouts=timeouts)
    world.server.answers_questions = False
    world.settle()
    world.send(1)  # asks for its acknowledgement, which the second one is written behind
    world.send(2)
    world.settle()
    world.core.close(world.now, world.now + 1.1)
    world.after()
    world.advance(0.2, settle=False)
    assert world.link is not None
    written = bytes(world.link.to_server)
    assert written.endswith(b"</stream:stream>")
    world.server.write(f"<a xmlns='{SM}' h='4'/>")  # all but the second message
    world.server.ask()
    world.server.send(text_message(1))
    world.server.send("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    world.downstream()
    world.advance(0.6, settle=False)
    assert world.link is not None and bytes(world.link.to_server) == written


def test_what_arrives_while_closing_is_still_answered_with_delivered() -> None:
    world = ready()
    world.server.answers_questions = False
    world.send(1)
    world.close()
    world.server.send(text_message(9))
    world.settle()
    assert world.core.state is S.CLOSING and world.received == [9]
    assert world.server.delivered() == ids(9)
    world.server.acknowledge()
    world.settle()
    assert world.core.state is S.CLOSED and world.sent == ids(1)


def test_what_arrives_behind_our_end_of_the_stream_is_left_to_the_server() -> None:
    world = ready()
    world.close(settle=False)
    session = world.server.session
    world.server.send(text_message(9))
    world.settle()
    assert session is not None and session.acknowledged == ANSWERED, "so it comes again"
    assert world.core.state is S.CLOSED


@pytest.mark.parametrize("state", [S.IDLE, S.CLOSING, S.CLOSED], ids=lambda state: state.value)
def test_nothing_is_accepted_where_nothing_can_flow_again(state: ChatState) -> None:
    world = world_in(state)
    for call in (
        lambda: world.send(5),
        lambda: world.core.open_session.send_marker(
            "received", Message(id="m", sender_id=BOB), world.now
        ),
        lambda: world.core.open_session.send_ephemeral(encode_chat_state("composing", BOB_JID)),
        lambda: world.request("waiter"),
    ):
        with pytest.raises(NotConnectedError, match=state.value):
            call()


@pytest.mark.parametrize(
    "state", [S.CONNECTING, S.FORCE_CLOSED, S.RECONNECTING], ids=lambda s: s.value
)
def test_messages_are_accepted_and_requests_refused_while_the_link_is_down(
    state: ChatState,
) -> None:
    world = world_in(state)
    submission = world.send(5)
    assert world.outcome(submission) is None
    with pytest.raises(NotConnectedError, match=f"is {state.value}, not ready"):
        world.request("waiter")


@pytest.mark.parametrize("state", LASTING, ids=lambda state: state.value)
def test_abort_ends_closed_at_once(state: ChatState) -> None:
    world = world_in(state)
    submission = world.send(5) if world.core.is_open else None
    reason = RuntimeError("defect")
    world.core.abort(reason)
    world.after()
    if state is S.IDLE:
        assert world.core.state is S.IDLE
        return
    assert world.core.state is S.CLOSED
    if state is not S.CLOSED:
        assert closed_reason(world) is reason
    assert submission is None or world.outcome(submission) is not None


def test_a_closed_connection_can_log_in_again_as_the_same_or_another_user() -> None:
    world = ready()
    world.close()
    world.login()
    assert world.core.state is S.READY
    world.send(1)
    world.settle()
    assert world.sent == ids(1)


def test_reset_forgets_who_was_logged_in() -> None:
    world = ready()
    world.close()
    world.core.reset()
    assert world.core.state is S.IDLE and world.core.credentials is None
    world.login()
    assert world.core.state is S.READY


def test_a_forks_core_is_closed_from_the_beginning() -> None:
    core = Core(config(), new_id=lambda: "x", random=lambda: 0.5)
    reason = ForkedError("fork")
    core.start_closed(reason)
    assert core.state is S.CLOSED and core.closed_reason is reason
    with pytest.raises(NotConnectedError):
        _ = core.open_session


# --- full queues ----------------------------------------------------------------------------------


def test_a_refused_stanza_is_not_acknowledged_and_comes_again() -> None:
    world = ready()
    world.room = 3
    for number in range(1, 8):
        world.server.send(text_message(number))
    world.server.ask()
    world.settle()
    assert world.received == [1, 2, 3]
    assert world.states[-1] is S.FORCE_CLOSED
    assert isinstance(world.events("state_changed")[-1].reason, QueueOverflowError)
    world.advance(1000)
    assert world.states[-1] is S.FORCE_CLOSED, "the reconnection waits for the receivers"
    assert world.server.delivered() == []
    world.room = 100
    world.drain()
    world.advance(0)
    assert world.core.state is S.RESUMED
    assert world.received == [1, 2, 3, 4, 5, 6, 7]
    assert world.server.delivered() == ids(1, 2, 3, 4, 5, 6, 7)
    assert world.core.counters.repeated == 0
    world.close()


def test_a_queue_that_is_full_over_and_over_loses_and_repeats_nothing() -> None:
    world = ready(reconnect=ReconnectPolicy(max_attempts=0))
    world.room = 2
    for number in range(1, 12):
        world.server.send(text_message(number))
    for _ in range(20):
        world.settle()
        if world.core.is_ready:
            break
        world.drain()
        world.advance(0)
    world.settle()
    assert world.received == list(range(1, 12))
    world.server.ask()
    world.settle()
    assert world.server.session is not None and not world.server.session.unacknowledged


def test_a_full_queue_may_be_closed() -> None:
    world = ready()
    world.room = 0
    world.server.send(text_message(1))
    world.settle()
    world.close()
    assert world.core.state is S.CLOSED and world.received == []


def test_whoever_needs_the_link_gets_it_deaf_while_the_queue_is_full() -> None:
    world = ready()
    world.room = 2
    for number in range(1, 6):
        world.server.send(text_message(number))
    world.settle()
    assert world.states[-1] is S.FORCE_CLOSED
    world.core.hold_link(world.now)
    world.after()
    world.settle()
    assert world.core.state is S.RESUMED
    world.room = 3  # one receiver has returned, which makes room behind the refused ones
    world.server.send(text_message(6))
    world.request("waiter")
    world.send(1)
    world.settle()
    assert [answer.waiter for answer in world.answers] == ["waiter"]
    assert world.sent == ids(1)
    assert world.received == [1, 2]
    world.core.release_link()
    world.room = 100
    world.drain()
    world.advance(0)
    assert world.core.is_ready
    assert world.received == [1, 2, 3, 4, 5, 6], "in order, whenever there was room"
    assert world.server.delivered() == ids(1, 2, 3, 4, 5, 6)
    assert len(world.answers) == 1


def test_a_refusal_on_a_deaf_link_settles_the_handle_before_its_event() -> None:
    world = ready()
    world.room = 0
    world.server.send(text_message(1))
    world.settle()
    world.core.hold_link(world.now)
    world.after()
    world.settle()
    world.server.answers_questions = False
    submission = world.send(1)
    world.settle()
    world.server.send(refusal(1))
    world.settle()
    assert world.outcome(submission) is StanzaError
    assert world.events("message_failed") == []
    world.core.release_link()
    world.server.answers_questions, world.room = True, None
    world.drain()
    world.advance(0)
    assert world.received == [1]
    assert [failure.message_id for failure in world.events("message_failed")] == ids(1)
    assert world.outcome(submission) is StanzaError and world.sent == []
