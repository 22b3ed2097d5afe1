"""A worker: calls handlers for the events that relays hand over, one after the other in each dialog."""

from __future__ import annotations

import logging
import random
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define

from connectycube import Handling
from connectycube._checks import check_callable, check_int, name_of, repr_of, text_of
from connectycube.errors import ArgumentTypeError, ArgumentValueError

from ..common.signal_names import check_signal
from .away import away_seconds
from .context import Context
from .engine import Claim, Delivery, Engine, Letter, Subscription
from .engines import EngineOptions, engine_of
from .envelope import Answer, Envelope
from .errors import ClaimLostError, EngineFullError, EngineUnavailableError, EnvelopeError
from .holding import Holder
from .ids import letter_id
from .topics import check_name, events_topic, outbox_topic

if TYPE_CHECKING:
    from typing_extensions import Unpack  # mypy brings it; nothing imports it at run time

__all__ = ["Worker", "WorkerCounts"]

logger: logging.Logger = logging.getLogger("connectycube.relay")

Handler = TypeVar("Handler", bound=Callable[..., object])
_LOOK = 0.5  # seconds between two looks whether the worker is to end
_LONGEST_WAIT = (
    600.0  # seconds, whatever an error asks for; RabbitMQ ends a claim after half an hour
)


@define
class WorkerCounts:
    """What a worker has done since it began.

    Args:
        handled: Events whose handler has returned, or that have none.
        failed: Attempts whose handler has raised.
        dead: Events that were given up.
        lost: Claims that went to another worker.
    """

    handled: int = 0
    failed: int = 0
    dead: int = 0
    lost: int = 0


class Worker:
    """Calls handlers for the events of a relay, in this process, on the thread that calls ``run``.

    Args:
        url: The engine: ``redis://…`` or ``amqp://…``, or an Engine.
        prefix: The prefix of the relay.
        group: The name of the workers that share the events; each group gets each event.
        attempts: How often a handler is called for an event before the event is a dead letter.
        batch: The number of events that a worker takes at a time from one partition (Redis).
        partitions: The number of partitions of the relay.
        handling: Which errors pass, and the delays between attempts; ``give_up_after`` has no effect here.
        limit: The limit of the relay.
        options: More arguments of the engine's class, such as ``lease``.

    Example:
        >>> from connectycube.contrib.relay import Worker
        >>> worker = Worker("redis://localhost/0", attempts=5)
        >>> @worker.on("message_received")
        ... def answer(message, context):
        ...     context.reply(f"you said {message.body}")
        >>> worker.stop()  # from a signal handler; worker.run() blocks until then
    """

    def __init__(
        self,
        url: str | Engine,
        prefix: str = "cube",
        *,
        group: str = "workers",
        attempts: int = 10,
        batch: int = 16,
        partitions: int = 16,
        handling: Handling | None = None,
        limit: int = 100_000,
        **options: Unpack[EngineOptions],
    ) -> None:
        self._engine = engine_of(url, check_name("prefix", prefix), **options)
        self._group = check_name("group", group)
        self._topic = events_topic((group,), partitions, limit)
        self._attempts = check_int("attempts", attempts, least=1)
        self._batch = check_int("batch", batch, least=1)
        self._handling = handling or Handling()
        if not isinstance(self._handling, Handling):
            raise ArgumentTypeError(f"handling must be a Handling, not {type(handling).__name__}")
        self._handlers: dict[str, Callable[..., object]] = {}
        self._managers: list[Callable[..., AbstractContextManager[object]]] = []
        self._outboxes: set[int] = set()
        self._stop = threading.Event()
        self.counts: WorkerCounts = WorkerCounts()

    # --- handlers ---

    def on(self, signal: str) -> Callable[[Handler], Handler]:
        """Return a decorator for the handler of a signal: ``handler(event, context)``.

        A handler must do no harm if it runs twice for an event: ``context.event_id`` tells. After an error
        that passes (``handling.transient``) it runs again, and the events behind it wait; after any other,
        or the last attempt, the event is a dead letter.

        Args:
            signal: The name of a signal of the chat, such as "message_received".

        Returns:
            The decorator, which returns the handler.

        Raises:
            ArgumentTypeError, ArgumentValueError: The signal is unknown or has a handler, or the handler
                cannot be called with two arguments.
        """
        check_signal(signal)

        def connect(handler: Handler) -> Handler:
            check_callable("handler", handler, "event", "context")
            if signal in self._handlers:
                raise ArgumentValueError(
                    f"{signal} has the handler {name_of(self._handlers[signal])}: a second one is for"
                    " a worker of another group"
                )
            self._handlers[signal] = handler
            return handler

        return connect

    def around(
        self, manager: Callable[[Any, Context], AbstractContextManager[object]]
    ) -> Callable[[Any, Context], AbstractContextManager[object]]:
        """Put a context manager around each call of a handler: ``manager(event, context)``.

        Args:
            manager: Returns the context manager; the first one that is given is the outermost.

        Returns:
            The manager, so that it works as a decorator.

        Raises:
            ArgumentTypeError: It cannot be called with two arguments.
        """
        check_callable("manager", manager, "event", "context")
        self._managers.append(manager)
        return manager

    # --- the loop ---

    def run(self, signals: Iterable[int] = ()) -> None:
        """Work until ``stop()`` is called, or one of the signals arrives.

        While the broker is away, it tries again. At the end it waits for the handler that runs; the events
        behind that one go to other workers.

        Args:
            signals: Numbers of signals of the operating system, for the main thread alone.

        Raises:
            EngineSettingsError: The engine has other settings than this worker.
        """
        with self._until(signals):
            while not self._stop.is_set():
                try:
                    self._engine.declare(self._topic)
                    with ExitStack() as ends:
                        self._work(ends)
                except (EngineUnavailableError, EngineFullError) as error:
                    logger.warning("worker of %s: %s; trying again", self._group, error)
                    self._stop.wait(away_seconds())
        self._engine.close()

    def stop(self) -> None:
        """Let ``run()`` return after the handler that runs; from any thread, or a signal handler."""
        self._stop.set()

    def _stop_at_signal(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def _until(self, signals: Iterable[int]) -> Generator[None]:
        # A handler that runs is not interrupted: it may have half of its work done.
        before = {number: signal.signal(number, self._stop_at_signal) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _work(self, ends: ExitStack) -> None:
        subscription = self._engine.subscribe(self._topic, self._group, self._batch)
        ends.callback(subscription.close)
        holder = Holder(subscription, self._engine.lease, f"connectycube-{self._group}-renew")
        ends.callback(holder.close)
        # The holder ends before the subscription: a renewal after that would fail, and be logged as a
        # loss.
        while not self._stop.is_set():
            # A short wait, so that stop() is noticed soon also when nothing arrives.
            claim = subscription.claim(_LOOK)
            if claim is not None:
                with holder.holding(claim):
                    self._serve(subscription, claim, holder)

    def _serve(self, subscription: Subscription, claim: Claim, holder: Holder) -> None:
        try:
            while claim.deliveries:
                if self._stop.is_set():
                    subscription.release(claim)
                    return
                # Another worker may have handled the next event by now; to begin it here would break the
                # order.
                if holder.is_lost:
                    raise ClaimLostError("another worker has the partition")
                if not self._step(subscription, claim):
                    return
        except ClaimLostError as error:
            self.counts.lost += 1
            logger.warning("worker of %s: %s", self._group, error)

    def _step(self, subscription: Subscription, claim: Claim) -> bool:
        """Handle the first event of a claim; return whether the claim goes on."""
        delivery = claim.deliveries[0]
        if not delivery.body:  # it was put back for another group
            self._finish(subscription, claim, None)
            return True
        # A crash counts as an attempt: an event that kills its worker must not kill workers forever.
        attempt = delivery.failures + delivery.crashes + 1
        envelope: Envelope | None = None
        try:
            envelope = Envelope.from_json(delivery.body)
            # Looked at before the call: there is no other moment, as the worker does not outlive the
            # call.
            if delivery.crashes >= self._attempts:
                raise _CrashedError(
                    f"{delivery.crashes} workers ended while they handled this event"
                )
            self._call(envelope, delivery, attempt)
        except Exception as error:  # noqa: BLE001 - it is the application's code
            return self._failed(subscription, claim, envelope, attempt, error)
        self._finish(subscription, claim, None)
        self.counts.handled += 1
        return True

    def _call(self, envelope: Envelope, delivery: Delivery, attempt: int) -> None:
        handler = self._handlers.get(envelope.signal)
        # Handled by doing nothing: the relay may hand over more signals than this group is interested in.
        if handler is None:
            return
        event = envelope.event
        repeated = (
            attempt > 1
            or delivery.may_be_repeated
            or envelope.repeated
            or bool(getattr(event, "redelivered", False))
        )
        context = Context(envelope, self._group, attempt, repeated, self._add_answer)
        with ExitStack() as inside:
            for manager in self._managers:
                inside.enter_context(manager(event, context))
            handler(event, context)

    def _failed(
        self,
        subscription: Subscription,
        claim: Claim,
        envelope: Envelope | None,
        attempt: int,
        error: Exception,
    ) -> bool:
        self.counts.failed += 1
        if self._is_repeated(error, claim.deliveries[0]):
            seconds = self._delay(claim.deliveries[0].failures + 1, error)
            logger.warning(
                "the handler of %s raised %s for event %s, attempt %d; again in %.1f seconds",
                *(self._name(envelope), repr_of(error), envelope and envelope.id, attempt, seconds),
            )
            # The whole claim ends, so the events behind this one keep their place and wait as long.
            subscription.retry(claim, seconds)
            return False
        logger.error(
            "event %s of %s is a dead letter after %d attempts: %s",
            *(envelope and envelope.id, self._name(envelope), attempt, repr_of(error)),
            exc_info=None if isinstance(error, (EnvelopeError, _CrashedError)) else error,
        )
        self._finish(subscription, claim, self._letter(claim, envelope, attempt, error))
        self.counts.dead += 1
        return True

    def _is_repeated(self, error: Exception, delivery: Delivery) -> bool:
        if isinstance(error, (EnvelopeError, _CrashedError)):
            return False
        if isinstance(error, (EngineUnavailableError, EngineFullError)):
            return True  # the outbox is a part of the engine: no event is given up because of it
        return delivery.failures + 1 < self._attempts and self._passes(error)

    def _passes(self, error: Exception) -> bool:
        try:
            return self._handling.passes(error)
        except Exception as failure:  # noqa: BLE001 - it is the application's code
            logger.error("handling.transient raised %s", repr_of(failure))
            return False

    def _delay(self, attempt: int, error: Exception) -> float:
        longest = min(self._handling.max_delay, self._handling.delay * 2.0 ** min(attempt - 1, 60))
        # A service that names a time is busy; to ask earlier would cost one of the attempts.
        wished = getattr(error, "retry_after", None)
        delay = (0.5 + random.random()) * longest
        if isinstance(wished, (int, float)) and not isinstance(wished, bool) and wished > delay:
            delay = float(wished)
        return min(delay, _LONGEST_WAIT)

    def _letter(
        self, claim: Claim, envelope: Envelope | None, attempt: int, error: Exception
    ) -> Letter:
        body = claim.deliveries[0].body
        event_id = envelope.id if envelope is not None else ""
        return Letter(
            # From the event, so that the letter of a repeated attempt has the same id.
            id=letter_id(event_id or body.hex(), self._group),
            topic=self._topic.name,
            group=self._group,
            partition=claim.partition,
            key=envelope.conversation if envelope is not None else "",
            event_id=event_id,
            error=f"{type(error).__name__}: {text_of(error)}",
            attempts=attempt,
            body=body,
        )

    def _finish(self, subscription: Subscription, claim: Claim, letter: Letter | None) -> None:
        """Tell the engine that an event is finished; wait for a broker that is away as long as the lease.

        Beyond that another worker has the partition, and handles the event again.
        """
        tries = max(1, int(self._engine.lease / _LOOK))
        for number in range(tries):
            try:
                subscription.ack(claim, letter)
                return
            except (EngineUnavailableError, EngineFullError) as error:
                if number + 1 == tries:
                    raise
                logger.warning("worker of %s: %s; trying again", self._group, error)
                # Not self._stop: the event is handled, and stopping without telling the engine would
                # repeat it.
                threading.Event().wait(_LOOK)

    def _add_answer(self, answer: Answer) -> None:
        topic = outbox_topic(answer.bot)
        # Once a process: each declaration is a round trip, and an answer must not wait for it.
        if answer.bot not in self._outboxes:
            self._engine.declare(topic)
            self._outboxes.add(answer.bot)
        message = answer.message
        assert message.id is not None
        key = str(answer.dialog.peer_id or answer.dialog.id)
        self._engine.add(topic, key, message.id, answer.to_json())

    @staticmethod
    def _name(envelope: Envelope | None) -> str:
        return envelope.signal if envelope is not None else "an unknown signal"


class _CrashedError(Exception):
    """Workers have ended without a word while they handled an event."""
