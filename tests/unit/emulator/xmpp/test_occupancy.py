"""Who is in which room, whatever the order in which they come and go."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator.db.database import Database
from connectycube.emulator.xmpp.element import Element
from connectycube.emulator.xmpp.occupancy import Occupancy, Privileges
from connectycube.emulator.xmpp.session import Session

ROOMS = ("a", "b")
MEMBER = Privileges("member", "participant")


def presence(number: int) -> Element:
    return Element("presence", "jabber:client", None, str(number))


class NoLink:
    def open(self, attributes): ...
    def restart(self): ...
    def send(self, element): ...
    def close(self): ...
    def abort(self): ...


def session(user_id: int, resource: str) -> Session:
    return Session(user_id, f"{user_id}-1@localhost", resource, NoLink())


@pytest.fixture
def occupancy():
    with closing(Database()) as database:
        yield Occupancy(database)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "leave", "remove"]),
        st.sampled_from(ROOMS),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_it_agrees_with_a_plain_list_of_who_came(steps):
    with closing(Database()) as database:
        compare_with_a_list(Occupancy(database), steps)


def compare_with_a_list(occupancy: Occupancy, steps: list[tuple[str, str, int]]) -> None:
    sessions = [session(user_id, resource) for user_id in (1, 2, 3) for resource in ("x", "y")]
    model: dict[str, list[tuple[Session, int]]] = {room: [] for room in ROOMS}
    for number, (step, room, index) in enumerate(steps):
        one = sessions[index]
        inside = [entry for entry in model[room] if entry[0] is one]
        if step == "enter":
            occupancy.enter(room, one, MEMBER, presence(number))
            model[room] = [entry for entry in model[room] if entry not in inside] + [(one, number)]
        elif step == "leave" and inside:
            occupancy.leave(room, one)
            model[room].remove(inside[0])
        elif step == "remove" and any(entry[0].user_id == one.user_id for entry in model[room]):
            occupancy.remove(room, one.user_id)
            model[room] = [entry for entry in model[room] if entry[0].user_id != one.user_id]
    for room in ROOMS:
        assert set(occupancy.sessions(room)) == {entry[0] for entry in model[room]}
        assert {found.user_id for found in occupancy.occupants(room)} == {
            entry[0].user_id for entry in model[room]
        }
        for found in occupancy.occupants(room):
            newest = [number for one, number in model[room] if one.user_id == found.user_id][-1]
            assert found.presence.text == str(newest)
    for one in sessions:
        inside_of = [room for room in ROOMS if one in [entry[0] for entry in model[room]]]
        assert set(occupancy.rooms_of(one)) == set(inside_of)
        assert all(occupancy.has_joined(room, one) == (room in inside_of) for room in ROOMS)


def test_the_newest_presence_is_that_of_the_session_that_spoke_last(occupancy):
    one, other = session(1, "x"), session(1, "y")
    for number, who in enumerate((one, other, one)):
        occupant = occupancy.enter("a", who, MEMBER, presence(number))
        assert occupant.presence.text == str(number)
    occupancy.leave("a", one)
    assert occupant.presence.text == "1"


def test_one_who_has_left_with_the_last_session_has_an_empty_presence(occupancy):
    one = session(1, "x")
    occupant = occupancy.enter("a", one, MEMBER, presence(1))
    occupancy.leave("a", one)
    assert occupant.presence.children == []
    assert occupancy.occupant("a", 1) is None


def test_a_ban_is_of_one_user_in_one_room(occupancy):
    occupancy.ban("a", 1)
    assert occupancy.is_banned("a", 1)
    assert not occupancy.is_banned("a", 2)
    assert not occupancy.is_banned("b", 1)
    assert occupancy.unban("a", 1)
    assert not occupancy.is_banned("a", 1)
    assert not occupancy.unban("a", 1)
