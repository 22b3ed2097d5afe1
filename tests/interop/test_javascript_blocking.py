"""Blocking between our chat and the official JavaScript SDK, in both directions."""

from __future__ import annotations

import pytest

from connectycube import PrivacyItem
from tests.support.people import PASSWORD, Person, logged_in
from tests.support.waiting import TIMEOUT

pytestmark = pytest.mark.referee("javascript")


@pytest.fixture
def ours(service):
    """A user of our chat, logged in."""
    person = Person.new(service)
    with logged_in(person):
        person.chat.ping()
        yield person


@pytest.fixture
def theirs(alice):
    """A user of the JavaScript SDK, logged in to the chat."""
    alice.peer.connect(alice.id, PASSWORD)
    yield alice
    alice.call("chat.disconnect")
    alice.peer.user_id = 0


def test_whom_we_block_gets_errors_until_we_unblock(ours, theirs):
    ours.chat.privacy.block(theirs.id)
    sent = theirs.peer.send_private(ours.id, "not heard")
    refused, error = theirs.peer.wait_for_event("onMessageErrorListener", lambda id, _: id == sent)
    assert (refused, error["code"]) == (sent, 503)
    ours.chat.privacy.unblock(theirs.id)
    theirs.peer.send_private(ours.id, "heard")
    assert [m.body for m in ours.events.wait_for("message_received")] == ["heard"]


@pytest.mark.parametrize("mutual", [False, True])
def test_we_who_are_blocked_get_errors_until_that_is_taken_back(ours, theirs, mutual):
    item = {"user_id": ours.id, "action": "deny", "mutualBlock": mutual}
    theirs.call("chat.privacylist.create", {"name": "myList", "items": [item]})
    theirs.call("chat.privacylist.setAsDefault", "myList")
    handle = ours.chat.send_private(theirs.id, "not heard")
    assert ours.events.wait_for("message_failed")[0].message_id == handle.id
    theirs.call("chat.privacylist.setAsDefault", None)
    theirs.call("chat.privacylist.delete", "myList")
    ours.chat.send_private(theirs.id, "heard").result(TIMEOUT)
    _, message = theirs.peer.wait_for_event("onMessageListener")
    assert message["body"] == "heard"


def test_each_reads_and_changes_the_list_that_the_other_made(service, alice):
    ours = Person.new(service)
    ours.id, ours.password = alice.id, PASSWORD
    item = {"user_id": 71_005, "action": "deny", "mutualBlock": True}
    alice.peer.connect(alice.id, PASSWORD)
    try:
        alice.call("chat.privacylist.create", {"name": "myList", "items": [item]})
        alice.call("chat.privacylist.setAsDefault", "myList")
        with logged_in(ours):
            privacy = ours.chat.privacy
            assert privacy.blocked() == (71_005,)
            privacy.block(71_002, mutual=False)
            assert privacy.names().default == "myList"
            read = alice.call("chat.privacylist.getList", "myList")
            assert read["items"] == [
                {"user_id": 71_002, "action": "deny"},
                {"user_id": 71_005, "action": "deny"},
            ]
            change = {"name": "myList", "items": [{"user_id": 71_009, "action": "deny"}]}
            alice.call("chat.privacylist.update", change)
            assert privacy.get("myList") == tuple(
                PrivacyItem(user_id, "deny", False) for user_id in (71_002, 71_005, 71_009)
            ), "the JavaScript SDK forgets what was mutual"
            privacy.unblock(71_005)
            names = alice.call("chat.privacylist.getNames")
            assert (names["default"], set(names["names"])) == ("myList", {"myList"})
            assert privacy.blocked() == (71_002, 71_009)
    finally:
        alice.call("chat.disconnect")
        alice.peer.user_id = 0
