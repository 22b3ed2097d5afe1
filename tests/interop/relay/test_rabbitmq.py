"""What the engine of RabbitMQ promises beyond the others: shares of workers, a cluster, clear errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from connectycube import ArgumentValueError
from connectycube.contrib.relay import EngineSettingsError, EngineUnavailableError, RelayError
from connectycube.contrib.relay.engine import Topic
from connectycube.contrib.relay.rabbitmq import RabbitEngine
from tests.interop.rabbitmq import RabbitCluster, RabbitMQ
from tests.support.waiting import wait_until

pytestmark = pytest.mark.referee("rabbitmq")

TOPIC = Topic("events", ("workers",), partitions=4)


@pytest.fixture
def engine(rabbitmq_server: RabbitMQ, request: pytest.FixtureRequest) -> Iterator[RabbitEngine]:
    made = RabbitEngine(rabbitmq_server.url, request.node.name[:60], lease=1)
    yield made
    made.close()


def test_a_limit_that_was_another_is_named(engine):
    engine.declare(TOPIC)
    with pytest.raises(
        EngineSettingsError, match=r"x-max-length.*received '5' but current is '100000'"
    ):
        engine.declare(Topic("events", ("workers",), partitions=4, limit=5))


def test_an_exchange_of_another_type_is_named(engine, rabbitmq_server):
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_server.url))
    connection.channel().exchange_declare(engine.name("events"), "topic", durable=True)
    with pytest.raises(EngineSettingsError, match=r"inequivalent arg 'type'.*direct.*topic"):
        engine.declare(TOPIC)
    connection.close()


def test_wrong_credentials_are_named(rabbitmq_server):
    engine = RabbitEngine(rabbitmq_server.url.replace("guest:guest", "guest:wrong"))
    with pytest.raises(EngineSettingsError, match="refuses the credentials"):
        engine.declare(TOPIC)


def test_a_broker_that_is_away_is_named():
    engine = RabbitEngine("amqp://guest:guest@127.0.0.1:1/")
    for call in (lambda: engine.declare(TOPIC), lambda: engine.add(TOPIC, "k", "id", b"a")):
        with pytest.raises(EngineUnavailableError, match="cannot be reached"):
            call()


def test_a_wrong_url_is_an_argument_error():
    with pytest.raises(ArgumentValueError, match="no URL of AMQP"):
        RabbitEngine("amqp://host:port/")


def test_an_event_without_a_queue_is_refused(engine):
    with pytest.raises((EngineSettingsError, EngineUnavailableError)):
        engine.add(TOPIC, "k", "id", b"a")
    engine.declare(TOPIC)
    assert engine.add(TOPIC, "k", "id", b"a")


def test_workers_share_the_partitions(engine):
    engine.declare(TOPIC)
    workers = [engine.subscribe(TOPIC, "workers", 16) for _ in range(2)]
    handled: list[set[int]] = [set(), set()]
    number = 0

    def both_work() -> bool:
        nonlocal number
        for _ in range(8):
            number += 1
            engine.add(TOPIC, str(number), str(number), b"a")
        for worker, partitions in zip(workers, handled, strict=True):
            partitions.clear()
            while (claim := worker.claim(0.02)) is not None:
                partitions.add(claim.partition)
                worker.ack(claim)
        return all(1 <= len(partitions) <= 2 for partitions in handled)

    wait_until(both_work, "each of two workers has two of four partitions", timeout=30)
    for worker in workers:
        worker.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RabbitMQ]:
    with RabbitMQ(tmp_path / "rabbitmq") as server:
        yield server


@pytest.mark.time_limit(120)
def test_a_broker_that_was_killed_has_all_events(own_server):
    engine = RabbitEngine(own_server.url)
    engine.declare(TOPIC)
    for number in range(100):
        engine.add(TOPIC, str(number), str(number), b"a")
    own_server.kill()
    with pytest.raises(EngineUnavailableError):
        engine.add(TOPIC, "k", "id", b"a")
    own_server.start()
    wait_until(lambda: sum(each.waiting for each in engine.status(TOPIC)) == 100, timeout=60)
    engine.close()


@pytest.mark.time_limit(120)
def test_events_of_a_key_keep_their_order_over_a_kill_of_the_broker(own_server):
    topic, keys = Topic("events", ("workers",), partitions=16), [str(n) for n in range(50)]
    engine = RabbitEngine(own_server.url)
    engine.declare(topic)
    for key in keys:
        engine.add(topic, key, f"{key} first", f"{key} first".encode())
    own_server.kill()
    engine.close()
    own_server.start()
    engine.declare(topic)
    for key in keys:
        engine.add(topic, key, f"{key} second", f"{key} second".encode())
    worker = engine.subscribe(topic, "workers", 1)
    found: list[str] = []
    while len(found) < 2 * len(keys):
        claim = worker.claim(10)
        assert claim is not None
        found.append(claim.deliveries[0].body.decode())
        worker.ack(claim)
    worker.close()
    engine.close()
    assert [key for key in keys if found.index(f"{key} first") > found.index(f"{key} second")] == []


@pytest.mark.time_limit(300)
def test_a_cluster_loses_nothing_when_any_node_is_killed(tmp_path):
    with RabbitCluster(tmp_path) as cluster:
        engine = RabbitEngine(cluster.url)
        engine.declare(TOPIC)
        added, number = [], 0
        for node in cluster.nodes:
            for _ in range(30):
                number += 1
                engine.add(TOPIC, str(number % 7), str(number), str(number).encode())
                added.append(number)
            node.kill()
            while added[-1] < number + 30:
                number_of = added[-1] + 1
                try:
                    engine.add(TOPIC, str(number_of % 7), str(number_of), str(number_of).encode())
                except RelayError:
                    continue  # the relay tries again as well
                added.append(number_of)
            number = added[-1]
            node.start()
        found: dict[int, list[int]] = {}
        worker = engine.subscribe(TOPIC, "workers", 16)
        seen: set[int] = set()
        while seen != {*added}:
            claim = worker.claim(30)
            assert claim is not None, f"{len(added) - len(seen)} events are lost"
            each = int(claim.deliveries[0].body)
            if each not in seen:
                seen.add(each)
                found.setdefault(each % 7, []).append(each)
            worker.ack(claim)
        worker.close()
        engine.close()
        assert all(numbers == sorted(numbers) for numbers in found.values())
