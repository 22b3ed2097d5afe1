"""A chat server without I/O, to run the core against.

It reads its half of the stream with xml.etree and counts stanzas by itself (XEP-0198), so a mistake of the
core in counting or in writing XML cannot repeat itself here.
"""

from __future__ import annotations

import base64
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

from connectycube.chat.protocol.addresses import Addresses
from connectycube.config import Config

HOST = "chat.example"
ADDRESSES = Addresses(7, HOST)
ALICE, BOB = 1001, 1002
BOB_JID = ADDRESSES.user(BOB)
PASSWORD = "s3cret"
SM = "urn:xmpp:sm:3"
STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
MARKERS = "urn:xmpp:chat-markers:0"
ANSWERED = 2  # stanzas the server has sent when a login is done: about carbons and contacts
STREAM_HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xml:lang='en' id='s1' version='1.0'"
    f" xmlns:stream='http://etherx.jabber.org/streams' from='{HOST}'>"
)


def config(**changes: Any) -> Config:
    """A configuration for the simulated host, with the default time-outs."""
    values: dict[str, Any] = {"app_id": 7, "auth_key": "k", "chat_host": HOST}
    return Config(**values | changes)


def text_message(number: int, *, markable: bool = True, sender: int = BOB, to: int = ALICE) -> str:
    """A chat stanza as the server relays it; its id and body say ``number``."""
    marked = f"<markable xmlns='{MARKERS}'/>" if markable else ""
    return (
        f"<message from='{ADDRESSES.user(sender)}/phone' to='{ADDRESSES.user(to)}' type='chat'"
        f" id='{number:024x}'><body>{number}</body><extraParams><dialog_id>d1</dialog_id>"
        f"<save_to_history>1</save_to_history></extraParams>{marked}</message>"
    )


def refusal(number: int) -> str:
    """The error that comes back for our message of that number."""
    return (
        f"<message from='{BOB_JID}' to='{ADDRESSES.user(ALICE)}' type='error' id='{number:024x}'>"
        "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )


class ServerSession:
    """What the server keeps of one session: counts, and the stanzas the client has not acknowledged."""

    def __init__(self, resume_id: str | None, managed: bool) -> None:
        self.resume_id = resume_id
        self.managed = managed
        self.available = False  # until its first presence
        self.handled = 0
        self.acknowledged = 0
        self.unacknowledged: deque[str] = deque()
        self.link: ServerLink | None = None
        self.last_link: ServerLink | None = None

    def acknowledge(self, h: int) -> None:
        """Forget what the client has handled; a client that claims more is at fault."""
        for _ in range((h - self.acknowledged) % 2**32):
            assert self.unacknowledged, f"the client acknowledged {h}, more than it was sent"
            self.unacknowledged.popleft()
        self.acknowledged = h


class Server:
    """The account, its history and sessions. Attributes are the faults and habits a test chooses.

    ``replies`` replaces the server's answer to an element by literal XML ("" for silence), by the
    element's name: header, features, auth, bind, session, enable, resume, r, ping, carbons. ``handles``
    gets every message stanza that was handled, ``duplicates`` says whether the next one leaves twice.
    """

    def __init__(self, user: int = ALICE) -> None:
        self.user = user
        self.keeps_offline = True
        # Where a link that ended had left it, as prosody 0.12 does.
        self.goes_on_in_half_a_stanza = False
        self.handles: Callable[[ElementTree.Element], None] = lambda stanza: None
        # The condition of the stream error with which a stanza is refused, or None.
        self.refuses: Callable[[ElementTree.Element], str | None] = lambda stanza: None
        self.keeps_session_after_refusal = False
        self.duplicates: Callable[[], bool] = lambda: False
        self.outcomes: list[str] = []
        self.managed = True
        self.resumable = True
        self.says_h_when_failed = True
        self.answers_questions = True
        self.last_answers = 0  # so many more, before it does not
        self.counts_too_many = 0
        self.session_feature = ""
        self.replies: dict[str, str] = {}
        self.sessions: dict[str, ServerSession] = {}
        self.session: ServerSession | None = None
        self.forgotten: dict[str, int] = {}
        self.stanzas: list[ElementTree.Element] = []
        self.states: list[ElementTree.Element] = []  # active and inactive of XEP-0352
        self.offline: deque[str] = deque()
        self.links = self.questions = self.sessions_begun = 0
        self._numbers = itertools.count(1)

    # --- what tests do and look at ---

    def send(self, stanza: str) -> None:
        """Relay a stanza to the client: now, on resumption, or at its next login."""
        if self.session is not None and self.session.available:
            self.push(stanza)
            if self.duplicates():
                self.push(stanza)
        elif self.keeps_offline:
            self.offline.append(stanza)

    def push(self, stanza: str) -> None:
        """Send a stanza in the session, whether or not it is available for messages."""
        assert self.session is not None
        self.session.unacknowledged.append(stanza)
        if self.session.link is not None:
            self.session.link.output += stanza.encode()

    def write(self, xml: str) -> None:
        """Write ``xml`` to the client's link as it is, uncounted."""
        assert self.session is not None and self.session.link is not None
        self.session.link.output += xml.encode()

    def acknowledge(self) -> None:
        """Say how many stanzas were handled, without having been asked."""
        assert self.session is not None
        self.write(f"<a xmlns='{SM}' h='{self.session.handled}'/>")

    def ask(self) -> None:
        """Ask the client how far it is."""
        self.write(f"<r xmlns='{SM}'/>")

    def forget_sessions(self) -> None:
        """Restart: no session can be resumed, what was not acknowledged is delivered anew."""
        for session in self.sessions.values():
            assert session.resume_id is not None
            self.forgotten[session.resume_id] = session.handled
            self._store(session)
        self.sessions.clear()
        if self.session is not None and self.session.link is not None:
            self.session.link.close()
        self.session = None

    def _store(self, session: ServerSession) -> None:
        if self.keeps_offline:
            left = [stanza for stanza in session.unacknowledged if "<message" in stanza]
            self.offline.extendleft(reversed(left))
        session.unacknowledged.clear()

    def messages(self) -> list[str]:
        """The ids of the chat messages handled, in order, each as often as it was handled."""
        return [
            stanza.attrib["id"]
            for stanza in self.stanzas
            if stanza.find("{jabber:client}body") is not None
        ]

    def delivered(self) -> list[str]:
        """The ids of messages that the client said 'delivered' for, in order."""
        markers = (stanza.find(f"{{{MARKERS}}}received") for stanza in self.stanzas)
        return [marker.attrib["id"] for marker in markers if marker is not None]

    def named(self, name: str) -> list[ElementTree.Element]:
        """The stanzas handled that have this name."""
        return [stanza for stanza in self.stanzas if stanza.tag == f"{{jabber:client}}{name}"]

    # --- what links ask ---

    def new_session(self, managed: bool | None = None) -> ServerSession:
        """Begin a session in place of the one before, counted if the client has asked for that."""
        managed = self.managed if managed is None else managed
        self.sessions_begun += 1
        if self.session is not None:
            self._store(self.session)
            self.sessions.pop(self.session.resume_id or "", None)
        resume_id = f"sm-{next(self._numbers)}" if managed and self.resumable else None
        session = self.session = ServerSession(resume_id, managed)
        if resume_id is not None:
            self.sessions[resume_id] = session
        return session

    def answers(self) -> bool:
        """Whether it answers this question."""
        if self.answers_questions:
            return True
        self.last_answers -= 1
        return self.last_answers >= 0

    def link_ended(self, session: ServerSession) -> None:
        """A link is gone; a session that cannot be resumed goes with it."""
        session.link = None
        if session is self.session and session.resume_id not in self.sessions:
            if session.managed:  # without counting, what was written counts as delivered
                self._store(session)
            self.session = None


def stream_error(condition: str) -> str:
    """The end of a stream with an error."""
    return f"<stream:error><{condition} xmlns='{STREAMS}'/></stream:error></stream:stream>"


class ServerLink:
    """The server's side of one connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.output = bytearray()
        self.session: ServerSession | None = None
        self.elements: list[ElementTree.Element] = []
        self.ended = False
        self._authenticated = False
        self._counting = False
        self._bound = ""
        server.links += 1
        self._new_stream()

    def _new_stream(self) -> None:
        self._parser: Any = ElementTree.XMLPullParser(["start", "end"])
        self._root: ElementTree.Element | None = None
        self._depth = 0

    def feed(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self.ended:
            return
        for event, element in self._parsed(data):
            self._depth += 1 if event == "start" else -1
            if event == "start" and self._depth == 1:
                self._root = element
                self._reply("header", STREAM_HEADER)
                self._reply("features", self._features())
            elif event == "end" and self._depth == 1:
                assert self._root is not None
                self._root.remove(element)
                self.elements.append(element)
                self._element(element)
            elif event == "end" and self._depth == 0:
                self._write("</stream:stream>")
                self._end()
            if self.ended:
                return

    def _parsed(self, data: bytes) -> Iterator[Any]:
        parser = self._parser
        try:
            parser.feed(data)
            if hasattr(parser, "flush"):
                parser.flush()
            yield from parser.read_events()
        except ElementTree.ParseError:
            assert self.server.goes_on_in_half_a_stanza and self.session is not None
            self._write(f"<a xmlns='{SM}' h='{self.session.handled}'/>")
            self._write(stream_error("not-well-formed"))
            self._end()

    def _end(self) -> None:
        """End the session with the stream."""
        self.close()
        if self.session is not None and self.session.resume_id is not None:
            self.server.sessions.pop(self.session.resume_id, None)
            self.server.link_ended(self.session)

    def close(self) -> None:
        """Read nothing any more; what was written is still on its way."""
        self.ended = True

    def _write(self, xml: str) -> None:
        self.output += xml.encode()

    def _reply(self, to: str, xml: str, request_id: str = "") -> bool:
        """Write the usual reply, or the test's; whether it was the usual one."""
        chosen = self.server.replies.get(to, xml)
        self._write(chosen.replace("{id}", request_id))
        if "</stream:stream>" in chosen:
            self.close()
        return chosen is xml

    def _features(self) -> str:
        if not self._authenticated:
            inner = (
                f"<mechanisms xmlns='{SASL}'><mechanism>SCRAM-SHA-1</mechanism>"
                "<mechanism>PLAIN</mechanism></mechanisms>"
            )
        else:
            management = f"<sm xmlns='{SM}'/>" if self.server.managed else ""
            inner = f"<bind xmlns='{BIND}'/>{management}{self.server.session_feature}"
        return f"<stream:features>{inner}</stream:features>"

    def _element(self, element: ElementTree.Element) -> None:
        namespace, _, name = element.tag[1:].partition("}")
        if namespace == "jabber:client":
            self._stanza(element)
        elif namespace == SASL:
            self._authenticate(element)
        elif namespace == "urn:xmpp:csi:0":
            self.server.states.append(element)
        elif name == "resume":
            self._resume(element)
        elif name == "enable":
            self._enable()
        elif name == "r":
            self.server.questions += 1
            assert self.session is not None
            if self.server.answers():
                count = self.session.handled + self.server.counts_too_many
                self._reply("r", f"<a xmlns='{SM}' h='{count}'/>")
        elif name == "a":
            assert self.session is not None
            self.session.acknowledge(int(element.attrib["h"]))
        else:
            raise AssertionError(f"the client sent {element.tag}")

    def _authenticate(self, element: ElementTree.Element) -> None:
        assert element.attrib["mechanism"] == "PLAIN"
        _, user, password = base64.b64decode(element.text or "").decode().split("\0")
        good = user == f"{self.server.user}-7" and password == PASSWORD
        failure = f"<failure xmlns='{SASL}'><not-authorized/></failure></stream:stream>"
        if self._reply("auth", f"<success xmlns='{SASL}'/>" if good else failure) and good:
            self._authenticated = True
            self._new_stream()

    def _resume(self, element: ElementTree.Element) -> None:
        previous = element.attrib["previd"]
        session = self.server.sessions.get(previous)
        if session is None:
            h = self.server.forgotten.get(previous)
            known = f" h='{h}'" if self.server.says_h_when_failed and h is not None else ""
            self._reply("resume", f"<failed xmlns='{SM}'{known}><item-not-found/></failed>")
            self.server.outcomes.append("refused with h" if known else "refused without h")
            return
        if not self._reply(
            "resume", f"<resumed xmlns='{SM}' previd='{previous}' h='{session.handled}'/>"
        ):
            return
        self.server.outcomes.append("resumed")
        session.acknowledge(int(element.attrib["h"]))
        before = session.last_link
        if self.server.goes_on_in_half_a_stanza and before is not None:
            self._parser, self._root, self._depth = before._parser, before._root, before._depth
            if self._depth > 1:
                self.server.outcomes.append("resumed deaf")
        self._attach(session)
        self._counting = True
        for stanza in session.unacknowledged:
            self._write(stanza)

    def _attach(self, session: ServerSession) -> None:
        if session.link is not None:
            session.link.close()
        session.link, session.last_link, self.session = self, self, session

    def _enable(self) -> None:
        self._attach(self.server.new_session())
        assert self.session is not None
        resumes = f" resume='true' id='{self.session.resume_id}'" if self.session.resume_id else ""
        if self._reply("enable", f"<enabled xmlns='{SM}'{resumes}/>"):
            self._counting = True

    def _stanza(self, stanza: ElementTree.Element) -> None:
        name = stanza.tag.rpartition("}")[2]
        assert name in ("message", "presence", "iq"), stanza.tag
        if self.session is None and self._bound:  # the client has not enabled counting
            self._attach(self.server.new_session(managed=False))
        refusal = self.server.refuses(stanza)
        if refusal is not None:
            self.server.outcomes.append(f"stream error {refusal}")
            self._write(stream_error(refusal))
            if self.server.keeps_session_after_refusal:
                self.close()
            else:
                self._end()
            return
        if self._counting:
            assert self.session is not None
            self.session.handled = (self.session.handled + 1) % 2**32
        if self.session is not None:
            self.server.stanzas.append(stanza)
        if name == "iq" and stanza.attrib["type"] in ("get", "set"):
            self._iq(stanza)
        elif name == "message":
            self.server.handles(stanza)
        elif name == "presence" and not stanza.attrib:
            assert self.session is not None
            self.session.available = True
            while self.server.offline:
                self.server.outcomes.append("offline copy")
                self.server.push(self.server.offline.popleft())

    def _iq(self, stanza: ElementTree.Element) -> None:
        request_id, payload = stanza.attrib["id"], stanza[0]
        kind = "carbons" if "carbons" in payload.tag else payload.tag.rpartition("}")[2]
        result = f"<iq type='result' id='{request_id}' from='{HOST}'"
        if kind == "bind":
            resource = payload.findtext(f"{{{BIND}}}resource")
            self._bound = f"{ADDRESSES.user(self.server.user)}/{resource}"
            if not self.server.managed:
                self._attach(self.server.new_session())
            answer = f"{result}><bind xmlns='{BIND}'><jid>{self._bound}</jid></bind></iq>"
        else:
            answer = f"{result}/>"
        if kind == "ping" and not self.server.answers():
            return
        if self._counting and self.session is not None:
            self.server.push(self.server.replies.get(kind, answer).replace("{id}", request_id))
        else:
            self._reply(kind, answer, request_id)


class Link:
    """One connection with the bytes that are on their way in both directions."""

    def __init__(self, server: Server) -> None:
        self.remote = ServerLink(server)
        self.to_server = bytearray()

    @property
    def to_client(self) -> bytearray:
        """What the server has written and the client has not read."""
        return self.remote.output
