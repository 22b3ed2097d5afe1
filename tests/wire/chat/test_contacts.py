"""The contact list and presences, between two users of the emulator."""

from __future__ import annotations

import pytest

from connectycube import (
    ChatTimeoutError,
    ContactEvent,
    ContactListItem,
    NotConnectedError,
    StanzaError,
    User,
)
from connectycube._deadline import Deadline
from tests.support.inside import driver_of, session_of
from tests.support.people import SLOW, Person, away, logged_in, settled
from tests.support.waiting import TIMEOUT


@pytest.fixture
def two(emulator):
    """Two users, logged in, who know nothing of each other."""
    ana, ben = Person.new(emulator, reconnect=SLOW), Person.new(emulator, reconnect=SLOW)
    with logged_in(ana, ben):
        settled(ana, ben)
        yield ana, ben


@pytest.fixture
def friends(two):
    """Two users, logged in, who are contacts of each other."""
    ana, ben = two
    ana.chat.contacts.add(ben.id)
    ben.events.wait_for("contact_requested")
    ben.chat.contacts.confirm(ana.id)
    ana.events.wait_for("contact_requested")
    ana.chat.contacts.confirm(ben.id)
    for person in two:
        person.events.wait_for("contact_confirmed")
        person.events.wait_for("presence_changed")
    settled(ana, ben)
    return two


def state(person):
    """What a user's list says of its one contact: subscription, and whether an answer is awaited."""
    (contact,) = person.chat.contacts.list()
    return contact.subscription, contact.pending


# --- subscriptions ----------------------------------------------------------------------------------


def test_a_contact_is_asked_confirms_and_both_see_each_other(two):
    ana, ben = two
    assert ana.chat.contacts.list() == ben.chat.contacts.list() == ()
    ana.chat.contacts.add(ben.id, name="Ben <3 & co", groups=["work", "chess"])
    assert ben.events.wait_for("contact_requested") == [ContactEvent(user_id=ana.id)]
    assert ana.chat.contacts.list() == (
        ContactListItem(user_id=ben.id, pending=True, name="Ben <3 & co", groups=("work", "chess")),
    )
    ben.chat.contacts.confirm(ana.id)
    assert ana.events.wait_for("contact_confirmed") == [ContactEvent(user_id=ben.id)]
    assert ana.events.wait_for("contact_requested") == [ContactEvent(user_id=ben.id)]
    assert (state(ana), state(ben)) == (("to", False), ("from", True))
    ana.chat.contacts.confirm(User(id=ben.id))
    ben.events.wait_for("contact_confirmed")
    assert (state(ana), state(ben)) == (("both", False), ("both", False))
    assert ana.chat.contacts.list()[0].name == "Ben <3 & co", "confirming takes no name away"
    (seen,) = ben.events.wait_for("presence_changed")
    assert (seen.user_id, seen.available, seen.resource) == (
        *(ana.id, True),
        driver_of(ana.chat).core.session.jid.partition("/")[2],
    )
    settled(ana, ben)
    assert len(ana.events.of("contact_requested")) == 1, "confirming does not go on for ever"


def test_confirming_one_way_asks_nothing(two):
    ana, ben = two
    ana.chat.contacts.add(ben.id)
    ben.events.wait_for("contact_requested")
    ben.chat.contacts.confirm(ana.id, mutual=False)
    ana.events.wait_for("contact_confirmed")
    ana.events.wait_for("presence_changed")
    settled(ben, ana)
    assert (state(ana), state(ben)) == (("to", False), ("from", False))
    assert ana.events.of("contact_requested") == ben.events.of("presence_changed") == []


def test_who_is_rejected_is_told_and_sees_nothing(two):
    ana, ben = two
    ana.chat.contacts.add(ben.id)
    ben.events.wait_for("contact_requested")
    ben.chat.contacts.reject(ana.id)
    assert ana.events.wait_for("contact_rejected") == [ContactEvent(user_id=ben.id)]
    assert state(ana) == ("none", False)
    assert ana.events.of("presence_changed") == []
    assert ben.chat.contacts.list() == ()


def test_a_granted_subscription_can_be_taken_back(friends):
    ana, ben = friends
    ben.chat.contacts.reject(ana.id)
    ana.events.wait_for("contact_rejected")
    gone = ana.events.wait_for("presence_changed", 2)[-1]
    assert (gone.user_id, gone.available) == (ben.id, False)
    assert (state(ana), state(ben)) == (("from", False), ("to", False))


def test_who_is_removed_is_told_both_things_and_neither_sees_the_other(friends):
    ana, ben = friends
    ana.chat.contacts.remove(ben.id)
    ben.events.wait_for("contact_cancelled")
    ben.events.wait_for("contact_rejected")
    assert not ben.events.wait_for("presence_changed", 2)[-1].available
    assert ana.chat.contacts.list() == ()
    assert state(ben) == ("none", False)


def test_contacts_see_each_other_come_and_go(friends):
    ana, ben = friends
    ben.chat.logout()
    assert not ana.events.wait_for("presence_changed", 2)[-1].available
    ben.login()
    back = ana.events.wait_for("presence_changed", 3)[-1]
    assert (back.user_id, back.available) == (ben.id, True)
    there = ben.events.wait(lambda e: [p for p in e.of("presence_changed") if p.available][1:])
    assert there[0].user_id == ana.id, "who comes is told who is there"


def test_a_request_waits_for_a_user_who_is_not_there(two):
    ana, ben = two
    ben.chat.logout()
    ana.chat.contacts.add(ben.id)
    ben.login()
    assert ben.events.wait_for("contact_requested") == [ContactEvent(user_id=ana.id)]


def test_other_devices_of_ones_own_are_no_contacts(two, emulator):
    ana, _ = two
    other = Person.new(emulator)
    other.id = ana.id
    with logged_in(other):
        settled(other, ana, other)
        assert driver_of(other.chat).core.counters.own_echoes >= 1
        assert ana.events.of("presence_changed") == other.events.of("presence_changed") == []


# --- the list ---------------------------------------------------------------------------------------


def test_changes_of_the_list_are_told(two):
    ana, ben = two
    ana.chat.contacts.add(ben.id, name="Benjamin", groups=["chess"])
    changed = ana.events.wait_for("contact_list_changed")[0]
    assert (changed.user_id, changed.name, changed.groups) == (ben.id, "Benjamin", ("chess",))
    ana.chat.contacts.remove(ben.id)
    gone = ana.events.wait(
        lambda e: [c for c in e.of("contact_list_changed") if c.subscription == "remove"]
    )
    assert gone[0].user_id == ben.id


def test_adding_again_renames_and_asks_nobody_again(friends):
    ana, ben = friends
    ana.chat.contacts.add(ben.id, name="Benjamin", groups=("a",))
    settled(ana, ben)
    (contact,) = ana.chat.contacts.list()
    assert contact == ContactListItem(
        user_id=ben.id, subscription="both", name="Benjamin", groups=("a",)
    )
    assert len(ben.events.of("contact_requested")) == 1
    ana.chat.contacts.add(ben.id)
    assert ana.chat.contacts.list()[0].name is None


def test_changes_are_told_in_a_new_session_as_well(two, emulator):
    ana, ben = two
    with away(ana, emulator):
        pass
    ana.chat.contacts.add(ben.id)
    assert ana.events.wait_for("contact_list_changed")[0].user_id == ben.id


def test_what_is_said_without_a_link_is_said_when_it_is_back(two, emulator):
    ana, ben = two
    ben.chat.contacts.add(ana.id)
    ana.events.wait_for("contact_requested")
    with away(ana, emulator, resumes=True):
        ana.chat.contacts.confirm(ben.id)
    ben.events.wait_for("contact_confirmed")


def test_what_is_no_user_of_this_application_is_left_out(two):
    ana, ben = two
    stranger = "<item jid='someone@elsewhere.example' name='Someone'/>"
    query = f"<query xmlns='jabber:iq:roster'>{stranger}</query>"
    driver_of(ana.chat).request("set", None, query, Deadline(TIMEOUT))
    ana.chat.contacts.add(ben.id)
    assert [contact.user_id for contact in ana.chat.contacts.list()] == [ben.id]


# --- refusals -----------------------------------------------------------------------------------------


def test_who_does_not_exist_becomes_no_contact_who_answers(two):
    ana, _ = two
    ana.chat.contacts.add(999_999)
    settled(ana)
    assert ana.events.of("contact_confirmed") == []
    assert [c.subscription for c in ana.chat.contacts.list()] == ["none"]
    ana.chat.contacts.remove(999_999)
    assert ana.chat.contacts.list() == ()


def test_who_is_no_contact_cannot_be_removed(two):
    ana, ben = two
    with pytest.raises(StanzaError) as caught:
        ana.chat.contacts.remove(ben.id)
    assert caught.value.condition == "item-not-found"


CALLS = {
    "add": lambda contacts, *a, **k: contacts.add(*a, **k),
    "confirm": lambda contacts, *a, **k: contacts.confirm(*a, **k),
    "reject": lambda contacts, *a, **k: contacts.reject(*a, **k),
    "remove": lambda contacts, *a, **k: contacts.remove(*a, **k),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("wrong", [None, "5", True, 0, -1, 1.5, User(login="no id"), "self"])
def test_users_who_cannot_be_are_refused_by_name_and_nothing_is_sent(alice, call, wrong):
    alice.login()
    sent = session_of(driver_of(alice.chat).core)._outbox.sent
    with pytest.raises((TypeError, ValueError), match=r"^user_id "):
        CALLS[call](alice.chat.contacts, alice.id if wrong == "self" else wrong)
    assert session_of(driver_of(alice.chat).core)._outbox.sent == sent


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c: c.add(5, name=""), "name must not be empty"),
        (lambda c: c.add(5, groups="ab"), "groups must be a list of strings"),
        (lambda c: c.add(5, timeout=-1), "timeout must be at least"),
        (lambda c: c.confirm(5, mutual=1), "mutual must be a bool"),
        (lambda c: c.list(timeout="1"), "timeout must be a number"),
    ],
)
def test_other_wrong_arguments_are_named(alice, call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call(alice.chat.contacts)


def test_without_a_connection_every_call_says_so(alice):
    for call in CALLS.values():
        with pytest.raises(NotConnectedError):
            call(alice.chat.contacts, 5)
    with pytest.raises(NotConnectedError):
        alice.chat.contacts.list()


def test_a_wait_for_the_server_ends_in_time(two, emulator):
    ana, _ = two
    with away(ana, emulator, resumes=True), pytest.raises(ChatTimeoutError):
        ana.chat.contacts.list(timeout=0.05)


# --- inside receivers -----------------------------------------------------------------------------------


def test_every_call_is_legal_inside_a_receiver(two):
    ana, ben = two

    def answer(chat, event):
        chat.contacts.confirm(event.user_id)
        chat.contacts.add(event.user_id, name="a friend")
        chat.contacts.list()
        chat.contacts.reject(event.user_id)
        chat.contacts.remove(event.user_id)
        ended.append(chat.contacts.list())

    ended = []
    ben.chat.contact_requested.connect(answer)
    ana.chat.contacts.add(ben.id)
    assert ben.events.wait(lambda events: ended or events.of("callback_failed")) == [()]
    ana.events.wait_for("contact_rejected")
