"""The chat connection without I/O: bytes, time and commands in; bytes, outputs and the next deadline out.

It knows no socket, thread, clock or random source. Its driver
- opens a link when ``wants_link`` says so and reports ``link_up`` or ``link_lost``,
- feeds what arrives to ``receive``, hands the outputs over and confirms with ``taken_over``,
- writes ``outgoing`` and calls ``tick`` when ``next_deadline`` has come.

Times are seconds on any clock that only goes forward. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, evolve, frozen

from ...config import Config
from ...errors import (
    AuthenticationError,
    ConnectionLostError,
    ConnectTimeoutError,
    LivenessError,
    LoginTimeoutError,
    NotConnectedError,
    OutcomeUnknownError,
    QueueOverflowError,
    StreamError,
)
from ...models import ChatState, Message, MessageFailure, MessageSent, StateChange
from . import namespaces as ns
from .addresses import Addresses
from .backoff import Backoff
from .liveness import Liveness
from .markup import attribute
from .messages import Delivery, decode, encode_marker
from .nodes import child, children
from .outbox import Outbound, Outbox, Submission
from .parser import MessageStanza
from .repetitions import Repetitions
from .requests import Answer, PendingRequests
from .states import READY_STATES, StateMachine
from .stream import (
    Authenticated,
    Bound,
    Credentials,
    Nonza,
    NotResumed,
    Resumable,
    Resumed,
    Stanza,
    Stream,
    StreamEvent,
)

__all__ = ["Core", "Lookup", "Output", "Settled"]

PERMANENT = frozenset(
    {
        "conflict",
        "host-gone",
        "host-unknown",
        "invalid-from",
        "invalid-namespace",
        "not-authorized",
        "policy-violation",
        "unsupported-version",
    }
)
"""Stream error conditions after which the same attempt would only fail again. (RFC 6120, 4.9.3.)"""

_END_GRACE = 1.0  # seconds the server has to answer our end of the stream


@frozen
class Settled:
    """The outcome of a submission: acknowledged by the server, or ``error``."""

    submission: Submission
    error: Exception | None = None


@frozen
class Lookup:
    """A question to history: which of these messages does it hold? Answer with ``looked_up``."""

    submissions: tuple[Submission, ...]


Output = Delivery | Settled | Answer | Lookup


@define
class Counters:
    """What happened without an event of its own; for diagnosis."""

    repeated: int = 0
    """Messages that had been seen before and were not delivered again."""
    not_understood: int = 0
    """Stanzas that mean nothing to this package."""
    unclaimed_answers: int = 0
    """IQ answers that nobody waited for, or from the wrong sender."""
    fleeting_dropped: int = 0
    """Typing events that were not sent because the link was down."""


class Core:
    """One user's chat connection, through all its links and sessions."""

    def __init__(
        self,
        config: Config,
        *,
        new_id: Callable[[], str],
        random: Callable[[], float],
    ) -> None:
        self._config = config
        self._new_id = new_id
        self.addresses = Addresses(config.app_id, config.chat_host)
        self._server_names = frozenset({None, config.chat_host})
        self.credentials: Credentials | None = None
        self.jid: str | None = None
        self.counters = Counters()
        self.outgoing = bytearray()
        self.closed_reason: Exception | None = None
        self._machine = StateMachine(self._state_changed)
        self._outputs: list[Output] = []
        self._backoff = Backoff(config.reconnect, random)
        self._liveness = Liveness(
            config.timeouts.liveness_interval, config.timeouts.liveness_answer
        )
        self._outbox = Outbox(config.limits)
        self._requests = PendingRequests()
        self._repetitions = Repetitions()
        self._stream: Stream | None = None
        self._first_login = False
        self._attempt_deadline: float | None = None
        self._retry_at: float | None = None
        self._held = False  # the reconnection waits for the receivers
        self._closing_deadline: float | None = None
        self._end_sent = False
        self._looking_up: list[Outbound] = []
        # The stream-managed session (XEP-0198), which outlives its links:
        self._managed = False
        self._resume_id: str | None = None
        self._failed_resumes = 0
        self._received = 0  # stanzas from the server
        self._handled = 0  # those of them that were taken over
        self._answer_due = False
        self._asked_at = 0  # how much was sent when the server was last asked
        self._barrier: str | None = None  # the ping that asks, where nothing is counted
        self._to_mark: list[tuple[int, Message]] = []

    # --- what the driver looks at ---

    @property
    def state(self) -> ChatState:
        """The connection's state."""
        return self._machine.state

    @property
    def is_ready(self) -> bool:
        """Whether messages flow."""
        return self.state in READY_STATES

    @property
    def wants_link(self) -> bool:
        """Whether there should be a link, or an attempt to make one."""
        if self.state is ChatState.CLOSING:
            return self._stream is not None
        return self.state in READY_STATES or self.state in _ATTEMPTING

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
        return self._attempt_deadline

    @property
    def next_deadline(self) -> float | None:
        """When ``tick`` has something to do, or None."""
        times = (
            self._attempt_deadline,
            self._retry_at,
            self._closing_deadline,
            self._liveness.deadline,
        )
        return min((time for time in times if time is not None), default=None)

    @property
    def unfinished(self) -> int:
        """How many stanzas wait for the link or for the server's acknowledgement."""
        return len(self._outbox) + len(self._looking_up)

    def take_outputs(self) -> list[Output]:
        """Return what has happened since the last call, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    # --- commands ---

    def login(self, credentials: Credentials, now: float, deadline: float) -> None:
        """Begin the one attempt that ``chat.login()`` is; its failure ends in CLOSED."""
        self.credentials = credentials
        self._first_login = True
        self._begin(ChatState.CONNECTING, deadline)

    def relogin(self, now: float) -> None:
        """Attempt now: what a lost or closed connection would do later, or not at all."""
        if self.state is ChatState.CLOSED and self.credentials is not None:
            self._first_login = False
            self._begin(ChatState.RECONNECTING, now + self._config.timeouts.login)
        elif self.state is ChatState.FORCE_CLOSED and not self._held:
            self._backoff.reset()
            self._retry_at = now
            self.tick(now)

    def _begin(self, state: ChatState, deadline: float) -> None:
        self.closed_reason = None
        self._resume_id = None
        self._backoff.reset()
        self._attempt_deadline = deadline
        self._machine.go(state)

    def has_room(self, size: int) -> bool:
        """Whether a message of ``size`` bytes fits into the outbound buffer."""
        return self._outbox.has_room(size)

    def submit(self, submission: Submission, data: bytes, now: float) -> None:
        """Send a chat message, now or once the link is there."""
        self._check_open()
        self._outbox.add(Outbound(data, submission))
        self._flush(now)

    def send_marker(self, name: str, message: Message, now: float) -> None:
        """Tell a message's sender that it was 'received' or 'displayed', now or later."""
        self._check_open()
        assert message.sender_id is not None and message.id is not None
        to = self.addresses.user(message.sender_id)
        data = encode_marker(name, message.id, message.dialog_id, to, self._new_id())
        self._outbox.add(Outbound(data))
        self._flush(now)

    def send_fleeting(self, data: bytes, now: float) -> None:
        """Send what has no meaning later: it is dropped while the link is down."""
        self._check_open()
        if self.is_ready:
            self._send_now(data)
        else:
            self.counters.fleeting_dropped += 1

    def request(self, kind: str, to: str | None, payload: str, ticket: Any, now: float) -> str:
        """Send an IQ and return its id; the :class:`Answer` carries ``ticket``.

        Raises NotConnectedError unless ready.
        """
        self._check_open()
        if not self.is_ready or self.jid is None:
            raise NotConnectedError("the chat connection is not ready")
        request_id = self._new_id()
        target = f' to="{attribute(to)}"' if to is not None else ""
        self._requests.add(request_id, to, self.jid, ticket)
        self._send_now(f'<iq type="{kind}" id="{request_id}"{target}>{payload}</iq>'.encode())
        return request_id

    def forget_request(self, request_id: str) -> None:
        """Nobody waits for that answer any more."""
        self._requests.forget(request_id)

    def close(self, now: float, deadline: float) -> None:
        """Log out: let the server acknowledge what was sent, end the stream, until ``deadline``."""
        if not self._is_open:
            return
        was_ready = self.is_ready
        self._machine.go(ChatState.CLOSING)
        self._retry_at = self._attempt_deadline = None
        self._held = False
        if not was_ready:
            self._finish(None)
            return
        self._closing_deadline = deadline - _END_GRACE
        if self._outbox.unacknowledged and not self._liveness.waiting:
            self._ask(now)
        self._end_if_done(now)

    def abort(self, reason: Exception | None) -> None:
        """Enter CLOSED at once, whatever was going on."""
        if self._is_open:
            self._machine.go(ChatState.CLOSING)
        if self.state is ChatState.CLOSING:
            self._finish(reason)

    def reset(self) -> None:
        """Go from CLOSED to IDLE and forget who was logged in."""
        self.credentials = self.jid = self.closed_reason = None
        self._machine.go(ChatState.IDLE)

    def start_closed(self, reason: Exception) -> None:
        """Be CLOSED from the beginning: what a fork inherits."""
        self._machine = StateMachine(self._state_changed, ChatState.CLOSED)
        self.closed_reason = reason

    # --- the link ---

    def link_up(self, now: float) -> None:
        """A verified link is there: begin the stream."""
        assert self.credentials is not None
        resumable = Resumable(self._resume_id, self._handled) if self._resume_id else None
        self.outgoing.clear()
        self._stream = Stream(
            self.addresses, self.credentials, resumable, self._config.limits, self._new_id
        )
        self._write_stream_output()

    def link_lost(self, error: Exception, now: float) -> None:
        """The link ended, or could not be made."""
        if self.wants_link:
            self._end_link(error, now)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the link; call ``taken_over`` once the outputs are handed over."""
        stream = self._stream
        if stream is None:
            return
        try:
            for event in stream.receive(data):
                self._handle(event, now)
                if self._stream is not stream:
                    return
            self._write_stream_output()
        except (ConnectionLostError, AuthenticationError) as error:
            if self.state is ChatState.AUTHENTICATED:
                # The server ended the stream over our attempt to resume: the same would follow.
                self._resume_id = None
            self._end_link(error, now)

    def taken_over(self, now: float) -> None:
        """All outputs were handed over: acknowledge what the server wants acknowledged."""
        self._handled = self._received
        marks, self._to_mark = self._to_mark, []
        for _, message in marks:
            self._mark_delivered(message, now)
        if self._answer_due and self.is_ready:
            self._answer_due = False
            self._write(f'<a xmlns="{ns.STREAM_MANAGEMENT}" h="{self._handled}"/>')

    def overflowed(
        self, refused: Sequence[Delivery], error: QueueOverflowError, now: float
    ) -> None:
        """There was no room for ``refused``, the newest deliveries: close the link until ``drained``.

        Only what came before them counts as handled, so the server sends them again.
        """
        first = refused[0].sequence
        assert first is not None
        self._handled = (first - 1) % 2**32
        marks, self._to_mark = self._to_mark, []
        for sequence, message in marks:
            if _before(sequence, first):
                self._mark_delivered(message, now)
        for delivery in refused:
            if delivery.key is not None:
                self._repetitions.forget(delivery.key)
        if self.wants_link:
            self._held = True
            self._end_link(error, now)

    def drained(self, now: float) -> None:
        """The receivers have caught up after an overflow."""
        if self._held:
            self._held = False
            if self.state is ChatState.FORCE_CLOSED:
                self._retry_at = now

    def tick(self, now: float) -> None:
        """Do what has become due."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._attempt_deadline = now + self._config.timeouts.login
            self._machine.go(ChatState.RECONNECTING)
        if self._attempt_deadline is not None and now >= self._attempt_deadline:
            kind = LoginTimeoutError if self._first_login else ConnectTimeoutError
            self._end_link(kind("the chat server did not complete the login in time"), now)
        if self._liveness.is_dead(now):
            seconds = self._config.timeouts.liveness_answer
            self._end_link(
                LivenessError(f"the chat server did not answer for {seconds:g} seconds"), now
            )
        elif self._liveness.is_due(now):
            self._ask(now)
        if self._closing_deadline is not None and now >= self._closing_deadline:
            if self._end_sent:
                self._finish(None)
            else:
                self._send_end(now)

    # --- stream events ---

    def _handle(self, event: StreamEvent, now: float) -> None:
        if isinstance(event, Stanza):
            self._received = (self._received + 1) % 2**32
            self._handle_stanza(event.item, now)
        elif isinstance(event, Nonza):
            self._handle_nonza(event, now)
        elif isinstance(event, Authenticated):
            self._machine.go(ChatState.AUTHENTICATED)
        elif isinstance(event, Resumed):
            self._settle(self._outbox.acknowledge(event.handled))
            self._write_stream_output()
            for outbound in self._outbox.unacknowledged:
                self._write(outbound.data)
            self._ready(ChatState.RESUMED, now)
        elif isinstance(event, NotResumed):
            if event.handled is not None:
                self._settle(self._outbox.acknowledge(event.handled))
            self._lose_session(event.handled is not None)
        elif isinstance(event, Bound):
            self._lose_session(exact=False)
            self.jid = event.jid
            self._managed, self._resume_id = event.managed, event.resume_id
            self._received = self._handled = 0
            self._write_stream_output()
            self._send_now(b"<presence/>")
            self._ready(ChatState.READY, now)

    def _ready(self, state: ChatState, now: float) -> None:
        self._attempt_deadline = None
        self._first_login = False
        self._failed_resumes = 0
        self._barrier = None
        self._backoff.ready(now)
        self._liveness.start(now)
        self._machine.go(state)
        self._flush(now)

    def _handle_nonza(self, nonza: Nonza, now: float) -> None:
        if nonza.name == "r":
            self._answer_due = True
            return
        assert nonza.h is not None
        self._acknowledged(nonza.h, now)

    def _acknowledged(self, h: int, now: float) -> None:
        self._settle(self._outbox.acknowledge(h))
        self._liveness.answered(now)
        if self._outbox.unacknowledged and self._outbox.sent != self._asked_at:
            self._ask(now)
        self._end_if_done(now)

    def _handle_stanza(self, item: Any, now: float) -> None:
        if isinstance(item, MessageStanza):
            self._handle_message(item)
        elif item.name == "iq":
            self._handle_iq(item, now)
        else:
            self.counters.not_understood += 1

    def _handle_message(self, stanza: MessageStanza) -> None:
        assert self.credentials is not None
        delivery = decode(stanza, self.addresses, self.credentials.user_id)
        if delivery is None:
            self.counters.not_understood += 1
            return
        if delivery.key is not None and not self._repetitions.is_new(delivery.key):
            self.counters.repeated += 1
            return
        delivery = evolve(delivery, sequence=self._received)
        event = delivery.event
        if isinstance(event, MessageFailure):
            self._refuse(event)
        elif isinstance(event, Message) and event.markable and event.id and not event.own:
            self._to_mark.append((self._received, event))
        self._outputs.append(delivery)

    def _handle_iq(self, iq: Any, now: float) -> None:
        kind, request_id = iq.attrs.get("type"), iq.attrs.get("id")
        if kind in ("result", "error"):
            if request_id == self._barrier and iq.attrs.get("from") in self._server_names:
                self._barrier = None
                self._acknowledged(self._asked_at, now)
                return
            answer = self._requests.answer(iq)
            if answer is None:
                self.counters.unclaimed_answers += 1
            else:
                self._outputs.append(answer)
        elif kind in ("get", "set") and request_id:
            self._answer_iq(iq, request_id, kind)

    def _answer_iq(self, iq: Any, request_id: str, kind: str) -> None:
        sender = iq.attrs.get("from")
        to = f' to="{attribute(sender)}"' if sender else ""
        if kind == "get" and child(iq, "ping", ns.PING) is not None:
            reply = f'<iq type="result" id="{attribute(request_id)}"{to}/>'
        else:
            if not any(children(iq)):
                self.counters.not_understood += 1
            reply = (
                f'<iq type="error" id="{attribute(request_id)}"{to}><error type="cancel">'
                f'<service-unavailable xmlns="{ns.STANZAS}"/></error></iq>'
            )
        self._send_now(reply.encode())

    # --- what we send ---

    def _flush(self, now: float) -> None:
        """Write what waits, unless it must stay behind messages that history is asked about."""
        if not self.is_ready or self._looking_up:
            return
        for outbound in self._outbox.take():
            self._write(outbound.data)
        if self._outbox.unacknowledged and not self._liveness.waiting:
            self._ask(now)

    def _send_now(self, data: bytes) -> None:
        """Write a stanza that belongs to this session only: it is counted, never sent again later."""
        self._outbox.add_written(Outbound(data, session_only=True))
        self._write(data)

    def _ask(self, now: float) -> None:
        """Ask the server how far it is: by XEP-0198 or, where nothing is counted, by a ping.

        A server handles a client's stanzas in order (RFC 6120, 10.1), so the answer to a ping
        covers everything before it.
        """
        self._asked_at = self._outbox.sent
        self._liveness.asked(now)
        if self._managed:
            self._write(f'<r xmlns="{ns.STREAM_MANAGEMENT}"/>')
        else:
            self._barrier = self._new_id()
            self._write(
                f'<iq type="get" id="{self._barrier}" to="{attribute(self.addresses.host)}">'
                f'<ping xmlns="{ns.PING}"/></iq>'
            )

    def _mark_delivered(self, message: Message, now: float) -> None:
        if self._config.auto_delivered and self._is_open:
            self.send_marker("received", message, now)

    def _settle(self, acknowledged: list[Outbound]) -> None:
        for outbound in acknowledged:
            if outbound.submission is not None:
                self._sent(outbound.submission)

    def _sent(self, submission: Submission) -> None:
        message = submission.message
        assert message.id is not None
        self._outputs.append(Settled(submission))
        self._report(
            "message_sent",
            MessageSent(message_id=message.id, dialog=submission.dialog, message=message),
            submission.conversation,
        )

    def _failed(self, submission: Submission, error: Exception) -> None:
        self._outputs.append(Settled(submission, error))
        self._report(
            "message_failed",
            MessageFailure(
                message_id=submission.message.id, dialog_id=submission.dialog.id, error=error
            ),
            submission.conversation,
        )

    def _report(self, signal: str, event: Any, conversation: str | None = None) -> None:
        self._outputs.append(Delivery(signal=signal, event=event, conversation=conversation))

    def _refuse(self, failure: MessageFailure) -> None:
        """An error came back for a message of ours: that is its outcome, if it has none yet."""
        for outbound in self._outbox.unacknowledged:
            submission = outbound.submission
            if submission is not None and submission.message.id == failure.message_id:
                outbound.submission = None
                self._outputs.append(Settled(submission, failure.error))
                return

    # --- sessions that could not be resumed ---

    def _lose_session(self, exact: bool) -> None:
        """The old session is gone; ``exact``: everything left in the outbox was not handled."""
        self._resume_id = None
        self._answer_due = False
        for answer in self._requests.fail(
            ConnectionLostError("the session ended before the answer came")
        ):
            self._outputs.append(answer)
        left = [o for o in self._outbox.begin_session() if not o.session_only]
        if exact:
            self._outbox.put_back(left)
            return
        doubtful = []
        for outbound in left:
            if outbound.submission is None:
                continue  # a marker: nobody can know, and nobody waits
            if outbound.submission.in_history:
                doubtful.append(outbound)
            else:
                self._failed(outbound.submission, _unknown())
        if doubtful:
            self._looking_up += doubtful
            self._outputs.append(Lookup(tuple(o.submission for o in doubtful if o.submission)))

    def looked_up(self, asked: Lookup, found: frozenset[str] | None, now: float) -> None:
        """History's answer: the ids it holds, or None if it could not be read.

        What it holds had arrived; what it lacks is sent again, before anything newer.
        """
        ours = {id(submission) for submission in asked.submissions}
        answered = [o for o in self._looking_up if id(o.submission) in ours]
        self._looking_up = [o for o in self._looking_up if id(o.submission) not in ours]
        again = []
        for outbound in answered:
            submission = outbound.submission
            assert submission is not None
            if found is None:
                self._failed(submission, _unknown())
            elif submission.message.id in found:
                self._sent(submission)
            else:
                again.append(outbound)
        self._outbox.put_back(again)
        self._flush(now)

    # --- ends ---

    def _end_link(self, error: Exception, now: float) -> None:
        self._drop_stream()
        if self.state is ChatState.CLOSING:
            self._finish(None)
            return
        if self.state is ChatState.AUTHENTICATED and self._resume_id is not None:
            self._failed_resumes += 1
            if self._failed_resumes > 1:  # some servers close without a word when they dislike h
                self._resume_id = None
        self._backoff.lost(now)
        self._attempt_deadline = None
        if isinstance(error, AuthenticationError):
            self._machine.go(ChatState.AUTHENTICATION_FAILURE, error)
            self._finish(error)
            return
        self._machine.go(ChatState.FORCE_CLOSED, error)
        permanent = isinstance(error, StreamError) and error.condition in PERMANENT
        if self._first_login or permanent:
            self._finish(error)
        elif not self._held:
            delay = self._backoff.next_delay()
            if delay is None:
                self._finish(error)
            else:
                self._retry_at = now + delay

    def _drop_stream(self) -> None:
        self._stream = None
        self.outgoing.clear()
        self._liveness.stop()

    def _end_if_done(self, now: float) -> None:
        if self.state is ChatState.CLOSING and not self._end_sent and not self.unfinished:
            self._send_end(now)

    def _send_end(self, now: float) -> None:
        self._end_sent = True
        if self._managed:
            # So that the server knows what was handled and keeps only the rest.
            self._write(f'<a xmlns="{ns.STREAM_MANAGEMENT}" h="{self._handled}"/>')
        self._write("</stream:stream>")
        self._closing_deadline = now + _END_GRACE

    def _finish(self, reason: Exception | None) -> None:
        """Enter CLOSED: nothing goes on, and every waiter is told the truth."""
        self._drop_stream()
        self._resume_id = None
        self._retry_at = self._attempt_deadline = self._closing_deadline = None
        self._end_sent = self._held = False
        gone = reason or NotConnectedError("logged out")
        self._outputs.extend(self._requests.fail(gone))
        left = [*self._looking_up, *self._outbox.clear()]
        self._looking_up = []
        for outbound in left:
            if outbound.submission is not None:
                self._failed(outbound.submission, _unknown() if outbound.attempted else gone)
        self.closed_reason = reason
        self._machine.go(ChatState.CLOSED, reason)

    # --- small things ---

    def _state_changed(self, change: StateChange) -> None:
        self._report("state_changed", change)

    @property
    def _is_open(self) -> bool:
        return self.state not in _CLOSED and self.state is not ChatState.CLOSING

    def _check_open(self) -> None:
        if not self._is_open:
            raise NotConnectedError(
                f"the chat connection is {self.state.value}: call chat.login() first"
            )

    def _write_stream_output(self) -> None:
        if self._stream is not None:
            for part in self._stream.output:
                self._write(part)
            self._stream.output.clear()

    def _write(self, data: str | bytes) -> None:
        self.outgoing += data.encode() if isinstance(data, str) else data


_CLOSED = frozenset({ChatState.IDLE, ChatState.CLOSED})
_ATTEMPTING = frozenset({ChatState.CONNECTING, ChatState.AUTHENTICATED, ChatState.RECONNECTING})


def _unknown() -> OutcomeUnknownError:
    return OutcomeUnknownError("the connection ended before the server acknowledged the message")


def _before(sequence: int, limit: int) -> bool:
    """Whether ``sequence`` comes before ``limit`` on a counter that wraps at 2^32."""
    return 0 < (limit - sequence) % 2**32 < 2**31
