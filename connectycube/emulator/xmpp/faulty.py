"""Faulty: the faults of the chat.

A stream writes through a ``FaultyLink``, and the hub delivers through ``FaultyDelivery``. While no fault is
on, each only looks whether one is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..control.exchanges import Exchanges
from ..control.faults import CHAT, Fault, Faults
from ..control.timers import Timers
from ..domain.times import Clock
from .element import Element
from .recording import note_stanza
from .session import Link, Session

__all__ = ["FaultyDelivery", "FaultyLink"]

# How long the fault reorder holds back a stanza that no other follows, in seconds.
_LONGEST_HOLD = 1.0


class FaultyLink:
    """A link that faults can delay, slow down or silence. (Link.)

    ``user_id`` and ``resource`` are those of the client, None before they are known. A ``silent`` link stays
    silent: the client has not seen the discarded stanzas, so the counts of stream management would differ.
    """

    def __init__(
        self,
        link: Link,
        faults: Faults,
        timers: Timers,
        most_bytes: int,
        exchanges: Exchanges,
        clock: Clock,
    ) -> None:
        self._link = link
        self._faults = faults
        self._timers = timers
        self._most_bytes = most_bytes
        self._exchanges = exchanges
        self._clock = clock
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._waiting_bytes = 0
        self._free_at = 0.0
        self.user_id: int | None = None
        self.resource: str | None = None
        self.silent = False

    def take(self, name: str) -> Fault | None:
        """Return the fault of this name that concerns this connection, and count one time."""
        return self._faults.take(name, CHAT, self.user_id, self.resource)

    def find(self, name: str) -> Fault | None:
        """Return the fault of this name that concerns this connection."""
        return self._faults.find(name, CHAT, self.user_id, self.resource)

    def concerned_by(self, fault: Fault) -> bool:
        """Whether a fault concerns this connection."""
        return CHAT in fault.sides and self._faults.concerns(fault, self.user_id, self.resource)

    # --- Link -------------------------------------------------------------------------------------

    def open(self, attributes: dict[str, str]) -> None:
        """Write the opening tag of the server's stream."""
        self._write(lambda: self._link.open(attributes), 0)

    def restart(self) -> None:
        """Expect a new stream header from the peer."""
        self._link.restart()

    def send(self, element: Element) -> None:
        """Write an element."""
        if self._faults.active or self._waiting or self.silent:
            size = len(element.to_xml().encode())
            self._write(lambda: self._write_element(element), size)
        else:
            self._write_element(element)

    def _write_element(self, element: Element) -> None:
        if self._exchanges.active:
            self.note("out", element)
        self._link.send(element)

    def note(self, direction: str, element: Element) -> None:
        """Note an element of this connection in the log of exchanges."""
        now = self._clock.time()
        note_stanza(self._exchanges, now, direction, self.user_id, self.resource, element)

    def close(self) -> None:
        """Write the closing tag behind everything that waits, and end the connection."""
        if self.silent:
            self.abort()
        else:
            self._write(self._link.close, 0)

    def abort(self) -> None:
        """End the connection at once."""
        self._waiting.clear()
        self._link.abort()

    # --- delays -------------------------------------------------------------------------------------

    def _write(self, write: Callable[[], None], size: int) -> None:
        if self.silent:
            return
        now = self._timers.now()
        due = max(self._free_at, now + self._delay()) + self._duration(size)
        if due <= now and not self._waiting:
            write()
            return
        self._free_at = due
        self._waiting.append((size, write))
        self._waiting_bytes += size
        self._timers.schedule(due - now, self._write_next)
        # The same bound as for a client that does not read.
        if self._waiting_bytes > self._most_bytes:
            self.abort()

    def _delay(self) -> float:
        late = self.take("delay") if self._faults.active else None
        return 0.0 if late is None else float(late.parameters["seconds"])

    def _duration(self, size: int) -> float:
        slow = self.take("throttle") if self._faults.active and size else None
        return 0.0 if slow is None else size / float(slow.parameters["bytes_per_second"])

    def _write_next(self) -> None:
        if self._waiting and not self.silent:
            size, write = self._waiting.popleft()
            self._waiting_bytes -= size
            write()


class FaultyDelivery:
    """Delivers stanzas to sessions; the faults duplicate and reorder act here."""

    def __init__(
        self, faults: Faults, timers: Timers, deliver: Callable[[Session, Element], None]
    ) -> None:
        self._faults = faults
        self._timers = timers
        self._deliver = deliver
        self._held: dict[Session, tuple[Fault, Element]] = {}

    def send(self, session: Session, stanza: Element) -> None:
        """Send a stanza, duplicated or reordered if such a fault is on."""
        held = self._held.pop(session, None)
        if held is not None:
            fault, older = held
            self._deliver_or_duplicate(session, stanza)
            self._deliver_or_duplicate(session, older)
            fault.use()
            return
        reorder = self._faults.find("reorder", CHAT, session.user_id, session.resource)
        if reorder is None:
            self._deliver_or_duplicate(session, stanza)
        else:
            held = (reorder, stanza)
            self._held[session] = held
            self._timers.schedule(_LONGEST_HOLD, lambda: self._give_up(session, held))

    def release(self, fault: Fault) -> None:
        """Send the stanzas that an ended fault holds back."""
        for session, (reorder, stanza) in list(self._held.items()):
            if reorder is fault:
                del self._held[session]
                self._deliver_or_duplicate(session, stanza)

    def release_session(self, session: Session) -> None:
        """Send the stanza that is held back from a session, before the session ends."""
        _, stanza = self._held.pop(session, (None, None))
        if stanza is not None:
            self._deliver_or_duplicate(session, stanza)

    def _give_up(self, session: Session, held: tuple[Fault, Element]) -> None:
        if self._held.get(session) is held:
            self.release_session(session)

    def _deliver_or_duplicate(self, session: Session, stanza: Element) -> None:
        self._deliver(session, stanza)
        if self._faults.take("duplicate", CHAT, session.user_id, session.resource) is not None:
            self._deliver(session, stanza)
