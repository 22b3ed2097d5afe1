"""Sessions that the processes of an application share through its token store."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextvars import ContextVar
from datetime import datetime, timezone

from .._secrets import Secret, confined
from .._threads import start_thread
from ..config import Config, TokenStore
from ..models import Session
from ._deadline_adapter import CallDeadline

__all__ = ["SharedSession", "SharedSessions"]

_LIFETIME = 7_200  # seconds: how long a session lives after its last use, if the service is silent
_LONGEST = 2_592_000  # seconds; memcached takes more for a moment
_LATEST = 253_402_300_799  # unix seconds: the end of the last year of datetime
_MOST_CHARACTERS = 4_096
_MOST_OVERDUE = 8  # threads that wait for a store which does not answer
_ITERATIONS = 20_000  # of PBKDF2, about 6 ms
_TOKEN = re.compile(r"[!-~]+")  # what a header can carry (RFC 9110, 5.5)

_LEAST_PATIENCE = 0.1  # seconds, so that a call without any time left still keeps what it made

Creation = Callable[[CallDeadline], "Session | None"]
"""Makes a session within the deadline; None if it cannot."""

_Value = tuple[Secret, int]  # and the seconds for which the store keeps it
_NOTHING: _Value = (Secret(""), 1)  # as a store need not know how to delete

_log = logging.getLogger("connectycube.rest")
# Whether this thread makes a session for the store, or runs a method of it: the thread, or the process, would
# wait for itself, and a store that makes a session would be asked for it without an end.
_is_inside: ContextVar[bool] = ContextVar("_is_inside", default=False)


class SharedSessions:
    """The token store of an application, and the bounds within which it is used; for any thread.

    Args:
        config: The configuration, whose ``token_store`` is not None.
    """

    def __init__(self, config: Config) -> None:
        assert config.token_store is not None
        self._config = config
        self.store: TokenStore = config.token_store
        self.seconds: float = config.timeouts.token_store
        self._overdue: set[threading.Thread] = set()
        self._name: str | None = None

    def under(self, name: str) -> SharedSessions:
        """Return the same store for one user, whom the application names in place of the credentials."""
        named = copy.copy(self)
        named._name = name
        return named

    def session_of(
        self, credentials: Mapping[str, object], clock: Callable[[], float | None]
    ) -> SharedSession:
        """Return the place of the session with these credentials, with what tells the service's time."""
        return SharedSession(self, self._key(credentials), clock)

    @confined
    def _key(self, credentials: Mapping[str, object]) -> str:
        """Name the session of one application, endpoint and user.

        The password is part of it: nobody finds a session with a wrong one. A slow hash keeps a password from
        being guessed by the keys of a store.
        """
        config = self._config
        who = credentials if self._name is None else {"shared_as": self._name}
        parts = [config.app_id, config.api_url.rstrip("/"), Secret(config.auth_key), who]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=Secret.open)
        key = hashlib.pbkdf2_hmac("sha256", text.encode(), b"connectycube session", _ITERATIONS)
        return f"connectycube:session:{key.hex()}"

    def start(self, run: Callable[[], None]) -> threading.Thread | None:
        """Use the store on a thread of its own; None while too many are late, or none can start."""
        for thread in tuple(self._overdue):
            if not thread.is_alive():
                self._overdue.discard(thread)
        if len(self._overdue) >= _MOST_OVERDUE:
            return None
        thread = threading.Thread(target=run, name="connectycube-token-store", daemon=True)
        try:
            start_thread(thread)
        except RuntimeError:  # the process has too many, or it ends
            return None
        return thread

    def leave(self, thread: threading.Thread) -> None:
        """Count a thread that is late, until it ends."""
        self._overdue.add(thread)


class SharedSession:
    """The session of one user in the token store; for any thread.

    Args:
        shared: The token store and its bounds.
        key: The key of the session.
        clock: Returns the service's time in unix seconds, or None while it is not known.
    """

    def __init__(self, shared: SharedSessions, key: str, clock: Callable[[], float | None]) -> None:
        self._shared = shared
        self.store: TokenStore = shared.store
        self.key = key
        self._clock = clock

    def obtain(
        self, stale: Session | None, deadline: CallDeadline, create: Creation
    ) -> Session | None:
        """Return a session that is not ``stale``: one from the store, or a new one that others find there.

        Args:
            stale: The session that has ended, or None.
            deadline: The deadline of the call that needs a session. The store may take half of the time.
            create: Makes a session, on this thread. If the store works, no other process makes one at that
                time.

        Raises:
            Exception: ``create`` raised it.
        """

        def value_of(made: Session | None) -> _Value | None:
            return None if made is None else self._value(made, stale)

        return self._visit(stale, deadline, create, value_of, "the session is made")

    def forget(self, session: Session, deadline: CallDeadline) -> None:
        """Take a session that was ended out of the store, unless another one is there by now."""
        self._visit(session, deadline, lambda _: None, lambda _: _NOTHING, "the session was ended")

    def _visit(
        self,
        stale: Session | None,
        deadline: CallDeadline,
        create: Creation,
        value_of: Callable[[Session | None], _Value | None],
        outcome: str,
    ) -> Session | None:
        """Return what the store has in place of ``stale``, or what ``create`` makes; keep its value."""
        if _is_inside.get():
            return create(deadline)
        visit = _Visit(self, stale)
        thread = self._shared.start(visit.run)
        if thread is None:
            self._warn("is not asked, as it has not answered yet", outcome)
            return create(deadline)
        value: _Value | None = None
        is_late = True
        try:
            is_late = not self._is_answered(visit, deadline)
            if visit.failure or is_late:
                self._warn(visit.failure or "took too long", outcome)
                return create(deadline)
            found = visit.found.result()
            if found is None:
                found = _created(create, deadline)
                value = value_of(found)
            return found
        finally:
            # The thread must go on whatever happened here, as it holds the lock.
            visit.made.set_result(value)
            if not is_late:  # else the wait for the store would be twice as long
                thread.join(self._patience(deadline))
            if thread.is_alive():
                self._shared.leave(thread)
            if value is not None and (thread.is_alive() or visit.failure):
                self._warn(visit.failure or "took too long", "other processes go on")

    def _is_answered(self, visit: _Visit, deadline: CallDeadline) -> bool:
        wait([visit.found], timeout=self._patience(deadline))
        return visit.found.done()

    def _patience(self, deadline: CallDeadline) -> float:
        left = deadline.remaining()
        most = self._shared.seconds
        return most if left is None else min(most, max(left / 2, _LEAST_PATIENCE))

    def _warn(self, what: str, outcome: str) -> None:
        # Neither the key nor the text of an error, which may repeat a value.
        _log.warning("Config.token_store %s; %s without it", what, outcome)

    def _now(self) -> float:
        now = self._clock()
        return time.time() if now is None else now

    def _value(self, session: Session, stale: Session | None) -> _Value | None:
        """Return the value of a session and its seconds, or None if others could not use it."""
        if session.user_id is None or not _is_of_same_user(session, stale):
            return None
        expires_at = None if session.expires_at is None else int(session.expires_at.timestamp())
        seconds = _LIFETIME if expires_at is None else int(expires_at - self._now())
        if seconds < 1:
            return None
        known = {
            "key": self.key,
            "token": Secret(session.token),
            "user_id": session.user_id,
            "expires_at": expires_at,
        }
        return Secret(json.dumps(known, default=Secret.open)), min(seconds, _LONGEST)

    def read(self, value: Secret, stale: Session | None) -> Session | None:
        """Return the session of a value, if it is alive and not ``stale``.

        Raises:
            _NotOurs: The value is none of ours.
        """
        if not value.open():
            return None
        session = _read(value, self.key)
        if not _is_of_same_user(session, stale):
            raise _NotOurs("another user's")
        if stale is not None and session.token == stale.token:
            return None
        if session.expires_at is not None and session.expires_at.timestamp() <= self._now():
            return None
        return session


class _Visit:
    """One use of the store, on a thread of its own, because a store may take any time.

    The thread enters and leaves the lock, as locks of Redis and of Python must not change the thread.
    """

    def __init__(self, place: SharedSession, stale: Session | None) -> None:
        self._place = place
        self._stale = stale
        self.found: Future[Session | None] = Future()
        """A session; None once this process may make one."""
        self.made: Future[_Value | None] = Future()
        """What to keep; None to leave the store as it is."""
        self.failure: str | None = None
        self._is_value_ours = True

    def run(self) -> None:
        """Use the store until a session is found, or made and kept."""
        _is_inside.set(True)  # for this thread, which ends with this method
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - its text and its frames may hold a token
            self.failure = f"failed ({type(error).__name__})"
        if not self.found.done():
            self.found.set_result(None)

    def _run(self) -> None:
        store, key = self._place.store, self._place.key
        found = self._get(store, key)
        if found is None:
            with store.lock(f"{key}:lock"):
                found = None if self.made.done() else self._get(store, key)
                if found is None:
                    self.found.set_result(None)
                    made = self.made.result()
                    if made is not None:
                        store.set(key, made[0].open(), made[1])
                    return
        self.found.set_result(found)

    def _get(self, store: TokenStore, key: str) -> Session | None:
        try:
            return self._place.read(Secret(store.get(key)), self._stale)
        except _NotOurs:
            if self._is_value_ours:
                self._is_value_ours = False
                _log.warning("Config.token_store has another value for a session; it is replaced")
            return None


class _NotOurs(Exception):
    """A value that this package has not written for this user."""


def _created(create: Creation, deadline: CallDeadline) -> Session | None:
    token = _is_inside.set(True)
    try:
        return create(deadline)
    finally:
        _is_inside.reset(token)


def _is_of_same_user(session: Session, stale: Session | None) -> bool:
    return stale is None or stale.user_id is None or session.user_id == stale.user_id


def _read(value: Secret, key: str) -> Session:
    """Read a value as :meth:`SharedSession._value` writes it under this key; raise _NotOurs for any other."""
    if not isinstance(value.open(), (str, bytes)) or len(value.open()) > _MOST_CHARACTERS:
        raise _NotOurs("no text, or too long")
    try:
        known = Secret(json.loads(value.open()))
    except (ValueError, RecursionError):
        raise _NotOurs("no JSON") from None
    if not isinstance(known.open(), dict):
        raise _NotOurs("no object")
    if known.open().get("key", key) != key:  # the store has mixed up its values
        raise _NotOurs("that of another key, which may be another user's")
    user_id, expires_at = known.open().get("user_id"), known.open().get("expires_at")
    token = Secret(known.open().get("token"))
    if not isinstance(token.open(), str) or not _TOKEN.fullmatch(token.open()):
        raise _NotOurs("no token")
    if type(user_id) is not int or user_id < 1:
        raise _NotOurs("no user")
    if expires_at is not None and (type(expires_at) is not int or not 0 < expires_at <= _LATEST):
        raise _NotOurs("no time")
    return Session(
        token=token.open(),
        user_id=user_id,
        expires_at=None if expires_at is None else datetime.fromtimestamp(expires_at, timezone.utc),
    )
