"""The lease of one connection: calls of ``login`` stand by for it, and the end of the connection frees it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from ..._deadline import Deadline
from ...errors import ChatError, LeaseLostError
from ...models import ChatState
from ..protocol.core import Core
from .hold import Hold
from .keeper import Keeper
from .lease import Lease

if TYPE_CHECKING:
    from ..cursor_mode import CursorMode
    from ..durable.mode import Durability

__all__ = ["Exclusive", "login_deadlines"]

_RELEASED_WITHIN = 1.0  # seconds; after a failed login, whose deadline has passed


class Holder(Protocol):
    """Something that acts for the holder of the lease alone."""

    hold: Hold | None


class Exclusive:
    """The keepers of a connection's lease: the current one, and earlier ones whose receivers still run.

    ``lost()`` is called once the lease is lost; ``drained(deadline)`` waits for the receivers of a connection
    that is closed; ``is_closed()`` says whether it is. Every method may be called from any thread.
    """

    def __init__(
        self,
        name: str,
        lost: Callable[[], None],
        drained: Callable[[Deadline], bool],
        is_closed: Callable[[], bool],
    ) -> None:
        self._name = name
        self._lost = lost
        self._drained = drained
        self._is_closed = is_closed
        self._lock = threading.Lock()
        self._keepers: list[Keeper] = []
        self.hold: Hold | None = None
        """That of the current or last login; None if it has no lease."""

    @contextmanager
    def holding(self, lease: Lease, deadline: Deadline) -> Generator[Hold]:
        """Wait for the lease, and hold it for the login inside the ``with`` statement.

        If the login fails, or this call, the lease is given back. Logins on several threads share it.
        """
        keeper = self._join(lease)
        try:
            keeper.wait_until_held(deadline)
            yield keeper.hold
        finally:
            with self._lock:
                keeper.logins -= 1
                is_unused = keeper.logins == 0 and self._is_closed()
            if is_unused:
                keeper.close()
                if (
                    keeper.hold.fencing is not None
                ):  # else the caller's time is up, and nothing is held
                    keeper.wait_until_released(Deadline(_RELEASED_WITHIN))

    def _join(self, lease: Lease) -> Keeper:
        with self._lock:
            self._keepers = [keeper for keeper in self._keepers if not keeper.is_released]
            current = next((keeper for keeper in self._keepers if not keeper.is_over), None)
            if current is None and not self._is_closed():
                raise ChatError("the chat is connected without a lease: log out first")
            if current is None:
                current = Keeper(lease, self._name, self._lost, self._drained)
                self._keepers.append(current)
            elif current.lease is not lease:
                raise ChatError(
                    f"the chat has, or stands by for, the lease {current.lease.name!r}: log out first, or"
                    " pass the same object"
                )
            current.logins += 1
            return current

    # --- the connection with the lease ---

    def begin(
        self,
        hold: Hold | None,
        core: Core,
        durability: Durability | CursorMode,
        receivers: Holder,
        streams: Holder,
    ) -> None:
        """Begin a login with the lease, or without one; the mutex of the driver is held."""
        if hold is not None and not hold.is_valid():
            raise hold.loss or _given_back(hold)
        is_new = hold is not None and hold is not self.hold  # logins of several threads share one
        self.hold = durability.hold = receivers.hold = streams.hold = hold
        if is_new:
            # Between two logins with a lease another process may have had it, and gone on with the messages.
            core.forget_last_login()
            durability.forget_last_login()

    def loss(self, of_receiver: Hold | None) -> LeaseLostError | None:
        """Return why the lease is lost, or that of the receiver which calls; None if it is not."""
        for hold in (self.hold, of_receiver):
            if hold is not None and hold.loss is not None:
                return hold.loss
        return None

    def end_if_lost(self, core: Core) -> bool:
        """End the connection if the lease is lost; the mutex of the driver is held; return whether it is.

        It ends in good order, so that the server knows, but at once if another process may have the lease.
        """
        hold = self.hold
        if hold is None or hold.is_valid() or core.state in (ChatState.IDLE, ChatState.CLOSED):
            return False
        reason, now = hold.loss or _given_back(hold), time.monotonic()
        if hold.is_expired():
            core.abort(reason)
        else:
            core.close(now, now + hold.seconds_left, logs_out=False, reason=reason)
        return True

    # --- the end ---

    def close(self, hold: Hold | None) -> None:
        """Give the lease back once the receivers have returned: the connection is closed.

        But not if another login has begun with it since then: its own end gives it back.
        """
        with self._lock:
            for keeper in self._keepers_of(hold):
                if keeper.logins == 0 and (self._is_closed() or self.hold is not hold):
                    keeper.close()

    def end(self, hold: Hold | None, deadline: Deadline) -> None:
        """Give the lease back now, and wait until it was given back, not beyond the deadline."""
        for keeper in self._keepers_of(hold):
            keeper.end()
            keeper.wait_until_released(deadline)

    def cancel(self) -> None:
        """End the logins that stand by for the lease."""
        for keeper in tuple(self._keepers):
            if keeper.logins:
                keeper.end()

    def _keepers_of(self, hold: Hold | None) -> list[Keeper]:
        return [keeper for keeper in tuple(self._keepers) if keeper.hold is hold]


def _given_back(hold: Hold) -> LeaseLostError:
    return LeaseLostError(f"the lease {hold.name!r} was given back during the login")


def login_deadlines(
    timeout: float | None, default: float, lease: Lease | None
) -> tuple[Deadline, Callable[[], Deadline]]:
    """Return the deadline for the lease, and a function that returns the one for the login after it.

    With an infinite ``timeout`` the first one is none, and the second is ``default`` seconds later.
    """
    if lease is not None and timeout == math.inf:
        return Deadline(None), lambda: Deadline(default)
    deadline = Deadline.of(timeout, default)
    return deadline, lambda: deadline
