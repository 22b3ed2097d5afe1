"""States, attempts, deadlines and ends of the connection, against a simulated server."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

import pytest

from connectycube.chat.protocol.core import PERMANENT, Core
from connectycube.chat.protocol.messages import encode_chat_state
from connectycube.chat.protocol.states import TRANSITIONS
from connectycube.chat.protocol.stream import Credentials
from connectycube.config import Limits, ReconnectPolicy, Timeouts
from connectycube.errors import (
    AuthenticationError,
    ConnectionLostError,
    ConnectTimeoutError,
    ForkedError,
    LivenessError,
    LoginTimeoutError,
    NotConnectedError,
    OutcomeUnknownError,
    QueueOverflowError,
    StanzaError,
    StreamError,
    StreamProtocolError,
)
from connectycube.models import ChatState, Message

from .simulated import ALICE, BOB, PASSWORD, SASL, SM, Server, config, text_message
from .test_session import BOB_JID, ids, ready, reconnect, refusal
from .world import World

S = ChatState
LOGIN = [S.CONNECTING, S.AUTHENTICATED, S.READY]
STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"


def stream_error(condition: str) -> str:
    return f"<stream:error><{condition} xmlns='{STREAMS}'/></stream:error></stream:stream>"


def closed_reason(world: World) -> Any:
    assert world.core.state is S.CLOSED
    assert world.states[-1] is S.CLOSED and world.core.next_deadline is None
    assert not world.core.wants_link and world.link is None
    return world.core.closed_reason


# --- login ----------------------------------------------------------------------------------------


def test_login_passes_through_the_guides_states() -> None:
    world = World()
    assert world.core.state is S.IDLE and not world.core.wants_link
    world.login()
    assert world.states == LOGIN
    assert world.core.jid == "1001-7@chat.example/laptop"
    assert world.core.is_ready and world.core.is_open
    assert [stanza.attrib for stanza in world.server.named("presence")] == [{}]


@pytest.mark.parametrize(
    ("server", "managed", "resumable"),
    [("managed", True, True), ("not resumable", True, False), ("unmanaged", False, False)],
)
def test_login_works_with_and_without_stream_management(
    server: str, managed: bool, resumable: bool
) -> None:
    simulated = Server()
    simulated.managed, simulated.resumable = managed, resumable
    world = ready(simulated)
    world.send(1)
    world.settle()
    assert world.sent == ids(1)
    world.cut()
    reconnect(world)
    assert world.core.state is (S.RESUMED if resumable else S.READY)


def test_a_wrong_password_ends_closed_and_is_not_tried_again() -> None:
    world = World()
    world.login(password="wrong")
    assert world.states == [S.CONNECTING, S.AUTHENTICATION_FAILURE, S.CLOSED]
    reason = closed_reason(world)
    assert isinstance(reason, AuthenticationError) and reason.condition == "not-authorized"
    world.advance(1000)
    assert world.server.links == 1


def test_a_refused_password_at_a_reconnection_ends_closed() -> None:
    world = ready()
    submission = world.send(1)
    world.cut()
    world.core.credentials = Credentials(ALICE, "expired", "laptop")
    reconnect(world)
    assert world.states[-3:] == [S.RECONNECTING, S.AUTHENTICATION_FAILURE, S.CLOSED]
    assert isinstance(closed_reason(world), AuthenticationError)
    assert world.outcome(submission) is OutcomeUnknownError


@pytest.mark.parametrize("silent", ["header", "features", "auth", "bind", "enable"])
def test_a_login_that_meets_silence_ends_at_its_deadline(silent: str) -> None:
    server = Server()
    server.replies[silent] = ""
    if silent == "header":
        server.replies["features"] = ""
    world = World(server)
    world.login()
    world.advance(29.9)
    assert world.core.state in (S.CONNECTING, S.AUTHENTICATED)
    world.advance(0.1)
    assert isinstance(closed_reason(world), LoginTimeoutError)
    assert world.states[-2:] == [S.FORCE_CLOSED, S.CLOSED]


@pytest.mark.parametrize("silent", ["auth", "bind", "resume"])
def test_a_reconnection_that_meets_silence_ends_at_its_deadline_and_goes_on(silent: str) -> None:
    world = ready()
    world.cut()
    world.server.replies[silent] = ""
    if silent == "bind":
        world.server.forget_sessions()
    world.advance(5)
    assert world.core.state in (S.RECONNECTING, S.AUTHENTICATED)
    world.advance(29.9)
    assert world.core.state in (S.RECONNECTING, S.AUTHENTICATED)
    world.advance(0.1)
    assert world.states[-1] is S.FORCE_CLOSED
    assert isinstance(world.events("state_changed")[-1].reason, ConnectTimeoutError)
    world.server.replies.clear()
    world.advance(60)
    assert world.core.is_ready


def test_a_first_login_that_fails_is_not_tried_again() -> None:
    world = World()
    world.reachable = False
    world.login()
    assert world.states == [S.CONNECTING, S.FORCE_CLOSED, S.CLOSED]
    assert isinstance(closed_reason(world), ConnectionLostError)
    world.reachable = True
    world.login()
    assert world.core.state is S.READY


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ({"features": "<stream:features/>"}, AuthenticationError),
        ({"auth": f"<failure xmlns='{SASL}'><temporary-auth-failure/></failure>"}, StreamError),
        ({"auth": "</stream:stream>"}, ConnectionLostError),
        ({"bind": "<iq type='error' id='{id}'/>"}, StreamError),
        ({"enable": f"<r xmlns='{SM}'/>"}, StreamProtocolError),
        ({"header": "HTTP/1.1 400 Bad Request\r\n\r\n"}, StreamProtocolError),
        ({"header": "<!DOCTYPE x>"}, StreamProtocolError),
        ({"features": stream_error("host-unknown")}, StreamError),
    ],
)
def test_a_login_that_the_server_ends_says_why(
    reply: dict[str, str], error: type[Exception]
) -> None:
    server = Server()
    server.replies.update(reply)
    world = World(server)
    world.login()
    assert type(closed_reason(world)) is error


# --- liveness -------------------------------------------------------------------------------------


def test_a_silent_link_is_asked_after_the_interval_and_kept_while_it_answers() -> None:
    world = ready()
    before = world.server.questions
    world.advance(29.9)
    assert world.server.questions == before
    world.advance(0.1)
    assert world.server.questions == before + 1
    world.advance(30 * 100)
    assert world.server.questions == before + 101
    assert world.states == LOGIN


@pytest.mark.parametrize("managed", [True, False])
def test_a_link_that_does_not_answer_is_dead_whatever_else_arrives(managed: bool) -> None:
    server = Server()
    server.managed = managed
    world = ready(server)
    world.settle()
    world.server.answers_questions = False
    world.advance(30)
    for second in range(14):
        world.advance(1)
        server.write(" ")
        server.send(text_message(second))
        world.settle()
    assert len(world.received) == 14 and world.core.is_ready
    world.advance(1)
    assert world.states[-1] is S.FORCE_CLOSED
    reason = world.events("state_changed")[-1].reason
    assert isinstance(reason, LivenessError) and isinstance(reason, TimeoutError)
    assert str(reason) == "the chat server did not answer for 15 seconds"


def test_an_unanswered_message_is_a_liveness_request_too() -> None:
    world = ready()
    world.advance(1)
    world.server.answers_questions = False
    world.send(1)
    world.advance(14.9)
    assert world.core.is_ready
    world.advance(0.1)
    assert world.states[-1] is S.FORCE_CLOSED


# --- reconnection ---------------------------------------------------------------------------------


def test_a_lost_link_is_made_again_and_the_session_resumed() -> None:
    world = ready()
    world.cut()
    assert world.states[3:] == [S.FORCE_CLOSED]
    world.advance(4.9)
    assert world.states[3:] == [S.FORCE_CLOSED]
    world.advance(0.1)
    assert world.states[3:] == [S.FORCE_CLOSED, S.RECONNECTING, S.AUTHENTICATED, S.RESUMED]


@pytest.mark.parametrize(
    "end",
    [
        "</stream:stream>",
        stream_error("system-shutdown"),
        stream_error("reset"),
        "<!-- x -->",
        "x",
        "<<",
    ],
)
def test_any_end_that_is_not_ours_and_not_permanent_is_reconnected(end: str) -> None:
    world = ready()
    world.server.write(end)
    world.settle()
    assert world.states[-1] is S.FORCE_CLOSED
    assert world.events("state_changed")[-1].reason is not None
    world.advance(5)
    assert world.core.is_ready


@pytest.mark.parametrize("condition", sorted(PERMANENT))
def test_a_permanent_condition_ends_closed(condition: str) -> None:
    world = ready()
    world.server.write(stream_error(condition))
    world.settle()
    assert world.states[-2:] == [S.FORCE_CLOSED, S.CLOSED]
    reason = closed_reason(world)
    assert isinstance(reason, StreamError) and reason.condition == condition
    world.advance(1000)
    assert world.server.links == 1


@pytest.mark.parametrize(("attempts", "made"), [(0, 0), (1, 1), (5, 5)])
def test_the_last_attempt_ends_closed_with_the_reason(attempts: int, made: int) -> None:
    world = ready(reconnect=ReconnectPolicy(max_attempts=attempts))
    world.reachable = False
    world.cut()
    world.advance(1000)
    assert isinstance(closed_reason(world), ConnectionLostError)
    assert world.states.count(S.RECONNECTING) == made
    assert world.states[-2:] == [S.FORCE_CLOSED, S.CLOSED]


def test_without_a_bound_it_never_gives_up() -> None:
    world = ready(reconnect=ReconnectPolicy(max_attempts=None))
    world.reachable = False
    world.cut()
    world.advance(24 * 3600)
    assert world.core.state is S.FORCE_CLOSED
    assert world.states.count(S.RECONNECTING) >= 24 * 3600 // 60
    world.reachable = True
    world.advance(60)
    assert world.core.state is S.RESUMED


def test_a_server_that_accepts_and_drops_is_not_hammered() -> None:
    world = ready(reconnect=ReconnectPolicy(max_attempts=None))
    world.cut()
    for expected in (5, 10, 20, 40, 60, 60, 60):
        assert world.core.next_deadline == pytest.approx(world.now + expected)
        world.advance(expected)
        assert world.core.is_ready
        world.cut()


def test_a_link_that_held_for_a_while_starts_the_waits_anew() -> None:
    world = ready(reconnect=ReconnectPolicy(max_attempts=None))
    for _ in range(5):
        world.cut()
        assert world.core.next_deadline == pytest.approx(world.now + 5)
        world.advance(5 + 10)
        assert world.core.is_ready


def test_the_random_source_spreads_the_attempts() -> None:
    random = Random(5)
    waits = set()
    for _ in range(20):
        world = World(random=random.random)
        world.login()
        world.cut()
        assert world.core.next_deadline is not None
        waits.add(world.core.next_deadline - world.now)
    assert len(waits) == 20 and all(2.5 <= wait <= 7.5 for wait in waits)


def test_a_server_that_dislikes_our_resumption_gets_a_new_session() -> None:
    for reply in (
        "</stream:stream>",
        stream_error("undefined-condition"),
        f"<resumed xmlns='{SM}' h='x'/>",
    ):
        world = ready()
        world.send(1)
        world.settle()
        world.cut()
        world.server.replies["resume"] = reply
        world.advance(5)
        assert world.core.state is S.FORCE_CLOSED
        world.advance(10)
        assert world.core.state is S.READY


def test_a_server_that_closes_the_link_twice_over_our_resumption_gets_a_new_session() -> None:
    world = ready()
    world.server.replies["resume"] = ""
    world.cut()
    for _ in range(2):
        reconnect(world)
        assert world.core.state is S.AUTHENTICATED
        world.cut()
    reconnect(world)
    assert world.core.state is S.READY


# --- relogin --------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("state", LASTING, ids=lambda state: state.value)
def test_relogin_attempts_at_once_where_nothing_goes_on_and_changes_nothing_elsewhere(
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


def test_close_waits_for_acknowledgements_then_ends_the_stream_and_waits_for_the_servers_end() -> (
    None
):
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


def test_close_gives_up_waiting_before_its_deadline_and_says_goodbye_all_the_same() -> None:
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
    world.server.write(f"<a xmlns='{SM}' h='2'/>")  # the presence and the first message
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
    assert session is not None and session.acknowledged == 0, "not acknowledged, so it comes again"
    assert world.core.state is S.CLOSED


@pytest.mark.parametrize("state", [S.IDLE, S.CLOSING, S.CLOSED], ids=lambda state: state.value)
def test_nothing_is_accepted_where_nothing_can_flow_again(state: ChatState) -> None:
    world = world_in(state)
    for call in (
        lambda: world.send(5),
        lambda: world.core.send_marker("received", Message(id="m", sender_id=BOB), world.now),
        lambda: world.core.send_fleeting(encode_chat_state("composing", BOB_JID)),
        lambda: world.request("ticket"),
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
        world.request("ticket")


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
        core.check_open()


# --- full queues ----------------------------------------------------------------------------------


def test_what_was_refused_is_not_acknowledged_and_comes_again_when_the_receivers_have_caught_up() -> (
    None
):
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
    world.core.need_link(world.now)
    world.after()
    world.settle()
    assert world.core.state is S.RESUMED
    world.room = 3  # one receiver has returned, which makes room behind the refused ones
    world.server.send(text_message(6))
    world.request("ticket")
    world.send(1)
    world.settle()
    assert [answer.ticket for answer in world.answers] == ["ticket"]
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


def test_a_refusal_on_a_deaf_link_is_an_outcome_at_once_and_an_event_in_its_place() -> None:
    world = ready()
    world.room = 0
    world.server.send(text_message(1))
    world.settle()
    world.core.need_link(world.now)
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


# --- bounds, and the table of states ----------------------------------------------------------------


def test_the_outbound_buffer_says_when_it_is_full() -> None:
    world = ready(limits=Limits(outbound_stanzas=3))
    world.settle()
    world.cut()
    for number in (1, 2, 3):
        assert world.core.has_room(10)
        world.send(number)
    assert not world.core.has_room(10)
    reconnect(world)
    assert world.core.has_room(10)


@pytest.mark.parametrize(
    "data", [b"<message><body>" + b"x" * 3000, b"<iq>" * 70, b"<message " + b"a" * 3000]
)
def test_a_stanza_beyond_the_limits_ends_the_link_by_name(data: bytes) -> None:
    world = ready(limits=Limits(stanza_bytes=2000))
    assert world.link is not None
    world.link.to_client.extend(data)
    world.settle()
    assert world.states[-1] is S.FORCE_CLOSED
    assert isinstance(world.events("state_changed")[-1].reason, StreamProtocolError)


def walk(seed: int) -> set[tuple[ChatState, ChatState]]:
    """The transitions of a random walk through everything a connection can meet."""
    random = Random(seed)
    world = World(
        settings=config(reconnect=ReconnectPolicy(max_attempts=random.choice([0, 2, None])))
    )
    for _ in range(60):
        state = world.core.state
        choice = random.randrange(12)
        world.server.replies = (
            {random.choice(["auth", "bind", "resume"]): ""} if random.random() < 0.3 else {}
        )
        world.reachable = random.random() < 0.8
        if choice < 3 and state in (S.IDLE, S.CLOSED):
            world.login(password=random.choice([PASSWORD, "wrong"]))
        elif choice == 3:
            world.core.relogin(world.now)
        elif choice == 4:
            world.close(settle=random.random() < 0.5)
        elif choice == 5 and world.link is not None:
            world.cut()
        elif choice == 6 and state is S.CLOSED:
            world.core.reset()
        elif choice == 7 and world.core.credentials is not None:
            world.core.credentials = Credentials(ALICE, random.choice([PASSWORD, "old"]), "laptop")
        elif choice == 8 and world.core.is_ready and world.link is not None:
            world.link.to_client.extend(stream_error(random.choice(["conflict", "reset"])).encode())
        elif choice == 9:
            world.server.forget_sessions()
        else:
            world.advance(random.choice([1, 10, 40]))
        world.after()
        if random.random() < 0.7:
            world.settle()
    return {(change.previous, change.state) for change in world.events("state_changed")}


def test_random_walks_make_exactly_the_transitions_of_the_table() -> None:
    seen = defaultdict[ChatState, set[ChatState]](set)
    for seed in range(150):
        for previous, state in walk(seed):
            seen[previous].add(state)
    assert dict(seen) == {state: set(after) for state, after in TRANSITIONS.items()}
