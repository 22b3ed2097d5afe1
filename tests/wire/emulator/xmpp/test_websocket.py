"""XMPP over WebSocket: the same streams as over TCP, in another framing."""

from __future__ import annotations

import contextlib
import socket

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectycube.emulator import Emulator
from tests.support.waiting import wait_until
from tests.support.websocket_client import BINARY, CLOSE, FRAMING, PING, PONG, TEXT, WebSocketClient
from tests.support.wire_client import CLIENT, SASL, SM, STREAM, chat

OPEN = f"<open xmlns='{FRAMING[1:-1]}' version='1.0' to='localhost'/>"


@pytest.fixture
def socket_to():
    """``socket_to(emulator)``: a new connection, closed when the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda emulator, **more: stack.enter_context(WebSocketClient(emulator, **more))


@pytest.fixture
def upgraded(emulator, socket_to):
    """A WebSocket on which nothing was said yet."""
    client = socket_to(emulator)
    assert client.upgrade().startswith("HTTP/1.1 101 ")
    return client


class TestHandshake:
    def test_the_subprotocol_is_confirmed_on_any_path(self, emulator, socket_to):
        head = socket_to(emulator).upgrade(path="/some/where?x=1")
        assert head.startswith("HTTP/1.1 101 ")
        assert "sec-websocket-protocol: xmpp" in head.lower()

    @pytest.mark.parametrize("protocol", [None, "mqtt"])
    def test_another_subprotocol_is_refused(self, emulator, socket_to, protocol):
        assert socket_to(emulator).upgrade(protocol).startswith("HTTP/1.1 400 ")

    def test_plain_http_is_told_what_is_spoken_here(self, emulator, socket_to):
        client = socket_to(emulator)
        client.socket.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.head().startswith("HTTP/1.1 426 ")

    def test_who_says_nothing_is_dropped(self, socket_to):
        with Emulator(handshake_seconds=0.05) as emulator:
            assert socket_to(emulator).socket.recv(1) == b""

    def test_who_never_binds_is_dropped(self, socket_to):
        with Emulator(handshake_seconds=0.05) as emulator:
            client = socket_to(emulator)
            client.upgrade()
            assert client.next().tag == f"{FRAMING}open"
            assert client.stream_error() == "connection-timeout"


class TestStream:
    def test_features_declare_the_prefix_that_clients_expect(self, upgraded):
        upgraded.send(OPEN)
        texts = upgraded.texts()
        assert next(texts).startswith(f'<open xmlns="{FRAMING[1:-1]}"')
        assert next(texts).startswith(f'<stream:features xmlns:stream="{STREAM[1:-1]}"><mechanisms')

    def test_the_name_in_the_address_may_stand_for_the_domain(self, socket_to):
        with Emulator(domain="chat.example", allow_origins=["http://box"]) as emulator:
            for name, to in (
                ("127.0.0.1", "127.0.0.1"),
                ("Box", "box"),
                ("127.0.0.1", "Chat.Example"),
            ):
                client = socket_to(emulator, name=name)
                client.upgrade()
                client.send(OPEN.replace("localhost", to))
                assert client.next().get("from") == "chat.example"
                assert client.next().tag == f"{STREAM}features"

    def test_a_host_that_is_neither_is_unknown(self, upgraded):
        upgraded.send(OPEN.replace("localhost", "elsewhere"))
        assert upgraded.next().tag == f"{FRAMING}open"
        assert upgraded.stream_error() == "host-unknown"

    def test_close_is_answered_and_the_websocket_ends_well(self, emulator, alice, socket_to):
        client = socket_to(emulator).log_in(alice)
        client.send(f"<close xmlns='{FRAMING[1:-1]}'/>")
        assert client.next().tag == f"{FRAMING}close"
        assert client.next() is None
        assert client.close_code == 1000
        assert emulator.sessions() == []

    def test_messages_go_between_websocket_and_tls(self, emulator, alice, bob, connect, socket_to):
        ours, theirs = socket_to(emulator).log_in(alice), connect().log_in(bob)
        ours.stanza(chat(bob, "Grüße <&amp;> 👋".replace("<", "&lt;").replace(">", "&gt;")))
        assert theirs.message().findtext(f"{CLIENT}body") == "Grüße <&> 👋"
        theirs.send(chat(alice, "back", id="bb" * 12))
        message = ours.find(f"{CLIENT}message")
        assert (message.findtext(f"{CLIENT}body"), message.get("from")) == ("back", theirs.jid)

    def test_a_message_in_fragments_with_a_ping_between_is_one(
        self, emulator, alice, bob, connect, socket_to
    ):
        ours, theirs = socket_to(emulator).log_in(alice), connect().log_in(bob)
        data = chat(bob, "é").replace("<message", "<message xmlns='jabber:client'").encode()
        middle = data.index("é".encode()) + 1  # within a character
        ours.frame(data[:middle], TEXT, last=False)
        ours.frame(b"ping", PING)
        ours.frame(data[middle:], 0)
        assert ours.receive() == (PONG, b"ping")
        assert theirs.message().findtext(f"{CLIENT}body") == "é"

    def test_three_wrong_passwords_end_the_stream(self, upgraded):
        upgraded.open()
        for _ in range(3):
            upgraded.send(f"<auth xmlns='{SASL[1:-1]}' mechanism='PLAIN'>AHgAeA==</auth>")
            assert upgraded.next().tag == f"{SASL}failure"
        assert upgraded.stream_error() == "policy-violation"

    def test_stop_says_goodbye(self, socket_to):
        emulator = Emulator().start()
        try:
            client = socket_to(emulator).log_in(emulator.add_user("alice", "secret"))
        finally:
            emulator.stop()
        assert client.stream_error() == "system-shutdown"

    def test_stop_is_possible_whatever_clients_do(self, socket_to):
        with Emulator() as emulator:
            alice = emulator.add_user("alice", "secret")
            socket_to(emulator)
            socket_to(emulator).upgrade()
            socket_to(emulator).log_in(alice)
            with socket.create_connection((emulator.host, emulator.websocket_port)) as half:
                half.sendall(b"GET / HT")
                emulator.stop()


class TestResumption:
    @pytest.mark.parametrize("how", ["cut", "end"])
    def test_what_was_missed_is_replayed(self, emulator, alice, bob, connect, socket_to, how):
        client = socket_to(emulator).log_in(alice)
        previous = client.enable()
        if how == "cut":
            assert emulator.cut(alice) == 1
            with pytest.raises(ConnectionResetError):
                client.receive()
        else:
            client.socket.close()
        wait_until(lambda: not emulator.sessions(alice)[0]["connected"], "the lost link")
        other = connect().log_in(bob)
        other.send(chat(alice, "missed"))
        other.sync()
        again = socket_to(emulator).authenticated(alice)
        again.send(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{previous}'/>")
        assert again.find(f"{SM}resumed").get("previd") == previous
        assert again.find(f"{CLIENT}message").findtext(f"{CLIENT}body") == "missed"

    def test_a_session_of_a_websocket_goes_on_over_tls(self, emulator, alice, connect, socket_to):
        client = socket_to(emulator).log_in(alice)
        previous = client.enable()
        tls = connect().authenticated(alice)
        tls.send(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{previous}'/>")
        assert tls.find(f"{SM}resumed").get("previd") == previous
        assert client.stream_error() == "conflict"

    def test_who_does_not_read_is_cut_and_can_resume(self, socket_to):
        with Emulator(unsent_bytes=200_000) as emulator:
            users = [emulator.add_user(name, "secret") for name in ("alice", "bob")]
            deaf, loud = (socket_to(emulator).log_in(user) for user in users)
            deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            previous = deaf.enable()
            body = "x" * 200_000
            sent = 0
            while emulator.sessions(users[0])[0]["connected"]:
                loud.stanza(chat(users[0], body, id=f"{sent:024x}"))
                loud.stanza("<iq type='get' id='sync'><ping xmlns='urn:xmpp:ping'/></iq>")
                loud.find(f"{CLIENT}iq", id="sync")
                sent += 1
                assert sent < 200
            again = socket_to(emulator).authenticated(users[0])
            again.send(f"<resume xmlns='urn:xmpp:sm:3' h='{sent}' previd='{previous}'/>")
            again.find(f"{SM}resumed")


DEEP = "<a>" * 100 + "</a>" * 100
BAD = {
    "empty": (b"", "bad-format"),
    "white space": (b" ", "bad-format"),
    "white space first": (b" <presence xmlns='jabber:client'/>", "bad-format"),
    "text": (b"hello", "bad-format"),
    "incomplete": (b"<presence xmlns='jabber:client'>", "not-well-formed"),
    "two elements": (b"<presence xmlns='jabber:client'/>" * 2, "not-well-formed"),
    "text after": (b"<presence xmlns='jabber:client'/>x", "not-well-formed"),
    "wrong nesting": (b"<presence xmlns='jabber:client'><a></presence>", "not-well-formed"),
    "name of a number": (b"<message xmlns='jabber:client'><0/></message>", "not-well-formed"),
    "unbound prefix": (b"<stream:stream/>", "bad-namespace-prefix"),
    "comment": (b"<!-- x --><presence xmlns='jabber:client'/>", "restricted-xml"),
    "comment after": (b"<presence xmlns='jabber:client'/><!-- x -->", "restricted-xml"),
    "instruction": (b"<?x y?><presence xmlns='jabber:client'/>", "restricted-xml"),
    "DTD": (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "restricted-xml"),
    "encoding": (b"<?xml version='1.0' encoding='latin-1'?><a/>", "unsupported-encoding"),
    "no namespace": (b"<presence/>", "invalid-namespace"),
    "another namespace": (b"<iq xmlns='jabber:server'/>", "invalid-namespace"),
    "unknown element": (b"<a xmlns='b'/>", "unsupported-stanza-type"),
    "second open": (OPEN.encode(), "unsupported-stanza-type"),
    "too deep": (f"<message xmlns='jabber:client'>{DEEP}</message>".encode(), "policy-violation"),
    "too large": (
        b"<message xmlns='jabber:client'><body>" + b"x" * 1_048_576 + b"</body></message>",
        "policy-violation",
    ),
}


class TestBadInput:
    @pytest.mark.parametrize("name", BAD)
    def test_a_bad_message_ends_its_stream(self, emulator, alice, socket_to, name):
        data, condition = BAD[name]
        client, other = (socket_to(emulator).log_in(alice) for _ in range(2))
        client.frame(data)
        assert client.stream_error() == condition
        other.stanza("<iq type='get' id='still'><ping xmlns='urn:xmpp:ping'/></iq>")
        assert other.find(f"{CLIENT}iq", id="still").get("type") == "result"

    def test_a_binary_message_ends_its_stream(self, emulator, alice, socket_to):
        client = socket_to(emulator).log_in(alice)
        client.frame(b"<presence xmlns='jabber:client'/>", BINARY)
        assert client.stream_error() == "bad-format"

    @pytest.mark.parametrize(
        ("first", "condition"),
        [
            ("<presence xmlns='jabber:client'/>", "invalid-namespace"),
            ("<open xmlns='jabber:client' version='1.0'/>", "invalid-namespace"),
            (f"<opened xmlns='{FRAMING[1:-1]}'/>", "bad-format"),
            (OPEN.replace("1.0", "0.9"), "unsupported-version"),
            ("<a>", "not-well-formed"),
        ],
    )
    def test_a_stream_that_begins_badly_is_opened_to_say_so(self, upgraded, first, condition):
        upgraded.send(first)
        assert upgraded.next().tag == f"{FRAMING}open"
        assert upgraded.stream_error() == condition

    @pytest.mark.parametrize(
        ("send", "code"),
        [
            (lambda client: client.frame(b"<a>\xff</a>"), 1007),
            (lambda client: client.frame(b"x" * 2_200_000), 1009),
            (lambda client: client.frame(b"", 5), 1002),
            (lambda client: client.frame(b"x" * 126, PING), 1002),
            (lambda client: client.frame(b"<a/>", 0), 1002),
        ],
    )
    def test_what_is_no_websocket_ends_with_the_code_for_it(
        self, emulator, alice, socket_to, send, code
    ):
        client = socket_to(emulator).log_in(alice)
        with contextlib.suppress(ConnectionError):
            send(client)
        assert client.next() is None
        assert client.close_code == code
        wait_until(lambda: emulator.sessions() == [], "the end of the session")

    @pytest.mark.skipif(
        tuple(map(int, aiohttp.__version__.split(".")[:2])) < (3, 14),
        reason="older releases of aiohttp read a frame before they look at its size",
    )
    def test_a_size_that_is_only_claimed_takes_no_memory(self, emulator, alice, socket_to):
        client = socket_to(emulator).log_in(alice)
        client.socket.sendall(b"\x81\xff" + (2**40).to_bytes(8, "big") + b"mask" + b"x" * 100)
        assert client.next() is None
        assert client.close_code == 1009


@pytest.fixture(scope="module")
def lasting():
    with Emulator() as emulator:
        yield emulator, emulator.add_user("alice", "secret")


PIECES = st.lists(
    st.sampled_from(
        (
            *("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' ", "<iq ", "<message ", "<a "),
            *("xmlns='jabber:client' ", "version='1.0' ", "to='1-1@localhost' ", "type='get' "),
            *(
                ">",
                "/>",
                "</iq>",
                "</message>",
                "<body>x</body>",
                "&#0;",
                "&lt;",
                "]]>",
                "\U0001f44b",
            ),
            "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
        )
    ),
    max_size=8,
)


@settings(max_examples=60)
@given(
    messages=st.lists(
        st.one_of(
            st.tuples(st.just(TEXT), PIECES.map(lambda pieces: "".join(pieces).encode())),
            st.tuples(
                st.sampled_from((0, TEXT, BINARY, 3, CLOSE, PING, PONG)), st.binary(max_size=9)
            ),
        ),
        max_size=4,
    ),
    bound=st.booleans(),
)
def test_whatever_is_sent_the_stream_ends_and_the_emulator_goes_on(lasting, messages, bound):
    emulator, alice = lasting
    with WebSocketClient(emulator) as client:
        if bound:
            client.log_in(alice)
        else:
            client.upgrade()
        with contextlib.suppress(ConnectionError):
            for opcode, data in messages:
                client.frame(data, opcode)
            client.frame(b"no XML", TEXT)
            client.frame(b"", CLOSE)
        with contextlib.suppress(ConnectionError):
            while client.receive()[0] != CLOSE:
                pass
    with WebSocketClient(emulator) as other:
        other.log_in(alice)
