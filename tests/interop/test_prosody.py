"""Our client on prosody, with the emulator out of the picture: prosody says whether we speak XMPP."""

from __future__ import annotations

import itertools

import pytest

from connectycube import (
    AuthenticationError,
    Chat,
    ChatState,
    Config,
    DialogRef,
    LivenessError,
    Message,
    Timeouts,
)
from tests.chat.people import FAST, PATIENCE, Events
from tests.faults.proxy import FaultProxy

pytestmark = pytest.mark.referee("prosody")

APP = 7
PASSWORD = "correct horse"
_users = itertools.count(5001)


class Person:
    """A user with an account on prosody and a chat connection of ours, logged in."""

    def __init__(self, prosody, port=None, **options):
        self.id = next(_users)
        prosody.add_user(f"{self.id}-{APP}", PASSWORD)
        options.setdefault("reconnect", FAST)
        self.chat = Chat(
            Config(
                app_id=APP,
                auth_key="unused",
                chat_host="localhost",
                chat_port=port or prosody.port,
                ca_file=prosody.ca_file,
                **options,
            )
        )
        self.events = Events(*self.chat._signals())
        self.chat.login(self.id, PASSWORD)

    def wait_for_state(self, state, count=1):
        return self.events.wait(
            lambda events: [c for c in events.of("state_changed") if c.state is state][
                count - 1 : count
            ]
        )[0]


@pytest.fixture
def person_on():
    """``person_on(prosody, …)``: a new user, logged in; logged out at the end."""
    people = []

    def make(prosody, **options):
        people.append(Person(prosody, **options))
        return people[-1]

    yield make
    for person in people:
        person.chat.logout()


def test_a_conversation_with_statuses_typing_and_ping(prosody, person_on):
    alice, bob = person_on(prosody), person_on(prosody)

    @bob.chat.message_received.connect
    def answer(chat, message):
        chat.mark_read(message)
        chat.reply(message, f"you said {message.body}").result(PATIENCE)

    bob.chat.send_typing(DialogRef.private(alice.id))
    alice.events.wait_for("typing_started")
    bob.chat.send_stop_typing(DialogRef.private(alice.id))
    alice.events.wait_for("typing_stopped")
    sent = Message(body="Grüße <&> 👋\t ", custom={"k": {"n": "v"}, "x": "y"})
    handle = alice.chat.send_private(bob.id, sent)
    assert handle.result(PATIENCE).body == sent.body

    received = bob.events.wait_for("message_received")[0]
    assert (received.id, received.body, received.sender_id) == (handle.id, sent.body, alice.id)
    assert received.custom == sent.custom
    assert received.date_sent == handle.message.date_sent
    assert alice.events.wait_for("message_received")[0].body == f"you said {sent.body}"
    assert alice.events.wait_for("message_delivered")[0].message_id == handle.id
    assert alice.events.wait_for("message_read")[0].user_id == bob.id
    assert 0 < alice.chat.ping() < 5


def test_a_wrong_password(prosody):
    prosody.add_user(f"5000-{APP}", PASSWORD)
    chat = Chat(
        Config(
            app_id=APP,
            auth_key="unused",
            chat_host="localhost",
            chat_port=prosody.port,
            ca_file=prosody.ca_file,
        )
    )
    with pytest.raises(AuthenticationError, match="not-authorized"):
        chat.login(5000, "wrong")
    chat.logout()


def test_after_a_cut_link_the_session_is_resumed_and_both_directions_are_made_good(
    prosody, person_on
):
    bob = person_on(prosody)
    with FaultProxy("127.0.0.1", prosody.port) as proxy:
        alice = person_on(prosody, port=proxy.port)
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
            handle.result(PATIENCE)
        received = [m.body for m in alice.events.wait_for("message_received", 30)]
        assert received == [f"in {number}" for number in range(30)]
        received = [m.body for m in bob.events.wait_for("message_received", 30)]
        assert received == [f"out {number}" for number in range(30)]
        alice.chat.ping()
        assert len(alice.events.of("message_received")) == 30
        alice.chat.logout()


def test_a_session_that_prosody_has_forgotten_is_replaced(own_prosody, person_on):
    alice, bob = person_on(own_prosody), person_on(own_prosody)
    own_prosody.kill()
    alice.wait_for_state(ChatState.FORCE_CLOSED)
    handle = alice.chat.send_private(bob.id, "written while the server was dead")
    own_prosody.start()
    alice.wait_for_state(ChatState.READY, 2)
    bob.wait_for_state(ChatState.READY, 2)
    assert handle.result(PATIENCE).body == "written while the server was dead"
    for person in (alice, bob):
        person.chat.logout()


def test_a_stopped_server_is_noticed_by_the_liveness_deadline(own_prosody, person_on):
    timeouts = Timeouts(liveness_interval=0.3, liveness_answer=0.3)
    alice = person_on(own_prosody, timeouts=timeouts)
    own_prosody.pause()
    try:
        reason = alice.wait_for_state(ChatState.FORCE_CLOSED).reason
    finally:
        own_prosody.resume()
    assert isinstance(reason, LivenessError)
    alice.wait_for_state(ChatState.RESUMED)
    assert alice.chat.ping() < 5
    alice.chat.logout()


def test_a_server_that_shuts_down_and_starts_again_is_found_again(own_prosody, person_on):
    alice = person_on(own_prosody)
    own_prosody.stop()
    alice.wait_for_state(ChatState.FORCE_CLOSED)
    own_prosody.start()
    alice.wait_for_state(ChatState.READY, 2)
    alice.chat.logout()


def test_a_message_to_nobody_comes_back(prosody, person_on):
    alice = person_on(prosody)
    handle = alice.chat.send_private(999_999, "anybody?")
    failure = alice.events.wait_for("message_failed")[0]
    assert (failure.message_id, failure.condition) == (handle.id, "service-unavailable")


def test_a_conflict_ends_the_older_connection(prosody, person_on):
    alice = person_on(prosody)
    twin = person_on(prosody)
    resource = alice.chat._driver.core.jid.partition("/")[2]
    twin.chat.logout()
    twin.chat.login(alice.id, PASSWORD, resource=resource)
    change = alice.wait_for_state(ChatState.CLOSED)
    assert change.reason.condition == "conflict"
