"""The thread that asks for a lease, renews it and gives it back.

A file system or a database may block for minutes, so the connection thread must not call them. And a lease is
called by one thread only: a connection of SQLite, for one, belongs to the thread that opened it. That a lease
has expired is noticed without this thread, which may be the one that hangs: by the connection thread, and by
each receiver and message before it.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

from ..._checks import repr_of
from ..._deadline import Deadline
from ..._threads import start_thread
from ..._transient import is_transient
from ...errors import LeaseHeldError, LeaseLostError, LeaseStoreError, NotConnectedError
from ..link import Waker
from .hold import Hold
from .lease import Lease, holder_name

__all__ = ["Keeper"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_PASSING = frozenset({"OperationalError", "InterfaceError"})
"""The classes of DB-API 2.0 for errors of the database and of the way to it, whatever module defines them."""
_UNLIMITED_ASKED_EVERY = 0.1  # seconds
_ASKED_AFTER = 1 / 6  # of the length of the lease
_LOOKED_EVERY = 0.1  # seconds; whether the receivers have returned


class Keeper:
    """Keeps one lease for one connection, from the first call of ``login`` to the end.

    ``lost()`` is called, without a lock, once the lease is lost. ``drained(deadline)`` waits for the
    receivers of a connection that is closed, and returns whether they have returned.
    """

    def __init__(
        self,
        lease: Lease,
        name: str,
        lost: Callable[[], None],
        drained: Callable[[Deadline], bool],
    ) -> None:
        self.lease = lease
        self.hold: Hold = Hold(lease.name, holder_name(), lease.seconds)
        self.logins = 0
        """The number of calls of ``login`` that use it now."""
        self._name = name
        self._lost = lost
        self._drained = drained
        self._changed = threading.Condition()
        self._wakers: set[Waker] = set()
        self._is_closing = False
        self._is_ended = False
        self._is_released = False
        self._is_refused = False  # whether another holder had it when it was last asked for
        self._error: Exception | None = None  # of the last attempt, if the next one may do better
        self._failure: BaseException | None = None  # an error that does not pass
        self._thread = threading.Thread(target=self._run, name=f"{name}-lease", daemon=True)
        start_thread(self._thread)

    # --- for any thread ---

    @property
    def is_over(self) -> bool:
        """Whether this keeper gives the lease back, or has lost it: another login needs another keeper."""
        return self._is_ended or self._is_closing or self.hold.loss is not None

    @property
    def is_released(self) -> bool:
        """Whether the lease was given back."""
        return self._is_released

    def wait_until_held(self, deadline: Deadline) -> None:
        """Wait until the lease is held, in a way that the handler of a signal may end by raising.

        Raises LeaseHeldError or LeaseStoreError at the deadline, LeaseStoreError at once if the lease cannot
        be used, and NotConnectedError if a logout has given it back.
        """
        waker = Waker()
        self._wakers.add(waker)  # without a lock, which the handler could leave in the wrong state
        try:
            with waker.woken_by_signals():
                while not self.hold.is_valid():
                    self._raise_failure()
                    if deadline.expired:
                        raise self._not_in_time()
                    waker.wait(deadline.remaining())
        finally:
            self._wakers.discard(waker)
            waker.close()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._unusable(self._failure) from self._failure
        if self.hold.loss is not None:
            raise self.hold.loss
        if self._is_ended:
            raise NotConnectedError("logged out during the login, which stood by for the lease")

    def _not_in_time(self) -> Exception:
        if self._error is not None:
            error = self._unusable(self._error)
            error.__cause__ = self._error
            return error
        if not self._is_refused:
            text = f"whether the lease {self.lease.name!r} is free was not answered in time"
            return LeaseHeldError(text, holder=None)
        holder = self.lease.held_by
        return LeaseHeldError(
            f"the lease {self.lease.name!r} is held by {holder or 'another process'}", holder=holder
        )

    def _unusable(self, error: BaseException) -> LeaseStoreError:
        why = str(error) if isinstance(error, LeaseStoreError) else repr(error)
        return LeaseStoreError(f"the lease {self.lease.name!r} cannot be asked for: {why}")

    def close(self) -> None:
        """Give the lease back once the receivers have returned: the connection is closed."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def end(self) -> None:
        """Give the lease back now; no receiver is called any more."""
        self.hold.end()
        self._is_ended = True
        self._tell()

    def wait_until_released(self, deadline: Deadline) -> None:
        """Wait until the lease was given back, not beyond the deadline."""
        if threading.current_thread() is self._thread:
            return  # an observer that is told of the loss logs out: this thread gives it back afterwards
        with self._changed:
            self._changed.wait_for(lambda: self._is_released, deadline.remaining())

    # --- the thread ---

    def _run(self) -> None:
        try:
            if self._acquire():
                self._keep()
        except BaseException as error:  # noqa: BLE001 - of the application's lease; login() raises it
            self._failure = error
            self._tell()  # before the lease is given back, which may take long
            if self.hold.fencing is not None:
                self.hold.end(
                    LeaseLostError(f"the lease {self.hold.name!r} is kept no longer: {error!r}")
                )
                self._lost()
        finally:
            self._release()

    def _acquire(self) -> bool:
        """Ask for the lease again and again; return False if it is not wanted any more."""
        seconds = self.lease.seconds
        pause = _UNLIMITED_ASKED_EVERY if seconds is None else seconds * _ASKED_AFTER
        while not (self._is_ended or self._is_closing):
            asked, fencing = self.hold.now(), None
            try:
                fencing = _checked(self.lease.acquire(self.hold.holder))
            except Exception as error:
                if not _passes(error):
                    raise
                if self._error is None:
                    logger.warning(
                        "%s: the lease %r cannot be asked for: %r",
                        *(self._name, self.lease.name, error),
                    )
                self._error = error
            else:
                self._error, self._is_refused = None, fencing is None
            if fencing is None:
                self._pause(pause)
            elif self.hold.begin(asked, fencing):  # else the answer took as long as the lease lasts
                self._tell()
                return True
        return False

    def _keep(self) -> None:
        """Renew the lease until it is to be given back, or is lost."""
        while not self._is_ended:
            left = self.hold.seconds_to_renewal
            if not self._is_closing:
                self._pause(left)
            elif self._drained(Deadline(min(left, _LOOKED_EVERY))):
                return
            if self._is_ended or self.hold.loss is not None:
                break
            if self.hold.seconds_to_renewal <= 0 and not self._renew():
                break
        if self.hold.loss is not None:
            self._lost()

    def _renew(self) -> bool:
        """Renew the lease; return False if another holder has it."""
        hold, asked = self.hold, self.hold.now()
        try:
            is_ours = self.lease.renew(hold.holder)
        except BaseException as error:  # noqa: BLE001 - until the lease expires each error may pass
            if hold.trouble is None:
                logger.warning("%s: the lease %r was not renewed: %r", self._name, hold.name, error)
            hold.not_renewed(error)
            return True
        if is_ours:
            hold.renewed(asked)
        else:
            hold.end(LeaseLostError(f"another process has taken the lease {hold.name!r}"))
        return is_ours

    def _release(self) -> None:
        self.hold.end()
        try:
            self.lease.release(self.hold.holder)
        except Exception as error:  # noqa: BLE001 - it expires by itself
            logger.info("%s: the lease %r was not released: %r", self._name, self.hold.name, error)
        self._is_ended = self._is_released = True
        self._tell()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            if not (self._is_ended or self._is_closing):
                self._changed.wait(min(seconds, threading.TIMEOUT_MAX))

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
        for waker in tuple(self._wakers):
            waker.wake()


def _checked(fencing: object) -> int | None:
    """Return what a lease of the application has returned for its number."""
    if fencing is not None and (isinstance(fencing, bool) or not isinstance(fencing, int)):
        raise LeaseStoreError(
            f"acquire must return a number, or None if another holder has the lease, not"
            f" {repr_of(fencing)}"
        )
    return fencing


def _passes(error: Exception) -> bool:
    names = {each.__name__ for each in type(error).__mro__}
    away = (ConnectionError, TimeoutError, socket.gaierror)
    return bool(names & _PASSING) or isinstance(error, away) or is_transient(error)
