"""What outlives a link: acknowledgements, resumption and its failure, the end; against a simulated server."""

from __future__ import annotations

from typing import Any

import pytest

from connectycube.config import Timeouts
from connectycube.errors import (
    ConnectionLostError,
    NotConnectedError,
    OutcomeUnknownError,
)
from connectycube.models import ChatState, DialogRef
from tests.support.inside import session_of
from tests.support.simulation.simulated import (
    ADDRESSES,
    ALICE,
    ANSWERED,
    BOB,
    BOB_JID,
    HOST,
    SM,
    Server,
    text_message,
)
from tests.support.simulation.world import World, ids, ready, reconnect


def resume_in_silence(world: World) -> None:
    """Have the session resumed on a new link by a server that answers no question in it."""
    world.cut()
    world.server.answers_questions = False
    reconnect(world)


# --- acknowledgements -----------------------------------------------------------------------------


def test_a_message_is_sent_once_the_server_has_acknowledged_it() -> None:
    world = ready()
    world.server.answers_questions = False
    submission = world.send(1)
    world.settle()
    assert world.server.messages() == ids(1)
    assert world.outcome(submission) is None and world.core.session.unfinished
    world.server.acknowledge()
    world.settle()
    assert world.outcome(submission) == "sent"
    assert world.sent == ids(1) and not world.core.session.unfinished


def test_message_sent_is_made_while_somebody_wants_it() -> None:
    wanted: list[bool] = []
    world = World(wants_sent=lambda: bool(wanted))
    world.login()
    submissions = []
    for number in (1, 2, 3):
        wanted[:] = [True] * (number == 2)
        submissions.append(world.send(number))
        world.settle()
    assert [world.outcome(submission) for submission in submissions] == ["sent"] * 3
    assert [event.message_id for event in world.events("message_sent")] == ids(2)


def test_sent_is_reported_once_for_each_message_and_in_order() -> None:
    world = ready()
    for number in range(1, 51):
        world.send(number)
        if number % 7 == 0:
            world.settle()
    world.settle()
    assert world.sent == world.server.messages() == ids(*range(1, 51))
    assert {world.outcome(submission) for submission in world.submissions} == {"sent"}


def test_messages_sent_before_ready_wait_and_flow_in_order() -> None:
    world = World()
    world.login(settle=False)
    world.send(1)
    world.send(2)
    world.settle()
    assert world.server.messages() == ids(1, 2)
    assert world.sent == ids(1, 2)


def test_one_question_covers_all_messages_written_before_it() -> None:
    world = ready()
    world.settle()
    before = world.server.questions
    for number in range(100):
        world.send(number)
    world.settle()
    # The first message asks; what was written behind that question needs one more.
    assert world.server.questions - before == 2
    assert len(world.sent) == 100


def test_a_server_whose_count_stands_still_is_not_asked_again_and_again() -> None:
    world = ready()
    world.server.replies["r"] = (
        f"<a xmlns='{SM}' h='3'/>"  # carbons, contacts and presence, and nothing since
    )
    world.send(1)
    before = world.server.questions
    world.settle()
    assert world.server.questions - before == 1
    world.advance(300)
    assert world.server.questions - before == 1 + 300 // 5
    assert world.sent == []


@pytest.mark.parametrize("managed", [True, False])
def test_a_question_that_got_lost_is_asked_again_in_good_time(managed: bool) -> None:
    server = Server()
    server.managed = managed
    world = ready(server)
    world.settle()
    server.answers_questions = False
    world.send(1)
    world.settle()
    server.answers_questions = True
    world.advance(4.9)
    assert world.sent == []
    world.advance(0.1)
    assert world.sent == ids(1)
    world.advance(300)
    assert world.states[-1] is ChatState.READY, "the link was not given up over it"


def test_a_repeated_ping_confirms_only_messages_before_the_first_ping() -> None:
    server = Server()
    server.managed = False
    world = ready(server)
    world.settle()
    server.answers_questions = False
    world.send(1)
    world.settle()
    server.answers_questions = True
    world.send(2)
    world.advance(5, settle=False)
    world.upstream()
    world.downstream()
    assert world.sent == ids(1), "nothing is said of what was written behind the first question"
    world.settle()
    assert world.sent == ids(1, 2)


def test_a_count_that_was_behind_is_asked_for_again_in_good_time() -> None:
    world = ready()
    world.settle()
    assert world.server.session is not None
    world.server.replies["r"] = f"<a xmlns='{SM}' h='{world.server.session.handled}'/>"
    world.send(1)
    world.settle()
    del world.server.replies["r"]  # by now it has handled the message
    world.advance(4.9)
    assert world.sent == []
    world.advance(0.1)
    assert world.sent == ids(1)
    before = world.server.questions
    world.advance(29.9)
    assert world.server.questions == before, (
        "with nothing left to ask for, the interval is the usual"
    )


def test_an_excess_acknowledgement_costs_the_session_without_repeats() -> None:
    world = ready()
    world.send(1)
    world.settle()
    assert world.server.session is not None
    world.server.session.handled += 5
    world.server.acknowledge()
    world.settle()
    assert world.states[-1] is ChatState.FORCE_CLOSED
    assert "more than" in str(world.events("state_changed")[-1].reason)
    world.send(2)
    world.advance(60)  # the resumption meets the same count, so a new session follows
    assert world.core.state is ChatState.READY
    assert world.sent == ids(1, 2)
    assert world.server.messages() == ids(1, 2)


def test_both_counts_wrap_at_two_to_the_32() -> None:
    world = ready()
    session = world.server.session
    assert session is not None
    world.server.answers_questions = False
    start = 2**32 - 3
    session.handled = session.acknowledged = start
    session_of(world.core)._outbox._acknowledged = start
    inbound = session_of(world.core)._inbound
    inbound._received = inbound.handled = start
    for number in range(1, 8):
        world.send(number)
        world.server.send(text_message(100 + number))
    world.settle()
    world.server.ask()
    world.settle()
    assert session.acknowledged == 4
    assert session.handled == 11  # 7 messages, 7 times 'delivered'
    world.server.acknowledge()
    world.settle()
    assert world.sent == ids(*range(1, 8))
    world.send(8)
    world.cut()
    world.server.answers_questions = True
    reconnect(world)
    assert world.core.state is ChatState.RESUMED
    assert world.sent == ids(*range(1, 9))


@pytest.mark.parametrize("managed", [True, False])
def test_without_stream_management_a_ping_acknowledges_what_came_before_it(managed: bool) -> None:
    server = Server()
    server.managed = managed
    world = ready(server)
    for number in (1, 2, 3):
        world.send(number)
    world.settle()
    assert world.sent == ids(1, 2, 3)
    pings = [iq for iq in server.named("iq") if iq[0].tag == "{urn:xmpp:ping}ping"]
    assert bool(pings) != managed


@pytest.mark.parametrize(
    "answer",
    [
        f"<iq type='result' from='{BOB_JID}' id='{{id}}'/>",
        "<iq type='result' from='evil.example' id='{id}'/>",
        f"<iq type='result' from='{HOST}'/>",
        f"<iq type='result' from='{HOST}' id=''/>",
        f"<iq type='result' from='{HOST}' id='other'/>",
        f"<iq from='{HOST}'/>",
    ],
)
def test_only_the_servers_answer_to_that_ping_acknowledges(answer: str) -> None:
    server = Server()
    server.managed = False
    server.replies["ping"] = answer
    world = ready(server)
    world.send(1)
    world.settle()
    assert world.sent == [] and world.core.session.unfinished
    assert world.core.counters.unclaimed_answers >= 1


@pytest.mark.parametrize("attributes", ["", f" from='{HOST}'"])
def test_an_answer_without_an_id_acknowledges_nothing(attributes: str) -> None:
    world = ready()
    world.server.answers_questions = False
    world.send(1)
    world.settle()
    world.server.send(f"<iq type='result'{attributes}/>")
    world.settle()
    assert world.sent == [] and world.core.is_ready


def test_a_refused_ping_acknowledges_too() -> None:
    server = Server()
    server.managed = False
    server.replies["ping"] = f"<iq type='error' from='{HOST}' id='{{id}}'><error code='503'/></iq>"
    world = ready(server)
    world.send(1)
    world.settle()
    assert world.sent == ids(1)


def test_our_count_is_told_when_asked_and_only_of_what_was_taken_over() -> None:
    world = ready()
    world.server.send(text_message(1))
    world.server.ask()
    world.server.send(text_message(2))
    world.settle()
    session = world.server.session
    assert session is not None
    assert (
        session.acknowledged == ANSWERED + 2
    )  # answered behind the whole batch, when all of it was taken over
    world.server.send(text_message(3))
    world.settle()
    assert session.acknowledged == ANSWERED + 2 and len(session.unacknowledged) == 1
    world.close()
    assert session.acknowledged == ANSWERED + 3, "the good-bye tells the rest"


def test_a_question_that_comes_alone_is_answered_at_once() -> None:
    world = ready()
    world.server.send(text_message(1))
    world.settle()
    world.server.ask()
    world.settle()
    session = world.server.session
    assert session is not None and session.acknowledged == ANSWERED + 1


def test_nothing_is_acknowledged_before_it_was_taken_over() -> None:
    world = ready()
    world.server.send(text_message(1))
    world.server.ask()
    assert world.link is not None
    data = bytes(world.link.to_client)
    world.link.to_client.clear()
    world.core.receive(data, world.now)
    assert (
        b"<a " not in world.core.session.outgoing and b"received" not in world.core.session.outgoing
    )
    world.core.session.take_outputs()
    world.core.committed(world.now)
    h = ANSWERED + 1
    assert f'<a xmlns="urn:xmpp:sm:3" h="{h}"/>'.encode() in world.core.session.outgoing
    assert b"<received " in world.core.session.outgoing


# --- resumption -----------------------------------------------------------------------------------


def test_a_resumed_session_replays_missing_messages_before_new_ones() -> None:
    world = ready()
    world.server.answers_questions = False
    for number in (1, 2, 3, 4):
        world.send(number)
    assert world.link is not None
    half = bytes(world.link.to_server).find(ids(3)[0].encode())
    world.cut(up=half)
    assert world.server.messages() == ids(1, 2)
    world.send(5)
    reconnect(world)
    assert world.states[-1] is ChatState.RESUMED
    assert world.sent == ids(1, 2), "the resumption's count acknowledges as well"
    assert world.server.messages() == ids(1, 2), "it has not shown yet that it hears us"
    world.server.acknowledge()
    world.settle()
    assert world.server.messages() == ids(1, 2, 3, 4, 5)
    world.server.acknowledge()
    world.settle()
    assert world.sent == ids(1, 2, 3, 4, 5)


def test_the_next_session_sends_a_deaf_sessions_messages_without_history() -> None:
    world = ready()
    world.looks_up = None
    world.send(1)
    world.send(2, save_to_history=False)
    world.cut()
    world.server.answers_questions = False
    for _ in range(2):
        reconnect(world)
        assert world.states[-1] is ChatState.RESUMED
        world.send(len(world.submissions) + 1)
        world.advance(7.4)
        assert world.states[-1] is ChatState.RESUMED
        world.advance(0.2)
        assert world.states[-1] is ChatState.FORCE_CLOSED
    assert world.server.messages() == []
    world.server.answers_questions = True
    reconnect(world)
    assert world.states[-1] is ChatState.READY
    assert world.server.messages() == world.sent == ids(1, 2, 3, 4)
    assert not world.lookups


def test_an_acknowledgement_before_a_stream_error_replays_nothing() -> None:
    world = ready()
    world.looks_up = None
    world.server.goes_on_in_half_a_stanza, world.server.says_h_when_failed = True, False
    world.send(1)
    world.send(2)
    assert world.link is not None
    world.cut(up=bytes(world.link.to_server).find(b"<message") + 12)
    reconnect(world)
    assert world.states[-2:] == [ChatState.RESUMED, ChatState.FORCE_CLOSED]
    assert world.server.outcomes[-1] == "resumed" and world.server.messages() == []
    reconnect(world)
    assert world.states[-1] is ChatState.READY
    assert world.server.messages() == world.sent == ids(1, 2)


def test_what_was_replayed_may_have_arrived() -> None:
    world = ready()
    world.server.says_h_when_failed = False
    world.send(1)
    world.cut()
    world.server.answers_questions, world.server.last_answers = False, 1
    reconnect(world)
    assert world.server.messages() == ids(1) and world.sent == []
    world.send(2)
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    assert [[s.id for s in lookup.submissions] for lookup in world.lookups] == [ids(1, 2)]
    world.answer_lookups()
    world.settle()
    assert world.server.messages() == ids(1, 2)


def test_new_stanzas_follow_the_replay_of_a_silent_resumed_session() -> None:
    world = ready()
    world.send(1)
    resume_in_silence(world)
    world.send(2)
    world.request("ping")
    world.send(3)
    world.core.open_session.send_ephemeral(b"<message type='chat' id='typing'/>")
    world.settle()
    assert world.server.messages() == [] and world.answers == []
    world.server.answers_questions = True
    world.server.acknowledge()
    world.settle()
    one, two, ping, three = (stanza.attrib.get("id") for stanza in world.server.stanzas[-4:])
    assert [one, two, three] == ids(1, 2, 3)
    assert [answer.waiter for answer in world.answers] == ["ping"]
    assert world.sent == ids(1, 2, 3)
    assert ping and world.core.counters.ephemeral_dropped == 1


def test_rooms_are_entered_before_the_messages_that_waited_for_the_link() -> None:
    world = ready()
    world.send(1)
    world.cut()
    world.send(2, dialog=DialogRef.room("d"))
    world.server.answers_questions = False
    reconnect(world)
    world.send(3, dialog=DialogRef.room("e"))
    world.server.answers_questions = True
    before = len(world.server.stanzas)
    world.server.acknowledge()
    world.settle()
    said = [(s.tag.rpartition("}")[2], s.attrib["to"]) for s in world.server.stanzas[before:]]
    d, e = (ADDRESSES.room(name) for name in "de")
    assert said == [
        ("message", ADDRESSES.user(BOB)),
        ("presence", f"{d}/{ALICE}"),
        ("message", d),
        ("presence", f"{e}/{ALICE}"),
        ("message", e),
    ]


def test_a_request_that_was_held_back_does_not_outlive_its_session() -> None:
    world = ready()
    resume_in_silence(world)
    world.request("ping")
    world.server.forget_sessions()
    world.cut()
    world.server.answers_questions = True
    before = len(world.server.stanzas)
    reconnect(world)
    assert [answer.waiter for answer in world.answers] == ["ping"] and world.answers[0].error
    assert not [s for s in world.server.stanzas[before:] if "ping" in "".join(c.tag for c in s)]


def test_a_late_answer_writes_nothing_after_the_end_of_the_stream() -> None:
    world = ready()
    sent = world.send(1)
    resume_in_silence(world)
    world.close(1.5)
    world.advance(0.6, settle=False)
    world.server.acknowledge()
    world.downstream()
    assert world.link is not None
    assert bytes(world.link.to_server).endswith(b"</stream:stream>")
    world.advance(5)
    assert world.outcome(sent) is NotConnectedError and world.core.abandoned == (1, 0)


def test_a_count_beyond_what_was_sent_ends_a_silent_session_as_well() -> None:
    world = ready()
    world.send(1)
    resume_in_silence(world)
    session = world.server.session
    assert session is not None
    session.handled += 1
    world.server.acknowledge()
    world.settle()
    assert world.states[-1] is ChatState.FORCE_CLOSED and world.sent == []


def test_who_logs_out_of_a_silent_session_knows_what_has_not_arrived() -> None:
    world = ready()
    sent = world.send(1)
    resume_in_silence(world)
    world.close()
    world.advance(10)
    assert world.outcome(sent) is NotConnectedError and world.core.abandoned == (1, 0)


@pytest.mark.parametrize("up", range(0, 700, 41))
def test_wherever_the_link_is_cut_nothing_is_lost_or_doubled(up: int) -> None:
    world = ready()
    for number in (1, 2, 3):
        world.send(number)
        world.server.send(text_message(10 + number))
    world.cut(up=up, down=up // 2)
    reconnect(world)
    assert world.server.messages() == world.sent == ids(1, 2, 3)
    assert world.received == [11, 12, 13]


def test_what_the_server_sent_meanwhile_arrives_with_the_resumption() -> None:
    world = ready()
    world.cut()
    for number in (1, 2):
        world.server.send(text_message(number))
    reconnect(world)
    assert world.received == [1, 2]
    assert world.server.delivered() == ids(1, 2)


def test_a_session_is_resumed_through_many_links() -> None:
    world = ready()
    for number in range(1, 21):
        world.send(number)
        world.server.send(text_message(100 + number))
        world.cut(up=number * 13, down=number * 7)
        reconnect(world)
        assert world.core.state is ChatState.RESUMED
    assert world.server.messages() == world.sent == ids(*range(1, 21))
    assert world.received == list(range(101, 121))
    assert sorted(world.server.delivered()) == ids(*range(101, 121))


def test_an_iq_under_way_survives_the_resumption() -> None:
    world = ready()
    world.request("waiter")
    world.cut()
    assert world.answers == []
    reconnect(world)
    assert [(answer.waiter, answer.error) for answer in world.answers] == [("waiter", None)]


# --- failed resumption ----------------------------------------------------------------------------


@pytest.mark.parametrize("arrived", [0, 1, 2, 3])
def test_a_failed_resumption_with_a_wrapped_count_resends_only_the_rest(
    arrived: int,
) -> None:
    world = ready()
    world.settle()
    world.server.ask()
    world.server.acknowledge()
    world.settle()
    session = world.server.session
    assert session is not None
    outbox = session_of(world.core)._outbox
    assert not outbox.unacknowledged
    session.handled = outbox._acknowledged = 2**32 - 2
    world.server.answers_questions = False
    for number in (1, 2, 3):
        world.send(number)
    assert world.link is not None
    wanted = ids(arrived + 1)[0].encode()
    world.cut(up=(bytes(world.link.to_server) + wanted).find(wanted))
    assert session.handled == (2**32 - 2 + arrived) % 2**32
    world.server.forget_sessions()
    world.server.answers_questions = True
    reconnect(world)
    assert world.states[-1] is ChatState.READY
    assert world.lookups == []
    assert world.server.messages() == world.sent == ids(1, 2, 3)


@pytest.mark.parametrize("arrived", [0, 1, 2, 3])
def test_a_failed_resumption_with_a_count_resends_exactly_the_rest(arrived: int) -> None:
    world = ready()
    world.server.answers_questions = False
    for number in (1, 2, 3):
        world.send(number)
    assert world.link is not None
    end = (bytes(world.link.to_server) + ids(arrived + 1)[0].encode()).find(
        ids(arrived + 1)[0].encode()
    )
    world.cut(up=end)
    assert world.server.messages() == ids(*range(1, arrived + 1))
    world.server.forget_sessions()
    world.server.answers_questions = True
    world.send(4)
    world.looks_up = None
    reconnect(world)
    assert world.states[-1] is ChatState.READY
    assert world.lookups == [], "the count says everything, history need not be asked"
    assert world.server.messages() == world.sent == ids(1, 2, 3, 4)


@pytest.mark.parametrize("arrived", [0, 1, 3])
@pytest.mark.parametrize("managed_again", [True, False])
def test_a_failed_resumption_without_count_resends_all_history_lacks(
    arrived: int, managed_again: bool
) -> None:
    world = ready()
    world.server.says_h_when_failed = False
    for number in (1, 2, 3):
        world.send(number)
    assert world.link is not None
    end = (bytes(world.link.to_server) + ids(arrived + 1)[0].encode()).find(
        ids(arrived + 1)[0].encode()
    )
    world.cut(up=end)
    world.server.forget_sessions()
    world.server.managed = managed_again
    reconnect(world)
    world.send(4)
    world.settle()
    assert world.server.messages() == ids(*range(1, arrived + 1)), "all wait for history's answer"
    (lookup,) = world.lookups
    assert [submission.id for submission in lookup.submissions] == ids(1, 2, 3)
    world.answer_lookups()
    world.settle()
    assert world.server.messages() == world.sent == ids(1, 2, 3, 4)


def test_unreadable_history_leaves_outcomes_unknown_and_resends_nothing() -> None:
    world = ready()
    world.server.says_h_when_failed = False
    submission = world.send(1)
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    later = world.send(2)
    world.looks_up = lambda lookup: None
    world.answer_lookups()
    world.settle()
    assert world.outcome(submission) is OutcomeUnknownError
    assert world.outcome(later) == "sent"
    assert world.server.messages() == ids(2)
    (failure,) = world.events("message_failed")
    assert failure.message_id == ids(1)[0] and isinstance(failure.error, OutcomeUnknownError)


@pytest.mark.parametrize("changes", [{"save_to_history": False}, {"destroy_after": 5}])
def test_what_history_cannot_show_ends_as_unknown_without_asking(changes: dict[str, Any]) -> None:
    world = ready()
    world.server.says_h_when_failed = False
    submission = world.send(1, **changes)
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    assert world.outcome(submission) is OutcomeUnknownError
    assert world.lookups == [] and world.server.messages() == []


@pytest.mark.parametrize("changes", [{"save_to_history": False}, {"destroy_after": 5}])
def test_with_a_count_even_those_are_resent(changes: dict[str, Any]) -> None:
    world = ready()
    submission = world.send(1, **changes)
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    assert world.outcome(submission) == "sent"


def test_messages_that_were_never_written_need_no_history() -> None:
    world = ready()
    world.server.says_h_when_failed = False
    world.settle()
    world.cut()
    world.send(1)
    world.server.forget_sessions()
    reconnect(world)
    assert world.lookups == [] and world.sent == ids(1)


def test_the_link_may_be_lost_again_while_history_is_asked() -> None:
    world = ready()
    world.server.says_h_when_failed = False
    world.send(1)
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    world.send(2)
    world.cut()
    world.answer_lookups()
    assert world.sent == [] and world.server.messages() == []
    reconnect(world)
    assert world.server.messages() == world.sent == ids(1, 2)


def test_an_iq_under_way_fails_with_its_session() -> None:
    world = ready()
    world.request("waiter")
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    (answer,) = world.answers
    assert answer.waiter == "waiter" and isinstance(answer.error, ConnectionLostError)


def test_a_new_session_repeats_no_delivered_but_unacknowledged_message() -> None:
    world = ready()
    world.server.send(text_message(1))
    world.settle()
    world.cut()
    world.server.forget_sessions()
    world.server.send(text_message(2))
    reconnect(world)
    assert world.received == [1, 2]
    assert world.core.counters.repeated == 1
    assert world.server.delivered() == ids(1, 2)


@pytest.mark.parametrize("h", [99, 2**32 - 1])
def test_a_failed_resumption_with_an_excess_count_is_not_believed(h: int) -> None:
    world = ready()
    world.send(1)
    world.cut()
    world.server.forgotten = (
        {world.server.session.resume_id or "": h} if world.server.session else {}
    )
    world.server.sessions.clear()
    reconnect(world)
    assert world.core.state is ChatState.FORCE_CLOSED and world.sent == []
    reconnect(world)
    assert world.core.state is ChatState.READY
    world.answer_lookups()
    world.settle()
    assert world.server.messages() == world.sent == ids(1)


# --- what came to an end ----------------------------------------------------------------------------


def test_an_abort_fails_unwritten_messages_and_settles_others_as_unknown() -> None:
    world = ready(timeouts=Timeouts())
    world.server.answers_questions = False
    attempted = world.send(1)
    world.cut()
    waiting = world.send(2)
    world.core.abort(None)
    world.after()
    assert world.outcome(attempted) is OutcomeUnknownError
    assert world.outcome(waiting) is NotConnectedError
    assert not world.core.session.unfinished


def test_nothing_of_one_users_session_goes_out_in_anothers_name() -> None:
    world = ready()
    world.close(settle=False)
    assert world.link is not None
    # The last message comes with the end of the stream, so its 'delivered' finds no link any more.
    data = bytes(world.link.to_client) + text_message(1).encode() + b"</stream:stream>"
    world.core.receive(data, world.now)
    world.after()
    assert world.received == [1] and world.core.state is ChatState.CLOSED
    world.login(user=BOB, settle=False)
    assert world.core.session.unfinished == 0
    assert world.core.session.jid is None
