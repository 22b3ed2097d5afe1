"""States, attempts and deadlines of the connection, against a simulated server."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest

from connectycube.chat.protocol.core import PERMANENT
from connectycube.chat.protocol.events import Credentials
from connectycube.chat.protocol.states import TRANSITIONS
from connectycube.config import Limits, ReconnectPolicy
from connectycube.errors import (
    ChatAuthenticationError,
    ConnectionLostError,
    ConnectTimeoutError,
    LivenessError,
    LoginTimeoutError,
    OutcomeUnknownError,
    StreamError,
    StreamProtocolError,
)
from connectycube.models import ChatState, Typing
from tests.support.simulation.simulated import (
    ADDRESSES,
    ALICE,
    BOB,
    BOB_JID,
    HOST,
    PASSWORD,
    SASL,
    SM,
    Server,
    config,
    stream_error,
    text_message,
)
from tests.support.simulation.world import World, closed_reason, ids, ready, reconnect

S = ChatState
LOGIN = [S.CONNECTING, S.AUTHENTICATED, S.READY]


# --- login ----------------------------------------------------------------------------------------


def test_login_passes_through_the_guides_states() -> None:
    world = World()
    assert world.core.state is S.IDLE and not world.core.wants_link
    world.login()
    assert world.states == LOGIN
    assert world.core.session.jid == "1001-7@chat.example/laptop"
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
    assert isinstance(reason, ChatAuthenticationError) and reason.condition == "not-authorized"
    world.advance(1000)
    assert world.server.links == 1


def test_a_refused_password_at_a_reconnection_ends_closed() -> None:
    world = ready()
    submission = world.send(1)
    world.cut()
    world.core.credentials = Credentials(ALICE, "expired", "laptop")
    reconnect(world)
    assert world.states[-3:] == [S.RECONNECTING, S.AUTHENTICATION_FAILURE, S.CLOSED]
    assert isinstance(closed_reason(world), ChatAuthenticationError)
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
def test_a_silent_reconnection_ends_at_its_deadline_and_is_tried_again(silent: str) -> None:
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
        ({"features": "<stream:features/>"}, ChatAuthenticationError),
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


def test_a_silent_link_is_asked_each_interval_and_kept_if_it_answers() -> None:
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
        "</x>",
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


# --- bounds, and the table of states ----------------------------------------------------------------


def test_the_outbound_buffer_says_when_it_is_full() -> None:
    world = ready(limits=Limits(outbound_stanzas=3))
    world.settle()
    world.cut()
    for number in (1, 2, 3):
        assert world.core.session.has_room(10)
        world.send(number)
    assert not world.core.session.has_room(10)
    reconnect(world)
    assert world.core.session.has_room(10)


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


# --- when messages reach us ------------------------------------------------------------------------


def test_ready_is_said_once_the_server_has_handled_our_presence() -> None:
    server = Server()
    server.replies["carbons"] = ""
    world = World(server, config())
    world.login()
    assert server.session is not None and server.session.available
    assert world.core.state is S.AUTHENTICATED
    world.advance(30)
    assert isinstance(closed_reason(world), LoginTimeoutError)


def test_a_server_that_refuses_carbons_has_handled_our_presence_as_well() -> None:
    server = Server()
    server.replies["carbons"] = (
        "<iq type='error' id='{id}'><error type='cancel'><service-unavailable"
        " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
    world = ready(server)
    assert world.core.counters.refused == 1


def test_our_own_presence_that_comes_back_says_it_as_well() -> None:
    server = Server()
    server.replies["carbons"] = ""
    world = World(server, config())
    world.login()
    server.send(f"<presence from='{ADDRESSES.user(ALICE)}/another'/>")
    world.settle()
    assert world.core.state is S.AUTHENTICATED
    server.send(f"<presence from='{world.core.session.jid}'/>")
    world.settle()
    assert world.core.state is S.READY


def test_what_waited_is_sent_before_the_presence_is_answered() -> None:
    world = ready()
    world.cut()
    world.server.forget_sessions()
    world.server.replies["carbons"] = ""
    world.send(1)
    reconnect(world)
    assert world.core.state is S.AUTHENTICATED and world.sent == [f"{1:024x}"]


def carbons_request(world: World) -> str:
    """The id of the request whose answer makes us ready."""
    return next(iq.attrib["id"] for iq in world.server.named("iq") if "carbons" in iq[0].tag)


def test_what_overflows_before_we_are_ready_is_fetched_once_we_are() -> None:
    server = Server()
    server.replies["carbons"] = ""
    world = World(server, config())
    world.room = 1
    for number in (1, 2, 3):
        server.send(text_message(number))
    world.core.hold_link(world.now)  # as whoever waits for the login does
    world.login()
    assert world.core.state is S.AUTHENTICATED and world.received == [1]
    world.room = None
    world.drain()
    assert world.core.state is S.AUTHENTICATED, "the login goes on"
    server.push(f"<iq type='result' id='{carbons_request(world)}' from='{HOST}'/>")
    world.settle()
    world.advance(1)
    assert world.received == [1, 2, 3]


def test_a_stream_error_before_ready_leaves_the_session_resumable() -> None:
    world = ready()
    world.cut()
    world.server.forget_sessions()
    world.server.replies["carbons"] = ""
    reconnect(world)
    assert world.core.state is S.AUTHENTICATED
    world.server.write(stream_error("internal-server-error"))
    world.settle()
    reconnect(world)
    assert world.core.state is S.RESUMED


# --- sessions that are resumed into nothing ---------------------------------------------------------


def test_a_session_that_is_deaf_after_two_resumptions_is_given_up() -> None:
    world = ready()
    world.server.answers_questions = False
    world.cut()
    reconnect(world)
    world.advance(200)
    lived = [state for state in world.states if state in (S.READY, S.RESUMED)]
    assert lived[:4] == [S.READY, S.RESUMED, S.RESUMED, S.READY]
    world.server.answers_questions = True
    world.advance(200)
    assert world.core.is_ready


@pytest.mark.parametrize("cuts", [3, 4])
def test_four_links_cut_before_a_resumptions_answer_end_the_session(
    cuts: int,
) -> None:
    world = ready()
    world.cut()
    world.server.replies["resume"] = ""
    for _ in range(cuts):
        reconnect(world)
        assert world.core.state is S.AUTHENTICATED
        world.cut()
    world.server.replies.clear()
    reconnect(world)
    assert world.core.state is (S.RESUMED if cuts < 4 else S.READY)


def test_links_that_the_network_cuts_cost_no_session() -> None:
    world = ready()
    world.cut()
    world.server.answers_questions = False
    for _ in range(20):
        reconnect(world)
        assert world.core.state is S.RESUMED
        world.cut()
    world.server.answers_questions = True
    reconnect(world)
    assert world.core.state is S.RESUMED


def test_links_that_end_because_receivers_are_slow_cost_no_session() -> None:
    world = ready()
    world.server.answers_questions = False
    world.room = 1
    for number in range(20):
        world.server.send(text_message(number))
        world.server.send(text_message(100 + number))
        world.settle()
        assert world.core.state is S.FORCE_CLOSED
        world.drain()
        world.advance(0)
    assert world.states.count(S.READY) == 1


def test_a_resumed_link_that_receives_keeps_its_whole_answer_time() -> None:
    world = ready()
    world.cut()
    world.server.answers_questions = False
    for attempt in range(8):
        reconnect(world)
        assert world.core.state is S.RESUMED, "slow is not deaf"
        for number in range(7):
            world.server.send(text_message(10 * attempt + number))
            world.advance(2)
        assert world.core.state is S.RESUMED
        world.advance(1)
        assert world.core.state is S.FORCE_CLOSED
    reconnect(world)
    assert world.core.state is S.READY


@pytest.mark.parametrize("condition", ["policy-violation", "not-authorized"])
def test_a_stream_error_right_after_a_resumption_is_not_the_end(condition: str) -> None:
    world = ready()
    world.cut()
    world.server.answers_questions = False
    reconnect(world)
    assert world.core.state is S.RESUMED
    world.server.write(stream_error(condition))
    world.settle()
    assert world.core.state is S.FORCE_CLOSED
    world.server.answers_questions = True
    reconnect(world)
    assert world.core.is_ready


def test_a_policy_violation_without_a_suspect_ends_after_the_last_attempt() -> None:
    world = ready(reconnect=ReconnectPolicy(max_attempts=2))
    world.send(1)
    world.settle()
    assert len(world.sent) == 1
    for _ in range(100):
        if world.core.is_ready:
            world.server.write(stream_error("policy-violation"))
        world.advance(1)
    assert world.states.count(S.RESUMED) + world.states.count(S.READY) == 3
    assert closed_reason(world).condition == "policy-violation"


def test_resumptions_that_work_are_trusted_for_ever() -> None:
    world = ready()
    for number in range(1, 8):
        world.cut()
        reconnect(world)
        world.send(number)
        world.settle()
    assert world.states.count(S.RESUMED) == 7
    assert len(world.sent) == 7


# --- what happens later ---------------------------------------------------------------------------


def typing(name: str) -> str:
    return (
        f"<message from='{BOB_JID}/phone' to='{ADDRESSES.user(ALICE)}' type='chat'>"
        f"<{name} xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )


def test_typing_stops_by_itself_after_the_configured_time() -> None:
    world = ready(typing_expires=30.0)
    world.server.send(typing("composing"))
    world.advance(20)
    world.server.send(typing("composing"))
    world.advance(29)
    assert world.events("typing_stopped") == []
    world.advance(2)
    assert world.events("typing_stopped") == [Typing(user_id=BOB)]
    world.server.send(typing("composing"))
    world.server.send(typing("paused"))
    world.advance(100)
    assert len(world.events("typing_stopped")) == 2


def test_otherwise_nobody_stops_by_themselves() -> None:
    world = ready()
    world.server.send(typing("composing"))
    world.advance(1000)
    assert world.events("typing_stopped") == []


def test_fleeting_things_can_be_sent_later_or_not_at_all() -> None:
    world = ready()
    for key, when in (("a", 10.0), ("b", 10.0), ("c", 5.0)):
        data = f'<message to="{BOB_JID}" type="chat" id="{key}"/>'.encode()
        world.core.open_session.send_ephemeral_at(key, world.now + when, data)
        world.after()
    world.core.open_session.send_ephemeral_at("b", None, b"")
    world.advance(11)
    assert [stanza.get("id") for stanza in world.server.named("message")] == ["c", "a"]
