"""The connection thread: the one place where the core meets sockets, the clock and other threads.

One mutex guards the core, the link and their order on the wire. It is held for short steps only:
never while waiting for anything but the disk (in durable mode), never while user code runs. A thread that
changes what the connection thread waits for (bytes to write, a sooner deadline, no link) wakes it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Generator, Hashable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import cast

from attrs import evolve

from .._deadline import Deadline
from .._forks import check_fork, owns_objects
from .._network import Network
from .._secrets import clear_locals
from .._threads import uninterrupted
from ..config import Config, Timeouts
from ..errors import (
    CallbackContextError,
    ChatAuthenticationError,
    ChatError,
    ChatTimeoutError,
    ConnectionLostError,
    DurableStoreError,
    ForkedError,
    LoginTimeoutError,
    NotConnectedError,
)
from ..models import Abandoned, ChatState, StateChange, Statistics
from .beginning import Beginning, Beginnings
from .changed import Changed
from .connection_thread import Run, Step, Waking, new_step, run_connection
from .credentials import SessionCredentials, plan_attempt, renewed
from .cursor_mode import durability_of
from .dispatcher import Dispatcher
from .durable.mode import NewHandle, SavedState
from .event_stream import Stream
from .history_reader import Answer, History, HistoryReader
from .ids import new_id
from .lease.exclusive import Exclusive
from .lease.hold import Hold
from .lease.lease import Lease
from .link import AttemptCancelled, Link, Waker, open_link
from .login_attempt import LoginAttempt
from .observed_mutex import ObservedMutex
from .output_router import OutputRouter
from .protocol.core import Core
from .protocol.decoding import Delivery
from .protocol.events import Credentials
from .protocol.states import CLOSED_STATES, READY_STATES
from .receivers import Receivers
from .requester import Ask, Request, Requester, Result
from .send_handle import handles_for
from .sender import Sender
from .shared import Shared
from .shared_reader import Place, runs_here
from .shutdown import CloseWaiters, end_at_exit, exit_has_begun, left_undone
from .tally import Tally
from .uwsgi import warn_about_uwsgi

__all__ = ["Driver"]

logger: logging.Logger = logging.getLogger("connectycube.chat")
_BOTH = EVENT_READ | EVENT_WRITE


class Driver:
    """Runs the core of one chat connection on a thread of its own.

    ``receivers`` are called on dispatcher workers. Two callbacks run on short-lived threads: the
    credentials callback passed to ``login()`` (before each reconnection, and after the server rejects the
    token), and the functions of ``history`` (when a session cannot be resumed). ``check_open()`` raises
    ClientClosedError once the client of the connection is closed. With ``shared`` no thread is its own.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        receivers: Receivers,
        history: History | None,
        check_open: Callable[[], None] | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._config = config
        self._shared = shared
        self.name = name
        """The name of the connection; the names of its threads begin with it."""
        self.timeouts: Timeouts = config.timeouts
        self.receivers = receivers
        self._history = history
        self.has_history: bool = config.fill_gaps and history is not None
        """Whether gaps are filled from history."""
        self._beginnings = Beginnings(config, name, history)
        self._check_open = check_open or (lambda: None)
        self._forked = False
        self._begin()
        end_at_exit(self)

    def _begin(self) -> None:
        """Create all objects that a forked child must not share with its parent."""
        self._kind_of_lock: type = type(threading.Lock())
        self.notes: ObservedMutex | None = ObservedMutex.of(self._config, self.receivers.chat)
        self._mutex = cast("threading.Lock", self.notes or threading.Lock())
        self._changed = Changed(self._mutex)
        self.core: Core = Core(
            self._config,
            new_id=new_id,
            random=random.random,
            fills_gaps=self.has_history,
            wants_sent=lambda: self._router.wants_sent,
        )
        shared, limits = self._shared, self._config.limits
        workers = self._config.workers if shared is None else shared.workers
        self.dispatcher: Dispatcher = Dispatcher(
            self.name, workers, limits, self._drained, self._leave_in_file
        )
        self.history_reader: HistoryReader = HistoryReader(
            self._config, self.name, self._history, self.dispatcher, self._tell
        )
        self.new_handle: NewHandle = handles_for(self._config, self.holding_link, self.receivers)
        service_time, warn = self.history_reader.service_time, self.dispatcher.warn
        arguments = (self._history, service_time, self.new_handle, self._fail, warn)
        self._durability = durability_of(self._config, self.name, *arguments)
        self._tally = Tally(self.core, self.dispatcher, self._durability)
        self.receivers.attach(self, self.dispatcher, self._durability, self._tally)
        self._router = OutputRouter(
            self.dispatcher,
            self.receivers,
            self._read_back,
            self._note_state,
            self.history_reader.ask,
            self._config.timeouts.slow_callback,
            self._durability,
            self._tally,
            self._mutex,
            self.notes,
        )
        self.exclusive: Exclusive = Exclusive(
            self.name, self._lease_lost, self._drain, lambda: self.is_closed
        )
        self._link: Link | None = None
        # What wakes the thread that makes the steps, and what is joined; one thing if that thread is shared.
        self._waker: Waking | None = None
        self._thread: threading.Thread | Place | None = None
        # The number of the current run; a thread of an older one ends without touching anything.
        self._generation = 0
        self._attempt: LoginAttempt | None = None  # the login that threads wait for
        self._network = None if shared is None else shared.network
        self._session_credentials: SessionCredentials | None = None
        self._sleeps_until: float | None = None  # the deadline that the connection thread knows
        self._ends = 0  # how often the connection has entered CLOSED
        self.aborted: bool = False
        """Whether the connection was ended at once: nothing waits for its receivers any more."""
        self.close_waiters: CloseWaiters = CloseWaiters()
        sets = self.dispatcher.receivers, self._tally.unsettled
        self.sender: Sender = Sender(
            self, self._mutex, self._changed, self.core, self._durability, *sets
        )
        requester = Requester(self, self._mutex)
        self.request: Request = requester.request
        self.ask: Ask = requester.ask

    # --- for any thread ---

    @property
    def state(self) -> ChatState:
        """The connection's state."""
        check_fork()
        return self.core.state

    @property
    def is_ready(self) -> bool:
        """Whether messages flow: READY or RESUMED."""
        return self.state in READY_STATES

    def statistics(self) -> Statistics:
        """Return the numbers of this moment, without waiting for the mutex."""
        check_fork()
        return self._tally.statistics()

    def _check_can_begin(self) -> None:
        if exit_has_begun():
            raise NotConnectedError("the interpreter exits: no connection is made any more")
        self._check_open()

    def check_usable(self) -> None:
        """Raise ClientClosedError after the client's end, ForkedError in a child that has not logged in."""
        if not owns_objects[0]:
            check_fork()
        self._check_open()
        if self.dispatcher.receivers:  # to ask what this thread runs takes long
            self.receivers.check_user()
        if self._forked:
            raise ForkedError("another process logged in and forked this one: call chat.login()")
        if self.exclusive.hold is not None:
            self._check_lease()

    def check_may_wait(self) -> None:
        """Raise CallbackContextError on the connection thread, where the observer alone can make a call."""
        if runs_here(self._thread):
            raise CallbackContextError(
                "the observer was called on the connection thread, which this call would wait for"
            )

    @property
    def is_closed(self) -> bool:
        """Whether the state is IDLE or CLOSED."""
        return self.core.state in CLOSED_STATES

    @property
    def is_open(self) -> bool:
        """Whether the connection is neither closed nor being closed."""
        return self.core.is_open

    @property
    def is_over(self) -> bool:
        """Whether the exit of the interpreter has nothing to end and no receiver to wait for."""
        return self.aborted or (self.is_closed and not self.dispatcher.is_working)

    def login(
        self,
        credentials: Credentials,
        session_credentials: SessionCredentials | None,
        deadline: Deadline,
        *,
        any_resource: bool,
        since: float | None = None,
        hold: Hold | None = None,
    ) -> None:
        """Become ready as the user of the credentials, or raise; concurrent calls share one attempt.

        If ``session_credentials`` are given, the password is the token of a session, and they renew it.
        With ``any_resource`` the durable store may choose the resource, so that this process replaces the
        session of a process that was killed. A first login reads the messages since ``since`` (unix seconds)
        from history. ``hold`` is that of the login's lease, from ``holding()``.
        """
        self._prepare_login()
        network = self._network or Network.of(self._config)
        network.check(self._config.chat_host, self._config.chat_port)
        self._network = network
        self._forked = False
        beginning = None
        if self.is_closed:
            user_id, kept, streams = credentials.user_id, self._durability, self._router.streams
            with self._mutex:
                if self.is_closed:
                    self.exclusive.begin(hold, self.core, kept, self.receivers, streams)
            beginning = self._beginnings.find(self.core, kept, user_id, since, deadline)
        with self._mutex:
            self._wait(lambda: self.core.state is not ChatState.CLOSING, deadline)
            self._check_can_begin()  # after the wait, during which the client may have been closed
            # The first caller leads: it starts the attempt, and ends it if its own time is up. The others
            # join it, each until its own deadline: an impatient caller spoils no login of another.
            leads = self.is_closed
            if leads:
                attempt = self._start_attempt(
                    credentials, session_credentials, deadline, any_resource, beginning
                )
            elif self._is_ready_as(credentials.user_id):
                return
            else:
                self.check_may_wait()
                attempt = self._join_attempt()
        try:
            attempt.wait(deadline.remaining())
        finally:
            with self._mutex:
                self.core.release_link()
                if leads and not attempt.is_over:
                    self._abandon_attempt(attempt)
        if not attempt.is_over:
            raise LoginTimeoutError("the connection did not become ready in time")
        attempt.check()

    def _prepare_login(self) -> None:
        check_fork()
        if self.is_closed:
            warn_about_uwsgi(self.name)
            # Locks made before gevent patched are replaced: one that waits would stop all greenlets.
            if self._kind_of_lock is not type(threading.Lock()):
                self._begin()

    def _start_attempt(
        self,
        credentials: Credentials,
        session_credentials: SessionCredentials | None,
        deadline: Deadline,
        any_resource: bool,
        beginning: Beginning | None,
    ) -> LoginAttempt:
        """Open the durable store, begin the login and start the connection thread; the link is held."""
        assert self._mutex.locked()
        saved = self._durability.open(credentials.user_id, beginning)
        self._router.begin_for(credentials.user_id)
        if any_resource and self._durability.resource is not None:
            credentials = evolve(credentials, resource=self._durability.resource)
        self._session_credentials = session_credentials
        attempt = self._attempt = LoginAttempt()
        until = deadline.at if deadline.at is not None else float("inf")
        now = time.monotonic()
        self._apply(
            partial(self.core.login, credentials, now, until),
            partial(self._start_thread, saved),
            partial(self.core.hold_link, now),
        )
        return attempt

    def _is_ready_as(self, user_id: int) -> bool:
        """Whether the user is logged in and ready; raises ChatError if another user is logged in."""
        assert self._mutex.locked()
        assert self.core.credentials is not None
        if self.core.credentials.user_id != user_id:
            raise ChatError(
                f"user {self.core.credentials.user_id} is logged in to the chat: log out first"
            )
        return self.core.is_ready

    def _join_attempt(self) -> LoginAttempt:
        """Join the login that is under way, or let a lost connection make its next attempt now.

        The link is held: the caller may be the slow receiver whose full queue keeps it closed.
        """
        assert self._mutex.locked()
        attempt = self._attempt
        if attempt is None or attempt.is_over:
            attempt = self._attempt = LoginAttempt()
        now = time.monotonic()
        self._apply(partial(self.core.relogin, now), partial(self.core.hold_link, now))
        return attempt

    def _abandon_attempt(self, attempt: LoginAttempt) -> None:
        assert self._mutex.locked()
        # Before the state is routed, whose reason would be that of a logout.
        attempt.fail(LoginTimeoutError("the chat login did not finish in time"))
        now = time.monotonic()
        self._apply(partial(self.core.close, now, now, logs_out=False))

    # --- the lease ---

    def holding(
        self, lease: Lease | None, deadline: Deadline
    ) -> AbstractContextManager[Hold | None]:
        """Return a context manager that waits for the lease and holds it for the ``login`` inside."""
        if lease is None:
            return nullcontext()
        self._prepare_login()
        with self._mutex:
            self._end_if_lost()
            self._wait(lambda: self.core.state is not ChatState.CLOSING, deadline)
            self._check_can_begin()
        return self.exclusive.holding(lease, deadline)

    @property
    def fencing(self) -> int | None:
        """The number of the lease: inside a receiver that of the connection which brought the event."""
        hold = self._durability.running.hold or self.exclusive.hold
        return None if hold is None else hold.fencing

    def _check_lease(self) -> None:
        loss = self.exclusive.loss(self._durability.running.hold)
        if loss is not None:
            self._lease_lost()  # the connection thread sleeps by a clock that may have stood still
            raise loss

    def _lease_lost(self) -> None:
        with self._mutex:
            self._end_if_lost()

    def _end_if_lost(self) -> None:
        assert self._mutex.locked()
        if self.exclusive.end_if_lost(self.core):
            self.after_command()

    def _drain(self, deadline: Deadline) -> bool:
        """Wait until the receivers have returned; return whether they have."""
        if not self.dispatcher.join(deadline):
            return False
        self._durability.finish(deadline)
        return True

    def relogin(self) -> None:
        """Ask for an attempt now; returns at once."""
        self.check_usable()
        with self._mutex:
            self._check_can_begin()
            if self.core.credentials is None:
                raise self.core.not_connected_error()
            was_closed = self.core.state is ChatState.CLOSED
            if was_closed and self.exclusive.hold is not None:
                raise NotConnectedError("the lease was given back: call chat.login(exclusive=…)")
            saved = SavedState()
            if was_closed:
                beginning = self._beginnings.now(self.core)
                saved = self._durability.open(self.core.credentials.user_id, beginning)
            start = (partial(self._start_thread, saved),) if was_closed else ()
            self._apply(partial(self.core.relogin, time.monotonic()), *start)

    def reset(self) -> None:
        """Go from CLOSED back to IDLE and forget the user."""
        check_fork()
        with self._mutex:
            if self.core.state is ChatState.CLOSED:
                # The logout has counted and logged what was queued.
                self._apply(self.dispatcher.forget_user, self.core.reset)

    # --- the end of the connection ---

    def logout(self, deadline: Deadline) -> Abandoned:
        """End the connection in any state within the deadline; return the counts of what was abandoned."""
        return self.begin_logout(deadline)()

    def begin_logout(self, deadline: Deadline) -> Callable[[], Abandoned]:
        """Begin to end the connection; return a function that waits for the end until the deadline."""
        check_fork()
        if self._forked:
            return Abandoned
        with self._mutex:
            if self.is_closed:
                self.exclusive.cancel()  # a login may stand by for a lease
            # The number of ends and not the state: a receiver may log in again before this caller looks.
            ends = None if self.is_closed else self._ends
            now = time.monotonic()
            until = deadline.at if deadline.at is not None else now
            self._apply(partial(self.core.close, now, until))
            return partial(self._finish_logout, deadline, self._thread, ends, self.exclusive.hold)

    def _finish_logout(
        self,
        deadline: Deadline,
        thread: threading.Thread | Place | None,
        ends: int | None,
        hold: Hold | None,
    ) -> Abandoned:
        """Wait until the connection has ended more than ``ends`` times; None: it had ended before."""
        if thread is threading.current_thread():
            return Abandoned()  # nothing can end before the observer, called on it, returns
        with self._mutex:
            if not self._changed.wait_for(lambda: ends != self._ends, deadline.remaining()):
                self._abandon()  # the connection thread is stuck in a call that nothing can interrupt
            messages = (0, 0) if ends is None else self.core.abandoned
            stays = self.is_closed
        if self.aborted:
            return left_undone(self.dispatcher, (0, 0), True)
        unsaved = 0
        # Without the mutex from here on: the thread and the receivers need it to come to an end.
        if thread is not None:
            thread.join(deadline.remaining())
        if stays and not self.dispatcher.is_worker():
            self.dispatcher.join(deadline)
            with self._mutex:
                stays = self.is_closed  # else a receiver has logged in again, and the workers go on
            unsaved = 0 if self._durability.finish(deadline) else 1
            if stays:
                self.exclusive.end(hold, deadline)
        return left_undone(self.dispatcher, messages, stays, unsaved)

    def abort(self) -> Abandoned:
        """End the connection at once; the exit of the interpreter does not wait for it either."""
        check_fork()
        with self._mutex:
            if not self.is_closed:
                self._abandon()
            self.aborted = True
            self.exclusive.end(self.exclusive.hold, Deadline(0.0))
            return left_undone(self.dispatcher, self.core.abandoned, True)

    def _abandon(self) -> None:
        assert self._mutex.locked()
        self._generation += 1
        self.core.abort(None)
        self.after_command()
        self.dispatcher.stop()

    def stream(self, kind: Callable[..., Stream], what: object, timeout: float) -> Stream:
        """Return a stream that collects events from now on: those of a signal, or of a dialog."""
        self.check_usable()
        streams = self._router.streams
        stream = kind(what, timeout, self._config.limits, self._awaiting_event, streams.remove)
        streams.add(stream)
        return stream

    def show(self, delivery: Delivery) -> None:
        """Put an event that does not come from the core into the streams of its signal."""
        self._router.streams.feed(delivery)

    def wait_until_ready(self, deadline: Deadline) -> None:
        """Wait until messages flow; raise if that cannot happen any more, or not in time."""
        self.check_usable()
        if self.is_ready:
            return
        with self.holding_link(), self._mutex:
            self.wait_ready(deadline)

    def wait_until_idle(self, deadline: Deadline) -> bool:
        """Wait until the workers have done everything that is queued; return whether they have."""
        if self.dispatcher.is_worker():
            raise CallbackContextError(
                "chat.wait_until_idle() would wait for the callback it was called in"
            )
        self.check_may_wait()
        return self.dispatcher.wait_until_idle(deadline.remaining())

    @contextmanager
    def holding_link(self) -> Generator[None]:
        """Keep the link open during a wait, in spite of slow receivers: the caller may be one of them."""
        check_fork()
        if self._forked:
            yield
            return
        self.check_may_wait()
        with self._mutex:
            core = self.core  # the same one at the end, also if the process forks during the wait
            core.hold_link(time.monotonic())
            self.after_command()
        try:
            yield
        finally:
            with self._mutex:
                core.release_link()

    @contextmanager
    def _awaiting_event(self, is_waiting: Callable[[], bool]) -> Generator[None]:
        check_fork()
        with self._mutex:  # under it a connection that has ended has also ended its streams
            if self.is_closed and is_waiting():
                raise self.core.closed_reason or self.core.not_connected_error()
        with self.holding_link(), self.dispatcher.awaiting_event(is_waiting):
            yield

    def wait_ready(self, deadline: Deadline) -> None:
        """Wait until messages flow, with the mutex held; raise if they never will, or not in time."""
        assert self._mutex.locked()
        over = (ChatState.IDLE, ChatState.CLOSED, ChatState.CLOSING)
        self._wait(lambda: self.core.is_ready or self.core.state in over, deadline)
        if not self.core.is_ready:
            raise self.core.closed_reason or self.core.not_connected_error()

    def _wait(self, condition: Callable[[], bool], deadline: Deadline) -> None:
        assert self._mutex.locked()
        if not condition():
            self.check_may_wait()
        if not self._changed.wait_for(condition, deadline.remaining()):
            raise ChatTimeoutError(f"the chat connection is still {self.core.state.value}")

    # --- commands ---

    def command(self, action: Callable[[Core, float], Result]) -> Result:
        """Call ``action(core, now)``, which must be short, with the mutex held; return its result."""
        self.check_usable()
        with self._mutex:
            result = action(self.core, time.monotonic())
            self.after_command()
            return result

    # --- with the mutex held ---

    def _apply(self, *changes: Callable[[], object]) -> None:
        """Change the state and do what follows; interrupted, a login might have no thread."""
        assert self._mutex.locked()
        uninterrupted(*changes, self.after_command)

    def after_command(self) -> None:
        """Route the outputs of a command, write what the link takes, and wake the connection thread."""
        assert self._mutex.locked()
        self._hand_over()
        core, link = self.core, self._link
        if link is not None and core.session.outgoing:
            self._write(link)
        # The connection thread must know of bytes that the socket did not take, of a link that is to be
        # closed or opened, and of a deadline before the one that it sleeps until.
        waits = core.session.outgoing or link is None or not core.wants_link
        if waits or core.is_due_before(self._sleeps_until):
            self.wake()

    def after_submit(self, *, is_due_sooner: bool) -> None:
        """Do what :meth:`after_command` does, as far as a message may need it."""
        assert self._mutex.locked()
        session, link = self.core.session, self._link
        if session.outputs:
            self.after_command()
        elif link is not None:  # else the connection thread is at work on one, whatever waits
            self._write(link)
            if session.outgoing or (is_due_sooner and self.core.is_due_before(self._sleeps_until)):
                self.wake()

    def cut_off(self) -> None:
        """End the link after an exception, such as that of a signal's handler, amid the steps of a stanza.

        It may be noted and not written, or written twice. The resumption counts what has arrived.
        """
        assert self._mutex.locked()
        if self.core.is_ready:
            self._link = None
            self.core.link_lost(ConnectionLostError("a send was interrupted"), time.monotonic())
            self._hand_over()
        self.wake()

    def wake(self) -> None:
        """Let the connection thread look what there is to do; may be called on that thread itself, too."""
        if self._waker:
            self._waker.wake()

    def _write(self, link: Link) -> None:
        assert self._mutex.locked()
        outgoing, hold = self.core.session.outgoing, self.exclusive.hold
        while outgoing:
            if hold is not None and hold.is_expired():
                self.wake()  # the connection thread ends the link
                return
            written = link.send(outgoing)
            if not written:
                return
            del outgoing[:written]

    def _hand_over(self, now: float | None = None) -> None:
        """Route the outputs of the core, and notify the threads that wait for a state or for room."""
        assert self._mutex.locked()
        # Most reads and commands have no output.
        has_routed = bool(self.core.session.outputs) and self._router.route(self.core, now)
        if has_routed and self.is_closed:
            self._durability.release()
        # An acknowledgement of markers has no output, but it makes room for a sender.
        if has_routed or self.sender.waiting:
            self._changed.notify_all()

    def _note_state(self, change: StateChange) -> None:
        assert self._mutex.locked()
        self.history_reader.wake()  # its questions may be those of an earlier session
        if change.state is ChatState.CLOSED:
            self._ends += 1
            self.close_waiters.tell(change.reason)
            if self._shared is not None:
                self._shared.closed(change.reason)
        if self._attempt is not None and self._attempt.follow(change):
            self._attempt = None

    def _start_thread(self, saved: SavedState) -> None:
        """Start the connection thread; the caller lets no signal interrupt it."""
        assert self._mutex.locked()
        # Before the thread exists: nothing may arrive until the core knows what an earlier process had
        # handled, and nothing may be sent before the messages that it had left.
        self.core.begin_from(saved.seen, saved.outbox, saved.cursor, time.monotonic())
        self.history_reader.start_at(saved.cursor, saved.service_cursor)
        if saved.beginning is not None:
            self.history_reader.begin_at(saved.beginning)
        self.core.session.recovery.leave_out(saved.older)
        self._tally.unsettled.update(submission.waiter for submission, _ in saved.outbox)
        self._generation += 1
        # This link is of an older run, whose thread has not noticed its end yet, and closes the link.
        self._link = None
        self.aborted = False
        self.dispatcher.start()
        self._router.watch_dead_letters()
        run = Run(self._generation, self.exclusive.hold)
        if self._shared is not None:
            self._waker = self._thread = self._shared.reader.start(self, run)
            return
        waker = self._waker = Waker()
        self._thread = threading.Thread(
            target=run_connection,
            args=(self, run, waker),
            name=f"{self.name}-connection",
            daemon=True,
        )
        self._thread.start()

    # --- the history threads ---

    def _tell(self, core: Core, answer: Answer) -> bool:
        """Give the core an answer of history; return whether the core still wants more of it."""
        with self._mutex:
            if core is not self.core:
                return False
            now = time.monotonic()
            wanted = answer(core, now)
            core.gap_answered(now)
            self.after_command()
            return wanted

    # --- the dispatcher's workers ---

    def _drained(self) -> None:
        with self._mutex:
            self.core.drained(self._router.overflow_error(), time.monotonic())
            self.after_command()

    def _leave_in_file(self, queue_key: Hashable) -> None:
        with self._mutex:  # no newer event may be queued before these
            self._router.leave_in_file(queue_key)

    def _read_back(self, conversation: str) -> None:
        """Queue the next events of a conversation that stayed in the durable store."""
        try:
            with self._mutex:  # no newer event may be committed and queued first
                self._router.read_back(conversation)
        except DurableStoreError as error:
            self._fail(error)

    def _fail(self, error: DurableStoreError) -> None:
        with self._mutex:
            self.core.abort(error)
            self.after_command()

    # --- the connection thread ---

    def next_step(self, run: Run) -> Step | None:
        """Do what has become due; return what to do next, None if the run is over."""
        with self._mutex:
            return self._next_step(run)

    def _next_step(self, run: Run, now: float | None = None) -> Step | None:
        assert self._mutex.locked()
        if run.generation != self._generation:
            return None
        now = time.monotonic() if now is None else now
        deadline = self._tick(now)
        core, link = self.core, run.link
        if not core.has_stream:
            if self.is_closed:
                return None
            if link is not None:
                link.close()
                link = self._link = run.link = None
        # Never later than this thread slept until before, as long as that is to come. A question to the
        # server brings the deadline forward and its answer puts it off, so that each would wake this thread.
        until = self._sleeps_until
        if until is not None and until > now and (deadline is None or until < deadline):
            deadline = until
        # Under the same lock as the tick: a change by another thread after it wakes this thread.
        self._sleeps_until = deadline
        if link is None:
            return Step(deadline, core.wants_link, EVENT_READ, core.is_ready)
        writes = core.session.outgoing or link.wants_write
        return new_step((deadline, False, _BOTH if writes else EVENT_READ, core.is_ready))

    def wait_for_turn(self, run: Run) -> float | None:
        """Let the attempt to connect begin later; return when there is something to do in any case."""
        with self._mutex:
            if run.generation == self._generation:
                self.core.postpone_attempt(time.monotonic())
                self._sleeps_until = self.core.next_deadline
            return self._sleeps_until

    def _tick(self, now: float) -> float | None:
        """Do what has become due; return when something will be due next."""
        assert self._mutex.locked()
        hold = self.exclusive.hold
        if hold is not None:
            self._end_if_lost()
        deadline = self.core.next_deadline
        if deadline is not None and now >= deadline:
            self.core.tick(now)
            self._note_cursor(now)
            self._hand_over()
            if self._link is not None and self.core.session.outgoing:
                self._write(self._link)
            deadline = self.core.next_deadline
        if hold is not None:
            change = now + hold.seconds_to_change
            deadline = change if deadline is None else min(deadline, change)
        return deadline

    def connect(self, run: Run, waker: Waker) -> None:
        """Renew the credentials if they may have expired, open a link and begin the stream on it.

        The mutex is held before and after, and not while credentials or link are waited for.
        """

        def is_wanted() -> bool:
            with self._mutex:
                return run.generation == self._generation and self.core.wants_link

        with self._mutex:
            plan = plan_attempt(self.core, self._session_credentials, time.monotonic())
        try:
            credentials = renewed(plan, f"{self.name}-renewal", waker, is_wanted)
            deadline = plan.deadline.within(self._config.timeouts.connect)
            assert self._network is not None
            link = open_link(self._config, self._network, deadline, waker, is_wanted)
        except AttemptCancelled:
            return
        except (ConnectionLostError, ChatAuthenticationError) as error:
            with self._mutex:
                if run.generation == self._generation:
                    self.core.link_lost(error, time.monotonic())
                    self._hand_over()
            return
        with self._mutex:
            # Since then another thread may have closed the connection, or started another run.
            if run.generation != self._generation or not self.core.wants_link:
                link.close()
                return
            run.link = self._link = link
            self.core.credentials = credentials
            self.core.link_up(time.monotonic())

    def serve(self, run: Run) -> Step | None:
        """Read and write, without waiting, what the socket takes now; return what to do next."""
        link, now = run.link, None
        with self._mutex:
            if link is not None and link is self._link:  # else another thread has closed it
                try:
                    now = self._read(link)
                    if self.core.session.outgoing:
                        self._write(link)  # also what the socket did not take before
                except ConnectionLostError as error:
                    self.core.link_lost(error, time.monotonic())
                    self._hand_over()
            return self._next_step(run, now)  # what has become due since ends the next wait at once

    def _read(self, link: Link) -> float | None:
        """Take what has arrived, or a part of it (then the next wait ends at once); return when it was."""
        assert self._mutex.locked()
        hold, now = self.exclusive.hold, None
        while data := link.receive():
            # Another process may have the lease by now, whose login ends this link: that is not the reason.
            if hold is not None and not hold.is_valid():
                break
            now = time.monotonic()
            self.core.receive(data, now)
            # Before writing: the acknowledgement of these stanzas must not leave before they are committed.
            self._hand_over(now)
            self._note_cursor(now)
            if not self.core.has_stream:
                break
            if self.core.session.outgoing:
                self._write(link)
            if not link.has_ended:
                break
        return now

    def _note_cursor(self, now: float) -> None:
        """Note the cursor in the durable store, and its time by the service's clock."""
        assert self._mutex.locked()
        cursor = self.core.session.recovery.cursor
        self.history_reader.note(cursor, now)
        try:
            self._durability.note_cursor(cursor, now)
        except DurableStoreError as error:
            self.core.abort(error)
            self._hand_over()

    def give_up(self, run: Run, error: BaseException) -> None:
        """Close the connection after a defect of this package, so that no caller waits forever."""
        clear_locals(error)  # a log may show them, and they hold what was read and written
        logger.error("%s: the connection thread failed", self.name, exc_info=error)
        with self._mutex:
            if run.generation == self._generation:
                self.core.abort(ChatError(f"the connection thread failed: {error!r}"))
                self._hand_over()

    def leave(self, run: Run, waker: Waking) -> None:
        """Release what the run has, once it is over."""
        link = run.link
        with self._mutex:
            if link is not None:
                link.close()
            # Also in an older run: a fork would close the link's descriptor, another file by then.
            if self._link is link:
                self._link = None
            if self._waker is waker:
                self._waker = None
            if run.generation == self._generation:
                # Receivers still get the queued events. The workers end once the queue is empty.
                self.dispatcher.stop()
            waker.close()
            self._changed.notify_all()
        self.exclusive.close(run.hold)  # once the workers have ended

    # --- forks and the end of the process ---

    def _after_fork_in_child(self) -> None:
        """Release everything shared with the parent, without a byte on the wire."""
        # No lock is taken here: a thread of the parent may have held it at the fork, and that thread is gone.
        link, waker, handles = self._link, self._waker, self._tally.unsettled
        had_connection = self.core.state is not ChatState.IDLE
        self._durability.abandon()
        if link is not None:
            link.close_in_child()
        if waker is not None:
            waker.close()
        self._begin()
        if had_connection:
            self._forked = True
            reason = ForkedError("this process is a fork")
            self.core.start_closed(reason)
            self._tally.begin_closed(reason)
            for handle in handles:
                handle.settle_in_child(ForkedError("the message was sent by the parent process"))
