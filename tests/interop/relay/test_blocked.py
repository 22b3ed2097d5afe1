"""Brokers that take nothing for a while, without memory or disk, or read-only: nothing is lost or late."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from attrs import frozen

from connectycube import ChatState, Limits
from connectycube.cli import main
from connectycube.contrib.relay import (
    EngineFullError,
    EngineUnavailableError,
    Relay,
    RelayError,
    Worker,
)
from connectycube.contrib.relay.engine import Engine, Topic
from connectycube.contrib.relay.engines import engine_of
from tests.interop.rabbitmq import RabbitMQ
from tests.interop.redis_server import RedisServer
from tests.support.people import PASSWORD, Person
from tests.support.waiting import TIMEOUT, wait_until

PARTITIONS = 4
ATTEMPTS = 2
TOPIC = Topic("events", ("workers",), partitions=PARTITIONS)
_numbers = itertools.count(1)


@frozen
class Broker:
    """A broker that can be made to refuse, and what its clients are then told."""

    url: str
    refuse: Callable[[], object]
    accept: Callable[[], object]
    error: type[RelayError]
    text: str
    is_full: bool
    """Whether it refuses what needs room alone."""

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse in the block."""
        try:
            self.refuse()
            yield
        finally:
            self.accept()


def of_rabbitmq(server: RabbitMQ, begin: tuple[str, ...], end: tuple[str, ...]) -> Broker:
    text = "RabbitMQ takes nothing more, as it has no memory or disk left"
    return Broker(
        server.url,
        lambda: server.control(*begin),
        lambda: server.control(*end),
        EngineFullError,
        text,
        is_full=False,
    )


def of_redis(server: RedisServer, kind: str) -> Broker:
    def run(*command: str) -> None:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command(*command)

    memory = ("config", "set", "maxmemory")
    kinds = {
        "memory": ((*memory, "1"), (*memory, "0"), "Redis has no memory left: .*OOM|maxmemory"),
        "replica": (
            ("replicaof", "127.0.0.1", "1"),
            ("replicaof", "no", "one"),
            "Redis takes nothing at the moment: .*read only replica",
        ),
        "alone": (
            ("config", "set", "min-replicas-to-write", "1"),
            ("config", "set", "min-replicas-to-write", "0"),
            "Redis takes nothing at the moment: NOREPLICAS",
        ),
    }
    begin, end, text = kinds[kind]
    is_full = kind == "memory"
    error = EngineFullError if is_full else EngineUnavailableError
    return Broker(server.url, lambda: run(*begin), lambda: run(*end), error, text, is_full=is_full)


_WATERMARK = ("set_vm_memory_high_watermark", "absolute")
_KINDS = {
    "rabbitmq-memory": ((*_WATERMARK, "1MB"), (*_WATERMARK, "512MB")),
    "rabbitmq-disk": (("set_disk_free_limit", "900000000000000"), ("set_disk_free_limit", "20MB")),
    "redis-memory": "memory",
    "redis-replica": "replica",
    "redis-alone": "alone",
}


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(name, marks=pytest.mark.referee(name.partition("-")[0])) for name in _KINDS
    ],
)
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker, in each way in which it refuses."""
    kind = _KINDS[request.param]
    if isinstance(kind, str):
        return of_redis(request.getfixturevalue("redis_server"), kind)
    return of_rabbitmq(request.getfixturevalue("rabbitmq_server"), *kind)


@pytest.fixture(autouse=True)
def short_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt to publish is over soon."""
    monkeypatch.setattr("connectycube.contrib.relay.rabbitmq.WAIT", 0.5)


@pytest.fixture
def new_engine(broker: Broker) -> Iterator[Callable[[], Engine]]:
    """Make engines of one prefix, which no other test has."""
    made, prefix = [], f"blocked{next(_numbers)}"

    def make() -> Engine:
        made.append(engine_of(broker.url, prefix, lease=1.0))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def bodies_of(engine: Engine, count: int) -> list[bytes]:
    """So many events, each finished, and whatever comes behind them."""
    found: list[bytes] = []
    worker = engine.subscribe(TOPIC, "workers", 16)
    while (claim := worker.claim(TIMEOUT if len(found) < count else 0.3)) is not None:
        while claim.deliveries:
            found.append(claim.deliveries[0].body)
            worker.ack(claim)
    worker.close()
    return found


def test_a_refused_event_is_added_once_when_it_is_tried_again(broker, new_engine):
    engine = new_engine()
    engine.declare(TOPIC)
    engine.add(TOPIC, "k", "first", b"first")
    with broker.refusing():
        for _ in range(3):
            with pytest.raises(broker.error, match=broker.text):
                engine.add(TOPIC, "k", "second", b"second")
    for name in ("second", "third"):
        engine.add(TOPIC, "k", name, name.encode())
    assert bodies_of(engine, 3) == [b"first", b"second", b"third"]


def test_the_first_event_of_a_process_is_added_once_too(broker, new_engine):
    new_engine().declare(TOPIC)
    engine = new_engine()  # RabbitMQ tells nobody who has published nothing yet
    with broker.refusing():
        for _ in range(3):
            with pytest.raises(broker.error, match=broker.text):
                engine.add(TOPIC, "k", "first", b"first")
        with pytest.raises(broker.error, match=broker.text):
            engine.add(TOPIC, "k", "second", b"second")
    engine.add(TOPIC, "k", "first", b"first")
    engine.add(TOPIC, "k", "second", b"second")
    assert bodies_of(engine, 2) == [b"first", b"second"]


def test_the_status_says_that_and_why_it_is_blocked(broker, new_engine, capsys):
    new_engine().declare(TOPIC)
    relay = Relay(new_engine(), partitions=PARTITIONS)
    assert relay.blocked() is None
    arguments = ["relay", "status", "--url", broker.url, "--prefix", new_engine()._prefix]
    arguments += ["--partitions", str(PARTITIONS)]
    with broker.refusing():
        assert relay.blocked() is not None
        assert main([*arguments, "--json"]) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert told == {"dead": 0, "blocked": relay.blocked()}
        assert main(arguments) == 0
        assert f"blocked: {told['blocked']}" in capsys.readouterr().out
    assert relay.blocked() is None
    relay.close()


# --- with a chat -------------------------------------------------------------------------------------


@pytest.fixture
def alice(emulator) -> Iterator[Person]:
    emulator.add_user("blocked-alice", PASSWORD)
    person = Person.in_chat(emulator, "blocked-alice")
    with person.cube:
        yield person


@pytest.fixture
def relayed(emulator, new_engine) -> Iterator[Callable[..., tuple[Person, Relay]]]:
    """A bot whose chat is attached to a relay, and logged in; with the relay."""
    ends: list[Callable[[], object]] = []
    emulator.add_user("blocked-bot", PASSWORD)

    def begin(**options) -> tuple[Person, Relay]:
        relay = Relay(new_engine(), partitions=PARTITIONS)
        bot = Person.with_session(emulator, "blocked-bot", **options)
        relay.attach(bot.chat)
        bot.login()
        ends.extend((relay.close, bot.cube.close))
        return bot, relay

    yield begin
    for end in reversed(ends):
        end()


class Handled:
    """What a worker has handled, in order; it answers each event."""

    def __init__(self, engine: Engine) -> None:
        self.worker = Worker(engine, partitions=PARTITIONS, attempts=ATTEMPTS)
        self.all: list[tuple[str, int, bool]] = []
        self.worker.on("message_received")(self._handle)
        self._thread = threading.Thread(target=self.worker.run)
        self._thread.start()

    def _handle(self, message, context):
        context.reply(f"re: {message.body}")
        self.all.append((message.body, context.attempt, context.repeated))

    @property
    def bodies(self) -> list[str]:
        return [body for body, *_ in self.all]

    def close(self) -> None:
        """End it."""
        self.worker.stop()
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()


@pytest.fixture
def handled(new_engine) -> Iterator[Callable[[], Handled]]:
    made: list[Handled] = []

    def begin() -> Handled:
        made.append(Handled(new_engine()))
        return made[-1]

    yield begin
    for each in made:
        each.close()


@pytest.mark.time_limit(90)
def test_the_chat_holds_back_and_goes_on_in_order(broker, relayed, handled, alice):
    bot, relay = relayed(limits=Limits(queued_events=5))
    sent = [str(number) for number in range(30)]
    with broker.refusing():
        for body in sent:
            alice.chat.send_private(bot.id, body)
        bot.wait_for_state(ChatState.FORCE_CLOSED)  # its queue is full
        assert relay.blocked() is not None
    seen = handled()
    wait_until(lambda: len({*seen.bodies}) == 30, timeout=60)
    received = alice.events.wait_for("message_received", 30, timeout=60)
    assert [message.body for message in received] == [f"re: {body}" for body in sent]
    assert seen.bodies == sent, "each was handed over once"


@pytest.mark.time_limit(90)
def test_a_worker_gives_up_no_event_because_its_answer_is_refused(
    broker, relayed, handled, alice, new_engine
):
    (bot, relay), seen = relayed(), handled()
    alice.chat.send_private(bot.id, "warm")
    alice.events.wait_for("message_received", 1)
    engine = new_engine()
    seen.close()
    sent = [str(number) for number in range(5)]
    for body in sent:
        alice.chat.send_private(bot.id, body)
    wait_until(lambda: sum(each.waiting for each in relay.status()) == 5)
    with broker.refusing():
        seen = handled()
        if broker.is_full:  # but an answer makes room
            alice.events.wait_for("message_received", 6)
        elif broker.url.startswith("amqp"):  # Redis gives the worker no event
            counts = seen.worker.counts
            wait_until(lambda: counts.failed > ATTEMPTS + 1, timeout=30)
    received = alice.events.wait_for("message_received", 6, timeout=60)
    assert [message.body for message in received[1:]] == [f"re: {body}" for body in sent]
    assert engine.letters() == []


@pytest.mark.time_limit(90)
def test_the_end_while_it_is_blocked_is_in_time_and_leaves_nothing_out(
    broker, relayed, handled, alice, tmp_path
):
    bot, relay = relayed(durable=str(tmp_path / "bot.db"))
    alice.chat.send_private(bot.id, "0")
    wait_until(lambda: sum(each.waiting for each in relay.status()) == 1)
    with broker.refusing():
        for number in range(1, 6):
            alice.chat.send_private(bot.id, str(number))
        bot.events.wait_for("message_received", 2)
        wait_until(lambda: relay.blocked() is not None)
        began = time.monotonic()
        bot.chat.logout(timeout=1.0)
        relay.close()
        assert time.monotonic() - began < 5.0
        left = {"connectycube-publisher", "connectycube-outbox"}
        assert not left & {thread.name for thread in threading.enumerate()}
        bot.cube.close()
    seen = handled()
    relayed(durable=str(tmp_path / "bot.db"))
    wait_until(lambda: len({*seen.bodies}) == 6, timeout=60)
    assert [*dict.fromkeys(seen.bodies)] == [str(number) for number in range(6)]
