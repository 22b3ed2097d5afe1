"""Coming back: relogin at any moment from any thread, and old sockets that speak too late."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube import (
    Chat,
    ChatState,
    Config,
    ConnectyCubeError,
    DialogRef,
    NotConnectedError,
    ReconnectPolicy,
    Timeouts,
)
from connectycube.chat.link import Waker
from tests.support.inside import driver_of
from tests.support.people import SLOW
from tests.support.scripted_xmpp import ScriptedXmppServer
from tests.support.waiting import TIMEOUT, wait_until
from tests.wire.chat.test_ending import STATES

S = ChatState
BOB = DialogRef.private(2)


def connections_of(chat):
    """The connection threads of a chat that live now."""
    name = f"{driver_of(chat).name}-connection"
    return [thread for thread in threading.enumerate() if thread.name == name]


# --- relogin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_fifty_threads_may_ask_at_once_in_every_state(state, person, proxy, stack, certificates):
    chat = STATES[state](person, proxy, stack, certificates)
    start = threading.Barrier(50)

    def ask():
        start.wait(TIMEOUT)
        try:
            chat.relogin()
        except NotConnectedError:
            return "nobody"
        return "asked"

    with ThreadPoolExecutor(50) as pool:
        asks = [pool.submit(ask) for _ in range(50)]
        answers = {asking.result(TIMEOUT) for asking in asks}
    assert answers == ({"nobody"} if state is S.IDLE else {"asked"})
    wait_until(lambda: len(connections_of(chat)) <= 1)
    if state in (S.CLOSED, S.FORCE_CLOSED):
        chat.wait_until_ready(TIMEOUT)
    elif state in (S.READY, S.RESUMED):
        assert chat.state is state, "where messages flow nothing is done"


def test_while_it_closes_nothing_is_done_and_afterwards_it_comes_back(person, proxy):
    alice = person(timeouts=Timeouts(logout=1.5))
    alice.login()
    proxy.freeze()
    alice.chat.send_private(alice.id + 1, "nobody acknowledges this")
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(alice.chat.logout)
        alice.wait_for_state(S.CLOSING)
        alice.chat.relogin()
        assert alice.chat.state is S.CLOSING
        ending.result(TIMEOUT)
    proxy.heal()
    alice.chat.relogin()
    alice.wait_for_state(S.READY, 2)


def test_it_may_be_asked_for_in_every_state_receiver_at_every_state(person, proxy):
    alice = person(reconnect=ReconnectPolicy(max_attempts=0))

    @alice.chat.state_changed.connect
    def come_back(chat, change):
        chat.relogin()

    alice.login()
    for number in (2, 3, 4):
        proxy.rst()
        alice.wait_for_state(S.READY, number)
    assert alice.chat.ping() < TIMEOUT
    alice.chat.state_changed.disconnect(come_back)


def test_it_may_be_asked_for_inside_message_receivers_and_done_callbacks(alice, bob, emulator):
    bob.login()
    alice.login()
    done = threading.Event()

    def ask_when_done(handle):
        alice.chat.relogin()
        done.set()

    @alice.chat.message_received.connect
    def ask(chat, message):
        chat.relogin()
        chat.reply(message, "still here").add_done_callback(ask_when_done)

    bob.chat.send_private(alice.id, "hello")
    assert done.wait(TIMEOUT)
    assert bob.events.wait_for("message_received")[0].body == "still here"


def test_concurrent_logouts_logins_and_relogins_leave_one_connection(alice):
    alice.login()
    calls = (
        lambda: alice.chat.logout(timeout=1.0),
        alice.login,
        alice.chat.relogin,
        lambda: alice.chat.ping(1.0),
        lambda: alice.chat.wait_until_ready(1.0),
    )
    failures = []

    def call_all(first):
        for position in range(15):
            try:
                calls[(first + position) % len(calls)]()
            except ConnectyCubeError:
                pass  # another thread was faster
            except BaseException as error:
                failures.append(error)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call_all, range(8)))
    assert failures == []
    alice.chat.logout()
    alice.login()
    assert alice.chat.ping() < TIMEOUT
    wait_until(lambda: len(connections_of(alice.chat)) == 1)


# --- reconnection managers of an application (guide: Reconnection) ---------------------------------


def test_a_manager_with_a_delayed_relogin_reconnects_until_logout(person, proxy):
    alice = person(reconnect=ReconnectPolicy(max_attempts=0))
    timers = []

    @alice.chat.state_changed.connect
    def come_back(chat, change):
        if change.state is S.CLOSED and change.reason is not None:
            timer = threading.Timer(0.05, chat.relogin)
            timer.daemon = True
            timers.append(timer)
            timer.start()

    alice.login()
    for number in (2, 3):
        proxy.rst()
        alice.wait_for_state(S.READY, number)
    proxy.refuse()
    proxy.rst()
    alice.events.wait(
        lambda _: len(timers) >= 5
    )  # each attempt fails, ends CLOSED, and is followed
    proxy.accept()
    alice.wait_for_state(S.READY, 4)
    alice.chat.logout()
    for timer in timers:
        timer.join(TIMEOUT)
    assert alice.chat.state is S.CLOSED, "logout is no reason to come back"


@pytest.mark.parametrize("policy", [SLOW, ReconnectPolicy(max_attempts=0)], ids=["beside", "alone"])
def test_a_manager_that_listens_to_the_network_hurries_the_attempt(person, proxy, policy):
    alice = person(reconnect=policy)

    def network_is_back(chat):
        if chat.user is not None and chat.state in (S.CLOSED, S.FORCE_CLOSED):
            chat.relogin()

    network_is_back(alice.chat)
    assert alice.chat.state is S.IDLE
    alice.login()
    network_is_back(alice.chat)
    assert alice.chat.state is S.READY
    proxy.rst()
    alice.wait_for_state(S.FORCE_CLOSED if policy is SLOW else S.CLOSED)
    network_is_back(alice.chat)
    alice.chat.wait_until_ready(TIMEOUT)
    assert (S.RESUMED if policy is SLOW else S.READY) is alice.chat.state


# --- old sockets --------------------------------------------------------------------------------------


class HeldThread:
    """Keeps a connection thread where it waits for its socket, until it is let go."""

    def __init__(self, monkeypatch):
        self.held: threading.Thread | None = None
        self.stands, self.go = threading.Event(), threading.Event()
        original = Waker.wait

        def wait(waker, *arguments):
            if threading.current_thread() is self.held:
                self.stands.set()
                self.go.wait(TIMEOUT * 2)
            return original(waker, *arguments)

        monkeypatch.setattr(Waker, "wait", wait)


LATE = {
    "a message": "<message type='chat' from='2-1@localhost/x' id='old'><body>late</body></message>",
    "an acknowledgement": "<a xmlns='urn:xmpp:sm:3' h='4000'/>",
    "a stream error": (
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
    ),
    "an end of the stream": "</stream:stream>",
    "nonsense": "<<<",
    "a reset": None,
}


@pytest.mark.parametrize("what", LATE)
def test_what_an_old_socket_brings_when_the_new_one_is_up_is_nobodys(
    certificates, stack, monkeypatch, what
):
    spoken = threading.Event()
    speak = threading.Event()

    def script(conn):
        conn.log_in()
        conn.take_presence()
        if conn.number == 1:
            assert speak.wait(TIMEOUT)
            if LATE[what] is None:
                conn.reset()
            else:
                conn.send(LATE[what])
            spoken.set()
        if conn.number > 1 or LATE[what] is not None:
            conn.expect_end()

    held = HeldThread(monkeypatch)
    stack.callback(held.go.set)
    server = stack.enter_context(ScriptedXmppServer(script, tls=certificates.valid))
    config = Config(
        app_id=1,
        auth_key="key",
        chat_host="localhost",
        chat_port=server.port,
        ca_file=certificates.ca_file,
        reconnect=SLOW,
    )
    chat = Chat(config)
    stack.callback(chat.logout, timeout=0.0)
    received, states = [], []
    chat.message_received.connect(lambda chat, message: received.append(message))
    chat.state_changed.connect(lambda chat, change: states.append(change.state))
    chat.login(1, "secret")
    held.held = connections_of(chat)[0]
    driver_of(chat)._waker.wake()
    assert held.stands.wait(TIMEOUT)
    chat.logout(timeout=0.0)  # its thread cannot be waited for, and is left behind
    chat.login(1, "secret")
    assert len(connections_of(chat)) == 2
    speak.set()
    assert spoken.wait(TIMEOUT)
    old = held.held
    held.go.set()
    old.join(TIMEOUT)
    assert not old.is_alive()
    assert chat.is_ready
    handle = chat.send_message(BOB, "written on the new link")
    wait_until(lambda: b"written on the new link" in server.connections[1].received)
    assert b"written on the new link" not in server.connections[0].received
    assert not handle.done()
    assert received == [] and S.FORCE_CLOSED not in states
