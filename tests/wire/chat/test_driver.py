"""The driver against servers that misbehave: each fault its own error, in time, nothing left over."""

from __future__ import annotations

import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectycube import (
    CertificateError,
    Chat,
    ChatAuthenticationError,
    ChatState,
    Config,
    ConnectionLostError,
    ConnectTimeoutError,
    DialogRef,
    HostUnknownError,
    HostUnreachableError,
    Limits,
    LivenessError,
    LoginTimeoutError,
    OutcomeUnknownError,
    ReconnectPolicy,
    StreamError,
    StreamProtocolError,
    Timeouts,
    TlsError,
)
from connectycube.chat.link import Waker
from tests.support.certificates import REFUSED
from tests.support.inside import driver_of
from tests.support.people import FAST, Events
from tests.support.ports import free_port
from tests.support.scripted import Connection, stay_silent
from tests.support.scripted_xmpp import (
    BIND,
    PLAIN,
    STREAM_HEADER,
    STREAM_MANAGEMENT,
    ScriptedXmppServer,
)
from tests.support.waiting import TIMEOUT, wait_until

S = ChatState
SECRET = "a very secret password"
BOB = DialogRef.private(2)


@pytest.fixture
def chat_to(certificates):
    """Make a chat that connects to a port of this host; closed at the end of the test."""
    made = []

    def make(port, **options):
        options.setdefault("timeouts", Timeouts(connect=3, login=5))
        options.setdefault("reconnect", FAST)
        options.setdefault("chat_host", "localhost")
        config = Config(
            app_id=1, auth_key="key", chat_port=port, ca_file=certificates.ca_file, **options
        )
        chat = Chat(config)
        chat.events = Events(chat.state_changed, chat.message_received, chat.message_failed)
        made.append(chat)
        return chat

    yield make
    for chat in made:
        chat.logout()


def states(chat):
    return [change.state for change in chat.events.of("state_changed")]


def wait_for_state(chat, state):
    return chat.events.wait(
        lambda events: [c for c in events.of("state_changed") if c.state is state]
    )[-1]


def log_in(conn):
    """Log the client in; a session that it would resume is gone."""
    if conn.number == 1:
        conn.log_in()
    else:
        conn.open_stream(PLAIN)
        user = conn.authenticate()
        conn.open_stream(BIND + STREAM_MANAGEMENT)
        conn.expect("<resume ")
        conn.send("<failed xmlns='urn:xmpp:sm:3'/>")
        conn.bind(user)
        conn.expect("<enable ")
        conn.send("<enabled xmlns='urn:xmpp:sm:3' id='again' resume='true'/>")
    conn.take_presence()


def log_in_and_answer(conn):
    """Play a server that logs the client in and acknowledges what it asks about, until the end."""
    log_in(conn)
    handled = 3  # the presence and the requests behind it
    while True:
        found = conn.expect(r"<message .*?</message>|<r [^>]*>|</stream:stream>")[0]
        if found.startswith(b"<r"):
            conn.send(f"<a xmlns='urn:xmpp:sm:3' h='{handled}'/>")
        elif found.startswith(b"<m"):
            handled += 1
        else:
            conn.send("</stream:stream>")
            return


def test_messages_one_after_the_other_wake_the_thread_that_reads_once(
    chat_to, certificates, monkeypatch
):
    wakes = []
    original = Waker.wake
    with ScriptedXmppServer(log_in_and_answer, tls=certificates.valid) as server:
        chat = chat_to(server.port)
        chat.login(1, SECRET)
        chat.send_message(BOB, "the first").result(TIMEOUT)
        monkeypatch.setattr(Waker, "wake", lambda waker: (wakes.append(1), original(waker)))
        for number in range(20):
            chat.send_message(BOB, str(number)).result(TIMEOUT)
        monkeypatch.undo()
        chat.logout()
    assert len(wakes) <= 1, "each question brings a deadline forward, each answer puts it off"


# --- no link ------------------------------------------------------------------------------------


def test_an_unknown_host_is_named_and_ends_the_login(chat_to, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    chat = chat_to(5223, chat_host="nowhere.example")
    with pytest.raises(HostUnknownError, match=r"nowhere\.example"):
        chat.login(1, SECRET)
    assert states(chat) == [] or chat.state is S.CLOSED
    wait_for_state(chat, S.CLOSED)
    assert states(chat) == [S.CONNECTING, S.FORCE_CLOSED, S.CLOSED]


def test_a_refused_port_is_named_in_the_error(chat_to):
    port = free_port()
    with pytest.raises(HostUnreachableError, match=f"port {port}"):
        chat_to(port).login(1, SECRET)


def test_a_silent_server_ends_the_login_at_the_connect_time_out(chat_to):
    with ScriptedXmppServer(stay_silent) as server:
        began = time.monotonic()
        with pytest.raises(ConnectTimeoutError, match="TLS handshake in time"):
            chat_to(server.port, timeouts=Timeouts(connect=0.3)).login(1, SECRET)
        assert time.monotonic() - began < TIMEOUT / 2
        server.wait_for_ends()
    assert server.saw_no_credentials(SECRET)


def test_silence_after_the_handshake_ends_the_login_at_its_time_out(chat_to, certificates):
    with ScriptedXmppServer(stay_silent, tls=certificates.valid) as server:
        with pytest.raises(LoginTimeoutError):
            chat_to(server.port).login(1, SECRET, timeout=0.4)
        server.wait_for_ends()
    assert server.saw_no_credentials(SECRET)


def test_plaintext_on_the_tls_port_gets_no_credentials(chat_to):
    def speak_in_clear(conn):
        conn.send(STREAM_HEADER)
        conn.expect_end()

    with ScriptedXmppServer(speak_in_clear) as server:
        with pytest.raises(TlsError, match="does not speak TLS"):
            chat_to(server.port).login(1, SECRET)
        server.wait_for_ends()
    assert server.saw_no_credentials(SECRET)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_certificate_that_is_not_valid_gets_no_credentials(chat_to, certificates, kind):
    with ScriptedXmppServer(stay_silent, tls=getattr(certificates, kind)) as server:
        with pytest.raises(CertificateError, match="not valid for localhost"):
            chat_to(server.port).login(1, SECRET)
        server.wait_for_ends()
    assert server.saw_no_credentials(SECRET)


# --- no login -----------------------------------------------------------------------------------


def test_a_server_without_plain_gets_no_credentials(chat_to, certificates):
    def offer_scram(conn):
        conn.open_stream(PLAIN.replace("PLAIN", "SCRAM-SHA-1"))
        conn.expect_end()

    with ScriptedXmppServer(offer_scram, tls=certificates.valid) as server:
        with pytest.raises(ChatAuthenticationError, match="offers SCRAM-SHA-1, not PLAIN"):
            chat_to(server.port).login(1, SECRET)
        server.wait_for_ends()
    assert server.saw_no_credentials(SECRET)


FAULTS = {
    "a stream error": (
        "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        "</stream:error></stream:stream>",
        StreamError,
        "system-shutdown",
    ),
    "an end of the stream": ("</stream:stream>", ConnectionLostError, "closed the stream"),
    "garbage": ("\x00\xff garbage", StreamProtocolError, "bad XML"),
    "bad XML": ("<message><body></message>", StreamProtocolError, "bad XML"),
    "a DTD": (
        "<!DOCTYPE x [<!ENTITY a 'b'>]>",
        StreamProtocolError,
        "bad XML|document type declaration",
    ),
    "an unknown entity": ("<message><body>&lol;</body></message>", StreamProtocolError, "bad XML"),
    "a comment": ("<!-- hi -->", StreamProtocolError, "comment"),
    "a processing instruction": ("<?php ?>", StreamProtocolError, "processing instruction"),
    "another namespace": ("<message xmlns='jabber:server'/>", StreamProtocolError, "instead of"),
    "a second header": ("<stream:features/>", StreamProtocolError, "instead of"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("logged_in", [False, True], ids=["during login", "when ready"])
def test_what_a_server_sends_wrongly_ends_the_link_with_its_reason(
    chat_to, certificates, fault, logged_in
):
    data, kind, words = FAULTS[fault]

    def script(conn):
        if conn.number > 1:
            return log_in_and_answer(conn)
        if logged_in:
            conn.log_in()
            conn.take_presence()
        else:
            conn.open_stream(PLAIN)
            conn.expect("<auth")
        conn.send(data.encode("latin-1"))
        return conn.expect_end()

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port)
        if logged_in:
            chat.login(1, SECRET)
            error = wait_for_state(chat, S.FORCE_CLOSED).reason
            chat.wait_until_ready(TIMEOUT)
            assert S.RECONNECTING in states(chat)
        else:
            with pytest.raises(ConnectionLostError) as caught:
                chat.login(1, SECRET)
            error = caught.value
            assert chat.state is S.CLOSED
        assert isinstance(error, kind)
        assert re.search(words, str(error)), error
        chat.logout()


def test_during_login_an_element_beyond_the_limits_ends_the_link(chat_to, certificates):
    def script(conn):
        conn.open_stream(PLAIN)
        conn.expect("<auth")
        conn.send("<message>" + "<a>" * 100)
        return conn.expect_end()

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port)
        with pytest.raises(StreamProtocolError, match="nested deeper"):
            chat.login(1, SECRET)


def test_a_stanza_of_50_megabytes_ends_the_link_without_being_kept(chat_to, certificates):
    sent = []

    def script(conn):
        if conn.number > 1:
            return log_in_and_answer(conn)
        conn.log_in()
        conn.take_presence()
        conn.send("<message type='chat' from='2-1@localhost/x'><body>")
        for _ in range(50):
            conn.send(b"x" * 1_000_000)
            sent.append(1)
        return None

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port)
        chat.login(1, SECRET)
        reason = wait_for_state(chat, S.FORCE_CLOSED).reason
        assert isinstance(reason, StreamProtocolError)
        assert "16777216 bytes" in str(reason)
        chat.wait_until_ready(TIMEOUT)
        chat.logout()
    assert len(sent) < 50


@pytest.mark.parametrize(
    "end", [Connection.reset, Connection.fin, lambda conn: None], ids=["RST", "FIN", "polite"]
)
def test_an_end_of_the_connection_is_a_lost_link(chat_to, certificates, end):
    def script(conn):
        if conn.number > 1:
            return log_in_and_answer(conn)
        conn.log_in()
        conn.take_presence()
        return end(conn)

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port)
        chat.login(1, SECRET)
        reason = wait_for_state(chat, S.FORCE_CLOSED).reason
        assert type(reason) is ConnectionLostError
        chat.wait_until_ready(TIMEOUT)
        chat.logout()


@pytest.mark.parametrize(
    "end", [Connection.reset, Connection.fin, lambda conn: None], ids=["RST", "FIN", "polite"]
)
def test_an_end_of_the_connection_while_closing_is_the_end_of_the_logout(
    chat_to, certificates, end
):
    def script(conn):
        conn.log_in()
        conn.take_presence()
        conn.expect("</stream:stream>")
        return end(conn)

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port, timeouts=Timeouts(connect=3, login=5, logout=2))
        chat.login(1, SECRET)
        chat.logout()
        change = wait_for_state(chat, S.CLOSED)
        assert change.reason is None and S.FORCE_CLOSED not in states(chat)


@pytest.mark.parametrize("condition", ["conflict", "host-gone", "not-authorized"])
def test_a_permanent_stream_error_is_final(chat_to, certificates, condition):
    def script(conn):
        conn.log_in()
        conn.take_presence()
        conn.send(
            f"<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Sorry</text></stream:error>"
        )
        conn.expect_end()

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port)
        chat.login(1, SECRET)
        change = wait_for_state(chat, S.CLOSED)
        assert change.reason.condition == condition
        assert "Sorry" in str(change.reason)
        assert len(server.connections) == 1
        with pytest.raises(StreamError, match=condition):
            chat.wait()


def test_a_server_that_accepts_and_drops_for_ever_exhausts_the_attempts(chat_to, certificates):
    def script(conn):
        log_in(conn)
        conn.reset()

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port, reconnect=ReconnectPolicy(max_attempts=3, delay=0.01))
        chat.login(1, SECRET)
        wait_for_state(chat, S.CLOSED)
        assert len(server.connections) == 4


def test_who_does_not_acknowledge_is_dead_and_the_outcome_unknown(chat_to, certificates):
    def script(conn):
        conn.log_in()
        conn.take_presence()
        conn.expect_end()

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(
            server.port,
            timeouts=Timeouts(liveness_interval=0.2, liveness_answer=0.2),
            reconnect=ReconnectPolicy(max_attempts=0),
        )
        chat.login(1, SECRET)
        handle = chat.send_message(BOB, "hello?")
        assert isinstance(wait_for_state(chat, S.CLOSED).reason, LivenessError)
        assert isinstance(handle.exception(TIMEOUT), OutcomeUnknownError)
        failure = chat.events.wait_for("message_failed")[0]
        assert failure.message_id == handle.id
        assert isinstance(failure.error, OutcomeUnknownError)


def test_a_server_without_stream_management_still_tells_what_was_sent(chat_to, certificates):
    def script(conn):
        conn.log_in(stream_management=False)
        conn.take_presence()
        while True:
            found = conn.expect(
                r'<iq type="get" id="([^"]*)" to="localhost"><ping|</stream:stream>'
            )
            if found[1] is None:
                conn.send("</stream:stream>")
                return
            conn.send(f"<iq type='result' id='{found[1].decode()}' from='localhost'/>")

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port)
        chat.login(1, SECRET)
        assert chat.send_message(BOB, "hello").result(TIMEOUT).body == "hello"
        chat.logout()


def test_a_server_that_stops_reading_does_not_block_the_reader(chat_to, certificates):
    big = "x" * 200_000

    def script(conn):
        conn.log_in()
        conn.take_presence()
        conn.send(
            "<message type='chat' from='2-1@localhost/x' id='m1'><body>over here</body></message>"
        )
        release.wait(TIMEOUT)
        conn.expect_end()

    release = threading.Event()
    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port, limits=Limits(outbound_stanzas=200))
        chat.login(1, SECRET)
        began = time.monotonic()
        for _ in range(60):  # 12 MB: far beyond what the kernel takes
            chat.send_message(BOB, big)
        assert time.monotonic() - began < TIMEOUT, "senders do not wait for a slow server"
        assert chat.events.wait_for("message_received")[0].body == "over here"
        chat.logout(timeout=0.5)
        release.set()


def test_a_spoofed_iq_answer_is_not_believed(chat_to, certificates):
    def script(conn):
        conn.log_in()
        conn.take_presence()
        ping = conn.expect(r"id=\"([0-9a-f]{24})\" to=\"localhost\"><ping")[1].decode()
        conn.send(f"<iq type='result' id='{ping}' from='666-1@localhost/evil'/>")
        conn.send(f"<message type='chat' from='666-1@localhost/evil' id='{ping}'/>")
        conn.expect_end()

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port)
        chat.login(1, SECRET)
        with pytest.raises(TimeoutError):
            chat.ping(timeout=0.3)
        assert driver_of(chat).core.counters.unclaimed_answers == 1
        chat.logout(timeout=0.2)


def test_the_server_is_answered_when_it_pings_or_asks_what_we_do_not_know(chat_to, certificates):
    def script(conn):
        conn.log_in()
        conn.take_presence()
        conn.send("<iq type='get' id='p1' from='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        conn.expect('<iq type="result" id="p1" to="localhost"/>')
        conn.send("<iq type='get' id='v1' from='localhost'><query xmlns='jabber:iq:version'/></iq>")
        conn.expect('<iq type="error" id="v1" to="localhost">.*service-unavailable')
        conn.expect("</stream:stream>")
        conn.send("</stream:stream>")

    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = chat_to(server.port)
        chat.login(1, SECRET)
        wait_until(lambda: b"service-unavailable" in server.received)
        chat.logout(timeout=1.2)


def test_binding_can_be_refused(chat_to, certificates):
    def script(conn):
        conn.open_stream(PLAIN)
        conn.authenticate()
        conn.open_stream(BIND)
        request = conn.expect('<iq type="set" id="(.*?)"')[1].decode()
        conn.send(
            f"<iq type='error' id='{request}'><error type='wait'><resource-constraint"
            " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        )
        conn.expect_end()

    with (
        ScriptedXmppServer(script, tls=certificates.valid) as server,
        pytest.raises(StreamError, match="refused to bind a resource: resource-constraint"),
    ):
        chat_to(server.port).login(1, SECRET)


def test_no_secret_is_in_any_log_line_or_repr(chat_to, certificates, caplog):
    caplog.set_level("DEBUG")
    with ScriptedXmppServer(log_in_and_answer, tls=certificates.valid) as server:
        chat = chat_to(server.port)
        chat.login(1, SECRET)
        shown = (
            repr(chat) + repr(driver_of(chat).core.credentials) + repr(chat._config) + caplog.text
        )
        chat.logout()
    assert SECRET not in shown


def test_a_sender_has_room_once_a_marker_is_acknowledged(chat_to, certificates):
    """No outcome tells of that: nobody waits for the outcome of a marker."""
    is_waiting = threading.Event()

    def script(conn):
        conn.log_in()
        conn.take_presence()
        conn.send("<a xmlns='urn:xmpp:sm:3' h='3'/>")
        conn.send(
            "<message type='chat' from='2-1@localhost/x' id='m1'><body>hello</body></message>"
        )
        conn.expect("<displayed [^>]*id=.m1.")
        assert is_waiting.wait(TIMEOUT)
        conn.send("<a xmlns='urn:xmpp:sm:3' h='4'/>")
        conn.expect("<body>hello yourself</body>")
        conn.expect_end()

    with (
        ScriptedXmppServer(script, tls=certificates.valid) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        chat = chat_to(server.port, limits=Limits(outbound_stanzas=1))
        chat.login(1, SECRET)
        chat.mark_read(chat.events.wait_for("message_received")[0])
        wait_until(
            lambda: driver_of(chat).core.session.unfinished == 1, "the marker, unacknowledged"
        )
        sending = pool.submit(chat.send_message, BOB, "hello yourself", timeout=TIMEOUT)
        wait_until(lambda: driver_of(chat).sender.waiting == 1, "the sender that waits for room")
        is_waiting.set()
        sending.result(TIMEOUT / 2)
