"""The parts of the fault proxy: a link between a client and the server, and its two flows of bytes."""

from __future__ import annotations

import collections
import contextlib
import socket
import struct
import time
from typing import Literal

from attrs import define

Direction = Literal["to_server", "to_client"]
Then = Literal["rst", "fin", "cut"]

SINK: dict[Direction, str] = {"to_server": "server", "to_client": "client"}
SOURCE: dict[Direction, str] = {"to_server": "client", "to_client": "server"}
OTHER = {"client": "server", "server": "client"}

_MOST_PENDING = 262_144


@define
class Faults:
    """What holds for one direction."""

    frozen: bool = False
    delay: float = 0.0
    cut: bool = False
    remaining: int | None = None
    then: Then = "rst"


class Flow:
    """One direction of a link: what was read from its source and is not yet written to its sink."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.pending: collections.deque[tuple[float, bytes]] = collections.deque()
        self.size = 0
        self.last_due = 0.0
        self.source_ended = False
        self.sink_ended = False

    def put(self, data: bytes) -> None:
        self.last_due = max(self.last_due, time.monotonic() + self.faults.delay)
        self.pending.append((self.last_due, data))
        self.size += len(data)

    def take(self, count: int) -> None:
        """Forget ``count`` bytes of the first piece, which were written."""
        due, data = self.pending.popleft()
        self.size -= count
        if data[count:]:
            self.pending.appendleft((due, data[count:]))

    def due(self) -> float | None:
        """When the first pending bytes (or the end, after the last) may go out; None: nothing waits."""
        if self.faults.frozen or self.sink_ended or not self.pending:
            return None
        return self.pending[0][0]

    def drop(self) -> None:
        self.pending.clear()
        self.size = 0

    @property
    def reads(self) -> bool:
        return not (self.faults.frozen or self.source_ended) and self.size < _MOST_PENDING

    @property
    def done(self) -> bool:
        return self.source_ended and (self.sink_ended or not self.pending)


class Link:
    """A client's connection, the one made for it to the server, and the flows between them."""

    def __init__(self, client: socket.socket, flows: dict[Direction, Flow], silent: bool) -> None:
        self.legs: dict[str, socket.socket | None] = {"client": client, "server": None}
        self.flows = flows
        self.silent = silent
        self.connecting = False

    def reset(self, side: str) -> None:
        """End a leg with RST: its flow inwards has no sink any more, its flow outwards no source."""
        leg = self.legs[side]
        if leg is not None:
            leg.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            leg.close()
        self.legs[side] = None
        for direction, flow in self.flows.items():
            if SINK[direction] == side:
                flow.sink_ended = True
                flow.drop()
            else:
                flow.source_ended = True

    def lose(self, side: str) -> None:
        """A leg has failed: reset it, and the other one too, unless what comes from here is lost."""
        self.reset(side)
        outwards = next(flow for name, flow in self.flows.items() if SOURCE[name] == side)
        if not outwards.faults.cut:
            self.reset(OTHER[side])

    def finish(self, side: str) -> None:
        """Send FIN on a leg; what the peer still sends is read, so that no RST follows."""
        for direction, flow in self.flows.items():
            leg = self.legs[side]
            if SINK[direction] == side and leg is not None and not flow.sink_ended:
                flow.sink_ended = True
                flow.drop()
                with contextlib.suppress(OSError):
                    leg.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for leg in self.legs.values():
            if leg is not None:
                leg.close()
        self.legs = {"client": None, "server": None}
