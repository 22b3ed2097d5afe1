"""Rooms over links that break: what a resumed session keeps, and what a new one enters again."""

from __future__ import annotations

import threading

import pytest

from connectycube import ChatState
from tests.interop.realtime.rooms import bodies, check_online, hear, users_of
from tests.support.waiting import TIMEOUT


class Away:
    """A person behind a proxy, who can be cut off with or without a session to come back to."""

    def __init__(self, server):
        self._server, self._proxy, self._user = server, server.proxy(), server.user()
        self.person = server.person(self._user, port=self._proxy.port, resource="the only one")

    def cut(self):
        """Cut the link, and let no other be made."""
        self._proxy.refuse()
        self._proxy.rst()
        self.person.wait_for_state(ChatState.FORCE_CLOSED)

    def end_session(self):
        """Let another login with the same resource end the session that waits."""
        self._server.person(self._user, resource="the only one").chat.logout()

    def come_back(self, state):
        """Let the next link be made, and wait for the state it leads to."""
        self._proxy.accept()
        self.person.wait_for_state(state, 2 if state is ChatState.READY else 1)


@pytest.fixture
def far(server):
    """Somebody whose link can be cut, two others, and a room of all that the first of these owns."""
    away = Away(server)
    ben, cleo = server.person(), server.person()
    return away, ben, cleo, server.room(ben, away.person, cleo)


def test_a_resumed_session_is_in_its_rooms_still_and_hears_what_was_said(far, server):
    away, ben, cleo, room = far
    for person in (away.person, ben, cleo):
        person.chat.join(room)
    away.cut()
    for number in range(20):
        ben.chat.send_message(room, f"{number}")
        hear(f"{number}!", cleo, ben, room)
    handle = away.person.chat.send_message(room, "without a link")
    away.come_back(ChatState.RESUMED)
    handle.result(TIMEOUT)
    hear("and on", ben, away.person, room)
    heard = bodies(away.person, 41)
    assert [body for body in heard if body.isdigit()] == [f"{number}" for number in range(20)]
    assert [body for body in heard if "!" in body] == [f"{number}!" for number in range(20)]
    assert heard[40:] == ["and on"]
    assert bodies(cleo, 22).count("without a link") == 1
    assert away.person.events.of("room_left") == ben.events.of("occupant_left") == []
    check_online(server, ben, room, away.person, ben, cleo)


def test_a_new_session_enters_the_rooms_that_were_not_left(far, server):
    away, ben, cleo, room = far
    other = server.room(ben, away.person, cleo)
    for dialog in (room, other):
        ben.chat.join(dialog)
        away.person.chat.join(dialog)
    away.person.chat.leave(other)
    away.cut()
    away.end_session()
    ben.events.wait_for("occupant_left", 2)
    away.come_back(ChatState.READY)
    joined = ben.events.wait_for("occupant_joined", 3)
    assert sorted(event.dialog_id for event in joined) == sorted([room.id, other.id, room.id])
    hear("welcome back", ben, away.person, room)
    check_online(server, ben, room, ben, away.person)
    assert ChatState.RESUMED not in away.person.states
    assert away.person.events.of("room_left") == []
    # What was entered again by itself is known as entered: nothing is asked.
    away.person.chat.join(room)
    away.person.chat.send_message(room, "here again").result(TIMEOUT)
    assert "here again" in bodies(ben, 1)


@pytest.mark.parametrize("state", [ChatState.RESUMED, ChatState.READY])
def test_messages_written_without_a_link_enter_their_room_first(far, state):
    away, ben, _, room = far
    ben.chat.join(room)
    away.cut()
    if state is ChatState.READY:
        away.end_session()
    handles = [away.person.chat.send_message(room, f"{number}") for number in range(10)]
    away.come_back(state)
    for handle in handles:
        handle.result(TIMEOUT)
    assert bodies(ben, 10) == [f"{number}" for number in range(10)]
    assert users_of(ben.events.of("occupant_joined")) == [away.person.id]
    assert away.person.events.of("message_failed") == []


@pytest.mark.parametrize("state", [ChatState.RESUMED, ChatState.READY])
def test_a_join_during_an_outage_is_made_when_the_link_is_back(far, server, state):
    away, ben, _, room = far
    ben.chat.join(room)
    away.cut()
    if state is ChatState.READY:
        away.end_session()
    joining = threading.Thread(target=away.person.chat.join, args=(room,))
    joining.start()
    away.come_back(state)
    joining.join(TIMEOUT)
    assert users_of(ben.events.wait_for("occupant_joined")) == [away.person.id]
    check_online(server, ben, room, ben, away.person)


def test_who_may_not_enter_again_is_told(far, server):
    away, ben, _, room = far
    for person in (away.person, ben):
        person.chat.join(room)
    away.cut()
    away.end_session()
    ben.events.wait_for("occupant_left")
    server.remove(room, ben, away.person.id)
    away.come_back(ChatState.READY)
    if not server.supports("bans of those who were inside"):
        ben.events.wait_for("occupant_joined")
        return
    left = away.person.events.wait_for("room_left")[0]
    assert (left.dialog_id, left.reason) == (room.id, "refused")
    assert left.error.condition == "registration-required"


def test_who_is_put_out_while_away_is_told_on_coming_back(far, server):
    away, ben, _, room = far
    for person in (away.person, ben):
        person.chat.join(room)
    away.cut()
    server.kick(room, ben, away.person.id, "asleep")
    away.come_back(ChatState.RESUMED)
    left = away.person.events.wait_for("room_left")[0]
    assert (left.reason, left.text) == ("kicked", "asleep")
    assert users_of(ben.events.wait_for("occupant_left")) == [away.person.id]


def test_many_rooms_are_entered_again_and_none_is_mixed_up(server):
    away, ben = Away(server), server.person()
    rooms = [server.room(ben, away.person) for _ in range(8)]
    for room in rooms:
        ben.chat.join(room)
        away.person.chat.join(room)
    away.cut()
    away.end_session()
    away.come_back(ChatState.READY)
    ben.events.wait_for("occupant_joined", 16)
    for room in rooms:
        ben.chat.send_message(room, f"in {room.id}")
        away.person.chat.send_message(room, f"in {room.id}")
    for person in (ben, away.person):
        received = person.events.wait_for("message_received", 8)
        assert sorted(m.dialog_id for m in received) == sorted(room.id for room in rooms)
        assert [m.body for m in received] == [f"in {m.dialog_id}" for m in received]
