"""The session that all calls of a client share, and its renewal: one for all threads that need it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from os import getpid
from typing import TYPE_CHECKING

from attrs import evolve

from .. import models
from .._checks import check_callable
from .._forks import check_fork, register_for_fork
from .._secrets import Secret
from ..errors import ApiTimeoutError, ArgumentTypeError, ArgumentValueError
from ..models._json import as_time
from ._deadline_adapter import CallDeadline

if TYPE_CHECKING:
    from ..models import Session
    from ._shared_session import SharedSession

__all__ = ["ApplicationRenewal", "Renewal", "SessionState", "expiry_of"]

Renewal = Callable[[CallDeadline], "Session | None"]
"""Makes a session like the one that has ended, within the deadline; None if it cannot."""

ApplicationRenewal = Callable[["Session"], "Session | str | None"]
"""The application's renewal: takes the session that ended, returns a token or a session."""


class SessionState:
    """The current session; every method may be called from any thread.

    A forked child has the same session, and a lock of its own.

    Args:
        renew_session: The application's renewal, or None; it takes the place of every other one.
    """

    def __init__(self, renew_session: ApplicationRenewal | None = None) -> None:
        if renew_session is not None:
            check_callable("renew_session", renew_session, "session")
        self._renew_session = renew_session
        self._session: Session | None = None
        self._renewal: Renewal | None = None
        self._shared: SharedSession | None = None
        self._ahead = timedelta(0)  # the service's clock is ahead of ours by so much
        self._after_fork_in_child()
        register_for_fork(self)

    def _after_fork_in_child(self) -> None:
        """Replace the lock, which another thread of the parent may have held, and drop its renewal."""
        self._process = getpid()
        self._lock = threading.Lock()
        self._refresh: _Refresh | None = None

    @property
    def session(self) -> Session | None:
        """The current session, or None."""
        return self._session

    @property
    def shared(self) -> SharedSession | None:
        """The place of the current session in the token store, or None."""
        return self._shared

    def adopt(
        self,
        session: Session,
        renewal: Renewal | None = None,
        shared: SharedSession | None = None,
    ) -> None:
        """Make ``session`` the current one; ``renewal`` makes another like it when it has ended.

        Args:
            session: The session.
            renewal: Makes another one; None if nothing can.
            shared: Where the processes of the application share it; None if they do not.
        """
        check_fork()
        with self._lock:
            self._session = session
            self._shared = shared
            self._renewal = renewal if self._renew_session is None else self._by_application

    def identify(self, session: Session) -> None:
        """Replace the current session by one that says more of it, if both have the same token."""
        check_fork()
        with self._lock:
            if self._is_current(session):
                self._session = session

    def forget(self, session: Session) -> None:
        """Drop the current session if it still is this one (by its token)."""
        check_fork()
        with self._lock:
            if self._is_current(session):
                self._session = self._renewal = self._shared = None

    def expires(
        self, session: Session, moment: datetime | None, now: datetime | None = None
    ) -> None:
        """Note what the service last said about the end of this session; ``now`` is by its clock."""
        if getpid() != self._process:  # check_fork() without a call, as every response comes here
            check_fork()
        with self._lock:
            if now is not None:
                self._ahead = now - datetime.now(timezone.utc)
            if self._session is not None and self._is_current(session):
                self._session = evolve(self._session, expires_at=moment)

    def has_expired(self) -> bool:
        """Tell whether the current session has ended by the service's clock; an unknown end counts as no."""
        session = self._session
        if session is None or session.expires_at is None:
            return False
        # A difference of two moments cannot overflow, as their sum with what a wrong clock says can.
        return session.expires_at - datetime.now(timezone.utc) <= self._ahead

    def renew(self, stale: Session, deadline: CallDeadline) -> Session | None:
        """Return a live session of the same user in place of ``stale``, or None if there can be none.

        However many threads ask, one of them makes the session. The others wait for it, each to its own
        deadline, and get the same failure; but if that thread only ran out of time, another one tries.

        Raises:
            TimeoutError: The deadline passed while another thread was making the session.
            Exception: The renewal raised it.
        """
        check_fork()
        while True:
            with self._lock:
                session, renewal, shared = self._session, self._renewal, self._shared
                if session is None:
                    return None  # another thread has logged out
                if session.token != stale.token:  # another thread has renewed or replaced it
                    return session if _may_replace(session, stale) else None
                if renewal is None:
                    return None
                refresh = self._refresh
                if refresh is not None and refresh.thread == threading.get_ident():
                    return None  # a call of the renewal itself
                is_first = refresh is None
                if refresh is None:
                    refresh = self._refresh = _Refresh()
            if is_first:
                if shared is not None:
                    renewal = partial(_obtained, shared, stale, renewal)
                self._run(refresh, renewal, stale, deadline)
            else:
                refresh.wait(deadline)
            if not refresh.may_have_succeeded():
                return None

    def _run(
        self, refresh: _Refresh, renewal: Renewal, stale: Session, deadline: CallDeadline
    ) -> None:
        """Make a session in place of ``stale``, and let the waiting threads know."""
        failure: Exception | None = None
        is_declined = False
        try:
            session = renewal(deadline)
            with self._lock:
                if self._is_current(stale):  # else the application has logged in or out since
                    if session is None or session.token == stale.token:
                        is_declined = True
                    elif not _may_replace(session, stale):
                        raise ArgumentValueError(
                            f"renew_session returned a session of user {session.user_id}, and the one that"
                            f" has ended was of user {stale.user_id}: call login() to become another user"
                        )
                    else:
                        self._session = session
        except Exception as error:
            failure = error
            raise
        finally:
            with self._lock:
                if self._refresh is refresh:
                    self._refresh = None
            refresh.finish(failure, is_declined)

    def _by_application(self, deadline: CallDeadline) -> Session | None:
        """Let the application renew the session."""
        stale = self._session
        if stale is None or self._renew_session is None:
            return None
        fresh = Secret(self._renew_session(stale))
        if fresh.open() is None:  # it may have logged in
            return self._session
        if isinstance(fresh.open(), str) and fresh.open():
            return models.Session(token=fresh.open(), user_id=stale.user_id, user=stale.user)
        if isinstance(fresh.open(), models.Session) and fresh.open().token:
            session: Session = fresh.open()
            if session.id is None and session.user_id is None:  # the token alone
                return evolve(session, user_id=stale.user_id, user=stale.user)
            return session
        wrong = type(fresh.open()).__name__
        if isinstance(fresh.open(), (str, models.Session)):
            raise ArgumentValueError(f"renew_session returned {wrong} without a token")
        raise ArgumentTypeError(f"renew_session must return a token or a Session, not {wrong}")

    def _is_current(self, session: Session) -> bool:
        return self._session is not None and self._session.token == session.token


def _obtained(
    shared: SharedSession, stale: Session, renewal: Renewal, deadline: CallDeadline
) -> Session | None:
    """Take another session from the token store, or renew it for all processes."""
    return shared.obtain(stale, deadline, renewal)


def _may_replace(session: Session, stale: Session) -> bool:
    """Tell whether a call that was made with ``stale`` may be repeated with ``session``.

    Not as another user. A session of which only the token was given may be of any user.
    """
    is_unknown = stale.user_id is None and stale.id is None
    return is_unknown or session.user_id == stale.user_id


class _Refresh:
    """One renewal under way: the thread that runs it, and its outcome for the threads that wait for it."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self._has_ended = threading.Event()
        self._failure: Exception | None = None
        self._is_declined = False

    def finish(self, failure: Exception | None, is_declined: bool) -> None:
        """Set the outcome: none of a renewal that only ran out of time, so that another thread tries."""
        self._failure = None if isinstance(failure, ApiTimeoutError) else failure
        self._is_declined = is_declined
        self._has_ended.set()

    def wait(self, deadline: CallDeadline) -> None:
        """Wait for the outcome.

        Raises:
            TimeoutError: The deadline passed before.
        """
        if not self._has_ended.wait(deadline.remaining()):
            raise TimeoutError("the session was not renewed in time")

    def may_have_succeeded(self) -> bool:
        """Tell whether to look at the session again; raise the failure, if there was one."""
        if self._failure is not None:
            raise self._failure
        return not self._is_declined


def expiry_of(text: str) -> datetime | None:
    """Read CB-Token-ExpirationDate, such as "2021-10-09 16:56:41 UTC"."""
    return as_time(text.removesuffix("UTC").rstrip())
