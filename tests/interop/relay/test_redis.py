"""What the engine of Redis Streams promises beyond the others: no event twice, fencing, and clear errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from connectycube import ArgumentValueError
from connectycube.contrib.relay import (
    ClaimLostError,
    EngineFullError,
    EngineSettingsError,
    EngineUnavailableError,
)
from connectycube.contrib.relay.engine import Topic
from connectycube.contrib.relay.redis_streams import RedisEngine
from tests.interop.redis_server import RedisServer

pytestmark = pytest.mark.referee("redis")

TOPIC = Topic("events", ("workers",), partitions=2)
LEASE = 0.3


@pytest.fixture(scope="module")
def server(redis_server: RedisServer) -> RedisServer:
    return redis_server


@pytest.fixture
def engine(server: RedisServer, request: pytest.FixtureRequest) -> Iterator[RedisEngine]:
    made = RedisEngine(server.url, request.node.name, lease=LEASE)
    made.declare(TOPIC)
    yield made
    made.close()


def test_an_event_whose_id_is_known_is_not_added_again(engine):
    assert engine.add(TOPIC, "k", "id", b"a")
    assert not engine.add(TOPIC, "k", "id", b"a")
    assert sum(each.waiting for each in engine.status(TOPIC)) == 1


def test_a_worker_that_was_too_slow_can_finish_nothing(engine):
    for body in (b"a", b"b"):
        engine.add(TOPIC, "k", body.decode(), body)
    slow, next_one = (engine.subscribe(TOPIC, "workers", 16) for _ in range(2))
    late = slow.claim(1)
    assert late is not None
    claim = next_one.claim(10)
    assert claim is not None
    assert claim.deliveries[0].crashes == 1
    for call in (slow.ack, slow.renew):
        with pytest.raises(ClaimLostError):
            call(late)
    with pytest.raises(ClaimLostError):
        slow.retry(late, 1)
    slow.release(late)
    next_one.ack(claim)
    next_one.ack(claim)
    slow.close()
    next_one.close()


def test_a_renewed_claim_stays_with_its_worker(engine):
    engine.add(TOPIC, "k", "id", b"a")
    worker, other = (engine.subscribe(TOPIC, "workers", 16) for _ in range(2))
    claim = worker.claim(1)
    assert claim is not None
    for _ in range(6):
        assert other.claim(LEASE / 3) is None
        worker.renew(claim)
    worker.ack(claim)
    worker.close()
    other.close()


def test_a_repeated_finish_changes_nothing(engine):
    for body in (b"a", b"b"):
        engine.add(TOPIC, "k", body.decode(), body)
    worker = engine.subscribe(TOPIC, "workers", 16)
    claim = worker.claim(1)
    assert claim is not None
    first = claim.deliveries[0]
    worker.ack(claim)
    claim.deliveries.appendleft(first)  # the answer to the first call was lost
    worker.ack(claim)
    assert sum(each.waiting for each in engine.status(TOPIC)) == 1
    worker.ack(claim)
    assert sum(each.waiting for each in engine.status(TOPIC)) == 0
    worker.close()


def test_finished_events_take_no_room(engine, server):
    worker = engine.subscribe(TOPIC, "workers", 16)
    for number in range(50):
        engine.add(TOPIC, str(number), str(number), b"a")
    while (claim := worker.claim(0.05)) is not None:
        while claim.deliveries:
            worker.ack(claim)
    worker.close()
    with redis.Redis.from_url(server.url) as client:
        assert [client.xlen(f"{engine._prefix}:events:{n}") for n in range(2)] == [0, 0]


def test_keys_of_another_type_are_a_clear_error(engine, server):
    with redis.Redis.from_url(server.url) as client:
        for partition in range(2):
            client.set(f"{engine._prefix}:events:{partition}", "not a stream")
    with pytest.raises(EngineSettingsError, match="may be those of another program"):
        engine.add(TOPIC, "k", "id", b"a")


def test_another_schema_is_a_clear_error(engine, server):
    with redis.Redis.from_url(server.url) as client:
        client.hset(f"{engine._prefix}:schema", "schema", "2")
    with pytest.raises(EngineSettingsError, match="have schema 2, and this release reads 1"):
        engine.declare(TOPIC)


def test_a_wrong_url_is_an_argument_error():
    with pytest.raises(ArgumentValueError, match="url"):
        RedisEngine("redis://host:port")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


def test_a_broker_that_was_killed_has_all_events(own_server):
    engine = RedisEngine(own_server.url, lease=LEASE)
    engine.declare(TOPIC)
    for number in range(100):
        engine.add(TOPIC, str(number), str(number), b"a")
    own_server.kill()
    with pytest.raises(EngineUnavailableError, match="cannot be reached"):
        engine.add(TOPIC, "k", "id", b"a")
    own_server.start()
    assert sum(each.waiting for each in engine.status(TOPIC)) == 100
    engine.close()


def test_a_broker_without_memory_is_full_and_keeps_what_it_has(own_server):
    engine = RedisEngine(own_server.url)
    engine.declare(TOPIC)
    engine.add(TOPIC, "k", "first", b"a")
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(EngineFullError, match="no memory left"):
            for number in range(2000):
                engine.add(TOPIC, str(number), str(number), b"a" * 1000)
        client.config_set("maxmemory", "0")
    assert engine.add(TOPIC, "k", "last", b"a")
    engine.close()


def test_a_broker_that_forgets_is_warned_of(own_server, caplog):
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("appendonly", "no")
        client.config_set("maxmemory-policy", "allkeys-lru")
    engine = RedisEngine(own_server.url)
    with caplog.at_level(logging.WARNING, logger="connectycube.relay"):
        engine.declare(TOPIC)
        engine.declare(TOPIC)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "Redis has appendonly no",
        "Redis has maxmemory-policy allkeys-lru",
    ]
    engine.close()
