"""Privacy lists, last activity and inactive clients, as the official JavaScript SDK uses them."""

from __future__ import annotations

import pytest

from connectycube.emulator import Emulator
from tests.interop.javascript_people import peer_on, person_at
from tests.support.people import PASSWORD
from tests.support.waiting import wait_until
from tests.wire.emulator.conftest import ManualClock

pytestmark = pytest.mark.referee("javascript")

LISTS = "chat.privacylist"


@pytest.fixture(scope="module")
def clock():
    return ManualClock()


@pytest.fixture(scope="module")
def service(clock):
    with Emulator(clock=clock) as running:
        yield running


@pytest.fixture(scope="module")
def peers(service):
    with peer_on(service) as one, peer_on(service) as other:
        yield one, other


def connected(service, peer):
    person = person_at(service, peer)
    peer.connect(person.id, PASSWORD)
    return person


@pytest.fixture
def alice(service, peers):
    person = connected(service, peers[0])
    yield person
    disconnect(service, person)


@pytest.fixture
def bob(service, peers):
    person = connected(service, peers[1])
    yield person
    disconnect(service, person)


def disconnect(service, person):
    person.call("chat.disconnect")
    wait_until(lambda: not service.sessions(person.id), "the end of the session")


def refusal(person, message_id):
    """Return the code of the error that a message of this person got."""
    listener = "onMessageErrorListener"
    return person.peer.wait_for_event(listener, lambda sent, _: sent == message_id)[1]["code"]


def message_with(person, message_id):
    listener = "onMessageListener"
    return person.peer.wait_for_event(listener, lambda _, message: message["id"] == message_id)


class TestPrivacyLists:
    def test_one_is_made_chosen_shown_changed_and_deleted(self, service, alice, bob):
        other = person_at(service, bob.peer)
        one_way = {"user_id": bob.id, "action": "deny"}
        both_ways = {"user_id": other.id, "action": "deny", "mutualBlock": True}
        alice.call(f"{LISTS}.create", {"name": "blocked", "items": [one_way, both_ways]})
        shown = {"default": None, "active": None, "names": ["blocked"]}
        assert alice.call(f"{LISTS}.getNames") == shown
        alice.call(f"{LISTS}.setAsDefault", "blocked")
        names = alice.call(f"{LISTS}.getNames")
        assert (names["default"], set(names["names"])) == ("blocked", {"blocked"})
        denied = [{"user_id": bob.id, "action": "deny"}, {"user_id": other.id, "action": "deny"}]
        assert alice.call(f"{LISTS}.getList", "blocked") == {"name": "blocked", "items": denied}

        alice.call(f"{LISTS}.setAsDefault", None)
        allow = {"name": "blocked", "items": [{"user_id": bob.id, "action": "allow"}]}
        alice.call(f"{LISTS}.update", allow)
        assert alice.call(f"{LISTS}.getList", "blocked")["items"] == denied[1:]
        alice.call(f"{LISTS}.delete", "blocked")
        assert alice.call(f"{LISTS}.getNames") == {**shown, "names": []}

    def test_what_is_not_there_is_refused(self, alice):
        for call in ("setAsDefault", "delete"):
            assert str(alice.refused(f"{LISTS}.{call}", "nothing")[0]) == "404"

    def test_one_way_the_blocked_gets_an_error_and_the_blocker_still_writes(self, alice, bob):
        items = [{"user_id": bob.id, "action": "deny"}]
        alice.call(f"{LISTS}.create", {"name": "blocked", "items": items})
        alice.call(f"{LISTS}.setAsDefault", "blocked")
        sent = bob.peer.send_private(alice.id, "hello?")
        assert refusal(bob, sent) == 503
        sent = alice.peer.send_private(bob.id, "goodbye")
        assert message_with(bob, sent)[0] == alice.id

    def test_both_ways_the_blocker_gets_an_error_too(self, alice, bob):
        items = [{"user_id": bob.id, "action": "deny", "mutualBlock": True}]
        alice.call(f"{LISTS}.create", {"name": "blocked", "items": items})
        alice.call(f"{LISTS}.setAsDefault", "blocked")
        for one, other, code in ((bob, alice, 503), (alice, bob, 406)):
            sent = one.peer.send_private(other.id, "hello?")
            assert refusal(one, sent) == code

    def test_in_a_group_the_blocker_sees_nothing_of_the_blocked(self, service, alice, bob):
        members = [alice.id, bob.id]
        group = alice.call("chat.dialog.create", {"type": 2, "name": "g", "occupants_ids": members})
        items = [{"user_id": bob.id, "action": "deny"}]
        alice.call(f"{LISTS}.create", {"name": "blocked", "items": items})
        alice.call(f"{LISTS}.setAsDefault", "blocked")
        hidden = {"type": "groupchat", "body": "psst", "extension": {"save_to_history": 1}}
        bob.call("chat.send", group["_id"], hidden)
        wait_until(lambda: len(service.messages(group["_id"])) == 1, "the message in history")
        alice.call(f"{LISTS}.setAsDefault", None)
        shown = bob.call("chat.send", group["_id"], {**hidden, "body": "hello"})
        user_id, message = message_with(alice, shown)
        assert (user_id, message["body"]) == (bob.id, "hello")
        heard = [event for event in alice.peer.events.all() if event.name == "onMessageListener"]
        assert all(event.args[1]["body"] != "psst" for event in heard)


class TestLastActivity:
    def test_it_is_0_while_somebody_is_there_and_counts_from_the_end(
        self, service, clock, alice, peers
    ):
        bob = connected(service, peers[1])
        assert alice.call("chat.getLastUserActivity", bob.id) == {"userId": bob.id, "seconds": 0}
        disconnect(service, bob)
        clock.now += 77
        assert alice.call("chat.getLastUserActivity", bob.id) == {"userId": bob.id, "seconds": 77}

    def test_who_was_never_there_is_an_error(self, service, alice, peers):
        bob = person_at(service, peers[1])
        code, _ = alice.refused("chat.getLastUserActivity", bob.id)
        assert str(code) == "404"

    def test_a_subscription_tells_who_comes_and_goes(self, service, alice, peers):
        bob = person_at(service, peers[1])

        def told():
            alice.call(
                "chat.pingWithTimeout", 5000
            )  # whose answer comes after what was sent before
            heard = alice.peer.events.all()
            return [
                event.args[1]
                for event in heard
                if event.name == "onLastUserActivityListener" and event.args[0] == bob.id
            ]

        alice.call("chat.subscribeToUserLastActivityStatus", bob.id)
        assert told() == []
        peers[1].connect(bob.id, PASSWORD)
        wait_until(lambda: told() == [0], "word that bob is online")
        disconnect(service, bob)
        assert told() == [0, 1]
        alice.call("chat.unsubscribeFromUserLastActivityStatus", bob.id)
        assert told() == [0, 1]
        peers[1].connect(bob.id, PASSWORD)
        disconnect(service, bob)
        assert told() == [0, 1]


class TestInactive:
    def test_an_inactive_client_gets_messages_and_pushes(self, service, alice, bob):
        alice.call(
            "pushnotifications.subscriptions.create",
            {
                "notification_channel": "gcm",
                "device": {"platform": "android", "udid": f"phone-{alice.id}"},
                "push_token": {
                    "environment": "development",
                    "client_identification_sequence": f"token-{alice.id}",
                },
            },
        )

        def pushed():
            return [push.payload["message"] for push in service.pushes if push.user_id == alice.id]

        for mark, body, expected in (
            ("markInactive", "one", ["one"]),
            ("markActive", "two", ["one"]),
            ("markInactive", "three", ["one", "three"]),
        ):
            alice.call(f"chat.{mark}")
            alice.call("chat.pingWithTimeout", 5000)
            sent = bob.peer.send_private(alice.id, body)
            message_with(alice, sent)
            assert pushed() == expected
