"""The outbox of a bot: the answers of workers, which the relay sends, each until the server has it."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from contextlib import ExitStack

from connectycube import (
    Chat,
    ConnectyCubeError,
    Message,
    NotConnectedError,
    SendDeferredError,
    SendHandle,
    is_transient,
)
from connectycube._checks import repr_of, text_of

from .away import away_seconds
from .engine import Claim, Engine, Letter, Subscription, Topic
from .envelope import Answer
from .errors import ClaimLostError, EngineFullError, EngineUnavailableError, RelayError
from .holding import Holder
from .ids import letter_id
from .topics import SENDERS, outbox_topic

__all__ = ["Outbox"]

logger: logging.Logger = logging.getLogger("connectycube.relay")

_LOOK = 0.5  # seconds between two looks whether it is to end
_BATCH = 64
_KNOWN = 10_000


class Outbox:
    """Sends answers on a thread of its own, while the chat is logged in.

    An answer is finished when the server has acknowledged it. A process that is killed before leaves it to
    the next one, which sends it again with the same id.

    Args:
        engine: The engine that has the answers.
        chat: The chat.
    """

    def __init__(self, engine: Engine, chat: Chat) -> None:
        self._engine = engine
        self._chat = chat
        self.topic: Topic | None = None
        """The outbox of the chat's user, once that is known."""
        self._stop = threading.Event()
        self._sent: OrderedDict[str, None] = OrderedDict()
        self._thread = threading.Thread(target=self._run, name="connectycube-outbox", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Have the thread end; answers that are not acknowledged stay in the engine."""
        self._stop.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            user = self._chat.user
            if user is None or user.id is None:  # it is READY a moment before login() has returned
                self._stop.wait(_LOOK / 10)
                continue
            topic = self.topic = outbox_topic(user.id)
            try:
                self._engine.declare(topic)
                with ExitStack() as ends:
                    self._work(topic, ends)
            except RelayError as error:
                logger.warning("%s: %s; trying again", topic.name, error)
                self._stop.wait(away_seconds())

    def _work(self, topic: Topic, ends: ExitStack) -> None:
        subscription = self._engine.subscribe(topic, SENDERS, _BATCH)
        ends.callback(subscription.close)
        holder = Holder(subscription, self._engine.lease, "connectycube-outbox-renew")
        ends.callback(holder.close)
        while not self._stop.is_set():
            # Nothing is claimed while the link is down: another relay of this bot may be connected and
            # send it.
            if not self._chat.is_ready:
                self._stop.wait(_LOOK / 5)
                continue
            claim = subscription.claim(_LOOK)
            if claim is not None:
                with holder.holding(claim):
                    try:
                        self._send(subscription, claim, holder)
                    except ClaimLostError as error:
                        logger.warning("%s: %s", topic.name, error)

    def _send(self, subscription: Subscription, claim: Claim, holder: Holder) -> None:
        """Send the answers of a claim, all at once, and finish each when the server has it."""
        sent: list[SendHandle[Message] | Exception | None] = []
        for delivery in claim.deliveries:
            # All before the first wait, so that the answers of a claim share a round trip to the server.
            sent.append(self._submit(delivery.body))
            # The answers behind one that failed must not overtake it.
            if isinstance(sent[-1], Exception):
                break
        for each in sent:
            outcome = self._outcome(each, holder) if isinstance(each, SendHandle) else each
            # Without an outcome it stays in the engine, and the next relay sends it again with the same
            # id.
            if outcome is _STOPPED:
                subscription.release(claim)
                return
            if outcome is not None and not self._failed(subscription, claim, outcome):
                return
            if outcome is None:
                self._finish(subscription, claim, None)
        if claim.deliveries:
            subscription.release(claim)

    def _submit(self, body: bytes) -> SendHandle[Message] | Exception | None:
        """Send an answer; return its handle, None if it was sent before, or what was raised."""
        try:
            answer = Answer.from_json(body)
            # The engine gave it again, because its acknowledgement was lost; the server has it.
            if answer.message.id in self._sent:
                return None
            return self._chat.send_message(answer.dialog, answer.message)
        except ConnectyCubeError as error:
            return error

    def _outcome(self, handle: SendHandle[Message], holder: Holder) -> Exception | None:
        """Wait for the outcome of a message; return its error."""
        while True:
            if self._stop.is_set() and not handle.done():
                return _STOPPED
            if holder.is_lost:
                raise ClaimLostError("another relay has the outbox of this bot")
            try:
                handle.result(_LOOK)
            except SendDeferredError:
                return None  # the file of durable mode has it, and the next login sends it
            except ConnectyCubeError as error:
                if handle.done():
                    return error
                continue  # the wait is over, the message still on its way
            self._sent[handle.id] = None
            # A bound on memory: the engine gives an answer again soon after it was sent, or not at all.
            if len(self._sent) > _KNOWN:
                self._sent.popitem(last=False)
            return None

    def _failed(self, subscription: Subscription, claim: Claim, error: Exception) -> bool:
        """Repeat an answer later, or give it up; return whether the claim goes on."""
        body = claim.deliveries[0].body
        # No attempt of the answer's: it is released, not retried, so it keeps its place without a delay.
        if isinstance(error, NotConnectedError):
            subscription.release(claim)
            self._stop.wait(_LOOK / 5)
            return False
        if is_transient(error):
            logger.warning("an answer was not sent: %s; trying again", repr_of(error))
            subscription.retry(claim, away_seconds())
            return False
        logger.error("an answer cannot be sent and is a dead letter: %s", repr_of(error))
        self._finish(subscription, claim, self._letter(body, error))
        return True

    def _letter(self, body: bytes, error: Exception) -> Letter:
        try:
            answer_id = Answer.from_json(body).message.id or ""
        except RelayError:
            answer_id = ""
        assert self.topic is not None
        return Letter(
            id=letter_id(answer_id or body.hex(), self.topic.name),
            topic=self.topic.name,
            group=SENDERS,
            partition=0,
            key="",
            event_id=answer_id,
            error=f"{type(error).__name__}: {text_of(error)}",
            attempts=1,
            body=body,
        )

    def _finish(self, subscription: Subscription, claim: Claim, letter: Letter | None) -> None:
        while True:
            try:
                subscription.ack(claim, letter)
                return
            except (EngineUnavailableError, EngineFullError):
                # For as long as it takes: the answer was sent, and finishing it is the only way not to
                # repeat it.
                if self._stop.wait(_LOOK):
                    raise


_STOPPED = RelayError("the relay ends")
