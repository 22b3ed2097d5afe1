"""The engine of RabbitMQ: quorum queues with a single active consumer each, for more than one machine.

A topic is a direct exchange. Each group has a queue for each partition, bound by the partition's number. The
broker gives a queue to one consumer at a time, and what that has not acknowledged to the next one, in its
place. The partition is chosen here and not by a consistent-hash exchange: after a restart RabbitMQ (3.10)
sends most keys to other queues than before, past the events that wait in those.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

from attrs import evolve

from connectycube.errors import ArgumentValueError

from .engine import Claim, Delivery, Engine, Letter, PartitionStatus, Subscription, Topic
from .errors import (
    ClaimLostError,
    EngineFullError,
    EngineSettingsError,
    EngineUnavailableError,
    RelayError,
)
from .rabbitmq_link import BLOCKED, REFUSED, WAIT, Basic, Link, blocking, parameters_of, pika

__all__ = ["RabbitEngine"]

logger: logging.Logger = logging.getLogger("connectycube.relay")

_NO_LIMIT = 1_000_000
"""Deliveries after which RabbitMQ drops an event (20 by default since 4.0): workers count them themselves."""
_LOOK = 2.0  # seconds between two looks at how many workers there are
_SETTLE = 2.0  # seconds for the broker to read the last acknowledgements
_PROBE = 0.05  # seconds between two looks whether the broker is blocked
_NOT_FOUND = 404


class RabbitEngine(Engine):
    """Events in queues of RabbitMQ.

    Args:
        url: ``amqp://`` or ``amqps://``, as pika takes it; the nodes of a cluster are separated by commas.
        prefix: What all names begin with.
        lease: Seconds between two looks at whether a claim still holds. The broker gives the queues of a dead
            worker to another one as soon as it notices: at once, or after 20 seconds if its machine is gone.
    """

    def __init__(self, url: str, prefix: str = "cube", *, lease: float = 10.0) -> None:
        self.lease = lease
        self._prefix = prefix
        self._parameters = parameters_of(url)
        self._lock = threading.Lock()
        self._publisher: _Publisher | None = None

    def name(self, *parts: object) -> str:
        """Return a name in the broker."""
        return ".".join([self._prefix, *map(str, parts)])

    # --- events ---

    def declare(self, topic: Topic) -> None:
        """Declare exchanges, queues and bindings."""
        with blocking(self._parameters) as connection:
            for group in topic.groups:
                # Before the declarations, which would add queues of the other number to those that are
                # there.
                self._check_partitions(connection, topic, group)
            channel = connection.channel()
            exchange = self.name(topic.name)
            channel.exchange_declare(exchange, "direct", durable=True)
            for group in topic.groups:
                # The last one first: if its declaration is interrupted, the next one finds all or too few.
                for partition in reversed(range(topic.partitions)):
                    queue = self.name(topic.name, group, partition)
                    channel.queue_declare(
                        queue, durable=True, arguments=_partition_arguments(topic.limit)
                    )
                    channel.queue_bind(queue, exchange, routing_key=str(partition))
                self._declare_small(channel, self.name(topic.name, group, "members"))
            self._declare_small(channel, self.name("dead"))

    def _check_partitions(self, connection: Any, topic: Topic, group: str) -> None:
        """Raise EngineSettingsError if the group has queues, but another number of them."""
        name = partial(self.name, topic.name, group)
        if not _exists(connection, name(0)):
            return
        wanted = topic.partitions
        # Two questions instead of one for each queue: all are declared from the last one down.
        if not _exists(connection, name(wanted - 1)) or _exists(connection, name(wanted)):
            there = next(n for n in itertools.count(1) if not _exists(connection, name(n)))
            raise EngineSettingsError(
                f"group {group} of topic {topic.name} has {there} partitions, not {wanted}: events would"
                " leave their order; use that number, or another prefix once nothing waits in this one"
            )

    @staticmethod
    def _declare_small(channel: Any, queue: str, **more: Any) -> None:
        arguments = {"x-queue-type": "quorum", "x-delivery-limit": _NO_LIMIT, **more}
        channel.queue_declare(queue, durable=True, arguments=arguments)

    def add(self, topic: Topic, key: str, event_id: str, body: bytes) -> bool:
        """Publish an event, and wait until a majority of the queue's nodes has it."""
        self.publish(self.name(topic.name), str(topic.partition_of(key)), event_id, body)
        return True

    def publish(self, exchange: str, key: str, message_id: str, body: bytes) -> None:
        """Publish, and wait for the confirm; for the subscriptions of this engine, too."""
        with self._lock:
            # One for all threads: a connection and a channel for each would cost the broker more than the
            # events.
            if self._publisher is None or not self._publisher.is_open:
                self._publisher = _Publisher(self._parameters)
            publisher = self._publisher
        publisher.publish(exchange, key, message_id, body)

    def subscribe(self, topic: Topic, group: str, batch: int) -> Subscription:
        """Begin to consume the queues of a group."""
        return _RabbitSubscription(self, self._parameters, topic, group, batch)

    def status(self, topic: Topic) -> list[PartitionStatus]:
        """Return what is ready in each queue, and how many consumers it has."""
        found: list[PartitionStatus] = []
        with blocking(self._parameters) as connection:
            for group in topic.groups:
                for partition in range(topic.partitions):
                    queue = self.name(topic.name, group, partition)
                    count = _exists(connection, queue)
                    if count is not None:
                        ready, consumers = count
                        owner = f"{consumers} consumers" if consumers else None
                        found.append(
                            PartitionStatus(topic.name, group, partition, ready, owner, None)
                        )
        return found

    def blocked(self) -> str | None:
        """Publish a message that has no queue: RabbitMQ tells publishers alone that it is blocked."""
        probe = _Publisher(self._parameters)
        try:
            return probe.blocked()
        finally:
            probe.close()

    # --- dead letters ---

    def letters(self) -> list[Letter]:
        """Return the dead letters, the oldest first."""
        with blocking(self._parameters) as connection:
            return [letter for letter, _ in self._got(connection.channel())]

    def retry_letters(self, ids: Sequence[str]) -> None:
        """Publish events to their queues again, each before its letter is removed."""

        def put_back(channel: Any, letter: Letter) -> None:
            queue = self.name(letter.topic, letter.group, letter.partition)
            _publish_blocking(channel, queue, letter.event_id, letter.body)

        self._change(ids, put_back)

    def drop_letters(self, ids: Sequence[str]) -> None:
        """Remove letters for good."""
        self._change(ids, lambda channel, letter: None)

    def _change(self, ids: Sequence[str], change: Callable[[Any, Letter], None]) -> None:
        with blocking(self._parameters) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            found = self._got(channel)
            known = {letter.id for letter, _ in found}
            for each in ids:
                if each not in known:
                    raise ArgumentValueError(f"there is no dead letter {each}")
            for letter, tag in found:
                if letter.id in ids:
                    change(channel, letter)
                    # In this order: a crash between them leaves a letter whose event is in the queue
                    # again, and loses none.
                    channel.basic_ack(tag)
            # The end of the connection puts the others back.

    def _got(self, channel: Any) -> list[tuple[Letter, int]]:
        """Take all letters; what is not acknowledged goes back when the channel ends."""
        self._declare_small(channel, self.name("dead"))
        found: list[tuple[Letter, int]] = []
        while True:
            method, _, body = channel.basic_get(self.name("dead"))
            if method is None:
                return sorted(found, key=lambda each: each[0].at)
            found.append((Letter.from_json(body), method.delivery_tag))

    # --- the side store ---

    def load(self, name: str) -> bytes | None:
        """Return the newest message of a queue of one, which is put back as a new one."""
        queue = self.name("store", name)
        with blocking(self._parameters) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            self._declare_store(channel, queue)
            method, _, body = channel.basic_get(queue)
            if method is None:
                return None
            _publish_blocking(channel, queue, name, body)
            # The new one first: a crash between the two leaves the value twice, and the queue keeps the
            # newest.
            channel.basic_ack(method.delivery_tag)
            return bytes(body)

    def save(self, name: str, value: bytes) -> None:
        """Publish to a queue that keeps its newest message alone."""
        queue = self.name("store", name)
        try:
            self.publish("", queue, uuid4().hex, value)
        except EngineSettingsError:
            with blocking(self._parameters) as connection:
                self._declare_store(connection.channel(), queue)
            self.publish("", queue, uuid4().hex, value)

    def _declare_store(self, channel: Any, queue: str) -> None:
        self._declare_small(channel, queue, **{"x-max-length": 1, "x-overflow": "drop-head"})

    def close(self) -> None:
        """Close the connection of the publisher."""
        with self._lock:
            publisher, self._publisher = self._publisher, None
        if publisher is not None:
            publisher.close()


def _partition_arguments(limit: int) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-single-active-consumer": True,
        "x-delivery-limit": _NO_LIMIT,
        "x-max-length": limit,
        "x-overflow": "reject-publish",
    }


def _exists(connection: Any, queue: str) -> tuple[int, int] | None:
    """Return how many messages and consumers a queue has; None if there is none."""
    channel = connection.channel()
    # A channel for each question: the broker closes it if there is no such queue.
    try:
        declared = channel.queue_declare(queue, passive=True).method
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code != _NOT_FOUND:
            raise
        return None
    channel.close()
    return declared.message_count, declared.consumer_count


def _publish_blocking(channel: Any, queue: str, message_id: str, body: bytes) -> None:
    channel.basic_publish("", queue, body, _properties(message_id), mandatory=True)


def _properties(message_id: str) -> Any:
    return pika.BasicProperties(
        delivery_mode=2, message_id=message_id, content_type="application/json"
    )


_Place = tuple[str, str, str]
"""Where a message is published to, and its id: the exchange, the routing key, the id."""


class _Publisher:
    """A link that publishes, and tells each caller what the broker says of their message.

    While the broker is blocked nothing more is written. What was written before that stays with the broker,
    which reads it after the alarm, even if the connection was cut. So the connection is kept, and the next
    attempt to publish the same message waits for the same confirm: a second copy would come behind others.
    """

    def __init__(self, parameters: Sequence[Any]) -> None:
        self._lock = threading.Lock()
        self._written: dict[_Place, Future[None]] = {}
        """The confirms that a caller waits for, or did not wait for to the end."""
        self._pending: dict[int, tuple[str, Future[None]]] = {}
        self._returned: set[str] = set()
        self._last_tag = 0
        self._is_stale = False
        self._link = Link(parameters, "connectycube-publisher", self._begin, self._lost)

    @property
    def is_open(self) -> bool:
        return self._link.is_open and not self._is_stale

    def publish(self, exchange: str, key: str, message_id: str, body: bytes) -> None:
        """Publish, from any thread, and wait for the confirm."""
        place, began = (exchange, key, message_id), time.monotonic()
        with self._lock:
            future = self._written.get(place)
        if future is None:
            if not self._link.wait_until_free(WAIT):
                raise EngineFullError(BLOCKED)
            future = self._write(place, body)
        try:
            future.result(WAIT)
        except FutureTimeoutError:
            if self._link.was_blocked_since(began):
                raise EngineFullError(BLOCKED) from None
            # A channel may go on asking a leader that is gone; a new one finds the present leader.
            error = EngineUnavailableError(
                f"RabbitMQ did not confirm within {WAIT:.0f} seconds: a queue may have lost its majority"
            )
            self._link.abort()
            self._lost(error)
            raise error from None
        except RelayError:
            self._forget(place)
            raise
        self._forget(place)

    def blocked(self) -> str | None:
        """Publish what goes nowhere, to learn whether the broker reads it."""
        # With a body: RabbitMQ still takes a message that is over with its header.
        future = self._write(("", uuid4().hex, uuid4().hex), b"?")
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            if self._link.is_blocked:
                return BLOCKED
            with suppress(FutureTimeoutError, EngineSettingsError):
                future.result(_PROBE)
            if future.done():
                return None
        raise EngineUnavailableError(f"RabbitMQ did not answer within {WAIT:.0f} seconds")

    def _write(self, place: _Place, body: bytes) -> Future[None]:
        future: Future[None] = Future()
        with self._lock:
            self._written[place] = future
        try:
            self._link.call(partial(self._send, place, body, future))
        except EngineUnavailableError:
            self._forget(place)
            raise
        return future

    def _forget(self, place: _Place) -> None:
        with self._lock:
            self._written.pop(place, None)

    def close(self) -> None:
        """Close the connection; a caller that waits for a confirm gets EngineUnavailableError."""
        self._link.close()
        self._lost(EngineUnavailableError("this process has closed the connection to RabbitMQ"))

    # On the thread of the link.

    def _begin(self, channel: Any) -> None:
        channel.confirm_delivery(self._confirmed)
        channel.add_on_return_callback(self._return)

    def _send(self, place: _Place, body: bytes, future: Future[None], channel: Any) -> None:
        # Counted on the thread of the link, where publishing and counting are one step: the broker counts
        # alike.
        exchange, key, message_id = place
        self._last_tag += 1
        self._pending[self._last_tag] = message_id, future
        channel.basic_publish(exchange, key, body, _properties(message_id), mandatory=True)

    def _return(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._returned.add(properties.message_id)  # its confirm follows

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        is_taken = isinstance(method, Basic.Ack)
        tags = (
            # One confirm may stand for all earlier ones.
            [tag for tag in self._pending if tag <= method.delivery_tag]
            if method.multiple
            else [method.delivery_tag]
        )
        for tag in tags:
            message_id, future = self._pending.pop(tag)
            with suppress(InvalidStateError):  # the link is lost, or was closed
                self._settle(message_id, future, is_taken)
        # Not before the last confirm: callers still wait for theirs.
        if self._is_stale and not self._pending:
            self._link.close()

    def _settle(self, message_id: str, future: Future[None], is_taken: bool) -> None:
        if not is_taken:
            # After the loss of a leader RabbitMQ (3.10) refuses all that this channel publishes from now on;
            # a new one finds the present leader.
            self._is_stale = True
            future.set_exception(EngineFullError(REFUSED))
        elif message_id in self._returned:
            self._returned.discard(message_id)
            future.set_exception(
                EngineSettingsError(
                    "RabbitMQ has no queue for this: the exchange or its bindings were removed"
                )
            )
        else:
            future.set_result(None)

    def _lost(self, error: Exception) -> None:
        with self._lock:
            written = [*self._written.values()]
        for future in written:
            with suppress(InvalidStateError):  # it has its confirm
                future.set_exception(error)


class _Queue:
    """What a worker has of one partition."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.link: Link | None = None
        """The connection of the consumer; None while it is to be opened again."""
        self.arrived: deque[Delivery] = deque()
        self.due = 0.0
        self.is_claimed = False
        self.is_active = False
        """Whether the broker has given it to this worker."""
        self.channel: Any = None
        """That of the consumer; None once this worker leaves the queue: what arrives then is for the next."""


class _RabbitSubscription(Subscription):
    """A worker of the engine: a consumer of each queue, active in some and standing by in the others.

    A worker that has more than its share of the queues leaves one between two events. Each queue has a
    connection of its own, because a cut is the one way to leave it in order: after the cancel of a consumer
    RabbitMQ (3.10) now and then gives the next one the second event that waits, and then the first. One event
    of each queue is here at a time.
    """

    def __init__(
        self, engine: RabbitEngine, parameters: Sequence[Any], topic: Topic, group: str, batch: int
    ) -> None:
        self._engine = engine
        self._parameters = parameters
        self._name = f"connectycube-{group}-amqp"
        self._members = engine.name(topic.name, group, "members")
        # With several queues one event at a time, so that a queue can be left between any two events.
        self._batch = batch if topic.partitions == 1 else 1
        self._queues = [_Queue(engine.name(topic.name, group, n)) for n in range(topic.partitions)]
        self._changed = threading.Condition()
        self._failure: Exception | None = None
        self._share = topic.partitions
        self._looked = time.monotonic()
        self._link = Link(parameters, self._name, self._join, self._lost)
        try:
            self._open_links()
        except BaseException:
            self.close()
            raise

    # --- on the threads of the links ---

    def _join(self, channel: Any) -> None:
        """Be counted among the workers."""
        # Nothing is ever in this queue: the number of its consumers is the number of workers.
        channel.basic_consume(self._members, _ignore)

    def _stand_by(self, number: int, channel: Any) -> None:
        self._queues[number].channel = channel
        channel.basic_qos(prefetch_count=self._batch)
        channel.basic_consume(self._queues[number].name, partial(self._arrive, number))

    def _arrive(self, number: int, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        headers: Mapping[str, Any] = properties.headers or {}
        count = int(headers.get("x-delivery-count", 0))
        delivery = Delivery(
            body, method.delivery_tag, crashes=count, may_be_repeated=method.redelivered
        )
        with self._changed:
            queue = self._queues[number]
            # Delivered while this worker leaves the queue: the cut gives it to the next one, in its
            # place.
            if queue.channel is not channel:
                return
            queue.is_active = True
            queue.arrived.append(delivery)
            self._changed.notify_all()

    def _lost(self, error: Exception) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def _acknowledge(self, number: int, tag: int, channel: Any) -> None:
        queue = self._queues[number]
        with self._changed:
            active = sum(each.is_active for each in self._queues)
            # Only here, between two events: a queue that is left with an event in work would repeat the
            # event.
            leaves = self._batch == 1 and active > self._share
            if leaves:
                queue.channel, queue.is_active = None, False
        channel.basic_ack(tag)
        if leaves:
            _settle(channel, partial(self._leave, queue))

    def _leave(self, queue: _Queue) -> None:
        """Cut the connection of a queue, whose acknowledgements the broker has read."""
        assert queue.link is not None
        queue.link.abort()
        with self._changed:
            queue.link = None
            self._changed.notify_all()

    def _count(self, channel: Any) -> None:
        """Ask how many workers there are."""

        def counted(frame: Any) -> None:
            workers = max(1, frame.method.consumer_count)
            self._share = -(-len(self._queues) // workers)

        channel.queue_declare(self._members, passive=True, callback=counted)

    # --- on the thread of the worker ---

    def claim(self, timeout: float) -> Claim | None:
        """Return what was delivered; of several queues the one whose event was delivered least often."""
        deadline = time.monotonic() + timeout
        self._look()
        self._open_links()
        with self._changed:
            while True:
                if self._failure is not None:
                    raise EngineUnavailableError(str(self._failure)) from self._failure
                now = time.monotonic()
                ready = [
                    # Events that have crashed workers come last, so that they cannot hold up the other
                    # partitions.
                    (queue.arrived[0].crashes, random.random(), number)
                    for number, queue in enumerate(self._queues)
                    if queue.arrived and not queue.is_claimed and queue.due <= now
                ]
                if ready:
                    return self._claim(min(ready)[2])
                if now >= deadline:
                    return None
                soonest = min(
                    (
                        queue.due
                        for queue in self._queues
                        if queue.arrived and not queue.is_claimed and queue.due > now
                    ),
                    default=deadline,
                )
                self._changed.wait(max(0.001, min(soonest, deadline) - now))

    def _look(self) -> None:
        """Ask, now and then, how many workers there are."""
        if self._batch == 1 and time.monotonic() - self._looked >= _LOOK:
            self._looked = time.monotonic()
            self._link.call(self._count)

    def _open_links(self) -> None:
        """Stand by for the queues that have no connection, in any order, so that workers share them out."""
        closed = [number for number, queue in enumerate(self._queues) if queue.link is None]
        random.shuffle(closed)
        for number in closed:
            # A failure of one ends the subscription: the worker begins again with all of them.
            self._queues[number].link = Link(
                self._parameters, self._name, partial(self._stand_by, number), self._lost
            )

    def _claim(self, number: int) -> Claim:
        queue = self._queues[number]
        queue.is_claimed = True
        deliveries: deque[Delivery] = deque()
        while queue.arrived and len(deliveries) < self._batch:
            deliveries.append(queue.arrived.popleft())
        return Claim(number, deliveries)

    def renew(self, claim: Claim) -> None:
        """Look whether the connection is there: as long as it is, the broker gives the queue to no other."""
        link = self._queues[claim.partition].link
        if self._failure is not None or link is None or not link.is_open:
            raise ClaimLostError("the connection to RabbitMQ was lost, and the claim with it")

    def ack(self, claim: Claim, letter: Letter | None = None) -> None:
        """Acknowledge an event, once its letter is in the queue of dead letters."""
        self.renew(claim)
        if letter is not None:
            self._engine.publish("", self._engine.name("dead"), letter.id, letter.to_json())
        tag = claim.deliveries[0].place
        # Before the acknowledgement: with it the broker may deliver the next event, which has to find the
        # queue free.
        if len(claim.deliveries) == 1:
            self._give_back(claim, [], 0.0)
        link = self._queues[claim.partition].link
        assert link is not None  # as ``renew`` has looked
        try:
            link.call(partial(self._acknowledge, claim.partition, tag))
        except EngineUnavailableError as error:
            raise ClaimLostError(str(error)) from None
        claim.deliveries.popleft()

    def retry(self, claim: Claim, seconds: float) -> None:
        """Keep an event that has failed here, unacknowledged, until it is due."""
        self.renew(claim)
        first, *rest = claim.deliveries
        failed = evolve(first, failures=first.failures + 1)
        # It stays unacknowledged and in front: put back, the broker would deliver it at once, or behind
        # others.
        self._give_back(claim, [failed, *rest], time.monotonic() + seconds)

    def release(self, claim: Claim) -> None:
        """Keep events here for the next claim."""
        self._give_back(claim, claim.deliveries, 0.0)

    def _give_back(
        self, claim: Claim, deliveries: Sequence[Delivery] | deque[Delivery], due: float
    ) -> None:
        with self._changed:
            queue = self._queues[claim.partition]
            queue.arrived.extendleft(reversed(deliveries))
            queue.due = due
            queue.is_claimed = False

    def close(self) -> None:
        """Cut the connections; the broker gives what is not acknowledged to other workers, in order."""
        links = [queue.link for queue in self._queues if queue.link is not None]
        settled = threading.Semaphore(0)
        asked = 0
        for link in links:
            with suppress(EngineUnavailableError):
                link.call(partial(_settle, done=settled.release))
                asked += 1
        deadline = time.monotonic() + _SETTLE
        # Acknowledgements that the cut loses are events that are handled twice; so they are waited for,
        # but not forever.
        while asked and settled.acquire(timeout=max(0.0, deadline - time.monotonic())):
            asked -= 1
        for link in (*links, self._link):
            link.abort()


def _settle(channel: Any, done: Callable[[], object]) -> None:
    """Call ``done`` once the broker has read all acknowledgements of a channel, which a cut may lose."""

    def answered(_frame: object) -> None:
        done()

    channel.basic_qos(prefetch_count=1, callback=answered)


def _ignore(*_: object) -> None:
    """Do nothing with a message."""
