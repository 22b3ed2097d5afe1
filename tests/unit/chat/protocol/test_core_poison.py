"""Stanzas that break a stream: one costs itself, whoever sent it, and never the connection."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from connectycube.chat.protocol.outbox import Submission
from connectycube.config import Limits, ReconnectPolicy
from connectycube.errors import (
    ArgumentValueError,
    StanzaError,
    StreamProtocolError,
    UnexpectedAnswerError,
)
from connectycube.models import ChatState, RefusedStanza
from tests.support.simulation.simulated import (
    ADDRESSES,
    BOB,
    HOST,
    Server,
    text_message,
)
from tests.support.simulation.world import World, ids, ready

S = ChatState
LIMITS = Limits(stanza_bytes=2000, stanza_depth=8)
FROM = f"from='{ADDRESSES.user(BOB)}/phone'"

TOO_LARGE = {
    "a message": f"<message {FROM} id='p' type='chat'><body>{'x' * 3000}</body></message>",
    "a message of a room": "<message from='7_r1@muc.chat.example/1002' type='groupchat' id='p'><body>"
    f"{'x' * 3000}</body></message>",
    "a carbon": f"<message from='{ADDRESSES.user(1001)}'><sent xmlns='urn:xmpp:carbons:2'><forwarded"
    f" xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' id='p'><body>{'x' * 3000}</body>"
    "</message></forwarded></sent></message>",
    "a system message": f"<message {FROM} type='headline' id='p'><extraParams><moduleIdentifier>"
    f"SystemNotifications</moduleIdentifier><a>{'x' * 3000}</a></extraParams></message>",
    "an error": f"<message {FROM} type='error' id='p'><body>{'x' * 3000}</body></message>",
    "a presence": f"<presence {FROM} id='p'><status>{'x' * 3000}</status></presence>",
    "a presence of a room": f"<presence from='7_r1@muc.chat.example/1002'><x>{'x' * 3000}</x></presence>",
    "a request": f"<iq {FROM} id='p' type='get'><query xmlns='u'>{'x' * 3000}</query></iq>",
    "a push": f"<iq id='p' type='set'><query xmlns='jabber:iq:roster'>{'x' * 3000}</query></iq>",
    "a result": f"<iq {FROM} id='p' type='result'><query xmlns='u'>{'x' * 3000}</query></iq>",
    "an attribute": f"<message {FROM} id='p' xml:lang='{'x' * 3000}'><body>b</body></message>",
    "a deep message": f"<message {FROM}>{'<a>' * 20}{'</a>' * 20}</message>",
    "a deep presence": f"<presence {FROM}>{'<a>' * 20}{'</a>' * 20}</presence>",
    "a comment": f"<message {FROM} id='p'><body>a<!-- b --></body></message>",
}
NOT_XML = {
    "a control character": f"<message {FROM} id='p'><body>\x01</body></message>",
    "an unknown entity": f"<message {FROM} id='p'><body>&unknown;</body></message>",
    "an unknown prefix": f"<message {FROM} id='p'><p:a/></message>",
    "a name that is none": f"<message {FROM}><extraParams><CO\u2082>v</CO\u2082></extraParams></message>",
    "an attribute twice": "<message a='1' a='2'><body>b</body></message>",
    "a bad reference in a presence": f"<presence {FROM}><status>&#1;</status></presence>",
    "a bad name in an iq": f"<iq {FROM} id='p' type='set'><0/></iq>",
    "a start tag that is none": f"<presence {FROM} x/>",
}
POISON = TOO_LARGE | NOT_XML


def events_of(world: World) -> list[RefusedStanza]:
    return world.events("stanza_refused")


# --- what arrives -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TOO_LARGE)
@pytest.mark.parametrize("managed", [True, False], ids=["counted", "not counted"])
def test_a_stanza_beyond_the_limits_is_passed_over(kind: str, managed: bool) -> None:
    server = Server()
    server.managed = managed
    world = ready(server, limits=LIMITS)
    for stanza in (text_message(1), TOO_LARGE[kind], text_message(2)):
        server.send(stanza)
    world.settle()
    assert world.received == [1, 2] and world.states[-1] is S.READY and server.links == 1
    (refused,) = events_of(world)
    assert refused.kind == TOO_LARGE[kind][1:].split()[0] and refused.reason
    assert world.core.counters.stanzas_refused == 1
    if managed:
        server.ask()
        world.settle()
        assert server.session is not None and not server.session.unacknowledged


@pytest.mark.parametrize("kind", NOT_XML)
def test_a_stanza_that_is_no_xml_costs_a_link_and_not_the_session(kind: str) -> None:
    world = ready(limits=LIMITS)
    for stanza in (text_message(1), NOT_XML[kind], text_message(2)):
        world.server.send(stanza)
    world.advance(60)
    assert world.received == [1, 2]
    assert world.states[-3:] == [S.AUTHENTICATED, S.RESUMED] or world.states[-1] is S.RESUMED
    assert world.server.links == 2 and world.server.outcomes == ["resumed"]
    (refused,) = events_of(world)
    assert "bad XML" in refused.reason
    reasons = [change.reason for change in world.events("state_changed") if change.reason]
    assert [type(reason) for reason in reasons] == [StreamProtocolError]


@pytest.mark.parametrize("kind", POISON)
def test_an_offline_stanza_does_not_fail_the_login(kind: str) -> None:
    server = Server()
    for stanza in (text_message(1), POISON[kind], text_message(2)):
        server.send(stanza)
    world = ready(server, limits=LIMITS) if kind in TOO_LARGE else World(server)
    if kind in NOT_XML:
        world.login()
        world.advance(1)
    assert world.core.is_ready and world.received == [1, 2]
    assert len(events_of(world)) == 1 and S.CLOSED not in world.states


@pytest.mark.parametrize("kind", NOT_XML)
def test_any_number_of_broken_stanzas_is_passed_over(kind: str) -> None:
    world = ready(reconnect=ReconnectPolicy(max_attempts=2, delay=1.0))
    for number in range(1, 13):
        world.server.send(text_message(number))
        world.server.send(NOT_XML[kind])
    world.advance(60)
    assert world.received == list(range(1, 13)) and world.core.is_ready
    # After eight such links the session is given up, and with it what is no message.
    assert len(events_of(world)) == 12 if "message" in NOT_XML[kind] else 8


@pytest.mark.parametrize("kind", NOT_XML)
def test_a_broken_stanza_is_not_sent_again_in_a_new_session(kind: str) -> None:
    world = ready()
    for stanza in (text_message(1), NOT_XML[kind], text_message(2)):
        world.server.send(stanza)
    world.settle()
    world.advance(0)  # the link ends
    world.server.forget_sessions()
    world.advance(60)
    assert world.core.is_ready and world.received == [1, 2]
    assert len(events_of(world)) == 1


def test_without_counting_a_broken_stanza_costs_the_session_only() -> None:
    server = Server()
    server.managed = False
    world = ready(server)
    server.send(text_message(1))
    server.send(NOT_XML["an unknown entity"])
    world.advance(30)
    server.send(text_message(2))
    world.settle()
    assert world.core.is_ready and world.received == [1, 2]


def test_what_was_rejected_before_a_broken_stanza_comes_again() -> None:
    world = ready()
    world.room = 1
    for stanza in (text_message(1), text_message(2), NOT_XML["an unknown entity"]):
        world.server.send(stanza)
    world.settle()
    assert world.received == [1]
    world.room = None
    world.drain()
    world.advance(60)
    assert world.received == [1, 2] and world.core.is_ready


def test_a_request_that_is_too_large_is_answered() -> None:
    world = ready(limits=LIMITS)
    world.server.send(TOO_LARGE["a request"])
    world.settle()
    answer = world.server.named("iq")[-1]
    assert (answer.attrib["type"], answer.attrib["id"]) == ("error", "p")
    assert answer.attrib["to"] == f"{ADDRESSES.user(BOB)}/phone"
    assert answer.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}not-acceptable") is not None


def test_an_answer_that_is_too_large_reaches_its_caller_as_an_error() -> None:
    world = ready(limits=LIMITS)
    world.server.replies["ping"] = (
        f"<iq type='result' id='{{id}}' from='{HOST}'><a>{'x' * 3000}</a></iq>"
    )
    world.request("waiter")
    world.settle()
    (answer,) = world.answers
    assert answer.waiter == "waiter" and isinstance(answer.error, UnexpectedAnswerError)


def test_what_the_event_says_of_the_sender() -> None:
    world = ready(limits=LIMITS)
    for kind in ("a message", "a message of a room", "a push"):
        world.server.send(TOO_LARGE[kind])
    world.settle()
    private, room, push = events_of(world)
    assert (private.user_id, private.dialog_id, private.id) == (BOB, None, "p")
    assert private.sender == f"{ADDRESSES.user(BOB)}/phone" and private.size > 3000
    assert (room.user_id, room.dialog_id) == (1002, "r1")
    assert (push.kind, push.sender, push.user_id) == ("iq", None, None)


def test_an_endless_stanza_ends_the_link_and_is_passed_over() -> None:
    world = ready(limits=LIMITS)
    world.server.send(text_message(1))
    stanza = f"<message {FROM} id='p'><body>{'x' * 4000}"
    world.server.push(stanza)  # and no end
    world.advance(60)
    assert world.core.is_ready and world.received == [1]
    (refused,) = events_of(world)
    assert "more than 10 seconds" in refused.reason
    world.server.send(text_message(2))
    world.settle()
    assert world.received == [1, 2]


UNENDED = {
    "a body": f"<message {FROM} id='p' type='chat'><body>half",
    "a message": f"<message {FROM} id='p' type='chat'><body>b</body>",
    "parameters": f"<message {FROM} id='p'><extraParams><a>",
    "a character data section": f"<message {FROM} id='p'><body><![CDATA[half",
    "a comment": f"<message {FROM} id='p'><body/><!-- half ",
    "a presence": f"<presence {FROM} id='p'><status>half",
    "a request": f"<iq {FROM} id='p' type='get'><query xmlns='u'>",
}
"""Stanzas without an end: what the server writes behind one is read as its content."""


@pytest.mark.parametrize("kind", UNENDED)
def test_a_stanza_without_an_end_costs_a_link_and_nothing_behind_it(kind: str) -> None:
    world = ready()
    world.server.write(UNENDED[kind])  # which the server does not count: a fault of this link
    world.server.send(text_message(1))
    submission = world.send(7)
    world.settle()
    assert world.received == []
    world.advance(60)
    world.server.send(text_message(2))
    world.settle()
    assert world.received == [1, 2] and world.outcome(submission) == "sent"
    assert world.server.links == 2 and world.server.outcomes == ["resumed"]
    assert events_of(world) == []


@pytest.mark.parametrize("kind", UNENDED)
@pytest.mark.parametrize("resumable", [True, False], ids=["resumable", "not resumable"])
def test_a_stanza_without_an_end_that_comes_again_is_passed_over(
    kind: str, resumable: bool
) -> None:
    server = Server()
    server.resumable = resumable
    world = ready(server, reconnect=ReconnectPolicy(max_attempts=None))
    for stanza in (text_message(1), UNENDED[kind], text_message(2)):
        server.send(stanza)
    submission = world.send(7)
    for _ in range(9):
        world.advance(20)
        world.answer_lookups()
    server.send(text_message(3))
    world.settle()
    assert world.core.is_ready and world.received == [1, 2, 3]
    assert world.outcome(submission) == "sent"
    assert server.links <= 3
    if resumable or "<message" in UNENDED[kind]:  # the server keeps only messages
        (refused,) = events_of(world)
        assert refused.reason == "the server did not end this stanza"


def test_half_a_stanza_on_a_frozen_link_is_no_endless_one() -> None:
    world = ready(reconnect=ReconnectPolicy(max_attempts=None))
    told = text_message(1).replace("<body>1", "<body>&lt;a xmlns='urn:xmpp:sm:3' h='1'/&gt;")
    world.server.send(told)
    for _ in range(3):
        while world.link is None or told.encode() not in world.link.to_client:
            assert world.connect() or world.upstream() or world.downstream()
        world.downstream(world.link.to_client.index(b"</body>"))
        world.advance(46, settle=False)
        world.core.relogin(world.now)
        world.after()
    world.settle()
    assert world.server.links == 4
    (message,) = world.events("message_received")
    assert message.body == "<a xmlns='urn:xmpp:sm:3' h='1'/>" and events_of(world) == []


def test_the_ends_of_broken_streams_give_up_a_session_that_goes_nowhere() -> None:
    world = ready(reconnect=ReconnectPolicy(max_attempts=None, delay=1.0))
    session = world.server.session
    assert session is not None
    session.acknowledge = lambda h: None  # type: ignore[method-assign]  # so it is sent again for ever
    world.server.send(NOT_XML["an unknown entity"])
    world.server.keeps_offline = False
    world.advance(60)
    assert world.states[-1] is S.READY, "a new session, not a resumed one"
    assert world.states.count(S.RESUMED) >= 2


PIECES = st.sampled_from(
    [
        *(
            "<",
            ">",
            "/",
            "&",
            ";",
            "#",
            "'",
            '"',
            "=",
            " ",
            "!",
            "-",
            "--",
            "[",
            "]]>",
            "<![CDATA[",
        ),
        *("<!--", "-->", "<?", "?>", "<a", "</a>", "<a/>", "xmlns", ":", "\0", "\x0b", "\ufffe"),
        *("&amp;", "&lt;", "&#0;", "&#x10FFFF;", "<!DOCTYPE x>", "body", "<body>", "</body>"),
        *("x" * 1500, "<a>" * 9),
    ]
)


def ends(stanza: str) -> bool:
    """Whether a stanza is at its end, or broken before it; one that goes on swallows what follows."""
    parser = expat.ParserCreate()
    try:
        parser.Parse(f"<stream>{stanza}", False)
    except expat.ExpatError:
        return True
    try:
        parser.Parse("</stream>", True)
    except expat.ExpatError:
        return False
    return True


@example(["<body>", ">", "</body>"], "message")
@given(st.lists(PIECES, max_size=12), st.sampled_from(["message", "presence", "iq"]))
def test_no_content_of_a_stanza_costs_more_than_the_stanza(pieces: list[str], name: str) -> None:
    content = "".join(pieces)
    assume(f"</{name}" not in content and ends(f"<{name}>{content}</{name}>"))
    world = ready(limits=LIMITS, reconnect=ReconnectPolicy(max_attempts=1, delay=1.0))
    for stanza in (text_message(1), f"<{name} {FROM} id='p'>{content}</{name}>", text_message(2)):
        world.server.send(stanza)
    world.advance(60)
    messages = world.events("message_received")
    bodies = [message.body for message in messages if message.id != "p"]  # it may be a message
    assert world.core.is_ready and bodies == ["1", "2"]


# --- what we send -----------------------------------------------------------------------------------


def refuses(*numbers: int, condition: str = "policy-violation") -> Any:
    """A server that ends the stream when it gets one of these messages."""
    bodies = [str(number) for number in numbers]

    def refusal(stanza: ElementTree.Element) -> str | None:
        return condition if stanza.findtext("{jabber:client}body") in bodies else None

    return refusal


@pytest.mark.parametrize("keeps", [False, True], ids=["session ended", "session kept"])
@pytest.mark.parametrize("managed", [True, False], ids=["counted", "not counted"])
@pytest.mark.parametrize("most", [5, None])
def test_a_message_that_ends_the_stream_fails_alone(
    keeps: bool, managed: bool, most: int | None
) -> None:
    server = Server()
    server.managed, server.keeps_session_after_refusal = managed, keeps
    server.refuses = refuses(2)
    world = ready(server, reconnect=ReconnectPolicy(max_attempts=most))
    submissions = [world.send(number) for number in range(1, 5)]
    for _ in range(60):
        world.advance(2)
        world.answer_lookups()
    assert world.core.is_ready
    assert [world.outcome(s) for s in submissions] == ["sent", StanzaError, "sent", "sent"]
    assert server.messages() == ids(1, 3, 4)
    (failure,) = world.events("message_failed")
    assert (failure.message_id, failure.condition) == (ids(2)[0], "policy-violation")


def test_several_messages_that_end_the_stream_fail_one_by_one() -> None:
    server = Server()
    server.refuses = refuses(1, 3, 4, 6)
    world = ready(server, reconnect=ReconnectPolicy(max_attempts=2))
    submissions = [world.send(number) for number in range(1, 8)]
    for _ in range(300):
        world.advance(2)
        world.answer_lookups()
    assert world.core.is_ready
    outcomes = [world.outcome(s) for s in submissions]
    assert outcomes == [StanzaError, "sent", StanzaError, StanzaError, "sent", StanzaError, "sent"]
    assert server.messages() == ids(2, 5, 7)


def test_a_durable_message_that_ends_the_stream_is_not_deferred() -> None:
    server = Server()
    server.refuses = refuses(1)
    world = ready(server)
    submission: Submission = world.send(1)
    submission.durable = True
    for _ in range(60):
        world.advance(2)
        world.answer_lookups()
    assert world.core.is_ready and world.outcome(submission) is StanzaError


def test_a_stream_error_of_another_kind_makes_no_suspect() -> None:
    server = Server()
    server.refuses = refuses(1, condition="system-shutdown")
    world = ready(server)
    submission = world.send(1)
    for _ in range(10):
        world.advance(2)
        world.answer_lookups()
    server.refuses = lambda stanza: None
    for _ in range(60):
        world.advance(2)
        world.answer_lookups()
    assert world.outcome(submission) == "sent"


def test_a_message_that_was_suspected_wrongly_is_sent() -> None:
    server = Server()
    world = ready(server)
    submission = world.send(1)
    server.write(
        "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        "</stream:error></stream:stream>"
    )
    for _ in range(60):
        world.advance(2)
        world.answer_lookups()
    assert world.core.is_ready and world.outcome(submission) == "sent"


def test_a_suspect_is_sent_alone() -> None:
    server = Server()
    server.refuses = refuses(1)
    world = ready(server)
    for number in (1, 2, 3):
        world.send(number)
    world.settle()
    server.refuses = lambda stanza: None

    def falls_silent(stanza: ElementTree.Element) -> None:
        server.answers_questions = False

    server.handles = falls_silent
    world.advance(6)
    world.answer_lookups()
    world.settle()
    world.request("waiter")
    world.settle()
    assert server.messages() == ids(1), "the others wait for the acknowledgement"
    assert world.answers == []
    server.answers_questions, server.handles = True, lambda stanza: None
    server.acknowledge()
    world.settle()
    assert server.messages() == ids(1, 2, 3)
    assert [answer.waiter for answer in world.answers] == ["waiter"]


def test_a_request_larger_than_the_limit_is_refused_with_advice() -> None:
    world = ready(limits=Limits(message_bytes=500))
    with pytest.raises(
        ArgumentValueError, match=r"request is too large: \d+ bytes .* takes 500 .*upload"
    ):
        world.core.ready_session.request("set", None, "<a/>" * 200, "waiter")
    assert world.core.is_ready


@pytest.mark.parametrize(
    ("told", "most"),
    [("20000", 20_000), ("5", 10_000), ("", 500), ("many", 500), ("-1", 500), ("9" * 13, 500)],
)
def test_the_limit_that_the_server_names_counts(told: str, most: int) -> None:
    server = Server()
    server.session_feature = (
        f"<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>{told}</max-bytes></limits>"
    )
    world = ready(server, limits=Limits(message_bytes=500))
    assert world.core.open_session.most_bytes == most


# --- counts that cannot be --------------------------------------------------------------------------


def test_two_too_many_in_each_count_lose_nothing() -> None:
    world = ready()
    world.server.counts_too_many = 2
    for number in (1, 2, 3, 4):
        submission = world.send(number)
        world.advance(60)
        world.answer_lookups()
        assert world.outcome(submission) == "sent"
    assert world.server.messages() == ids(1, 2, 3, 4)


WRONG_COUNTS = [" h='99'", "", " h=''", " h='many'", " h='+3'", " h='4.0'", f" h='{2**32}'"]


@pytest.mark.parametrize("count", WRONG_COUNTS)
def test_a_server_that_counts_wrongly_is_used_without_counting(count: str) -> None:
    world = ready()
    server = world.server
    server.replies["r"] = f"<a xmlns='urn:xmpp:sm:3'{count}/>"
    submissions = [world.send(number) for number in (1, 2, 3)]
    for _ in range(30):
        world.advance(2)
        world.answer_lookups()
    assert world.core.is_ready and [world.outcome(s) for s in submissions] == ["sent"] * 3
    late = world.send(4)
    world.advance(60)
    assert world.outcome(late) == "sent" and world.states.count(S.FORCE_CLOSED) == 1


@pytest.mark.parametrize("answer", ["resumed", "failed"])
@pytest.mark.parametrize("count", [" h='99'", " h='many'", f" h='{2**32}'"])
def test_a_wrong_count_at_the_resumption_is_followed_by_a_new_session(
    answer: str, count: str
) -> None:
    world = ready()
    world.server.replies["resume"] = f"<{answer} xmlns='urn:xmpp:sm:3'{count}/>"
    world.cut()
    world.advance(60)
    sent = world.send(1)
    world.advance(60)
    assert world.core.is_ready and world.outcome(sent) == "sent"
    assert world.states.count(S.FORCE_CLOSED) == 2
