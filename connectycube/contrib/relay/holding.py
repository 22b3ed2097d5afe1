"""Holds a claim while a handler runs: a thread renews it, and notes if it is lost."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from .engine import Claim, Subscription
from .errors import ClaimLostError, RelayError

__all__ = ["Holder"]


class Holder:
    """Renews the claim that one thread works on, at each third of the lease.

    Args:
        subscription: Of which the claims are.
        seconds: The length of the lease.
        name: The name of the thread.
    """

    def __init__(self, subscription: Subscription, seconds: float, name: str) -> None:
        self._subscription = subscription
        self._every = seconds / 3
        self._changed = threading.Condition()
        self._claim: Claim | None = None
        self._is_closed = False
        self.is_lost: bool = False
        """Whether the present claim is known to be another worker's."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @contextmanager
    def holding(self, claim: Claim) -> Generator[None]:
        """Renew a claim inside of the ``with`` statement."""
        with self._changed:
            # Both under the lock: a renewal of the claim before must not mark this one as lost.
            self._claim, self.is_lost = claim, False
        try:
            yield
        finally:
            with self._changed:
                self._claim = None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, self._every)
                if self._is_closed:
                    return
                claim = self._claim
            if claim is not None:
                # Without the lock: a broker that does not answer would keep the worker from ending its
                # claim.
                self._renew(claim)

    def _renew(self, claim: Claim) -> None:
        try:
            self._subscription.renew(claim)
        except ClaimLostError:
            with self._changed:
                # The claim may have ended while its renewal was on the way.
                self.is_lost = self.is_lost or self._claim is claim
        except RelayError:
            pass  # the next call of the worker says so, if the broker is still away then

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()
