"""Links that break and come back: resumption, new sessions, liveness, servers that end. (XEP-0198.)"""

from __future__ import annotations

import pytest

from connectycube import (
    Chat,
    ChatState,
    ConnectionLostError,
    LivenessError,
    Timeouts,
)
from tests.support.waiting import TIMEOUT


def bodies(person, count):
    """The bodies of the messages that the person received, once there are ``count``."""
    return [message.body for message in person.events.wait_for("message_received", count)]


def test_a_resumed_session_has_every_message_once_in_both_directions(server):
    bob, proxy = server.person(), server.proxy()
    alice = server.person(port=proxy.port)
    proxy.freeze()
    handles = [alice.chat.send_private(bob.id, f"out {number}") for number in range(30)]
    for number in range(30):
        bob.chat.send_private(alice.id, f"in {number}")
    bob.chat.ping()
    proxy.rst()
    alice.wait_for_state(ChatState.FORCE_CLOSED)
    proxy.heal()
    alice.wait_for_state(ChatState.RESUMED)
    for handle in handles:
        handle.result(TIMEOUT)
    assert bodies(alice, 30) == [f"in {number}" for number in range(30)]
    assert bodies(bob, 30) == [f"out {number}" for number in range(30)]
    alice.chat.ping()
    assert len(alice.events.of("message_received")) == 30


@pytest.mark.parametrize("end", ["rst", "fin"])
def test_what_is_written_without_a_link_is_sent_when_it_is_back(server, end):
    bob, proxy = server.person(), server.proxy()
    alice = server.person(port=proxy.port)
    proxy.refuse()
    getattr(proxy, end)()
    alice.wait_for_state(ChatState.FORCE_CLOSED)
    handle = alice.chat.send_private(bob.id, "written without a link")
    bob.chat.send_private(alice.id, "to one who is not there")
    proxy.accept()
    assert handle.result(TIMEOUT).body == "written without a link"
    alice.wait_for_state(ChatState.RESUMED)
    assert bodies(bob, 1) == ["written without a link"]
    assert bodies(alice, 1) == ["to one who is not there"]


def test_a_link_cut_again_and_again_loses_and_repeats_nothing(server):
    bob, proxy = server.person(), server.proxy()
    alice = server.person(port=proxy.port)
    texts = [f"number {number}" for number in range(200)]
    for position, text in enumerate(texts):
        handle = alice.chat.send_private(bob.id, text)
        bob.chat.send_private(alice.id, text)
        if position % 40 == 20:
            if not server.supports("resumption after half a stanza"):
                # What bob gets of alice has passed the server whole, and she has nothing more to write.
                bob.events.wait_for("message_delivered", position + 1)
                bob.events.wait_for("message_received", position + 1)
                alice.chat.ping()
            if not server.supports("order amid a resumption"):
                bob.chat.ping()  # alice's session has all that he wrote, before it is resumed
            proxy.rst()
            alice.wait_for_state(ChatState.RESUMED, position // 40 + 1)
    handle.result(TIMEOUT)
    assert bodies(bob, 200) == bodies(alice, 200) == texts
    bob.chat.ping()
    alice.chat.ping()
    assert len(alice.events.of("message_received")) == len(bob.events.of("message_received")) == 200


def test_a_link_cut_in_the_middle_of_a_stanza(server):
    bob, proxy = server.person(), server.proxy()
    alice = server.person(
        port=proxy.port, timeouts=Timeouts(liveness_interval=0.3, liveness_answer=0.3)
    )
    body = "x" * 100_000
    proxy.cut_after(50_000, "to_server", "rst", scope="existing")
    handle = alice.chat.send_private(bob.id, body)
    assert handle.result(TIMEOUT).body == body  # prosody needs a new session for that
    alice.chat.send_private(bob.id, "and on it goes")
    assert bodies(bob, 2) == [body, "and on it goes"]


def test_a_session_that_is_gone_is_replaced_and_what_was_not_sent_is_sent(server):
    bob, proxy, user = server.person(), server.proxy(), server.user()
    alice = server.person(user, port=proxy.port, resource="the only one")
    proxy.refuse()
    proxy.rst()
    alice.wait_for_state(ChatState.FORCE_CLOSED)
    # A login with its resource ends the session that waits for alice, and a logout ends that one too.
    usurper = server.person(user, resource="the only one")
    usurper.chat.logout()
    handle = alice.chat.send_private(bob.id, "written before it was known")
    proxy.accept()
    alice.wait_for_state(ChatState.READY, 2)
    assert ChatState.RESUMED not in alice.states
    assert handle.result(TIMEOUT).body == "written before it was known"
    assert bodies(bob, 1) == ["written before it was known"]


def test_a_silent_server_is_noticed_by_the_liveness_deadline(server):
    proxy = server.proxy()
    alice = server.person(
        port=proxy.port, timeouts=Timeouts(liveness_interval=0.3, liveness_answer=0.3)
    )
    proxy.freeze()
    reason = alice.wait_for_state(ChatState.FORCE_CLOSED).reason
    proxy.heal()
    assert isinstance(reason, LivenessError)
    alice.wait_for_state(ChatState.RESUMED)
    assert alice.chat.ping() < TIMEOUT


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_the_liveness_deadline_ends_a_link_that_is_silent_one_way(server, direction):
    proxy, bob = server.proxy(), server.person()
    alice = server.person(
        port=proxy.port, timeouts=Timeouts(liveness_interval=0.3, liveness_answer=0.3)
    )
    proxy.cut(direction, scope="existing")
    handle = alice.chat.send_private(bob.id, "does this arrive?")
    reason = alice.wait_for_state(ChatState.FORCE_CLOSED).reason
    proxy.heal()
    assert isinstance(reason, LivenessError)
    alice.wait_for_state(ChatState.RESUMED)
    assert handle.result(TIMEOUT).body == "does this arrive?"
    alice.chat.ping()
    bob.chat.ping()
    assert bodies(bob, 1) == ["does this arrive?"]


def test_clients_notice_a_paused_server_and_reconnect_when_it_goes_on(own_server):
    quick = Timeouts(liveness_interval=0.3, liveness_answer=0.3, connect=2.0, login=5.0)
    alice, bob = own_server.person(timeouts=quick), own_server.person(timeouts=quick)
    with own_server.paused():
        reason = alice.wait_for_state(ChatState.FORCE_CLOSED).reason
        bob.wait_for_state(ChatState.FORCE_CLOSED)
        assert isinstance(reason, LivenessError)
        second = alice.wait_for_state(ChatState.FORCE_CLOSED, 2).reason
        assert isinstance(second, ConnectionLostError), (
            "who does not answer is no permanent failure"
        )
        handle = alice.chat.send_private(bob.id, "written while it stood still")
    alice.chat.wait_until_ready(TIMEOUT)
    bob.chat.wait_until_ready(TIMEOUT)
    assert handle.result(TIMEOUT).body == "written while it stood still"
    assert bodies(bob, 1) == ["written while it stood still"]


@pytest.mark.parametrize("part", [0.2, 0.4, 0.6])
def test_a_link_cut_during_the_login_fails_it_and_the_next_login_succeeds(server, part):
    proxy, user = server.proxy(), server.user()
    first = server.chat(user, port=proxy.port)
    whole = proxy.bytes_to_client
    first.logout()
    chat = Chat(server.config(port=proxy.port))
    proxy.cut_after(int(whole * part), "to_client", "rst", scope="future")
    try:
        with pytest.raises(ConnectionLostError):
            chat.login(user.id, user.password)
        assert chat.state is ChatState.CLOSED
        proxy.heal()
        chat.login(user.id, user.password)
        assert chat.is_ready
    finally:
        chat.logout()


def test_clients_reconnect_to_a_killed_server_and_send_waiting_messages(own_server):
    alice, bob = own_server.person(), own_server.person()
    own_server.kill()
    alice.wait_for_state(ChatState.FORCE_CLOSED)
    bob.wait_for_state(ChatState.FORCE_CLOSED)
    handle = alice.chat.send_private(bob.id, "written while the server was dead")
    own_server.start()
    for person in (alice, bob):
        person.wait_for_state(ChatState.READY, 2)
    assert handle.result(TIMEOUT).body == "written while the server was dead"


def test_clients_reconnect_after_a_shutdown_and_use_remaining_rooms(own_server):
    alice, bob = own_server.person(), own_server.person()
    room = own_server.room(alice, bob)
    for person in (alice, bob):
        person.chat.join(room)
    own_server.stop()
    alice.wait_for_state(ChatState.FORCE_CLOSED)
    own_server.start()
    for person in (alice, bob):
        person.wait_for_state(ChatState.READY, 2)
        person.chat.ping()
    alice.chat.send_private(bob.id, "here again")
    assert bodies(bob, 1) == ["here again"]
    if own_server.supports("rooms that outlive the server"):
        bob.chat.join(room)
        alice.chat.send_message(room, "and in our room")
        assert bodies(bob, 2) == ["here again", "and in our room"]
        assert {event.reason for event in bob.events.of("room_left")} <= {"shutdown"}
    else:
        left = bob.events.wait_for("room_left")[-1]
        assert (left.dialog_id, left.reason) == (room.id, "refused")
