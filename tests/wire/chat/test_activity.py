"""Last activity, its subscription, active and inactive, between two users of the emulator."""

from __future__ import annotations

import pytest

from connectycube import ChatTimeoutError, DialogRef, NotConnectedError, StanzaError, User
from tests.support.inside import driver_of
from tests.support.people import SLOW, Person, away, logged_in, settled
from tests.support.waiting import TIMEOUT
from tests.wire.chat.test_messaging import three_at


@pytest.fixture
def two(emulator):
    """Two users, logged in, who stay away when they are cut off until they are told otherwise."""
    ana, ben = Person.new(emulator, reconnect=SLOW), Person.new(emulator, reconnect=SLOW)
    with logged_in(ana, ben):
        settled(ana, ben)
        yield ana, ben


def seen(person, user_id, *, here):
    """Wait until the person was told, after whatever came before, that a user came or went."""
    return person.events.wait(
        lambda events: [
            activity
            for activity in events.of("last_activity_changed")[-1:]
            if activity.user_id == user_id and (activity.seconds == 0) is here
        ]
    )


# --- last activity ------------------------------------------------------------------------------------


def test_who_is_here_was_active_0_seconds_ago_and_who_left_longer(two):
    ana, ben = two
    assert ana.chat.last_activity(ben.id) == 0
    ben.chat.logout()
    assert ana.chat.last_activity(User(id=ben.id)) >= 1


def test_of_who_never_logged_in_or_does_not_exist_it_is_not_known(two, emulator):
    ana, _ = two
    for user_id in (Person.new(emulator).id, 999_999):
        with pytest.raises(StanzaError, match=f"last activity of user {user_id} is not known") as e:
            ana.chat.last_activity(user_id)
        assert e.value.condition == "item-not-found"


def test_who_watches_a_user_is_told_when_they_come_and_go(two):
    ana, ben = two
    ana.chat.subscribe_last_activity(ben.id)
    ben.chat.logout()
    seen(ana, ben.id, here=False)
    ben.login()
    seen(ana, ben.id, here=True)
    ana.chat.unsubscribe_last_activity(ben.id)
    before = ana.events.of("last_activity_changed")
    ben.chat.logout()
    settled(ana)
    assert ana.events.of("last_activity_changed") == before


def test_users_are_watched_in_a_new_session_as_well(two, emulator):
    ana, ben = two
    ana.chat.subscribe_last_activity(ben.id)
    with away(ana, emulator):
        pass
    ben.chat.logout()
    seen(ana, ben.id, here=False)


def test_users_are_watched_no_longer_in_a_new_session_once_that_was_said(two, emulator):
    ana, ben = two
    ana.chat.subscribe_last_activity(ben.id)
    ana.chat.unsubscribe_last_activity(ben.id)
    with away(ana, emulator):
        pass
    ben.chat.logout()
    settled(ana)
    assert ana.events.of("last_activity_changed") == []
    assert driver_of(ana.chat).core.counters.forged == 0, "nothing came, and nothing was dropped"


def test_a_refused_subscription_is_not_tried_again(two, emulator):
    ana, _ = two
    with pytest.raises(StanzaError) as caught:
        ana.chat.subscribe_last_activity(999_999)
    assert caught.value.condition == "item-not-found"
    with away(ana, emulator):
        pass
    assert driver_of(ana.chat).core.counters.refused == 0


# --- active and inactive --------------------------------------------------------------------------------


@pytest.fixture
def with_phone(emulator):
    """Two users, of whom the first has a phone that takes push notifications."""
    with three_at(emulator, reconnect=SLOW) as (ana, ben, _):
        phone = {"channel": "gcm", "platform": "android", "udid": "phone", "token": "t"}
        ana.cube.push.subscribe(**phone, environment="development")
        settled(ana, ben)
        yield ana, ben


def pushed_to(person, sender, emulator):
    """Whether a message makes a push notification for a user who is connected."""
    before = len([push for push in emulator.pushes if push.user_id == person.id])
    arrived = len(person.events.of("message_received"))
    sender.chat.send_message(DialogRef.private(person.id), "hello").result(TIMEOUT)
    person.events.wait_for("message_received", arrived + 1)
    return len([push for push in emulator.pushes if push.user_id == person.id]) > before


def test_messages_to_an_inactive_user_arrive_and_make_pushes(with_phone, emulator):
    ana, ben = with_phone
    assert not pushed_to(ana, ben, emulator)
    ana.chat.mark_inactive()
    assert pushed_to(ana, ben, emulator)
    ana.chat.mark_active()
    assert not pushed_to(ana, ben, emulator)


@pytest.mark.parametrize("resumes", [False, True])
def test_who_was_inactive_is_so_after_a_reconnection(with_phone, emulator, resumes):
    ana, ben = with_phone
    ana.chat.mark_inactive()
    with away(ana, emulator, resumes=resumes):
        pass
    assert pushed_to(ana, ben, emulator)


def test_who_was_active_again_is_so_in_a_new_session(with_phone, emulator):
    ana, ben = with_phone
    ana.chat.mark_inactive()
    ana.chat.mark_active()
    with away(ana, emulator):
        pass
    assert not pushed_to(ana, ben, emulator)


# --- refusals -----------------------------------------------------------------------------------------

CALLS = [
    lambda chat, **options: chat.last_activity(5, **options),
    lambda chat, **options: chat.subscribe_last_activity(5, **options),
    lambda chat, **options: chat.unsubscribe_last_activity(5, **options),
    lambda chat, **options: chat.mark_inactive(**options),
    lambda chat, **options: chat.mark_active(**options),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_needs_a_connection_and_a_time_out_that_can_be(alice, call):
    with pytest.raises(NotConnectedError):
        call(alice.chat)
    with pytest.raises((TypeError, ValueError), match=r"^timeout "):
        call(alice.chat, timeout=-1)


@pytest.mark.parametrize("call", CALLS)
def test_a_wait_for_the_server_ends_in_time(two, emulator, call):
    ana, _ = two
    with away(ana, emulator, resumes=True), pytest.raises(ChatTimeoutError):
        call(ana.chat, timeout=0.05)


@pytest.mark.parametrize("wrong", [None, "5", True, 0, -1, User(login="no id")])
def test_users_who_cannot_be_are_refused_by_name(alice, wrong):
    for call in (
        alice.chat.last_activity,
        alice.chat.subscribe_last_activity,
        alice.chat.unsubscribe_last_activity,
    ):
        with pytest.raises((TypeError, ValueError), match=r"^user_id "):
            call(wrong)
