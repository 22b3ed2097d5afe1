"""The interface of an engine: a broker that keeps events in partitions, in order, until they are handled.

Two are there: Redis Streams and RabbitMQ. Another one is a class with these methods. Whatever an engine's
library raises leaves it as one of the errors of this package.
"""

from __future__ import annotations

import json
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from attrs import define, field, frozen

from .errors import EnvelopeError

__all__ = [
    "Claim",
    "Delivery",
    "Engine",
    "Letter",
    "PartitionStatus",
    "Subscription",
    "Topic",
]


@frozen
class Topic:
    """Events of one kind in an engine, which each of its groups gets.

    Args:
        name: Letters, digits, hyphens and dots.
        groups: The groups of workers; each of them handles each event once.
        partitions: The number of queues of each group; what has the same key is in the same one, in order.
        limit: The number of events that may wait in a partition; one more is refused.
        is_outbox: Whether these are answers. A broker without memory takes them if it can: without its answer
            the event that waits cannot be finished, and makes no room.
    """

    name: str
    groups: tuple[str, ...]
    partitions: int = 1
    limit: int = 100_000
    is_outbox: bool = False

    def partition_of(self, key: str) -> int:
        """Return the number of the partition of a key, which is the same in each process and release."""
        # Not hash(), which is salted by process: two relays would put one dialog into two partitions.
        return zlib.crc32(key.encode(errors="surrogatepass")) % self.partitions


@frozen
class Delivery:
    """One event as a worker gets it.

    Args:
        body: The bytes that were added; empty if it was put back for another group alone.
        place: Where the engine has it.
        failures: The number of earlier attempts whose handler has raised, as far as the engine knows.
        crashes: The number of earlier attempts that ended without a word, because the worker was killed.
        may_be_repeated: Whether the engine has given it to a worker before, in an attempt or not.
    """

    body: bytes
    place: Any
    failures: int = 0
    crashes: int = 0
    may_be_repeated: bool = False


@define(eq=False)
class Claim:
    """Events of one partition, in order, which one worker has until it has finished or released them.

    Args:
        partition: The number of the partition.
        deliveries: The events that are not finished.
        token: What the engine knows the claim by.
    """

    partition: int
    deliveries: deque[Delivery]
    token: Any = None


@frozen
class PartitionStatus:
    """The events that wait in a partition for a group.

    Args:
        topic: The name of the topic.
        group: The group.
        partition: The number of the partition.
        waiting: The number of events that are not handled; RabbitMQ counts those that no worker has.
        owner: The worker that has it (Redis) or the number of consumers (RabbitMQ); None: no worker has it.
        oldest: Seconds since the oldest of them was added; None: there is none, or the engine does not say.

    Example:
        >>> from connectycube.contrib.relay import PartitionStatus
        >>> status = PartitionStatus("events", "workers", partition=3, waiting=12)
        >>> status.waiting, status.owner
        (12, None)
    """

    topic: str
    group: str
    partition: int
    waiting: int
    owner: str | None = None
    oldest: float | None = None


@frozen
class Letter:
    """A dead letter: an event that a group has given up.

    Args:
        id: Its id.
        topic: The topic of the event.
        group: The group that has given it up.
        partition: Its partition.
        key: Its key.
        event_id: The event's id; empty if the event cannot be read.
        error: The last error, in words.
        attempts: How often the handler has run for it.
        body: The event as it was added.
        at: When it was given up.

    Example:
        >>> from connectycube.contrib.relay import Letter
        >>> letter = Letter("1", "events", "workers", 3, "7/u8", "e1", "KeyError('name')", 10, b"{}")
        >>> Letter.from_json(letter.to_json()) == letter
        True
    """

    id: str
    topic: str
    group: str
    partition: int
    key: str
    event_id: str
    error: str
    attempts: int
    body: bytes
    at: datetime = field(factory=lambda: datetime.now(timezone.utc))

    def to_dict(self) -> dict[str, Any]:
        """Write the letter as a dictionary of JSON's types.

        Returns:
            The dictionary; "schema" is its version.
        """
        return {
            "schema": 1,
            "id": self.id,
            "topic": self.topic,
            "group": self.group,
            "partition": self.partition,
            "key": self.key,
            "event_id": self.event_id,
            "error": self.error,
            "attempts": self.attempts,
            "at": self.at.isoformat(),
            # Any bytes come back as they were, also those of an event that cannot be read.
            "body": self.body.decode("utf-8", "surrogateescape"),
        }

    def to_json(self) -> bytes:
        """Write the letter as JSON.

        Returns:
            The JSON, in ASCII.
        """
        return json.dumps(self.to_dict()).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Letter:
        """Read the JSON that :meth:`to_json` made.

        Args:
            data: The JSON.

        Returns:
            The letter.

        Raises:
            EnvelopeError: It is no letter, or of another schema.
        """
        try:
            found: Mapping[str, Any] = json.loads(data)
            if found["schema"] != 1:
                raise EnvelopeError(
                    f"a dead letter has schema {found['schema']!r}, and this release reads 1"
                )
            return cls(
                id=str(found["id"]),
                topic=str(found["topic"]),
                group=str(found["group"]),
                partition=int(found["partition"]),
                key=str(found["key"]),
                event_id=str(found["event_id"]),
                error=str(found["error"]),
                attempts=int(found["attempts"]),
                at=datetime.fromisoformat(found["at"]),
                body=found["body"].encode("utf-8", "surrogateescape"),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EnvelopeError(f"a dead letter cannot be read: {error!r}") from None


class Subscription(ABC):
    """What one worker gets of a topic, as a member of a group; for one thread, but for ``renew``."""

    @abstractmethod
    def claim(self, timeout: float) -> Claim | None:
        """Return events of a partition that no other worker of the group has; None if there are none.

        Args:
            timeout: Seconds to wait for an event.
        """

    @abstractmethod
    def renew(self, claim: Claim) -> None:
        """Hold a claim longer, from any thread; raises ClaimLostError."""

    @abstractmethod
    def ack(self, claim: Claim, letter: Letter | None = None) -> None:
        """Note that the first event of a claim is finished, and remove it from the claim.

        After the last one the claim is over. Raises ClaimLostError.

        Args:
            claim: The claim.
            letter: The dead letter that is kept in its place, in the same step.
        """

    @abstractmethod
    def retry(self, claim: Claim, seconds: float) -> None:
        """Note that the first event of a claim has failed; nobody gets its partition for so many seconds.

        The claim is over. Raises ClaimLostError.
        """

    @abstractmethod
    def release(self, claim: Claim) -> None:
        """Give up a claim: another worker may have the partition at once."""

    @abstractmethod
    def close(self) -> None:
        """Give up all claims, and close connections."""


class Engine(ABC):
    """A broker; its methods may be called from any thread, and the first call opens connections."""

    lease: float
    """Seconds after which a partition of a worker that was killed goes to another one, at the latest."""

    @abstractmethod
    def declare(self, topic: Topic) -> None:
        """Make the parts of a topic that are missing, and check the others.

        Args:
            topic: The topic.

        Raises:
            EngineSettingsError: A part has other settings; the error names both.
            EngineUnavailableError: The broker cannot be reached.
        """

    @abstractmethod
    def add(self, topic: Topic, key: str, event_id: str, body: bytes) -> bool:
        """Keep an event behind all earlier ones of its key; when this returns, the broker has it.

        A repeated call with the same id is a repetition: it may add the event again, and a worker then gets
        it with the same id.

        Args:
            topic: The topic.
            key: The key; events of one key stay in order.
            event_id: The id of the event.
            body: The event, as bytes.

        Returns:
            Whether it was added; False if the engine knows that it has been before.

        Raises:
            EngineFullError: There is no room.
            EngineUnavailableError: The broker did not say that it has the event.
        """

    @abstractmethod
    def subscribe(self, topic: Topic, group: str, batch: int) -> Subscription:
        """Begin to get the events of a group.

        Args:
            topic: The topic.
            group: The name of the group.
            batch: The largest number of events at a time.

        Returns:
            The subscription, for one thread.
        """

    @abstractmethod
    def status(self, topic: Topic) -> list[PartitionStatus]:
        """Count the waiting events.

        Args:
            topic: The topic.

        Returns:
            The numbers for each group and partition.

        Raises:
            EngineUnavailableError: The broker cannot be reached.
        """

    def blocked(self) -> str | None:
        """Ask whether the broker takes no event of any partition at the moment.

        Returns:
            The reason, in words; None if it takes events.

        Raises:
            EngineUnavailableError: The broker cannot be reached.
        """
        return None

    @abstractmethod
    def letters(self) -> list[Letter]:
        """Return the dead letters of all groups.

        Returns:
            The letters, the oldest first.

        Raises:
            EngineUnavailableError: The broker cannot be reached.
        """

    @abstractmethod
    def retry_letters(self, ids: Sequence[str]) -> None:
        """Put events back behind the others of their partition, for the group that has given them up.

        Args:
            ids: The ids of the letters.

        Raises:
            ArgumentValueError: One of the ids is that of no letter; then none is put back.
            EngineUnavailableError: The broker cannot be reached.
        """

    @abstractmethod
    def drop_letters(self, ids: Sequence[str]) -> None:
        """Remove letters for good.

        Args:
            ids: The ids of the letters.

        Raises:
            ArgumentValueError: One of the ids is that of no letter; then none is removed.
            EngineUnavailableError: The broker cannot be reached.
        """

    @abstractmethod
    def load(self, name: str) -> bytes | None:
        """Return the small value that was saved last under a name.

        Args:
            name: The name.

        Returns:
            The value; None if there is none.

        Raises:
            EngineUnavailableError: The broker cannot be reached.
        """

    @abstractmethod
    def save(self, name: str, value: bytes) -> None:
        """Keep a small value under a name, in place of the one before.

        Args:
            name: The name.
            value: The value.

        Raises:
            EngineUnavailableError: The broker cannot be reached.
        """

    @abstractmethod
    def close(self) -> None:
        """Close connections; a later call opens others."""
