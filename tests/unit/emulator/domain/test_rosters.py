"""The state machine of RFC 6121, appendix A, row by row, and two people who do anything in any order."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator.db.database import Database
from connectycube.emulator.domain.rosters import Contact, Rosters, SubscriptionState

STATES = {
    "none": SubscriptionState(),
    "none+out": SubscriptionState(asks=True),
    "none+in": SubscriptionState(asked=True),
    "none+out+in": SubscriptionState(asks=True, asked=True),
    "to": SubscriptionState(to=True),
    "to+in": SubscriptionState(to=True, asked=True),
    "from": SubscriptionState(from_=True),
    "from+out": SubscriptionState(from_=True, asks=True),
    "both": SubscriptionState(to=True, from_=True),
}
NAMES = {state: name for name, state in STATES.items()}
ORDER = tuple(STATES)

# What each state becomes, in the order of STATES; "!" where the stanza goes on, to the contact when it was
# sent, to the user's resources when it was received.
SENT = {
    "subscribe": (
        "none+out! none+out! none+out+in! none+out+in! to! to+in! from+out! from+out! both!"
    ),
    "unsubscribe": "none! none! none+in! none+in! none! none+in! from! from! from!",
    "subscribed": "none none+out from! from+out! to both! from from+out both",
    "unsubscribed": "none none+out none! none+out! to to! none! none+out! to!",
}
RECEIVED = {
    "subscribe": "none+in! none+out+in! none+in none+out+in to+in! to+in from from+out both",
    "unsubscribe": "none none+out none! none+out! to to! none! none+out! to!",
    "subscribed": "none to! none+in to+in! to to+in from both! both",
    "unsubscribed": "none none! none+in none+in! none! none+in! from from! from!",
}


def rows(table):
    return [
        pytest.param(kind, before, outcome, id=f"{kind}-{before}")
        for kind, outcomes in table.items()
        for before, outcome in zip(ORDER, outcomes.split(), strict=True)
    ]


def described(state, goes_on):
    return NAMES[state] + ("!" if goes_on else "")


@pytest.mark.parametrize(("kind", "before", "outcome"), rows(SENT))
def test_what_a_user_sends_does_what_appendix_a_2_says(kind, before, outcome):
    assert described(*STATES[before].after_sending(kind)) == outcome


@pytest.mark.parametrize(("kind", "before", "outcome"), rows(RECEIVED))
def test_what_a_user_receives_does_what_appendix_a_3_says(kind, before, outcome):
    assert described(*STATES[before].after_receiving(kind)) == outcome


steps = st.lists(st.tuples(st.booleans(), st.sampled_from(tuple(SENT))), max_size=30)


@given(steps)
def test_two_rosters_never_contradict_each_other(done):
    sides = [SubscriptionState(), SubscriptionState()]
    for second, kind in done:
        sender, receiver = (1, 0) if second else (0, 1)
        sides[sender], routed = sides[sender].after_sending(kind)
        if routed:
            sides[receiver], _ = sides[receiver].after_receiving(kind)
            if kind == "subscribe" and sides[receiver].from_:
                sides[sender], _ = sides[sender].after_receiving("subscribed")
        assert set(sides) <= set(STATES.values())
        for one, other in (sides, reversed(sides)):
            assert one.to == other.from_
            assert one.asks == other.asked


@pytest.fixture
def rosters():
    database = Database()
    yield Rosters(database)
    database.connection.close()


def test_an_entry_comes_back_as_it_was_saved(rosters):
    whole = Contact(
        jid="2-1@localhost",
        name="Bob & <Co>",
        groups=("Friends", "Work"),
        listed=True,
        state=SubscriptionState(to=True, asked=True),
        request="<presence/>",
    )
    rosters.save(1, whole)
    assert rosters.contact(1, whole.jid) == whole
    assert rosters.listed(1) == rosters.requests(1) == rosters.all(1) == [whole]
    assert rosters.listed(2) == []


def test_who_only_asks_is_not_listed_and_vanishes_with_the_answer(rosters):
    asking = Contact(
        jid="2-1@localhost", state=SubscriptionState(asked=True), request="<presence/>"
    )
    rosters.save(1, asking)
    assert (rosters.listed(1), rosters.requests(1)) == ([], [asking])
    rosters.save(1, evolve(asking, state=SubscriptionState()))
    assert rosters.all(1) == []


def test_subscribers_are_found_from_both_sides(rosters):
    for owner, state in ((1, SubscriptionState(from_=True)), (2, SubscriptionState(to=True))):
        rosters.save(owner, Contact(jid="3-1@localhost", listed=True, state=state))
    assert (rosters.subscribers(1), rosters.subscribers(2)) == (["3-1@localhost"], [])
    assert rosters.shown_to("3-1@localhost") == [1]
