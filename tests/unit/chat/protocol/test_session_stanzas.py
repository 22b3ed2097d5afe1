"""What a session does with stanzas: refusals, IQs, markers, typing; against a simulated server."""

from __future__ import annotations

import pytest
from attrs import evolve

from connectycube.chat.protocol.encoding import encode_chat_state
from connectycube.errors import (
    StanzaError,
)
from connectycube.models import DialogRef, Message
from tests.support.inside import session_of
from tests.support.simulation.service import Service
from tests.support.simulation.simulated import (
    ALICE,
    ANSWERED,
    BOB,
    BOB_JID,
    HOST,
    MARKERS,
    PASSWORD,
    config,
    refusal,
    text_message,
)
from tests.support.simulation.world import World, ids, ready, reconnect

BLOCKED = "<error><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

# --- refusals of messages -------------------------------------------------------------------------


def test_an_error_before_the_acknowledgement_is_the_messages_outcome() -> None:
    world = ready()
    world.server.answers_questions = False
    submission, other = world.send(1), world.send(2)
    world.settle()
    world.server.send(refusal(1))
    world.settle()
    assert world.outcome(submission) is StanzaError
    world.server.acknowledge()
    world.settle()
    assert world.outcome(submission) is StanzaError, "acknowledged later, but refused"
    assert world.outcome(other) == "sent"
    assert world.sent == ids(2)
    (failure,) = world.events("message_failed")
    assert (failure.message_id, failure.condition) == (ids(1)[0], "forbidden")


def test_an_error_after_the_acknowledgement_is_an_event_of_its_own() -> None:
    world = ready()
    submission = world.send(1)
    world.settle()
    world.server.send(refusal(1))
    world.settle()
    assert world.outcome(submission) == "sent"
    (failure,) = world.events("message_failed")
    assert failure.message_id == ids(1)[0]


def test_an_error_from_a_stranger_does_not_decide_about_a_message() -> None:
    world = ready()
    world.server.answers_questions = False
    submission = world.send(1)
    world.settle()
    stranger = refusal(1).replace(BOB_JID.partition("/")[0], f"666-1@{HOST}")
    assert "666-1" in stranger
    world.server.send(stranger)
    world.settle()
    assert world.outcome(submission) is None
    world.server.acknowledge()
    world.settle()
    assert world.outcome(submission) == "sent"


def test_an_error_for_an_unknown_message_changes_no_outcome() -> None:
    world = ready()
    world.server.answers_questions = False
    submission = world.send(1)
    world.settle()
    world.server.send(refusal(99))
    world.settle()
    assert world.outcome(submission) is None
    assert not world.events("message_failed") and world.core.counters.forged == 1
    world.server.send(refusal(99).replace(f"from='{BOB_JID}'", f"from='{HOST}'"))
    world.settle()
    assert [failure.message_id for failure in world.events("message_failed")] == ids(99)


def test_a_refused_marker_or_typing_is_counted_and_no_message_failed() -> None:
    world = ready()
    world.server.send(text_message(1))  # whose 'delivered' is said by itself
    world.core.open_session.send_marker("displayed", Message(id="m1", sender_id=BOB), world.now)
    world.core.open_session.send_ephemeral(encode_chat_state("composing", BOB_JID))
    world.settle()
    sent = world.server.named("message")
    assert len(sent) == 3
    for stanza in sent:
        own_id = f"id='{stanza.attrib['id']}'" if "id" in stanza.attrib else ""
        world.server.send(f"<message from='{BOB_JID}' type='error' {own_id}>{BLOCKED}</message>")
    world.settle()
    assert world.events("message_failed") == []
    assert world.core.counters.refused == 3


# --- IQs --------------------------------------------------------------------------------------------


def test_a_request_gets_the_answer_of_whom_it_went_to() -> None:
    world = ready()
    world.server.replies["ping"] = ""
    request_id = world.request("waiter")
    world.settle()
    world.server.send(f"<iq type='result' id='{request_id}' from='{BOB_JID}'/>")
    world.server.send(
        f"<message type='chat' id='{request_id}' from='{BOB_JID}'><body>1</body></message>"
    )
    world.settle()
    assert world.answers == [] and world.core.counters.unclaimed_answers == 1
    world.server.send(f"<iq type='result' id='{request_id}' from='{HOST}'/>")
    world.settle()
    assert [answer.waiter for answer in world.answers] == ["waiter"]


def test_a_forgotten_request_is_not_answered() -> None:
    world = ready()
    pending = len(session_of(world.core)._requests)
    request_id = world.request("waiter")
    world.core.session.forget_request(request_id)
    world.settle()
    assert world.answers == [] and world.core.counters.unclaimed_answers == 1
    assert len(session_of(world.core)._requests) == pending


@pytest.mark.parametrize(
    ("attributes", "payload", "kind"),
    [
        (f" from='{HOST}'", "<ping xmlns='urn:xmpp:ping'/>", "result"),
        ("", "<ping xmlns='urn:xmpp:ping'/>", "result"),
        (f" from='{BOB_JID}/x&amp;y'", "<ping xmlns='urn:xmpp:ping'/>", "result"),
        (f" from='{HOST}'", "<query xmlns='jabber:iq:version'/>", "error"),
        ("", "", "error"),
    ],
)
def test_requests_to_us_are_answered(attributes: str, payload: str, kind: str) -> None:
    world = ready()
    world.server.send(f"<iq type='get' id='q&amp;1'{attributes}>{payload}</iq>")
    world.settle()
    reply = world.server.named("iq")[-1]
    assert (reply.attrib["id"], reply.attrib["type"]) == ("q&1", kind)
    expected = {"": None, f" from='{HOST}'": HOST}.get(attributes, f"{BOB_JID}/x&y")
    assert reply.attrib.get("to") == expected
    unavailable = "{urn:ietf:params:xml:ns:xmpp-stanzas}service-unavailable"
    assert (reply.find(f".//{unavailable}") is not None) == (kind == "error")


def test_a_set_of_ping_is_no_ping() -> None:
    world = ready()
    world.server.send("<iq type='set' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    world.settle()
    assert world.server.named("iq")[-1].attrib["type"] == "error"


# --- 'delivered' and typing -----------------------------------------------------------------------


def test_a_markable_message_is_answered_with_delivered_only_once() -> None:
    world = ready()
    world.server.send(text_message(1))
    world.server.send(text_message(1))
    world.settle()
    assert world.received == [1]
    (marker,) = world.server.named("message")
    assert marker.attrib["to"] == BOB_JID and marker.attrib["type"] == "chat"
    received = marker.find(f"{{{MARKERS}}}received")
    assert received is not None and received.attrib["id"] == ids(1)[0]
    assert marker.findtext(".//{jabber:client}dialog_id") == "d1"


@pytest.mark.parametrize(
    "stanza",
    [
        text_message(1, markable=False),
        text_message(1, sender=ALICE, to=BOB),
        text_message(1).replace("type='chat'", "type='error'"),
        text_message(1).replace("type='chat'", "type='headline'"),
        f"<message from='{BOB_JID}' type='chat'><body>1</body><markable xmlns='{MARKERS}'/></message>",
        f"<message from='{BOB_JID}' type='chat' id='x'><received xmlns='{MARKERS}' id='1'/></message>",
    ],
    ids=["not markable", "own", "error", "headline", "without id", "a marker"],
)
def test_nothing_else_is_answered_with_delivered(stanza: str) -> None:
    world = ready()
    world.server.send(stanza)
    world.settle()
    assert world.server.delivered() == []


def test_delivered_can_be_turned_off() -> None:
    world = ready(auto_delivered=False)
    world.server.send(text_message(1))
    world.settle()
    assert world.received == [1] and world.server.delivered() == []


def test_delivered_can_be_said_for_messages_that_are_not_markable() -> None:
    world = ready(auto_delivered="all")
    world.server.send(text_message(1, markable=False))
    world.server.send(text_message(2))
    world.server.send(text_message(3, sender=ALICE, to=BOB))
    world.server.send(f"<message from='{BOB_JID}' type='chat'><body>4</body></message>")
    world.settle()
    assert world.received == [1, 2, 3, 4] and world.server.delivered() == ids(1, 2)


@pytest.mark.parametrize(("marks", "expected"), [(True, []), ("all", ids(1))])
def test_delivered_for_all_includes_recovered_messages(marks: object, expected: list[str]) -> None:
    scene = Service([ALICE], lambda: world.now)
    world = World(scene.servers[ALICE], config(auto_delivered=marks), history=scene)
    world.login()
    scene.servers[ALICE].keeps_offline = False
    world.cut()
    scene.servers[ALICE].forget_sessions()
    scene.say(1, BOB, DialogRef.private(ALICE, f"p{ALICE}-{BOB}"), scene.time())
    stored = scene.stored[ids(1)[0]]
    stored.message = evolve(stored.message, markable=False)
    reconnect(world)
    world.fill_gaps()
    world.settle()
    assert world.received == [1] and world.server.delivered() == expected


def test_delivered_by_hand_waits_for_the_link() -> None:
    world = ready(auto_delivered=False)
    world.cut()
    message = Message(id="m1", sender_id=BOB, dialog_id="d1")
    world.core.open_session.send_marker("displayed", message, world.now)
    reconnect(world)
    (stanza,) = world.server.named("message")
    assert stanza.find(f"{{{MARKERS}}}displayed") is not None


def test_typing_is_dropped_while_the_link_is_down() -> None:
    world = ready()
    composing = encode_chat_state("composing", BOB_JID)
    world.core.open_session.send_ephemeral(composing)
    world.after()
    world.settle()
    assert len(world.server.named("message")) == 1
    world.cut()
    world.core.open_session.send_ephemeral(composing)
    reconnect(world)
    assert len(world.server.named("message")) == 1
    assert world.core.counters.ephemeral_dropped == 1


def test_typing_under_way_when_the_session_was_lost_is_not_sent_again() -> None:
    world = ready()
    world.core.open_session.send_ephemeral(encode_chat_state("composing", BOB_JID))
    world.after()
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    assert world.server.named("message") == []


# --- what is not understood -----------------------------------------------------------------------


def test_what_means_nothing_is_counted_and_acknowledged() -> None:
    world = ready()
    for stanza in (
        "<presence from='x@y'/>",
        "<message type='headline'/>",
        "<iq type='result' id='q'/>",
    ):
        world.server.send(stanza)
    world.server.ask()
    world.settle()
    session = world.server.session
    assert session is not None and session.acknowledged == ANSWERED + 3
    assert world.core.counters.not_understood == 2
    assert world.core.counters.unclaimed_answers == 1


def test_the_password_is_in_nothing_that_is_told() -> None:
    world = ready()
    world.send(1)
    world.cut()
    reconnect(world)
    told = repr((world.deliveries, world.settled, world.answers, world.core.credentials))
    assert PASSWORD not in told
