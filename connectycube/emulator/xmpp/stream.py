"""Stream: the server's side of one XMPP stream, from the header to the end, without I/O.

A stream negotiates header, SASL, and bind or resumption (RFC 6120, XEP-0198). Then it passes stanzas to the
server. TCP and WebSocket use the same class.
"""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
from collections.abc import Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING

from ..control.faults import Fault
from ..db.database import FULL, is_full
from . import namespaces as ns
from .element import Element
from .faulty import FaultyLink
from .hub import TooManyResources
from .parser import StreamClosed, StreamEvent, StreamFault, StreamHeader
from .session import Link, Session, stream_error
from .stanza import Jid, error_reply, is_stanza, result_reply, user_of
from .stream_management import StreamManagement, counter

if TYPE_CHECKING:
    from .server import ChatServer

__all__ = ["HANDLED", "Stream"]

_log = logging.getLogger(__name__)

_MOST_ATTEMPTS = 3
# The faults that act on a connection by itself, in the order in which they act.
_ON_CONNECTIONS = ("drop", "refuse", "stream_error", "half_open")
_LONGEST_RESOURCE = 1023


HANDLED: dict[str, dict[str, str | None]] = {
    ns.SASL: {
        "auth": "PLAIN alone; the authorization identity may be empty or the user's bare JID",
        "abort": None,
    },
    ns.STREAM_MANAGEMENT: {
        "enable": "how much is kept for how long",
        "resume": "whether <failed/> has h; <failed/> for an h below the acknowledged count",
        "r": None,
        "a": None,
    },
    ns.CLIENT_STATE: {
        "active": "not in the documentation",
        "inactive": "not in the documentation",
    },
}
"""The elements of a stream that are not stanzas, by namespace, and the inferred part of each."""


class Phase(Enum):
    """The phases of a stream."""

    HEADER = auto()
    AUTHENTICATING = auto()
    BINDING = auto()
    BOUND = auto()
    CLOSED = auto()


class Stream:
    """One stream of one client. The link calls ``receive``, and ``lost`` when it has ended."""

    def __init__(self, server: ChatServer, link: Link) -> None:
        self._server = server
        hub = self._hub = server.hub
        self._link = FaultyLink(
            link, hub.faults, hub.timers, hub.settings.unsent_bytes, hub.exchanges, hub.clock
        )
        self._phase = Phase.HEADER
        self._header_sent = False
        self._restarted = False
        self._attempts = 0
        self.user_id: int | None = None
        self.session: Session | None = None
        self._timer = hub.schedule(hub.settings.handshake_seconds, self._too_slow)
        hub.streams.add(self)
        self._apply_faults("half_open")

    # --- called by the link -----------------------------------------------------------------------

    def receive(self, events: Sequence[StreamEvent], fault: StreamFault | None) -> None:
        """Handle the events of the parser, then the fault that ends the stream, if any."""
        self._restarted = False
        try:
            for event in events:
                if self._is_over or self._link.silent:
                    return
                if self._restarted:
                    raise StreamFault("policy-violation", "Wait for <success/> before a new stream")
                self._handle(event)
            if fault is not None and not (self._is_over or self._link.silent):
                raise fault
        except StreamFault as found:
            self.fail(found)
        except Exception as error:  # noqa: BLE001  (a failure ends this stream, not the emulator)
            if is_full(error):
                self.fail(StreamFault("resource-constraint", FULL))
                return
            _log.exception("the emulator failed on a stanza of user %s", self.user_id)
            self.fail(StreamFault("internal-server-error", "The emulator failed; its log says why"))

    def lost(self) -> None:
        """Note that the link has ended."""
        if self._end() and self.session is not None and self.session.link is self._link:
            self._hub.link_lost(self.session)

    def fail(self, fault: StreamFault) -> None:
        """End the stream with a stream error; the session can be resumed nevertheless."""
        if not self._end():
            return
        # RFC 6120, 4.9.1.2: also an error in the client's header is sent inside a stream.
        self._open()
        session = self.session
        self._link.send(stream_error(fault))
        self._link.close()
        # Not if the session is on another link by now, which goes on.
        if session is not None and session.link is self._link:
            self._hub.link_lost(session)

    def cut(self) -> None:
        """Abort the link, as a network failure does."""
        self._link.abort()
        self.lost()

    # --- faults -----------------------------------------------------------------------------------

    def apply_fault(self, fault: Fault) -> None:
        """Apply a new fault, if it concerns this connection and acts by itself."""
        # "refuse" acts on new connections only.
        acts = fault.name in _ON_CONNECTIONS and fault.name != "refuse"
        if acts and self._link.concerned_by(fault):
            self._apply(fault)

    def _apply_faults(self, *names: str) -> bool:
        """Apply the first fault with one of these names; return whether there was one."""
        if self._hub.faults.active:
            for name in names:
                if not self._link.silent and self._apply(self._link.find(name)):
                    return True
        return False

    def _apply(self, fault: Fault | None) -> bool:
        if fault is None or self._is_over or self._link.silent:
            return False
        fault.use()
        if fault.name == "half_open":
            self._link.silent = True
        elif fault.name == "stream_error":
            self._end_with(fault)
        else:
            self.cut()
        return True

    def _end_with(self, fault: Fault) -> None:
        session = self.session
        self.fail(StreamFault(fault.parameters["condition"], "A fault of the emulator"))
        if session is not None and not fault.parameters["resumable"]:
            self._hub.end_session(session)

    @property
    def _is_over(self) -> bool:
        """Whether the stream has ended, or its session continues on another link."""
        if self.session is not None and self.session.link is not self._link:
            return True
        return self._phase is Phase.CLOSED

    def _end(self) -> bool:
        """Enter the last phase; return False if the stream had ended before."""
        if self._phase is Phase.CLOSED:
            return False
        self._phase = Phase.CLOSED
        self._timer.cancel()
        self._hub.streams.discard(self)
        return True

    def _too_slow(self) -> None:
        self.fail(StreamFault("connection-timeout", "No resource was bound in time"))

    @property
    def resource(self) -> str | None:
        """The resource that is bound on the stream; None before."""
        return self._link.resource

    # --- events -----------------------------------------------------------------------------------

    def _handle(self, event: StreamEvent) -> None:
        if self._hub.exchanges.active and isinstance(event, Element):
            self._link.note("in", event)
        if isinstance(event, StreamHeader):
            self._take_header(event)
        elif isinstance(event, StreamClosed):
            self._take_end()
        elif is_stanza(event):
            self._take_stanza(event)
        elif event.namespace == ns.SASL:
            self._take_sasl(event)
        elif event.namespace == ns.STREAM_MANAGEMENT:
            self._take_management(event)
        elif event.namespace == ns.CLIENT_STATE and event.name in HANDLED[ns.CLIENT_STATE]:
            self._take_client_state(event)
        elif event.name in ("message", "presence", "iq"):
            raise StreamFault("invalid-namespace", f"A stanza is in {event.namespace!r}")
        else:
            raise StreamFault("unsupported-stanza-type", f"<{event.name}/> is not known here")

    def _take_end(self) -> None:
        session = self.session
        self._end()
        self._link.close()
        # A closed stream, unlike a lost link, ends the session (XEP-0198).
        if session is not None and session.link is self._link:
            session.link = None
            self._hub.end_session(session)

    def _take_header(self, header: StreamHeader) -> None:
        self._open()
        element = header.element
        if element.namespace != ns.STREAM or header.content_namespace != ns.CLIENT:
            raise StreamFault("invalid-namespace", "Expected a stream of jabber:client")
        if element.name != "stream":
            raise StreamFault("bad-format", "Expected <stream:stream>")
        domain = self._hub.settings.domain
        if (element.get("to") or domain).lower() != domain.lower():
            raise StreamFault("host-unknown", f"This is {domain}")
        if not (element.get("version") or "").startswith("1."):
            raise StreamFault("unsupported-version", "Only XMPP 1.0 is spoken here")
        authenticated = self.user_id is not None
        self._phase = Phase.BINDING if authenticated else Phase.AUTHENTICATING
        self._link.send(_features_bound() if authenticated else _features_plain())

    def _open(self) -> None:
        if not self._header_sent:
            self._header_sent = True
            self._link.open(
                {
                    "from": self._hub.settings.domain,
                    "id": secrets.token_hex(16),
                    "version": "1.0",
                    f"{{{ns.XML}}}lang": "en",
                }
            )

    # --- SASL (RFC 6120, section 6; RFC 4616) -------------------------------------------------------

    def _take_sasl(self, element: Element) -> None:
        if self._phase is not Phase.AUTHENTICATING:
            raise StreamFault("policy-violation", "This stream is authenticated already")
        if element.name == "abort":
            self._send_failure("aborted", "You aborted")
        elif element.name != "auth":
            self._send_failure("malformed-request", f"<{element.name}/> was not expected")
        elif element.get("mechanism") != "PLAIN":
            self._send_failure("invalid-mechanism", "PLAIN is the only mechanism here")
        else:
            self._authenticate(element.text.strip())

    def _authenticate(self, encoded: str) -> None:
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            self._send_failure("incorrect-encoding", "This is not base64")
            return
        try:
            authzid, authcid, password = raw.decode().split("\0")
        except ValueError:
            self._send_failure(
                "malformed-request", "Expected authzid NUL authcid NUL password in UTF-8"
            )
            return
        user_id = self._user(authzid, authcid)
        if user_id is None or not self._hub.accounts.check_chat_password(user_id, password):
            self._send_failure("not-authorized", "User or password are wrong")
            return
        self.user_id = self._link.user_id = user_id
        # A fault may be limited to one user, and the user is known only after the authentication.
        if self._apply_faults("refuse", "half_open"):
            return
        # The client opens a new stream now (RFC 6120, 6.4.6), and so does the server.
        self._link.send(Element("success", ns.SASL))
        self._header_sent = False
        self._phase = Phase.HEADER
        self._restarted = True
        self._link.restart()

    def _user(self, authzid: str, authcid: str) -> int | None:
        settings = self._hub.settings
        user_id = user_of(Jid(authcid, settings.domain.lower(), None), settings)
        if authzid:
            jid = Jid.parse(authzid)
            if jid is None or jid.resource is not None or user_of(jid, settings) != user_id:
                return None
        return user_id

    def _send_failure(self, condition: str, text: str) -> None:
        """Refuse an authentication; end the stream after too many attempts."""
        failure = Element(
            "failure",
            ns.SASL,
            None,
            Element(condition, ns.SASL),
            Element("text", ns.SASL, None, text),
        )
        self._link.send(failure)
        self._attempts += 1
        if self._attempts >= _MOST_ATTEMPTS:
            raise StreamFault("policy-violation", "Too many failed attempts to authenticate")

    # --- stream management (XEP-0198) ---------------------------------------------------------------

    def _take_management(self, element: Element) -> None:
        handlers = {
            "enable": self._enable,
            "resume": self._resume,
            "r": self._answer,
            "a": self._acknowledged,
        }
        handler = handlers.get(element.name)
        if handler is None or self.user_id is None or self._phase is Phase.HEADER:
            self._link.send(_failed("unexpected-request"))
        else:
            handler(element)

    def _enable(self, element: Element) -> None:
        session = self.session
        if session is None or session.management is not None:
            self._link.send(_failed("unexpected-request"))
            return
        seconds = int(self._hub.settings.resume_seconds)
        resumable = element.get("resume") in ("true", "1") and seconds > 0
        session.management = StreamManagement(
            secrets.token_urlsafe(18),
            resumable=resumable,
            on_acknowledged=self._hub.deliveries.acknowledged,
        )
        attributes = {}
        if resumable:
            attributes = {"id": session.management.id, "resume": "true", "max": str(seconds)}
            self._hub.offer_resumption(session)
        self._link.send(Element("enabled", ns.STREAM_MANAGEMENT, attributes))

    def _resume(self, element: Element) -> None:
        handled, previous = counter(element.get("h")), element.get("previd")
        if self.session is not None:
            self._link.send(_failed("unexpected-request"))
        elif handled is None or not previous:
            self._link.send(_failed("bad-request"))
        else:
            assert self.user_id is not None
            found = self._hub.resumable(self.user_id, previous)
            if isinstance(found, Session):
                self._resume_or_refuse(found, handled)
            else:
                shown = found if self._hub.settings.handled_in_failed else None
                self._link.send(_failed("item-not-found", handled=shown))

    def _resume_or_refuse(self, session: Session, handled: int) -> None:
        self._link.resource = session.resource
        assert session.management is not None
        refusal = self._link.take("refuse_resume") if self._hub.faults.active else None
        if refusal is None and session.management.is_behind(handled):
            # The stanzas between the two counts are gone, so they cannot be sent again.
            self._refuse_resume(session, handled)
            return
        if refusal is None:
            self._resume_session(session, handled)
            return
        self._refuse_resume(session, handled, refusal.parameters["h"])

    def _refuse_resume(self, session: Session, handled: int, with_h: bool | None = None) -> None:
        """End a session that a client wants to resume, so that it goes on with a new one."""
        management = session.management
        assert management is not None
        if not management.is_behind(handled):
            management.acknowledge(handled)
        session.end_link(StreamFault("conflict", "The session was to be resumed elsewhere"))
        self._hub.end_session(session)
        if with_h is None:
            with_h = self._hub.settings.handled_in_failed
        self._link.send(_failed("item-not-found", handled=management.handled if with_h else None))

    def _resume_session(self, session: Session, handled: int) -> None:
        assert session.management is not None
        # The count first: it may be refused, and then the session stays with its old link.
        session.management.resume_at(handled)
        session.end_link(StreamFault("conflict", "The session was resumed on another connection"))
        self._hub.resumed(session)
        self._bind_session(session)
        session.resume(self._link)
        self._apply_faults(*_ON_CONNECTIONS)

    def _answer(self, _: Element) -> None:
        if self.session is None or self.session.management is None:
            self._link.send(_failed("unexpected-request"))
        elif not (self._hub.faults.active and self._link.take("stop_acknowledging")):
            self._link.send(self.session.management.answer())

    def _acknowledged(self, element: Element) -> None:
        handled = counter(element.get("h"))
        if self.session is None or self.session.management is None:
            self._link.send(_failed("unexpected-request"))
        elif handled is None:
            raise StreamFault("bad-format", "<a/> needs h, a number below 2^32")
        else:
            self.session.acknowledge(handled)

    # --- client state (XEP-0352) ----------------------------------------------------------------------

    def _take_client_state(self, element: Element) -> None:
        if self.session is None:
            raise StreamFault("not-authorized", "Bind a resource first")
        self.session.indicates_inactive = element.name == "inactive"

    # --- stanzas ------------------------------------------------------------------------------------

    def _take_stanza(self, stanza: Element) -> None:
        session = self.session
        if session is None:
            self._take_early_stanza(stanza)
            return
        if session.management is not None:
            session.management.count_handled()  # a refused stanza counts as handled, too
        claimed = stanza.get("from")
        if claimed is not None and claimed not in (session.jid, session.bare_jid):
            raise StreamFault("invalid-from", f"You are {session.jid}")
        self._server.handle(session, stanza)

    def _take_early_stanza(self, stanza: Element) -> None:
        if self.user_id is None:
            raise StreamFault("not-authorized", "Authenticate first")
        bind = stanza.child("bind", ns.BIND)
        if stanza.name == "iq" and stanza.get("type") == "set" and bind is not None:
            self._bind(stanza, bind)
        elif stanza.get("type") not in ("error", "result"):
            self._link.send(
                error_reply(stanza, "not-authorized", "You must bind the resource first")
            )

    def _bind(self, request: Element, bind: Element) -> None:
        assert self.user_id is not None
        wanted = bind.child("resource")
        resource = (wanted.text.strip() if wanted is not None else "") or secrets.token_hex(16)
        if len(resource.encode()) > _LONGEST_RESOURCE:
            self._link.send(error_reply(request, "bad-request", "The resource is too long"))
            return
        try:
            session = self._hub.bind(self.user_id, resource, self._link)
        except TooManyResources:
            text = "You have too many connected resources"
            self._link.send(error_reply(request, "resource-constraint", text))
            return
        self._bind_session(session)
        jid = Element("jid", ns.BIND, None, session.jid)
        reply = result_reply(request, Element("bind", ns.BIND, None, jid))
        self._link.send(reply.replace(to=session.jid))
        self._apply_faults(*_ON_CONNECTIONS)

    def _bind_session(self, session: Session) -> None:
        self._timer.cancel()
        self.session = session
        self._link.resource = session.resource
        self._phase = Phase.BOUND


def _features_plain() -> Element:
    mechanism = Element("mechanism", ns.SASL, None, "PLAIN")
    return Element("features", ns.STREAM, None, Element("mechanisms", ns.SASL, None, mechanism))


def _features_bound() -> Element:
    return Element(
        "features",
        ns.STREAM,
        None,
        Element("bind", ns.BIND),
        # Old clients need it; RFC 6121 made it optional.
        Element("session", ns.SESSION, None, Element("optional", ns.SESSION)),
        Element("sm", ns.STREAM_MANAGEMENT),
        Element("csi", ns.CLIENT_STATE),
    )


def _failed(condition: str, *, handled: int | None = None) -> Element:
    return Element(
        "failed",
        ns.STREAM_MANAGEMENT,
        {"h": None if handled is None else str(handled)},
        Element(condition, ns.STANZA_ERRORS),
    )
