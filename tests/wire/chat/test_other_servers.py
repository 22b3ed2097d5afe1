"""The chat with a server that is not ConnectyCube's, which plays a script."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connectycube import (
    Chat,
    Config,
    ReconnectPolicy,
    StanzaError,
    Timeouts,
    UnexpectedAnswerError,
)
from tests.support.certificates import Certificates
from tests.support.people import Events
from tests.support.scripted_xmpp import (
    BIND,
    PLAIN,
    STREAM_MANAGEMENT,
    ScriptedXmppServer,
    XmppConnection,
)
from tests.support.waiting import TIMEOUT

UNAVAILABLE = (
    "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    "</error>"
)
BOT = "12-1@localhost/bot"


def logged_in(conn: XmppConnection, features: str = "") -> None:
    """Play the server's side of a login."""
    conn.open_stream(PLAIN)
    user = conn.authenticate()
    conn.open_stream(BIND + STREAM_MANAGEMENT + features)
    conn.bind(user)
    conn.expect("<enable [^>]*urn:xmpp:sm:3[^>]*>")
    conn.send("<enabled xmlns='urn:xmpp:sm:3'/>")
    conn.take_presence()


@contextmanager
def chat_with(
    certificates: Certificates, script: Callable[[XmppConnection], None], **config: Any
) -> Iterator[Chat]:
    with ScriptedXmppServer(script, tls=certificates.valid) as server:
        chat = Chat(
            Config(
                app_id=1,
                auth_key="key",
                chat_host="localhost",
                chat_port=server.port,
                ca_file=certificates.ca_file,
                **config,
            )
        )
        try:
            yield chat
        finally:
            chat.logout(timeout=0.0)


def answer(conn: XmppConnection, pattern: str, content: str, kind: str = "result") -> None:
    """Answer an IQ of the client's with ``content``."""
    request = conn.expect(f"<iq [^>]*>[^>]*{pattern}.*?</iq>")[0].decode()
    own_id, to = (re.search(rf' {name}="([^"]*)"', request) for name in ("id", "to"))
    assert own_id is not None
    sender = f" from='{to[1]}'" if to is not None else ""
    conn.send(f"<iq type='{kind}' id='{own_id[1]}'{sender}>{content}</iq>")


def test_messages_of_one_id_and_of_no_type_are_received(certificates):
    def script(conn: XmppConnection) -> None:
        logged_in(conn)
        for number in range(3):
            conn.send(f"<message from='{BOT}' id='1'><body>alarm {number}</body></message>")
        conn.expect_end()

    with chat_with(certificates, script) as chat:
        events = Events(chat.message_received)
        chat.login(11, "secret")
        messages = events.wait_for("message_received", 3)
    assert [message.body for message in messages] == ["alarm 0", "alarm 1", "alarm 2"]
    assert {(message.id, message.sender_id) for message in messages} == {("1", 12)}


def test_what_follows_a_stanza_without_an_end_arrives_on_the_next_link(certificates):
    def script(conn: XmppConnection) -> None:
        logged_in(conn)
        if conn.number <= 2:  # on each link again, as a server that stores the stanza does
            conn.send(f"<message from='{BOT}' id='1'><body>half")
            conn.send(f"<message from='{BOT}' id='2'><body>swallowed</body></message>")
        else:
            conn.send(f"<message from='{BOT}' id='3'><body>read</body></message>")
        while conn.expect("<r [^>]*>|</stream:stream>")[0].startswith(b"<r"):
            conn.send("<a xmlns='urn:xmpp:sm:3' h='3'/>")

    timeouts = Timeouts(liveness_interval=0.1, liveness_answer=0.3)
    reconnect = ReconnectPolicy(delay=0.01, max_attempts=None)
    with chat_with(certificates, script, timeouts=timeouts, reconnect=reconnect) as chat:
        events = Events(chat.message_received, chat.stanza_refused)
        chat.login(11, "secret")
        (message,) = events.wait_for("message_received")
        (refused,) = events.wait_for("stanza_refused")
    assert message.body == "read"
    assert (refused.id, refused.user_id) == ("1", 12)
    assert refused.reason == "the server did not end this stanza"


def test_an_announcement_of_the_server_is_a_system_message(certificates):
    def script(conn: XmppConnection) -> None:
        logged_in(conn)
        conn.send(
            "<message from='localhost' type='headline'><body>Restart at noon</body></message>"
        )
        conn.expect_end()

    with chat_with(certificates, script) as chat:
        events = Events(chat.system_message_received)
        chat.login(11, "secret")
        (event,) = events.wait_for("system_message_received")
    assert (event.sender_id, event.body) == (None, "Restart at noon")


@pytest.mark.parametrize("features", ["<csi xmlns='urn:xmpp:csi:0'/>", ""])
def test_an_inactive_client_says_so_as_the_server_understands_it(certificates, features):
    states = []
    done = threading.Event()

    def script(conn: XmppConnection) -> None:
        logged_in(conn, features)
        answer(conn, "mobile#v2", UNAVAILABLE, "error")
        if features:
            for _ in range(2):
                found = conn.expect('<(active|inactive) xmlns="urn:xmpp:csi:0"/>')
                states.append(found[1].decode())
        done.set()
        conn.expect_end()

    with chat_with(certificates, script) as chat:
        chat.login(11, "secret")
        if features:
            chat.mark_inactive()
            chat.mark_active()
        else:
            with pytest.raises(StanzaError) as caught:
                chat.mark_inactive()
            assert caught.value.condition == "service-unavailable"
        assert done.wait(TIMEOUT)
    assert states == (["inactive", "active"] if features else [])


@pytest.mark.parametrize("seconds", ["", "seconds='-1'", "seconds='x'"])
def test_a_last_activity_that_says_nothing_is_an_error(certificates, seconds):
    def script(conn: XmppConnection) -> None:
        logged_in(conn)
        answer(conn, "jabber:iq:last", f"<query xmlns='jabber:iq:last' {seconds}/>")
        conn.expect_end()

    with chat_with(certificates, script) as chat:
        chat.login(11, "secret")
        with pytest.raises(UnexpectedAnswerError, match="does not say the last activity"):
            chat.last_activity(12)
