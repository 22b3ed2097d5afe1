"""Coverage: which endpoints and stanzas the emulator implements, infers or lacks.

The list is made from the emulator's own tables. Only the missing entries are written by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from attrs import frozen

from .api.routing import ROUTES
from .xmpp.content import KINDS
from .xmpp.presence import PRESENCES
from .xmpp.requests import REQUESTS
from .xmpp.room_requests import ROOM_REQUESTS
from .xmpp.stream import HANDLED

__all__ = ["MISSING", "Entry", "State", "coverage", "coverage_text"]

State = Literal["implemented", "inferred", "missing"]
"""Inferred: implemented, but the documentation leaves a part of it open."""


@frozen
class Entry:
    """One endpoint or stanza of the service's documentation, and how much of it the emulator does.

    Args:
        wire: "REST" or "chat".
        name: The method and path of the endpoint, or a description of the stanza.
        state: "implemented", "inferred" (implemented, but the documentation leaves a part of it open) or
            "missing".
        note: The part that is inferred, or the emulator's substitute.

    Example:
        >>> from connectycube.emulator import coverage
        >>> {entry.wire for entry in coverage() if entry.state == "missing"} == {"REST", "chat"}
        True
    """

    wire: Literal["REST", "chat"]
    name: str
    state: State
    note: str = ""


_NO_MEDIA = "media is out of scope; 501"

MISSING = (
    *(
        Entry(
            "REST", f"{method} /chat/dialog/{{id}}/block", "missing", "501; Emulator.ban() does it"
        )
        for method in ("GET", "POST", "DELETE")
    ),
    *(
        Entry("REST", f"{method} /whiteboards{path}", "missing", _NO_MEDIA)
        for method, path in (("GET", ""), ("POST", ""), ("PUT", "/{id}"), ("DELETE", "/{id}"))
    ),
    Entry("chat", "stream over BOSH", "missing", "not offered"),
    Entry("chat", "stream compression (XEP-0138)", "missing", "not offered"),
    Entry("chat", "versions of the roster (RFC 6121, 2.6)", "missing", "not offered"),
    Entry(
        "chat",
        "<amp/> in http://jabber.org/protocol/amp (XEP-0079)",
        "missing",
        "relayed, without effect",
    ),
)
"""The entries of the service's documentation that the emulator does not implement."""


TRANSPORTS = {"chat": "direct TLS (RFC 6120)", "websocket": "WebSocket (RFC 7395)"}
"""The transports of the chat, by the name of the port."""

_RECEIVERS = {"domain": "the rooms' domain", "room": "a room", "occupant": "an occupant"}


def coverage() -> list[Entry]:
    """List every endpoint and stanza, REST first; the missing ones of each wire come last.

    Returns:
        The entries.
    """
    rest = list(_endpoints())
    chat = [*_streams(), *_messages(), *_presences(), *_requests()]
    return [
        *rest,
        *(entry for entry in MISSING if entry.wire == "REST"),
        *chat,
        *(entry for entry in MISSING if entry.wire == "chat"),
    ]


def coverage_text() -> str:
    """Write the coverage as a table for a terminal.

    Returns:
        A line for each entry, and a line of sums.
    """
    entries = coverage()
    width = max(len(entry.name) for entry in entries)
    lines = [
        f"{entry.wire}  {entry.state:<11}  {entry.name:<{width}}  {entry.note}".rstrip()
        for entry in entries
    ]
    return "\n".join([*lines, "", _sums(entries)])


def _sums(entries: list[Entry]) -> str:
    """Return how many entries have each state, as text."""
    states = [entry.state for entry in entries]
    return (
        f"{states.count('implemented')} as documented, {states.count('inferred')} with a part that is "
        f"inferred, {states.count('missing')} missing"
    )


def _endpoints() -> Iterator[Entry]:
    for route in sorted(ROUTES, key=lambda route: (route.pattern, route.method)):
        yield _entry("REST", f"{route.method} /{route.pattern}", route.inferred)


def _streams() -> Iterator[Entry]:
    for transport in TRANSPORTS.values():
        yield Entry("chat", f"stream over {transport}", "implemented")
    for namespace, elements in HANDLED.items():
        for name, inferred in elements.items():
            yield _entry("chat", f"<{name}/> in {namespace}", inferred)


def _messages() -> Iterator[Entry]:
    for kind in KINDS:
        elements = ", ".join(f"<{name}/>" for name in kind.names)
        yield _entry("chat", f"message with {elements} in {kind.namespace}", kind.inferred)


def _presences() -> Iterator[Entry]:
    for kind, inferred in PRESENCES.items():
        yield _entry("chat", f"presence {kind or 'available'}", inferred)
    yield _entry("chat", "presence available, unavailable to a room", "its errors and status codes")


def _requests() -> Iterator[Entry]:
    for row in REQUESTS.values():
        name = f"iq {row.type} <{row.name}/> in {row.namespace}"
        yield _entry("chat", name, row.inferred)
    for (receiver, type, namespace), room_row in ROOM_REQUESTS.items():
        name = f"iq {type} in {namespace} to {_RECEIVERS[receiver]}"
        yield _entry("chat", name, room_row.inferred)


def _entry(wire: Literal["REST", "chat"], name: str, inferred: str | None) -> Entry:
    if inferred is None:
        return Entry(wire, name, "implemented")
    return Entry(wire, name, "inferred", inferred)
