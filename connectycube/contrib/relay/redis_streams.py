"""The engine of Redis Streams: partitions with leases of our own, for where there is one broker."""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from connectycube.errors import ArgumentValueError

from ..common.extras import extra

with extra("relay-redis", "redis"):
    import redis
    import redis.exceptions
    from redis.backoff import NoBackoff
    from redis.retry import Retry

from . import redis_scripts
from .engine import Claim, Delivery, Engine, Letter, PartitionStatus, Subscription, Topic
from .errors import (
    ClaimLostError,
    EngineFullError,
    EngineSettingsError,
    EngineUnavailableError,
    RelayError,
)

__all__ = ["RedisEngine"]

logger: logging.Logger = logging.getLogger("connectycube.relay")

_WAIT = 10.0  # seconds for an answer of the broker
_SCHEMA = "1"
_NO_ROOM = re.compile("OOM|used memory > 'maxmemory'")
_PASSES = re.compile("READONLY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY ")
"""What Redis says of a state that it is in, not of a command: a replica, no disk, no replicas, a script."""


class RedisEngine(Engine):
    """Events in Redis Streams.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it.
        prefix: What all keys begin with.
        lease: Seconds after which the partition of a worker that was killed goes to another one.
        remember: Seconds for which the id of an added event is known, so that it is not added twice.
    """

    def __init__(
        self, url: str, prefix: str = "cube", *, lease: float = 10.0, remember: float = 3600.0
    ) -> None:
        self.lease = lease
        self._prefix = prefix
        self._remember = int(remember)
        client: Any = redis.Redis  # its from_url() has no types
        try:
            self._client: Any = client.from_url(
                url,
                socket_timeout=_WAIT,
                socket_connect_timeout=_WAIT,
                health_check_interval=30,
                retry=Retry(NoBackoff(), 1),  # a connection that died while it was idle
                # After a failover the same name may lead to the new primary.
                retry_on_error=[redis.exceptions.ReadOnlyError],
            )
        except ValueError as error:
            raise ArgumentValueError(f"url is no URL of Redis: {error}") from None
        self._scripts = {
            name: self._client.register_script(getattr(redis_scripts, name))
            for name in redis_scripts.__all__
        }
        self._has_looked = False

    def _key(self, *parts: object) -> str:
        return ":".join([self._prefix, *map(str, parts)])

    def run(self, script: str, keys: Sequence[str], *values: Any) -> Any:
        """Run a script by its name; for the subscriptions of this engine."""
        with _errors():
            return self._scripts[script](keys=keys, args=values)

    # --- events ---

    def declare(self, topic: Topic) -> None:
        """Note the partitions and groups of a topic, or compare them with what is noted."""
        with _errors():
            self._look_at_settings()
            schema = _text(self._note(self._key("schema"), "schema", _SCHEMA))
            if schema != _SCHEMA:
                raise EngineSettingsError(
                    f"the keys of prefix {self._prefix!r} have schema {schema}, and this release reads"
                    f" {_SCHEMA}: use another prefix, or that release"
                )
            # The number of partitions decides where a key goes; with two numbers one dialog would be in
            # two places.
            partitions = int(self._note(self._key("partitions"), topic.name, topic.partitions))
            if partitions != topic.partitions:
                raise EngineSettingsError(
                    f"topic {topic.name} of prefix {self._prefix!r} has {partitions} partitions, not"
                    f" {topic.partitions}: events would leave their order; use that number, or another"
                    " prefix once nothing waits in this one"
                )
            for group in topic.groups:
                # A group must be known before the first event: trimming keeps an event for the groups
                # that are known.
                self.run("JOIN", [], self._key(topic.name), group, topic.partitions)

    def _note(self, key: str, field: str, value: str | int) -> Any:
        """Return the field of a hash, and set it before if there is none; reading needs no memory."""
        found = self._client.hget(key, field)
        if found is None:
            self._client.hsetnx(key, field, value)
            found = self._client.hget(key, field)
        return found

    def _look_at_settings(self) -> None:
        """Warn once if the broker is set to lose events."""
        if self._has_looked:
            return
        # Before the look: a broker that refuses it would be asked at each declaration.
        self._has_looked = True
        try:
            found = {
                **self._client.config_get("appendonly"),
                **self._client.config_get("maxmemory-policy"),
            }
        except redis.exceptions.ResponseError:
            return  # a hosted Redis does not tell
        if found.get("appendonly") != "yes":
            logger.warning(
                "Redis has appendonly %s: a restart loses the events that wait; set appendonly yes",
                found.get("appendonly"),
            )
        if found.get("maxmemory-policy") != "noeviction":
            logger.warning(
                "Redis has maxmemory-policy %s: it may drop events that wait; set noeviction",
                found.get("maxmemory-policy"),
            )

    def add(self, topic: Topic, key: str, event_id: str, body: bytes) -> bool:
        """Keep an event, unless its id is known."""
        partition = topic.partition_of(key)
        added = self.run(
            "ADD",
            [
                self._key(topic.name, partition),
                self._key(topic.name, partition, "meta"),
                self._key(topic.name, "seen", event_id),
            ],
            *(event_id, body, topic.limit, self._remember, self._key(topic.name, "added")),
            int(topic.is_outbox),
        )
        # Refused and not dropped: the relay keeps the event, and the chat's queue slows the server down.
        if added < 0:
            raise EngineFullError(
                f"{topic.limit} events wait in partition {partition} of {topic.name}: start more workers"
            )
        return bool(added)

    def subscribe(self, topic: Topic, group: str, batch: int) -> Subscription:
        """Begin to get the events of a group."""
        return _RedisSubscription(self, self._client, topic, group, batch, self._prefix)

    def status(self, topic: Topic) -> list[PartitionStatus]:
        """Return the number of waiting events for each group and partition."""
        found: list[PartitionStatus] = []
        with _errors():
            now = self._client.time()[0]
            groups = sorted(map(_text, self._client.smembers(self._key(topic.name, "groups"))))
            for group in groups:
                for partition in range(topic.partitions):
                    found.append(self._status_of(topic, group, partition, now))
        return found

    def _status_of(self, topic: Topic, group: str, partition: int, now: int) -> PartitionStatus:
        stream = self._key(topic.name, partition)
        added = int(self._client.hget(f"{stream}:meta", "added") or 0)
        names = ("cursor", "owner", "until")
        cursor, owner, until = self._client.hmget(f"{stream}:group:{group}", *names)
        waiting = added - int(cursor or 0)
        first: list[Any] = []
        if waiting:
            first = self._client.xrange(stream, f"{int(cursor or 0) + 1}-0", "+", count=1)
        # The owner of a claim that is over is history, not a worker.
        is_owned = owner is not None and int(until or 0) > now * 1000
        oldest = max(0.0, float(now - int(first[0][1][b"at"]))) if first else None
        return PartitionStatus(
            *(topic.name, group, partition, waiting), _text(owner) if is_owned else None, oldest
        )

    def blocked(self) -> str | None:
        """Write what an event would need, and remove it."""
        try:
            self.run("PROBE", [self._key("probe")])
        except EngineFullError as error:
            return str(error)
        except EngineUnavailableError as error:
            if isinstance(error.__cause__, redis.exceptions.ResponseError):
                return str(error)  # it was reached
            raise
        return None

    # --- dead letters ---

    def letters(self) -> list[Letter]:
        """Return the dead letters, the oldest first."""
        with _errors():
            found = self._client.hvals(self._key("dead"))
        return sorted(map(Letter.from_json, found), key=lambda letter: letter.at)

    def retry_letters(self, ids: Sequence[str]) -> None:
        """Put events back, all or none."""
        values: list[Any] = []
        for letter in _chosen(self.letters(), ids):
            base = self._key(letter.topic)
            values += [letter.id, base, letter.partition, letter.group, letter.body]
        # Looked at again inside the script: another process may have dropped one since the letters were
        # read.
        missing = self.run("RETRY_LETTERS", [self._key("dead")], *values)
        if missing:
            raise ArgumentValueError(f"there is no dead letter {_text(missing)}")

    def drop_letters(self, ids: Sequence[str]) -> None:
        """Remove letters for good."""
        chosen = _chosen(self.letters(), ids)
        if chosen:
            with _errors():
                self._client.hdel(self._key("dead"), *(letter.id for letter in chosen))

    # --- the side store ---

    def load(self, name: str) -> bytes | None:
        """Return the value of a key."""
        with _errors():
            found: bytes | None = self._client.get(self._key("store", name))
        return found

    def save(self, name: str, value: bytes) -> None:
        """Set a key."""
        with _errors():
            self._client.set(self._key("store", name), value)

    def close(self) -> None:
        """Close the connections of the pool."""
        self._client.close()


def _chosen(letters: Sequence[Letter], ids: Sequence[str]) -> list[Letter]:
    by_id = {letter.id: letter for letter in letters}
    for each in ids:
        if each not in by_id:
            raise ArgumentValueError(f"there is no dead letter {each}")
    return [by_id[each] for each in dict.fromkeys(ids)]


class _RedisSubscription(Subscription):
    """A worker of the engine, which claims one partition after the other."""

    def __init__(
        self,
        engine: RedisEngine,
        client: Any,
        topic: Topic,
        group: str,
        batch: int,
        prefix: str,
    ) -> None:
        self._engine = engine
        self._client = client
        self._topic = topic
        self._group = group
        self._batch = batch
        self._prefix = prefix
        self._base = f"{prefix}:{topic.name}"
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        # Workers begin at different partitions, so that they do not all ask for the same one.
        self._first = secrets.randbelow(topic.partitions)
        self._lease = int(engine.lease * 1000)
        self._listening: Any = None

    def claim(self, timeout: float) -> Claim | None:
        """Claim the next partition; wait for the channel on which events are announced."""
        deadline = time.monotonic() + timeout
        while True:
            found = self._engine.run(
                "CLAIM",
                [],
                *(self._base, self._group, self._topic.partitions, self._first),
                *(self._owner, self._lease, self._batch),
            )
            if found[0] >= 0:
                return self._claim_of(*found)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            # Without an announcement a partition becomes free when its lease or its delay ends.
            soonest = found[1] / 1000 if found[1] >= 0 else left
            self._wait(min(left, max(soonest, 0.001)))

    def _claim_of(
        self, partition: int, token: int, failures: int, crashes: int, entries: list[Any]
    ) -> Claim:
        self._first = (partition + 1) % self._topic.partitions  # the others have their turn
        deliveries: deque[Delivery] = deque()
        for place, fields in entries:
            values = dict(zip(fields[::2], fields[1::2], strict=True))
            number = int(place.partition(b"-")[0])
            only = values.get(b"only")
            is_ours = only is None or only.decode() == self._group
            deliveries.append(
                Delivery(
                    values[b"body"] if is_ours else b"",
                    number,
                    # The counts of the broker are those of the first event; the ones behind it were not
                    # tried.
                    failures if not deliveries else 0,
                    crashes if not deliveries else 0,
                )
            )
        return Claim(partition, deliveries, token)

    def _wait(self, seconds: float) -> None:
        """Wait until an event is announced; a lost announcement costs the wait."""
        with _errors():
            if self._listening is None:
                listening = self._client.pubsub(ignore_subscribe_messages=True)
                listening.subscribe(f"{self._base}:added")
                # What was added before the subscription is found by the next look.
                self._listening = listening
                return
            try:
                self._listening.get_message(timeout=seconds)
                # One look finds all that was announced; further announcements of the same events would
                # repeat it.
                while self._listening.get_message(timeout=0) is not None:
                    pass
            except (redis.exceptions.RedisError, OSError):
                self._stop_listening()
                raise

    def _stop_listening(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            with suppress(redis.exceptions.RedisError, OSError):
                listening.close()

    def renew(self, claim: Claim) -> None:
        """Move the end of the lease."""
        self._held(self._engine.run("RENEW", [], self._hash(claim), claim.token, self._lease))

    def ack(self, claim: Claim, letter: Letter | None = None) -> None:
        """Move the cursor of the group behind the event."""
        # With the last event the claim ends in the same step, so no other worker waits for the lease.
        lease = self._lease if len(claim.deliveries) > 1 else 0
        self._held(
            self._engine.run(
                "FINISH",
                [],
                *(self._base, self._group, claim.partition, claim.token),
                *(claim.deliveries[0].place, lease, f"{self._prefix}:dead"),
                *(("", "") if letter is None else (letter.id, letter.to_json())),
            )
        )
        # After the broker has said so: a call that fails may be repeated.
        claim.deliveries.popleft()

    def retry(self, claim: Claim, seconds: float) -> None:
        """Let nobody claim the partition for a while."""
        self._release(claim, seconds, failures=1)

    def release(self, claim: Claim) -> None:
        """Let another worker claim the partition."""
        with suppress(RelayError):
            # Not a crash: the next claim of the same event counts no attempt.
            self._release(claim, 0, failures=0)

    def _release(self, claim: Claim, seconds: float, failures: int) -> None:
        self._held(
            self._engine.run(
                "RELEASE", [], self._hash(claim), claim.token, int(seconds * 1000), failures
            )
        )

    def close(self) -> None:
        """Close the connection that listens."""
        self._stop_listening()

    def _hash(self, claim: Claim) -> str:
        return f"{self._base}:{claim.partition}:group:{self._group}"

    def _held(self, is_held: int) -> None:
        if not is_held:
            raise ClaimLostError("another worker has the partition, as this one was too slow")


@contextmanager
def _errors() -> Generator[None]:
    """Raise this package's errors in place of those of redis-py."""
    try:
        yield
    except (redis.exceptions.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        raise EngineSettingsError(f"Redis refuses the credentials of the URL: {error}") from error
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError) as error:
        raise EngineUnavailableError(f"Redis cannot be reached: {error}") from error
    except redis.exceptions.ResponseError as error:
        if _NO_ROOM.search(str(error)):
            raise EngineFullError(f"Redis has no memory left: {error}") from error
        if isinstance(error, redis.exceptions.ReadOnlyError) or _PASSES.search(str(error)):
            raise EngineUnavailableError(f"Redis takes nothing at the moment: {error}") from error
        raise EngineSettingsError(
            f"Redis refuses the command; its keys may be those of another program: {error}"
        ) from error


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
