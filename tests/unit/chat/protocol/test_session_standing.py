"""What is asked anew in every session, who may push what, and the counters; against a simulated server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.encoding import encode_message
from connectycube.chat.protocol.outbox import Submission
from connectycube.errors import NotConnectedError, StanzaError
from connectycube.models import ChatState, DialogRef, LastActivity, Message, Presence
from connectycube.models._json import EPOCH
from tests.support.inside import session_of
from tests.support.simulation.simulated import (
    ADDRESSES,
    ALICE,
    BOB,
    BOB_JID,
    HOST,
    MARKERS,
    text_message,
)
from tests.support.simulation.world import World, ids, ready, reconnect
from tests.unit.chat.protocol.trees import odd_stanzas

BEGINNING = ["enable", "query"]  # carbons and contacts, in every session
CLIENT_STATE = "urn:xmpp:csi:0"
CARBONS, MOBILE = "urn:xmpp:carbons:2", "http://tigase.org/protocol/mobile#v2"
STREAMING = "https://connectycube.com/protocol/status_streaming"
SUBSCRIBE = f'<subscribe xmlns="{STREAMING}" user_jid="{BOB_JID}" enable="true"/>'
INACTIVE = f'<mobile xmlns="{MOBILE}" enable="true"/>'
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
REFUSED = (
    "<iq type='error' id='{id}' from='chat.example'><error type='cancel'>"
    f"<service-unavailable xmlns='{STANZAS}'/></error></iq>"
)
ROOM_DIALOG = DialogRef.room("d9")
ROOM = ADDRESSES.room("d9")


def asked(world: World) -> list[str]:
    """The names of the requests that the server has handled, in order."""
    return [iq[0].tag.rpartition("}")[2] for iq in world.server.named("iq")]


def watching() -> World:
    """A world that asks for Bob's activity and is inactive."""
    world = ready()
    world.core.open_session.remember(("activity", str(BOB)), "set", None, SUBSCRIBE)
    world.core.open_session.remember("inactive", "set", None, INACTIVE)
    return world


# --- standing requests ----------------------------------------------------------------------------


def test_carbons_and_contacts_are_asked_for_behind_the_presence() -> None:
    world = ready()
    first, second, third = world.server.stanzas[:3]
    assert first.tag == "{jabber:client}presence"
    assert second.find(f"{{{CARBONS}}}enable") is not None
    assert third.find("{jabber:iq:roster}query") is not None
    assert second.attrib.get("to") is third.attrib.get("to") is None


def test_what_is_remembered_is_asked_for_in_a_new_session() -> None:
    world = watching()
    assert asked(world) == BEGINNING, "remembering asks for nothing in this session"
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    assert world.core.state is ChatState.READY
    assert asked(world) == [*BEGINNING, *BEGINNING, "subscribe", "mobile"]
    subscribe, mobile = (iq[0].attrib for iq in world.server.named("iq")[4:])
    assert subscribe == {"user_jid": BOB_JID, "enable": "true"} and mobile == {"enable": "true"}


def client_states(world: World) -> list[str]:
    tags = [element.tag for element in world.server.states]
    return [tag.rpartition("}")[2] for tag in tags]


@pytest.mark.parametrize("resumes", [True, False])
def test_an_inactive_client_says_so_on_each_link_until_it_is_active(resumes: bool) -> None:
    world = World()
    world.server.session_feature = f"<csi xmlns='{CLIENT_STATE}'/>"
    world.login()
    assert world.core.session.set_client_state(is_active=False)
    world.after()
    for _ in range(2):
        world.settle()
        world.cut()
        if not resumes:
            world.server.forget_sessions()
        reconnect(world)
    assert client_states(world) == ["inactive"] * 3
    assert world.core.session.set_client_state(is_active=True)
    world.after()
    reconnected = world.core.is_ready
    world.settle()
    assert reconnected and client_states(world)[3:] == ["active"]
    assert not world.core.session.set_client_state(is_active=True)


def test_a_server_without_client_states_is_told_none() -> None:
    world = ready()
    assert not world.core.session.set_client_state(is_active=False)
    world.after()
    world.settle()
    assert client_states(world) == []


def test_a_resumed_session_has_it_all_and_is_asked_for_nothing() -> None:
    world = watching()
    world.settle()
    before = list(world.server.stanzas)
    world.cut()
    reconnect(world)
    assert world.core.state is ChatState.RESUMED
    assert world.server.stanzas == before


def test_a_cut_off_request_is_replayed_on_resumption_and_not_made_twice() -> None:
    world = ready()
    world.cut()
    world.server.forget_sessions()
    world.core.relogin(world.now)
    world.after()
    while world.server.session is None or session_of(world.core).resumable is None:
        assert world.connect() or world.upstream() or world.downstream()
    assert asked(world) == BEGINNING, "those of the first session alone"
    world.cut()
    reconnect(world)
    assert world.core.state is ChatState.READY
    assert asked(world) == [*BEGINNING, *BEGINNING]


def test_nothing_is_remembered_for_who_is_told_that_nobody_is_logged_in() -> None:
    world = World()
    with pytest.raises(NotConnectedError):
        world.core.open_session.remember("inactive", "set", None, INACTIVE)
    world.login()
    assert asked(world) == BEGINNING
    world.close()
    with pytest.raises(NotConnectedError):
        world.core.open_session.remember("inactive", "set", None, INACTIVE)
    world.login()
    assert asked(world) == [*BEGINNING, *BEGINNING]


def test_what_was_forgotten_is_not_asked_for_again() -> None:
    world = watching()
    world.core.session.forget("inactive")
    world.core.session.forget(("activity", "999"))
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    assert asked(world) == [*BEGINNING, *BEGINNING, "subscribe"]


def test_standing_requests_survive_a_logout_but_not_a_reset() -> None:
    world = watching()
    world.close()
    world.login()
    assert asked(world) == [*BEGINNING, *BEGINNING, "subscribe", "mobile"]
    world.close()
    world.core.reset()
    world.login()
    assert asked(world)[6:] == BEGINNING


def test_refusals_of_what_nobody_waits_for_are_counted() -> None:
    world = watching()
    world.server.replies["subscribe"] = world.server.replies["mobile"] = REFUSED
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    assert world.core.counters.refused == 2
    assert world.answers == [] and world.core.state is ChatState.READY
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    assert world.core.counters.refused == 4, "and made again in the next session"


def test_answers_to_what_nobody_waits_for_are_no_news() -> None:
    world = watching()
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    assert world.answers == []
    assert world.core.counters.refused == world.core.counters.unclaimed_answers == 0
    assert len(session_of(world.core)._requests) == 0


def test_requests_that_nobody_waits_for_end_silently_with_their_session() -> None:
    world = watching()
    world.server.replies["mobile"] = ""
    for _ in range(2):
        world.cut()
        world.server.forget_sessions()
        reconnect(world)
        assert len(session_of(world.core)._requests) == 1
    assert world.answers == []


# --- pushes ---------------------------------------------------------------------------------------


def activity(user: int = BOB, kind: str = "set") -> str:
    return (
        f"<iq type='{kind}' id='a1' from='{ADDRESSES.user(user)}/phone'>"
        "<query xmlns='jabber:iq:last' seconds='0'/></iq>"
    )


def test_the_activity_of_users_whom_we_watch_is_an_event_and_answered() -> None:
    world = watching()
    world.server.send(activity())
    world.settle()
    assert world.events("last_activity_changed") == [LastActivity(user_id=BOB, seconds=0)]
    assert world.server.named("iq")[-1].attrib["type"] == "result"
    world.core.session.forget(("activity", str(BOB)))
    world.server.send(activity())
    world.settle()
    assert len(world.events("last_activity_changed")) == 1, "watched no longer"


def test_the_activity_of_anybody_else_is_refused_and_no_event() -> None:
    world = watching()
    world.server.send(activity(1003))
    world.settle()
    assert world.events("last_activity_changed") == []
    reply = world.server.named("iq")[-1]
    assert (reply.attrib["type"], reply.attrib["to"]) == ("error", ADDRESSES.user(1003) + "/phone")
    assert world.core.counters.not_understood == 1


def test_an_answer_about_activity_that_comes_too_late_is_only_counted() -> None:
    world = ready()
    world.server.send(activity(kind="result"))
    world.settle()
    assert world.events("last_activity_changed") == []
    counters = world.core.counters
    assert (counters.unclaimed_answers, counters.forged, counters.not_understood) == (1, 0, 0)


@pytest.mark.parametrize("namespace", ["jabber:iq:roster", "jabber:iq:privacy"])
@pytest.mark.parametrize(
    ("sender", "forged"),
    [
        (None, 0),
        (ADDRESSES.user(ALICE), 0),
        (HOST, 1),
        (f"{HOST}/x", 1),
        (f"{ADDRESSES.user(ALICE)}/phone", 1),
        (BOB_JID, 1),
        (f"{ADDRESSES.user(BOB)}/phone", 1),
    ],
)
def test_a_forged_roster_or_privacy_push_is_refused_and_an_own_answered(
    namespace: str, sender: str | None, forged: int
) -> None:
    world = ready()
    said = f" from='{sender}'" if sender else ""
    world.server.send(f"<iq type='set' id='p1'{said}><query xmlns='{namespace}'/></iq>")
    world.settle()
    reply = world.server.named("iq")[-1]
    assert (reply.attrib["id"], reply.attrib.get("to")) == ("p1", sender)
    assert reply.attrib["type"] == ("error" if forged else "result")
    assert (world.core.counters.forged, world.core.counters.not_understood) == (forged, 0)


# --- the counters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stanza", "counter"),
    [
        (
            f"<message from='{BOB_JID}/x' type='headline'><extraParams><moduleIdentifier>"
            "WebRTCVideoChat</moduleIdentifier></extraParams></message>",
            "calls",
        ),
        (
            f"<message from='{BOB_JID}'><received xmlns='{CARBONS}'><forwarded"
            f" xmlns='urn:xmpp:forward:0'>{text_message(1)}</forwarded></received></message>",
            "forged",
        ),
        (f"<presence from='{ADDRESSES.user(ALICE)}/desk'/>", "own_echoes"),
        (
            f"<message from='{ADDRESSES.user(ALICE)}/desk' to='{BOB_JID}' type='chat'>"
            "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
            "own_echoes",
        ),
        (f"<message from='{BOB_JID}' type='chat'/>", "not_understood"),
        (
            f"<message from='{ROOM}/1002' type='chat'><body>whisper</body></message>",
            "not_understood",
        ),
        (f"<presence from='{ROOM}/1002'/>", "not_understood"),
        ("<presence from='chat.example'/>", "not_understood"),
        ("<iq type='set' id='1'><query xmlns='urn:foreign'/></iq>", "not_understood"),
        ("<iq type='get'><query xmlns='urn:foreign'/></iq>", "not_understood"),
        ("<iq type='error' id='1'/>", "unclaimed_answers"),
        ("<iq type='result'/>", "unclaimed_answers"),
    ],
)
def test_what_makes_no_event_is_counted_once_by_its_reason(stanza: str, counter: str) -> None:
    world = ready()
    deliveries = len(world.deliveries)
    world.server.send(stanza)
    world.settle()
    counted = {
        name: value
        for name in world.core.counters.__slots__
        if not name.startswith("__") and (value := getattr(world.core.counters, name))
    }
    assert counted == {counter: 1}
    assert len(world.deliveries) == deliveries


def test_a_message_seen_before_is_counted_as_repeated() -> None:
    world = ready()
    world.server.send(text_message(1))
    world.server.send(text_message(1))
    world.settle()
    assert world.received == [1] and world.core.counters.repeated == 1


def test_counters_go_on_over_sessions_and_logins() -> None:
    world = ready()
    world.server.send("<presence from='chat.example'/>")
    world.settle()
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    world.close()
    world.core.reset()
    world.login()
    assert world.core.counters.not_understood == 1


# --- own echoes of rooms --------------------------------------------------------------------------


def send_to_room(world: World, message_id: str = ids(1)[0]) -> Submission:
    message = Message(id=message_id, body="1", date_sent=EPOCH, dialog=ROOM_DIALOG)
    submission = Submission(message_id, ROOM, ROOM_DIALOG, message)
    world.core.open_session.submit(
        submission, encode_message(message, ROOM, "groupchat"), world.now
    )
    world.submissions.append(submission)
    world.after()
    world.settle()
    return submission


def in_room(
    message_id: str, nick: object = ALICE, params: str = "", content: str = "<body>1</body>"
) -> str:
    return (
        f"<message from='{ROOM}/{nick}' to='{ADDRESSES.user(ALICE)}' type='groupchat'"
        f" id='{message_id}'>{content}<extraParams>{params}</extraParams>"
        f"<markable xmlns='{MARKERS}'/></message>"
    )


@pytest.mark.parametrize("message_id", [ids(1)[0], "an-id-of-mine"])
@pytest.mark.parametrize("params", ["", f"<message_id>{'f' * 24}</message_id>"])
def test_a_rooms_echo_only_adds_the_servers_copy(message_id: str, params: str) -> None:
    world = ready()
    submission = send_to_room(world, message_id)
    for _ in range(2):
        world.server.send(in_room(message_id, params=params))
    world.settle()
    (echo,) = world.echoes
    assert echo.submission is submission and echo.message.own
    assert world.received == [] and world.server.delivered() == []
    assert world.outcome(submission) == "sent", "by the acknowledgement, whatever the room says"
    assert world.core.counters.own_echoes == 2


def test_an_echo_is_told_by_room_nick_and_id_together() -> None:
    world = ready()
    send_to_room(world)
    mine = ids(1)[0]
    world.server.send(in_room(mine, nick=BOB))
    world.server.send(in_room(ids(2)[0]))
    world.server.send(in_room(mine).replace("7_d9@", "7_d8@"))
    world.settle()
    assert world.echoes == []
    senders = [(m.sender_id, m.dialog_id, m.own) for m in world.messages]
    assert senders == [(BOB, "d9", False), (ALICE, "d9", True), (ALICE, "d8", True)]


def test_an_own_edits_echo_is_no_news_but_another_devices_edit_is() -> None:
    world = ready()
    submission = Submission("own-edit", ROOM, ROOM_DIALOG)
    world.core.open_session.submit(submission, b"<message id='own-edit'/>", world.now)
    world.after()
    edit = "<body>2</body><replace xmlns='urn:xmpp:message-correct:0' id='m'/>"
    world.server.send(in_room("own-edit", content=edit))
    world.server.send(in_room("other-edit", content=edit))
    world.settle()
    (change,) = world.events("message_edited")
    assert change.own and world.core.counters.own_echoes == 1


def test_a_message_whose_echo_was_lost_in_a_full_queue_is_still_no_news() -> None:
    world = ready()
    send_to_room(world)
    world.core.hold_link(world.now)
    world.room = 0
    world.server.send(text_message(5))
    world.settle()
    world.server.send(in_room(ids(1)[0]))
    world.settle()
    assert world.overheard == [] and world.echoes == []
    world.core.release_link()
    world.room = None
    world.drain()
    world.settle()
    world.advance(60)
    assert world.received == [5] and len(world.echoes) == 1


# --- 'delivered' ----------------------------------------------------------------------------------


def carbon_of(stanza: str, kind: str) -> str:
    inner = stanza.replace("<message", "<message xmlns='jabber:client'", 1)
    return (
        f"<message from='{ADDRESSES.user(ALICE)}' type='chat'><{kind} xmlns='{CARBONS}'><forwarded"
        f" xmlns='urn:xmpp:forward:0'>{inner}</forwarded></{kind}></message>"
    )


DELAY = "<delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:00Z'/>"


@pytest.mark.parametrize(
    ("stanza", "received"),
    [
        (carbon_of(text_message(1), "received"), 1),
        (carbon_of(text_message(1, sender=ALICE, to=BOB), "sent"), 1),
        (in_room(ids(1)[0], nick=ALICE), 1),
        (in_room(ids(1)[0], nick=BOB, content="<body>1</body>" + DELAY), 1),
        (in_room(ids(1)[0], nick="bob"), 0),
        (
            text_message(1).replace(
                "<body>", "<replace xmlns='urn:xmpp:message-correct:0' id='m'/><body>"
            ),
            0,
        ),
        (
            text_message(1).replace(
                "<body>", "<remove xmlns='urn:xmpp:message-delete:0' id='m'/><body>"
            ),
            0,
        ),
    ],
    ids=["carbon", "own carbon", "own", "room history", "room's", "edit", "deletion"],
)
def test_delivered_is_never_said_for(stanza: str, received: int) -> None:
    world = ready()
    world.server.send(stanza)
    world.settle()
    assert len(world.received) == received and world.server.delivered() == []


@pytest.mark.parametrize(
    "stanza",
    [text_message(1), text_message(1).replace("<body>", DELAY + "<body>"), in_room(ids(1)[0], BOB)],
    ids=["private", "offline", "room"],
)
def test_delivered_is_said_once_to_the_sender_however_often_it_comes(stanza: str) -> None:
    world = ready()
    world.server.send(stanza)
    world.settle()
    world.cut()
    world.server.forget_sessions()
    reconnect(world)
    world.server.send(stanza)
    world.server.send(carbon_of(stanza, "received"))
    world.settle()
    assert world.received == [1]
    (marker,) = world.server.named("message")
    assert (marker.attrib["to"], marker.attrib["type"]) == (BOB_JID, "chat")
    assert world.server.delivered() == ids(1)


def test_delivered_is_said_once_for_what_found_no_room_at_first() -> None:
    world = ready()
    world.room = 1
    for number in range(1, 5):
        world.server.send(text_message(number))
    world.settle()
    assert world.received == [1], "the rest was refused"
    while world.received != [1, 2, 3, 4]:
        before = len(world.received)
        world.drain()
        world.advance(60)
        assert len(world.received) > before
    assert world.server.delivered() == ids(1, 2, 3, 4)


# --- a full queue ---------------------------------------------------------------------------------


def test_events_behind_a_refused_one_are_overheard_in_order_and_repeated() -> None:
    world = ready()
    world.core.open_session.remember(("activity", str(BOB)), "set", None, SUBSCRIBE)
    world.core.hold_link(world.now)  # somebody waits, perhaps inside the slow receiver
    world.room = 0
    world.server.send(text_message(1))
    world.settle()
    world.server.send(text_message(2))
    world.server.send(activity())
    world.server.send(f"<presence from='{BOB_JID}/phone'/>")
    world.settle()
    presence = Presence(user_id=BOB, available=True, resource="phone")
    overheard = [(d.signal, d.sequence is not None) for d in world.overheard]
    signals = ["message_received", "last_activity_changed", "presence_changed"]
    assert overheard == [(signal, True) for signal in signals]
    assert world.core.is_ready and world.received == []
    world.core.release_link()
    world.room = None
    world.drain()
    world.advance(60)
    assert world.received == [1, 2]
    assert world.events("presence_changed") == [presence]
    again = [d for d in world.deliveries if d.signal in signals]
    assert [d.sequence for d in again[1:]] == [d.sequence for d in world.overheard]


def test_what_receivers_have_had_is_not_overheard_again() -> None:
    world = ready()
    world.server.send(text_message(1))
    world.settle()
    world.core.hold_link(world.now)
    world.room = 0
    world.server.send(text_message(2))
    world.settle()
    world.server.send(text_message(1))
    world.settle()
    assert world.overheard == []


# --- whatever comes -------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(odd_stanzas("message", "presence", "iq"), min_size=1, max_size=15))
def test_no_stanza_ends_the_session_and_each_is_acknowledged(stanzas: list[str]) -> None:
    world = ready()
    world.core.ready_session.join(ROOM_DIALOG, "waiter")
    world.after()
    for stanza in stanzas:
        world.server.send(stanza)
    world.server.ask()
    world.settle()
    session: Any = world.server.session
    assert world.core.is_ready and world.link is not None
    assert session.acknowledged >= len(stanzas) and not session.unacknowledged
    assert all(isinstance(delivery, Delivery) for delivery in world.deliveries)
    assert all(isinstance(answer.error, (StanzaError, type(None))) for answer in world.answers)
