"""One XMPP stream over one link, from the header to the point where stanzas may flow.

RFC 6120 (stream, SASL, bind), RFC 6121's legacy session, XEP-0198 (resume, enable). Bytes in; bytes
and stream events out. A stream lives as long as its link; the next link begins a new stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeGuard

from ...config import Limits
from ...errors import (
    ChatAuthenticationError,
    ConnectionLostError,
    StreamError,
    StreamProtocolError,
)
from . import namespaces as ns
from .addresses import Addresses
from .decoding import Delivery
from .events import (
    Authenticated,
    Bound,
    Credentials,
    Nonza,
    NotResumed,
    Resumable,
    Resumed,
    Stanza,
    StreamBroken,
    StreamEvent,
)
from .markup import attribute
from .nodes import Node, child, children
from .parser import (
    Item,
    MessageStanza,
    RefusedElement,
    StreamEnd,
    StreamParser,
    StreamStart,
)
from .plain_messages import PlainMessages
from .stream_management import MODULUS, WrongCountError

__all__ = ["Stream"]


_Events = Iterable[StreamEvent]
_ARE_EVENTS = frozenset({Delivery})  # the items of the parser that are events of the stream
_STANZA_NAMES = frozenset({"message", "presence", "iq"})


class Stream:
    """The negotiation of one stream, and the events of its first-level elements afterwards.

    Each step is a method that takes the next element; ``_expected`` is the step that is due.
    """

    def __init__(
        self,
        addresses: Addresses,
        credentials: Credentials,
        resumable: Resumable | None,
        limits: Limits,
        new_id: Callable[[], str],
        *,
        counts: bool = True,
    ) -> None:
        self._addresses = addresses
        self._credentials = credentials
        self._resumable = resumable
        self._limits = limits
        self._new_id = new_id
        self._counts = counts  # whether stream management may be used
        self.most_bytes: int | None = None
        """The largest stanza that the server says it takes, in bytes. (XEP-0478.)"""
        self.takes_client_state: bool = False
        """Whether the server can be told that the client is inactive. (XEP-0352.)"""
        self._bind_id = self._session_id = ""
        self._jid = ""
        self._session_needed = self._managed = False
        self.output: list[str] = []
        self._open(self._features_to_authenticate)

    def receive(self, data: bytes) -> Iterable[StreamEvent]:
        """Return the events of ``data``.

        To iterate over them raises, after the events before the fault, ConnectionLostError or a subclass of
        it if the stream ends, ChatAuthenticationError if the server refuses the credentials.
        """
        parser, fault = self._parser, None
        items: list[Any] = []  # of what the parser makes
        try:
            parser.feed(data, items)
        except StreamProtocolError as error:
            fault = error
        if parser.skips and self._expected != self._established:
            fault = StreamProtocolError(f"the server sent {parser.skips}")
        if fault is None and _ARE_EVENTS.issuperset(map(type, items)):
            return items
        return self._events_of(items, fault)

    def _events_of(
        self, items: Iterable[Any], fault: StreamProtocolError | None
    ) -> Iterator[StreamEvent]:
        parser = self._parser
        for item in items:
            if parser is not self._parser:
                break  # the stream was restarted; the other elements belonged to the old one
            if item.__class__ is Delivery:
                yield item
            elif item.__class__ is MessageStanza and self._expected == self._established:
                yield Stanza(item)
            else:
                yield from self._take(item)
        if fault is not None:
            yield from self._broken(fault)

    def _broken(self, fault: StreamProtocolError) -> _Events:
        """Name the stanza that bad XML has broken, so that it counts as handled; raise if there is none."""
        stanza = self._parser.broken(str(fault)) if self._expected == self._established else None
        if stanza is None or not _is_stanza(stanza):
            raise fault
        return (Stanza(stanza), StreamBroken(fault))

    @property
    def skips(self) -> str:
        """Why the current element is skipped; empty if it is not."""
        return self._parser.skips

    @property
    def is_in_endless(self) -> bool:
        """Whether the server has not ended the current element, and goes on as if it had."""
        return self._parser.is_endless

    def give_up_current(self, reason: str) -> _Events:
        """End the reading of the stream in the middle of an element."""
        return self._broken(StreamProtocolError(reason))

    def _take(self, item: Item) -> _Events:
        """Raise if the element ends the stream; give it to the step that is due otherwise."""
        if isinstance(item, StreamEnd):
            raise ConnectionLostError("the server closed the stream")
        if isinstance(item, Node) and item.namespace == ns.STREAM and item.name == "error":
            raise _stream_error(item)
        return self._expected(item)

    # --- the steps, in their order ---

    def _open(self, then: Callable[[Item], _Events]) -> None:
        self._parser = StreamParser(
            stanza_bytes=self._limits.stanza_bytes,
            stanza_depth=self._limits.stanza_depth,
            stanza_elements=self._limits.stanza_elements,
        )
        self._after_header = then
        self._expected: Callable[[Item], _Events] = self._header
        self.output.append(
            "<?xml version='1.0'?>"
            f'<stream:stream to="{attribute(self._addresses.host)}" version="1.0"'
            f' xmlns="{ns.CLIENT}" xmlns:stream="{ns.STREAM}">'
        )

    def _header(self, item: Item) -> _Events:
        if not isinstance(item, StreamStart):
            raise _unexpected(item, "its stream header")
        self._expected = self._after_header
        return ()

    def _features_to_authenticate(self, item: Item) -> _Events:
        mechanisms = child(_features(item), "mechanisms", ns.SASL)
        offered = [kid.getData() for kid in children(mechanisms)] if mechanisms else []
        if "PLAIN" not in offered:
            raise ChatAuthenticationError(
                f"the server offers {', '.join(offered) or 'no mechanism'}, not PLAIN",
                condition="invalid-mechanism",
            )
        initial = self._credentials.initial_response(self._addresses)
        self.output.append(f'<auth xmlns="{ns.SASL}" mechanism="PLAIN">{initial.open()}</auth>')
        self._expected = self._sasl
        return ()

    def _sasl(self, item: Item) -> _Events:
        if isinstance(item, Node) and item.namespace == ns.SASL:
            if item.name == "success":
                self._open(self._features)
                return (Authenticated(),)
            if item.name == "failure":
                what = "session's token" if self._credentials.by_token else "user id and password"
                raise _sasl_error(item, what)
        raise _unexpected(item, "the outcome of the authentication")

    def _features(self, item: Item) -> _Events:
        features = _features(item)
        self._managed = self._counts and child(features, "sm", ns.STREAM_MANAGEMENT) is not None
        self.most_bytes = _most_bytes(features)
        self.takes_client_state = child(features, "csi", ns.CLIENT_STATE) is not None
        session = child(features, "session", ns.SESSION)
        self._session_needed = (
            session is not None and child(session, "optional", ns.SESSION) is None
        )
        if self._managed and self._resumable is not None:
            self.output.append(
                f'<resume xmlns="{ns.STREAM_MANAGEMENT}" h="{self._resumable.handled}"'
                f' previd="{attribute(self._resumable.id)}"/>'
            )
            self._expected = self._resume
        else:
            self._send_bind()
            if self._resumable is not None:
                return (NotResumed(None),)
        return ()

    def _resume(self, item: Item) -> _Events:
        if isinstance(item, Node) and item.namespace == ns.STREAM_MANAGEMENT:
            if item.name == "resumed":
                self._check_resumed(item)
                self._establish()
                return (Resumed(_count(item, required=True) or 0),)
            if item.name == "failed":
                self._send_bind()
                return (NotResumed(_count(item)),)
        raise _unexpected(item, "the outcome of the resumption")

    def _check_resumed(self, item: Node) -> None:
        """Raise StreamProtocolError if another session was resumed; servers may leave out ``previd``."""
        assert self._resumable is not None
        previous = item.attrs.get("previd")
        if previous not in (None, self._resumable.id):
            raise StreamProtocolError("the server resumed another session than the one asked for")

    def _send_bind(self) -> None:
        self._bind_id = self._new_id()
        self.output.append(
            f'<iq type="set" id="{self._bind_id}"><bind xmlns="{ns.BIND}">'
            f"<resource>{attribute(self._credentials.resource)}</resource></bind></iq>"
        )
        self._expected = self._bind

    def _bind(self, item: Item) -> _Events:
        if not _is_answer_to(item, self._bind_id):
            return _stanza(item, "the outcome of the resource binding")
        bind = child(_result(item, "bind a resource"), "bind", ns.BIND)
        jid = child(bind, "jid", ns.BIND) if bind else None
        self._jid = (jid.getData() if jid else "").strip()
        if not self._jid:
            raise StreamProtocolError("the server bound a resource without saying its JID")
        if self._session_needed:
            self._session_id = self._new_id()
            self.output.append(
                f'<iq type="set" id="{self._session_id}"><session xmlns="{ns.SESSION}"/></iq>'
            )
            self._expected = self._session
            return ()
        return self._enable()

    def _session(self, item: Item) -> _Events:
        if not _is_answer_to(item, self._session_id):
            return _stanza(item, "the outcome of the session request")
        _result(item, "begin a session")
        return self._enable()

    def _enable(self) -> _Events:
        if self._managed:
            self.output.append(f'<enable xmlns="{ns.STREAM_MANAGEMENT}" resume="true"/>')
            self._expected = self._enabled
            return ()
        self._establish()
        return (Bound(self._jid, managed=False, resume_id=None),)

    def _enabled(self, item: Item) -> _Events:
        if isinstance(item, Node) and item.namespace == ns.STREAM_MANAGEMENT:
            if item.name == "enabled":
                self._establish()
                resumes = item.attrs.get("resume") in ("true", "1")
                return (Bound(self._jid, True, item.attrs.get("id") if resumes else None),)
            if item.name == "failed":
                self._establish()
                return (Bound(self._jid, managed=False, resume_id=None),)
        return _stanza(item, "the outcome of enabling stream management")

    def _establish(self) -> None:
        """Let stanzas flow; from now on plain messages come decoded out of the parser."""
        self._expected = self._established
        limits = self._limits
        self._parser.plain = PlainMessages(
            self._addresses, self._credentials.user_id, limits.stanza_elements
        )

    def _established(self, item: Item) -> _Events:
        if isinstance(item, Node) and item.namespace == ns.STREAM_MANAGEMENT:
            if item.name in ("r", "a"):
                return (Nonza(item.name, _count(item, required=item.name == "a")),)
            raise _unexpected(item, "a stanza")
        return _stanza(item, "a stanza")


def _features(item: Item) -> Node:
    if isinstance(item, Node) and item.namespace == ns.STREAM and item.name == "features":
        return item
    raise _unexpected(item, "its stream features")


def _most_bytes(features: Node) -> int | None:
    limits = child(features, "limits", ns.STREAM_LIMITS)
    most = child(limits, "max-bytes", ns.STREAM_LIMITS) if limits is not None else None
    text = most.getData().strip() if most is not None else ""
    # RFC 6120 (13.12) has servers take 10,000 bytes at least; a smaller number is a mistake.
    return max(int(text), 10_000) if re.fullmatch("[0-9]{1,12}", text) else None


def _stanza(item: Item, awaited: str) -> _Events:
    if isinstance(item, MessageStanza) or _is_stanza(item):
        return (Stanza(item),)
    raise _unexpected(item, awaited)


def _is_stanza(item: Item) -> TypeGuard[Node | RefusedElement]:
    return (
        isinstance(item, Node | RefusedElement)
        and item.namespace == ns.CLIENT
        and item.name in _STANZA_NAMES
    )


def _is_answer_to(item: Item, request_id: str) -> TypeGuard[Node]:
    return (
        isinstance(item, Node)
        and item.name == "iq"
        and item.attrs.get("id") == request_id
        and item.attrs.get("type") in ("result", "error")
    )


def _result(item: Node, action: str) -> Node:
    if item.attrs.get("type") == "result":
        return item
    error = child(item, "error", ns.CLIENT)
    reason = child(error, None, ns.STANZAS) if error else None
    condition = reason.name if reason else "undefined-condition"
    raise StreamError(f"the server refused to {action}: {condition}", condition=condition)


def _count(item: Node, required: bool = False) -> int | None:
    """Read the ``h`` of a stream management element: a number below 2^32. (XEP-0198.)"""
    text = item.attrs.get("h")
    if text is None and not required:
        return None
    # Ten digits hold every such number. Of thousands of digits int() would raise a ValueError.
    if text is None or not re.fullmatch("[0-9]{1,10}", text) or int(text) >= MODULUS:
        raise WrongCountError(f"the server sent <{item.name}/> with h={text!r}")
    return int(text)


def _stream_error(item: Node) -> StreamError:
    """Return the error for a stream error of the server. (RFC 6120, 4.9.)"""
    reason = next((kid for kid in children(item) if kid.name != "text"), None)
    words = child(item, "text", ns.STREAMS)
    condition = reason.name if reason else "undefined-condition"
    detail = f" ({words.getData()})" if words and words.getData() else ""
    return StreamError(f"the server ended the stream: {condition}{detail}", condition=condition)


def _sasl_error(item: Node, refused: str) -> Exception:
    """Return the error for a SASL failure; a temporary one is no refusal. (RFC 6120, 6.5.)"""
    reason = next((kid for kid in children(item) if kid.name != "text"), None)
    condition = reason.name if reason else "not-authorized"
    words = child(item, "text", ns.SASL)
    detail = f" ({words.getData()})" if words and words.getData() else ""
    if condition == "temporary-auth-failure":
        return StreamError(f"the server cannot authenticate now{detail}", condition=condition)
    return ChatAuthenticationError(
        f"the chat server refused the {refused}: {condition}{detail}",
        condition=condition,
    )


def _unexpected(item: Item, awaited: str) -> StreamProtocolError:
    if isinstance(item, RefusedElement):
        return StreamProtocolError(f"the server sent <{item.name}/> with {item.reason}")
    if isinstance(item, Node):
        name = f"<{item.name} xmlns={item.namespace!r}>"
    else:
        names: dict[type, str] = {MessageStanza: "a message", StreamStart: "a stream header"}
        name = names[type(item)]
    return StreamProtocolError(f"the server sent {name} instead of {awaited}")
