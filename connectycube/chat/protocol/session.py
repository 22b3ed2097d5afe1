"""The stanzas that outlive a link: sent and not acknowledged, or received and not yet handled. (XEP-0198.)

The session counts stanzas in both directions and reports the outcome of every message. When a session
cannot be resumed, it decides which stanzas are sent again. Links, attempts and states are in the core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import Literal

from ...config import Config
from ...errors import (
    ArgumentValueError,
    ConnectionLostError,
    LivenessError,
    OutcomeUnknownError,
    SendDeferredError,
    StanzaError,
    StreamError,
    UnexpectedAnswerError,
)
from ...models import DialogRef, Message, MessageFailure, MessageSent
from . import namespaces as ns
from .addresses import Addresses
from .decoding import Delivery, Unreported, decode_refused
from .encoding import encode_iq, encode_marker
from .events import (
    Bound,
    CheckStored,
    Counters,
    Nonza,
    OutcomeKnown,
    Output,
    Resumable,
    new_outcome,
)
from .inbound import Inbound
from .iq import Answer, PendingRequests, decode_push
from .liveness import Liveness
from .markup import attribute
from .nodes import Node
from .outbox import Outbound, Outbox, Submission
from .parser import MessageStanza, RefusedElement, StanzaItem
from .recovery import Recovery
from .rooms import Rooms
from .roster import ROSTER_QUERY
from .seen_messages import Key, SeenMessages
from .sent_typing import SentTyping
from .timers import Timers

__all__ = ["DEFERRED", "Session"]

_MOST_QUESTIONS = 8  # questions without an answer whose times are kept
_MOST_UNREAD = 33_554_432  # bytes that wait for the socket; beyond them no acknowledgement is added
DEFERRED = (
    "the connection ended before the server acknowledged the message; the durable store keeps it, and the"
    " next login sends it unless history shows that it had arrived"
)
# The waiter of a request behind the presence: its answer shows that we are present.
_PRESENT = object()


class _Outgoing(bytearray):
    """Bytes for the link. No repr shows them: the response of SASL is among them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes for the link>"


class Session:
    """One user's session with the server, through any number of links.

    It appends bytes to ``outgoing`` and outputs to ``outputs``. Messages wait while ``flowing`` is false
    (no link, or not ready), and in a resumed session until the server has answered on the new link.
    ``wants_sent()`` says whether "message_sent" has a receiver, a stream or an observer: mostly it has none.
    """

    def __init__(
        self,
        config: Config,
        addresses: Addresses,
        new_id: Callable[[], str],
        counters: Counters,
        fills_gaps: bool,
        wants_sent: Callable[[], bool],
    ) -> None:
        self._config = config
        self._addresses = addresses
        self._server_names = frozenset({None, addresses.host})
        self._new_id = new_id
        self.me = 0
        self.jid: str | None = None
        self.outgoing: _Outgoing = _Outgoing()
        self.outputs: list[Output] = []  # always the same list
        self._counters = counters
        times = config.timeouts
        again = min(times.acknowledgement / 6, times.liveness_answer / 3)
        self.liveness: Liveness = Liveness(times.liveness_interval, times.liveness_answer, again)
        self.flowing: bool = False
        self.takes_client_state = False
        """Whether the server of this link can be told that the client is inactive. (XEP-0352.)"""
        self._is_inactive = False  # as the server is told with XEP-0352
        self.is_present: bool = False
        """Whether the server has handled the presence of this session: from then on messages reach us."""
        self._has_answered = False  # the server, on this link
        # In a resumed session nothing is sent until the server has answered on the new link.
        self._holds_back = False
        self._outbox = Outbox(config.limits)
        self.has_room: Callable[[int], bool] = self._outbox.has_room
        """``has_room(size)`` says whether a message of so many bytes fits into the outbound buffer."""
        self._sent_typing = SentTyping()
        self._requests = PendingRequests()
        self.timers: Timers[bytes | Delivery] = Timers()  # what to send, and what to deliver
        self._wants_sent = wants_sent
        self._rooms = Rooms(addresses, new_id, self._send_now)
        seen_messages = self._seen_messages = SeenMessages()
        self.recovery: Recovery = Recovery(
            config,
            addresses,
            seen_messages,
            counters,
            self.outputs.append,
            lambda: self.me,
            fills_gaps,
            self._rooms.dialog,
        )
        self._inbound = Inbound(
            config,
            addresses,
            self._rooms,
            self.timers,
            counters,
            seen_messages,
            self.recovery,
            new_id,
            self.outputs.append,
            self._refused,
        )
        self.receive_plain: Callable[[Delivery, float], None] = self._inbound.receive_plain
        """Count a plain message and emit its outputs: ``receive_plain(delivery, now)``."""
        self._session_requests: dict[Hashable, tuple[str, str | None, str]] = {
            "carbons": ("set", None, f'<enable xmlns="{ns.CARBONS}"/>'),
            # Servers push roster changes only to clients that have requested the roster (RFC 6121, 2.2).
            "contacts": ("get", None, ROSTER_QUERY),
        }
        # Messages that may have arrived; history is asked whether they have.
        self._in_doubt: list[Outbound] = []
        self._managed = False  # stanzas are counted and acknowledged (XEP-0198)
        self.trusts_counts: bool = True
        """Whether the server counts our stanzas correctly; if not, the next session does without counting."""
        self.most_bytes: int = config.limits.message_bytes
        """The largest stanza that may be sent."""
        self._resume_id: str | None = None
        self._answer_due = False  # the server has asked how many of its stanzas we have handled
        self._asked_at = 0  # the count of stanzas sent, or to be replayed, at the last question
        # The times of the questions without an answer, on this link. If the server loses a question, its time
        # goes to the next answer. That time is too early, so a gap would only begin earlier than it must.
        self._asked_when: deque[float] = deque(maxlen=_MOST_QUESTIONS)
        # The id of the ping that stands for <r/> where nothing is counted.
        self._barrier: str | None = None

    @property
    def resumable(self) -> Resumable | None:
        """What a new stream needs to go on with this session, or None."""
        return Resumable(self._resume_id, self._inbound.handled) if self._resume_id else None

    @property
    def is_proven(self) -> bool:
        """Whether the server has shown that it reads our stanzas on this link."""
        return self._has_answered and not self._holds_back

    @property
    def unfinished(self) -> int:
        """The number of stanzas that wait for the link or for the server's acknowledgement."""
        return len(self._outbox) + len(self._in_doubt)

    @property
    def messages_waiting(self) -> int:
        """The number of messages that wait for the link."""
        return self._outbox.messages_waiting

    def write(self, data: str | bytes) -> None:
        """Append to the bytes to be written."""
        self.outgoing += data.encode() if isinstance(data, str) else data

    def take_outputs(self) -> list[Output]:
        """Return the outputs since the last call, in order."""
        outputs = self.outputs[:]
        self.outputs.clear()
        return outputs

    def report(self, signal: str, event: object, conversation: str | None = None) -> None:
        """Emit an event that did not come from a stanza."""
        self.outputs.append(Delivery(signal=signal, event=event, conversation=conversation))

    # --- its life ---

    def begin(self, bound: Bound, now: float) -> None:
        """Begin a new session, after the stanzas of the old one have been dealt with."""
        self.session_lost()
        self.jid = bound.jid
        self._managed, self._resume_id = bound.managed, bound.resume_id
        self._inbound.begin()
        self.is_present = False
        self.recovery.begin()
        self._asked_when.append(now)  # the requests below are a question, too
        # The presence first: from then on the server routes messages to us (RFC 6121, 4.2). It handles
        # stanzas in order, so the answer to a request behind the presence shows that it is handled.
        self._send_now(b"<presence/>")
        for key, (kind, to, payload) in self._session_requests.items():
            self.request(kind, to, payload, _PRESENT if key == "carbons" else None)
        self._flow(now)

    def resume(self, h: int, now: float) -> None:
        """Go on with a resumed session: stanzas that the server has not handled are replayed before new ones.

        Nothing is sent before the server has answered on this link: prosody 0.12 may go on in the middle of a
        stanza that the earlier link left half read, and then ignores everything. So a stanza that was held
        back has certainly not arrived.
        """
        self._settle(self._outbox.handled(h), now)
        self.is_present |= h > 0  # the presence was the first stanza of the session
        self._inbound.resume()
        self._holds_back = True
        self._flow(now)
        self.ask(now)

    def _flow(self, now: float) -> None:
        self._barrier = None
        self.flowing = True
        # Ahead of the messages to these rooms: a room refuses messages of a user who has not joined it.
        with self._outbox.ahead():
            self._rooms.enter(self.me)
        self.liveness.start(now)
        if self._is_inactive:  # the server forgets it with the link
            self._write_client_state("inactive")
        self.flush(now)

    def release_held_back(self, now: float) -> None:
        """Replay, once the server has answered in a resumed session and the stream goes on.

        Called after everything that has arrived was read, because a server may send an acknowledgement and
        end the stream with an error right behind it.
        """
        if not (self.flowing and self._holds_back and self._has_answered):
            return
        self._holds_back = False
        if self._is_inactive:  # the server forgets it with the link
            self._write_client_state("inactive")
        self.flush(now)
        self.ask_if_needed(now)

    def presence_sent(self) -> None:
        """Messages reach this session from now on; ask history for the messages before."""
        self.recovery.ask()

    def link_down(self) -> None:
        """Forget what belonged to the link."""
        self._asked_when.clear()
        self.flowing = self._has_answered = self._holds_back = False
        self.outgoing.clear()
        self.liveness.stop()

    def cannot_resume(self) -> None:
        """Do not attempt to resume this session again."""
        self._resume_id = None

    def distrust_counts(self) -> None:
        """Count nothing in the next session, after a wrong count; this one cannot be resumed."""
        self.trusts_counts = False
        self.cannot_resume()

    def not_resumed(self, h: int | None, now: float) -> None:
        """The server does not know the session any more; ``h`` is its last count, if it still has one."""
        # The gap begins before the outcomes: what was sent may be newer than what was lost on its way.
        self.recovery.begin()
        if h is not None:
            self._settle(self._outbox.handled(h), now)
        self.session_lost()

    def session_lost(self) -> None:
        """Decide about each stanza that the lost session leaves behind.

        A message that has certainly not arrived is sent again. History decides about the others.
        """
        self._resume_id = None
        self._answer_due = False
        self._fail_requests(ConnectionLostError("the session ended before the answer came"))
        self.outputs += self._rooms.session_ended()
        left = [each for each in self._outbox.begin_session() if not each.session_only]
        self._outbox.put_back([each for each in left if not each.attempted])
        in_doubt: list[Outbound] = []
        for outbound in left:
            if not outbound.attempted or outbound.submission is None:
                continue  # a marker may be lost or repeated; no caller waits for its outcome
            if outbound.submission.in_history:
                in_doubt.append(outbound)
            else:
                self._failed(outbound.submission, _unknown())
        if in_doubt:
            self._in_doubt += in_doubt
            submissions = tuple(each.submission for each in in_doubt if each.submission)
            self.outputs.append(CheckStored(submissions))

    def stored_ids_received(
        self, asked: CheckStored, found: frozenset[str] | None, now: float
    ) -> None:
        """Take history's answer: the ids that it holds, or None if it could not be read.

        A message that history holds had arrived. The others are sent again, before anything newer.
        """
        ours = {id(submission) for submission in asked.submissions}
        answered = [each for each in self._in_doubt if id(each.submission) in ours]
        self._in_doubt = [each for each in self._in_doubt if id(each.submission) not in ours]
        again: list[Outbound] = []
        for outbound in answered:
            submission = outbound.submission
            assert submission is not None
            if found is None:
                self._failed(submission, _unknown())
            elif submission.id in found:
                self._report_sent((submission,), now, with_event=True)
            else:
                again.append(outbound)
        self._outbox.put_back(again)
        self.flush(now)

    def end(self, reason: Exception) -> tuple[int, int]:
        """End the session for good, with an outcome for every message and request.

        Returns the number of messages that have certainly not arrived, and the number of the others that
        were not acknowledged.
        """
        self.link_down()
        self.recovery.end()
        self.timers.clear()
        self._resume_id = None
        self._fail_requests(reason)
        self.outputs += self._rooms.session_ended()
        self.outputs += self._rooms.fail(reason)
        left = [*self._in_doubt, *self._outbox.clear()]
        self._in_doubt = []
        unsent = unacknowledged = 0
        for outbound in left:
            if outbound.submission is None:
                continue
            if outbound.submission.durable:
                self._failed(outbound.submission, reason)  # deferred: the next login sends it
            elif outbound.attempted:
                unacknowledged += 1
                self._failed(outbound.submission, _unknown())
            else:
                unsent += 1
                self._failed(outbound.submission, reason)
        return unsent, unacknowledged

    def restore(
        self, seen: Iterable[Key], outbox: Iterable[tuple[Submission, bytes]], now: float
    ) -> None:
        """Take over the messages that an earlier process has seen, and its own messages without an outcome.

        History is asked which of its own messages had arrived. The others are sent before anything newer.
        """
        self._inbound.remember(seen, now)
        asked: list[Submission] = []
        for submission, data in outbox:
            self._inbound.expect(submission)
            self._remember_own(submission, now)
            if submission.in_room:
                self.enter_room(submission.dialog)
            self._in_doubt.append(Outbound(data, submission, attempted=True))
            asked.append(submission)
        if asked:
            self.outputs.append(CheckStored(tuple(asked)))

    # --- what we send ---

    def limit(self, most_bytes: int | None) -> None:
        """Take the server's own limit for a stanza, if it names one. (XEP-0478.)"""
        self.most_bytes = self._config.limits.message_bytes if most_bytes is None else most_bytes

    def too_large(self, name: str, size: int) -> ArgumentValueError:
        """Return the error, which names the argument, for a stanza of more than ``most_bytes``."""
        return ArgumentValueError(
            f"{name} is too large: {size} bytes as a stanza, and the server takes {self.most_bytes}"
            " (send long content as a file: cube.files.upload, then an Attachment)"
        )

    def why_full(self) -> str:
        """Return why the outbound buffer is full, as words for an error."""
        if not self.flowing:
            return f"{len(self._outbox)} stanzas wait for the link, which is down"
        if self._in_doubt:
            return (
                f"{len(self._outbox)} stanzas wait until history shows which messages had arrived"
            )
        return f"{len(self._outbox)} stanzas wait for the server's acknowledgement"

    def submit(self, submission: Submission, data: bytes, now: float) -> bool:
        """Send a message stanza, now or once there is a link; join its room first if need be.

        Returns whether something may be due sooner than before.
        """
        self._inbound.expect(submission)
        told = self._sent_typing.told
        if told and submission.message is not None and submission.to in told:
            # To its readers a message ends the typing, so a planned "paused" would be a second end.
            del told[submission.to]
            self.timers.cancel(("typing", submission.to))
        if submission.dialog.peer_id is None:
            self.enter_room(submission.dialog)
        stanza = Outbound(data, submission)
        is_free = self.flowing and not self._holds_back and not self._in_doubt
        if not (is_free and self._outbox.take_at_once(stanza)):
            self._outbox.add(stanza)
            self.flush(now)
            return True
        # As flush() does, which looks for what goes before it.
        self._remember_own(submission, now)
        self.outgoing += data
        if self.liveness.waiting:
            return False
        self.ask(now)
        return True

    def enter_room(self, dialog: DialogRef) -> None:
        """Join the room of a dialog unless ``Config.join_rooms`` is off, now or once there is a link."""
        if self._config.join_rooms:
            self._rooms.want(dialog)
            if self.flowing and dialog.id is not None:
                self._rooms.enter_one(dialog.id, self.me)

    def send_later(self, data: bytes, now: float, *, background: bool = False) -> None:
        """Send a stanza without an outcome, now or once there is a link; drop it if there is no room.

        A caller looks for room first, so its stanza is never dropped.
        """
        if background and not self._outbox.has_background_room(len(data)):
            self._counters.background_dropped += 1
            return
        self._outbox.add(Outbound(data, background=background))
        self.flush(now)

    def send_marker(
        self, name: str, message: Message, now: float, *, background: bool = False
    ) -> None:
        """Tell a message's sender that it was 'received' or 'displayed', now or later."""
        assert message.sender_id is not None and message.id is not None
        if background and not self._outbox.has_background_room(0):
            self._counters.background_dropped += 1
            return
        to = self._addresses.user(message.sender_id)
        own_id = self._new_id()
        self._inbound.expect_marker(own_id)
        data = encode_marker(name, message.id, message.dialog_id, to, own_id)
        self.send_later(data, now, background=background)

    def send_typing(
        self, to: str, composing: bytes, paused: bytes, ends: float | None, now: float
    ) -> None:
        """Send "is typing", unless the dialog's users know; "paused" follows at ``ends``, if not None."""
        if self._sent_typing.is_known(to, now):
            self._sent_typing.extended(to, ends)
        elif self.send_ephemeral(composing):
            self._sent_typing.sent(to, now, ends)
        self.send_ephemeral_at(("typing", to), ends, paused)

    def stop_typing(self, to: str, paused: bytes) -> None:
        """Send "paused" now, in place of a later one."""
        self._sent_typing.told.pop(to, None)
        self.send_ephemeral(paused)
        self.send_ephemeral_at(("typing", to), None, paused)

    def send_ephemeral(self, data: bytes) -> bool:
        """Send a stanza that has no meaning later; return False if it was dropped.

        It is while the link is down, and if there is no room.
        """
        if self.flowing and not self._holds_back:
            return self._send_background(data)
        self._counters.ephemeral_dropped += 1
        return False

    def send_ephemeral_at(self, key: Hashable, when: float | None, data: bytes) -> None:
        """Send a stanza at ``when``, in place of an earlier one for ``key``; None cancels that one."""
        if when is None:
            self.timers.cancel(key)
        else:
            self.timers.set(key, when, data)

    def tick(self, now: float) -> None:
        """Do what has become due; raises LivenessError if the server has not answered for too long."""
        while (due := self.timers.take_next(now)) is not None:
            if isinstance(due, Delivery):
                self.outputs.append(due)
            else:
                self.send_ephemeral(due)
        if self.liveness.is_dead(now):
            seconds = self.liveness.waited(now)
            raise LivenessError(f"the chat server did not answer for {seconds:g} seconds")
        if self.liveness.is_due(now):
            self.ask(now)

    def request(self, kind: str, to: str | None, payload: str, waiter: object) -> str:
        """Send an IQ and return its id; the :class:`Answer` carries ``waiter``."""
        assert self.jid is not None
        request_id = self._new_id()
        data = encode_iq(kind, to, payload, request_id)
        if len(data) > self.most_bytes:
            raise self.too_large("the request", len(data))
        self._requests.add(request_id, to, self.jid, waiter)
        self._send_now(data)
        return request_id

    def forget_request(self, request_id: str) -> None:
        """Ignore the answer to a request, because its caller has stopped waiting."""
        self._requests.forget(request_id)

    def forget_waiter(self, waiter: object) -> None:
        """Ignore the answers to the requests of a waiter: a signal handler has interrupted its caller."""
        self._requests.forget_waiter(waiter)

    def remember(self, key: Hashable, kind: str, to: str | None, payload: str) -> None:
        """Make this request again in every new session, until :meth:`forget`."""
        self._session_requests[key] = (kind, to, payload)

    def forget(self, key: Hashable) -> None:
        """Do not make that request again."""
        self._session_requests.pop(key, None)

    def set_client_state(self, *, is_active: bool) -> bool:
        """Tell the server, on this and each later link, whether the client is active; False if it cannot be.

        (XEP-0352.)
        """
        was_inactive = self._is_inactive
        self._is_inactive = not is_active and self.takes_client_state
        if was_inactive or self._is_inactive:
            self._write_client_state("active" if is_active else "inactive")
        return was_inactive or self._is_inactive

    def _write_client_state(self, state: str) -> None:
        # It is no stanza, so it is not counted.
        if self.takes_client_state and self.flowing and not self._holds_back:
            self.write(f'<{state} xmlns="{ns.CLIENT_STATE}"/>')

    def join(self, dialog: DialogRef, waiter: object) -> Callable[[], None]:
        """Enter a dialog's room; the :class:`Answer` carries ``waiter``.

        Return a function after which the waiter gets no answer; the room is entered all the same.
        """
        self.outputs += self._rooms.join(dialog, waiter, self.me)
        assert dialog.id is not None
        return partial(self._rooms.cancel_join, dialog.id, waiter)

    def leave(self, dialog_id: str, waiter: object) -> Callable[[], None]:
        """Leave a dialog's room; the :class:`Answer` carries ``waiter``.

        Return a function after which the waiter gets no answer; the room is left all the same.
        """
        self.outputs += self._rooms.leave(dialog_id, waiter, self.me)
        return partial(self._rooms.cancel_join, dialog_id, waiter)

    def _fail_requests(self, error: Exception) -> None:
        failed = self._requests.fail(error)
        self.outputs += [answer for answer in failed if answer.waiter not in (None, _PRESENT)]

    def flush(self, now: float) -> None:
        """Write the stanzas that may be written: first those of a resumed session, then the waiting ones."""
        if not self.flowing or self._holds_back:
            return
        if self._outbox.replays:
            for outbound in self._outbox.replay():
                self._write_outbound(outbound, now)
        # New stanzas wait until history has answered: the messages that it lacks are older, so they go first.
        if self._in_doubt:
            return
        for outbound in self._outbox.take():
            self._write_outbound(outbound, now)
        self.ask_if_needed(now)

    def _write_outbound(self, outbound: Outbound, now: float) -> None:
        # Note the message as seen now and not at its submission, which may be long ago: from now on a room
        # may reflect it, and history may hold it.
        if outbound.submission is not None:
            self._remember_own(outbound.submission, now)
        self.outgoing += outbound.data

    def _send_background(self, data: bytes) -> bool:
        """Send a stanza of this session that no caller waits for; if there is no room, return False."""
        has_room = self._outbox.has_background_room(len(data))
        if has_room:
            self._send_now(data, background=True)
        else:
            self._counters.background_dropped += 1
        return has_room

    def _send_now(self, data: bytes, *, background: bool = False) -> None:
        """Send a stanza that belongs to this session only: at once, or behind the stanzas held back."""
        outbound = Outbound(data, session_only=True, background=background)
        if self._holds_back or self._outbox.is_held:
            self._outbox.add(outbound)
        else:
            self._outbox.add_written(outbound)
            self.write(data)
            if self._outbox.is_crowded:
                # No message follows that would ask for an acknowledgement, and the next one needs room.
                self.liveness.hurry()

    # --- acknowledgements ---

    def ask_if_needed(self, now: float) -> None:
        """Ask for an acknowledgement if a stanza awaits one and no question is on its way."""
        if self.flowing and self._outbox.unacknowledged and not self.liveness.waiting:
            self.ask(now)

    def ask(self, now: float) -> None:
        """Ask the server for an acknowledgement: with ``<r/>``, or with a ping where nothing is counted.

        A server handles a client's stanzas in order (RFC 6120, 10.1), so the answer to a ping
        acknowledges all stanzas before it.
        """
        self.liveness.asked(now, soon=self._holds_back)
        if self._managed:
            self._asked_at = self._outbox.sent
            if (
                not self._holds_back
            ):  # the server still has to send the stanzas that a resumed session missed
                self._asked_when.append(now)
            self.write(f'<r xmlns="{ns.STREAM_MANAGEMENT}"/>')
            return
        if self._barrier is None:
            self._barrier, self._asked_at = self._new_id(), self._outbox.sent
            self._asked_when.append(now)
        # Otherwise the same ping is sent again; its answer acknowledges no more than the first one would.
        self.write(
            f'<iq type="get" id="{self._barrier}" to="{attribute(self._addresses.host)}">'
            f'<ping xmlns="{ns.PING}"/></iq>'
        )

    def close_stream(self) -> None:
        """Write the end of the stream, and nothing after it."""
        self.answer()  # the server then keeps only the stanzas that were not handled
        self.write("</stream:stream>")
        self.flowing = False
        self.liveness.stop()

    def answer(self) -> None:
        """Tell the server how many of its stanzas were handled."""
        self._answer_due = False
        if self._managed:
            self.write(f'<a xmlns="{ns.STREAM_MANAGEMENT}" h="{self._inbound.handled}"/>')

    def receive_nonza(self, nonza: Nonza, now: float) -> None:
        """Take a request for an acknowledgement, or an acknowledgement."""
        if nonza.name == "r":
            self._answer_due = True  # answered once the stanzas before it are committed
        elif nonza.h is not None:
            self._acknowledged(nonza.h, now)

    def _acknowledged(self, h: int, now: float) -> None:
        self._settle(self._outbox.acknowledge(h), now)
        self._move_cursor()
        self._has_answered = True
        self._inbound.caught_up()
        self.liveness.answered(now, satisfied=not self._outbox.unacknowledged)
        if self._outbox.sent != self._asked_at and not self._holds_back:
            # A stanza was written since the question, so there is something new to ask. Without this test the
            # same question would go to a server whose count stands still, again and again.
            self.ask_if_needed(now)
        if self._outbox.waiting or self._outbox.replays:
            self.flush(now)  # these stanzas may have waited for the acknowledgement of a suspect

    def _move_cursor(self) -> None:
        """Move the cursor to the time of the oldest question.

        A server answers in order, so every stanza that it had sent before the question has arrived.
        """
        if self._asked_when:
            self.recovery.received_until(self._asked_when.popleft())

    def _settle(self, acknowledged: list[Outbound], now: float) -> None:
        # A view of a dialog that is opened in a gap still gets what was sent before it.
        with_event = self.recovery.is_holding or self._wants_sent()
        sent = [stanza.submission for stanza in acknowledged if stanza.submission is not None]
        self._report_sent(sent, now, with_event)

    def _remember_own(self, submission: Submission, now: float) -> None:
        """Note a message of ours as seen, because rooms reflect it and history returns it."""
        # Its id has the form of the service: no other is sent.
        self._seen_messages.add_unique((submission.to, self.me, submission.id), now)

    def _report_sent(self, submissions: Iterable[Submission], now: float, with_event: bool) -> None:
        """Report the outcome of messages that the server has, and "message_sent" if ``with_event``."""
        remember, outputs = self._remember_own, self.outputs
        for submission in submissions:
            remember(submission, now)  # history holds it from now on
            outputs.append(new_outcome((submission, None)))
            if with_event and submission.message is not None:
                self._report_message_sent(submission, submission.message)

    def _report_message_sent(self, submission: Submission, message: Message) -> None:
        sent = MessageSent(message_id=submission.id, dialog=submission.dialog, message=message)
        delivery = Delivery(signal="message_sent", event=sent, conversation=submission.to)
        if self.recovery.is_holding:
            key = (submission.to, self.me, submission.id)
            delivery.shown_later = self.recovery.hold_sent(delivery, key)
        self.outputs.append(delivery)

    # --- stream errors of our own making ---

    def suspect(self, error: StreamError) -> bool:
        """Blame the first unacknowledged stanza for a stream error; return whether there is such a stanza.

        A stream error names no stanza. So the stanza is only marked at first, and the next session sends it
        alone. If the server ends that stream as well, the stanza has failed and is not sent any more.
        """
        outbound = self._outbox.first_unacknowledged
        if outbound is None:
            return False
        if not outbound.suspect:
            outbound.suspect = True
            return True
        self.cannot_resume()  # the resumed session would send it again
        submission = self._outbox.release(outbound)
        if submission is not None:
            refusal = StanzaError(
                f"the server ended the stream twice when it got this message: {error.condition}",
                condition=error.condition,
            )
            # Also in durable mode: it would fail at each login.
            self._report_failure(submission, refusal)
        return True

    def _failed(self, submission: Submission, error: Exception) -> None:
        if submission.durable:
            self.outputs.append(OutcomeKnown(submission, SendDeferredError(DEFERRED)))
            return
        self._report_failure(submission, error)

    def _report_failure(self, submission: Submission, error: Exception) -> None:
        self.outputs.append(OutcomeKnown(submission, error))
        failure = MessageFailure(
            message_id=submission.id,
            dialog_id=submission.dialog.id,
            error=error,
            condition=error.condition if isinstance(error, StanzaError) else None,
        )
        self.report(submission.failed, failure, submission.to)

    # --- what we receive ---

    def receive_message(self, stanza: MessageStanza, now: float) -> None:
        """Count a message stanza, decode it and emit its outputs."""
        self._inbound.count(stanza.size)
        self._inbound.receive_message(stanza, self.me, now)

    def receive_stanza(self, item: StanzaItem, now: float) -> None:
        """Count a stanza, decode it and emit its outputs."""
        if isinstance(item, MessageStanza):
            self.receive_message(item, now)
            return
        self._inbound.count(getattr(item, "size", 0))
        if isinstance(item, RefusedElement):
            self._receive_refused(item)
        elif item.name == "iq":
            self._receive_iq(item, now)
        else:
            if item.attrs.get("from") == self.jid:
                # Servers send our own presence to us as well (RFC 6121, 4.2.2).
                self.is_present = True
            self._inbound.receive_presence(item, self.me)

    def _refused(self, failure: MessageFailure) -> None:
        """Settle the message that an error refuses, if it has no outcome yet."""
        submission = self._outbox.refused(failure.message_id)
        if submission is not None:
            self.outputs.append(OutcomeKnown(submission, failure.error))

    def _receive_refused(self, element: RefusedElement) -> None:
        """Report a stanza that was not read, and answer it if it is a request. (RFC 6120, 8.2.3.)"""
        sender, request_id = element.attributes.get("from"), element.attributes.get("id")
        self._drop("stanzas_refused", element)
        self._inbound.report(decode_refused(element, self._addresses))
        if element.name != "iq" or not request_id:
            return
        if element.attributes.get("type") in ("get", "set"):
            self._answer_iq(sender, request_id, "not-acceptable")
            return
        error = UnexpectedAnswerError(f"the server's answer was not read: {element.reason}")
        answer = self._requests.answer_with(request_id, sender, error)
        if answer is not None:
            self._answered(answer)

    def _receive_iq(self, iq: Node, now: float) -> None:
        """Take the answer to a request of ours, or a request or push of another entity. (RFC 6120, 8.2.3.)"""
        kind, request_id = iq.attrs.get("type"), iq.attrs.get("id")
        is_request = kind in ("get", "set")
        if kind in ("result", "error") and self._take_answer(iq, request_id, now):
            return
        push = decode_push(iq, self._addresses, self.me)
        if push is not None and push.asked is not None and push.asked not in self._session_requests:
            push = None  # no caller has asked for it, or that caller has stopped waiting
        accepted = push is not None and push.accepted
        if push is None:
            self._drop("not_understood" if is_request else "unclaimed_answers", iq)
        elif not accepted:
            self._drop("forged", iq)
        elif push.delivery is not None:
            self._inbound.report(push.delivery)
        if is_request and request_id:
            refusal = None if accepted else "service-unavailable"
            self._answer_iq(iq.attrs.get("from"), request_id, refusal)

    def _take_answer(self, iq: Node, request_id: str | None, now: float) -> bool:
        """Take an answer; False if it answers no request of ours, or has the wrong sender."""
        is_from_server = iq.attrs.get("from") in self._server_names
        if request_id is not None and request_id == self._barrier and is_from_server:
            self._barrier = None
            self._acknowledged(self._asked_at, now)
            return True
        answer = self._requests.answer(iq)
        if answer is None:
            return False
        self._answered(answer)
        return True

    def _drop(
        self,
        reason: Unreported | Literal["stanzas_refused", "unclaimed_answers"],
        stanza: StanzaItem | Delivery,
    ) -> None:
        self.outputs.append(self._counters.count(reason, stanza))

    def _answered(self, answer: Answer) -> None:
        if answer.waiter is _PRESENT:
            self.is_present = True
            self._inbound.caught_up()
            self._move_cursor()
        if answer.waiter not in (None, _PRESENT):
            self.outputs.append(answer)
        elif answer.error is not None:
            self._counters.refused += 1

    def _answer_iq(self, sender: str | None, request_id: str, refusal: str | None) -> None:
        """Answer a request of another entity: with a result, or with the condition of a refusal."""
        if not self.flowing:
            return  # the stream is not established: the server would not count the reply
        to = f' to="{attribute(sender)}"' if sender else ""
        if refusal is None:
            reply = f'<iq type="result" id="{attribute(request_id)}"{to}/>'
        else:
            reply = (
                f'<iq type="error" id="{attribute(request_id)}"{to}><error type="cancel">'
                f'<{refusal} xmlns="{ns.STANZAS}"/></error></iq>'
            )
        self._send_background(reply.encode())

    def committed(self, now: float) -> None:
        """Note the commit of all deliveries except the rejected ones, and acknowledge their stanzas."""
        # First 'delivered', then the acknowledgement. After a crash between the two the server sends the
        # message again, and it is marked again. The other way round the marker would be lost.
        due = self._inbound.committed()
        if self.recovery.awaits_commit:
            due += self.recovery.committed(rejected=self.has_rejected)
        if due and self._config.auto_delivered:
            for message in due:
                self.send_marker("received", message, now, background=True)
        # Not while the server reads nothing: the bytes that wait for the socket would grow without a bound.
        if self._answer_due and self.flowing and len(self.outgoing) < _MOST_UNREAD:
            self.answer()

    def reject(self, rejected: Sequence[Delivery]) -> None:
        """Reject the newest deliveries because the queue is full; the server sends them on the next link."""
        self._inbound.reject(rejected)

    def lose_deliveries(self, lost: Sequence[Delivery]) -> None:
        """Forget the newest deliveries, which could not be committed; the session ends."""
        self._inbound.lose(lost)
        # The messages from history get no 'delivered' either.
        self.recovery.committed(rejected=True)

    @property
    def has_rejected(self) -> bool:
        """Whether a delivery was rejected on this link. Then no later stanza on it counts as handled."""
        return self._inbound.first_rejected is not None


def _unknown() -> OutcomeUnknownError:
    return OutcomeUnknownError("the connection ended before the server acknowledged the message")
