"""Sessions that are resumed under load, on real sockets: nothing lost, repeated or misplaced. (XEP-0198.)"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube import ChatState, Limits, StreamProtocolError
from tests.support.inside import driver_of, on_emulator, session_of
from tests.support.people import FAST, Events, Person, give_stored_ids, settled
from tests.support.waiting import TIMEOUT, wait_until

S = ChatState
SENDERS, EACH = 8, 40
NEAR_THE_WRAP = 2**32 - 40


@pytest.fixture
def person(emulator, stack):
    """Make a user who is logged in to the chat."""

    def make(**options):
        made = Person.new(emulator, reconnect=FAST, **options)
        made.login()
        stack.callback(made.chat.logout, timeout=2.0)
        return made

    return make


def count_from(person, emulator, start):
    """Let both sides have sent so many stanzas more in the session, which is at rest."""
    settled(person)
    core = driver_of(person.chat).core

    def move(core, now):
        outbox, inbound = session_of(core)._outbox, session_of(core)._inbound
        assert not outbox.unacknowledged
        outbox._acknowledged = (outbox._acknowledged + start) % 2**32
        inbound._received = inbound.handled = (inbound.handled + start) % 2**32

    def move_server(service):
        (session,) = service.hub.sessions(person.id)
        management = session.management
        management.handled = (management.handled + start) % 2**32
        management._sent = (management._sent + start) % 2**32

    driver_of(person.chat).command(lambda core, now: session_of(core).ask(now))
    wait_until(lambda: not core.session.unfinished)
    on_emulator(emulator, move_server)
    driver_of(person.chat).command(move)


@pytest.mark.parametrize("start", [0, NEAR_THE_WRAP], ids=["from zero", "over the wrap"])
def test_eight_threads_send_and_receive_through_many_resumptions(emulator, proxy, person, start):
    alice, bob = person(chat_port=proxy.port), person()
    sent = Events(alice.chat.message_sent)
    if start:
        count_from(alice, emulator, start)

    def send(sender):
        for number in range(EACH):
            handles.append(alice.chat.send_private(bob.id, f"{sender} {number}"))
            bob.chat.send_private(alice.id, f"{sender} {number}")

    handles = []
    with ThreadPoolExecutor(SENDERS) as pool:
        sending = [pool.submit(send, sender) for sender in range(SENDERS)]
        cuts = 0
        while not all(each.done() for each in sending) or cuts < 5:
            proxy.rst()
            cuts += 1
            alice.wait_for_state(S.RESUMED, cuts)
            if cuts % 3 == 0:  # a session in which the server never answers is given up
                alice.chat.ping(TIMEOUT)
        for each in sending:
            each.result(TIMEOUT)
    for handle in handles:
        handle.result(TIMEOUT)
    for person_ in (alice, bob):
        person_.events.wait_for("message_received", SENDERS * EACH)
    settled(alice, bob)
    for person_ in (alice, bob):
        bodies = [message.body for message in person_.events.of("message_received")]
        for sender in range(SENDERS):
            mine = [body for body in bodies if body.startswith(f"{sender} ")]
            assert mine == [f"{sender} {number}" for number in range(EACH)]
        assert len(bodies) == SENDERS * EACH
    ids = [event.message_id for event in sent.wait_for("message_sent", len(handles))]
    assert sorted(ids) == sorted(handle.id for handle in handles)
    assert alice.states.count(S.READY) == 1
    core = driver_of(alice.chat).core
    if start:
        assert session_of(core)._inbound.handled < NEAR_THE_WRAP, "the counts have wrapped"
        assert session_of(core)._outbox.sent < NEAR_THE_WRAP


def test_senders_that_fill_the_outbound_buffer_wait_and_lose_nothing(emulator, proxy, person):
    bob = person()
    alice = person(chat_port=proxy.port, limits=Limits(outbound_stanzas=20))
    proxy.refuse()
    proxy.rst()
    alice.wait_for_state(S.FORCE_CLOSED)

    def send(sender):
        return [
            alice.chat.send_private(bob.id, f"{sender} {number}", timeout=TIMEOUT)
            for number in range(EACH)
        ]

    with ThreadPoolExecutor(SENDERS) as pool:
        sending = [pool.submit(send, sender) for sender in range(SENDERS)]
        wait_until(lambda: driver_of(alice.chat).core.session.unfinished >= 20)
        assert driver_of(alice.chat).core.session.unfinished <= 21
        proxy.accept()
        handles = [handle for each in sending for handle in each.result(TIMEOUT)]
    for handle in handles:
        handle.result(TIMEOUT)
    bodies = [m.body for m in bob.events.wait_for("message_received", SENDERS * EACH)]
    for sender in range(SENDERS):
        mine = [body for body in bodies if body.startswith(f"{sender} ")]
        assert mine == [f"{sender} {number}" for number in range(EACH)]


@pytest.mark.parametrize("h", [True, False], ids=["with h", "without h"])
def test_what_eight_threads_sent_survives_a_session_that_cannot_be_resumed(
    emulator, proxy, person, h
):
    bob = person()
    alice = person(chat_port=proxy.port)
    in_history = set()
    give_stored_ids(alice.chat, lambda dialog, ids: in_history & set(ids))
    bob.chat.message_received.connect(lambda chat, message: in_history.add(message.id))

    def send(sender):
        return [alice.chat.send_private(bob.id, f"{sender} {number}") for number in range(EACH)]

    with ThreadPoolExecutor(SENDERS) as pool:
        sending = [pool.submit(send, sender) for sender in range(SENDERS)]
        bob.events.wait_for("message_received", 5)
        proxy.refuse()
        proxy.rst()
        alice.wait_for_state(S.FORCE_CLOSED)
        bob.chat.ping()
        wait_until(lambda: not driver_of(bob.chat).dispatcher.queued)
        with emulator.faults.start("refuse_resume", user=alice.id, times=1, h=h):
            proxy.accept()
            alice.wait_for_state(S.READY, 2)
        handles = [handle for each in sending for handle in each.result(TIMEOUT)]
    for handle in handles:
        handle.result(TIMEOUT)
    bodies = [m.body for m in bob.events.wait_for("message_received", SENDERS * EACH)]
    settled(alice, bob)
    assert len(bob.events.of("message_received")) == SENDERS * EACH
    for sender in range(SENDERS):
        mine = [body for body in bodies if body.startswith(f"{sender} ")]
        assert mine == [f"{sender} {number}" for number in range(EACH)]


def test_an_excess_acknowledgement_ends_the_link_and_repeats_nothing(emulator, proxy, person):
    bob = person()
    alice = person(chat_port=proxy.port)

    def claim_too_much(service):
        (session,) = service.hub.sessions(alice.id)
        session.management.handled = (session.management.handled + 1000) % 2**32

    on_emulator(emulator, claim_too_much)
    give_stored_ids(alice.chat, lambda dialog, ids: set(ids))
    handle = alice.chat.send_private(bob.id, "hello")
    reason = alice.wait_for_state(S.FORCE_CLOSED).reason
    assert isinstance(reason, StreamProtocolError) and "more than" in str(reason)
    alice.wait_for_state(S.READY, 2)
    assert handle.result(TIMEOUT).body == "hello"
    assert [m.body for m in bob.events.wait_for("message_received")] == ["hello"]
    alice.chat.send_private(bob.id, "and on it goes").result(TIMEOUT)
    assert len(bob.events.wait_for("message_received", 2)) == 2
