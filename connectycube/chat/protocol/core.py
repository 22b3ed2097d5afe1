"""The chat connection without I/O: bytes, time and commands in; bytes, outputs and deadlines out.

It knows no socket, thread, clock or random source. Its driver
- opens a link when ``wants_link`` is true and reports ``link_up`` or ``link_lost``,
- feeds the received bytes to ``receive``, routes the outputs and confirms with ``committed``,
- writes ``session.outgoing`` and calls ``tick`` at ``next_deadline``.

Times are seconds on any clock that only goes forward. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..._backoff import Backoff
from ..._redact import peer_text
from ..._secrets import Secret
from ...config import Config
from ...errors import (
    ChatAuthenticationError,
    ConnectionLostError,
    ConnectTimeoutError,
    LivenessError,
    LoginTimeoutError,
    NotConnectedError,
    QueueOverflowError,
    StreamError,
)
from ...models import ChatState, StateChange
from .addresses import Addresses
from .decoding import Delivery
from .events import (
    Authenticated,
    Bound,
    Counters,
    Credentials,
    Nonza,
    NotResumed,
    Resumable,
    Resumed,
    Stanza,
    StreamBroken,
    StreamEvent,
)
from .outbox import Submission
from .resume_policy import ResumePolicy
from .seen_messages import Key
from .session import Session
from .states import READY_STATES, StateMachine
from .stream import Stream
from .stream_management import WrongCountError
from .timers import Timers

__all__ = ["Core"]

PERMANENT = frozenset(
    {
        "conflict",
        "host-gone",
        "host-unknown",
        "invalid-from",
        "invalid-namespace",
        "not-authorized",
        "unsupported-version",
    }
)
"""Stream error conditions after which the same attempt would only fail again. (RFC 6120, 4.9.3.)"""

_ATTEMPTING = (ChatState.CONNECTING, ChatState.AUTHENTICATED, ChatState.RECONNECTING)
_NOT_OPEN = (ChatState.IDLE, ChatState.CLOSED, ChatState.CLOSING)
_OF_STANZAS = frozenset(
    {
        "bad-format",
        "bad-namespace-prefix",
        "invalid-xml",
        "not-well-formed",
        "policy-violation",
        "restricted-xml",
        "unsupported-stanza-type",
    }
)
"""Stream error conditions that one of our stanzas may have caused. (RFC 6120, 4.9.3.)"""

_REFUSALS = frozenset({"not-authorized", "credentials-expired"})  # RFC 6120, 6.5
# The keys of the timers.
_RETRY, _ATTEMPT, _CLOSING, _SKIPPING, _BROKEN = "retry", "attempt", "closing", "skipping", "broken"
_LONGEST_SKIP = 10.0  # seconds
_END_GRACE = 1.0  # seconds the server has to answer our end of the stream
_HELD_TOO_MUCH = (
    "more messages arrived during the recovery than could be held; they are fetched again"
)


class Core:
    """One user's chat connection: states, attempts and links around its session."""

    def __init__(
        self,
        config: Config,
        *,
        new_id: Callable[[], str],
        random: Callable[[], float],
        fills_gaps: bool = False,
        wants_sent: Callable[[], bool] = lambda: True,
    ) -> None:
        self._config = config
        self._new_id = new_id
        self._addresses = Addresses(config.app_id, config.chat_host)
        self.credentials: Credentials | None = None
        self.closed_reason: Exception | None = None
        self.abandoned: tuple[int, int] = (0, 0)
        """Of the last end: the messages that have certainly not arrived, and those not acknowledged."""
        self.counters: Counters = Counters()
        self._fills_gaps, self._wants_sent = fills_gaps, wants_sent
        self.session: Session = self._new_session()
        self._machine = StateMachine(self._state_changed)
        self._backoff = Backoff(config.reconnect, random)
        self._stream: Stream | None = None
        self._first_login = False
        self.refused: Secret | None = None
        """The token that the server refused in this attempt, which goes on with another one."""
        self._resume_policy = ResumePolicy()
        # The actions that will be due, by _RETRY, _ATTEMPT, _CLOSING and the others.
        self._timers: Timers[Callable[[float], object]] = Timers()
        # After an overflow the reconnection waits for slow receivers, unless callers wait for the link.
        self._waits_for_receivers = False
        self._link_holders = 0  # the number of these callers
        # The overflow whose receivers caught up before we were ready.
        self._drained: QueueOverflowError | None = None
        self._end_sent = False
        self._broken: Exception | None = None  # bad XML has ended the reading of the stream
        # Where in the session a stanza without an end has last silenced a link.
        self._endless_at: tuple[Resumable | None] | None = None
        self._logs_out = False  # this end is a logout: the next login fills no gap
        self._end_reason: Exception | None = None  # the reason given to ``close``, for CLOSED

    # --- properties for the driver ---

    @property
    def state(self) -> ChatState:
        """The connection's state."""
        return self._machine.state

    @property
    def is_ready(self) -> bool:
        """Whether messages flow."""
        return self._machine.state in READY_STATES

    @property
    def is_open(self) -> bool:
        """Whether messages are accepted, to flow now or later."""
        return self._machine.state not in _NOT_OPEN

    @property
    def wants_link(self) -> bool:
        """Whether there should be a link, or an attempt to make one."""
        state = self._machine.state
        if state is ChatState.CLOSING:
            return self._stream is not None
        return state in READY_STATES or state in _ATTEMPTING

    @property
    def has_stream(self) -> bool:
        """Whether the link is in use; one without a stream is to be closed."""
        return self._stream is not None

    @property
    def is_reconnecting(self) -> bool:
        """Whether this attempt follows a lost link."""
        return not self._first_login

    @property
    def attempt_deadline(self) -> float | None:
        """When the attempt to become ready ends, or None."""
        return self._timers.due_at(_ATTEMPT)

    @property
    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, or None."""
        # Written out: each read, each command and each wait ask for it.
        session = self.session
        deadline = session.liveness.deadline
        for other in (session.timers.deadline, self._timers.deadline):
            if other is not None and (deadline is None or other < deadline):
                deadline = other
        return deadline

    def is_due_before(self, moment: float | None) -> bool:
        """Whether ``tick`` has something to do before a moment; None stands for never."""
        deadline = self.next_deadline
        return deadline is not None and (moment is None or deadline < moment)

    # --- what callers may send ---

    @property
    def open_session(self) -> Session:
        """The session, for stanzas sent now or once there is a link; raises NotConnectedError unless open."""
        if self._machine.state in _NOT_OPEN:
            raise self.not_connected_error()
        return self.session

    @property
    def ready_session(self) -> Session:
        """The session, for a request to the server; NotConnectedError unless ready."""
        if not self.is_ready:
            raise NotConnectedError(f"the chat connection is {self.state.value}, not ready")
        return self.session

    def not_connected_error(self) -> NotConnectedError:
        """Return the error of a call that needs a connection, while there is none."""
        why = ", as nobody has logged in yet" if self.state is ChatState.IDLE else ""
        return NotConnectedError(
            f"the chat connection is {self.state.value}{why}: call chat.login() first"
        )

    # --- commands ---

    def login(self, credentials: Credentials, now: float, deadline: float) -> None:
        """Begin the one attempt of ``chat.login()``; if it fails, the connection is CLOSED."""
        self.credentials = credentials
        if self.session.me not in (0, credentials.user_id):
            # A stanza that is left of one user's session, such as a marker, must not be sent as another's.
            self._renew_session()
        self.session.me = credentials.user_id
        self._first_login = True
        self._begin(ChatState.CONNECTING, deadline)

    def begin_from(
        self,
        seen: Iterable[Key],
        outbox: Iterable[tuple[Submission, bytes]],
        cursor: float | None,
        now: float,
    ) -> None:
        """Go on where another process ended; called right after ``login`` or ``relogin``.

        ``seen`` are the messages that the process knew, ``outbox`` those without an outcome. It had
        committed everything until ``cursor``.
        """
        # The cursor first: it decides how much of ``seen`` has to be remembered.
        if cursor is not None:
            self.session.recovery.start_at(cursor)
        self.session.restore(seen, outbox, now)

    def relogin(self, now: float) -> None:
        """Attempt to connect now, which a lost connection would do later and a closed one not at all."""
        if self.state is ChatState.CLOSED and self.credentials is not None:
            self._first_login = False
            self._begin(ChatState.RECONNECTING, now + self._config.timeouts.login)
        elif self.state is ChatState.FORCE_CLOSED and not self._waits_for_receivers:
            self._backoff.reset()
            self._retry(now)

    def postpone_attempt(self, now: float) -> None:
        """Let the time-out of a reconnection begin now: the attempt waits until it may open a link."""
        if self.state is ChatState.RECONNECTING and self._stream is None and not self._first_login:
            self._timers.set(_ATTEMPT, now + self._config.timeouts.login, self._attempt_expired)

    def _begin(self, state: ChatState, deadline: float) -> None:
        self.closed_reason = self.refused = None
        self._backoff.reset()
        self._timers.set(_ATTEMPT, deadline, self._attempt_expired)
        self._machine.go(state)

    def gap_answered(self, now: float) -> None:
        """Once no more are held, fetch the messages that were rejected because too many were held."""
        if not self.session.recovery.is_holding and not self._waits_for_receivers:
            self.drained(QueueOverflowError(_HELD_TOO_MUCH, receiver=None), now)

    def close(
        self,
        now: float,
        deadline: float,
        *,
        logs_out: bool = True,
        reason: Exception | None = None,
    ) -> None:
        """End the session until ``deadline``: wait for acknowledgements, then end the stream.

        After a logout (``logs_out``) the next login fills no gap. The changes of state have this ``reason``.
        """
        if not self.is_open:
            return
        self._logs_out = logs_out
        self._end_reason = reason
        was_ready = self.is_ready
        self._machine.go(ChatState.CLOSING, reason)
        self._timers.clear()
        if not was_ready:
            self._finish(None)
            return
        self._timers.set(_CLOSING, max(now, deadline - _END_GRACE), self._send_end)
        self.session.ask_if_needed(now)
        self._end_if_done(now)

    def abort(self, reason: Exception | None) -> None:
        """Enter CLOSED at once, from any state."""
        if self.is_open:
            self._machine.go(ChatState.CLOSING)
        if self.state is ChatState.CLOSING:
            self._finish(reason)

    def reset(self) -> None:
        """Go from CLOSED to IDLE and forget who was logged in."""
        self.credentials = self.closed_reason = None
        self._machine.go(ChatState.IDLE)
        self._renew_session()

    def forget_last_login(self) -> None:
        """Forget the session of the last login: another process may have gone on with its messages."""
        self._renew_session()

    def start_closed(self, reason: Exception) -> None:
        """Begin in CLOSED, as in a forked child."""
        self._machine = StateMachine(self._state_changed, ChatState.CLOSED)
        self.closed_reason = reason

    # --- the link ---

    def link_up(self, now: float) -> None:
        """Begin the stream on a new, verified link."""
        assert self.credentials is not None
        self._stream = Stream(
            self._addresses,
            self.credentials,
            self.session.resumable,
            self._config.limits,
            self._new_id,
            counts=self.session.trusts_counts,
        )
        self._write_stream_output()

    def link_lost(self, error: Exception, now: float) -> None:
        """Deal with the end of the link, or with an attempt that failed."""
        if self.wants_link:
            self._end_link(error, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the link; call ``committed`` once the outputs are routed."""
        stream, session = self._stream, self.session
        if stream is None or self._broken is not None:
            return
        session.liveness.heard(now)
        receive_plain = session.receive_plain
        try:
            for event in stream.receive(data):
                # A plain message, as nearly all are, makes no connection ready and ends none. Unlike
                # isinstance(), the comparison is no call, and tells type checkers nothing.
                if event.__class__ is Delivery:
                    receive_plain(event, now)  # pyright: ignore[reportArgumentType]
                else:
                    self._handle(event, now)
                    if self._stream is not stream:
                        return
            session.release_held_back(now)
            if stream.output:
                self._write_stream_output()
            # Without a timer, as mostly, none for skipping is to be cancelled.
            if self._timers.deadline is not None or stream.skips:
                self._bound_skipping(stream, now)
            if not session.outputs:
                self.committed(now)  # the driver routes nothing, so it would not confirm anything
        except (ConnectionLostError, ChatAuthenticationError) as error:
            self._stream_failed(error, now)

    def _stream_failed(
        self, error: ConnectionLostError | ChatAuthenticationError, now: float
    ) -> None:
        if self.state is ChatState.AUTHENTICATED and not self.session.flowing:
            # The server answered our request to resume with the end of the stream, or with a count that
            # cannot be. The same would follow on the next link.
            self.session.cannot_resume()
        if isinstance(error, WrongCountError):
            self.session.distrust_counts()
        if self._goes_on_with_another_token(error):
            self._drop_stream()
        else:
            self._end_link(self._for_caller(error), now)

    def committed(self, now: float) -> None:
        """Acknowledge the stanzas of the server, once all outputs are routed."""
        self.session.committed(now)
        if self._machine.state not in READY_STATES:
            self._end_if_done(now)
        if self._broken is not None:
            self._end_if_broken(now)

    def overflowed(
        self, rejected: Sequence[Delivery], error: QueueOverflowError, now: float
    ) -> None:
        """Reject the newest deliveries, as the queue is full, and close the link until ``drained``.

        If a caller is waiting for the link, keep it open and ignore new deliveries.
        """
        self.session.reject(rejected)
        self.session.committed(now)
        if self.wants_link and not self._link_holders:
            self._waits_for_receivers = True
            self._end_link(error, now)
        self._end_if_broken(now)

    def fail(self, lost: Sequence[Delivery], reason: Exception) -> None:
        """Enter CLOSED without acknowledging the newest deliveries, which could not be committed."""
        self.session.lose_deliveries(lost)
        self.abort(reason)

    def hold_link(self, now: float) -> None:
        """Keep the link in spite of slow receivers: a caller, perhaps inside one of them, waits for it."""
        self._link_holders += 1
        if self._waits_for_receivers:
            self._waits_for_receivers = False
            self._retry(now)

    def release_link(self) -> None:
        """A caller waits for the link no longer."""
        self._link_holders -= 1

    def drained(self, error: QueueOverflowError, now: float) -> None:
        """Fetch the rejected messages, as the receivers have caught up after an overflow."""
        if self._waits_for_receivers:
            self._waits_for_receivers = False
            self._timers.set(_RETRY, now, self._retry)
        elif self.is_ready and self.session.has_rejected:
            self._end_link(error, now)
            # Without a delay: the server is not at fault.
            self._timers.set(_RETRY, now, self._retry)
        elif self.session.has_rejected:
            self._drained = error  # once we are ready: ending the link now would fail the login

    def tick(self, now: float) -> None:
        """Do what has become due."""
        while (action := self._timers.take_next(now)) is not None:
            action(now)
        try:
            self.session.tick(now)
        except LivenessError as error:
            stream = self._stream
            if stream is not None and stream.is_in_endless and self._is_endless_again():
                self._give_up_current(stream, "the server did not end this stanza", now)
            else:
                self._end_link(error, now)

    def _is_endless_again(self) -> bool:
        """Whether a stanza without an end has silenced two links at the same place of the session.

        Once it may be the link's fault, and the server sends everything again on the next one. The second
        time it is the stanza's fault: the server would send it on every link, unless it counts as handled.
        """
        if self._broken is not None:
            return False
        place = (self.session.resumable,)
        is_again, self._endless_at = self._endless_at == place, place
        return is_again

    # --- what becomes due ---

    def _retry(self, now: float) -> None:
        self.refused = None
        self._timers.cancel(_RETRY)
        if not self._first_login:  # a login keeps its deadline, however many links it needs
            self._timers.set(_ATTEMPT, now + self._config.timeouts.login, self._attempt_expired)
        self._machine.go(ChatState.RECONNECTING)

    def _attempt_expired(self, now: float) -> None:
        kind = LoginTimeoutError if self._first_login else ConnectTimeoutError
        self._end_link(kind("the chat server did not complete the login in time"), now)

    def _bound_skipping(self, stream: Stream, now: float) -> None:
        """Bound the time for which one element is skipped: nothing behind it arrives in that time."""
        if not stream.skips:
            self._timers.cancel(_SKIPPING)
        elif self._timers.due_at(_SKIPPING) is None:
            self._timers.set(_SKIPPING, now + _LONGEST_SKIP, self._skipping_expired)

    def _skipping_expired(self, now: float) -> None:
        stream = self._stream
        if stream is None or self._broken is not None:
            return
        reason = f"the server sent one stanza for more than {_LONGEST_SKIP:g} seconds"
        self._give_up_current(stream, reason, now)

    def _give_up_current(self, stream: Stream, reason: str, now: float) -> None:
        """Pass over the incomplete stanza, behind which nothing can arrive on this link."""
        try:
            for event in stream.give_up_current(reason):
                self._handle(event, now)
        except ConnectionLostError as error:
            self._end_link(self._for_caller(error), now)

    def _end_if_broken(self, now: float) -> None:
        """End the link behind a stanza that has broken the stream, once the stanzas before it are committed.

        The stanza counts as handled, and the server learns that by the acknowledgement or when the session is
        resumed. Otherwise it would send the stanza again on every link.
        """
        error = self._broken
        if error is not None and self._timers.due_at(_BROKEN) is None:
            if self.session.has_rejected:
                # A stanza before the broken one had no room, so the server sends both again. If it was the
                # gap that had no room, there must be some on the next link: history may be out of reach
                # until then.
                self.session.recovery.give_way(QueueOverflowError(_HELD_TOO_MUCH, receiver=None))
            self.session.answer()
            self._timers.set(_BROKEN, now, lambda now: self._end_link(error, now))

    def _send_end(self, now: float) -> None:
        """End the stream, and give the server a moment to do the same."""
        self._end_sent = True
        self.session.close_stream()
        self._timers.set(_CLOSING, now + _END_GRACE, lambda now: self._finish(None))

    # --- stream events ---

    def _handle(self, event: StreamEvent, now: float) -> None:
        if isinstance(event, Stanza):
            self.session.receive_stanza(event.item, now)
            self._ready_if_present(ChatState.READY, now)
        elif isinstance(event, Nonza):
            self.session.receive_nonza(event, now)
            self._ready_if_present(ChatState.READY, now)
            self._end_if_done(now)
        elif isinstance(event, Authenticated):
            self._machine.go(ChatState.AUTHENTICATED)
        elif isinstance(event, NotResumed):
            self.session.not_resumed(event.handled, now)
        elif isinstance(event, Resumed):
            self._note_features()
            self.session.resume(event.handled, now)
            self._ready_if_present(ChatState.RESUMED, now)
        elif isinstance(event, StreamBroken):
            self._broken = self._for_caller(event.error)
        elif isinstance(event, Bound):
            self._write_stream_output()
            self._note_features()
            self.session.begin(event, now)

    def _note_features(self) -> None:
        assert self._stream is not None
        self.session.limit(self._stream.most_bytes)
        self.session.takes_client_state = self._stream.takes_client_state

    def _ready_if_present(self, state: ChatState, now: float) -> None:
        """Become ready once messages reach the session, and not merely when it is bound or resumed."""
        session = self.session
        if self.state is not ChatState.AUTHENTICATED or not (
            session.flowing and session.is_present
        ):
            return
        self._timers.cancel(_ATTEMPT)
        self.refused = None
        self._first_login = False
        if state is ChatState.READY:
            self._resume_policy.new_session()
        self._backoff.ready(now)
        self._machine.go(state)
        self.session.presence_sent()
        drained, self._drained = self._drained, None
        if drained is not None:
            self.drained(drained, now)

    # --- ends ---

    def _end_link(self, error: Exception, now: float) -> None:
        """End the link; plan the next attempt, or enter CLOSED."""
        is_of_resumed = self._resume_policy.link_ended(self.session, self.state, error)
        is_of_stanza = self._broken is not None or self._blames_stanza(error)
        self._drop_stream()
        if self.state is ChatState.CLOSING:
            self._finish(None)
            return
        self._backoff.lost(now)
        if is_of_stanza:
            # The next link begins behind the stanza, or tries it alone. However many stanzas break a link,
            # each is one step further, so none of these links counts towards giving up.
            self._backoff.reset()
            self._machine.go(ChatState.FORCE_CLOSED, error)
            if self._first_login:
                self._retry(now)
            elif not self._waits_for_receivers:
                self._plan_retry(error, now)
            return
        self._timers.cancel(_ATTEMPT)
        if isinstance(error, ChatAuthenticationError):
            self._machine.go(ChatState.AUTHENTICATION_FAILURE, error)
            self._finish(error)
            return
        self._machine.go(ChatState.FORCE_CLOSED, error)
        is_permanent = isinstance(error, StreamError) and error.condition in PERMANENT
        if self._first_login or (is_permanent and not is_of_resumed):
            self._finish(error)
        elif not self._waits_for_receivers:  # else drained() plans it
            self._plan_retry(error, now)

    def _blames_stanza(self, error: Exception) -> bool:
        """Whether a stream error may be about a stanza of ours, which the session then suspects."""
        return (
            isinstance(error, StreamError)
            and error.condition in _OF_STANZAS
            and self.session.suspect(error)
        )

    def _plan_retry(self, error: Exception, now: float) -> None:
        delay = self._backoff.next_delay()
        if delay is None:
            self._finish(error)
        else:
            self._timers.set(_RETRY, now + delay, self._retry)

    def _goes_on_with_another_token(self, error: Exception) -> bool:
        """Whether the attempt goes on with another link and another token, once for each attempt."""
        credentials = self.credentials
        assert credentials is not None
        if (
            self.refused is not None
            or not credentials.by_token
            or not isinstance(error, ChatAuthenticationError)
            or error.condition not in _REFUSALS
        ):
            return False
        self.refused = credentials.password
        return True

    def _end_if_done(self, now: float) -> None:
        if self.state is ChatState.CLOSING and not self._end_sent and not self.session.unfinished:
            self._send_end(now)

    def _drop_stream(self) -> None:
        self._stream = self._drained = self._broken = None
        self._timers.cancel(_SKIPPING)
        self._timers.cancel(_BROKEN)
        self.session.link_down()

    def _finish(self, reason: Exception | None) -> None:
        """Enter CLOSED and cancel all timers; without a ``reason``, for that of ``close``."""
        reason, self._end_reason = reason or self._end_reason, None
        self._stream = self.refused = self._broken = None
        self._timers.clear()
        self._end_sent = self._waits_for_receivers = False
        self.abandoned = self.session.end(reason or NotConnectedError("logged out"))
        if self._logs_out:
            self.session.recovery.forget()
        self._logs_out = False
        self.closed_reason = reason
        self._machine.go(ChatState.CLOSED, reason)

    # --- helpers ---

    def _for_caller(self, error: Exception) -> Exception:
        """Take out of an error of the stream what the server repeated of our secrets, and what it sent.

        The frames that read the stream have the server's bytes in their locals.
        """
        assert self.credentials is not None
        secrets = self.credentials.secrets(self._addresses)
        error.args = (peer_text(str(error), secrets),)
        if isinstance(error, StreamError | ChatAuthenticationError):
            error.condition = peer_text(error.condition, secrets)
        error.__traceback__ = error.__context__ = error.__cause__ = None
        return error

    def _state_changed(self, change: StateChange) -> None:
        self.session.report("state_changed", change)

    def _renew_session(self) -> None:
        reported = self.session.outputs
        self.session = self._new_session()
        self.session.outputs += reported

    def _new_session(self) -> Session:
        return Session(
            self._config,
            self._addresses,
            self._new_id,
            self.counters,
            self._fills_gaps,
            self._wants_sent,
        )

    def _write_stream_output(self) -> None:
        if self._stream is not None:
            for part in self._stream.output:
                self.session.write(part)
            self._stream.output.clear()
