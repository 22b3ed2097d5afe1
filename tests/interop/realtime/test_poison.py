"""Stanzas that are too large, for the client or for the server: each costs itself and nothing else."""

from __future__ import annotations

import pytest

from connectycube import ArgumentValueError, ChatState, Limits, StanzaError
from tests.support.people import give_stored_ids
from tests.support.waiting import TIMEOUT, wait_until

LARGE = "x" * 150_000
SMALL_LIMIT = Limits(stanza_bytes=100_000)
NO_LIMIT = Limits(message_bytes=10_000_000)


def bodies(person, count):
    return [message.body for message in person.events.wait_for("message_received", count)]


def test_a_message_beyond_the_limit_is_passed_over(server):
    bob, alice = server.person(), server.person(limits=SMALL_LIMIT)
    for body in ("before", LARGE, "after"):
        bob.chat.send_private(alice.id, body).result(TIMEOUT)
    assert bodies(alice, 2) == ["before", "after"]
    (refused,) = alice.events.wait_for("stanza_refused")
    assert (refused.kind, refused.user_id) == ("message", bob.id) and refused.size > 150_000
    assert ChatState.FORCE_CLOSED not in alice.states
    assert alice.chat.ping(TIMEOUT) >= 0


def test_a_message_beyond_the_limit_is_passed_over_after_a_resumption(server):
    bob, proxy = server.person(), server.proxy()
    alice = server.person(port=proxy.port, limits=SMALL_LIMIT)
    proxy.freeze()
    for body in ("before", LARGE, "after"):
        bob.chat.send_private(alice.id, body).result(TIMEOUT)
    proxy.rst()
    alice.wait_for_state(ChatState.FORCE_CLOSED)
    proxy.heal()
    alice.wait_for_state(ChatState.RESUMED)
    assert bodies(alice, 2) == ["before", "after"]
    assert len(alice.events.of("stanza_refused")) == 1


def test_a_message_that_the_server_does_not_take_fails_alone(server):
    bob, alice = server.person(), server.person(limits=NO_LIMIT)
    give_stored_ids(alice.chat, lambda dialog, ids: [])
    alice.chat.send_private(bob.id, "before").result(TIMEOUT)
    large = alice.chat.send_private(bob.id, "x" * 1_500_000)
    after = alice.chat.send_private(bob.id, "after")
    with pytest.raises(StanzaError) as caught:
        large.result(4 * TIMEOUT)
    assert caught.value.condition == "policy-violation"
    assert after.result(TIMEOUT).body == "after"
    assert bodies(bob, 2) == ["before", "after"]
    (failure,) = alice.events.wait_for("message_failed")
    assert failure.message_id == large.id
    # The message has failed once its stream has ended: the next one may still be beginning.
    wait_until(lambda: alice.chat.is_ready)


def test_a_message_beyond_the_limit_of_servers_is_refused(server):
    bob, alice = server.person(), server.person()
    with pytest.raises(ArgumentValueError, match="message is too large"):
        alice.chat.send_private(bob.id, "x" * 1_500_000)
    alice.chat.send_private(bob.id, "x" * 200_000).result(TIMEOUT)
    assert len(bodies(bob, 1)[0]) == 200_000
    assert ChatState.FORCE_CLOSED not in alice.states
