"""Fuzzes the client's core: no bytes of a server end the connection for good, or upset a count."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from random import Random
from typing import Any
from zlib import crc32

import attrs

from connectycube.chat.protocol import namespaces as ns
from connectycube.chat.protocol.core import PERMANENT
from connectycube.chat.protocol.decoding import Delivery, error_of
from connectycube.chat.protocol.iq import query_of
from connectycube.chat.protocol.nodes import Node
from connectycube.chat.protocol.parser import MessageStanza, StreamParser
from connectycube.chat.protocol.privacy import decode_names, decode_rules, read_items
from connectycube.chat.protocol.roster import decode_roster
from connectycube.errors import ChatError, ConnectyCubeError, StreamError, StreamProtocolError
from connectycube.models import ChatState
from tests.fuzz.connection import STAGES, Connection
from tests.fuzz.mutation import pieces_of
from tests.fuzz.stanzas import FEATURES, HEADER, SUCCESS, WORDS, stanza, stanzas
from tests.fuzz.target import Target
from tests.support.inside import session_of

__all__ = ["Core", "Stanzas"]

_ACKNOWLEDGED_EVERY = 50  # inputs
_PROBE = b"<r xmlns='urn:xmpp:sm:3'/>"
_PAUSES = (0.0, 0.0, 0.1, 11.0, 100.0)  # seconds between two pieces; the longest skip is 10


class Core(Target):
    """A core at any stage of a login: whatever arrives, it comes back, and then messages arrive.

    The first byte of an input chooses the stage, by its digit.
    """

    name = "core"
    words = WORDS
    share = 2.0

    def make(self, random: Random) -> bytes:
        choice = random.choice
        start = choice(("", "", HEADER, HEADER + FEATURES, SUCCESS, HEADER + "<stream:features/>"))
        errors = (
            "",
            "",
            "",
            "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        )
        return f"{random.randrange(len(STAGES))}{start}{stanzas(random)}{choice(errors)}".encode()

    def run(self, data: bytes) -> Hashable:
        stage = STAGES[data[0] % len(STAGES) if data else 0]
        connection = Connection()
        connection.login()
        if stage == "resuming":
            connection.link_up("managed")
            connection.send(1)
            connection.lose()
            connection.wait()
        connection.link_up(stage)
        was_ready = connection.core.is_ready
        if was_ready:
            connection.send(2)
        random = Random(crc32(data))
        for piece in pieces_of(data[1:], random):
            if not connection.core.has_stream:
                break
            connection.feed(piece)
            connection.now += random.choice(_PAUSES) / 10
            connection.core.tick(connection.now)
            connection.after()
        result = _seen(connection, stage)
        core = connection.core
        if was_ready and core.state is ChatState.CLOSED:
            reason = core.closed_reason
            assert isinstance(reason, StreamError) and reason.condition in PERMANENT, reason
        connection.come_back()
        self._check_outcomes(connection)
        return result

    def _check_outcomes(self, connection: Connection) -> None:
        connection.core.abort(None)
        connection.after()
        settled = [outcome.submission.waiter for outcome in connection.outcomes]
        assert len(settled) == len(set(settled)), f"settled more than once: {settled}"


def _seen(connection: Connection, stage: str) -> Hashable:
    core = connection.core
    signals = tuple(sorted({delivery.signal for delivery in connection.deliveries}))
    reason = core.closed_reason
    counters = tuple(name for name, count in attrs.asdict(core.counters).items() if count)
    return stage, core.state, signals, type(reason), getattr(reason, "condition", None), counters


class Stanzas(Target):
    """One session that lives on: each stanza is counted once, and makes events that can be written and read.

    ``@ID@`` in an input is the id of a request that waits for its answer.
    """

    name = "stanzas"
    words = (
        *WORDS,
        b"@ID@",
        b" id='@ID@'",
        b"<iq type='result' id='@ID@'>",
        b"<iq type='error' id='@ID@'>",
    )
    share = 3.0
    mutations = 0.3

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._handled = self._runs = 0

    def make(self, random: Random) -> bytes:
        written = stanza(random)
        if written.startswith("<iq") and random.random() < 0.7:
            written = re.sub(r" id=(?:'[^']*'|\"[^\"]*\")", " id='@ID@'", written, count=1)
        return written.encode()

    def run(self, data: bytes) -> Hashable:
        connection = self._connection or self._begun()
        core = connection.core
        session = session_of(core)
        request = session.request("get", None, "<query xmlns='jabber:iq:roster'/>", "asked")
        connection.after()
        data = data.replace(b"@ID@", request.encode())
        expected = _stanzas_in(data)
        before = session.resumable
        connection.feed(data)
        if not (core.is_ready and core.has_stream) or expected is None:
            result = _result(connection, core.state)
            self._connection = None
            return result
        after = session.resumable
        assert before is not None and after is not None
        assert (after.handled - before.handled) % 2**32 == expected, (before, after, expected)
        session.forget_request(request)
        result = _result(connection, core.state)
        self._rest(connection)
        return result

    def _begun(self) -> Connection:
        connection = self._connection = Connection()
        connection.login()
        connection.link_up("managed")
        assert connection.core.is_ready
        self._handled = self._runs = 0
        self._rest(connection)
        return connection

    def _rest(self, connection: Connection) -> None:
        """Let the server handle what was sent, so that nothing piles up."""
        connection.deliveries.clear()
        connection.answers.clear()
        self._handled += connection.stanzas_written()
        connection.written = b""
        self._runs += 1
        if self._runs % _ACKNOWLEDGED_EVERY == 0:
            connection.feed(f"<a xmlns='{ns.STREAM_MANAGEMENT}' h='{self._handled}'/>")
            assert session_of(connection.core).unfinished == 0


def _stanzas_in(data: bytes) -> int | None:
    """Return how many stanzas are in ``data``; None if something else is there, or the last is incomplete."""
    parser = StreamParser(stanza_bytes=10**6, stanza_depth=64, stanza_elements=10**5)
    items: list[Any] = []
    try:
        parser.feed(HEADER.encode() + data + _PROBE, items)
    except StreamProtocolError:
        return None
    *before, last = items
    if not isinstance(last, Node) or last.name != "r":
        return None  # the probe is inside an element that is incomplete
    return len(before) - 1 if all(map(_is_stanza, before[1:])) else None


def _is_stanza(item: Any) -> bool:
    if isinstance(item, MessageStanza):
        return True
    is_stanza = getattr(item, "namespace", None) == ns.CLIENT
    return is_stanza and item.name in ("message", "presence", "iq")


def _result(connection: Connection, state: ChatState) -> Hashable:
    read = tuple(reader.__name__ for answer in connection.answers for reader in _readers_of(answer))
    return state, tuple(map(_kind, connection.deliveries[:3])), read


def _kind(delivery: Delivery) -> Hashable:
    """Return the signal of a delivery and the fields that its event has."""
    assert delivery.size >= 0 and repr(delivery.event)
    fields = attrs.fields(type(delivery.event))
    return delivery.signal, tuple(
        field.name for field in fields if getattr(delivery.event, field.name)
    )


def _readers_of(answer: Any) -> list[Callable[[Any], Any]]:
    """Return the readers of answers that understand this one; what they raise is in the package's tree."""
    if answer.node is None:
        assert isinstance(answer.error, ConnectyCubeError)
        return []
    understood = []
    for reader in (_roster, _names, _rules, _error, _activity):
        try:
            reader(answer.node)
        except ChatError:
            continue
        understood.append(reader)
    return understood


def _roster(node: Any) -> Any:
    return decode_roster(query_of(node, ns.ROSTER), _ADDRESSES)


def _names(node: Any) -> Any:
    return decode_names(query_of(node, ns.PRIVACY))


def _rules(node: Any) -> Any:
    return read_items(decode_rules(query_of(node, ns.PRIVACY)), _ADDRESSES)


def _error(node: Any) -> Any:
    return error_of(node)


def _activity(node: Any) -> Any:
    return query_of(node, ns.LAST_ACTIVITY)


_ADDRESSES = Connection().core._addresses
