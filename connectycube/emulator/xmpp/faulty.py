"""Faulty: where faults come between the chat server and its clients.

``FaultyLink`` stands in front of every link, and ``FaultyDelivery`` in front of every session. While no fault
is on, each costs one look.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..control.faults import CHAT, Fault, Faults
from ..control.timers import Timers
from .element import Element
from .session import Link, Session

__all__ = ["FaultyDelivery", "FaultyLink"]

# How long reorder holds back a stanza that no other follows.
_LONGEST_HOLD = 1.0


class FaultyLink:
    """A link whose writing can be late, slow or in vain. (Link.)

    ``user_id`` and ``resource`` are what is known of the client. Once ``silent``, a link stays so: what it
    swallowed would be missing in the counts of stream management.
    """

    def __init__(self, link: Link, faults: Faults, timers: Timers, most_bytes: int) -> None:
        self._link = link
        self._faults = faults
        self._timers = timers
        self._most_bytes = most_bytes
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._waiting_bytes = 0
        self._free_at = 0.0
        self.user_id: int | None = None
        self.resource: str | None = None
        self.silent = False

    def take(self, name: str) -> Fault | None:
        """Return the fault of this name that is on for this connection, and count one time."""
        return self._faults.take(name, CHAT, self.user_id, self.resource)

    def find(self, name: str) -> Fault | None:
        """Like ``take``, and count nothing."""
        return self._faults.find(name, CHAT, self.user_id, self.resource)

    def is_struck_by(self, fault: Fault) -> bool:
        """Whether a fault is about this connection."""
        return CHAT in fault.sides and self._faults.concerns(fault, self.user_id, self.resource)

    # --- Link -------------------------------------------------------------------------------------

    def open(self, attributes: dict[str, str]) -> None:
        """Write the opening tag of our side."""
        self._write(lambda: self._link.open(attributes), 0)

    def restart(self) -> None:
        """Expect a new stream header from the peer."""
        self._link.restart()

    def send(self, element: Element) -> None:
        """Write an element."""
        if self._faults.active or self._waiting or self.silent:
            size = len(element.to_xml().encode())
            self._write(lambda: self._link.send(element), size)
        else:
            self._link.send(element)

    def close(self) -> None:
        """Write the closing tag, after all that waits, and end the connection."""
        if self.silent:
            self.abort()
        else:
            self._write(self._link.close, 0)

    def abort(self) -> None:
        """End the connection at once."""
        self._waiting.clear()
        self._link.abort()

    # --- late and slow ------------------------------------------------------------------------------

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
        if self._waiting_bytes > self._most_bytes:  # as for a client that does not read
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
    """Sends stanzas to sessions, some twice, some before the one they follow."""

    def __init__(
        self, faults: Faults, timers: Timers, deliver: Callable[[Session, Element], None]
    ) -> None:
        self._faults = faults
        self._timers = timers
        self._deliver = deliver
        self._held: dict[Session, tuple[Fault, Element]] = {}

    def send(self, session: Session, stanza: Element) -> None:
        """Send a stanza while any fault is on."""
        held = self._held.pop(session, None)
        if held is not None:
            holder, older = held
            self._repeat(session, stanza)
            self._repeat(session, older)
            holder.use()
            return
        fault = self._faults.find("reorder", CHAT, session.user_id, session.resource)
        if fault is None:
            self._repeat(session, stanza)
        else:
            self._hold(session, (fault, stanza))

    def release(self, fault: Fault) -> None:
        """Send what an ended fault holds back."""
        for session, (holder, stanza) in list(self._held.items()):
            if holder is fault:
                del self._held[session]
                self._repeat(session, stanza)

    def release_session(self, session: Session) -> None:
        """Send what is held back from a session that is about to end."""
        _, stanza = self._held.pop(session, (None, None))
        if stanza is not None:
            self._repeat(session, stanza)

    def _hold(self, session: Session, held: tuple[Fault, Element]) -> None:
        self._held[session] = held
        self._timers.schedule(_LONGEST_HOLD, lambda: self._give_up(session, held))

    def _give_up(self, session: Session, held: tuple[Fault, Element]) -> None:
        if self._held.get(session) is held:
            self.release_session(session)

    def _repeat(self, session: Session, stanza: Element) -> None:
        self._deliver(session, stanza)
        if self._faults.take("duplicate", CHAT, session.user_id, session.resource) is not None:
            self._deliver(session, stanza)
