"""Fleet: the chats of many users in one process, with one set of signals and a fixed number of threads."""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import ExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any

from attrs import define, evolve, field

from ._backoff import delay_before
from ._checks import check_int, nearest, repr_of
from ._containers import AnyIterable, AnyMapping, AnyPath
from ._deadline import Deadline
from ._forks import check_fork, register_for_fork
from ._network import Network
from ._not_copied import NotCopied
from ._os_errors import reason_of
from ._secrets import Secret, clear_locals, confined, hides
from ._threads import start_thread
from .chat import Chat
from .chat.chat_signals import ChatSignals, SignalOf
from .chat.dispatcher import Dispatcher, Task
from .chat.driver import Driver
from .chat.fork_warning import ForkWarning
from .chat.ids import new_resource
from .chat.protocol.core import PERMANENT
from .chat.protocol.decoding import Delivery
from .chat.shared import Shared
from .chat.shared_reader import SharedReader
from .chat.shutdown import CloseWaiters, check_signals, check_stop, report, wait_for_end
from .chat.workers import Workers
from .client import ConnectyCube, RenewSession
from .config import Timeouts
from .errors import (
    ArgumentTypeError,
    ArgumentValueError,
    AuthenticationError,
    CallbackContextError,
    ClientClosedError,
    LoginTimeoutError,
    NotConnectedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    StreamError,
    ValidationError,
)
from .models import Abandoned, FleetStatistics, MemberFailure, User
from .models.users import check_user_id
from .rest.sessions import SECRET_ARGUMENTS, Credentials, check_login

__all__ = ["Fleet"]

logger: logging.Logger = logging.getLogger("connectycube.chat")

_PERMANENT = (
    *(ArgumentTypeError, ArgumentValueError, AuthenticationError),
    *(PermissionDeniedError, NotFoundError, ValidationError),
)
"""The errors of a login after which the next one would fail again."""
_LONGEST_WAIT = 3_600.0  # seconds; the system has a bound, and the service may name any number
_KNOWN = frozenset(Credentials.__annotations__) - {"timeout"}


@define(eq=False)
class _Member:
    """One user of a fleet; the fleet's lock guards what changes."""

    credentials: Mapping[str, Any] = field(repr=False)
    name: str | None
    """The login or the e-mail address."""
    client: ConnectyCube
    first: Future[Chat]
    """The outcome of the first attempt to log in."""
    user_id: int | None = None
    chat: Chat | None = None
    stand_in: Chat | None = None
    """What receivers of ``member_failed`` get before there is a chat: one that has no user."""
    failure: MemberFailure | None = None
    """Of the last attempt of the fleet; None after one that succeeded, and before the first one."""
    attempts: int = 0
    is_queued: bool = False
    is_logging_in: bool = False
    is_removed: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether the first attempt to log in is over."""
        return self.first.done()

    @property
    def standing_failure(self) -> MemberFailure | None:
        """The failure because of which the member is not logged in; the application may log it in itself."""
        is_tried = self.is_queued or self.is_logging_in
        if self.chat is None or is_tried or self.chat._driver.is_closed:
            return self.failure
        return None


class Fleet(NotCopied, ChatSignals):
    """The chats of many users in one process; every method may be called from any thread.

    A receiver is connected once, to a signal of the fleet. It is called for every member with the member's
    chat, as ``receiver(chat, event)``; ``chat.user`` is the user. The chats of the members have the
    signals of the fleet, and the managers that were given to ``around``: ``sender=chat`` connects a receiver
    for one member. As a context manager it logs in, and closes itself.

    **Threads.** One thread reads the sockets of all members, at most ``workers`` threads call the receivers,
    and at most ``logins`` members connect at the same time, each with short-lived threads. All are daemons.
    They start with ``login()``, or later when they are needed, and end with ``close()``.

    **Order.** Receivers are called in order within each conversation of each member. Members with events take
    turns, and one member never has more than half of the workers. Each member has the bounds of
    ``Config.limits``, and all of them together ``Limits.fleet_queued_bytes``.

    **Failures.** A member that cannot log in, or whose connection was closed for good, is reported to
    ``member_failed`` and disturbs no other. If the next attempt may succeed, it is made later, with back-off
    (``Config.reconnect``). A lost connection is made again, at most ``logins`` at a time.

    Args:
        cube: The client whose configuration, connections and token store all members use. It needs no
            session. Close the fleet before it.
        credentials: Mappings with the arguments of ``ConnectyCube.login``, one for each of the first members.
        workers: The largest number of threads that call receivers.
        logins: How many members may log in, or reconnect, at the same time.
        durable: A folder for durable mode, with a file for each member, named by the user's id; it is created
            if it does not exist. None: memory only.
        renew_session: A function that renews the REST session of a member: it is called with the old Session,
            and returns a new token, a Session or None.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is wrong; the error names it.
        ClientClosedError: ``cube`` was closed.

    Example:
        >>> with Fleet(cube, [{"login": "bot-1", "password": "a password"}]) as fleet:
        ...     @fleet.message_received.connect
        ...     def greet(chat, message):
        ...         chat.reply(message, "Hello")
        ...     print(fleet.statistics().ready)
        1
    """

    member_failed: SignalOf[MemberFailure] = SignalOf(
        MemberFailure, "A member could not log in, or was closed for good."
    )

    @confined
    @hides("credentials")
    def __init__(
        self,
        cube: ConnectyCube,
        credentials: Iterable[Credentials] = (),
        *,
        workers: int = 4,
        logins: int = 8,
        durable: str | os.PathLike[str] | None = None,
        renew_session: RenewSession | None = None,
    ) -> None:
        if not isinstance(cube, ConnectyCube):
            raise ArgumentTypeError(f"cube must be a ConnectyCube, not {type(cube).__name__}")
        config = cube.config
        for name in ("durable", "cursor_store"):
            if getattr(config, name) is not None:
                raise ArgumentValueError(
                    f"cube has a configuration with {name}, which is for one user: for the members of a fleet"
                    " give Fleet a folder, durable=…"
                )
        check_int("workers", workers, least=1)
        check_int("logins", logins, least=1)
        self._folder = _folder(durable)
        super().__init__(self._check_open)
        self._cube = cube
        self._config = config
        self._logins = logins
        self._renew_session = renew_session
        self.name: str = f"connectycube-fleet-{new_resource()[-8:]}"
        """The name of the fleet; the names of its threads begin with it."""
        self.timeouts: Timeouts = config.timeouts
        self._workers = Workers(self.name, workers, config.limits.fleet_queued_bytes)
        self._reader = SharedReader(self.name, logins)
        self._network = Network.of(config)
        self._fork_warning = ForkWarning(self.name, self._is_connected, self)
        self._members: list[_Member] = []
        self._by_user: dict[int, _Member] = {}
        self._is_closed = False
        self._begin()
        register_for_fork(self)
        for each in _opened(credentials, "credentials"):
            self.add(each)

    def _begin(self) -> None:
        """Create all objects that a forked child must not share with its parent."""
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._due = threading.Condition(self._lock)  # for the login thread that waits
        self.dispatcher: Dispatcher = Dispatcher(
            self.name, self._workers, self._config.limits, lambda: None
        )
        self.close_waiters: CloseWaiters = CloseWaiters()
        self._is_started = False
        self._queue: deque[_Member] = deque()
        # The members that are tried again later, as (moment, number, member); one may be removed by now.
        self._later: list[tuple[float, int, _Member]] = []
        self._numbers = itertools.count()
        self._threads: set[threading.Thread] = set()
        self._is_waited = False  # whether a login thread waits for the next moment
        self._paused_until = 0.0

    # --- the members ---

    @hides("credentials")
    def add(self, credentials: Credentials) -> Future[Chat]:
        """Add a member, and return at once. If the fleet is logged in, the member logs in as well.

        Args:
            credentials: A mapping with the arguments of ``ConnectyCube.login``, such as
                ``{"login": "alice", "password": "…"}``.

        Returns:
            A future of the first attempt: its ``result(timeout)`` is the chat once it is ready, or raises why
            it is not. It cannot be cancelled; :meth:`remove` takes the chat.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``credentials`` are wrong, or those of a member.
            ClientClosedError: The fleet or its client was closed.
        """
        given = _checked(credentials)
        name = next((given[key] for key in ("login", "email") if given.get(key)), None)
        self._check_open()
        client = self._cube._member(self._renew_session)
        first: Future[Chat] = Future()
        first.set_running_or_notify_cancel()
        member = _Member(given, name, client, first)
        with self._lock:
            self._check_open()
            if name is not None and any(other.name == name for other in self._members):
                raise ArgumentValueError(f"credentials are those of a member already: {name!r}")
            self._members.append(member)
            if self._is_started:
                self._queue_login(member)
        return first

    def remove(self, user: int | User | Chat | str, *, timeout: float | None = None) -> Abandoned:
        """Log a member out and forget it; its REST session stays alive. May be called inside a receiver.

        Args:
            user: The user, their id or their chat, also the one that ``member_failed`` was sent with; or the
                login or e-mail address of the member.
            timeout: Seconds; None is ``Config.timeouts.logout``.

        Returns:
            The numbers of events and messages that were abandoned; false if there are none.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``user`` is no member.
        """
        check_fork()
        deadline = Deadline.of(timeout, self.timeouts.logout)
        with self._lock:
            member = self._find("user", user)
            self._forget(member)
        try:
            # Without the lock, as callbacks of the future are user code, which may raise SystemExit.
            _settle(member, ClientClosedError("the member was removed"))
        finally:
            abandoned = Abandoned()
            if member.chat is not None:
                abandoned = member.chat.logout(timeout=deadline.remaining())
            member.client._close(deadline)
        return abandoned

    def chat(self, user: int | User) -> Chat:
        """Return the chat of a member that has been logged in, in any state.

        Args:
            user: The user, or their id.

        Returns:
            The chat.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``user`` is no member, or has never been logged in.
        """
        check_fork()
        with self._lock:
            member = self._by_user.get(check_user_id("user", user))
        if member is None or member.chat is None:
            raise ArgumentValueError(f"user is no member that has been logged in: {user!r}")
        return member.chat

    def __contains__(self, user: object) -> bool:
        """Whether :meth:`chat` has a chat of the user."""
        user_id = user.id if isinstance(user, User) else user
        member = self._by_user.get(user_id) if isinstance(user_id, int) else None
        return member is not None and member.chat is not None

    def __iter__(self) -> Iterator[Chat]:
        """Yield the chats of the members that have been logged in, as they are now."""
        return iter([member.chat for member in self._all() if member.chat is not None])

    def __len__(self) -> int:
        """Return the number of members, logged in or not."""
        return len(self._members)

    @property
    def failures(self) -> tuple[MemberFailure, ...]:
        """The last failure of each member that is not logged in because of it."""
        failures = [member.standing_failure for member in self._all()]
        return tuple(failure for failure in failures if failure is not None)

    def statistics(self) -> FleetStatistics:
        """Return the numbers of this moment: those of each member, and their sums.

        Legal in every state and on every thread.

        Returns:
            The statistics of each member, and their sums.
        """
        members = self._all()
        failures = [member.standing_failure for member in members]
        return FleetStatistics(
            members={
                member.user_id: member.chat.statistics()
                for member in members
                if member.chat is not None and member.user_id is not None
            },
            waiting=sum(_waits(member) for member in members),
            failed=sum(failure is not None and failure.retry_in is None for failure in failures),
        )

    def _all(self) -> list[_Member]:
        check_fork()
        with self._lock:
            return list(self._members)

    # --- its life ---

    def login(self, *, timeout: float | None = None) -> tuple[MemberFailure, ...]:
        """Log all members in, and return once each is ready or has failed.

        A failed member does not stop the others; if another attempt may succeed, it is made in the
        background. If the fleet is logged in, the call waits for the members that were added.

        Args:
            timeout: Seconds for all of them; None is ``Config.timeouts.login`` for each member in turn, with
                ``logins`` of them at a time.

        Returns:
            The failures of the members that are not logged in.

        Raises:
            ArgumentTypeError, ArgumentValueError: ``timeout`` is no number of seconds.
            CallbackContextError: The call was made inside a receiver, and would wait for it.
            ClientClosedError: The fleet was closed.
            LoginTimeoutError: Not all attempts were over in time; they go on in the background.
        """
        check_fork()
        self._check_open()
        if self.dispatcher.is_worker():
            raise CallbackContextError(
                "fleet.login() would wait for receivers inside one: add() does not wait"
            )
        rounds = -(-len(self._members) // self._logins) or 1
        deadline = Deadline.of(timeout, self.timeouts.login * rounds)
        with self._lock:
            self._check_open()
            if not self._is_started:
                self._is_started = True
                self.dispatcher.start()
                for member in self._members:
                    self._queue_login(member)
            is_over = self._changed.wait_for(self._is_settled, deadline.remaining())
            self._check_open()
            late = sum(not member.is_settled for member in self._members)
        self._fork_warning.renew()
        if not is_over:
            raise LoginTimeoutError(f"{late} of {len(self._members)} members are not ready in time")
        return self.failures

    def wait(self, *, signals: Iterable[int] = (), stop: threading.Event | None = None) -> None:
        """Block the thread until ``close()``, a signal or ``stop``; without a time-out.

        A signal, or ``stop``, closes the fleet, within ``Config.timeouts.logout`` seconds or until the next
        of these signals, and the call returns.

        Args:
            signals: Numbers such as ``(signal.SIGTERM, signal.SIGINT)``, for the main thread alone.
            stop: An event that another thread sets to end the wait; noticed within 0.1 seconds.

        Raises:
            CallbackContextError: The call was made inside a receiver, and would wait for it.
            NotConnectedError: There was no login yet.
            ArgumentTypeError, ArgumentValueError: ``signals`` holds something that is no signal, or one that
                no program can handle, or this is not the main thread; ``stop`` is no event.
        """
        check_fork()
        numbers, event = check_signals(signals), check_stop(stop)
        if self.dispatcher.is_worker():
            raise CallbackContextError("fleet.wait() would wait for the callback it was called in")
        if not (self._is_started or self._is_closed):
            raise NotConnectedError("the fleet is not logged in: call fleet.login() first")
        wait_for_end(_Wait(self), lambda: None, numbers, event)

    def close(self, *, timeout: float | None = None) -> Abandoned:
        """Log all members out at the same time, and forget them and the receivers.

        The REST sessions stay alive. Inside a receiver it does not wait for receivers.

        Args:
            timeout: Seconds for all of them; None is ``Config.timeouts.logout``.

        Returns:
            The numbers of events and messages that were abandoned, over all members.
        """
        check_fork()
        deadline = Deadline.of(timeout, self.timeouts.logout)
        with self._lock:
            self._is_closed = True
            members, self._members = self._members, []
            self._by_user.clear()
            self._queue.clear()
            self._later.clear()
            self._due.notify()
            threads = self._threads - {threading.current_thread()}
            self._changed.notify_all()
        drivers = [member.chat._driver for member in members if member.chat is not None]
        # Every logout begins before the first wait: else a slow receiver of the first takes the others' time.
        ends = [(driver, driver.begin_logout(deadline)) for driver in drivers]
        try:
            with ExitStack() as settling:  # all, also if a callback of one future raises SystemExit
                for member in members:
                    # Before the first wait: a receiver may wait for the future, and close() for the receiver.
                    settling.callback(_settle, member, ClientClosedError("the fleet was closed"))
        finally:
            total = self._finish_close(deadline, members, ends, threads)
        return total

    def _finish_close(
        self,
        deadline: Deadline,
        members: list[_Member],
        ends: list[tuple[Driver, Callable[[], Abandoned]]],
        threads: set[threading.Thread],
    ) -> Abandoned:
        """Wait until all members have ended, and end what they share."""
        total = Abandoned()
        for driver, wait in ends:
            abandoned = wait()
            report(driver, abandoned)
            total = _sum(total, abandoned)
        for member in members:
            member.client._close(deadline)
        self.dispatcher.stop()
        for thread in threads:
            thread.join(deadline.remaining())
        if not self.dispatcher.is_worker():
            self.dispatcher.join(deadline)
        self._reader.join(deadline)
        self._forget_receivers()
        self.close_waiters.tell(None)
        return total

    def __enter__(self) -> Fleet:
        """Log in; what fails is in ``failures``."""
        try:
            self.login()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{len(self._members)} members"
        return f"<Fleet {self.name}, {state}>"

    def _is_connected(self) -> bool:
        """Return whether a member has a connection; without the lock, as a thread that forks asks."""
        chats = [member.chat for member in list(self._members) if member.chat is not None]
        return any(not chat._driver.is_closed for chat in chats)

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClientClosedError("the fleet was closed: make a new one")

    # --- with the lock held ---

    def _find(self, argument: str, user: object) -> _Member:
        if isinstance(user, (Chat, str)):
            found = next(
                (one for one in self._members if user in (one.chat, one.stand_in, one.name)), None
            )
        else:
            user_id = check_user_id(argument, user)
            found = self._by_user.get(user_id)
        if found is None:
            raise ArgumentValueError(f"{argument} is no member: {user!r}")
        return found

    def _forget(self, member: _Member) -> None:
        member.is_removed = True
        self._members.remove(member)
        if member.user_id is not None and self._by_user.get(member.user_id) is member:
            del self._by_user[member.user_id]
        if member.is_queued:
            self._queue.remove(member)
        self._changed.notify_all()

    def _is_settled(self) -> bool:
        return self._is_closed or all(member.is_settled for member in self._members)

    def _queue_login(self, member: _Member) -> None:
        if not (member.is_queued or member.is_logging_in or member.is_removed):
            member.is_queued = True
            self._queue.append(member)
            self._start_logins()

    def _start_logins(self) -> None:
        """Have a thread for each member to log in, within the bound, and one if others are tried later."""
        self._due.notify()  # its moment may be now
        wanted = len(self._queue) + (bool(self._later) and not self._is_waited)
        for _ in range(min(self._logins - len(self._threads), wanted)):
            thread = threading.Thread(
                target=self._log_in_all, name=f"{self.name}-login", daemon=True
            )
            self._threads.add(thread)
            try:
                start_thread(thread)
            except RuntimeError:  # the process has too many
                self._threads.discard(thread)
                logger.exception("%s: no thread can be started for a login", self.name)
                self.dispatcher.put_later(1.0, Task(self._resume_logins, "logins"))
                return

    # --- the threads that log in ---

    def _log_in_all(self) -> None:
        """Log in the members that wait for it, one after the other."""
        while (member := self._next_member()) is not None:
            try:
                self._log_in(member)
            except BaseException as error:  # noqa: BLE001 - it is told; also one of a transport
                clear_locals(error)
                end = partial(self._failed, member, error)
            else:
                end = partial(self._succeeded, member)
            try:
                end()
            except BaseException:
                # Of a callback of the future, such as SystemExit, or of a log handler.
                logger.exception("%s: a callback of add() raised", self.name)
            del member, end  # or a thread that waits would keep the error alive

    def _next_member(self) -> _Member | None:
        """Return the next member to log in; None: another thread waits for the next one, or there is none.

        One thread waits for the moment of the next attempt, so that it needs no worker: receivers may block
        all of them, and may themselves wait for a login.
        """
        with self._lock:
            while not self._is_ready_to_log_in():
                if self._is_waited or not (self._queue or self._later) or self._is_closed:
                    self._threads.discard(threading.current_thread())
                    return None
                moments = [self._paused_until] if self._queue else []
                moments += [max(self._later[0][0], self._paused_until)] if self._later else []
                self._is_waited = True
                seconds = max(0.0, min(moments) - time.monotonic())
                self._due.wait(min(seconds, _LONGEST_WAIT))
                self._is_waited = False
            member = self._queue.popleft()
            member.is_queued, member.is_logging_in = False, True
            self._start_logins()  # another thread for what this one would have waited for
            return member

    def _is_ready_to_log_in(self) -> bool:
        """Queue the members whose next attempt is due; return whether one may log in now."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            member = heapq.heappop(self._later)[2]
            if not (member.is_queued or member.is_logging_in or member.is_removed):
                member.is_queued = True
                self._queue.append(member)
        return bool(self._queue) and now >= self._paused_until

    def _log_in(self, member: _Member) -> None:
        client = member.client
        if client.session is None:
            client.login(**member.credentials)
        user = client.user
        assert user is not None and user.id is not None
        with self._lock:
            other = self._by_user.get(user.id, member)
            if other is not member:
                raise ArgumentValueError(
                    f"credentials are those of user {user.id}, who is a member already"
                )
            member.user_id = user.id
            if not member.is_removed:
                self._by_user[user.id] = member
        if self._folder is not None:
            path = os.path.join(self._folder, f"{user.id}.db")
            client._config = evolve(self._config, durable=path)
        client._fleet_part = self._part_of(member)
        member.chat = client.chat
        member.chat.login()

    def _part_of(self, member: _Member) -> Shared:
        return Shared(
            reader=self._reader,
            workers=self._workers,
            network=self._network,
            signals=self,
            fork_warning=self._fork_warning,
            closed=partial(self._closed, member),
        )

    def _succeeded(self, member: _Member) -> None:
        with self._lock:
            member.is_logging_in = False
            member.failure, member.attempts = None, 0
            is_wanted = not (member.is_removed or self._is_closed)
        if not is_wanted:
            member.client.close()
            return
        assert member.chat is not None
        try:
            with suppress(InvalidStateError):  # not the first attempt
                member.first.set_result(member.chat)
        finally:
            with self._lock:
                self._changed.notify_all()
            driver = member.chat._driver
            if (
                driver.is_closed
            ):  # since the attempt began, when nobody was told because it was not over
                self._closed(member, driver.core.closed_reason)

    # --- failures ---

    def _failed(self, member: _Member, error: BaseException) -> None:
        """Tell of a failure, and let the next attempt be made later if it may succeed."""
        with self._lock:
            member.is_logging_in = False
            if member.is_removed or self._is_closed:
                return
            member.attempts += 1
            delay = _delay(error, partial(delay_before, member.attempts, self._config.reconnect))
            failure = member.failure = MemberFailure(
                user_id=member.user_id,
                name=member.name,
                error=error,
                attempts=member.attempts,
                retry_in=delay,
            )
            if isinstance(error, RateLimitError) and delay is not None:
                # The service counts the requests of all members: the others would be refused as well.
                self._paused_until = max(self._paused_until, time.monotonic() + delay)
            if delay is not None:
                moment = time.monotonic() + delay
                heapq.heappush(self._later, (moment, next(self._numbers), member))
                self._start_logins()
        what = "is not tried again" if delay is None else f"is tried again in {delay:.3g} seconds"
        who = member.user_id or member.name
        logger.warning("%s: member %s failed and %s: %s", self.name, who, what, repr_of(error))
        # A member that has never logged in over REST has no chat yet: this one has no user.
        if member.chat is None and member.stand_in is None:
            member.stand_in = Chat(self._config, shared=self._part_of(member))
        chat = member.chat or member.stand_in
        assert chat is not None
        run = partial(
            chat._driver.receivers.handle, Delivery(signal="member_failed", event=failure)
        )
        self.dispatcher.put(Task(run, "member_failed"), bounded=False)
        try:
            _settle(member, error)
        finally:
            with self._lock:
                self._changed.notify_all()

    def _resume_logins(self) -> None:
        with self._lock:
            self._start_logins()

    def _closed(self, member: _Member, reason: Exception | None) -> None:
        """Note that a chat has entered CLOSED; its driver's mutex may be held."""
        if reason is None:
            # A logout of the application, which had logged in. Without the lock: see docs/design.md.
            member.failure = None
        else:
            run = partial(self._note_closed, member, reason)
            self.dispatcher.put(Task(run, member), bounded=False)

    def _note_closed(self, member: _Member, reason: Exception) -> None:
        with self._lock:
            is_told = member.failure is not None and member.failure.error is reason
            if member.is_logging_in or member.is_queued or is_told:
                return
        if member.chat is not None and member.chat._driver.is_closed:
            self._failed(member, reason)

    # --- forks ---

    def _after_fork_in_child(self) -> None:
        self._workers.attach()
        self._begin()
        for member in self._members:
            member.is_queued = member.is_logging_in = False
            member.failure, member.attempts, member.stand_in = None, 0, None
            member.first = Future()
            member.first.set_running_or_notify_cancel()


class _Wait:
    """A fleet, as far as a thread that waits for its end needs it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.name = fleet.name
        self.timeouts = fleet.timeouts
        self.dispatcher = fleet.dispatcher
        self.close_waiters = fleet.close_waiters

    @property
    def is_closed(self) -> bool:
        return self._fleet._is_closed

    def logout(self, deadline: Deadline) -> Abandoned:
        return self._fleet.close(timeout=deadline.remaining())

    def abort(self) -> Abandoned:
        total = Abandoned()
        for chat in self._fleet:
            total = _sum(total, chat._driver.abort())
        return total


def _folder(durable: object) -> str | None:
    """Return the path of the folder for durable mode, which exists then."""
    if durable is None:
        return None
    path = os.fspath(durable) if isinstance(durable, AnyPath) else durable
    if not isinstance(path, str):
        raise ArgumentTypeError(
            f"durable must be the path of a folder, not {type(durable).__name__}"
        )
    if not path:
        raise ArgumentValueError("durable must be the path of a folder, not an empty text")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ArgumentValueError(
            f"durable must be a folder, and {path!r} cannot be one: {reason_of(error)}"
        ) from None
    return path


def _open(value: Any) -> Any:
    """Return what ``hides`` has hidden; it leaves None, and a default, as they are."""
    return value.open() if isinstance(value, Secret) else value


def _opened(value: Any, name: str) -> Iterable[Any]:
    """Return the credentials of several members, or raise an error that names the argument."""
    opened = _open(value)
    if isinstance(opened, (str, bytes, AnyMapping)) or not isinstance(opened, AnyIterable):
        raise ArgumentTypeError(
            f"{name} must be several mappings, one for each member, not {type(opened).__name__}"
        )
    return opened


@confined
def _checked(credentials: Any) -> Mapping[str, Any]:
    """Return the arguments of a login, with Secrets for secrets, or raise an error that names the fault."""
    given = _open(credentials)
    if not isinstance(given, AnyMapping):
        raise ArgumentTypeError(
            'credentials must be a mapping, such as {"login": "alice", "password": "…"}, not'
            f" {type(given).__name__}"
        )
    if not given:
        raise ArgumentValueError("credentials must not be empty")
    for key in given:
        if key not in _KNOWN:
            hint = nearest(key, _KNOWN) if isinstance(key, str) else ""
            raise ArgumentTypeError(f"credentials have no field {key!r}{hint}")
    hidden: dict[str, Any] = {
        key: Secret(value) if key in SECRET_ARGUMENTS and value is not None else value
        for key, value in given.items()
    }
    try:
        check_login(**hidden)
    except (ArgumentTypeError, ArgumentValueError) as error:
        raise type(error)(f"credentials: {error}") from None
    return hidden


def _delay(error: BaseException, back_off: Callable[[Callable[[], float]], float]) -> float | None:
    """Return the seconds until the next attempt, None if it would fail again."""
    if not isinstance(error, Exception) or isinstance(error, _PERMANENT):
        return None
    if isinstance(error, StreamError) and error.condition in PERMANENT:
        return None
    return max(back_off(random.random), getattr(error, "retry_after", None) or 0.0)


def _waits(member: _Member) -> bool:
    failure = member.standing_failure
    if failure is not None:
        return failure.retry_in is not None
    return not member.is_settled


def _settle(member: _Member, error: BaseException) -> None:
    """Make the error the outcome of the first attempt, unless it has one."""
    with suppress(InvalidStateError):
        member.first.set_exception(error)


def _sum(one: Abandoned, other: Abandoned) -> Abandoned:
    return Abandoned(
        queued=one.queued + other.queued,
        running=one.running + other.running,
        unsent=one.unsent + other.unsent,
        unacknowledged=one.unacknowledged + other.unacknowledged,
        unsaved=one.unsaved + other.unsaved,
    )
