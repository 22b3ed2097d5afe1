"""A chat client of sockets and ElementTree alone, which shows what is on the wire and can misbehave."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Callable
from xml.etree import ElementTree

from connectycube.emulator import Emulator
from tests.support.waiting import TIMEOUT

CLIENT = "{jabber:client}"
SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"
SM = "{urn:xmpp:sm:3}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
STREAM = "{http://etherx.jabber.org/streams}"
STREAMS = "{urn:ietf:params:xml:ns:xmpp-streams}"

HEADER = (
    "<?xml version='1.0'?><stream:stream version='1.0' to='localhost' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)


def connect_tls(
    context: ssl.SSLContext, address: tuple[str, int], server_hostname: str
) -> ssl.SSLSocket:
    """Connect and shake hands; nothing stays open if that fails."""
    # Before it connects: wrapping a socket that was reset meanwhile would leave it open (CPython 3.11).
    sock = context.wrap_socket(socket.socket(), server_hostname=server_hostname)
    try:
        sock.settimeout(TIMEOUT)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


class Client:
    """One connection. What waits raises TimeoutError after ``TIMEOUT`` seconds."""

    def __init__(self, emulator: Emulator) -> None:
        context = ssl.create_default_context(cafile=emulator.ca_file)
        address = (emulator.host, emulator.chat_port)
        self.socket = connect_tls(context, address, emulator.domain)
        self._restart()
        self.jid = ""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _restart(self) -> None:
        self._parser = ElementTree.XMLPullParser(("start", "end"))
        self._depth = 0
        self._received: list[ElementTree.Element] = []
        self.ended = False
        self.lost = False

    def send(self, text: str | bytes) -> None:
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def next(self) -> ElementTree.Element | None:
        """Return the next stanza or other top-level element; None at the end of the stream or link."""
        while not self._received and not self.ended and not self.lost:
            try:
                data = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLEOFError):
                data = b""
            if not data:
                self.lost = True
            self._parser.feed(data)
            for event, element in self._parser.read_events():
                self._depth += 1 if event == "start" else -1
                if event == "end" and self._depth == 1:
                    self._received.append(element)
                elif event == "end" and self._depth == 0:
                    self.ended = True
        return self._received.pop(0) if self._received else None

    def find(
        self, tag: str, where: Callable[[ElementTree.Element], bool] = lambda _: True
    ) -> ElementTree.Element:
        """Return the next element with this tag, past all others."""
        while True:
            element = self.next()
            assert element is not None, f"the stream ended before {tag}"
            if element.tag == tag and where(element):
                return element

    def message(self) -> ElementTree.Element:
        return self.find(f"{CLIENT}message")

    def answer(self, stanza_id: str) -> ElementTree.Element:
        return self.find(f"{CLIENT}iq", lambda found: found.get("id") == stanza_id)

    def stream_error(self) -> str:
        """Return the condition of the stream error that comes, and check that it ends the stream."""
        error = self.find(f"{STREAM}error")
        assert self.next() is None
        return error[0].tag.removeprefix(STREAMS)

    def open(self) -> ElementTree.Element:
        self._restart()
        self.send(HEADER)
        return self.find(f"{STREAM}features")

    def authenticate(
        self, user: int | str, password: str, authzid: str = ""
    ) -> ElementTree.Element:
        authcid = f"{user}-1" if isinstance(user, int) else user
        encoded = base64.b64encode(f"{authzid}\0{authcid}\0{password}".encode()).decode()
        self.send(f"<auth xmlns='{SASL[1:-1]}' mechanism='PLAIN'>{encoded}</auth>")
        answer = self.next()
        assert answer is not None
        return answer

    def authenticated(self, user: int, password: str = "secret") -> Client:
        self.open()
        assert self.authenticate(user, password).tag == f"{SASL}success"
        self.open()
        return self

    def bind(self, resource: str | None = None) -> str:
        wanted = f"<resource>{resource}</resource>" if resource else ""
        namespace = "urn:ietf:params:xml:ns:xmpp-bind"
        self.send(f"<iq type='set' id='bind'><bind xmlns='{namespace}'>{wanted}</bind></iq>")
        self.jid = self.answer("bind").findtext(f"{{{namespace}}}bind/{{{namespace}}}jid") or ""
        return self.jid

    def available(self) -> None:
        self.send("<presence/>")
        self.find(f"{CLIENT}presence", lambda found: found.get("from") == self.jid)

    def log_in(self, user: int, resource: str | None = None) -> Client:
        self.authenticated(user)
        self.bind(resource)
        self.available()
        return self

    def enable(self) -> str:
        """Turn stream management on with resumption; return the session's id."""
        self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        return self.find(f"{SM}enabled").get("id") or ""

    def sync(self) -> list[ElementTree.Element]:
        """Return everything that comes before the answer to a ping."""
        self.send("<iq type='get' id='sync'><ping xmlns='urn:xmpp:ping'/></iq>")
        before = []
        while (element := self.next()) is not None:
            if element.get("id") == "sync":
                return before
            before.append(element)
        raise AssertionError("the stream ended")


def chat(
    to: int | str, body: str = "hello", *, id: str = "aa" * 12, params: str = "", more: str = ""
) -> str:
    """Write a 1-1 message that is saved to history."""
    jid = f"{to}-1@localhost" if isinstance(to, int) else to
    return (
        f"<message to='{jid}' type='chat' id='{id}'><body>{body}</body>"
        f"<extraParams><save_to_history>1</save_to_history>{params}</extraParams>{more}</message>"
    )


def param(message: ElementTree.Element, name: str) -> str | None:
    return message.findtext(f"{CLIENT}extraParams/{CLIENT}{name}")


def condition(stanza: ElementTree.Element) -> str:
    """Return the defined condition of an error stanza."""
    assert stanza.get("type") == "error"
    error = stanza.find(f"{CLIENT}error")
    assert error is not None
    return error[0].tag.removeprefix(STANZAS)
