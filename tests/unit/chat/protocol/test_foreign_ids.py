"""Messages whose ids are not of the service's form: which of them are repetitions."""

from __future__ import annotations

from typing import Any

import pytest

from connectycube.models import ChatState
from tests.support.inside import session_of
from tests.support.simulation.simulated import ADDRESSES, ALICE, BOB, BOB_JID
from tests.support.simulation.world import World, ids, ready, reconnect

CARBONS = "urn:xmpp:carbons:2"
ROOM = ADDRESSES.room("d9")


def said(
    body: str, message_id: str | None = "1", *, sender: str = f"{BOB_JID}/bot", inner: str = ""
) -> str:
    own_id = "" if message_id is None else f" id='{message_id}'"
    kind = "groupchat" if sender.startswith(ROOM) else "chat"
    return f"<message from='{sender}' type='{kind}'{own_id}><body>{body}</body>{inner}</message>"


def dated(second: int) -> str:
    return f"<extraParams><date_sent>{second}</date_sent></extraParams>"


def stored(second: int) -> str:
    return f"<delay xmlns='urn:xmpp:delay' stamp='2021-10-09T12:00:{second:02}Z'/>"


def carbon(stanza: str, kind: str = "received") -> str:
    inner = stanza.replace("<message", "<message xmlns='jabber:client'", 1)
    return (
        f"<message from='{ADDRESSES.user(ALICE)}' type='chat'><{kind} xmlns='{CARBONS}'><forwarded"
        f" xmlns='urn:xmpp:forward:0'>{inner}</forwarded></{kind}></message>"
    )


def bodies(world: World) -> list[Any]:
    world.settle()
    return [message.body for message in world.events("message_received")]


def begin_anew(world: World) -> None:
    world.settle()
    world.cut()
    world.server.forget_sessions()
    reconnect(world)


@pytest.mark.parametrize("message_id", ["1", "", None, "F" * 24, "0" * 23, "alarm"])
@pytest.mark.parametrize("sender", [f"{BOB_JID}/bot", f"{ROOM}/{BOB}"])
@pytest.mark.parametrize("texts", [["alarm 0", "alarm 1", "alarm 2"], ["alarm"] * 3])
def test_live_messages_of_one_id_are_messages_of_their_own(
    message_id: str | None, sender: str, texts: list[str]
) -> None:
    world = ready()
    for text in texts:
        world.server.send(said(text, message_id, sender=sender))
    assert bodies(world) == texts
    keys = {d.key for d in world.deliveries if d.signal == "message_received"}
    assert len(keys) == 3 and None not in keys
    assert world.core.counters.repeated == 0


def test_live_edits_of_one_id_are_edits_of_their_own() -> None:
    world = ready()
    replace = "<replace xmlns='urn:xmpp:message-correct:0' id='m'/>"
    for text in ("one", "two", "two"):
        world.server.send(said(text, "1", inner=replace))
    world.settle()
    assert [edit.body for edit in world.events("message_edited")] == ["one", "two", "two"]


def test_what_is_sent_again_in_a_resumed_session_comes_once() -> None:
    world = ready()
    world.server.send(said("alarm"))
    assert bodies(world) == ["alarm"]
    assert world.server.session is not None
    world.cut()
    world.core.relogin(world.now)
    world.after()
    while not session_of(world.core).flowing:
        assert world.connect() or world.upstream() or world.downstream()
    world.server.push(said("alarm"))  # ahead of the server's first answer on the new link
    world.server.push(said("alarm", "2"))
    assert bodies(world) == ["alarm", "alarm"]
    assert world.states[-1] is ChatState.RESUMED
    world.server.send(said("alarm"))
    assert bodies(world) == ["alarm"] * 3, "live again"


def test_stored_copies_of_one_message_come_once() -> None:
    world = ready()
    world.server.send(said("alarm", inner=dated(100)))
    begin_anew(world)
    for second in (100, 101, 103):
        world.server.send(said("alarm", inner=dated(second) + stored(0)))
    world.server.send(said("alarm", "2", inner=dated(100) + stored(0)))
    assert bodies(world) == ["alarm"] * 3
    assert world.core.counters.repeated == 3, "also the copy that the server sent without a stamp"


def test_stored_messages_differ_by_the_servers_stamp() -> None:
    world = ready()
    world.server.send(said("alarm", inner=stored(1)))
    world.server.send(said("alarm"))
    begin_anew(world)
    for second in (1, 5, 5, 9):
        world.server.send(said("alarm", inner=stored(second)))
    assert bodies(world) == ["alarm"] * 5, "two live ones, and all stored ones but the first"


@pytest.mark.parametrize("when", ["at login", "in a new session", "in a resumed session"])
@pytest.mark.parametrize("inner", ["", stored(1)])
def test_equal_messages_of_one_link_are_messages_of_their_own(when: str, inner: str) -> None:
    world = World()
    if when != "at login":
        world.login()
        world.cut()
        if when == "in a new session":
            world.server.forget_sessions()
    for _ in range(3):
        world.server.send(said("alarm", inner=inner))
    if when == "at login":
        world.login()
    else:
        reconnect(world)
    assert bodies(world) == ["alarm"] * 3


def test_a_carbon_of_a_message_that_has_arrived_is_a_repetition() -> None:
    world = ready()
    for stanza in (said("alarm"), said("alarm 2")):
        world.server.send(stanza)
        world.server.send(carbon(stanza))
    world.server.send(carbon(said("alarm 3")))
    assert bodies(world) == ["alarm", "alarm 2", "alarm 3"]


def test_messages_that_found_no_room_come_again_once() -> None:
    world = ready()
    world.room = 1
    for number in range(4):
        world.server.send(said(f"alarm {number}"))
    world.settle()
    while len(world.events("message_received")) < 4:
        world.drain()
        world.advance(60)
    assert bodies(world) == [f"alarm {number}" for number in range(4)]


def test_another_session_gives_equal_messages_other_keys() -> None:
    world = ready()
    world.server.send(said("alarm"))
    begin_anew(world)
    world.server.send(said("alarm"))
    assert bodies(world) == ["alarm", "alarm"]
    first, second = (d.key for d in world.deliveries if d.signal == "message_received")
    assert first != second


def test_an_id_of_the_service_is_unique_whatever_the_content() -> None:
    world = ready()
    (one,) = ids(1)
    world.server.send(said("alarm", one))
    world.server.send(said("another", one))
    world.server.send(
        said("alarm", "7", inner=f"<extraParams><message_id>{one}</message_id></extraParams>")
    )
    assert bodies(world) == ["alarm"] and world.core.counters.repeated == 2
