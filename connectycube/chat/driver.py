"""The connection thread: the one place where the core meets sockets, the clock and other threads.

One mutex guards the core, the link and their order on the wire. It is held for short steps only:
never while waiting for anything but the disk (in durable mode), never while user code runs. Whoever
changes what the connection thread should be waiting for wakes it.
"""

from __future__ import annotations

import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import evolve

from ..config import Config
from ..deadline import Deadline
from ..errors import (
    ChatAuthenticationError,
    ChatError,
    ChatTimeoutError,
    ConnectionLostError,
    DurableStoreError,
    ForkedError,
    LoginTimeoutError,
    NotConnectedError,
)
from ..forks import register_for_fork
from ..models import ChatState, StateChange
from ..tls import client_context
from .calls import Calls
from .dispatcher import Dispatcher, Task
from .durability import Durability, SavedState
from .ending import CloseWaiters, Ending
from .exit import ended_at_exit, exit_has_begun
from .handover import OutputRouter
from .history import Answer, History, HistoryReader
from .ids import new_id
from .link import AttemptCancelled, Link, Waker, open_link, wait_for
from .protocol.core import Core
from .protocol.decoding import Delivery
from .protocol.stream import Credentials
from .renewal import SessionCredentials, renewed
from .waiting import EventStream

__all__ = ["Driver"]

logger = logging.getLogger("connectycube.chat")

_READS_A_ROUND = 16  # before other work gets its turn, however much the server sends


class Attempt:
    """One login that any number of threads wait for."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.done = False
        self.error: Exception | None = None


class Driver(Calls, Ending):
    """Runs the core of one chat connection on a thread of its own.

    ``deliver(delivery)`` is called on dispatcher workers. On short-lived threads are called: what ``login()``
    was given to renew its credentials, before each later login and when a token was refused; and what
    ``history`` offers, when a session could not be resumed.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        deliver: Callable[[Delivery], bool],
        history: History | None,
    ) -> None:
        self._config = config
        self._name = name
        self._deliver = deliver
        self._history = history
        self._forked = False
        self._begin()
        register_for_fork(self)
        ended_at_exit(self)

    def _begin(self) -> None:
        """Make everything that a forked child must not share with its parent."""
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self.core = Core(
            self._config,
            new_id=new_id,
            random=random.random,
            fills_gaps=self._config.fill_gaps and self._history is not None,
        )
        self.dispatcher = Dispatcher(
            self._name, self._config.workers, self._config.limits, self._drained
        )
        self.history_reader = HistoryReader(
            self._config, self._name, self._history, self.dispatcher, self._tell
        )
        self._durability = Durability(
            self._config,
            self.history_reader.service_time,
            self._new_handle,
            self._fail,
            self._warn,
            has_history=self._history is not None,
        )
        self._router = OutputRouter(
            self.dispatcher,
            self._deliver,
            self._note_state,
            self.history_reader.ask,
            self._config.timeouts.slow_callback,
            self._durability,
        )
        self._link: Link | None = None
        self._waker: Waker | None = None
        self._thread: threading.Thread | None = None
        self._generation = 0
        self._attempt: Attempt | None = None
        self._context: ssl.SSLContext | None = None
        self._session_credentials: SessionCredentials | None = None
        self._sleeps_until: float | None = None
        self._ends = 0  # how often it was closed
        self._waiting_senders = 0  # for room in the outbound buffer
        self._aborted = False
        self.close_waiters = CloseWaiters()

    # --- for any thread ---

    @property
    def state(self) -> ChatState:
        """The connection's state."""
        return self.core.state

    def _check_can_begin(self) -> None:
        if exit_has_begun():
            raise NotConnectedError("the interpreter exits: no connection is made any more")

    def check_usable(self) -> None:
        """Raise ForkedError in a forked child that has not logged in itself."""
        if self._forked:
            raise ForkedError(
                "this process was forked from the one that logged in: call chat.login() here"
            )

    def login(
        self,
        credentials: Credentials,
        session_credentials: SessionCredentials | None,
        deadline: Deadline,
        *,
        any_resource: bool,
    ) -> None:
        """Become ready as that user, or raise; threads that do so at once share one attempt.

        With ``session_credentials`` the password is the token of a session, which they renew.
        ``any_resource``: the durable store may say another one, so that we take the place of who died.
        """
        self._check_can_begin()
        self._context = self._context or client_context(self._config.ca_file)
        self._forked = False
        with self._mutex:
            self._wait(lambda: self.core.state is not ChatState.CLOSING, deadline)
            attempt = self._join_attempt(credentials)
            if attempt is None:
                return
            if attempt is not self._attempt:
                saved = self._durability.open(credentials.user_id)
                if any_resource and self._durability.resource is not None:
                    credentials = evolve(credentials, resource=self._durability.resource)
                self._attempt = attempt
                self._session_credentials = session_credentials
                until = deadline.at if deadline.at is not None else float("inf")
                self.core.login(credentials, time.monotonic(), until)
                self._start_thread(saved)
                leads = True
            else:
                leads = False
            # The caller may be the slow receiver that keeps the link closed.
            self.core.hold_link(time.monotonic())
            self._after_command()
            try:
                self._changed.wait_for(lambda: attempt.done, deadline.remaining())
            finally:
                self.core.release_link()
                if not attempt.done and leads:
                    self._abandon_attempt(attempt)
            if not attempt.done:
                raise LoginTimeoutError("the connection did not become ready in time")
            if attempt.error is not None:
                raise attempt.error

    def _join_attempt(self, credentials: Credentials) -> Attempt | None:
        """The attempt to wait for; None if there is nothing to wait for."""
        assert self._mutex.locked()
        if self.is_closed:
            return Attempt(credentials.user_id)
        assert self.core.credentials is not None
        if self.core.credentials.user_id != credentials.user_id:
            raise ChatError(
                f"user {self.core.credentials.user_id} is logged in to the chat: log out first"
            )
        if self.core.is_ready:
            return None
        if self._attempt is None or self._attempt.done:
            self._attempt = Attempt(credentials.user_id)
        self.core.relogin(time.monotonic())
        self._after_command()
        return self._attempt

    def _abandon_attempt(self, attempt: Attempt) -> None:
        assert self._mutex.locked()
        now = time.monotonic()
        self.core.close(now, now, logs_out=False)
        attempt.done = True
        attempt.error = LoginTimeoutError("the chat login did not finish in time")
        self._after_command()

    def relogin(self) -> None:
        """Ask for an attempt now; returns at once."""
        self.check_usable()
        self._check_can_begin()
        with self._mutex:
            if self.core.credentials is None:
                raise NotConnectedError("nobody has logged in to the chat yet")
            was_closed = self.core.state is ChatState.CLOSED
            saved = (
                self._durability.open(self.core.credentials.user_id) if was_closed else SavedState()
            )
            self.core.relogin(time.monotonic())
            if was_closed:
                self._start_thread(saved)
            self._after_command()

    def reset(self) -> None:
        """Go from CLOSED back to IDLE, knowing nobody."""
        with self._mutex:
            if self.core.state is ChatState.CLOSED:
                self.core.reset()
                self._after_command()

    def stream(self, signal: str, timeout: float) -> EventStream:
        """Collect the events of a signal from now on."""
        streams = self._router.streams
        most = self._config.limits.queued_events
        stream = EventStream(signal, timeout, most, self._awaiting_event, streams.remove)
        streams.add(stream)
        return stream

    def wait_until_ready(self, deadline: Deadline) -> None:
        """Wait until messages flow; raise if that cannot happen any more, or not in time."""
        self.check_usable()
        with self.holding_link(), self._mutex:
            self._wait_ready(deadline)

    @contextmanager
    def holding_link(self) -> Iterator[None]:
        """Around a wait for what only the link can bring.

        Meanwhile slow receivers do not keep it closed: one of them may be the caller.
        """
        if self._forked:
            yield
            return
        with self._mutex:
            core = self.core
            core.hold_link(time.monotonic())
            self._after_command()
        try:
            yield
        finally:
            with self._mutex:
                core.release_link()

    @contextmanager
    def _awaiting_event(self, is_waiting: Callable[[], bool]) -> Iterator[None]:
        with self.holding_link(), self.dispatcher.awaiting_event(is_waiting):
            yield

    def _wait_ready(self, deadline: Deadline) -> None:
        assert self._mutex.locked()
        over = (ChatState.IDLE, ChatState.CLOSED, ChatState.CLOSING)
        self._wait(lambda: self.core.is_ready or self.core.state in over, deadline)
        if not self.core.is_ready:
            reason = self.core.closed_reason
            raise reason or NotConnectedError(
                f"the chat connection is {self.core.state.value}: call chat.login() first"
            )

    def _wait(self, condition: Callable[[], bool], deadline: Deadline) -> None:
        assert self._mutex.locked()
        if not self._changed.wait_for(condition, deadline.remaining()):
            raise ChatTimeoutError(f"the chat connection is still {self.core.state.value}")

    # --- with the mutex held ---

    def _after_command(self) -> None:
        """Hand over what a command brought, write what can be written, wake who must know."""
        assert self._mutex.locked()
        self._hand_over()
        if self._link is not None and self.core.outgoing:
            try:
                self._write(self._link)
            except ConnectionLostError:
                self._wake()  # the connection thread will meet the same end and deal with it
        deadline = self.core.next_deadline
        if (
            self.core.outgoing
            or not self.core.wants_link
            or self._link is None
            or (
                deadline is not None
                and (self._sleeps_until is None or deadline < self._sleeps_until)
            )
        ):
            self._wake()

    def _wake(self) -> None:
        if self._waker is not None and threading.current_thread() is not self._thread:
            self._waker.wake()

    def _write(self, link: Link) -> None:
        assert self._mutex.locked()
        outgoing = self.core.outgoing
        while outgoing:
            written = link.send(outgoing)
            if not written:
                return
            del outgoing[:written]

    def _hand_over(self) -> None:
        assert self._mutex.locked()
        has_routed = self._router.route(self.core)
        if has_routed and self.is_closed:
            self._durability.release()
        # An acknowledgement of markers makes room for a sender, and nothing else tells of it.
        if has_routed or self._waiting_senders:
            self._changed.notify_all()

    def _note_state(self, change: StateChange) -> None:
        assert self._mutex.locked()
        if change.state is ChatState.CLOSED:
            self._ends += 1
            self.close_waiters.tell(change.reason)
        attempt = self._attempt
        if attempt is None or attempt.done:
            return
        if change.state in (ChatState.READY, ChatState.RESUMED):
            attempt.done = True
        elif change.state is ChatState.CLOSED:
            attempt.done = True
            attempt.error = change.reason or NotConnectedError("logged out during the login")

    def _start_thread(self, saved: SavedState) -> None:
        assert self._mutex.locked()
        self.core.begin_from(saved.seen, saved.outbox, saved.cursor, time.monotonic())
        self.history_reader.start_at(saved.cursor, saved.service_cursor)
        self._router.unsettled.update(submission.waiter for submission, _ in saved.outbox)
        self._generation += 1
        self._link = None  # that of a thread that has not noticed its end yet
        self._aborted = False
        self.dispatcher.start()
        waker = self._waker = Waker()
        self._thread = threading.Thread(
            target=self._run,
            args=(self._generation, waker),
            name=f"{self._name}-connection",
            daemon=True,
        )
        self._thread.start()

    # --- the history threads ---

    def _tell(self, core: Core, answer: Answer) -> bool:
        """Give the core an answer of history; whether it still wants to know."""
        with self._mutex:
            if core is not self.core:
                return False
            now = time.monotonic()
            wanted = answer(core, now)
            core.gap_answered(now)
            self._after_command()
            return wanted

    # --- the dispatcher's workers ---

    def _drained(self) -> None:
        with self._mutex:
            self.core.drained(self._router.overflow_error(), time.monotonic())
            self._after_command()

    def _fail(self, error: DurableStoreError) -> None:
        with self._mutex:
            self.core.abort(error)
            self._after_command()

    def _warn(self, error: DurableStoreError) -> None:
        """Have it logged by a worker: a log handler may do anything, and a lock may be held here."""
        task = Task(lambda: logger.warning("%s: %s", self._name, error), "log")
        self.dispatcher.put(task, bounded=False)

    # --- the connection thread ---

    def _run(self, generation: int, waker: Waker) -> None:
        link: Link | None = None
        try:
            while True:
                with self._mutex:
                    if generation != self._generation:
                        return
                    self._tick(time.monotonic())
                    if self.is_closed:
                        return
                    if link is not None and not self.core.has_stream:
                        self._link = None
                        link.close()
                        link = None
                    wants_link = self.core.wants_link
                if link is None and wants_link:
                    link = self._connect(generation, waker)
                else:
                    self._serve(link, waker)
        except BaseException as error:
            logger.exception("%s: the connection thread failed", self._name)
            self._give_up(generation, error)
        finally:
            self._leave(generation, link, waker)

    def _tick(self, now: float) -> None:
        assert self._mutex.locked()
        self.core.tick(now)
        try:
            self._durability.note_cursor(self.core.recovery.cursor, now)
        except DurableStoreError as error:
            self.core.abort(error)
        self._hand_over()

    def _connect(self, generation: int, waker: Waker) -> Link | None:
        def is_wanted() -> bool:
            with self._mutex:
                return generation == self._generation and self.core.wants_link

        assert self._context is not None
        with self._mutex:
            until = self.core.attempt_deadline
            credentials, refused = self.core.credentials, self.core.refused
            due = self.core.is_reconnecting or refused is not None
            renew = self._session_credentials if due else None
        attempt = Deadline(None if until is None else max(0.0, until - time.monotonic()))
        try:
            if renew is not None and credentials is not None:
                asked = f"{self._name}-renewal"
                credentials = renewed(credentials, renew, refused, asked, attempt, waker, is_wanted)
            deadline = attempt.within(self._config.timeouts.connect)
            link = open_link(self._config, self._context, deadline, waker, is_wanted)
        except AttemptCancelled:
            return None
        except (ConnectionLostError, ChatAuthenticationError) as error:
            with self._mutex:
                if generation == self._generation:
                    self.core.link_lost(error, time.monotonic())
                    self._hand_over()
            return None
        with self._mutex:
            if generation != self._generation or not self.core.wants_link:
                link.close()
                return None
            self._link = link
            self.core.credentials = credentials
            self.core.link_up(time.monotonic())
        return link

    def _serve(self, link: Link | None, waker: Waker) -> None:
        """Wait for something to do; read and write what can be."""
        with self._mutex:
            deadline = self._sleeps_until = self.core.next_deadline
            write = link is not None and (bool(self.core.outgoing) or link.wants_write)
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        sock = link.sock if link is not None else None
        readable, writable = wait_for(sock, waker, timeout, read=True, write=write)
        if link is None or not (readable or writable):
            return
        with self._mutex:
            if link is not self._link:
                return  # another thread has ended this link: what it still brings is nobody's
            try:
                self._read(link)
                self._write(link)
            except ConnectionLostError as error:
                self.core.link_lost(error, time.monotonic())
            self._hand_over()

    def _read(self, link: Link) -> None:
        assert self._mutex.locked()
        for _ in range(_READS_A_ROUND):
            data = link.receive()
            if data is None:
                return
            now = time.monotonic()
            self.core.receive(data, now)
            self._hand_over()
            self.history_reader.note(self.core.recovery.cursor, now)
            if not self.core.has_stream:
                return
            self._write(link)

    def _give_up(self, generation: int, error: BaseException) -> None:
        """A defect of ours must not leave anybody waiting."""
        with self._mutex:
            if generation == self._generation:
                self.core.abort(ChatError(f"the connection thread failed: {error!r}"))
                self._hand_over()

    def _leave(self, generation: int, link: Link | None, waker: Waker) -> None:
        with self._mutex:
            if link is not None:
                link.close()
            # Also where the connection was given up and this thread is no longer the driver's: a link that
            # is closed must not stay, or a fork would close it once more.
            if self._link is link:
                self._link = None
            if self._waker is waker:
                self._waker = None
            if generation == self._generation:
                # Receivers still get the queued events; the workers end once the queue is empty.
                self.dispatcher.stop()
            waker.close()
            self._changed.notify_all()

    # --- forks and the end of the process ---

    def after_fork_in_child(self) -> None:
        """Let go of everything shared with the parent, without a byte on the wire."""
        link, waker, handles = self._link, self._waker, self._router.unsettled
        had_connection = self.core.state is not ChatState.IDLE
        self._durability.abandon()
        if link is not None:
            link.close_in_child()
        if waker is not None:
            waker.close()
        self._begin()
        if had_connection:
            self._forked = True
            self.core.start_closed(ForkedError("this process is a fork"))
            for handle in handles:
                handle.settle_in_child(ForkedError("the message was sent by the parent process"))
