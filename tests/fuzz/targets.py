"""All targets, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz.cores import Core, Stanzas
from tests.fuzz.parsers import Parsers, Shapes, Stream
from tests.fuzz.responses import Responses
from tests.fuzz.sockets import ChatPort, HttpPorts, RestCalls, WebSocketPort
from tests.fuzz.stores import SavedMessages, Store
from tests.fuzz.target import Target

__all__ = ["TARGETS"]

TARGETS: Mapping[str, type[Target]] = {
    target.name: target
    for target in (
        *(Stream, Shapes, Parsers, Stanzas, Core, Responses, SavedMessages, Store),
        *(RestCalls, HttpPorts, ChatPort, WebSocketPort),
    )
}
"""They run in this order."""
