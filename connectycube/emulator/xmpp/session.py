"""Session: one bound resource of a user. With stream management it can outlive its link."""

from __future__ import annotations

from typing import Protocol

from ..control.faults import Fault
from . import namespaces as ns
from .element import Element
from .parser import StreamFault
from .stream_management import StreamManagement

__all__ = ["Link", "OpenStream", "Session"]


class Link(Protocol):
    """The connection below a stream. No method blocks or raises."""

    def open(self, attributes: dict[str, str]) -> None:
        """Write the opening tag of the server's stream."""

    def restart(self) -> None:
        """Expect a new stream header from the peer."""

    def send(self, element: Element) -> None:
        """Write an element."""

    def close(self) -> None:
        """Write the closing tag and end the connection once everything is written."""

    def abort(self) -> None:
        """Reset the connection."""


class OpenStream(Protocol):
    """An open stream, as the hub uses it."""

    @property
    def user_id(self) -> int | None:
        """The user that has authenticated on the stream; None before."""

    @property
    def resource(self) -> str | None:
        """The resource that is bound on the stream; None before."""

    def cut(self) -> None:
        """Abort the link."""

    def fail(self, fault: StreamFault) -> None:
        """End the stream with an error."""

    def apply_fault(self, fault: Fault) -> None:
        """Apply a fault to the stream."""


class Session:
    """The state of one resource.

    ``link`` is None while the session waits to be resumed, and ``presence`` is None while the resource is
    not available. ``wants_roster``: the client has asked for the roster, so it gets roster pushes.
    ``active_list`` is the name of the active privacy list. ``activity_subscriptions``: the users whose last
    activity the client has subscribed to. ``directed``: the JIDs that got directed presence.
    ``marked_inactive`` is set by ConnectyCube's request, and lasts as long as the session;
    ``indicates_inactive`` is set by XEP-0352, and lasts as long as the stream.
    """

    def __init__(self, user_id: int, bare_jid: str, resource: str, link: Link) -> None:
        self.user_id = user_id
        self.resource = resource
        self.bare_jid = bare_jid
        self.jid: str = f"{bare_jid}/{resource}"
        self.link: Link | None = link
        self.presence: Element | None = None
        self.priority = 0
        self.carbons = False
        self.wants_roster = False
        self.active_list: str | None = None
        self.marked_inactive = False
        self.indicates_inactive: bool = False
        self.activity_subscriptions: set[int] = set()
        self.directed: set[str] = set()
        self.management: StreamManagement | None = None

    def __repr__(self) -> str:
        return f"<Session {self.jid}>"

    @property
    def is_available(self) -> bool:
        """Whether the client has sent its presence, and has not ended it."""
        return self.presence is not None

    @property
    def receives_messages(self) -> bool:
        """Whether messages to the bare JID reach this resource. (RFC 6121, 8.5.2.1.1.)"""
        return self.presence is not None and self.priority >= 0

    @property
    def inactive(self) -> bool:
        """Whether the client has said that its user does not look at it."""
        return self.marked_inactive or self.indicates_inactive

    @property
    def resumable(self) -> bool:
        """Whether the session can be resumed after a lost link."""
        return self.management is not None and self.management.resumable

    def send(self, stanza: Element) -> None:
        """Send a stanza; with stream management keep it until it is acknowledged."""
        if self.management is not None:
            self.management.keep(stanza)  # before it is written: a link may fail at any moment
        if self.link is not None:
            self.link.send(stanza)
            self.request_acknowledgement()

    def request_acknowledgement(self) -> None:
        """Request an acknowledgement, unless an earlier request is not answered yet."""
        management = self.management
        if self.link is None or management is None or management.request_pending:
            return
        if management.backlog:
            management.request_pending = True
            self.link.send(Element("r", ns.STREAM_MANAGEMENT))

    def acknowledge(self, handled: int) -> None:
        """Handle an acknowledgement; request another while stanzas are left."""
        if self.management is not None:
            self.management.acknowledge(handled)
            self.management.request_pending = False
            self.request_acknowledgement()

    def resume(self, link: Link) -> None:
        """Continue over another link: replay the stanzas that the client has not handled."""
        management = self.management
        assert management is not None
        self.link = link
        self.indicates_inactive = False  # XEP-0352: a new stream is active
        # Before the replay: until <resumed/> a client takes no stanzas. (XEP-0198, 5.)
        link.send(
            Element(
                "resumed",
                ns.STREAM_MANAGEMENT,
                {"previd": management.id, "h": str(management.handled)},
            )
        )
        for stanza in management.unacknowledged:
            link.send(stanza)
        management.request_pending = False
        self.request_acknowledgement()

    def end_link(self, fault: StreamFault | None = None) -> None:
        """Close the link, if there is one, after a stream error for the fault, if there is one."""
        link, self.link = self.link, None
        if link is not None:
            if fault is not None:
                link.send(stream_error(fault))
            link.close()


def stream_error(fault: StreamFault) -> Element:
    """Write a fault as the stream error that ends the stream. (RFC 6120, 4.9.)"""
    details = () if fault.details is None else (fault.details,)
    return Element(
        "error",
        ns.STREAM,
        None,
        Element(fault.condition, ns.STREAM_ERRORS),
        Element("text", ns.STREAM_ERRORS, None, fault.text),
        *details,
    )
