"""The chat connection as a user sees it, against the emulator."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

from connectycube import (
    Attachment,
    CallbackContextError,
    Chat,
    ChatAuthenticationError,
    ChatError,
    ChatState,
    ConnectyCube,
    Dialog,
    DialogRef,
    DialogType,
    Limits,
    Message,
    NotConnectedError,
    QueueOverflowError,
    ReconnectPolicy,
    SendQueueFullError,
    StanzaError,
    User,
    _threads,
)
from connectycube.chat.dispatcher import Dispatcher
from connectycube.chat.driver import Driver
from connectycube.chat.login_attempt import LoginAttempt
from tests.support.cutting import cut_at_each_call
from tests.support.inside import driver_of
from tests.support.people import FAST, Events, Person, logged_in
from tests.support.proxy import FaultProxy
from tests.support.waiting import TIMEOUT, wait_until

S = ChatState


# --- login and logout ---------------------------------------------------------------------------


def test_a_password_login_returns_the_user_and_passes_the_guides_states(alice):
    user = alice.login()

    assert user == User(id=alice.id) == alice.chat.user
    assert alice.chat.is_ready
    alice.wait_for_state(S.READY)
    assert alice.states == [S.CONNECTING, S.AUTHENTICATED, S.READY]


def test_login_without_arguments_uses_the_session_of_the_rest_client(emulator):
    emulator.add_user("session-user", "a password")
    with ConnectyCube(config=emulator.config()) as cube:
        user = cube.login(login="session-user", password="a password")

        assert cube.chat.login() == user
        assert cube.chat.is_ready


def test_a_login_without_arguments_and_session_names_those_missing(emulator):
    with (
        ConnectyCube(config=emulator.config()) as cube,
        pytest.raises(ValueError, match=r"cube\.login\(login=…, password=…\)"),
    ):
        cube.chat.login()


def test_a_wrong_password_fails_authentication_and_closes_the_chat(alice):
    with pytest.raises(ChatAuthenticationError, match="refused the user id and password") as caught:
        alice.chat.login(alice.id, "wrong")

    assert caught.value.condition == "not-authorized"
    assert alice.chat.state is S.CLOSED
    alice.wait_for_state(S.CLOSED)
    assert alice.states == [S.CONNECTING, S.AUTHENTICATION_FAILURE, S.CLOSED]
    assert alice.events.of("state_changed")[1].reason is caught.value
    assert alice.login().id == alice.id, "the next login with the right password works"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("1", "password"), "user_id"),
        ((True, "password"), "user_id"),
        ((0, "password"), "user_id"),
        ((1, None), "password"),
        ((None, "password"), "user_id"),
        ((1, ""), "password"),
        ((1, 5), "password"),
        ((1, "a\0b"), "password"),
        ((1, "\ud800"), "password"),
        ((User(), "password"), "user_id"),
    ],
)
def test_wrong_login_arguments_are_named_and_nothing_starts(alice, arguments, name):
    with pytest.raises((TypeError, ValueError), match=name):
        alice.chat.login(*arguments)
    assert alice.chat.state is S.IDLE


def test_a_login_while_ready_returns_the_same_user_and_refuses_another(alice, bob):
    alice.login()
    assert alice.login().id == alice.id
    with pytest.raises(ChatError, match="log out first"):
        alice.chat.login(bob.id, bob.password)
    assert alice.chat.is_ready


def test_concurrent_logins_share_one_attempt(emulator, alice):
    barrier = threading.Barrier(5)
    users = []

    def login():
        barrier.wait()
        users.append(alice.login())

    threads = [threading.Thread(target=login) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert [user.id for user in users] == [alice.id] * 5
    assert len(emulator.sessions(alice.id)) == 1
    alice.wait_for_state(S.READY)
    assert alice.states.count(S.CONNECTING) == 1


def test_concurrent_logins_share_one_failure(alice):
    errors = []
    barrier = threading.Barrier(3)

    def login():
        barrier.wait()
        try:
            alice.chat.login(alice.id, "wrong")
        except ChatAuthenticationError as error:
            errors.append(error)

    threads = [threading.Thread(target=login) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert len(errors) == 3


def test_the_resource_is_kept_over_logins_and_can_be_chosen(emulator, alice):
    alice.login()
    first = driver_of(alice.chat).core.session.jid
    alice.chat.logout()
    alice.login()
    assert driver_of(alice.chat).core.session.jid == first
    alice.chat.logout()
    alice.chat.login(alice.id, alice.password, resource="desk")
    assert driver_of(alice.chat).core.session.jid.endswith("/desk")


def test_logout_keeps_user_and_receivers_and_login_works_again(alice, bob):
    alice.login()
    alice.chat.logout()
    assert alice.chat.state is S.CLOSED
    assert alice.chat.user == User(id=alice.id)
    with logged_in(alice, bob):
        bob.chat.send_private(alice.id, "again")
        assert alice.events.wait_for("message_received")[0].body == "again"


def test_logout_is_harmless_before_login_and_twice(alice):
    alice.chat.logout()
    assert alice.chat.state is S.IDLE
    alice.login()
    alice.chat.logout()
    alice.chat.logout()
    assert alice.chat.state is S.CLOSED


def test_logout_ends_the_session_at_the_server(emulator, alice):
    alice.login()
    alice.chat.logout()
    assert emulator.sessions(alice.id) == []


def test_logout_lets_the_server_acknowledge_what_was_sent(alice, bob):
    with logged_in(alice, bob):
        handles = [alice.chat.send_private(bob.id, f"{number}") for number in range(50)]
        alice.chat.logout()
        assert [handle.exception(0) for handle in handles] == [None] * 50


def test_logout_inside_a_receiver_returns_and_ends_the_connection(alice, bob):
    done = threading.Event()

    @alice.chat.message_received.connect
    def leave(chat, message):
        chat.logout()
        done.set()

    with logged_in(alice, bob):
        bob.chat.send_private(alice.id, "leave")
        assert done.wait(TIMEOUT)
        assert alice.chat.state is S.CLOSED


def test_logout_while_connecting_ends_the_login(alice):
    with FaultProxy("localhost", alice.config.chat_port) as proxy:
        proxy.silent()
        chat = Chat(alice.config.replace(chat_port=proxy.port))
        caught = []

        def login():
            try:
                chat.login(alice.id, alice.password)
            except ChatError as error:
                caught.append(error)

        thread = threading.Thread(target=login)
        thread.start()
        proxy.wait_for_connection()
        began = time.monotonic()
        chat.logout()
        thread.join(TIMEOUT)
        assert time.monotonic() - began < TIMEOUT / 2
        assert isinstance(caught[0], NotConnectedError)
        assert chat.state is S.CLOSED


def test_logout_over_a_dead_link_returns_within_its_bound(alice):
    with FaultProxy("localhost", alice.config.chat_port) as proxy:
        chat = Chat(alice.config.replace(chat_port=proxy.port))
        chat.login(alice.id, alice.password)
        proxy.freeze()
        handle = chat.send_private(alice.id + 1000, "into the void")
        began = time.monotonic()
        chat.logout(timeout=1.5)
        assert time.monotonic() - began < TIMEOUT / 2
        assert chat.state is S.CLOSED
        assert handle.done()


def test_destroy_forgets_user_and_receivers(alice, bob):
    with logged_in(alice, bob):
        alice.chat.destroy()
        assert alice.chat.state is S.IDLE
        assert alice.chat.user is None
        assert not alice.chat.message_received.receivers


def test_the_context_manager_logs_in_and_out(emulator):
    emulator.add_user("with-user", "a password")
    with ConnectyCube(config=emulator.config()) as cube:
        cube.login(login="with-user", password="a password")
        with cube.chat as chat:
            assert chat.is_ready
        assert chat.state is S.CLOSED


def test_closing_the_client_closes_the_chat(emulator):
    emulator.add_user("closing-user", "a password")
    with ConnectyCube(config=emulator.config()) as cube:
        cube.login(login="closing-user", password="a password")
        cube.chat.login()
        chat = cube.chat
    assert chat.state is S.IDLE


def test_logging_the_client_out_ends_the_chat_and_keeps_its_receivers(emulator):
    emulator.add_user("leaving-user", "a password")
    with ConnectyCube(config=emulator.config()) as cube:
        cube.login(login="leaving-user", password="a password")
        cube.chat.message_received.connect(print)
        cube.chat.login()
        cube.logout()
        assert (cube.session, cube.chat.state) == (None, S.CLOSED)
        assert cube.chat.message_received.receivers
        with pytest.raises(NotConnectedError):
            cube.chat.send_private(5, "hello")
        with pytest.raises(ValueError, match=r"cube\.login\("):
            cube.chat.login()
        cube.login(login="leaving-user", password="a password")
        cube.chat.login()
        assert cube.chat.is_ready


def test_logging_out_leaves_a_chat_idle_that_was_never_logged_in(emulator):
    emulator.add_user("quiet-user", "a password")
    with ConnectyCube(config=emulator.config()) as cube:
        cube.login(login="quiet-user", password="a password")
        assert cube.chat.state is S.IDLE
        cube.logout()
        assert cube.chat.state is S.IDLE


def test_login_that_times_out_leaves_nothing_running(alice):
    with FaultProxy("localhost", alice.config.chat_port) as proxy:
        proxy.silent()
        chat = Chat(alice.config.replace(chat_port=proxy.port))
        with pytest.raises(TimeoutError):
            chat.login(alice.id, alice.password, timeout=0.3)
        assert chat.state is S.CLOSED


def test_a_login_and_a_logout_interrupted_anywhere_leave_the_chat_usable(alice):
    steps = (
        Driver.login,
        Driver._start_attempt,
        Driver._apply,
        Driver.after_command,
        LoginAttempt.wait,
        Dispatcher.put,
        Dispatcher.start,
        _threads.start_thread,
        _threads.uninterrupted,
        _threads._in_thread,
        _threads._Elsewhere.finish,
        threading.Thread.start,
        threading.Event.wait,
    )
    rounds = 0
    for _ in cut_at_each_call(alice.login, *steps):
        rounds += 1
        assert not alice.chat.logout()
        assert alice.chat.state in (S.IDLE, S.CLOSED)
    assert rounds > 20
    ends = (Driver._apply, Driver.after_command, _threads._in_thread, _threads._Elsewhere.finish)
    for _ in cut_at_each_call(alice.chat.logout, *ends):
        assert not alice.chat.logout()
        assert alice.chat.state in (S.IDLE, S.CLOSED)
        alice.login()
    assert alice.chat.ping(timeout=TIMEOUT) is not None


def test_a_chat_whose_session_was_ended_does_not_attempt_for_ever(emulator):
    emulator.add_user("session-ender", "a password")
    with ConnectyCube(config=emulator.config(reconnect=FAST)) as cube:
        cube.login(login="session-ender", password="a password")
        events = Events(cube.chat.state_changed)
        cube.chat.login()
        cube.sessions.destroy()
        emulator.cut(cube.chat.user.id)
        change = events.wait(
            lambda seen: [c for c in seen.of("state_changed") if c.state is S.CLOSED]
        )[0]
    assert isinstance(change.reason, ChatAuthenticationError)
    assert "no password for the chat" in str(change.reason)


# --- messages -----------------------------------------------------------------------------------


def test_a_message_arrives_with_every_field(emulator, alice, bob):
    moment = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=2)))
    sent = Message(
        body="Hello  there\t\r\n ☃ <&> 👩‍🚀 ",
        date_sent=moment,
        custom={"colour": "blue", "place": {"street": "«Main» & Co", "number": 5}, "flag": True},
        silent=True,
        attachments=(Attachment(type="image", uid="u1", size=12.0, url="https://x/?a=1&b=2"),),
    )
    with logged_in(alice, bob):
        handle = alice.chat.send_private(bob.id, sent)
        assert handle.result(TIMEOUT).body == sent.body
        received = bob.events.wait_for("message_received")[0]

    assert received.id == handle.id
    assert received.body == sent.body
    assert received.sender_id == alice.id
    assert received.recipient_id == bob.id
    assert received.date_sent == moment
    assert received.custom == {
        "colour": "blue",
        "place": {"street": "«Main» & Co", "number": "5"},
        "flag": "true",
    }
    assert received.attachments == (
        Attachment(type="image", uid="u1", id="u1", size=12.0, url="https://x/?a=1&b=2"),
    )
    assert received.markable
    assert received.silent
    assert received.save_to_history
    assert not received.own
    dialog_id = emulator.private_dialog(alice.id, bob.id)
    assert received.dialog == DialogRef.private(alice.id, dialog_id)


def test_a_receiver_can_reply_and_wait_for_its_answer_inside_the_callback(alice, bob):
    outcomes = []

    @bob.chat.message_received.connect
    def answer(chat, message):
        handle = chat.reply(message, f"you said {message.body}")
        outcomes.append((handle.result(TIMEOUT).body, chat.ping(TIMEOUT) < TIMEOUT))

    with logged_in(alice, bob):
        alice.chat.send_private(bob.id, "one")
        assert alice.events.wait_for("message_received")[0].body == "you said one"
        alice.chat.send_private(bob.id, "two")
        assert alice.events.wait_for("message_received", 2)[1].body == "you said two"
        alice.events.wait_for("message_sent", 2)
        bob.events.wait_for("message_sent", 2)
    assert outcomes == [("you said one", True), ("you said two", True)]


def test_the_handle_tells_when_the_server_has_the_message(alice, bob):
    called = threading.Event()
    seen = []

    def on_done(handle):
        seen.append((handle.id, handle.done(), driver_of(alice.chat).dispatcher.is_worker()))
        called.set()

    with logged_in(alice, bob):
        handle = alice.chat.send_private(bob.id, "hello")
        handle.add_done_callback(on_done)
        assert handle.result(TIMEOUT) == handle.message
        event = alice.events.wait_for("message_sent")[0]
        assert (event.message_id, event.message) == (handle.id, handle.message)
        assert called.wait(TIMEOUT)
    assert seen[0][:2] == (handle.id, True)


def test_delivered_happens_by_itself_once_and_read_by_hand(emulator, alice, bob):
    with logged_in(alice, bob):
        handle = alice.chat.send_private(bob.id, "hello")
        status = alice.events.wait_for("message_delivered")[0]
        message = bob.events.wait_for("message_received")[0]
        bob.chat.mark_read(message)
        read = alice.events.wait_for("message_read")[0]

        dialog_id = emulator.private_dialog(alice.id, bob.id)
        for event in (status, read):
            assert (event.user_id, event.message_id) == (bob.id, handle.id)
            assert event.dialog_id == dialog_id
        alice.chat.ping()
        assert len(alice.events.of("message_delivered")) == 1
    stored = emulator.messages(dialog_id)[0]
    assert bob.id in stored["delivered_ids"]
    assert bob.id in stored["read_ids"]


def test_delivered_is_by_hand_when_the_automatic_is_off(emulator, alice):
    carol = Person.new(emulator, auto_delivered=False)
    with logged_in(alice, carol):
        alice.chat.send_private(carol.id, "hello").result(TIMEOUT)
        message = carol.events.wait_for("message_received")[0]
        carol.chat.ping()
        alice.chat.ping()
        assert alice.events.of("message_delivered") == []
        carol.chat.mark_delivered(message)
        assert alice.events.wait_for("message_delivered")[0].message_id == message.id


def test_an_unmarkable_message_is_not_marked_by_itself(alice, bob):
    with logged_in(alice, bob):
        alice.chat.send_private(bob.id, Message(body="hello", markable=False)).result(TIMEOUT)
        bob.events.wait_for("message_received")
        bob.chat.ping()
        alice.chat.ping()
        assert alice.events.of("message_delivered") == []


def test_typing_is_seen_by_the_other(alice, bob):
    with logged_in(alice, bob):
        alice.chat.send_typing(DialogRef.private(bob.id))
        assert bob.events.wait_for("typing_started")[0].user_id == alice.id
        alice.chat.send_stop_typing(DialogRef.private(bob.id))
        assert bob.events.wait_for("typing_stopped")[0].user_id == alice.id
        assert bob.events.of("typing_started")[0].dialog_id is None


def test_a_message_to_nobody_fails_with_the_servers_reason(alice):
    with logged_in(alice):
        handle = alice.chat.send_private(999_999, "anybody there?")
        error = handle.exception(TIMEOUT)
        failure = alice.events.wait_for("message_failed")[0]
    assert isinstance(error, StanzaError)
    assert failure.message_id == handle.id
    assert failure.condition == error.condition
    assert failure.user_id == 999_999


def test_characters_that_xml_forbids_are_refused_or_cleaned_on_request(alice, bob):
    with logged_in(alice, bob):
        with pytest.raises(ValueError, match=r"body holds U\+0008 at position 2"):
            alice.chat.send_private(bob.id, "ab\x08c")
        alice.chat.send_private(bob.id, "ab\x08c", clean=True).result(TIMEOUT)
        assert bob.events.wait_for("message_received")[0].body == "ab\ufffdc"
        assert len(alice.events.of("message_sent")) <= 1


@pytest.mark.parametrize(
    ("dialog", "words"),
    [
        (5, r"dialog must be a Dialog, .* not int: chat\.send_private"),
        (User(id=5), r"dialog must be a Dialog, .* not User: chat\.send_private"),
        (Message(body="x"), r"dialog must be a Dialog, .* not Message: chat\.reply"),
        (None, "dialog must be a Dialog, a DialogRef or an id, not NoneType$"),
        ("an id", "dialog is not an id"),
        (DialogRef(id="d", type=DialogType.PRIVATE), "does not say who the other user is"),
        (DialogRef(type=DialogType.GROUP), "dialog does not say its id"),
        (Dialog(id="d"), "dialog does not say its type"),
        (DialogRef.private(-1), "peer_id must be at least 1"),
    ],
)
def test_a_dialog_that_cannot_be_sent_to_is_named(alice, dialog, words):
    with pytest.raises((TypeError, ValueError), match=words):
        alice.chat.send_message(dialog, "hello")


def test_a_private_dialog_with_oneself_is_refused(alice):
    with logged_in(alice), pytest.raises(ValueError, match="with the logged-in user"):
        alice.chat.send_private(alice.id, "hello me")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (5, "message must be a string or a Message"),
        ("", "message must have a body"),
        (Message(), "message must have a body"),
        (Message(body=5), "body must be a string"),
        (Message(body="x", custom={"a b": "c"}), "not an XML name"),
        (Message(body="x", custom={"xmlns": "urn:x"}), "declares a namespace"),
        (Message(body="x", custom={"a": {"xmlns": "b"}}), r"custom\['a'\] has the key 'xmlns'"),
        (Message(attachments=[Attachment(extra={"xmlns": "urn:x"})]), "declares a namespace"),
        (Message(body="x", custom={"dialog_id": "c"}), "reserved"),
        (Message(body="x", custom={"k": [1]}), r"custom\['k'\] must be a string"),
        (Message(body="x", custom={"k": "\x00"}), r"custom\['k'\] holds U\+0000 .* XML forbids$"),
        (Message(body="x", custom="k"), "custom must be a mapping"),
        (Message(body="x", date_sent=datetime(2024, 1, 1)), "date_sent must be an aware datetime"),
        (Message(body="x", date_sent=5), "date_sent must be a datetime"),
        (Message(body="x", markable=1), "markable must be a bool"),
        (Message(body="x", destroy_after=0), "destroy_after must be at least 1"),
        (Message(body="x", attachments=("a",)), r"attachments\[0\] must be an Attachment"),
        (Message(body="x", id=""), "id"),
        (Message(body="x", id=7), "id must be a string"),
        (Message(body="x", sender_id=999), "sender_id is for the service to say"),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused_by_name(alice, bob, message, words):
    with logged_in(alice, bob):
        with pytest.raises((TypeError, ValueError), match=words):
            alice.chat.send_private(bob.id, message)
        alice.chat.ping()
        assert bob.events.of("message_received") == []


def test_sending_needs_a_connection(alice, bob):
    for action in (
        lambda: alice.chat.send_private(bob.id, "hello"),
        lambda: alice.chat.send_typing(DialogRef.private(bob.id)),
        lambda: alice.chat.mark_read(Message(id="m", sender_id=bob.id)),
        lambda: alice.chat.ping(),
        lambda: alice.chat.wait(),
        lambda: alice.chat.wait_until_ready(0.1),
        lambda: alice.chat.relogin(),
    ):
        with pytest.raises(NotConnectedError):
            action()
    with logged_in(alice):
        pass
    with pytest.raises(NotConnectedError, match="closed"):
        alice.chat.send_private(bob.id, "hello")


# --- callbacks ----------------------------------------------------------------------------------


def test_a_callback_that_raises_is_reported_and_the_others_run(alice, bob, caplog):
    @bob.chat.message_received.connect
    def broken(chat, message):
        raise RuntimeError("a bug of the application")

    others = Events(bob.chat.message_received)
    with logged_in(alice, bob):
        alice.chat.send_private(bob.id, "hello")
        failure = bob.events.wait_for("callback_failed")[0]
        others.wait_for("message_received")
        alice.chat.send_private(bob.id, "again")
        others.wait_for("message_received", 2)
    assert failure.receiver.endswith("broken")
    assert failure.signal == "message_received"
    assert failure.event.body == "hello"
    assert isinstance(failure.error, RuntimeError)
    assert "broken" in caplog.text


def test_wait_inside_a_callback_raises_at_once(alice, bob):
    @bob.chat.message_received.connect
    def wait(chat, message):
        chat.wait()

    with logged_in(alice, bob):
        alice.chat.send_private(bob.id, "hello")
        assert isinstance(bob.events.wait_for("callback_failed")[0].error, CallbackContextError)


def test_wait_returns_when_a_callback_logs_out(alice, bob):
    @alice.chat.message_received.connect
    def leave(chat, message):
        chat.logout()

    with logged_in(alice, bob):
        bob.chat.send_private(alice.id, "leave")
        alice.chat.wait()
        assert alice.chat.state is S.CLOSED


def test_wait_raises_the_reason_of_a_final_failure(emulator):
    dave = Person.new(emulator, reconnect=ReconnectPolicy(max_attempts=0))
    with logged_in(dave):
        emulator.cut(dave.id)
        with pytest.raises(ChatError, match="link to the chat server"):
            dave.chat.wait()


@pytest.mark.parametrize("workers", [1, 4])
def test_order_within_a_conversation_is_kept(emulator, workers):
    bot = Person.new(emulator, workers=workers)
    people = [Person.new(emulator) for _ in range(3)]
    with logged_in(bot, *people):
        for number in range(40):
            for person in people:
                person.chat.send_private(bot.id, str(number))
        messages = bot.events.wait_for("message_received", 120)
    for person in people:
        bodies = [message.body for message in messages if message.sender_id == person.id]
        assert bodies == [str(number) for number in range(40)]


def test_blocking_calls_in_a_callback_return_although_the_queue_is_full(emulator):
    bot = Person.new(emulator, limits=Limits(queued_events=3))
    alice = Person.new(emulator)
    inside, go = threading.Event(), threading.Event()
    outcomes = []

    @bot.chat.message_received.connect
    def slow(chat, message):
        inside.set()
        go.wait(TIMEOUT)
        outcomes.append((chat.ping(TIMEOUT) >= 0, chat.reply(message, "yes").result(TIMEOUT)))

    with logged_in(bot, alice):
        handles = [alice.chat.send_private(bot.id, "0")]
        assert inside.wait(TIMEOUT)
        handles += [alice.chat.send_private(bot.id, str(number)) for number in range(1, 30)]
        wait_until(lambda: bot.chat.state is S.FORCE_CLOSED)
        go.set()
        alice.events.wait_for("message_received", 30)
        assert all(handle.exception(TIMEOUT) is None for handle in handles)
    overflow = bot.wait_for_state(S.FORCE_CLOSED).reason
    assert isinstance(overflow, QueueOverflowError)
    assert overflow.receiver.endswith("slow")
    assert [message.body for message in bot.events.of("message_received")] == [
        str(number) for number in range(30)
    ], "nothing lost, nothing twice, in order"
    assert len(outcomes) == 30


def test_a_done_callback_that_raises_is_reported_to_callback_failed(alice, bob):
    def fail(handle):
        raise error

    error = ValueError("of the done-callback")
    with logged_in(alice, bob):
        handle = bob.chat.send_private(alice.id, "hello")
        handle.add_done_callback(fail)
        handle.result(TIMEOUT)
        failure = bob.events.wait_for("callback_failed")[0]
        assert (failure.error, failure.event, failure.signal) == (
            error,
            handle,
            "add_done_callback",
        )
        handle.add_done_callback(fail)  # at once, in this thread
        assert len(bob.events.of("callback_failed")) == 2


# --- a lost link --------------------------------------------------------------------------------


def test_a_cut_link_is_resumed_and_what_was_sent_meanwhile_arrives(emulator, alice, bob):
    with logged_in(alice, bob):
        emulator.cut(alice.id)
        alice.wait_for_state(S.FORCE_CLOSED)
        handles = [alice.chat.send_private(bob.id, str(number)) for number in range(5)]
        bob.chat.send_private(alice.id, "for you")
        assert [handle.result(TIMEOUT).body for handle in handles] == list("01234")
        assert alice.events.wait_for("message_received")[0].body == "for you"
        alice.wait_for_state(S.RESUMED)
        assert [m.body for m in bob.events.wait_for("message_received", 5)] == list("01234")
    assert alice.states[2:6] == [S.READY, S.FORCE_CLOSED, S.RECONNECTING, S.AUTHENTICATED]


def test_an_unresumable_session_is_replaced_and_sends_waiting_messages(emulator, bob):
    with FaultProxy("localhost", emulator.chat_port) as proxy:
        eve = Person.new(emulator, chat_port=proxy.port)
        with logged_in(eve, bob):
            proxy.refuse()
            emulator.cut(eve.id)
            eve.wait_for_state(S.FORCE_CLOSED)
            emulator.forget_sessions(eve.id)
            handle = eve.chat.send_private(bob.id, "still here")
            proxy.accept()
            eve.wait_for_state(S.READY, 2)
            assert handle.result(TIMEOUT).body == "still here"
            assert bob.events.wait_for("message_received")[0].body == "still here"


def test_typing_that_waits_for_a_slow_receiver_is_merged_to_the_newest(emulator, alice):
    bot = Person.new(emulator, limits=Limits(queued_events=1))
    inside, go = threading.Event(), threading.Event()

    @bot.chat.message_received.connect
    def slow(chat, message):
        if message.body == "wait":
            inside.set()
            go.wait(TIMEOUT)

    with logged_in(bot, alice):
        alice.chat.send_private(bot.id, "wait")
        assert inside.wait(TIMEOUT)
        dialog = DialogRef.private(bot.id)
        for _ in range(5):
            alice.chat.send_typing(dialog)
            alice.chat.send_stop_typing(dialog)
        alice.chat.ping()
        wait_until(lambda: driver_of(bot.chat).dispatcher.merged >= 9)
        go.set()
        alice.chat.send_private(bot.id, "done").result(TIMEOUT)
        bot.events.wait_for("message_received", 2)
        assert len(bot.events.of("typing_stopped")) == 1
        assert bot.events.of("typing_started") == []


def test_attempts_end_and_the_reason_is_final(emulator):
    policy = ReconnectPolicy(max_attempts=2, delay=0.02)
    with FaultProxy("localhost", emulator.chat_port) as proxy:
        eve = Person.new(emulator, reconnect=policy, chat_port=proxy.port)
        with logged_in(eve):
            proxy.refuse()
            proxy.rst()
            change = eve.wait_for_state(S.CLOSED)
            assert eve.states.count(S.RECONNECTING) == 2
            assert "cannot connect" in str(change.reason)
            with pytest.raises(ChatError, match="cannot connect"):
                eve.chat.wait_until_ready(1)

            proxy.accept()
            eve.chat.relogin()
            eve.chat.wait_until_ready(TIMEOUT)


def test_a_reconnection_manager_may_relogin_inside_a_state_receiver(emulator):
    with FaultProxy("localhost", emulator.chat_port) as proxy:
        eve = Person.new(emulator, reconnect=ReconnectPolicy(max_attempts=0), chat_port=proxy.port)

        @eve.chat.state_changed.connect
        def manage(chat, change):
            if change.state is S.CLOSED and change.reason is not None:
                chat.relogin()

        with logged_in(eve):
            proxy.rst()
            eve.wait_for_state(S.READY, 2)


def test_a_full_outbound_buffer_refuses_after_its_time_out(emulator):
    with FaultProxy("localhost", emulator.chat_port) as proxy:
        eve = Person.new(emulator, limits=Limits(outbound_stanzas=5), chat_port=proxy.port)
        with logged_in(eve):
            proxy.freeze()
            handles = []
            with pytest.raises(SendQueueFullError):
                for number in range(10):
                    handles.append(eve.chat.send_private(eve.id + 1, str(number), timeout=0.1))
            assert 1 <= len(handles) <= 5
            proxy.thaw()
            for handle in handles:
                handle.exception(TIMEOUT)


def test_a_dead_peer_is_noticed_by_the_liveness_deadline(emulator):
    with FaultProxy("localhost", emulator.chat_port) as proxy:
        config = emulator.config()
        timeouts = type(config.timeouts)(liveness_interval=0.2, liveness_answer=0.2)
        eve = Person.new(emulator, timeouts=timeouts, chat_port=proxy.port)
        with logged_in(eve):
            proxy.freeze()
            change = eve.wait_for_state(S.FORCE_CLOSED)
            assert "did not answer" in str(change.reason)
            proxy.heal()
            eve.wait_for_state(S.RESUMED)


def test_one_sided_silence_is_noticed_although_the_server_still_writes(emulator, bob):
    with FaultProxy("localhost", emulator.chat_port) as proxy:
        config = emulator.config()
        timeouts = type(config.timeouts)(liveness_interval=0.2, liveness_answer=0.3)
        eve = Person.new(emulator, timeouts=timeouts, chat_port=proxy.port)
        with logged_in(eve, bob):
            proxy.cut("to_server")
            bob.chat.send_private(eve.id, "can you hear me?")
            assert eve.events.wait_for("message_received")[0].body == "can you hear me?"
            change = eve.wait_for_state(S.FORCE_CLOSED)
            assert "did not answer" in str(change.reason)


def test_login_during_the_reconnection_joins_it(emulator, alice):
    assert alice.config.reconnect == FAST
    with logged_in(alice):
        emulator.cut(alice.id)
        alice.wait_for_state(S.FORCE_CLOSED)
        assert alice.login().id == alice.id
        assert alice.chat.is_ready


def test_a_second_connection_of_one_resource_closes_the_first_for_good(emulator, alice):
    twin = Person.new(emulator)
    with logged_in(alice):
        resource = driver_of(alice.chat).core.session.jid.partition("/")[2]
        twin.chat.login(alice.id, alice.password, resource=resource)
        try:
            change = alice.wait_for_state(S.CLOSED)
            assert change.reason.condition == "conflict"
            assert S.RECONNECTING not in alice.states
        finally:
            twin.chat.logout()
