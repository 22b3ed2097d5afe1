"""What others send has bounds, and takes no room from what this user sends; against a simulated server."""

from __future__ import annotations

import json

import pytest

from connectycube.chat.protocol import inbound, rooms
from connectycube.chat.protocol.decoding import Delivery
from connectycube.chat.protocol.encoding import encode_chat_state
from connectycube.chat.protocol.seen_messages import Content, SeenMessages, short_id
from connectycube.config import Limits
from connectycube.models import DialogRef
from tests.support.inside import session_of
from tests.support.simulation.simulated import ADDRESSES, ALICE, BOB, BOB_JID, HOST, config
from tests.support.simulation.world import World, ids, ready

ROOM_ID = "5f3a1b2c3d4e5f6071829304"
ROOM = ADDRESSES.room(ROOM_ID)
LIMITS = Limits(
    outbound_stanzas=100, outbound_bytes=20_000, background_stanzas=200, background_bytes=20_000
)
PING = "<ping xmlns='urn:xmpp:ping'/>"
MARKABLE = "<markable xmlns='urn:xmpp:chat-markers:0'/>"


def limited(**changes: object) -> World:
    world = ready(limits=LIMITS, **changes)
    world.settle()
    return world


def joined() -> World:
    world = ready()
    world.core.session.enter_room(DialogRef.room(ROOM_ID))
    world.server.send(
        f"<presence from='{ROOM}/{ALICE}'><x xmlns='http://jabber.org/protocol/muc#user'>"
        "<status code='110'/></x></presence>"
    )
    world.settle()
    return world


# --- acknowledgements ---------------------------------------------------------------------------


def test_requests_beyond_a_tenth_of_the_bound_ask_for_an_acknowledgement() -> None:
    world = limited()
    before = world.server.questions
    for waiter in range(9):
        world.request(waiter)
    world.advance(0)
    assert world.server.questions == before
    for waiter in range(9, 20):
        world.request(waiter)
    world.advance(0)
    assert world.server.questions > before
    assert not session_of(world.core).unfinished


def test_answers_beyond_a_tenth_of_the_bound_ask_for_an_acknowledgement() -> None:
    world = limited()
    before = world.server.questions
    for number in range(50):
        world.server.send(f"<iq type='get' from='{ROOM}/666' id='p{number}'>{PING}</iq>")
    world.advance(0)
    assert world.server.questions > before
    assert not session_of(world.core).unfinished


FLOODS = {
    "pings": f"<iq type='get' from='{ROOM}/666' id='p{{0}}'>{PING}</iq>",
    "unknown requests": "<iq type='set' from='x@evil.example' id='{0}'><x xmlns='urn:x'/></iq>",
    "forged pushes": f"<iq type='set' from='{HOST}' id='{{0}}'><query xmlns='jabber:iq:roster'/></iq>",
    "markable messages": (
        f"<message from='{BOB_JID}' type='chat' id='{{0:024x}}'><body>{{0}}</body>{MARKABLE}</message>"
    ),
}


@pytest.mark.parametrize("stanza", FLOODS.values(), ids=FLOODS)
def test_what_no_caller_sends_is_bounded_and_takes_no_room(stanza: str) -> None:
    world = limited()
    world.server.replies["r"] = "<a xmlns='urn:xmpp:sm:3' h='3'/>"  # it acknowledges nothing
    for number in range(1000):
        world.server.send(stanza.format(number))
    world.settle()
    session = session_of(world.core)
    assert session.unfinished <= LIMITS.background_stanzas
    assert world.core.counters.background_dropped >= 1000 - LIMITS.background_stanzas
    assert session.has_room(LIMITS.outbound_bytes)
    world.send(2000)
    world.settle()
    assert world.server.messages() == ids(2000)


def test_typing_beyond_the_bound_is_dropped() -> None:
    world = limited()
    world.server.replies["r"] = "<a xmlns='urn:xmpp:sm:3' h='3'/>"
    for _ in range(1000):
        world.core.session.send_ephemeral(encode_chat_state("composing", BOB_JID))
        world.after()
    assert session_of(world.core).unfinished <= LIMITS.background_stanzas
    assert session_of(world.core).has_room(1)


# --- what is remembered -------------------------------------------------------------------------


def test_a_long_message_id_is_remembered_by_a_digest() -> None:
    assert short_id("i" * 64) == "i" * 64
    for character in ("i", "\N{PARROT}", "\ud800"):
        texts = [short_id(character * count) for count in (65, 66, 256, 100_000)]
        assert len(set(texts)) == 4 and all(len(json.dumps(text)) < 100 for text in texts)
    assert short_id("\N{PARROT}" * 64).isascii()
    world = ready()
    long = f"<message from='{BOB_JID}' type='chat' id='{'i' * 10_000}'><body>1</body></message>"
    world.server.send(long)
    world.settle()
    (delivery,) = [d for d in world.deliveries if d.signal == "message_received"]
    assert delivery.event.id == "i" * 10_000
    assert delivery.key is not None and len(delivery.key[2]) < 500


def test_keys_are_bounded_however_long_a_gap_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectycube.chat.protocol.seen_messages._MOST", 50)
    seen = SeenMessages(window=10)
    seen.keep_since = 0.0
    for number in range(200):
        seen.add(("c", 1, str(number)), 1.0)
    assert len(seen) == 50 and ("c", 1, "199") in seen


def test_a_message_is_compared_with_a_bounded_number_of_equal_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("connectycube.chat.protocol.seen_messages._MOST_ALIKE", 3)
    seen = SeenMessages()
    contents = [Content("c", 1, str(number), "0" * 32, None) for number in range(5)]
    for number, content in enumerate(contents):
        assert seen.add(content.key(str(number)))
    seen.begin_link()
    known = [seen.has_equal(content, on_this_link=False) for content in contents]
    assert known == [False, False, True, True, True]
    for number, content in enumerate(contents):
        seen.forget(content.key(str(number)))
    assert len(seen) == 0 and not seen.has_equal(contents[4], on_this_link=True)


def test_a_room_remembers_a_bounded_number_of_occupants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_MOST_OCCUPANTS", 3)
    world = joined()
    for kind in ("", " type='unavailable'"):
        for nick in range(2001, 2010):
            world.server.send(f"<presence from='{ROOM}/{nick}'{kind}/>")
    world.settle()
    assert [event.user_id for event in world.events("occupant_joined")] == [2001, 2002, 2003]
    assert [event.user_id for event in world.events("occupant_left")] == [2001, 2002, 2003]


def test_the_end_of_typing_is_awaited_of_a_bounded_number_of_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbound, "_MOST_TYPING", 3)
    world = ready(typing_expires=5.0)
    for user in range(2001, 2010):
        world.server.send(
            f"<message from='{ADDRESSES.user(user)}' type='chat'>"
            "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
        )
    world.advance(10)
    assert len(world.events("typing_started")) == 9
    assert len(world.events("typing_stopped")) == 3


# --- the sizes of events ------------------------------------------------------------------------

TEXT = "x" * 5_000
SIZED = {
    "presence_changed": f"<presence from='{BOB_JID}/r'><status>{TEXT}</status></presence>",
    "contact_requested": f"<presence from='{BOB_JID}' type='subscribe'><status>{TEXT}</status></presence>",
    "contact_list_changed": (
        "<iq type='set' id='r'><query xmlns='jabber:iq:roster'>"
        f"<item jid='{BOB_JID}' name='{TEXT}'/></query></iq>"
    ),
    "occupant_joined": f"<presence from='{ROOM}/{BOB}'><status>{TEXT}</status></presence>",
    "message_failed": f"<message from='{HOST}' type='error' id='{TEXT}'/>",
    "message_read": (
        f"<message from='{BOB_JID}'><displayed xmlns='urn:xmpp:chat-markers:0' id='{TEXT}'/></message>"
    ),
    "typing_started": (
        f"<message from='{BOB_JID}' id='{TEXT}'>"
        "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    ),
    "system_message_received": f"<message from='{HOST}' type='headline'><body>{TEXT}</body></message>",
    "message_received": f"<message from='{BOB_JID}'><body>{TEXT}</body></message>",
    "message_edited": (
        f"<message from='{BOB_JID}'><body>{TEXT}</body>"
        "<replace xmlns='urn:xmpp:message-correct:0' id='m'/></message>"
    ),
}


@pytest.mark.parametrize("signal", SIZED)
def test_every_event_counts_the_bytes_of_its_stanza(signal: str) -> None:
    world = joined()
    world.server.send(SIZED[signal])
    world.settle()
    (delivery,) = [d for d in world.deliveries if d.signal == signal]
    assert abs(delivery.size - len(SIZED[signal])) < 300


def test_many_small_parameters_count_for_the_memory_that_they_need() -> None:
    def size(inner: str) -> int:
        world = ready()
        world.server.send(
            f"<message from='{BOB_JID}'><body>1</body><extraParams>{inner}</extraParams></message>"
        )
        world.settle()
        found: list[Delivery] = [d for d in world.deliveries if d.signal == "message_received"]
        return found[0].size

    assert size("<a><b/></a>" * 1_000) > 300_000 and size("<attachment/>" * 2_000) > 300_000
    assert size(f"<a>{'x' * 10_000}</a>") < 11_000


def test_a_limit_of_ours_is_reached_by_configuration() -> None:
    assert config(limits=LIMITS).limits.background_stanzas == 200
