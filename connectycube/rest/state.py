"""The session that all calls share, and its renewal: one for all threads that need it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from datetime import datetime, timedelta, timezone
from threading import get_ident

from attrs import evolve

from ..errors import ApiTimeoutError
from ..models import Session
from .http import CallDeadline

__all__ = ["Renewal", "SessionState"]

Renewal = Callable[[CallDeadline], "Session | None"]
"""Makes a session like the one that has ended, within the deadline; None if it cannot."""


class SessionState:
    """The current session; every method may be called from any thread."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._renewal: Renewal | None = None
        self._ahead = timedelta(0)
        self.unlock_after_fork()

    def unlock_after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may have held, and drop its renewal."""
        self._lock = threading.Lock()
        self._refresh_future: Future[bool] | None = None
        self._refreshing_thread: int | None = None

    @property
    def session(self) -> Session | None:
        """The current session, or None."""
        return self._session

    def adopt(self, session: Session, renewal: Renewal | None = None) -> None:
        """Make ``session`` the current one; ``renewal`` makes another like it when it has ended."""
        with self._lock:
            self._session = session
            self._renewal = renewal

    def identify(self, session: Session) -> None:
        """Replace the current session by one that says more of it, if both have the same token."""
        with self._lock:
            if self._is_current(session):
                self._session = session

    def forget(self, session: Session) -> None:
        """Drop the current session if it still is this one (by its token)."""
        with self._lock:
            if self._is_current(session):
                self._session = self._renewal = None

    def expires(
        self, session: Session, moment: datetime | None, now: datetime | None = None
    ) -> None:
        """Note what the service last said about the end of this session; ``now`` is by its clock."""
        with self._lock:
            if now is not None:
                self._ahead = now - datetime.now(timezone.utc)
            if self._session is not None and self._is_current(session):
                self._session = evolve(self._session, expires_at=moment)

    def has_expired(self) -> bool:
        """Say whether the current session has ended by the service's clock, as far as it is known.

        An unknown end counts as valid.
        """
        session = self._session
        if session is None or session.expires_at is None:
            return False
        return session.expires_at <= datetime.now(timezone.utc) + self._ahead

    def renew(self, stale: Session, deadline: CallDeadline) -> Session | None:
        """Return a live session of the same user in place of ``stale``, or None if there can be none.

        However many threads ask, one session is made; the others wait for it, each to its own deadline,
        and share its failure. When the thread that makes it runs out of time, another one tries.

        Raises what the renewal raises, and TimeoutError.
        """
        while True:
            with self._lock:
                session, renewal, future = self._session, self._renewal, self._refresh_future
                if session is None:
                    return None  # logged out meanwhile
                if session.token != stale.token:
                    return session if session.user_id == stale.user_id else None
                if renewal is None or (
                    future is not None and self._refreshing_thread == get_ident()
                ):
                    return None  # a renewal's own calls are not renewed
                leading = future is None
                if future is None:
                    future = self._refresh_future = Future()
                    self._refreshing_thread = get_ident()
            if leading:
                self._refresh(future, renewal, stale, deadline)
            elif not future.done():
                _wait_for_refresh(future, deadline)
            if not future.result():
                return None

    def _refresh(
        self, future: Future[bool], renewal: Renewal, stale: Session, deadline: CallDeadline
    ) -> None:
        again, failure = True, None
        try:
            session = renewal(deadline)
            with self._lock:
                if self._session is not None and self._is_current(stale):
                    again = session is not None and session.token != stale.token
                    self._session = session if again else self._session
        except Exception as error:
            failure = error
            raise
        finally:
            with self._lock:
                if self._refresh_future is future:
                    self._refresh_future = None
            if failure is None or isinstance(failure, ApiTimeoutError):
                future.set_result(again)
            else:
                future.set_exception(failure)

    def _is_current(self, session: Session) -> bool:
        return self._session is not None and self._session.token == session.token


def _wait_for_refresh(future: Future[bool], deadline: CallDeadline) -> None:
    wait([future], timeout=deadline.remaining())
    if not future.done():
        raise TimeoutError("the session was not renewed in time")
